"""Reports that were never one, or no longer are: passed over, refused in a sentence, never replaced, never a crash."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enhance_cli.errors import UsageError
from enhance_cli.pipeline import lines
from enhance_cli.pipeline.journal import Journal
from enhance_cli.pipeline.lines import SCHEMA, refuse_foreign
from enhance_cli.pipeline.merge import Reports, merge, reports_named
from enhance_cli.pipeline.report import ReportFile

GOOD = {
    "schema": SCHEMA,
    "source": "in/a.jpg",
    "frames": [],
    "output": "out/a.jpg",
    "status": "done",
    "read": [{"path": "in/a.jpg", "bytes": 1, "modified_ns": 1, "sha256": None}],
    "written": [{"path": "a.jpg", "bytes": 1, "modified_ns": 1, "sha256": None}],
    "settings": "s",
    "shard": "1/2",
}

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([SCHEMA, "done", "1/2", "in/a.jpg", "\0", "\ud800", "x" * 5000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "path", "bytes"]), inner),
    max_leaves=8,
)
broken = st.sampled_from(
    [
        b"{",
        b"[" * 100_000,
        b'{"schema":"enhance-report/1","source":' + b"[" * 100_000,
        b"1" * 5000,
        b'{"schema":"enhance-report/1","written":' + b"9" * 400 + b"}",
        b'{"schema":"enhance-report/1","plan":1e999,"source":"a","output":"b","status":"done"}',
        b"\xff\xfe\x00",
        b"\0" * 300,
        b"\xef\xbb\xbf{}",
        b"",
    ]
)


@st.composite
def any_line(draw):
    """Bytes of a line: a report's with some fields changed, any JSON, or none."""
    kind = draw(st.integers(0, 2))
    if kind == 0:
        changes = draw(st.dictionaries(st.sampled_from(list(GOOD)), values, max_size=3))
        return json.dumps({**GOOD, **changes}).encode()
    return json.dumps(draw(values)).encode() if kind == 1 else draw(broken)


@settings(max_examples=200)
@given(st.lists(any_line(), min_size=1, max_size=4), st.booleans())
def test_whatever_a_report_holds_is_read_or_refused(tmp_path_factory, texts, ends):
    folder = tmp_path_factory.mktemp("any")
    part = folder / "part.jsonl"
    data = b"\n".join(texts) + b"\n" * ends
    part.write_bytes(data)
    Journal([part])
    refusal = "part.jsonl"
    try:
        merge(reports_named([part]), folder / "all.jsonl")
    except UsageError as error:
        refusal = str(error)
    assert "part.jsonl" in refusal
    assert part.read_bytes() == data


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b'{"a": 1}', "its schema is not enhance-report/1"),
        (b"name,width", "it is not JSON"),
        (b"[1]", "it is not a JSON object"),
        (b'{"plan":' + b"[" * 100_000, "nested too deeply"),
        (b'{"plan":' + b"9" * 5000 + b"}", "thousands of digits"),
        (b'{"plan":"\xff"}', "not UTF-8"),
        (json.dumps({**GOOD, "written": 5}).encode(), "its written is a number"),
        (json.dumps({**GOOD, "source": None}).encode(), "its source is null"),
        (json.dumps({**GOOD, "status": "fine"}).encode(), 'its status is "fine"'),
        (json.dumps({**GOOD, "shard": "3/2"}).encode(), 'its shard is "3/2"'),
        (json.dumps({**GOOD, "frames": [1]}).encode(), "frames are not paths"),
        (json.dumps({**GOOD, "written": [{}]}).encode(), "have no paths"),
    ],
)
def test_a_lone_broken_line_is_named_with_its_number(tmp_path, text, sentence):
    part = tmp_path / "part.jsonl"
    part.write_bytes(json.dumps(GOOD).encode() + b"\n\n" + text + b"\n" + json.dumps(GOOD).encode() + b"\n")
    with pytest.raises(UsageError, match=rf"part\.jsonl, line 3, is not a report line .*{sentence}"):
        merge(Reports([part]), tmp_path / "all.jsonl")
    Journal([part])


def test_a_line_that_is_too_long_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "LONGEST", 1000)
    part = tmp_path / "part.jsonl"
    good = json.dumps(GOOD).encode() + b"\n"
    part.write_bytes(good + b'"' + b"x" * 5000 + b'"\n' + good)
    with pytest.raises(UsageError, match="line 2, is not a report line"):
        merge(Reports([part]), tmp_path / "all.jsonl")
    assert len(list(lines.whole_lines(part))) == 2


# --- what a report may be written over -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [b"\xff\xd8\xff\xe0photo", b"name,width\na,1\n", b'{"a": 1}\n', b"[1, 2]", b'{"schema":"other/1"}\n', b"\0" * 99],
)
@pytest.mark.parametrize("linked", [False, True])
def test_what_is_no_report_is_never_opened_as_one(tmp_path, data, linked):
    path = tmp_path / "theirs"
    path.write_bytes(data)
    named = path
    if linked:
        named = tmp_path / "link"
        named.symlink_to(path)
    with pytest.raises(UsageError, match=rf"{named.name} exists and is not an enhance report"):
        ReportFile(named)
    part = tmp_path / "part.jsonl"
    part.write_text(json.dumps(GOOD) + "\n")
    with pytest.raises(UsageError, match=f"OUTPUT .*{named.name} exists"):
        merge(Reports([part]), named)
    with pytest.raises(UsageError, match=f"REPORT .*{named.name} exists"):
        reports_named([part, named])
    assert path.read_bytes() == data


