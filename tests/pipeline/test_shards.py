"""Parts of a run, and their reports joined."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhance_cli.errors import OutputError, UsageError
from enhance_cli.pipeline import shards
from enhance_cli.pipeline.lines import SCHEMA
from enhance_cli.pipeline.merge import Reports, merge, reports_named
from enhance_cli.pipeline.report import ReportFile
from enhance_cli.pipeline.scan import scan
from enhance_cli.pipeline.shards import Shard


@given(st.text(min_size=1), st.integers(1, 50))
def test_every_photograph_is_of_one_part(name, count):
    held = [number for number in range(1, count + 1) if Shard(number, count).holds(Path(name))]
    assert len(held) == 1


def test_parts_are_even_enough():
    sizes = [sum(Shard(n, 4).holds(Path(f"{i:05d}.jpg")) for i in range(4000)) for n in range(1, 5)]
    assert min(sizes) > 900


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3", "1/3/5"])
def test_no_shards(text):
    with pytest.raises(ValueError, match="a shard is I/N"):
        Shard.parse(text)
    assert str(Shard.parse("2/3")) == "2/3"


def test_machines_agree_wherever_the_folder_is(tmp_path):
    parts = []
    for mount in ("here", "there"):
        folder = tmp_path / mount / "in"
        folder.mkdir(parents=True)
        for number in range(30):
            (folder / f"{number}.jpg").touch()
        found = [scan([str(folder), str(tmp_path / "out")], shard=Shard(n, 3)).jobs for n in (1, 2, 3)]
        parts.append([[job.source.name for job in jobs] for jobs in found])
        assert sum(len(jobs) for jobs in found) == 30
    assert parts[0] == parts[1]


def test_clashes_are_found_in_every_part(tmp_path):
    for name in ("a.jpg", "a.png"):
        (tmp_path / name).touch()
    for number in (1, 2, 3):
        with pytest.raises(UsageError, match="would both be written"):
            scan([str(tmp_path), str(tmp_path / "out")], format="webp", shard=Shard(number, 3))


def test_names_of_reports(tmp_path):
    assert shards.report_name(None) == "enhance-report.jsonl"
    name = shards.report_name(Shard(2, 3))
    assert shards.shard_of(tmp_path / name) == Shard(2, 3)
    for other in (name, "enhance-report.jsonl", "enhance-report.txt", "my-enhance-report.jsonl"):
        (tmp_path / other).touch()
    assert [path.name for path in shards.reports_in(tmp_path)] == [
        "enhance-report.2-of-3.jsonl",
        "enhance-report.jsonl",
    ]
    assert shards.reports_in(tmp_path / "nowhere") == []


# --- merging -----------------------------------------------------------------------------------------------


@pytest.fixture
def parts(tmp_path):
    """Two of three parts: a.jpg failed once and then was done, b.jpg failed, c.jpg is done but gone."""
    (tmp_path / "a.jpg").write_bytes(b"x")
    one = [line("a.jpg", "failed", "1/3"), line("a.jpg", "done", "1/3")]
    two = [line("b.jpg", "failed", "2/3"), line("c.jpg", "done", "2/3")]
    paths = []
    for number, lines in ((1, one), (2, two)):
        paths.append(tmp_path / shards.report_name(Shard(number, 3)))
        paths[-1].write_text("".join(json.dumps(item) + "\n" for item in lines) + '{"cut of')
    return paths


def line(name, status, shard):
    written = [{"path": name, "bytes": 1, "modified_ns": 1, "sha256": None}] if status == "done" else []
    return {
        "schema": SCHEMA,
        "source": f"in/{name}",
        "output": f"out/{name}",
        "status": status,
        "written": written,
        "shard": shard,
    }


def test_the_last_line_of_every_output_is_kept_and_what_lacks_is_said(parts, tmp_path):
    target = tmp_path / "elsewhere.jsonl"
    merged = merge(Reports(parts), target, [Path("in/a.jpg"), Path("in/d.jpg")])
    found = [json.loads(text) for text in target.read_text().splitlines()]
    assert [(item["source"], item["status"]) for item in found] == [
        ("in/a.jpg", "done"), ("in/b.jpg", "failed"), ("in/c.jpg", "done")
    ]  # fmt: skip
    assert (merged.lines, merged.done, merged.failed) == (3, 2, ["in/b.jpg"])
    assert merged.missing_shards == ["3/3"]
    assert merged.missing_outputs == [str(tmp_path / "c.jpg")]
    assert merged.missing_sources == ["in/d.jpg"]
    assert not merged.complete


def test_merging_again_changes_nothing(parts, tmp_path):
    target = tmp_path / "enhance-report.jsonl"
    merge(Reports(parts), target)
    first = target.read_bytes()
    merge(reports_named([tmp_path]), target)
    assert target.read_bytes() == first


def test_names_of_files_follow_the_report(parts, tmp_path):
    (tmp_path / "away").mkdir()
    merge(Reports(parts[:1]), tmp_path / "away" / "r.jsonl")
    found = json.loads((tmp_path / "away" / "r.jsonl").read_text())
    assert found["written"][0]["path"] == str(tmp_path / "a.jpg")


def test_a_report_that_is_being_written_is_not_merged(parts, tmp_path):
    with ReportFile(parts[0]), pytest.raises(OutputError, match="still writing"):
        merge(Reports(parts), tmp_path / "r.jsonl")


def test_nothing_to_merge(tmp_path):
    with pytest.raises(UsageError, match="holds no report"):
        reports_named([tmp_path])
    with pytest.raises(UsageError, match="does not exist"):
        reports_named([tmp_path / "nowhere"])
