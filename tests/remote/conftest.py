"""An S3 server for the tests of this folder; each test has empty buckets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

from enhance_cli.cli.app import build
from tests import pictures
from tests.remote.server import BUCKET, SECRET, Server, running, set_environment


@pytest.fixture(scope="session")
def _server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture
def s3(_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    from enhance_cli.storage import buckets

    set_environment(monkeypatch, _server.url)
    monkeypatch.setenv("ENHANCE_STORAGE_ATTEMPTS", "3")
    monkeypatch.setattr(buckets, "FIRST_PAUSE", 0.01)
    buckets.opened.cache_clear()
    _server.faults.clear()
    _server.requests.clear()
    _server.before = None
    _server.empty()
    _server.client.create_bucket(Bucket=BUCKET)
    _server.requests.clear()
    return _server


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six small photos in `in`, two of them in a subfolder; the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for number in range(4):
        cv2.imwrite(f"in/IMG_{8 + number}.jpg", pictures.night(seed=number))
    cv2.imwrite("in/sub/a b.png", pictures.night(seed=5))
    cv2.imwrite("in/sub/grün 100%.jpg", pictures.night(seed=6))
    return tmp_path


class Enhance:
    """`enhance clahe-adaptive` in this process; no output of it holds the secret."""

    def __init__(self) -> None:
        self._runner = CliRunner()

    def __call__(self, *arguments: object, method: str = "clahe-adaptive"):
        own = ["--clip-limit", "2", "--device", "cpu"] if method == "clahe-adaptive" else []
        done = self._runner.invoke(build(), [*method.split(), *own, *map(str, arguments)])
        assert SECRET not in done.output
        assert "enhance-mirror" not in done.output, "users see URLs"
        return done


@pytest.fixture
def enhance() -> Enhance:
    return Enhance()
