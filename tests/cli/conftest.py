"""Folders of small photos, and `enhance` in this process or in its own."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

from enhance_cli.cli.app import build
from tests.pictures import scene


@pytest.fixture
def photographs(tmp_path, monkeypatch):
    """Make in/00.jpg, in/01.jpg ... in the working directory, each another image."""
    monkeypatch.chdir(tmp_path)

    def make(count, height=96, width=128, suffix=".jpg", folder="in"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            cv2.imwrite(f"{folder}/{number:02d}{suffix}", scene(height, width, seed=number))

    return make


@pytest.fixture
def enhance():
    """Run `enhance clahe-adaptive` with a fixed limit, which loads no network, in this process."""
    application, runner = build(), CliRunner()

    def run(*arguments):
        words = [str(item) for item in arguments]
        if words[0] != "report":
            words = ["clahe-adaptive", "--clip-limit", "2", "--device", "cpu", *words]
        return runner.invoke(application, words)

    return run


@pytest.fixture
def restore():
    """Run `enhance restore` in this process."""
    application, runner = build(), CliRunner()
    return lambda *arguments: runner.invoke(application, ["restore", *map(str, arguments)])
