"""Time and memory of calls and of whole processes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

ENHANCE = (sys.executable, "-m", "enhance_cli")


def enhance(*words: object, device: str = "cpu") -> list[str]:
    """A quiet run of `enhance`, which may be repeated; its folders are still to be added."""
    return [*ENHANCE, *map(str, words), "--device", device, "--overwrite", "--quiet"]


def warm(work: Callable[[], Any], rounds: int) -> dict[str, float]:
    """Seconds of a call: median and least of the clock, and least of the processor; a first call is not counted."""
    work()
    wall, processor = [], []
    for _ in range(rounds):
        began, used = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - began)
        processor.append(time.process_time() - used)
    return {"seconds": statistics.median(wall), "least": min(wall), "processor": min(processor)}


def in_turn(works: Mapping[Any, Callable[[], Any]], rounds: int) -> dict[Any, list[float]]:
    """Seconds of each of several calls, round after round, so that a busy moment of the machine touches all alike.

    A round before the first is not counted: it compiles, and fills caches.
    """
    seconds: dict[Any, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            if number > 0:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def process(command: Sequence[str], cores: int | None = None) -> Callable[[], None]:
    """A call that runs a process to its end, on some of the cores, silently."""

    def confine() -> None:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])

    def run() -> None:
        environment, confined = {**os.environ, "COLUMNS": "80"}, confine if cores else None
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment, preexec_fn=confined)

    return run


def peak_mb(*words: object) -> float:
    """Megabytes that a run of `enhance` held at most (its maximum resident set)."""
    command = enhance(*words)
    _, status, usage = os.wait4(os.spawnv(os.P_NOWAIT, sys.executable, command), 0)
    if status != 0:
        raise SystemExit(f"{' '.join(command)} ended with {status}")
    return usage.ru_maxrss * 1024 / 10**6
