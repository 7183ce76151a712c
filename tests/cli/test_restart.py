"""The same command again: what is done is left, what changed or failed is done, and nothing twice."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest

from enhance_cli import OutputError, run
from enhance_cli.pipeline.assignment import Assignment
from tests.commands import contents, lines
from tests.pictures import scene

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text())


def times(folder="out"):
    return {path.name: path.stat().st_mtime_ns for path in Path(folder).iterdir() if path.suffix != ".jsonl"}


def test_a_restart_does_nothing_and_says_so(photographs, enhance):
    photographs(3)
    assert enhance("in", "out").exit_code == 0
    before, report = times(), Path("out/enhance-report.jsonl").read_bytes()
    again = enhance("in", "out")
    assert again.exit_code == 0
    assert "Nothing to do: 3 photos done by an earlier run and unchanged." in again.stderr
    assert times() == before
    assert Path("out/enhance-report.jsonl").read_bytes() == report
    assert json.loads(enhance("--json", "in", "out").stdout)["unchanged"] == 3


def test_what_changed_failed_or_is_gone_is_done_again(photographs, enhance):
    photographs(5)
    Path("in/broken.jpg").write_bytes(b"no image")
    assert enhance("in", "out").exit_code == 1
    before = times()
    cv2.imwrite("in/01.jpg", scene(seed=77))
    Path("out/02.jpg").unlink()
    cv2.imwrite("in/broken.jpg", scene(seed=78))
    cv2.imwrite("in/new.jpg", scene(seed=79))
    again = enhance("in", "out")
    assert again.exit_code == 0, again.stderr
    assert "4 photos enhanced, 3 done already" in again.stderr
    after = times()
    assert {name for name in after if before.get(name) != after[name]} == {"01.jpg", "02.jpg", "broken.jpg", "new.jpg"}
    for line in lines():
        jsonschema.validate(line, SCHEMA)


def test_other_settings_do_all_again(photographs, enhance):
    photographs(2)
    for options in ([], ["--grid", "2x2"], ["--amount", "0.5"], ["--quality", "70"], ["--strip", "all"]):
        assert enhance("in", "out", *options).exit_code == 0
    assert len(lines()) == 10
    assert enhance("in", "out", "--strip", "all", "--verify", "--jobs", "1", "--memory", "1M").exit_code == 0
    assert len(lines()) == 10  # these change no image


def test_from_another_folder_it_is_the_same_run(photographs, enhance, monkeypatch, tmp_path):
    photographs(2)
    enhance("in", "out")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert "Nothing to do" in enhance("../in", tmp_path / "out").stderr


def test_check_by_hash(photographs, enhance):
    photographs(2)
    assert enhance("--check", "hash", "in", "out").exit_code == 0
    os.utime("in/00.jpg", ns=(1, 1))
    assert "Nothing to do" in enhance("--check", "hash", "in", "out").stderr
    assert "1 photo enhanced, 1 done already" in enhance("in", "out").stderr
    assert lines()[0]["read"][0]["sha256"] is not None
    assert lines()[-1]["read"][0]["sha256"] is None


def test_overwrite_does_all_again(photographs, enhance):
    photographs(2)
    enhance("in", "out")
    assert "2 photos enhanced" in enhance("--overwrite", "in", "out").stderr


@pytest.mark.parametrize("report", ["none", "-"])
def test_without_a_kept_report_there_is_no_restart(photographs, enhance, report):
    photographs(2)
    assert enhance("--report", report, "in", "out").exit_code == 0
    again = enhance("--report", report, "in", "out")
    assert again.exit_code == 2
    assert "Already there: out/00.jpg, out/01.jpg" in again.stderr
    assert enhance("--report", report, "--skip-existing", "in", "out").exit_code == 0
    assert enhance("--report", report, "--overwrite", "in", "out").exit_code == 0


def test_a_stranger_is_refused_before_anything_is_touched(photographs, enhance):
    photographs(2)
    Path("out").mkdir()
    Path("out/01.jpg").write_bytes(b"somebody's")
    assert enhance("in", "out").exit_code == 2
    assert [path.name for path in Path("out").iterdir()] == ["01.jpg"]
    assert Path("out/01.jpg").read_bytes() == b"somebody's"


def test_a_picture_of_another_folder_is_a_stranger(photographs, enhance):
    photographs(2)
    assert enhance("in", "out").exit_code == 0
    before = times()
    Path("other").mkdir()
    cv2.imwrite("other/01.jpg", scene(seed=91))
    refused = enhance("other", "out")
    assert refused.exit_code == 2
    assert "out/01.jpg, and enhance made it from another photo of the same name" in refused.stderr
    assert times() == before
    Path("in").rename("moved")  # the same images under another name are the same
    assert "2 photos done by an earlier run" in enhance("moved", "out").stderr
    assert enhance("--overwrite", "other", "out").exit_code == 0


def test_a_stranger_beside_is_refused_too(photographs, enhance):
    photographs(1)
    Path("out").mkdir()
    Path("out/00_heatmap.png").write_bytes(b"somebody's")
    refused = enhance("--heatmap", "in", "out")
    assert refused.exit_code == 2
    assert "out/00_heatmap.png" in refused.stderr


def test_a_retouched_output_is_never_lost(photographs, enhance):
    photographs(2)
    enhance("in", "out")
    Path("out/00.jpg").write_bytes(b"retouched")
    cv2.imwrite("in/new.jpg", scene(seed=9))
    assert enhance("in", "out").exit_code == 0
    assert Path("out/00.jpg").read_bytes() == b"retouched"
    refused = enhance("--grid", "2x2", "in", "out")
    assert refused.exit_code == 2
    assert "out/00.jpg, changed since enhance wrote it" in refused.stderr
    assert Path("out/00.jpg").read_bytes() == b"retouched"


def test_a_dry_run_tells_what_a_restart_would_do(photographs, enhance):
    photographs(3)
    enhance("in", "out")
    cv2.imwrite("in/01.jpg", scene(seed=77))
    said = enhance("--dry-run", "--json", "in", "out")
    assert "1 to enhance, 0 to skip, 2 done already" in said.stderr
    assert json.loads(said.stdout)["jobs"] == [{"source": "in/01.jpg", "frames": [], "output": "out/01.jpg"}]


# --- in place ----------------------------------------------------------------------------------------------


def test_in_place_once_and_never_twice(photographs, enhance):
    photographs(2, suffix=".png")
    Path("in/00.png").chmod(0o640)
    before = contents("in")
    assert enhance("--in-place", "in").exit_code == 0
    once = contents("in")
    assert all(once[name] != before[name] for name in before)
    assert Path("in/00.png").stat().st_mode & 0o777 == 0o640
    assert "Nothing to do" in enhance("--in-place", "in").stderr
    assert "Nothing to do" in enhance("--in-place", "--grid", "2x2", "in").stderr
    assert contents("in") == once
    cv2.imwrite("in/01.png", scene(seed=5))
    assert "1 photo enhanced, 1 done already" in enhance("--in-place", "in").stderr


def test_in_place_equals_beside(photographs, enhance):
    photographs(2)
    enhance("in", "out")
    enhance("--in-place", "in")
    assert contents("in") == contents("out")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--format", "png"], "keeps every photo's format"),
        (["--skip-existing"], "--skip-existing"),
        (["--report", "none"], "needs a report"),
    ],
)
def test_what_does_not_go_in_place(photographs, enhance, options, sentence):
    photographs(1)
    before = contents("in")
    refused = enhance("--in-place", *options, "in")
    assert refused.exit_code == 2
    assert sentence in refused.stderr
    assert contents("in") == before


def test_a_format_without_a_writer_stays_as_it_is(photographs, enhance):
    photographs(1)
    Path("in/old.ppm").write_bytes(b"P6 2 2 255 " + bytes(range(12)))
    before = Path("in/old.ppm").read_bytes()
    assert enhance("--in-place", "in").exit_code == 1
    assert Path("in/old.ppm").read_bytes() == before
    failure = next(line for line in lines("in/enhance-report.jsonl") if line["status"] == "failed")
    assert "in/old.ppm is ppm, which is only read" in failure["error"]["message"]


# --- options of one image --------------------------------------------------------------------------------


def test_times_are_kept_on_request(photographs, enhance):
    photographs(1)
    os.utime("in/00.jpg", ns=(1_000_000_000, 1_234_567_890_123_456_789))
    enhance("--preserve-times", "in", "out")
    assert Path("out/00.jpg").stat().st_mtime_ns == 1_234_567_890_123_456_789
    assert "Nothing to do" in enhance("--preserve-times", "in", "out").stderr


def test_verify_refuses_what_does_not_come_back(photographs, enhance, monkeypatch):
    from enhance_cli.imaging import codecs

    photographs(2)
    real = codecs.encode

    def damaged(image, name, **details):
        data, notes = real(image, name, **details)
        return (data[: len(data) // 2] if image.metadata.source.endswith("00.jpg") else data), notes

    monkeypatch.setattr(codecs, "encode", damaged)
    result = enhance("--verify", "in", "out")
    assert result.exit_code == 1
    assert sorted(contents()) == ["01.jpg"]
    failure = next(line for line in lines() if line["status"] == "failed")
    assert failure["error"]["kind"] == "check"
    assert "out/00.jpg does not decode" in failure["error"]["message"]
    assert not Path("out/00.jpg").exists()


def test_strip_leaves_out_what_a_picture_tells(photographs, enhance):
    from PIL import Image

    photographs(1)
    exif = Image.Exif()
    exif[0x010E] = "a description"
    exif.get_ifd(0x8825)[1] = "N"
    with Image.open("in/00.jpg") as picture:
        picture.save("in/told.jpg", exif=exif)
    kept = {}
    for which in ("nothing", "gps", "all"):
        enhance(*([] if which == "nothing" else ["--strip", which]), "in/told.jpg", which)
        with Image.open(f"{which}/told.jpg") as picture:
            found = picture.getexif()
            kept[which] = (found.get(0x010E), 0x8825 in found)
    assert kept == {"nothing": ("a description", True), "gps": ("a description", False), "all": (None, False)}


# --- plans -------------------------------------------------------------------------------------------------


def test_plans_are_kept_and_replayed(photographs, enhance):
    photographs(3)
    assert enhance("--save-plans", "plans", "in", "out").exit_code == 0
    assert sorted(contents("plans")) == [f"{number:02d}.jpg.plan.npz" for number in range(3)]
    assert enhance("--plan", "plans/01.jpg.plan.npz", "in", "steady").exit_code == 0
    assert np.array_equal(cv2.imread("steady/01.jpg"), cv2.imread("out/01.jpg"))  # the marks name other settings
    assert contents("steady")["00.jpg"] != contents("out")["00.jpg"]
    plans = [line["plan"] for line in lines("steady/enhance-report.jsonl")]
    assert plans[0] == plans[1] == plans[2]


def test_a_kept_plan_that_is_gone_is_made_again(photographs, enhance):
    photographs(2)
    enhance("--save-plans", "plans", "in", "out")
    Path("plans/00.jpg.plan.npz").unlink()
    assert "1 photo enhanced, 1 done already" in enhance("--save-plans", "plans", "in", "out").stderr
    shutil.rmtree("plans")
    assert "Nothing to do" in enhance("in", "out").stderr


def test_another_plan_is_another_setting(photographs, enhance):
    photographs(2)
    enhance("--save-plans", "plans", "in", "out")
    shutil.copy("plans/00.jpg.plan.npz", "one.npz")
    enhance("--plan", "one.npz", "in", "steady")
    shutil.copy("plans/01.jpg.plan.npz", "one.npz")
    assert "2 photos enhanced" in enhance("--plan", "one.npz", "in", "steady").stderr


def test_plans_that_do_not_fit(photographs, enhance):
    photographs(1)
    enhance("--save-plans", "plans", "in", "out")
    cv2.imwrite("in/wide.jpg", scene(96, 200))
    result = enhance("--plan", "plans/00.jpg.plan.npz", "in", "steady")
    assert result.exit_code == 1
    assert "in/wide.jpg has 200x96 pixels, and the plan was made for 128x96" in result.stderr
    chroma = enhance("--plan", "plans/00.jpg.plan.npz", "--chroma", "keep", "in/00.jpg", "other")
    assert chroma.exit_code == 0, chroma.stderr  # a plan for planes works on RGB windows
    for data, sentence in ((b"junk", "not a plan"), (Path("in/00.jpg").read_bytes(), "not a plan")):
        Path("bad.npz").write_bytes(data)
        bad = enhance("--plan", "bad.npz", "in", "again")
        assert bad.exit_code == 2, bad.stderr
        assert sentence in bad.stderr
    assert enhance("--plan", "nowhere.npz", "in", "again").exit_code == 2


def test_a_plan_of_another_method(photographs, enhance):
    from dataclasses import dataclass
    from typing import ClassVar

    from enhance_cli.plan import Plan

    @dataclass(frozen=True, kw_only=True)
    class OtherPlan(Plan):
        method: ClassVar[str] = "another"
        level: np.ndarray

    photographs(1)
    Path("other.npz").write_bytes(OtherPlan(level=np.zeros(2)).to_bytes())
    refused = enhance("--plan", "other.npz", "in", "out")
    assert refused.exit_code == 2
    assert "made by another method than clahe-adaptive" in refused.stderr


# --- shards ------------------------------------------------------------------------------------------------


def test_parts_join_to_the_whole(photographs, enhance):
    photographs(9)
    enhance("in", "whole")
    for number in (1, 2, 3):
        assert enhance("--shard", f"{number}/3", "in", "out").exit_code == 0
    assert contents() == contents("whole")
    assert len(list(Path("out").glob("enhance-report.*-of-3.jsonl"))) == 3
    merged = enhance("report", "merge", "out", "out/enhance-report.jsonl", "--inputs", "in", "--json")
    assert merged.exit_code == 0, merged.stderr
    assert json.loads(merged.stdout)["lines"] == 9
    assert "Nothing to do: 9 photos" in enhance("in", "out").stderr


def test_a_part_that_did_not_run_is_named(photographs, enhance):
    photographs(9)
    for number in (2, 3):
        enhance("--shard", f"{number}/3", "in", "out")
    left = 9 - len(contents())
    assert left > 0
    merged = enhance("report", "merge", "out", "joined.jsonl", "--inputs", "in")
    assert merged.exit_code == 1
    assert "part missing: 1/3" in merged.stderr
    assert merged.stderr.count("no line: in/") == left
    assert f"{left} photo" in enhance("in", "out").stderr  # the whole run does the rest
    assert len(contents()) == 9


def test_a_run_that_another_overtakes_is_refused_and_harms_nothing(photographs, monkeypatch):
    """Networks load between the look at what is to be done and the lock on a new report."""
    photographs(3)
    opens, first = Assignment.open, []

    def overtaken(assignment, *remark):
        if not first:
            first.append(None)
            run("clahe-adaptive", ["in", "out"], clip_limit=2.0, device="cpu")
            first.append(contents())
        return opens(assignment, *remark)

    monkeypatch.setattr(Assignment, "open", overtaken)
    with pytest.raises(OutputError, match="Another run has just written"):
        run("clahe-adaptive", ["in", "out"], clip_limit=2.0, device="cpu")
    assert len(first[1]) == 3
    assert contents() == first[1]
    assert len(lines()) == 3
    assert run("clahe-adaptive", ["in", "out"], clip_limit=2.0, device="cpu").unchanged == 3
