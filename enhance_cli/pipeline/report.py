"""The report: one JSON line per photo (docs/report.md, docs/report.schema.json), appended and flushed.

It is also the journal of its output folder (`pipeline/journal.py`), and an flock on it keeps two runs from using the
folder at once: a run that died holds no lock, and no further file is needed.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Self

from enhance_cli.errors import OutputError
from enhance_cli.imaging import atomic
from enhance_cli.pipeline.lines import SCHEMA, refuse_foreign


def report_line(
    *,
    source: str,
    output: str | None,
    status: str,
    method: str,
    frames: Iterable[str] = (),
    controls: Mapping[str, Any],
    error: Mapping[str, str] | None = None,
    weights: Mapping[str, Any] | None = None,
    device: str,
    card: Mapping[str, str] | None = None,
    size: list[int] | None = None,
    notes: list[str] | None = None,
    ms: Mapping[str, float] | None = None,
    exposure: Mapping[str, Any] | None = None,
    plan: Mapping[str, Any] | None = None,
    read: Iterable[Mapping[str, Any]] = (),
    written: Iterable[Mapping[str, Any]] = (),
    backup: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The content of one line: all fixed names are present, with null if there is nothing to say."""
    return {
        "schema": SCHEMA,
        "source": source,
        "frames": list(frames),
        "output": output,
        "status": status,
        "error": None if error is None else dict(error),
        "method": method,
        "controls": dict(controls),
        "weights": None if weights is None else dict(weights),
        "device": device,
        "card": None if card is None else dict(card),
        "size": size,
        "notes": notes or [],
        "ms": None if ms is None else {stage: round(value, 2) for stage, value in ms.items()},
        "exposure": None if exposure is None else dict(exposure),
        "plan": None if plan is None else dict(plan),
        "read": [dict(item) for item in read],
        "written": [dict(item) for item in written],
        "backup": None if backup is None else dict(backup),
        "settings": None,
        "shard": None,
    }


def encode_line(line: Mapping[str, Any]) -> bytes:
    """JSON and a newline. Names that are not valid UTF-8 keep their bytes as lone surrogate escapes."""
    text = json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(line, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode() + b"\n"


class ReportFile:
    """A file to which lines are appended; does nothing if no report is wanted."""

    def __init__(
        self,
        path: Path | None,
        stream: BinaryIO | None = None,
        *,
        stamp: Mapping[str, Any] | None = None,
        convert: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
    ) -> None:
        """Open for appending and lock; an incomplete last line is removed.

        Args:
            path: the file, created if absent.
            stream: where lines go if there is no path.
            stamp: fields of every line of this run: `settings` and `shard`.
            convert: converts a line before it is written (see `States.to_report`); by default it is unchanged.

        Raises:
            UsageError: the existing file is not a report.
            OutputError: the file cannot be opened, or another run holds it.
        """
        self.path = path
        self._stamp = dict(stamp or {})
        self._convert = convert or dict
        self._lock = threading.Lock()
        self._file: BinaryIO | None = stream
        if path is not None:
            refuse_foreign(path)
            try:
                self._file = path.open("ab+", buffering=0)
                self._hold(self._file, path)
                _take_away_half_a_line(self._file)
            except OSError as error:
                self.close()
                raise OutputError(f"The report {path} cannot be written: {error.strerror}.") from error

    def _hold(self, file: BinaryIO, path: Path) -> None:
        if not atomic.try_lock(file):
            self.close()
            raise OutputError(f"Another run is writing {path}; wait for it, or give another OUTPUT or --report.")

    def append(self, line: Mapping[str, Any]) -> None:
        """Write one line atomically; from any thread.

        Raises:
            OutputError: the disk is full or the file is gone.
        """
        if self._file is not None:
            self._write(self._encoded(line))

    def _encoded(self, line: Mapping[str, Any]) -> bytes:
        return encode_line(self._convert({**line, **self._stamp}))

    def _write(self, data: bytes) -> None:
        """Write whole lines, or none of them."""
        assert self._file is not None
        try:
            with self._lock:
                start = self._file.tell() if self.path is not None else 0
                if self.path is not None and os.fstat(self._file.fileno()).st_nlink == 0:
                    raise FileNotFoundError(0, "it was removed during the run")
                try:
                    while data:
                        data = data[self._file.write(data) :]
                    self._file.flush()
                except OSError:
                    if self.path is not None:  # remove a partial line: the next one would be joined to it
                        self._file.truncate(start)
                    raise
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"The report {self.path or 'on stdout'} cannot be written: {error.strerror}.") from error

    def append_together(self, lines: Sequence[Mapping[str, Any]]) -> list[OutputError | None]:
        """Append lines from other machines, and sync them to the disk: a power cut would affect only this machine.

        Returns:
            For each line, why it is not written.
        """
        if self._file is None or not lines:
            return [None] * len(lines)
        answers: list[OutputError | None] = [None] * len(lines)
        encoded = [self._encoded(line) for line in lines]
        try:
            self._write(b"".join(encoded))
        except OutputError as whole:
            answers = [whole] if len(lines) == 1 else []
            for data in encoded if len(lines) > 1 else ():  # perhaps there is space for some of them
                try:
                    self._write(data)
                    answers.append(None)
                except OutputError as error:
                    answers.append(error)
        try:
            if self.path is not None:
                os.fdatasync(self._file.fileno())
        except OSError as error:
            unsynced = OutputError(f"The report {self.path} cannot be written: {error.strerror}.")
            return [answer or unsynced for answer in answers]
        return answers

    def finish(self, line: Mapping[str, Any]) -> None:
        """Take a line again after its files are in place; a file keeps it as it was appended."""

    def close(self) -> None:
        """Close the file and release its lock."""
        if self._file is not None and self.path is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_held(path: Path) -> bool:
    """Whether a run is writing a report."""
    try:
        with path.open("rb") as file:
            return not atomic.try_lock(file)
    except OSError:
        return False


def _take_away_half_a_line(file: Any) -> None:
    """Cut off what a killed run left after the last newline, and seek to the end."""
    end = whole = file.seek(0, os.SEEK_END)
    while whole > 0:
        start = max(0, whole - (1 << 16))
        file.seek(start)
        block = file.read(whole - start)
        if b"\n" in block:
            whole = start + block.rindex(b"\n") + 1
            break
        whole = start
    if whole < end:
        file.truncate(whole)
        file.seek(whole)


def open_report(
    path: Path | None,
    *,
    to_stdout: bool = False,
    stamp: Mapping[str, Any] | None = None,
    convert: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
) -> ReportFile:
    """The report at a path, on stdout, or none."""
    return ReportFile(
        None if to_stdout else path, sys.stdout.buffer if to_stdout else None, stamp=stamp, convert=convert
    )
