"""`enhance` as a process, and what a run leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2

from tests import gated

LIMIT = 240.0
"""Seconds after which a test gives up on a process. Only what is broken takes so long, on a busy machine too."""

GATE = "gate"
"""The file that lets photos go on which `started(..., few=...)` holds."""


def started(*arguments: object, few: int | None = None, **details: Any) -> subprocess.Popen[str]:
    """`enhance ARGUMENTS` under way, with pipes for stdout and stderr.

    Args:
        arguments: of the command line.
        few: how many photos are let through before `GATE` exists in the working directory; None for all.
        details: for `Popen`.
    """
    program = ["-m", "enhance_cli"] if few is None else [gated.__file__, str(few), GATE]
    return subprocess.Popen(
        [sys.executable, *program, *map(str, arguments)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **details,
    )


def command(*arguments: object, **details: Any) -> subprocess.Popen[str]:
    """`started` with `clahe-adaptive` and a fixed limit, which loads no network."""
    return started("clahe-adaptive", "--clip-limit", "2", "--device", "cpu", *arguments, **details)


def until(condition: Callable[[], object]) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def descendants(process: int) -> Iterator[int]:
    """The processes that a process, its threads and their children have started, and that are alive."""
    try:
        threads = list(Path(f"/proc/{process}/task").iterdir())  # each has the children that it started
        children = [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    except OSError:
        return
    for child in children:
        yield child
        yield from descendants(child)


def alive(process: int) -> bool:
    """Whether a process has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


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
    """Name and decoded samples of every image below a folder: what two settings that come to the same share."""
    return {name: cv2.imread(str(Path(folder, name)), cv2.IMREAD_UNCHANGED).tobytes() for name in contents(folder)}
