"""Folders of small photographs, and `enhance` in this process or in its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from enhance_cli.cli.app import build


def scene(height=96, width=128, seed=0):
    """A dim picture with a gradient, an edge and some noise, BGR."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(10, 90, width)[None, :, None] * np.array([0.8, 1.0, 1.1])
    picture = np.repeat(ramp, height, axis=0)
    picture[height // 3 : height // 2, width // 4 : width // 2] += 60
    return np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255).astype(np.uint8)


@pytest.fixture
def photographs(tmp_path, monkeypatch):
    """Make in/00.jpg, in/01.jpg ... in the working directory, each another picture."""
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


def command(*arguments, **details):
    """The same, as a process under way."""
    words = [sys.executable, "-m", "enhance_cli", "clahe-adaptive", "--clip-limit", "2", "--device", "cpu"]
    return subprocess.Popen(
        [*words, *map(str, arguments)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **details
    )


def lines(path="out/enhance-report.jsonl"):
    """The lines of a report."""
    return [json.loads(line) for line in Path(path).read_bytes().splitlines()]


def contents(folder="out"):
    """Name and bytes of every file below a folder but reports."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file() and path.suffix != ".jsonl"
    }


def pixels(folder="out"):
    """Name and decoded samples of every picture below a folder: what two settings that come to the same share."""
    return {name: cv2.imread(str(Path(folder, name)), cv2.IMREAD_UNCHANGED).tobytes() for name in contents(folder)}


@pytest.fixture
def restore():
    """Run `enhance restore` in this process."""
    application, runner = build(), CliRunner()
    return lambda *arguments: runner.invoke(application, ["restore", *map(str, arguments)])
