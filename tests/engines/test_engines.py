"""Devices, weights and the kernel cache."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from enhance_cli import methods
from enhance_cli.engines import cuda_cards, open_engine, weights
from enhance_cli.engines.cpu import available_cores
from enhance_cli.errors import DeviceError, UsageError, WeightsError

METHOD = methods.get("clahe-adaptive")


def test_auto_is_the_cpu_where_there_is_no_card():
    if cuda_cards():
        pytest.skip("this machine has a card")
    assert open_engine("auto").device == "cpu"


def test_a_named_device_that_is_missing_is_an_error():
    with pytest.raises(DeviceError, match="cuda:99"):
        open_engine("cuda:99")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "CPU", ""])
def test_other_names_are_usage(name):
    with pytest.raises(UsageError, match="--device"):
        open_engine(name)


def test_cores_are_those_this_process_may_use():
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


def test_map_keeps_the_order():
    engine = open_engine("cpu", threads=3)
    assert engine.map(lambda item: item * item, range(20)) == [item * item for item in range(20)]
    engine.close()


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the weights that may be damaged."""
    folder = tmp_path / "weights"
    shutil.copytree(weights.weights_folder(), folder)
    monkeypatch.setattr(weights, "weights_folder", lambda: folder)
    return folder / "clahe_adaptive"


def test_what_is_shipped_is_verified():
    found = weights.find(METHOD, "estimator", "onnx")
    assert weights.report([found], None) == {"id": found.id, "sha256": found.sha256}
    assert len(found.sha256) == 64


def test_altered_weights_are_refused(copied):
    with (copied / "estimator.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(WeightsError, match=r"estimator\.onnx is not the file that was shipped"):
        weights.find(METHOD, "estimator", "onnx")


def test_missing_weights_are_named(copied):
    (copied / "estimator.onnx").unlink()
    with pytest.raises(WeightsError, match=r"estimator\.onnx cannot be read"):
        weights.find(METHOD, "estimator", "onnx")


def test_a_damaged_manifest_is_named(copied):
    (copied / "estimator.json").write_text("{")
    with pytest.raises(WeightsError, match=r"estimator\.json is damaged"):
        weights.find(METHOD, "estimator", "onnx")


def _with_own_sum(copied, suffix, data):
    """Replace a weights file and its checksum, so that only its content is wrong."""
    import hashlib

    (copied / f"estimator.{suffix}").write_bytes(data)
    manifest = json.loads((copied / "estimator.json").read_text())
    manifest["sha256"][suffix] = hashlib.sha256(data).hexdigest()
    (copied / "estimator.json").write_text(json.dumps(manifest))


def test_a_file_that_is_no_network_is_refused(copied):
    _with_own_sum(copied, "onnx", b"no network at all")
    with pytest.raises(WeightsError, match="ONNX Runtime"):
        open_engine("cpu").network(METHOD, "estimator")


def test_a_file_that_is_no_safetensors_is_refused(copied):
    pytest.importorskip("torch")
    from enhance_cli.engines.cuda import CudaEngine

    _with_own_sum(copied, "safetensors", b"\x80\x04K\x01.")  # a pickle
    with pytest.raises(WeightsError, match="cannot be opened"):
        CudaEngine("cpu").network(METHOD, "estimator")


def inputs_of_the_estimator():
    rng = np.random.default_rng(0)
    return {
        "thumbnail": rng.random((1, 1, 256, 256), np.float32),
        "statistics": rng.random((1, 20), np.float32),
        "tiles": rng.random((1, 19, 3, 5), np.float32),
    }


def test_both_engines_run_the_same_network():
    pytest.importorskip("torch")
    from enhance_cli.engines.cuda import CudaEngine

    inputs = inputs_of_the_estimator()
    one, _ = open_engine("cpu").network(METHOD, "estimator")
    two, _ = CudaEngine("cpu").network(METHOD, "estimator")
    expected = two(**inputs)
    for name, value in one(**inputs).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-5)


def test_a_cpu_run_never_imports_torch(tmp_path):
    code = (
        "import sys, numpy, enhance_cli\n"
        "enhance_cli.open('clahe-adaptive', device='cpu').enhance(numpy.zeros((64, 64, 3), 'uint8'))\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.fixture(params=["cpu", "torch"])
def engine(request):
    """The CPU engine with threads, and the CUDA engine on the CPU."""
    if request.param == "cpu":
        found = open_engine("cpu", threads=2)
    else:
        pytest.importorskip("torch")
        from enhance_cli.engines.cuda import CudaEngine

        found = CudaEngine("cpu")
    yield found
    found.close()


def _sum(arrays, weights, *, factor, out=None):
    """A kernel: of a list, a tuple and a number, by operations that arrays and tensors share."""
    result = arrays[0] * weights[0] + arrays[1] * weights[1] * factor
    if out is None:
        return result
    out[...] = result
    return out


def test_kernels_are_given_arrays_and_give_arrays(engine, rng):
    arrays, weights = [*rng.integers(0, 99, (2, 5, 7))], tuple(rng.integers(0, 9, (2, 7)))
    expected = _sum(arrays, weights, factor=3)
    found = engine.call(_sum, arrays, weights, factor=3)
    assert isinstance(found, np.ndarray)
    assert np.array_equal(found, expected)
    kept = engine.run(_sum, arrays, weights, factor=3)
    assert np.array_equal(engine.numpy(kept), expected)
    assert np.array_equal(engine.call(_sum, [kept, arrays[1]], weights, factor=0), expected * weights[0])
    target = np.zeros((9, 9), expected.dtype)
    view = target[2:7, 1:8]
    assert engine.into(view, _sum, arrays, weights, factor=3) is view
    assert np.array_equal(target[2:7, 1:8], expected)
    assert target.sum() == expected.sum()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_codes_of_both_depths_are_written(engine, rng, dtype):
    codes = rng.integers(0, 256, (6, 5), dtype)
    out = np.zeros((5, 6), dtype).T

    def copied(values, out):
        out[...] = values

    engine.into(out, copied, codes)
    assert np.array_equal(out, codes)


def test_bands_are_joined(engine, rng):
    table = rng.integers(0, 99, (7, 3))

    def doubled(values, first=0, last=None):
        return values[first:last] * 2

    assert np.array_equal(engine.in_bands(doubled, 7, table), 2 * table)


def test_networks_take_what_kernels_leave_on_the_device(engine):
    inputs = inputs_of_the_estimator()
    network, _ = engine.network(METHOD, "estimator")
    kept = {
        name: engine.run(lambda value, axes: value.swapaxes(*axes), value.swapaxes(-1, -2).copy(), (-1, -2))
        for name, value in inputs.items()
    }
    for name, value in network(**inputs).items():
        assert np.array_equal(network(**kept)[name], value)


def test_a_turn_is_waited_for_where_turns_are_limited():
    import threading

    engine = open_engine("cpu", threads=2 * available_cores())  # one turn
    begun = threading.Event()

    def second():
        with engine.turn(limited=True):
            begun.set()

    with engine.turn(limited=True):
        thread = threading.Thread(target=second)
        thread.start()
        assert not begun.wait(0.05)
        with engine.turn(limited=False):
            pass
    assert begun.wait(5.0)
    thread.join()
    engine.close()


def test_no_turn_is_given_in_a_run_that_was_stopped(engine):
    from enhance_cli.engines.abandon import Abandoned, Stop, working_for

    stop = Stop()
    stop.ask(0.0)
    with working_for(stop), pytest.raises(Abandoned), engine.turn(limited=False):
        pytest.fail("the block was begun")


def test_the_model_suits_the_device(engine):
    assert engine.model == "lite"
