"""What was there before a run, or comes to be there while it runs, is never written over unasked."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from enhance_cli.cli.app import build
from enhance_cli.imaging import atomic
from tests.commands import contents, lines
from tests.pictures import scene


def clode(*arguments):
    words = ["clode", "--time", "1,2,3", "--denoise", "0", "--device", "cpu", *map(str, arguments)]
    return CliRunner().invoke(build(), words)


# --- --skip-existing -----------------------------------------------------------------------------------------


def test_variants_that_exist_are_left_and_the_others_made(photographs):
    photographs(1, suffix=".png")
    Path("out").mkdir()
    Path("out/00_t2.png").write_bytes(b"theirs")
    result = clode("--skip-existing", "-v", "in", "out")
    assert result.exit_code == 0, result.stderr
    assert Path("out/00_t2.png").read_bytes() == b"theirs"
    assert [line["status"] for line in lines()] == ["done", "skipped", "done"]
    assert contents().keys() == {"00_t1.png", "00_t2.png", "00_t3.png"}


@pytest.mark.parametrize("isolate", [[], ["--isolate"]])
def test_what_lies_beside_is_left_and_the_picture_made(photographs, enhance, isolate):
    photographs(2)
    theirs = ["out/00_heatmap.png", "plans/01.jpg.plan.npz"]
    for name in theirs:
        Path(name).parent.mkdir()
        Path(name).write_bytes(b"theirs")
    result = enhance("--skip-existing", "--heatmap", "--save-plans", "plans", *isolate, "in", "out")
    assert result.exit_code == 0, result.stderr
    assert [Path(name).read_bytes() for name in theirs] == [b"theirs"] * 2
    assert contents().keys() == {"00.jpg", "00_heatmap.png", "01.jpg", "01_heatmap.png"}
    assert contents("plans").keys() == {"00.jpg.plan.npz", "01.jpg.plan.npz"}
    written = {Path(item["path"]).name for line in lines() for item in line["written"]}
    assert not written & {Path(name).name for name in theirs}


def test_a_link_to_nothing_exists_too(photographs, enhance):
    photographs(1)
    Path("out").mkdir()
    Path("out/00.jpg").symlink_to("gone.jpg")
    assert enhance("in", "out").exit_code == 2
    assert enhance("--skip-existing", "in", "out").exit_code == 0
    assert Path("out/00.jpg").readlink() == Path("gone.jpg")


# --- what is not ours ----------------------------------------------------------------------------------------


def test_a_link_to_elsewhere_is_a_stranger(photographs, enhance, tmp_path):
    photographs(1)
    assert enhance("in", "out").exit_code == 0
    Path("out/00.jpg").rename("kept.jpg")
    Path("out/00.jpg").symlink_to("../kept.jpg")
    result = enhance("--grid", "2x2", "in", "out")
    assert result.exit_code == 2
    assert "out/00.jpg" in result.stderr
    assert Path("out/00.jpg").is_symlink()


@pytest.mark.parametrize(
    "report", ["in/00.jpg", "out/00.jpg", "plans/00.jpg.plan.npz", "out/00_heatmap.png", "notes.csv", "out", "link"]
)
def test_a_report_is_never_another_file_of_the_run(photographs, enhance, report):
    photographs(1)
    Path("notes.csv").write_text("name,width\n")
    Path("link").symlink_to("in/00.jpg")
    Path("out").mkdir()
    before = contents("."), Path("notes.csv").read_bytes()
    words = ["--heatmap", "--save-plans", "plans", "--report", report, "in", "out"]
    for more in ([], ["--dry-run"], ["--overwrite"]):
        result = enhance(*words, *more)
        assert result.exit_code == 2, result.stderr
        assert f"--report {report} " in result.stderr
    assert (contents("."), Path("notes.csv").read_bytes()) == before


def test_a_file_of_the_default_reports_name_is_left(photographs, enhance):
    photographs(1)
    Path("out").mkdir()
    Path("out/enhance-report.jsonl").write_text('{"mine": 1}\n')
    assert enhance("in", "out").exit_code == 2
    assert Path("out/enhance-report.jsonl").read_text() == '{"mine": 1}\n'
    assert contents() == {}


def test_two_kept_plans_of_one_name_clash(photographs, enhance):
    photographs(1, folder="one")
    photographs(1, folder="two")
    result = enhance("--in-place", "--save-plans", "plans", "one/00.jpg", "two/00.jpg")
    assert result.exit_code == 2
    assert "would both be written to plans/00.jpg.plan.npz" in result.stderr


# --- what comes to be there meanwhile ------------------------------------------------------------------------


@pytest.fixture
def meddling(monkeypatch):
    """Have somebody write a file while an image is being staged."""

    def at(path, data=b"theirs"):
        real = atomic.Staged.__init__

        def staging(self, *arguments):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_bytes(data)
            real(self, *arguments)

        monkeypatch.setattr(atomic.Staged, "__init__", staging)

    return at


@pytest.mark.parametrize("name", ["out/00.jpg", "out/00_heatmap.png", "plans/00.jpg.plan.npz"])
def test_a_file_that_appears_during_the_run_is_left(photographs, enhance, meddling, name):
    photographs(1)
    meddling(name)
    result = enhance("--heatmap", "--save-plans", "plans", "in", "out")
    assert result.exit_code == 6, result.stderr
    assert f"{name} was put there or changed by another program" in result.stderr
    assert Path(name).read_bytes() == b"theirs"
    assert [line["status"] for line in lines()] == ["failed"]
    assert lines()[0]["error"]["kind"] == "occupied"
    assert not list(Path("out").glob(".enhance-*"))


def test_our_own_file_that_somebody_changes_during_the_run_is_left(photographs, enhance, meddling):
    photographs(1)
    assert enhance("in", "out").exit_code == 0
    assert enhance("--grid", "2x2", "in", "out").exit_code == 0  # ours is replaced
    meddling("out/00.jpg")
    assert enhance("--grid", "4x4", "in", "out").exit_code == 6
    assert Path("out/00.jpg").read_bytes() == b"theirs"
    assert enhance("--grid", "4x4", "--overwrite", "in", "out").exit_code == 0
    assert cv2.imread("out/00.jpg") is not None


@pytest.mark.parametrize("links", [True, False])
def test_a_name_is_taken_in_one_step(tmp_path, monkeypatch, links):
    """Also on file systems that know no hard links."""
    if not links:

        def refuse(*_):
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    free, taken, dangling, folder = (tmp_path / name for name in ("free", "taken", "dangling", "folder"))
    taken.write_bytes(b"theirs")
    dangling.symlink_to("nowhere")
    folder.mkdir()
    with atomic.Staged(free, b"ours") as staged:
        staged.place_anew()
    assert free.read_bytes() == b"ours"
    for path in (taken, dangling, folder):
        with atomic.Staged(path, b"ours") as staged, pytest.raises(FileExistsError):
            staged.place_anew()
    assert taken.read_bytes() == b"theirs"
    assert dangling.is_symlink()
    assert not list(tmp_path.glob(".enhance-*"))


# --- broken files that a run reads ---------------------------------------------------------------------------


def test_a_broken_old_report_costs_no_run(photographs, enhance):
    photographs(1)
    assert enhance("in", "out").exit_code == 0
    with Path("out/enhance-report.jsonl").open("ab") as report:
        report.write(b"[" * 100_000 + b"\n" + b"9" * 5000 + b'\n\xff\n{"written": 5, "read": {}, "source": null}\n')
        report.write(json.dumps({"status": "done", "settings": [], "read": [7], "written": [{"path": 3}]}).encode())
        report.write(b"\n")
    assert "Nothing to do" in enhance("in", "out").stderr
    cv2.imwrite("in/01.jpg", scene(seed=5))
    assert enhance("in", "out").exit_code == 0


@pytest.mark.parametrize("change", ["text", "npy", "deep", "kind", "lacks", "object", "cut"])
def test_a_broken_plan_is_a_sentence(photographs, enhance, change):
    photographs(1)
    assert enhance("--save-plans", "plans", "in", "out").exit_code == 0
    kept = Path("plans/00.jpg.plan.npz")
    with np.load(kept) as archive:
        values = {name: archive[name] for name in archive.files}
    plain = json.loads(str(values["__json__"]))
    if change == "text":
        kept.write_text("not a plan")
    elif change == "npy":
        with kept.open("wb") as file:
            np.save(file, np.zeros(3))
    elif change == "cut":
        kept.write_bytes(kept.read_bytes()[:300])
    else:
        text = {"deep": "[" * 100_000, "object": "[]"}.get(change)
        if change == "lacks":
            del values["curves"]
        plain = {**plain, "height": "high"} if change == "kind" else plain
        np.savez(kept, **{**values, "__json__": np.array(text or json.dumps(plain))})
    result = enhance("--plan", kept, "in", "again")
    assert result.exit_code == 2, result.stderr
    assert not Path("again").exists()
    assert "is not a plan saved by enhance" in result.stderr


def test_a_file_is_no_folder_for_plans(photographs, enhance):
    photographs(2)
    result = enhance("--save-plans", "in/00.jpg", "in", "out")
    assert result.exit_code == 2
    assert "is a file; give a folder" in result.stderr
    assert not Path("out").exists()
