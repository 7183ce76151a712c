"""Which files are grouped into one image."""

from __future__ import annotations

from pathlib import Path

import pytest

from enhance_cli.errors import UsageError
from enhance_cli.pipeline.scan import scan


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """in/lake/{1,2,3}.jpg, in/hut/{1,2}.jpg and four brackets in flat/; names only matter."""
    names = [f"in/lake/{i}.jpg" for i in (1, 2, 3)] + [f"in/hut/{i}.jpg" for i in (1, 2)]
    names += [f"flat/{scene}_{stops}.jpg" for scene in ("a", "b") for stops in ("+1", "-1")]
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def jobs(found):
    return [([str(job.source), *map(str, job.frames)], str(job.target)) for job in found.jobs]


def test_without_a_rule_every_source_is_a_picture(tree):
    assert all(job.frames == () for job in scan(["flat", "out"]).jobs)


def test_so_many_in_turn(tree):
    found = scan(["flat", "out"], stacks=2)
    assert jobs(found) == [
        (["flat/a_+1.jpg", "flat/a_-1.jpg"], "out/a_+1.jpg"),
        (["flat/b_+1.jpg", "flat/b_-1.jpg"], "out/b_+1.jpg"),
    ]
    assert [job.index for job in found.jobs] == [0, 1]


def test_a_number_that_does_not_divide_is_refused(tree):
    with pytest.raises(UsageError, match="flat holds 4 photos"):
        scan(["flat", "out"], stacks=3)


def test_stacks_do_not_reach_over_folders(tree):
    with pytest.raises(UsageError, match="in/lake holds 3"):
        scan(["in", "out"], recursive=True, stacks=2)


def test_every_folder_is_a_stack_named_as_it(tree):
    assert jobs(scan(["in", "out"], recursive=True, stacks="folder")) == [
        (["in/hut/1.jpg", "in/hut/2.jpg"], "out/hut.jpg"),
        (["in/lake/1.jpg", "in/lake/2.jpg", "in/lake/3.jpg"], "out/lake.jpg"),
    ]
    assert jobs(scan(["in/hut", "out"], stacks="folder")) == [(["in/hut/1.jpg", "in/hut/2.jpg"], "out/hut.jpg")]


def test_a_pattern_groups_by_what_it_catches(tree):
    assert jobs(scan(["flat", "out"], stacks=r"(.+)_[+-]")) == [
        (["flat/a_+1.jpg", "flat/a_-1.jpg"], "out/a.jpg"),
        (["flat/b_+1.jpg", "flat/b_-1.jpg"], "out/b.jpg"),
    ]
    Path("flat/c.jpg").write_bytes(b"x")
    found = scan(["flat", "out"], stacks=r"(.+)_[+-]")
    assert len(found.jobs) == 2
    assert found.remarks == ["1 photo left out: (.+)_[+-] does not match c.jpg, for example."]


def test_a_frame_alone_is_no_stack(tree):
    Path("flat/c_+1.jpg").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"flat/c_\+1.jpg is alone"):
        scan(["flat", "out"], stacks=r"(.+)_[+-]")
    with pytest.raises(UsageError, match="is alone"):
        scan(["flat/c_+1.jpg", "out"], stacks="all")


def test_all_may_be_one_file(tree):
    found = scan(["in/hut/1.jpg", "in/hut/2.jpg", "new/hut.png"], stacks="all")
    assert jobs(found) == [(["in/hut/1.jpg", "in/hut/2.jpg"], "new/hut.png")]
    assert found.single_file
    assert jobs(scan(["in/hut", "out"], stacks="all")) == [(["in/hut/1.jpg", "in/hut/2.jpg"], "out/1.jpg")]
    with pytest.raises(UsageError, match="there are 2 photos"):
        scan(["flat", "new.jpg"], stacks=2)


def test_no_output_replaces_a_frame(tree):
    with pytest.raises(UsageError, match="would replace its own source"):
        scan(["in/hut/1.jpg", "in/hut/2.jpg", "in/hut/2.jpg"], stacks="all")
    with pytest.raises(UsageError, match="would replace its own source"):
        scan(["flat", "flat"], stacks=2)


def test_stdin_has_no_frames(tree):
    with pytest.raises(UsageError, match="takes files"):
        scan(["-", "in/hut/1.jpg", "out"], stacks="all")
