"""Runs from and to a bucket: the same photos and lines as on a disk, and restarts that repeat nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import commands
from tests.remote.server import SECRET


def timeless(lines, *, prefix: str = ""):
    """Lines in order of their outputs, without what differs from place to place."""
    kept = []
    for line in lines:
        names = {"source": line["source"].rpartition("/in/")[2].removeprefix("in/")}
        names["output"] = line["output"].rpartition("/out/")[2].removeprefix("out/")
        written = [{**item, "modified_ns": 0, "etag": 0, "path": Path(item["path"]).name} for item in line["written"]]
        read = [{**item, "modified_ns": 0, "etag": 0, "path": Path(item["path"]).name} for item in line["read"]]
        kept.append({**line, **names, "ms": 0, "read": read, "written": written})
    return sorted(kept, key=lambda line: line["output"])


def test_the_same_from_everywhere_to_everywhere(s3, there, enhance) -> None:
    s3.put_folder("in", "in")
    done = enhance("-r", "in", "out")
    assert done.exit_code == 0, done.output
    wanted, lines = commands.contents("out"), timeless(commands.lines())
    assert len(wanted) == 6
    for source, target in (
        ("s3://photos/in", "s3://photos/a/out"),
        ("in", "S3://photos/b/out/"),
        ("s3://photos/in/", "c/out"),
        (f"file://{there}/in", f"file://{there}/d/out"),
    ):
        done = enhance("-r", source, target)
        assert done.exit_code == 0, done.output
        where = target.rstrip("/").removeprefix(f"file://{there}/")
        if "//" in where:
            prefix = where.partition("photos/")[2]
            found, told = s3.contents(prefix), s3.lines(prefix)
        else:
            found, told = commands.contents(where), commands.lines(f"{where}/enhance-report.jsonl")
        assert found == wanted
        assert timeless(told) == lines
        assert SECRET not in json.dumps(told)
        assert "enhance-mirror" not in json.dumps(told)
        again = enhance("-r", source, target)
        assert "6 photos done by an earlier run and unchanged" in again.output, again.output
        assert again.exit_code == 0


def test_what_changed_is_done_again(s3, there, enhance) -> None:
    s3.put_folder("in", "in")
    assert enhance("-r", "s3://photos/in", "s3://photos/out").exit_code == 0
    s3.put("in/IMG_8.jpg", Path("in/IMG_9.jpg").read_bytes())
    s3.client.delete_object(Bucket="photos", Key="out/IMG_10.jpg")
    done = enhance("-r", "--json", "s3://photos/in", "s3://photos/out")
    assert done.exit_code == 0, done.output
    assert [json.loads(done.stdout)[name] for name in ("done", "unchanged")] == [2, 4]
    assert s3.get("out/IMG_8.jpg") == s3.get("out/IMG_9.jpg")
    done = enhance("-r", "--json", "-Q", "50", "s3://photos/in", "s3://photos/out")  # other settings
    assert [json.loads(done.stdout)[name] for name in ("done", "unchanged")] == [6, 0]


def test_strangers_are_left_alone(s3, there, enhance) -> None:
    s3.put_folder("in", "in")
    s3.put("out/IMG_8.jpg", b"somebody else's")
    done = enhance("s3://photos/in", "s3://photos/out")
    assert (done.exit_code, "Already there: s3://photos/out/IMG_8.jpg" in done.output) == (2, True)
    done = enhance("--skip-existing", "s3://photos/in", "s3://photos/out")
    assert done.exit_code == 0
    assert s3.get("out/IMG_8.jpg") == b"somebody else's"
    done = enhance("--overwrite", "s3://photos/in", "s3://photos/out")
    assert done.exit_code == 0, done.output
    assert s3.get("out/IMG_8.jpg") != b"somebody else's"
    s3.put("out/IMG_9.jpg", b"edited since")
    done = enhance("-Q", "40", "s3://photos/in", "s3://photos/out")
    assert (done.exit_code, "changed since enhance wrote it" in done.output) == (2, True)


@pytest.mark.parametrize("target", ["joined.jsonl", "s3://photos/out/joined.jsonl"])
def test_shards_of_a_bucket_are_merged(s3, there, enhance, target) -> None:
    s3.put_folder("in", "in")
    for number in (1, 2):
        assert enhance("-r", "--shard", f"{number}/2", "s3://photos/in", "s3://photos/out").exit_code == 0
    done = enhance("-r", "-i", "s3://photos/in", "s3://photos/out", target, method="report merge")
    assert (done.exit_code, "6 lines, 6 done: complete" in done.output) == (0, True), done.output
    data = s3.get("out/joined.jsonl") if "//" in target else Path(target).read_bytes()
    joined = [json.loads(line) for line in data.splitlines()]
    assert {line["output"] for line in joined} == {
        f"s3://photos/{key}" for key in s3.keys("out/") if "report" not in key and "joined" not in key
    }
    assert all("etag" in line["written"][0] for line in joined)
    s3.client.delete_object(Bucket="photos", Key="out/IMG_9.jpg")
    s3.put("in/new.jpg", b"")
    done = enhance("-r", "-i", "s3://photos/in", "s3://photos/out/enhance-report/", target, method="report merge")
    assert done.exit_code == 1
    assert "output missing: s3://photos/out/IMG_9.jpg" in done.output
    assert "no line: s3://photos/in/new.jpg" in done.output


def test_what_holds_no_report_is_said(s3, there, enhance) -> None:
    done = enhance("s3://photos/nothing", "joined.jsonl", method="report merge")
    assert (done.exit_code, "s3://photos/nothing holds no report" in done.output) == (2, True)
    s3.put("out/notes.txt", b"not a report")
    s3.put("in/a.jpg", b"")
    enhance("s3://photos/in", "s3://photos/out")
    done = enhance("s3://photos/out", "s3://photos/out/notes.txt", method="report merge")
    assert (done.exit_code, "is not an enhance report" in done.output) == (2, True), done.output
    assert s3.get("out/notes.txt") == b"not a report"


def test_the_report_may_be_elsewhere(s3, there, enhance) -> None:
    s3.put_folder("in", "in")
    for _ in range(2):
        done = enhance("-r", "--json", "--report", "local.jsonl", "s3://photos/in", "s3://photos/out")
        assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["unchanged"] == 6
    assert commands.lines("local.jsonl")[0]["written"][0]["path"].startswith("s3://photos/out/")
    assert not s3.keys("out/enhance-report")
    for _ in range(2):
        done = enhance("-r", "--json", "--report", "s3://photos/reports/mine.jsonl", "in", "out")
        assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["unchanged"] == 6
    assert s3.keys("reports/mine/")
    done = enhance("-r", "--report", "-", "s3://photos/in", "s3://photos/other")
    assert {json.loads(line)["status"] for line in done.stdout.splitlines()} == {"done"}
    assert not s3.keys("other/enhance-report")


def test_variants_stacks_illustrations_and_child_processes(s3, there, enhance) -> None:
    s3.put_folder("in", "in")
    for options, method in (
        (["--time", "1,2"], "clode"),
        (["--fuse", "2", "--isolate"], "retinex"),
        (["--heatmap"], "clahe-adaptive"),
        (["--together", "folder"], "auto"),
    ):
        done = enhance(*options, "in", "out", method=method)
        assert done.exit_code == 0, done.output
        done = enhance(*options, "s3://photos/in", "s3://photos/out", method=method)
        assert done.exit_code == 0, done.output
        assert s3.contents("out") == commands.contents("out"), method
        done = enhance(*options, "s3://photos/in", "s3://photos/out", method=method)
        assert "Nothing to do" in done.output, done.output
        for path in Path("out").rglob("*"):
            path.unlink()
        for key in s3.keys("out/"):
            s3.client.delete_object(Bucket="photos", Key=key)


def test_what_needs_files_is_refused(s3, there, enhance) -> None:
    s3.put_folder("in", "in")
    for arguments, said in (
        (["--in-place", "s3://photos/in"], "--in-place locks and replaces files"),
        (["--gallery", "s3://photos/in", "out"], "--gallery builds a page of local files"),
        (["--preserve-times", "in", "s3://photos/out"], "--preserve-times cannot set the time of an object"),
        (["--save-plans", "s3://photos/plans", "in", "s3://photos/out"], "--save-plans takes local files"),
        (["s3:///in", "out"], "names no bucket"),
        (["in", "s3://"], "names no bucket"),
        (["ftp://host/in", "out"], "has a scheme that enhance does not support"),
        (["s3://photos/in/../x", "out"], "a part '..' between slashes"),
        (["s3://photos/in/*.jpg", "out"], "there are no globs"),
        (["s3://photos/nowhere", "out"], "s3://photos/nowhere does not exist"),
        (["s3://key:secret@photos/in", "out"], "give credentials in the environment"),
        (["file://host/in", "out"], "names no file on this machine"),
        (["@list.txt", "s3://photos/out"], "give URLs as INPUT, and paths in lists"),
        (["s3://photos/in", "s3://photos/in"], "is INPUT and OUTPUT"),
        (["s3://photos/in", "s3://photos"], "lies inside the OUTPUT"),
    ):
        Path("list.txt").write_text("s3://photos/in/IMG_8.jpg\n")
        done = enhance(*arguments)
        assert (done.exit_code, said in done.output) == (2, True), done.output
    assert s3.keys("out") == []