def test_neither_folders_nor_devices_are_reports(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, kind in (
        (tmp_path, "a folder"),
        ("/dev/null", "not a regular file"),
        (tmp_path / "pipe", "not a regular"),
    ):
        with pytest.raises(UsageError, match=kind):
            refuse_foreign(type(tmp_path)(path))


@pytest.mark.parametrize("cut", [1, 5, 20, 40, 200])
def test_a_report_cut_off_in_its_first_line_is_still_ours(tmp_path, cut):
    path = tmp_path / "r.jsonl"
    path.write_bytes(json.dumps(GOOD, separators=(",", ":")).encode()[:cut])
    ReportFile(path).close()
    assert path.read_bytes() == b""


def test_foreign_lines_after_the_first_leave_a_report_ours(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"\n" + json.dumps(GOOD).encode() + b"\nremember the milk\n")
    with ReportFile(path) as report:
        report.append(GOOD)
    assert path.read_bytes().count(b"\n") == 4


# --- a merge never costs a part ------------------------------------------------------------------------------


@pytest.fixture
def parts(tmp_path):
    """Three parts of any names, each with an output of its own."""
    found = []
    for number in (1, 2, 3):
        found.append(tmp_path / f"p{number}.jsonl")
        line = {**GOOD, "source": f"in/{number}.jpg", "output": f"out/{number}.jpg", "shard": f"{number}/3"}
        found[-1].write_text(json.dumps(line) + "\n")
    return found


def test_a_forgotten_output_costs_no_part(parts):
    kept = parts[-1].read_bytes()
    with pytest.raises(UsageError, match=r"p3\.jsonl holds a line that is in none of the reports.*name a new file"):
        merge(reports_named(parts[:-1]), parts[-1])
    with pytest.raises(UsageError, match=r"p3\.jsonl is one of the reports to join"):
        merge(reports_named(parts), parts[-1])
    assert parts[-1].read_bytes() == kept
    empty = parts[0].with_name("enhance-report.4-of-4.jsonl")
    empty.touch()
    with pytest.raises(UsageError, match="is the report of one part"):
        merge(reports_named(parts), empty)


def test_the_same_merge_again_replaces_its_own_result(parts, tmp_path):
    target = tmp_path / "all.jsonl"
    merge(reports_named(parts), target)
    first = target.read_bytes()
    assert merge(reports_named(parts), target).lines == 3
    assert target.read_bytes() == first
    with parts[0].open("a") as file:  # a part that has gone on since
        file.write(json.dumps({**GOOD, "source": "in/1.jpg", "output": "out/1.jpg", "status": "failed"}) + "\n")
    assert merge(reports_named(parts), target).failed == ["in/1.jpg"]
    with target.open("a") as file:  # a run of the whole has gone on in the result
        file.write(json.dumps({**GOOD, "source": "in/9.jpg", "output": "out/9.jpg"}) + "\n")
    with pytest.raises(UsageError, match=r"in none of the reports to join \(line 4\)"):
        merge(reports_named(parts), target)


def test_a_last_line_that_was_cut_off_is_left_out_with_a_remark(parts, tmp_path):
    with parts[0].open("a") as file:
        file.write('{"schema":"enhance-re')
    merged = merge(reports_named(parts), tmp_path / "all.jsonl")
    assert merged.lines == 3
    assert merged.remarks == [f"{parts[0]}, line 2, was cut off and is left out."]


def test_a_target_that_is_a_link_stays_one(parts, tmp_path):
    (tmp_path / "kept").mkdir()
    link = tmp_path / "all.jsonl"
    link.symlink_to("kept/all.jsonl")
    merge(reports_named(parts), link)
    assert link.is_symlink()
    assert (tmp_path / "kept" / "all.jsonl").read_bytes().count(b"\n") == 3


def test_what_enhance_made_is_known_beyond_a_line_too_long_to_read(tmp_path, monkeypatch):
    from enhance_cli.pipeline.known import Known

    def line(sha256, **more):
        written = [{"path": "a.jpg", "bytes": 1, "modified_ns": 1, "sha256": sha256}]
        return json.dumps({"status": "done", "method": "clode", "read": [], "written": written, **more}) + "\n"

    monkeypatch.setattr(lines, "LONGEST", 300)
    report = tmp_path / "enhance-report.jsonl"
    report.write_text(line("1" * 64) + line("2" * 64, notes="x" * 1000) + "\n" + line("3" * 64))
    known = Known(None)
    made = [known.by_content(tmp_path / "a.jpg", digit * 64) is not None for digit in "123"]
    assert made == [True, False, True]
    with report.open("a") as file:  # by another run meanwhile, and the last line not yet whole
        file.write(line("4" * 64) + line("5" * 64).rstrip("\n"))
    assert known.by_content(tmp_path / "a.jpg", "4" * 64) is not None
    assert known.by_content(tmp_path / "a.jpg", "5" * 64) is None
    with report.open("a") as file:
        file.write("\n")
    assert known.by_content(tmp_path / "a.jpg", "5" * 64) is not None
