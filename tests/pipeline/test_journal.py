"""What a restart knows: files identified by their state, lines cut anywhere, later lines taking precedence."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enhance_cli.errors import OutputError, UsageError
from enhance_cli.pipeline.jobs import Jobs
from enhance_cli.pipeline.journal import Journal, path_in_report, path_of_report, settings_digest
from enhance_cli.pipeline.lines import SCHEMA
from enhance_cli.pipeline.report import ReportFile, is_held
from enhance_cli.pipeline.settle import Rules, settle
from enhance_cli.pipeline.states import file_state
from enhance_cli.types import Job


class Folder:
    """A folder with sources and outputs as a run leaves them, without the images."""

    def __init__(self, root: Path) -> None:
        self.root, self.report = root, root / "enhance-report.jsonl"

    def write(self, name: str, data: bytes = b"x", at: int = 1_000_000_000) -> Path:
        path = self.root / name
        path.write_bytes(data)
        os.utime(path, ns=(at, at))
        return path

    def line(self, source: Path, target: Path, settings: str = "s", status: str = "done", place: bool = True) -> None:
        """Write a line for a source and its target; unplaced, the target is taken away again."""
        done = status == "done"
        line = {"status": status, "output": str(target), "settings": settings, "written": [], "read": []}
        if done:
            line["read"] = [file_state(source, content=source.read_bytes())]
            line["written"] = [file_state(target, path_in_report(target, self.report))]
        with self.report.open("a") as file:
            file.write(json.dumps(line) + "\n")
        if done and not place:
            target.unlink()

    def settle(self, *pairs: tuple[Path, Path], by_content: bool = False, **rules):
        jobs = Jobs()
        for index, (source, target) in enumerate(pairs):
            jobs.append(Job(index, source, target))
        rules = Rules(settings=rules.pop("settings", "s"), sources=lambda job: [job.source], **rules)
        return settle(jobs, Journal([self.report], by_content=by_content), rules)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture
def pair(folder):
    """A source, and its output with a line."""
    source, target = folder.write("a.jpg", b"source"), folder.write("out.jpg", b"output", 2_000_000_000)
    folder.line(source, target)
    return source, target


def counts(settled):
    return len(settled.jobs), settled.unchanged, len(settled.skipped)


def test_what_is_done_is_left(folder, pair):
    assert counts(folder.settle(pair)) == (0, 1, 0)


def test_other_settings_are_done_again(folder, pair):
    assert counts(folder.settle(pair, settings="t")) == (1, 0, 0)


def test_a_source_that_changed_is_done_again(folder, pair):
    folder.write("a.jpg", b"longer source")
    assert counts(folder.settle(pair)) == (1, 0, 0)


def test_a_source_of_another_time_is_the_same_by_its_hash_alone(folder, pair):
    folder.write("a.jpg", b"source", at=7)
    assert counts(folder.settle(pair)) == (1, 0, 0)
    assert counts(folder.settle(pair, by_content=True)) == (0, 1, 0)
    folder.write("a.jpg", b"sauces", at=1_000_000_000)
    assert counts(folder.settle(pair)) == (0, 1, 0)
    assert counts(folder.settle(pair, by_content=True)) == (1, 0, 0)


def test_without_a_hash_on_record_there_is_no_proof(folder, pair):
    text = folder.report.read_text()
    line = json.loads(text)
    line["read"][0]["sha256"] = None
    folder.report.write_text(json.dumps(line) + "\n")
    assert counts(folder.settle(pair)) == (0, 1, 0)
    assert counts(folder.settle(pair, by_content=True)) == (1, 0, 0)


def test_an_output_that_is_gone_is_made_again(folder, pair):
    pair[1].unlink()
    assert counts(folder.settle(pair)) == (1, 0, 0)


def test_a_line_whose_file_was_never_placed_is_done_again(folder):
    """The run was killed between the line and the rename."""
    source, target = folder.write("a.jpg"), folder.write("out.jpg")
    folder.line(source, target, place=False)
    assert counts(folder.settle((source, target))) == (1, 0, 0)


def test_an_older_output_under_a_later_line_is_done_again(folder, pair):
    """Killed there while other settings were replacing what an earlier run had written."""
    source, target = pair
    old = target.read_bytes()
    folder.write("out.jpg", b"newer output", 3_000_000_000)
    folder.line(source, target, settings="t", place=False)
    folder.write("out.jpg", old, 2_000_000_000)
    assert counts(folder.settle(pair, settings="t")) == (1, 0, 0)


def test_a_failure_after_success_is_done_again(folder, pair):
    folder.line(*pair, status="failed")
    assert counts(folder.settle(pair)) == (1, 0, 0)


def test_an_output_that_somebody_changed_is_left_while_nothing_asks_for_another(folder, pair):
    _, target = pair
    target.write_bytes(b"retouched by hand")
    assert counts(folder.settle(pair)) == (0, 1, 0)
    with pytest.raises(UsageError, match=r"out\.jpg, changed since enhance wrote it"):
        folder.settle(pair, settings="t")
    assert counts(folder.settle(pair, settings="t", overwrite=True)) == (1, 0, 0)
    assert counts(folder.settle(pair, settings="t", skip_existing=True)) == (0, 0, 1)


def test_strangers_are_refused_and_named(folder):
    pairs = [(folder.write(f"{n}.jpg"), folder.write(f"out{n}.jpg")) for n in range(8)]
    with pytest.raises(UsageError, match=r"out4\.jpg and 3 more, and no report says that enhance wrote them"):
        folder.settle(*pairs)
    assert counts(folder.settle(*pairs, overwrite=True)) == (8, 0, 0)
    assert counts(folder.settle(*pairs, skip_existing=True)) == (0, 0, 8)


def test_a_stranger_where_an_illustration_goes_is_refused_too(folder, pair):
    folder.write("out_heatmap.png")
    with pytest.raises(UsageError, match=r"out_heatmap\.png"):
        folder.settle(pair, beside=["heatmap"], settings="with a heat map")


def test_in_place_what_stands_there_is_never_done_twice(folder):
    source = folder.write("a.jpg", b"original")
    state = file_state(source)
    folder.write("a.jpg", b"enhanced", 5_000_000_000)
    folder.line(source, source)
    assert counts(folder.settle((source, source), in_place=True)) == (0, 1, 0)
    assert counts(folder.settle((source, source), in_place=True, settings="t")) == (0, 1, 0)
    folder.write("a.jpg", b"original", state["modified_ns"])  # killed before the rename
    assert counts(folder.settle((source, source), in_place=True)) == (1, 0, 0)


def test_a_folder_that_moved_with_its_report_is_known(folder, pair, tmp_path):
    source, target = pair
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in (target, folder.report):
        path.rename(moved / path.name)
    there = Folder(moved)
    assert counts(there.settle((source, moved / "out.jpg"))) == (0, 1, 0)


@pytest.mark.parametrize(
    "line", ["", "{", "[]", "7", '{"written": 3}', '{"written": [{}]}', '{"status": "done"}', "\0"]
)
def test_lines_of_another_make_are_passed_over(folder, pair, line):
    with folder.report.open("a") as file:
        file.write(line + "\n")
    assert counts(folder.settle(pair)) == (0, 1, 0)


def test_names_in_a_report_lead_back(tmp_path):
    report = tmp_path / "out" / "r.jsonl"
    for path in (tmp_path / "out" / "sub" / "a.jpg", tmp_path / "elsewhere" / "a.jpg", tmp_path / "outside.jpg"):
        assert path_of_report(path_in_report(path, report), report) == str(path)
    assert path_in_report(tmp_path / "out" / "sub" / "a.jpg", report) == "sub/a.jpg"


def test_a_digest_of_settings_tells_every_part():
    base = {"method": "m", "controls": {"a": 1}, "amount": 1.0}
    digests = {settings_digest(base | change) for change in ({}, {"amount": 0.5}, {"quality": 3}, {"plan": b"x"})}
    assert len(digests) == 4
    assert settings_digest(base) == settings_digest(dict(reversed(base.items())))


# --- the file ----------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=8), st.data())
def test_a_report_cut_anywhere_is_gone_on_with(tmp_path_factory, texts, data):
    """A kill may cut a line anywhere: complete lines before it stay, and the next one starts on its own line."""
    path = tmp_path_factory.mktemp("cut") / "r.jsonl"
    with ReportFile(path) as report:
        for text in texts:
            report.append({"schema": SCHEMA, "text": text})
    raw = path.read_bytes()
    cut = data.draw(st.integers(0, len(raw)))
    path.write_bytes(raw[:cut])
    with ReportFile(path) as report:
        report.append({"schema": SCHEMA, "text": "next"})
    kept = raw[:cut].count(b"\n")
    assert [json.loads(line)["text"] for line in path.read_bytes().splitlines()] == [*texts[:kept], "next"]


def test_a_long_half_line_is_taken_away_too(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"schema":"enhance-report/1"}\n' + b"x" * 200_000)
    ReportFile(path).close()
    assert path.read_bytes() == b'{"schema":"enhance-report/1"}\n'


def test_a_report_is_held_by_one(tmp_path):
    path = tmp_path / "r.jsonl"
    with ReportFile(path):
        assert is_held(path)
        with pytest.raises(OutputError, match="Another run is writing"):
            ReportFile(path)
    assert not is_held(path)
    assert not is_held(tmp_path / "nowhere")
    ReportFile(path).close()


def test_a_report_that_was_removed_says_so(tmp_path):
    path = tmp_path / "r.jsonl"
    with ReportFile(path) as report:
        path.unlink()
        with pytest.raises(OutputError, match=r"r\.jsonl cannot be written"):
            report.append({"a": 1})


def test_a_line_that_does_not_fit_leaves_no_half(tmp_path):
    path = tmp_path / "r.jsonl"
    with ReportFile(path) as report:
        report.append({"a": 1})

        limit, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, hard))
        try:
            with pytest.raises(OutputError, match="File too large"):
                report.append({"text": "longer than ten bytes"})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        report.append({"b": 2})
    assert [json.loads(line) for line in path.read_bytes().splitlines()] == [{"a": 1}, {"b": 2}]


def test_of_lines_appended_together_those_that_fit_are_kept(tmp_path):
    path = tmp_path / "r.jsonl"
    with ReportFile(path) as report:
        limit, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
        try:
            answers = report.append_together([{"a": 1}, {"text": "longer than ten bytes"}, {"b": 2}])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    assert [answer is None for answer in answers] == [True, False, True]
    assert [json.loads(line) for line in path.read_bytes().splitlines()] == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize("time", [0, -1, -(10**18), 2**33 * 10**9], ids=["0", "-1", "1938", "2242"])
def test_any_time_stamp_is_remembered(folder, time):
    source, target = folder.write("a.jpg", b"source", time), folder.write("out.jpg", b"output", time)
    folder.line(source, target)
    assert counts(folder.settle((source, target))) == (0, 1, 0)
