"""Carrying out a review: what was decided, once and nothing else, whenever it was killed, whatever changed since."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from enhance_cli.gallery import review
from enhance_cli.gallery.build import build
from enhance_cli.imaging import atomic
from tests.commands import contents, lines
from tests.gallery.conftest import jpeg, page_data
from tests.pictures import dark, gradient

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text())
RUN = ("clahe-adaptive", "--clip-limit", "2", "--device", "cpu")
STRONGER = {"method": "clahe-adaptive", "options": {"clip_limit": 4.0}}


@pytest.fixture
def shot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enhance) -> Path:
    """`out`, with four photos of `in` that `enhance` made."""
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        jpeg(Path(f"in/{number}.jpg"), dark(96, 128, seed=number))
    assert enhance(*RUN, "in", "out").exit_code == 0
    return tmp_path / "out"


def exported(out: Path, **decisions: Any) -> Path:
    """A review.json as the page exports it. A decision is a word, or the settings to redo with; by stem, after `_`."""
    data = page_data(build(out))
    chosen = []
    for record in data["photos"]:
        decision = decisions.get("_" + Path(record["name"]).stem)
        if decision is None:
            continue
        entry = {name: record[name] for name in ("source", "output", "state")}
        entry |= {"decision": decision} if isinstance(decision, str) else {"decision": "redo", "redo": decision}
        chosen.append(entry)
    path = out.parent / "review.json"
    path.write_text(
        json.dumps({"schema": review.SCHEMA, **{k: data[k] for k in ("folder", "reports")}, "photos": chosen})
    )
    return path


def images(out: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(out).items() if not name.startswith("gallery")}


def test_each_decision_is_carried_out_and_nothing_else(shot, enhance) -> None:
    before = images(shot)
    path = exported(shot, _0="keep", _1="reject", _2=STRONGER)
    ended = enhance("review", "apply", path)
    assert ended.exit_code == 0, ended.stderr
    assert "1 kept, 1 rejected, 1 redone." in ended.stderr
    after = images(shot)
    assert after["1.jpg"] == Path("in/1.jpg").read_bytes()
    assert after["2.jpg"] != before["2.jpg"]
    assert {name: after[name] for name in ("0.jpg", "3.jpg")} == {name: before[name] for name in ("0.jpg", "3.jpg")}
    rejected, redone = lines("out/enhance-report.jsonl")[4:]
    for line in (rejected, redone):
        jsonschema.validate(line, SCHEMA)
    assert (rejected["status"], rejected["review"]) == ("rejected", {"decision": "reject", "removed": None})
    assert (redone["status"], redone["controls"]["clip_limit"]) == ("done", 4.0)
    assert redone["review"]["decision"] == "redo"


@pytest.mark.parametrize("remove", [False, True])
def test_a_second_apply_does_nothing(shot, enhance, remove: bool) -> None:
    path = exported(shot, _1="reject", _2=STRONGER)
    words = ("review", "apply", path, *["--remove"] * remove)
    assert enhance(*words).exit_code == 0
    report, files = Path("out/enhance-report.jsonl").read_bytes(), images(shot)
    ended = enhance(*words)
    assert ended.exit_code == 0
    assert "2 done before." in ended.stderr
    assert (Path("out/enhance-report.jsonl").read_bytes(), images(shot)) == (report, files)


@pytest.mark.parametrize("remove", [False, True])
def test_the_run_that_made_them_obeys(shot, enhance, remove: bool) -> None:
    assert enhance("review", "apply", exported(shot, _1="reject", _2=STRONGER), *["--remove"] * remove).exit_code == 0
    assert Path("out/1.jpg").exists() == (not remove)
    files = images(shot)
    ended = enhance(*RUN, "in", "out")
    assert ended.exit_code == 0
    assert "4 photos done by an earlier run" in ended.stderr
    assert images(shot) == files
    jpeg(Path("in/1.jpg"), gradient())  # a new source is another photo, on which nothing was decided
    assert enhance(*RUN, "in", "out").exit_code == 0
    assert Path("out/1.jpg").exists()
    assert images(shot) != files


@pytest.mark.parametrize("remove", [False, True])
def test_an_apply_that_was_killed_goes_on(shot, enhance, monkeypatch: pytest.MonkeyPatch, remove: bool) -> None:
    before = images(shot)
    path = exported(shot, _1="reject", _2=STRONGER)
    loaded = review.load(path)

    def dies(*_: object) -> None:
        raise SystemExit("killed")

    with monkeypatch.context() as patch:  # after the line, before the file
        patch.setattr(atomic.Staged, "place", dies)
        patch.setattr(Path, "unlink", dies)
        with pytest.raises(SystemExit):
            list(review.apply(loaded, remove=remove))
    assert len(lines("out/enhance-report.jsonl")) == 5
    assert images(shot) | before == images(shot)
    with monkeypatch.context() as patch:  # the rejected one is placed; the redone one is killed in the same instant
        patch.setattr(review, "_redo", dies)
        with pytest.raises(SystemExit):
            list(review.apply(loaded, remove=remove))
    statuses = [outcome.status for outcome in review.apply(loaded, remove=remove)]
    assert statuses == ["done before", "redone"]
    assert [one.status for one in review.apply(loaded, remove=remove)] == ["done before", "done before"]
    assert Path("out/1.jpg").exists() == (not remove)


def test_a_redo_that_was_killed_after_its_line_goes_on(shot) -> None:
    loaded = review.load(exported(shot, _2=STRONGER))
    shutil.copy2("out/2.jpg", "before.jpg")
    assert [one.status for one in review.apply(loaded)] == ["redone"]
    redone = Path("out/2.jpg").read_bytes()
    shutil.copy2("before.jpg", "out/2.jpg")  # as if it had been killed between line and file
    assert [one.status for one in review.apply(loaded)] == ["redone"]
    assert Path("out/2.jpg").read_bytes() == redone
    assert [one.status for one in review.apply(loaded)] == ["done before"]


@pytest.mark.parametrize("decision", ["reject", STRONGER], ids=["reject", "redo"])
@pytest.mark.parametrize("which", ["out", "in"])
def test_what_changed_since_is_left_with_a_sentence(shot, enhance, decision, which: str) -> None:
    path = exported(shot, _1=decision, _2="keep")
    changed = jpeg(Path(f"{which}/1.jpg"), gradient()).read_bytes()
    report = Path("out/enhance-report.jsonl").read_bytes()
    ended = enhance("review", "apply", path)
    assert ended.exit_code == 1
    assert "changed since it was" in ended.stderr
    assert Path(f"{which}/1.jpg").read_bytes() == changed
    assert Path("out/enhance-report.jsonl").read_bytes() == report


def test_all_left_alone_is_an_exit_code_of_its_own(shot, enhance) -> None:
    path = exported(shot, _1="reject")
    Path("in/1.jpg").unlink()
    ended = enhance("review", "apply", path)
    assert ended.exit_code == 6
    assert "source" in ended.stderr


def test_only_outputs_of_the_report_are_touched(shot, enhance, tmp_path: Path) -> None:
    mine = tmp_path / "mine.jpg"
    mine.write_bytes(b"mine")
    path = exported(shot, _1="reject")
    told = json.loads(path.read_text())
    status = mine.stat()
    told["photos"][0] |= {
        "output": str(mine),
        "state": {"bytes": str(status.st_size), "modified_ns": str(status.st_mtime_ns)},
    }
    path.write_text(json.dumps(told))
    assert enhance("review", "apply", "--remove", path).exit_code == 6
    assert mine.read_bytes() == b"mine"


@pytest.mark.parametrize("options", [{"overwrite": True}, {"report": "none"}, {"clip_limit": -3}, {"strength": "x"}])
def test_a_redo_sets_controls_of_its_method_only(shot, enhance, options) -> None:
    before = images(shot)
    path = exported(shot, _1={"method": "clahe-adaptive", "options": options})
    assert enhance("review", "apply", path).exit_code == 6
    assert images(shot) == before


def test_a_dry_run_does_nothing(shot, enhance) -> None:
    before = images(shot)
    ended = enhance("review", "apply", "--dry-run", exported(shot, _1="reject", _2=STRONGER))
    assert ended.exit_code == 0
    assert "would be rejected" in ended.stderr
    assert images(shot) == before
    assert len(lines("out/enhance-report.jsonl")) == 4


def test_folders_that_moved_are_named(shot, enhance, tmp_path: Path) -> None:
    path = exported(shot, _1="reject")
    shutil.move("out", "elsewhere")
    assert enhance("review", "apply", path).exit_code == 2
    assert enhance("review", "apply", path, "elsewhere").exit_code == 0
    assert Path("elsewhere/1.jpg").read_bytes() == Path("in/1.jpg").read_bytes()


def test_in_place_a_rejected_photo_gets_its_original_back(tmp_path: Path, monkeypatch, enhance) -> None:
    monkeypatch.chdir(tmp_path)
    originals = [jpeg(Path(f"in/{number}.jpg"), dark(96, 128, seed=number)).read_bytes() for number in range(2)]
    assert enhance(*RUN, "--in-place", "--backup", "in").exit_code == 0
    path = exported(tmp_path / "in", _0="reject", _1=STRONGER)
    ended = enhance("review", "apply", "--remove", path)
    assert ended.exit_code == 1
    assert "enhance restore" in ended.stderr, "a redo in place is left to the user"
    assert Path("in/0.jpg").read_bytes() == originals[0]
    assert Path("in/1.jpg").read_bytes() != originals[1]


def test_another_format_cannot_stand_in(tmp_path: Path, monkeypatch, enhance) -> None:
    monkeypatch.chdir(tmp_path)
    jpeg(Path("in/0.jpg"), dark(96, 128))
    assert enhance(*RUN, "--format", "png", "in", "out").exit_code == 0
    made = Path("out/0.png").read_bytes()
    path = exported(tmp_path / "out", _0="reject")
    ended = enhance("review", "apply", path)
    assert ended.exit_code == 6
    assert "--remove" in ended.stderr
    assert Path("out/0.png").read_bytes() == made
    assert enhance("review", "apply", "--remove", path).exit_code == 0
    assert not Path("out/0.png").exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": "enhance-review/1"}', "[" * 100_000])
def test_what_is_no_review_is_refused(shot, enhance, content: str) -> None:
    Path("review.json").write_text(content)
    ended = enhance("review", "apply", "review.json")
    assert ended.exit_code == 2
    assert "review.json" in ended.stderr
