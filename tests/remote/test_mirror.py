"""The mirror: names of objects as paths, and what killed runs leave of it."""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path

import pytest

from enhance_cli.errors import OutputError, UnreachableBucket, UnreadableSource, UsageError
from enhance_cli.pipeline import parts
from enhance_cli.pipeline.mirror import Mirror, mirrored
from enhance_cli.pipeline.parts import PartedReport
from enhance_cli.pipeline.transfer import fetched
from enhance_cli.storage import Item, Location, is_url, local_path
from enhance_cli.types import Job


class Bucket:
    """A `Store` in memory."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.puts: list[str] = []
        self.full = False

    def list(self, prefix):
        return iter([self.head(key) for key in self.objects if key.startswith(f"{prefix}/")])

    def get(self, key, etag=""):
        return self.objects[key], self.head(key)

    def put(self, key, data, over=""):
        if self.full:
            raise OutputError(f"s3://photos/{key} cannot be written: full.")
        self.objects[key] = data
        self.puts.append(key)
        return self.head(key)

    def head(self, key):
        return Item(key, len(self.objects[key]), 7, str(hash(self.objects[key])))


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


def test_places_lead_back_to_urls(tmp_path) -> None:
    mirror = Mirror(tmp_path)
    for text in ("s3://photos/a b/c%20d.jpg", "gs://bucket", "az://container/x"):
        place = mirror.place(Location.parse(text))
        assert str(mirror.location(place)) == text
        assert mirror.shown(f"in {place}: no") == f"in {text}: no"
        assert mirror.placed_in({"a": [text, 1]}) == {"a": [str(place), 1]}
        assert mirror.shown(str(tmp_path / "f-12-3" / place.relative_to(tmp_path))) == text
    assert mirror.location(Path("/photos/s3/a.jpg")) is None
    assert pickle.loads(pickle.dumps(mirror)) == mirror


def test_urls() -> None:
    assert Location.parse("GS://b/a/") == ("gs", "b", "a")
    assert local_path("FILE:///a%20b/%FF") == "/a b/\udcff"
    assert local_path("file://localhost/a") == "/a"
    assert local_path("a/file.jpg") is None
    assert not is_url("./s3://photos")
    for text in ("s3://", "s3:///a", "s3://b/a//b", "s3://b/./a", "s3://b/a\nb", "http://h/a", "s3://.."):
        with pytest.raises(UsageError):
            Location.parse(text)


def test_a_mirror_is_removed_and_that_of_a_killed_run_too(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed = tmp_path / "enhance-mirror-killed"
    killed.mkdir()
    (killed / ".lock").touch()
    with mirrored() as first:
        assert not killed.exists()
        with mirrored():
            assert first.root.exists(), "it is in use"
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_failed_photo(tmp_path, bucket) -> None:
    bucket.objects["a.jpg"] = b"photo"
    (tmp_path / "file").touch()
    mirror = Mirror(tmp_path / "file", lambda location: bucket)  # no folder can be made in it
    job = Job(0, mirror.place(Location("s3", "photos", "a.jpg")), None)
    with pytest.raises(UnreadableSource, match=r"s3://photos/a.jpg cannot be fetched"), fetched(job, mirror):
        pass


def line(number: int, status: str = "done") -> dict:
    written = [{"path": f"{number}.jpg", "bytes": 1}] if status == "done" else []
    return {"output": f"out/{number}.jpg", "status": status, "written": written}


def test_parts_are_whole_numbered_and_completed(tmp_path, bucket) -> None:
    mirror = Mirror(tmp_path, lambda location: bucket)
    place = mirror.place(Location("s3", "photos", "out/enhance-report.1-of-2.jsonl"))
    count = 2 * parts.LINES + 5
    with PartedReport(place, mirror, convert=dict) as report:
        for number in range(count):
            report.append(line(number))
            assert sum(data.count(b"\n") for data in bucket.objects.values()) == number + 1
        bucket.full = True
        with pytest.raises(OutputError, match="The report cannot be written: s3://photos/out/enhance-report/"):
            report.append(line(count))
        bucket.full = False
        report.append(line(count, "failed"))  # the one whose report could not be written
        for number in range(count):
            report.finish({**line(number), "written": [{"path": f"{number}.jpg", "bytes": 1, "etag": "e"}]})
    assert sorted(bucket.objects) == sorted(set(bucket.puts))
    assert [key.rpartition("-")[2] for key in sorted(bucket.objects)] == [f"{n:06d}.jsonl" for n in (1, 2, 3)]
    assert all(key.startswith("out/enhance-report/") for key in bucket.objects)
    assert sum(data.count(b'"etag"') for data in bucket.objects.values()) == count
    assert parts.fetch(place, mirror)
    assert place.read_bytes().count(b"\n") == count + 2
    assert not parts.fetch(mirror.place(Location("s3", "photos", "other/enhance-report.jsonl")), mirror)


def test_a_bucket_out_of_reach_is_no_photo_s_fault() -> None:
    assert UnreachableBucket("x").exit_code == 4
