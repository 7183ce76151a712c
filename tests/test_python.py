"""The Python interface."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest

import enhance_cli
from enhance_cli.errors import UsageError
from enhance_cli.plan import Plan

SCHEMA = json.loads((Path(__file__).parents[1] / "docs" / "report.schema.json").read_text())


@pytest.fixture(scope="module")
def opened():
    with enhance_cli.open("clahe-adaptive", device="cpu") as one:
        yield one


@pytest.fixture
def picture():
    rng = np.random.default_rng(0)
    return (rng.integers(0, 80, (90, 120, 3)) + np.linspace(0, 60, 120)[None, :, None]).astype(np.uint8)


def test_an_array(opened, picture):
    before = picture.copy()
    result = opened.enhance(picture, grid=(4, 4))
    assert result.array.shape == picture.shape
    assert result.array.dtype == np.uint8
    assert np.array_equal(picture, before)  # never in place
    jsonschema.validate(json.loads(json.dumps(result.report)), SCHEMA)
    assert result.report["plan"]["grid"] == [4, 4]


def test_a_read_only_array(opened, picture):
    picture.setflags(write=False)
    assert opened.enhance(picture).array.shape == picture.shape


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_shapes_and_depths(opened, picture, dtype):
    scale = {np.uint8: 1, np.uint16: 257, np.float32: 1 / 255}[dtype]
    samples = (picture.astype(np.float64) * scale).astype(dtype)
    colour = opened.enhance(samples).array
    assert colour.dtype == (np.uint16 if dtype == np.float32 else dtype)
    assert opened.enhance(samples[..., 0]).array.shape == picture.shape[:2]
    with_alpha = np.dstack((samples, samples[..., 0]))
    alpha = opened.enhance(with_alpha).array[..., 3]
    assert np.array_equal(alpha, opened.enhance(with_alpha).image.alpha)


@pytest.mark.parametrize(
    "array", [np.zeros((3, 4, 5), np.uint8), np.zeros((0, 4), np.uint8), np.full((4, 4), 2.0), np.zeros((4, 4), bool)]
)
def test_what_is_no_picture(opened, array):
    with pytest.raises(UsageError, match="image"):
        opened.enhance(array)


def test_an_unknown_control_is_named(opened, picture):
    with pytest.raises(UsageError, match="no control 'gird'; it has grid"):
        opened.enhance(picture, gird=(8, 8))


def test_a_control_out_of_range_is_named_as_the_keyword(opened, picture):
    with pytest.raises(UsageError, match=r"^clip_limit must lie between"):
        opened.enhance(picture, clip_limit=1000.0)
    with pytest.raises(UsageError, match=r"^amount must lie between 0 and 1, not 1\.5"):
        opened.enhance(picture, amount=1.5)


def test_many_paths_in_order_and_a_failure_as_a_value(opened, picture, tmp_path):
    paths = []
    for index in range(7):
        path = tmp_path / f"{index}.png"
        cv2.imwrite(str(path), picture + index)
        paths.append(path)
    paths.insert(3, tmp_path / "missing.png")
    results = list(opened.enhance_many(paths, grid=(2, 2), memory=200_000))
    assert [result.report["source"] for result in results] == [str(path) for path in paths]
    assert isinstance(results[3], enhance_cli.Failure)
    assert isinstance(results[3].error, enhance_cli.EnhanceError)
    assert results[3].report["error"]["kind"] == "missing"
    assert "missing" in str(results[3].error)
    alone = opened.enhance(paths[5], grid=(2, 2))
    assert np.array_equal(alone.array, results[5].array)  # never depends on its neighbours


def test_a_plan_survives_packing(opened, picture):
    plan = opened.enhance(picture).plan
    again = type(plan).from_bytes(plan.to_bytes())
    assert np.array_equal(again.curves, plan.curves)
    assert (again.tile, again.global_factor, again.notes) == (plan.tile, plan.global_factor, plan.notes)
    with pytest.raises(UsageError, match="not a plan"):
        Plan.from_bytes(b"nonsense")


def test_one_call(picture):
    assert enhance_cli.enhance(picture, "clahe-adaptive", clip_limit=2.0).report["weights"] is None


def test_no_such_method():
    with pytest.raises(UsageError, match="clahe-adaptive"):
        enhance_cli.open("sharpen")


# --- runs --------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, picture):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for index, name in enumerate(("a.png", "b.jpg", "sub/c.png")):
        cv2.imwrite(str(tmp_path / "in" / name), picture + index)
    return tmp_path


def test_a_run_is_that_of_the_command_line(folder):
    from typer.testing import CliRunner

    from enhance_cli.cli.app import build

    told = []

    class Told(enhance_cli.Silent):
        def finished(self, outcome):
            told.append((outcome.status, Path(outcome.report["source"]).name))

    arguments = [folder / "in", folder / "ours"]
    options = {"clip_limit": 2.0, "recursive": True, "device": "cpu"}
    summary = enhance_cli.run("clahe-adaptive", arguments, listener=Told(), **options)
    assert (summary.done, summary.failed, summary.unchanged, summary.exit_code) == (3, 0, 0, 0)
    assert summary.report == folder / "ours" / "enhance-report.jsonl"
    assert sorted(told) == [("done", "a.png"), ("done", "b.jpg"), ("done", "c.png")]
    words = ["clahe-adaptive", "--clip-limit", "2", "-r", "--device", "cpu", str(folder / "in"), str(folder / "theirs")]
    assert CliRunner().invoke(build(), words).exit_code == 0
    for name in ("a.png", "b.jpg", "sub/c.png"):
        assert (folder / "ours" / name).read_bytes() == (folder / "theirs" / name).read_bytes()
    again = enhance_cli.run("clahe-adaptive", arguments, **options)
    assert (again.done, again.unchanged) == (0, 3)


def test_a_run_that_does_nothing_says_what_it_would_do(folder):
    summary = enhance_cli.run("clahe-adaptive", [folder / "in", folder / "out"], dry_run=True)
    assert (summary.planned, summary.done) == (2, 0)
    assert not (folder / "out").exists()


def test_python_is_told_of_keywords(folder):
    with pytest.raises(enhance_cli.UsageError, match=r"^overwrite and skip_existing exclude each other"):
        enhance_cli.run("clode", [folder / "in", folder / "out"], overwrite=True, skip_existing=True)
    with pytest.raises(enhance_cli.UsageError, match=r"clode has no option 'tiem'"):
        enhance_cli.run("clode", [folder / "in", folder / "out"], tiem=3)


def test_a_run_can_be_sent_to_another_process(folder):
    import pickle

    from enhance_cli.pipeline.run import Run

    asked = Run.of("clode", ["in", "out"], {"time": "auto", "recursive": True})
    assert pickle.loads(pickle.dumps(asked)) == asked


def test_children_and_runs_load_no_command_line():
    import subprocess
    import sys

    code = (
        "import sys, enhance_cli.pipeline.isolate, enhance_cli.pipeline.run, enhance_cli.pipeline.assignment; "
        "print([name for name in sys.modules if name.startswith(('typer', 'click', 'rich', 'enhance_cli.cli'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- saving ------------------------------------------------------------------------------------------------


def test_what_is_saved_keeps_depth_profile_and_metadata(tmp_path, picture):
    import tifffile
    from PIL import Image as Pillow

    from enhance_cli.imaging import codecs
    from enhance_cli.imaging.profiles import icc_profile

    profile = icc_profile("a", (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06), (563 / 256,))
    exif = Pillow.Exif()
    exif[0x010F] = "A camera"
    source = tmp_path / "photo.tif"
    extras = [(34675, "B", len(profile), profile, True), (271, "s", 0, "A camera", True)]
    tifffile.imwrite(source, picture.astype(np.uint16) * 257, photometric="rgb", extratags=extras, metadata=None)
    with enhance_cli.open("clahe-adaptive", device="cpu") as method:
        result = method.enhance(source, clip_limit=2.0)
        assert result.save(tmp_path / "out.tif") == ()
        notes = result.save(tmp_path / "out.jpg", quality=90)
    saved = codecs.decode((tmp_path / "out.tif").read_bytes())
    assert saved.pixels.dtype == np.uint16
    assert np.array_equal(saved.pixels, result.image.pixels)
    assert saved.metadata.icc == profile
    assert b"A camera" in saved.metadata.exif
    assert any("bits" in note for note in notes)
    assert codecs.decode((tmp_path / "out.jpg").read_bytes()).metadata.icc == profile


def test_saving_is_whole_or_not_at_all(tmp_path, opened, picture):
    result = opened.enhance(picture)
    (tmp_path / "kept.png").write_bytes(b"before")
    with pytest.raises(enhance_cli.UsageError):
        result.save(tmp_path / "kept.png", format="nonsense")
    with pytest.raises(enhance_cli.UnsupportedFormat):
        result.save(tmp_path / "photo.psd")
    with pytest.raises(enhance_cli.OutputError):
        result.save(tmp_path / "gone" / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["kept.png"]
    assert (tmp_path / "kept.png").read_bytes() == b"before"
    result.save(tmp_path / "kept.png")
    assert np.array_equal(cv2.imread(str(tmp_path / "kept.png"))[..., ::-1], result.array)
