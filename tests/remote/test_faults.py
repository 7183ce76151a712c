"""A bucket that fails: each failure is one sentence, tried again where it may pass, and never quotes a credential."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from enhance_cli.errors import OccupiedOutput
from enhance_cli.storage import buckets
from tests.remote.server import SECRET


def told(s3, prefix: str = "out") -> dict[str, str]:
    """The message of every failed line; the whole report is searched for the secret."""
    lines = s3.lines(prefix)
    assert SECRET not in json.dumps(lines)
    assert "AKIA" not in json.dumps(lines)
    return {line["source"].rpartition("/")[2]: line["error"]["message"] for line in lines if line["status"] == "failed"}


@pytest.fixture
def photos(s3, there):
    s3.put_folder("in", "in")
    s3.requests.clear()
    return s3


@pytest.mark.parametrize("what", ["503 Slow", "500 Oops", "429 Many", "reset", "lost"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_what_passes_is_tried_again(photos, enhance, method, what) -> None:
    path = "^/photos/in/IMG_8" if method == "GET" else "^/photos/out/IMG_8"
    fault = photos.fault(method, path, what, 2)
    done = enhance("s3://photos/in", "s3://photos/out")
    assert done.exit_code == 0, done.output
    assert fault.seen == 2
    assert told(photos) == {}
    assert "out/IMG_8.jpg" in photos.keys("out/")


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("503 Slow", "the service was busy (503) at every attempt"),
        ("500 Oops", "the service answered with status 500"),
        ("403 No", "the service rejects the credentials, or this user lacks permission (403)"),
        ("400 ExpiredToken", "the credentials have expired"),
        ("301 PermanentRedirect", "the bucket is in another region; set AWS_REGION to it"),
        ("reset", "the connection broke at every attempt"),
    ],
)
def test_what_does_not_pass_is_a_failed_line(photos, enhance, what, said) -> None:
    photos.fault("GET", "^/photos/in/IMG_8", what)
    photos.fault("PUT", "^/photos/out/IMG_9", what)
    done = enhance("s3://photos/in", "s3://photos/out")
    assert done.exit_code == 4, done.output  # an output could not be written
    assert told(photos) == {
        "IMG_8.jpg": f"s3://photos/in/IMG_8.jpg cannot be read: {said}.",
        "IMG_9.jpg": f"s3://photos/out/IMG_9.jpg cannot be written: {said}.",
    }
    tries = [path for method, path in photos.requests if method == "GET" and path.startswith("/photos/in/IMG_8")]
    assert len(tries) == (1 if what[0] in "34" else 3)
    photos.faults.clear()
    again = enhance("--json", "s3://photos/in", "s3://photos/out")
    assert [json.loads(again.stdout)[name] for name in ("done", "unchanged")] == [2, 2]


def test_no_answer_in_time(photos, enhance, monkeypatch) -> None:
    monkeypatch.setenv("ENHANCE_STORAGE_TIMEOUT", "1")
    monkeypatch.setenv("ENHANCE_STORAGE_ATTEMPTS", "1")
    photos.fault("GET", "^/photos/in/IMG_8", "hang")
    done = enhance("s3://photos/in", "s3://photos/out")
    assert done.exit_code == 1, done.output
    assert told(photos) == {
        "IMG_8.jpg": "s3://photos/in/IMG_8.jpg cannot be read: no answer within the time-out of 1 s."
    }


def test_listing_goes_on_where_it_broke(photos, enhance, monkeypatch) -> None:
    monkeypatch.setattr(buckets, "_PAGE", 2)
    photos.fault("GET", "list-type=2.*prefix=in", "503 Slow", 2)
    done = enhance("-r", "s3://photos/in", "s3://photos/out")
    assert (done.exit_code, "6 photos enhanced" in done.output) == (0, True), done.output


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["s3://nosuch/in", "out"], 2, "s3://nosuch/in cannot be listed: there is no bucket nosuch"),
        (["in", "s3://nosuch/out"], 2, "s3://nosuch/out cannot be listed: there is no bucket nosuch"),
        (["--overwrite", "in", "s3://nosuch/out"], 2, "there is no bucket nosuch"),
    ],
)
def test_no_such_bucket(photos, enhance, arguments, code, said) -> None:
    done = enhance(*arguments)
    assert (done.exit_code, said in done.output) == (code, True), done.output


def test_a_bucket_that_cannot_be_listed(photos, enhance, monkeypatch) -> None:
    photos.fault("GET", "list-type=2", "403 No")
    done = enhance("s3://photos/in", "s3://photos/out")
    assert done.exit_code == 4
    assert done.output == (
        "enhance: s3://photos/in cannot be listed: the service rejects the credentials, or this user lacks permission "
        "(403).\n"
    )


def test_nobody_there(photos, enhance, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    buckets.opened.cache_clear()
    done = enhance("s3://photos/in", "out")
    assert (done.exit_code, done.output) == (
        4,
        "enhance: s3://photos/in cannot be looked up: the service refuses the connection.\n",
    )


def test_debug_quotes_no_credentials_either(photos, enhance) -> None:
    photos.fault("GET", "^/photos/in/IMG_8", "403 No")
    done = enhance("--debug", "-v", "s3://photos/in", "s3://photos/out")
    assert done.exit_code == 1
    assert "Traceback" in done.output
    assert not re.search("AKIA|Authorization|Signature", done.output)


def test_an_object_that_goes_or_changes_after_it_was_listed(photos, enhance) -> None:
    def meanwhile(method: str, path: str) -> None:
        if method == "PUT":
            return
        if path.startswith("/photos/in/IMG_8"):
            photos.before = None
            photos.client.delete_object(Bucket="photos", Key="in/IMG_8.jpg")
            photos.put("in/IMG_9.jpg", Path("in/IMG_10.jpg").read_bytes())

    photos.before = meanwhile
    done = enhance("-j", "1", "s3://photos/in", "s3://photos/out")
    assert done.exit_code == 1, done.output
    assert told(photos) == {
        "IMG_8.jpg": "s3://photos/in/IMG_8.jpg does not exist.",
        "IMG_9.jpg": "s3://photos/in/IMG_9.jpg changed since it was listed; run again.",
    }
    done = enhance("--json", "s3://photos/in", "s3://photos/out")
    assert [json.loads(done.stdout)[name] for name in ("done", "unchanged")] == [1, 2]


@pytest.mark.parametrize("ours", [False, True], ids=["anew", "over an output of ours"])
def test_a_name_that_is_taken_meanwhile(photos, enhance, ours) -> None:
    if ours:
        assert enhance("s3://photos/in", "s3://photos/out").exit_code == 0
        photos.requests.clear()
    before = photos.keys("out/")

    def meanwhile(method: str, path: str) -> None:
        if path.startswith("/photos/in/IMG_8"):
            photos.before = None
            photos.put("out/IMG_8.jpg", b"somebody else's")

    photos.before = meanwhile
    done = enhance("-Q", "50", "s3://photos/in", "s3://photos/out")
    assert done.exit_code == 1, done.output
    message = told(photos)["IMG_8.jpg"]
    assert message.startswith("s3://photos/out/IMG_8.jpg was put there or changed by another program during the run")
    assert photos.get("out/IMG_8.jpg") == b"somebody else's"
    assert len(photos.keys("out/")) == (len(before) + 1 if ours else 5)


def test_a_put_that_arrived_is_known_again(photos) -> None:
    """The answer of a conditional put is lost; the next try finds the name taken, by what it wrote itself."""
    store = buckets.opened("s3", "photos")
    photos.fault("PUT", "^/photos/new", "lost", 1)
    assert store.put("new", b"mine").bytes == 4
    with pytest.raises(OccupiedOutput):
        store.put("new", b"other")
    assert store.put("new", b"other", None).bytes == 5
    item = store.head("new")
    assert item is not None
    assert store.get("new", item.etag) == (b"other", item)
    photos.fault("PUT", "^/photos/new", "lost", 1)
    assert store.put("new", b"third", item.etag).etag != item.etag
    with pytest.raises(OccupiedOutput):
        store.put("new", b"fourth", item.etag)


def test_a_report_that_cannot_be_put_fails_its_photos(photos, enhance) -> None:
    photos.fault("PUT", "enhance-report", "403 No")
    done = enhance("s3://photos/in", "s3://photos/out")
    assert done.exit_code == 4, done.output
    assert "The report cannot be written: s3://photos/out/enhance-report/" in done.output
    assert photos.keys("out/") == []  # no photo without its line


def test_without_credentials_or_with_a_wrong_setting(photos, enhance, monkeypatch) -> None:
    monkeypatch.setenv("ENHANCE_STORAGE_TIMEOUT", "soon")
    buckets.opened.cache_clear()
    done = enhance("s3://photos/in", "out")
    assert (done.exit_code, "ENHANCE_STORAGE_TIMEOUT is a number above 0" in done.output) == (2, True)


def test_obstore_is_missing(photos, enhance, monkeypatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "obstore.store", None)
    buckets.opened.cache_clear()
    done = enhance("s3://photos/in", "out")
    assert (done.exit_code, "pip install 'enhance-cli[remote]'" in done.output) == (2, True)
