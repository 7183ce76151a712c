"""`--weights`: what `enhance train` wrote runs as it is and is named in the report; what is damaged is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest
from typer.testing import CliRunner

import enhance_cli
from enhance_cli import methods
from enhance_cli.cli.app import build
from enhance_cli.engines import weights
from enhance_cli.engines.cpu import CpuEngine
from enhance_cli.errors import UsageError, WeightsError
from enhance_cli.methods.irle.denoiser import Denoisers
from enhance_cli.pipeline.assignment import Assignment
from enhance_cli.pipeline.files import Coding
from tests.commands import contents, lines
from tests.pictures import scene

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text())
NAME = "clahe-adaptive"


def enhance(*arguments: object):
    """Run `enhance ARGUMENTS` in this process."""
    return CliRunner().invoke(build(), list(map(str, arguments)))


def run(*arguments: object, method: str = NAME):
    return enhance(method, "--device", "cpu", *arguments)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training of two steps leaves."""
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("training")
    (folder / "clean").mkdir()
    for number in range(10):
        cv2.imwrite(str(folder / "clean" / f"{number}.png"), scene(64, 80, seed=number))
    trained = enhance("train", NAME, folder, "--out", folder / "runs", "--iterations", 2)
    assert trained.exit_code == 0, trained.output
    return folder / "runs"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A copy of shipped weights as a training might have written them, to be damaged."""
    shutil.copytree(weights.weights_folder() / "clahe_adaptive", tmp_path / "own")
    return tmp_path / "own"


def rewritten(path: Path, data: bytes) -> None:
    """Replace a weights file and what its manifest says of it."""
    path.write_bytes(data)
    manifest = path.with_suffix(".json")
    known = json.loads(manifest.read_text())
    known["sha256"][path.suffix[1:]] = hashlib.sha256(data).hexdigest()
    manifest.write_text(json.dumps(known))


def test_what_a_training_wrote_runs_and_is_named(photographs, runs: Path) -> None:
    photographs(1)
    assert run("in", "shipped").exit_code == 0
    assert run("--weights", runs, "in", "out").exit_code == 0
    manifest = json.loads((runs / "clahe_adaptive" / "estimator.json").read_text())
    (line,) = lines()
    jsonschema.validate(line, SCHEMA)
    sha256 = manifest["sha256"]["onnx"]
    assert line["weights"] == {"id": manifest["id"], "sha256": sha256, "own": {"estimator": sha256}, "shipped": []}
    assert contents("shipped") != contents()


def test_a_restart_knows_weights_by_what_they_are(photographs, runs: Path) -> None:
    photographs(1)
    assert run("--weights", runs, "in", "out").exit_code == 0
    assert "Nothing to do" in run("--weights", runs / "clahe_adaptive", "in", "out").stderr
    assert "1 photo enhanced" in run("in", "out").stderr
    assert "Nothing to do" in run("in", "out").stderr


def test_children_run_them_too(photographs, runs: Path) -> None:
    photographs(1)
    assert run("--weights", runs, "in", "out").exit_code == 0
    assert run("--weights", runs, "--isolate", "in", "apart").exit_code == 0
    assert contents("apart") == contents()
    assert lines("apart/enhance-report.jsonl")[0]["weights"] == lines()[0]["weights"]


def test_python_takes_them(photographs, runs: Path) -> None:
    photographs(1)
    assert run("--weights", runs, "in", "out").exit_code == 0
    with enhance_cli.open(NAME, device="cpu", weights=runs) as method:
        result = method.enhance("in/00.jpg")
        assert result.report["weights"] == lines()[0]["weights"]
        assert method.enhance("in/00.jpg", clip_limit=2).report["weights"] is None
    assert enhance_cli.enhance("in/00.jpg", device="cpu", weights=str(runs)).report["weights"] == lines()[0]["weights"]
    assert enhance_cli.run(NAME, ["in", "out"], device="cpu", weights=runs).unchanged == 1
    with pytest.raises(UsageError, match=r"^weights .*nowhere cannot be read"):
        enhance_cli.open(NAME, device="cpu", weights="nowhere")


def test_both_engines_run_them(runs: Path) -> None:
    from enhance_cli.engines.cuda import CudaEngine
    from enhance_cli.methods.clahe_adaptive import METHOD, statistics

    random = np.random.default_rng(0)
    inputs = {
        "thumbnail": random.random((1, 1, 256, 256), np.float32),
        "statistics": random.random((1, statistics.FEATURES + 1), np.float32),
        "tiles": random.random((1, statistics.FEATURES, 3, 4), np.float32),
    }
    cpu, torch = CpuEngine(own_weights=runs), CudaEngine("cpu", runs)
    one, two, shipped = (engine.network(METHOD, "estimator")[0](**inputs) for engine in (cpu, torch, CpuEngine()))
    for name, values in one.items():
        np.testing.assert_allclose(values, two[name], rtol=1e-3, atol=1e-4)
    assert not np.allclose(one["tile_factor"], shipped["tile_factor"])
    for engine, suffix in ((cpu, "onnx"), (torch, "safetensors")):
        assert engine.network(METHOD, "estimator")[1].path == runs / "clahe_adaptive" / f"estimator.{suffix}"


# --- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["estimator.onnx", "estimator.safetensors", "estimator.json"])
def test_a_missing_file_is_named(photographs, own: Path, missing: str) -> None:
    photographs(1)
    (own / missing).unlink()
    refused = run("--weights", own, "in", "out")
    assert refused.exit_code == 3
    assert f"{own / missing} cannot be read" in refused.stderr
    assert not Path("out").exists()


@pytest.mark.parametrize("suffix", ["onnx", "safetensors"])
def test_an_altered_file_is_named(photographs, own: Path, suffix: str) -> None:
    photographs(1)
    with (own / f"estimator.{suffix}").open("ab") as file:
        file.write(b"x")
    refused = run("--weights", own, "in", "out")
    assert refused.exit_code == 3
    assert f"{own}/estimator.{suffix} is not the file that `enhance train` wrote" in refused.stderr


def test_files_that_are_no_networks_are_refused(photographs, own: Path) -> None:
    photographs(1)
    rewritten(own / "estimator.onnx", b"no network")
    refused = run("--weights", own, "in", "out")
    assert (refused.exit_code, "cannot be opened by ONNX Runtime" in refused.stderr) == (3, True)
    rewritten(own / "estimator.safetensors", b"no network")
    refused = run("--weights", own, "in", "out")
    assert (refused.exit_code, "is not a safetensors file" in refused.stderr) == (3, True)


def test_another_size_is_refused(photographs, own: Path) -> None:
    photographs(1)
    data = (own / "estimator.safetensors").read_bytes()
    rewritten(own / "estimator.safetensors", data.replace(b'\\"hidden\\": 16', b'\\"hidden\\": 12'))
    refused = run("--weights", own, "in", "out")
    assert refused.exit_code == 3
    assert "differs in size from clahe-adaptive's estimator" in refused.stderr


def test_a_folder_of_another_method_is_refused(photographs, own: Path, tmp_path: Path) -> None:
    photographs(1)
    refused = run("--weights", own, "in", "out", method="clode")
    assert refused.exit_code == 3
    assert f"{own} holds no weights of clode" in refused.stderr
    other = methods.get("irle")  # clode's denoisers are called as those of irle are
    with pytest.raises(WeightsError, match=r"denoiser-lite.* is clode/denoiser-lite-1, which is not of irle"):
        weights.find(other, "denoiser-lite", "onnx", weights.weights_folder() / "clode")


def test_what_is_no_folder_of_weights_is_refused(photographs, tmp_path: Path) -> None:
    photographs(1)
    (tmp_path / "empty").mkdir()
    for given, code, said in (
        ("empty", 3, "empty holds no weights of clahe-adaptive"),
        ("in/00.jpg", 2, "--weights in/00.jpg is a file"),
        ("nowhere", 2, "--weights nowhere cannot be read"),
    ):
        refused = run("--weights", given, "in", "out")
        assert (refused.exit_code, said in refused.stderr) == (code, True)
        assert not Path("out").exists()


def test_weights_that_do_not_run_are_refused(photographs, own: Path, tmp_path: Path) -> None:
    photographs(1)
    refused = run("--weights", own, "--clip-limit", 2, "in", "out")
    assert refused.exit_code == 2
    assert "these options run no network" in refused.stderr
    assert not Path("out").exists()
    shutil.copytree(weights.weights_folder() / "clode", tmp_path / "full", ignore=shutil.ignore_patterns("*lite*"))
    refused = run("--weights", tmp_path / "full", "--model", "lite", "in", "out", method="clode")
    assert refused.exit_code == 2
    assert "these options run estimator-lite, denoiser-lite, which it does not hold" in refused.stderr
    refused = run("--weights", own, "--clip-limit", 2, "--report", "line.jsonl", "in/00.jpg", "out/one.jpg")
    assert refused.exit_code == 2
    assert not Path("out").exists()
    assert not Path("line.jsonl").exists()


# --- methods of several networks ---------------------------------------------------------------------------


def copied(stem: str, method: str, folder: Path) -> Path:
    """A folder that holds one network of a method."""
    folder.mkdir()
    for path in (weights.weights_folder() / method).glob(f"{stem}.*"):
        shutil.copy(path, folder)
    return folder


@pytest.mark.parametrize("model", ["paper", "full"])
@pytest.mark.parametrize("stem", ["illumination", "fusion", "restoration"])
def test_networks_that_a_folder_lacks_are_the_shipped_ones(stem: str, model: str, tmp_path: Path) -> None:
    suffix = "-full" if model == "full" else ""
    stem += suffix if stem != "restoration" else ""
    folder = copied(stem, "retinex", tmp_path / "own")
    controls = methods.get("retinex").controls(model=model)
    recipe = Assignment("retinex", controls, "cpu", Coding(), weights=folder).open()
    assert recipe.weights is not None
    assert list(recipe.weights["own"]) == [stem]
    # The exposure's predictor is shared by methods, and shipped unless the folder has its own.
    networks = {f"illumination{suffix}", f"fusion{suffix}", "restoration", "predictor"}
    assert {stem, *recipe.weights["shipped"]} == networks


def test_the_kernels_of_retinex_run_them(tmp_path: Path) -> None:
    folder = copied("fusion", "retinex", tmp_path / "own")
    path = folder / "fusion.safetensors"
    data = path.read_bytes()
    rewritten(path, data[:-4] + np.float32(7.0).tobytes())
    changed, shipped = (
        methods.open_enhancer(methods.get("retinex"), CpuEngine(own_weights=where)) for where in (folder, None)
    )
    one, two = changed._arrays("fusion"), shipped._arrays("fusion")
    assert [name for name in one if not np.array_equal(one[name], two[name])]


def test_tuning_starts_from_them(tmp_path: Path) -> None:
    folder = copied("denoiser-lite", "irle", tmp_path / "own")
    assert Denoisers(CpuEngine(own_weights=folder)).file("lite") == folder / "denoiser-lite.safetensors"
    assert Denoisers(CpuEngine(own_weights=folder)).file("full").parent == weights.weights_folder() / "irle"
