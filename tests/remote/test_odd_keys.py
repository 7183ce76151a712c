"""Buckets as people have them: odd keys, folders that are objects too, nothing at all, more than a page."""

from __future__ import annotations

import json
from pathlib import Path

from tests.remote.server import BUCKET


def photo() -> bytes:
    return Path("in/IMG_8.jpg").read_bytes()


def test_odd_names_come_and_go(s3, there, enhance) -> None:
    names = [
        "a b.jpg",
        "a%20b.jpg",
        "100%.jpg",
        "grün.jpg",
        "日本 [1]*?.jpg",
        "#fragment?query=1&x.jpg",
        "back\\slash.jpg",
        'it\'s "quoted" {}|^`<>.jpg',
        "~user+plus=.jpg",
        "CAPITALS.JPG",
        "deep/er/and deeper/x.jpg",
    ]
    for name in names:
        s3.put(f"odd in/{name}", photo())
    done = enhance("-r", "s3://photos/odd in", "s3://photos/odd out/")
    assert done.exit_code == 0, done.output
    assert sorted(s3.contents("odd out")) == sorted(names)
    assert "Nothing to do" in enhance("-r", "s3://photos/odd in", "s3://photos/odd out").output
    done = enhance("s3://photos/odd in/a%20b.jpg", "single.jpg")  # a key is taken as it is
    assert done.exit_code == 0
    assert "s3://photos/odd in/a%20b.jpg" in Path("enhance-report.jsonl").read_text()


def test_folders_that_are_objects_too(s3, there, enhance) -> None:
    s3.put("in", b"")  # as some tools make folders
    s3.put("in/", b"")
    s3.put("in/sub/", b"")
    s3.put("in/a.jpg", photo())
    s3.put("in/a.jpg/inner.jpg", photo())
    s3.put("in/photo.jpg/", b"")
    s3.put("in/.hidden/b.jpg", photo())
    s3.put("in/.b.jpg", photo())
    s3.put("in/notes.txt", b"notes")
    s3.put("in/page/.enhance-gallery", b"")
    s3.put("in/page/previews/c.jpg", photo())
    done = enhance("-r", "--json", "s3://photos/in", "s3://photos/out")
    told = json.loads(done.stdout)
    assert (told["done"], told["failed"]) == (2, 1), done.output
    assert "enhance: s3://photos/in/photo.jpg does not exist." in done.output  # its key ends with a slash
    assert sorted(s3.contents("out")) == ["a.jpg", "a.jpg/inner.jpg"]


def test_nothing_there(s3, there, enhance) -> None:
    done = enhance("s3://photos", "out")
    assert (done.exit_code, done.output.count("s3://photos holds no photos.")) == (0, 1), done.output
    done = enhance("-n", "S3://photos/", "s3://photos/out/")
    assert (done.exit_code, "0 to enhance" in done.output) == (0, True), done.output
    s3.put("docs/a.txt", b"")
    done = enhance("s3://photos/docs", "out")
    assert (done.exit_code, "s3://photos/docs holds no photos." in done.output) == (0, True), done.output


def test_the_whole_bucket_and_the_output_inside_the_input(s3, there, enhance) -> None:
    s3.put("a.jpg", photo())
    s3.put("out/elsewhere/b.jpg", photo())
    for _ in range(2):
        done = enhance("-r", "--json", "s3://photos", "s3://photos/out")
        assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["unchanged"] == 1
    assert sorted(s3.contents("out")) == ["a.jpg", "elsewhere/b.jpg"]
    s3.client.create_bucket(Bucket="results")
    assert enhance("s3://photos/a.jpg", "s3://results").exit_code == 0
    assert [key for key in s3.keys(bucket="results") if key.endswith(".jpg")] == ["a.jpg"]


def test_a_key_that_no_path_can_have_is_named(s3, there, enhance) -> None:
    for key in ("in//x.jpg", "in/../x.jpg", "in/tab\t.jpg"):
        s3.put(key, photo())
        done = enhance("-r", "s3://photos/in", "out")
        assert done.exit_code == 2, done.output
        assert "s3://photos/in contains a key with an empty part, a part . or .., or a control character" in done.output
        s3.client.delete_object(Bucket=BUCKET, Key=key)


def test_more_than_a_page_of_keys(s3, there, enhance) -> None:
    from moto.s3.models import s3_backends

    for number in range(1001):  # a page has 1,000
        s3_backends["123456789012"]["aws"].put_object(BUCKET, f"in/{number}.txt", b"")
    s3.put("in/last.jpg", photo())
    done = enhance("s3://photos/in", "out")
    assert (done.exit_code, "1 photo enhanced" in done.output) == (0, True), done.output


def test_two_runs_into_one_prefix_at_once(s3, there, enhance) -> None:
    """The second begins when the first has read its first photo: no photo of either is half, lost or replaced."""
    s3.put_folder("in", "in")
    inner = []

    def meanwhile(method: str, path: str) -> None:
        if path.startswith("/photos/in/IMG_8"):
            s3.before = None
            inner.append(enhance("-Q", "50", "s3://photos/in", "s3://photos/out"))

    s3.before = meanwhile
    outer = enhance("-j", "1", "-Q", "90", "s3://photos/in", "s3://photos/out")
    assert inner[0].exit_code == 0, inner[0].output
    assert outer.exit_code == 6, outer.output  # all of its names were taken
    assert "was put there or changed by another program during the run" in outer.output
    lines = s3.lines("out")
    assert sorted(line["status"] for line in lines if line["controls"]) == ["done"] * 8 + ["failed"] * 4
    again = enhance("--json", "-Q", "50", "s3://photos/in", "s3://photos/out")
    assert again.exit_code == 0, again.output


def test_a_photo_through_pipes(s3, there, enhance) -> None:
    s3.put("in/a.jpg", photo())
    done = enhance("s3://photos/in/a.jpg", "-")
    assert done.exit_code == 0
    assert done.stdout_bytes[:2] == b"\xff\xd8"
    done = enhance("s3://photos/in/a.jpg", "s3://photos/in/a-better.jpg")
    assert done.exit_code == 0, done.output
    assert s3.get("in/a-better.jpg")[:2] == b"\xff\xd8"
