"""Measured rows: printed as JSON lines, stored with date, commit and machine, and read back for the documents.

A row is identified by those of the keys `part`, `method`, `case`, `set` and `size` that apply; of several rows with
the same keys the last one in the file counts.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "benchmarks" / "results"
KEYS = ("part", "method", "case", "set", "size")

Row = dict[str, Any]


@cache
def origin() -> Row:
    """Date, commit (with `+` where files differ from it) and machine."""
    words = ["git", "-C", str(ROOT), "describe", "--always", "--exclude=*", "--dirty=+"]
    commit = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
    return {"date": date.today().isoformat(), "commit": commit or None, "machine": machine()}


def machine() -> Row:
    """Model of the processor, and the cores that this process may use."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = information.read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": model, "cores": cores}


def key(row: Row) -> tuple[Any, ...]:
    """What a row is about."""
    return tuple(row.get(name) for name in KEYS)


def report(row: Row, store: Path | None) -> None:
    """Print a row, rounded, and append it to a file with its origin."""
    row = {name: rounded(value) for name, value in row.items()}
    print(json.dumps(row, ensure_ascii=False), flush=True)
    if store is not None:
        store.parent.mkdir(parents=True, exist_ok=True)
        with store.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**row, **origin()}, ensure_ascii=False) + "\n")


def rounded(value: Any) -> Any:
    """Numbers to seven significant digits, within lists and dictionaries too; infinities and NaN become None."""
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    if isinstance(value, (bool, int, str)) or value is None:
        return value
    number = float(f"{float(value):.7g}")
    return number if abs(number) < float("inf") else None


def read(path: Path) -> Iterator[Row]:
    """The rows of a file, in order."""
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)


def latest(name: str) -> dict[tuple[Any, ...], Row]:
    """The stored rows of a program by what they are about, later ones in place of earlier ones."""
    return {key(row): row for row in read(FOLDER / f"{name}.jsonl")}
