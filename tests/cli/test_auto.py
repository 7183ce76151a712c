"""`enhance auto` and `enhance apply`: copies, decisions, and what is wrong with a file of them."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

from enhance_cli.cli.app import build
from enhance_cli.pipeline import isolate, looking
from tests import pictures
from tests.commands import lines

APPLICATION = build()


@pytest.fixture
def run():
    """Run `enhance` on the CPU, in this process."""
    return lambda *words: CliRunner().invoke(
        APPLICATION, [*map(str, words), "--device", "cpu", *([] if "--jobs" in words else ["--jobs", "1"])]
    )


@pytest.fixture
def album(tmp_path, monkeypatch):
    """in/good.jpg, in/screen.png and in/sub/dark.jpg in the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("in/sub").mkdir(parents=True)
    cv2.imwrite("in/good.jpg", pictures.screenshot(220, 330)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])
    cv2.imwrite("in/screen.png", pictures.screenshot()[..., ::-1])
    cv2.imwrite("in/sub/dark.jpg", pictures.dark()[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])


def verdicts(path="out/enhance-report.jsonl"):
    return {Path(line["source"]).name: line["plan"]["verdict"] for line in lines(path)}


def test_what_needs_nothing_is_copied_byte_for_byte(album, run):
    result = run("auto", "-r", "in", "out")
    assert result.exit_code == 0, result.output
    assert verdicts() == {"good.jpg": "left alone", "screen.png": "left alone", "dark.jpg": "enhanced"}
    assert "1 photo enhanced, 2 left alone in " in result.output
    for name in ("good.jpg", "screen.png"):
        assert Path("out", name).read_bytes() == Path("in", name).read_bytes()
    assert Path("out/sub/dark.jpg").read_bytes() != Path("in/sub/dark.jpg").read_bytes()
    again = run("auto", "-r", "in", "out")
    assert "3 photos done by an earlier run" in again.output


def test_only_what_is_changed_is_written_if_asked(album, run):
    result = run("auto", "-r", "--only-changed", "in", "out")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in Path("out").rglob("*.*")) == ["dark.jpg", "enhance-report.jsonl"]
    told = {Path(line["source"]).name: line for line in lines()}
    assert told["good.jpg"]["status"] == "skipped"
    assert "needs no change" in told["good.jpg"]["notes"][0]


def test_another_format_is_not_a_copy(album, run):
    assert run("auto", "--format", "png", "in", "out").exit_code == 0
    copied = cv2.imread("out/good.png")
    assert (copied == cv2.imread("in/good.jpg")).all()


def test_in_place_leaves_the_file_itself_alone(album, run):
    before = Path("in/good.jpg").stat()
    assert run("auto", "-r", "--in-place", "in").exit_code == 0
    after = Path("in/good.jpg").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert "Nothing to do" in run("auto", "-r", "--in-place", "in").output


def test_decide_then_apply_is_the_same_as_in_one_go(album, run):
    looked = run("auto", "-r", "--decide", "decisions.jsonl", "in")
    assert looked.exit_code == 0, looked.output
    assert not Path("out").exists()
    decided = lines("decisions.jsonl")
    assert [line["certainty"] for line in decided] == sorted(line["certainty"] for line in decided)
    assert run("apply", "decisions.jsonl", "out").exit_code == 0
    assert run("auto", "-r", "in", "once").exit_code == 0
    for path in Path("once").rglob("*.[jp][pn]g"):
        other = str(Path("out", path.relative_to("once")))
        assert (cv2.imread(str(path)) == cv2.imread(other)).all(), path


def test_many_photos_are_looked_at_by_child_processes_which_say_the_same(album, run, monkeypatch):
    for number in range(5):
        Path(f"in/{number}.png").hardlink_to("in/screen.png")
    Path("in/broken.jpg").write_bytes(Path("in/good.jpg").read_bytes()[:300])
    assert run("auto", "-r", "--decide", "alone.jsonl", "in").exit_code == 1
    monkeypatch.setattr(looking, "_MANY", 2)
    began = threading.Event()
    here = looking.decision_of

    def waits_for_a_child(job, recipe, max_pixels):
        began.wait(100)
        return here(job, recipe, max_pixels)

    def looked(crew, job, max_pixels):
        try:
            return there(crew, job, max_pixels)
        finally:
            began.set()

    there = isolate.Crew.look
    monkeypatch.setattr(looking, "decision_of", waits_for_a_child)
    monkeypatch.setattr(isolate.Crew, "look", looked)
    many = run("auto", "-r", "--decide", "many.jsonl", "in", "--jobs", "2")
    assert many.exit_code == 1, many.output
    assert began.is_set()
    assert "broken.jpg" in many.output
    assert Path("many.jsonl").read_bytes() == Path("alone.jsonl").read_bytes()


