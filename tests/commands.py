"""`enhance` as a process, and what a run leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2


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
