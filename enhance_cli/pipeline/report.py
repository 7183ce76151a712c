"""The report: one JSON line per photograph (docs/report.md, docs/report.schema.json), appended and flushed.

The line is written when its output is in place, so a line's output always exists.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Self

from enhance_cli.errors import OutputError

SCHEMA = "enhance-report/1"


def report_line(
    *,
    source: str,
    output: str | None,
    status: str,
    method: str,
    controls: Mapping[str, Any],
    error: Mapping[str, str] | None = None,
    weights: Mapping[str, str] | None = None,
    device: str,
    size: list[int] | None = None,
    notes: list[str] | None = None,
    ms: Mapping[str, float] | None = None,
    exposure: Mapping[str, Any] | None = None,
    plan: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One line's value, every fixed name present; null where there is nothing to say."""
    return {
        "schema": SCHEMA,
        "source": source,
        "output": output,
        "status": status,
        "error": None if error is None else dict(error),
        "method": method,
        "controls": dict(controls),
        "weights": None if weights is None else dict(weights),
        "device": device,
        "size": size,
        "notes": notes or [],
        "ms": None if ms is None else {stage: round(value, 2) for stage, value in ms.items()},
        "exposure": None if exposure is None else dict(exposure),
        "plan": None if plan is None else dict(plan),
    }


def encode_line(line: Mapping[str, Any]) -> bytes:
    """JSON and a newline. Names that are no valid UTF-8 keep their bytes as lone surrogate escapes."""
    text = json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(line, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode() + b"\n"


class ReportFile:
    """An appended file of lines; a null one where no report is wanted."""

    def __init__(self, path: Path | None, stream: BinaryIO | None = None) -> None:
        """Open for appending.

        Raises:
            OutputError: the file cannot be opened.
        """
        self.path = path
        self._lock = threading.Lock()
        self._file: BinaryIO | None = stream
        if path is not None:
            try:
                self._file = path.open("ab", buffering=0)
            except OSError as error:
                raise OutputError(f"The report {path} cannot be written: {error.strerror}.") from error

    def append(self, line: Mapping[str, Any]) -> None:
        """Write one line in one piece; from any thread.

        Raises:
            OutputError: the disk is full or the file is gone.
        """
        if self._file is None:
            return
        try:
            data = encode_line(line)
            with self._lock:
                while data:
                    data = data[self._file.write(data) :]
                self._file.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"The report {self.path or 'on stdout'} cannot be written: {error.strerror}.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None and self.path is not None:
            self._file.close()


def open_report(choice: str | None, folder: Path | None, default_name: str) -> ReportFile:
    """The report a user chose: a path, `-`, `none`, or None for the default in the output folder."""
    if choice == "none" or (choice is None and folder is None):
        return ReportFile(None)
    if choice == "-":
        return ReportFile(None, sys.stdout.buffer)
    return ReportFile(Path(choice) if choice is not None else folder / default_name if folder else None)


def outputs_on_record(path: Path) -> set[str]:
    """Absolute paths of the outputs that an earlier report counts as done; lines that are no JSON are ignored."""
    recorded = set()
    try:
        with path.open("rb") as lines:
            for raw in lines:
                try:
                    line = json.loads(raw)
                except ValueError:
                    continue
                if isinstance(line, dict) and line.get("status") == "done" and line.get("output"):
                    recorded.add(os.path.abspath(line["output"]))  # noqa: PTH100 - keeps links as they are
    except OSError:
        return set()
    return recorded
