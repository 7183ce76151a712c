"""Reading report lines back: any file content gives a result or a clear error, never a crash.

A report may have been edited, joined by hand or truncated by a kill, or the file may not be a report at all. Lines
longer than `LONGEST` are not read completely, so that no file can fill the memory.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from enhance_cli.errors import UsageError

SCHEMA = "enhance-report/1"

LONGEST = 1 << 24
"""Bytes of the longest line that is read: about ten times the length of a line with 256x256 tiles."""

_FAMILY = "enhance-report/"
_BEGINNING = b'{"schema":"' + _FAMILY.encode()
_STATUSES = ("done", "failed", "skipped", "restored", "rejected")


class RawLine(NamedTuple):
    """One line of a file."""

    number: int
    """From 1, blank lines counted."""

    data: bytes
    whole: bool
    """Whether it ends with a newline; a killed run may leave the last line incomplete."""

    too_long: bool = False
    """Whether the line is longer than `LONGEST` bytes, so that `data` is only its beginning."""


def raw_lines(file: BinaryIO) -> Iterator[RawLine]:
    """The lines of an open file; blank ones are skipped."""
    number = 0
    while data := file.readline(LONGEST + 1):
        number += 1
        too_long = len(data) > LONGEST
        if data.strip() or too_long:
            yield RawLine(number, data, data.endswith(b"\n"), too_long)
        while too_long and data and not data.endswith(b"\n"):
            data = file.readline(LONGEST)


def parsed(data: bytes) -> dict[str, Any]:
    """A line as a JSON object.

    Raises:
        ValueError: it is not one, is nested too deeply, or holds a number of thousands of digits.
    """
    try:
        value = json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except json.JSONDecodeError:
        raise ValueError("it is not JSON") from None
    except ValueError:
        raise ValueError("it holds a number of thousands of digits") from None
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    return value


def whole_lines(report: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a report in order; lines that are invalid, too long or incomplete are skipped.

    Raises:
        OSError: it cannot be read.
    """
    with report.open("rb") as file:
        for line in raw_lines(file):
            if line.too_long:
                continue
            try:
                yield parsed(line.data)
            except ValueError:
                continue


def fault_of(line: dict[str, Any]) -> str | None:
    """Why a JSON object is not a report line, judged by the fields that are read back; None if it is one."""
    if not str(line.get("schema")).startswith(_FAMILY):
        return f"its schema is not {SCHEMA}"
    for name, kinds in (("source", str), ("output", str | None), ("frames", list | None), ("written", list | None)):
        if not isinstance(line.get(name), kinds):
            return f"its {name} is {_shown(line.get(name))}"
    if line.get("status") not in _STATUSES:
        return f"its status is {_shown(line.get('status'))}"
    if not all(isinstance(frame, str) for frame in line.get("frames") or ()):
        return "its frames are not paths"
    if not all(isinstance(item, dict) and isinstance(item.get("path"), str) for item in line.get("written") or ()):
        return "its written files have no paths"
    shard = line.get("shard")
    if shard is not None and not (isinstance(shard, str) and _is_shard(shard)):
        return f"its shard is {_shown(shard)}"
    return None


def _is_shard(text: str) -> bool:
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    return match is not None and 1 <= int(match[1]) <= int(match[2])


def _shown(value: object) -> str:
    """A value for a message, shortened if it is long."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value) if value is None or isinstance(value, bool | str) else "a number"
    return text if len(text) <= 40 else text[:40] + "..."


def refuse_foreign(path: Path, what: str = "--report") -> None:
    """Check that a report may be written at a path: there is no file, an empty file, or a report of ours.

    The first non-blank line decides, so that a report whose last line is incomplete, or to which the user added
    lines, still counts as one.

    Args:
        path: where a report is to be opened or replaced; links are followed.
        what: the option or argument that named it.

    Raises:
        UsageError: there is something else.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # absent, or out of reach: opening it says why
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        hint = "; for no report give none, for stdout -" if what == "--report" and not stat.S_ISDIR(mode) else ""
        raise UsageError(f"{what} {path} is {kind}, and a report is a file; give another path{hint}.")
    try:
        with path.open("rb") as file:
            ours = is_report(file)
    except OSError:
        return
    if not ours:
        raise UsageError(f"{what} {path} exists and is not an enhance report, so it is left alone; give another path.")


def is_report(file: BinaryIO) -> bool:
    """Whether an open file is empty, or begins with a report line, complete or not."""
    first = next(raw_lines(file), None)
    if first is None:
        return True
    if first.too_long:
        return False
    try:
        return str(parsed(first.data).get("schema")).startswith(_FAMILY)
    except ValueError:
        return not first.whole and (first.data.startswith(_BEGINNING) or _BEGINNING.startswith(first.data))