def test_decisions_can_be_edited(album, run):
    run("auto", "-r", "--decide", "decisions.jsonl", "in")
    told = {line["relative"]: line for line in lines("decisions.jsonl")}
    told["sub/dark.jpg"] |= {"verdict": "left alone"}
    told["good.jpg"] |= {"verdict": "enhance", "method": "clahe-adaptive", "controls": {"clip_limit": 2}, "amount": 1}
    del told["screen.png"]
    Path("decisions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in told.values()))
    assert run("apply", "decisions.jsonl", "out").exit_code == 0
    assert verdicts() == {"good.jpg": "enhanced", "dark.jpg": "left alone"}
    assert not Path("out/screen.png").exists()


def test_what_is_wrong_with_a_line_is_told_with_its_number_and_the_others_are_done(album, run):
    run("auto", "-r", "--decide", "decisions.jsonl", "in")
    told = sorted(lines("decisions.jsonl"), key=lambda line: line["relative"])
    good, screen, dark = told
    good |= {"verdict": "enhance", "method": "sharpen"}
    more = [
        dark | {"source": "in/gone.jpg"},
        screen | {"bytes": 1, "source": "in/sub/dark.jpg"},
        good | {"relative": "../x"},
    ]
    text = "".join(json.dumps(line) + "\n" for line in (good, screen, more[0], more[1], more[2]))
    Path("decisions.jsonl").write_text(text + "this is no JSON\n")
    result = run("apply", "decisions.jsonl", "out")
    assert result.exit_code == 1, result.output
    for said in (
        "line 1: there is no method 'sharpen'",
        "line 3: in/gone.jpg cannot be read",
        "line 4: in/sub/dark.jpg has changed",
        "line 5: its relative leads out of the output folder",
        "line 6: it is not JSON",
    ):
        assert said in result.output.replace("\n", " "), result.output
    assert Path("out/screen.png").exists()


WRONG = {
    "controls": ('{"clip_limit": "x"}', "line 1: --clip-limit must lie between"),
    "luma": ("1" + 400 * "0", None),
    "quantities": ('{"dark": NaN, "bright": Infinity, "mean": 1' + 400 * "0" + ', "p05": 0.5}', None),
    "source": ('"\\ud800.jpg"', "line 1: its source is not the path"),
    "relative": ('"."', "line 1: its relative is not a path"),
}


@pytest.mark.parametrize("name", WRONG)
def test_values_that_no_look_writes_are_told_with_their_line_or_left_out(album, run, name):
    value, said = WRONG[name]
    run("auto", "-r", "--decide", "decisions.jsonl", "in")
    found = next(line for line in lines("decisions.jsonl") if line["relative"] == "good.jpg")
    found |= {"verdict": "enhance", "method": "clahe-adaptive", "controls": {}, "amount": 1.0, name: "@"}
    text = "\ufeff" + json.dumps(found).replace('"@"', value) + "\r\n"
    Path("decisions.jsonl").write_text(text, encoding="utf-8", newline="")
    result = run("apply", "decisions.jsonl", "out")
    assert (result.exit_code == 0) == (said is None), result.output
    assert "nternal error" not in result.output
    if said is not None:
        assert said in result.output.replace("\n", " "), result.output
    elif name == "quantities":
        told = lines()[0]["plan"]["quantities"]
        assert told == [{"name": "p05", "value": 0.5}]


def test_a_file_that_is_no_decisions_is_not_replaced(album, run):
    Path("notes.txt").write_text("mine\n")
    result = run("auto", "--decide", "notes.txt", "in")
    assert result.exit_code == 2
    assert Path("notes.txt").read_text() == "mine\n"
    assert "not a file of decisions" in result.output
    assert run("apply", "notes.txt", "out").exit_code != 0


@pytest.mark.parametrize("more", [(), ("--overwrite",)])
def test_a_folder_is_no_file_for_decisions(album, run, more):
    Path("there").mkdir()
    result = run("auto", "--decide", "there", *more, "in")
    assert result.exit_code == 2, result.output
    assert "there is a folder, and --decide writes a file; give one, such as there/decisions.jsonl" in result.output


@pytest.mark.parametrize("words", [("--decide", "-", "in"), ("--decide", "d.jsonl", "-")])
def test_decisions_are_not_for_pipes(album, run, words):
    result = run("auto", *words)
    assert result.exit_code == 2
    assert "give" in result.output
    assert not Path("-").exists()


def test_a_file_without_decisions_is_told(album, run):
    Path("decisions.jsonl").write_text("\n")
    result = run("apply", "decisions.jsonl", "out")
    assert result.exit_code == 0
    assert "decisions.jsonl holds no decisions." in result.output
    assert not Path("out").exists()


def test_apply_takes_a_file_and_an_output(album, run):
    result = run("apply", "decisions.jsonl")
    assert result.exit_code == 2
    assert "enhance apply FILE OUTPUT" in result.output
