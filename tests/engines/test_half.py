"""Networks in half precision, for real with torch on the CPU: results are within half a level of single."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from enhance_cli import methods  # noqa: E402
from enhance_cli.engines.cpu import CpuEngine  # noqa: E402
from enhance_cli.engines.cuda import CudaEngine  # noqa: E402
from enhance_cli.pipeline.recipe import Recipe  # noqa: E402
from enhance_cli.types import Image  # noqa: E402
from tests.fake_cuda import Wrong, _Watch  # noqa: E402

CASES = [
    ("clahe-adaptive", {}),
    ("clode", {"model": "lite", "denoise": 1.0}),
    ("local", {}),
    ("local", {"backbone": "star"}),
    ("retinex", {"model": "full"}),
    ("retinex", {"model": "paper"}),
    ("irle", {"model": "lite"}),
]


@pytest.fixture(scope="module")
def picture():
    """A soft picture with some noise, at 16 bits, which show differences of less than a level of 8."""
    rng = np.random.default_rng(3)
    soft = cv2.resize(rng.uniform(4000, 30000, (6, 8, 3)), (96, 72), interpolation=cv2.INTER_CUBIC)
    return Image((soft + rng.normal(0, 300, soft.shape)).clip(0, 65535).astype(np.uint16))


def recipe(engine, name, controls):
    method = methods.get(name)
    made = method.controls(**{**dict(method.example), **controls})
    return Recipe(engine, methods.open_enhancer(method, engine), made)


@pytest.mark.parametrize(("name", "controls"), CASES, ids=str)
def test_results_differ_by_half_a_level_at_most(name, controls, picture):
    results = [recipe(CudaEngine("cpu", half=half), name, controls).enhance(picture).image for half in (False, True)]
    full, halved = (result.pixels.astype(np.int64) for result in results)
    difference = np.abs(full - halved).max() / 257.0
    assert difference <= 0.5
    runs_so = bool(methods.get(name).half) and controls.get("model") != "paper"
    assert (difference > 0.0) == runs_so  # else half precision did not run


def test_the_noise_of_the_full_denoiser_differs_by_half_a_level_at_most():
    """That of clode, which takes most of a card's time; a whole photo through it is slow here."""
    method, light = methods.get("clode"), np.random.default_rng(4).random((1, 3, 40, 48), np.float32)
    found, expected = (
        CudaEngine("cpu", half=half).network(method, "denoiser-full")[0](image=light)["noise"] for half in (True, False)
    )
    assert found.dtype == expected.dtype == np.float32
    assert 0.0 < 255.0 * np.abs(found - expected).max() <= 0.5


def test_only_networks_that_may_do_so_run_in_half_precision():
    engine = CudaEngine("cpu", half=True)
    for name in methods.names():
        method = methods.get(name)
        assert set(method.half) <= set(method.weights)
        for stem in method.half:
            network, _ = engine.network(method, stem)
            assert {it.dtype for it in network._network._module.parameters()} == {torch.float16}
    irle = methods.get("irle")
    network, _ = engine.network(irle, "denoiser-lite")
    assert {it.dtype for it in network._module.parameters()} == {torch.float32}


def test_half_precision_is_for_cards_alone():
    assert not CudaEngine("cpu").half
    assert not CpuEngine().half


@pytest.mark.parametrize("walks", [False, True])
def test_what_half_precision_does_not_hold_is_computed_in_single(walks):
    engine, method = CudaEngine("cpu", half=True), methods.get("clode")
    network, _ = engine.network(method, "denoiser-full")
    light = np.full((1, 3, 16, 16), 0.5, np.float32)
    ask = network.run if walks else network
    assert np.isfinite(engine.numpy(ask(image=light)["noise"])).all()
    assert engine.remarks() == ()
    light[0, 0, 3, 4] = 7e4  # more than half precision holds
    found = engine.numpy(ask(image=light)["noise"])
    assert np.isfinite(found).all()
    expected = CudaEngine("cpu").network(method, "denoiser-full")[0](image=light)["noise"]
    assert np.array_equal(found, expected)
    remark = "clode's denoiser-full ran in single precision: it exceeded the range of half precision"
    assert engine.remarks() == (remark,)
    assert engine.remarks() == ()


def test_a_photo_is_told_that_a_network_ran_in_single_precision(picture, monkeypatch):
    engine = CudaEngine("cpu", half=True, card_memory=2**33)
    made = recipe(engine, "clahe-adaptive", {})
    network = engine.network(methods.get("clahe-adaptive"), "estimator")[0]._network
    with torch.no_grad():
        network._module.scale.bias.fill_(torch.inf)
    engine._say("of a photo that failed")
    enhanced = made.enhance(picture)
    assert enhanced.notes[-1].startswith("clahe-adaptive's estimator ran in single precision")
    assert not any("failed" in note for note in enhanced.notes)
    expected = recipe(CudaEngine("cpu"), "clahe-adaptive", {}).enhance(picture)
    assert np.array_equal(enhanced.image.pixels, expected.image.pixels)
    assert made.line("a.jpg", "b.jpg", enhanced=enhanced)["card"] == {"precision": "half", "decoder": "cpu"}


@pytest.mark.parametrize(
    ("name", "half", "precision"), [("clode", True, "half"), ("clode", False, "full"), ("irle", True, "full")]
)
def test_the_report_tells_the_precision(name, half, precision):
    engine = CudaEngine("cpu", half=half, card_memory=2**33)
    assert recipe(engine, name, {}).line("a.jpg", None)["card"] == {"precision": precision}
    assert recipe(CpuEngine(), name, {}).line("a.jpg", None)["card"] is None


def test_precisions_that_are_mixed_are_found():
    half = torch.ones(3, dtype=torch.float16)
    with _Watch():
        assert (2.0 * half).dtype == torch.float16
        assert half.to(torch.float32).dtype == torch.float32
        with pytest.raises(Wrong, match="mixed"):
            half + torch.ones(3)
