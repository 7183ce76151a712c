"""The report of a run in a bucket: numbered parts, each a complete object.

Below `OUTPUT/enhance-report/` (or the folder named by `--report`, without its suffix) every run has its own parts,
`TIME-RUN-000001.jsonl` and so on, so that concurrent runs never write the same object. As in a file, a line is written
before its photo; the part that is being filled is put again with each line, and threads that wait for that put share
it. An etag is known only after its photo was put: it is added when its part is put next.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from enhance_cli.errors import EnhanceError, OutputError
from enhance_cli.pipeline.mirror import Mirror
from enhance_cli.pipeline.report import ReportFile, encode_line
from enhance_cli.pipeline.shards import Shard, report_name
from enhance_cli.storage import Location

LINES = 64
"""Lines of a part: some 100 kB, so that putting a part again with each line costs little compared with the photos."""

_PART = re.compile(r"\d{8}T\d{9}Z-[0-9a-f]{8}(?:\.\d{1,6}-of-\d{1,6})?-\d{6}\.jsonl")
_AT_ONCE = 16


@dataclass(slots=True)
class _Part:
    number: int
    lines: list[bytes] = field(default_factory=list)
    """Encoded, because they are put again with each further line."""

    open: int = 0
    """How many lines may still be completed."""

    fresh: bool = False
    """Whether it has lines that its object lacks: their photos wait for it."""

    stale: bool = False
    """Whether lines were completed since it was put."""


class PartedReport(ReportFile):
    """A report in a bucket, appended to from any thread."""

    def __init__(
        self,
        path: Path,
        mirror: Mirror,
        *,
        stamp: Mapping[str, Any] | None = None,
        convert: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        shard: Shard | None = None,
    ) -> None:
        """Begin with no part.

        Args:
            path: the place of the report; its parts are below this path without its suffix.
            mirror: maps places to objects.
            stamp: fields of every line.
            convert: turns places in lines into URLs.
            shard: of the run, for the names of the parts.
        """
        super().__init__(None, stamp=stamp, convert=convert)
        self.path = path
        folder = folder_of(path, mirror)
        self._store, self._folder = mirror.store(folder), folder
        now = time.time_ns()
        moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now // 10**9)) + f"{now // 10**6 % 1000:03d}Z"
        part = "" if shard is None else f".{shard.number}-of-{shard.count}"
        self._run = f"{moment}-{secrets.token_hex(4)}{part}"
        self._adding, self._putting = threading.Lock(), threading.Lock()
        self._parts = [_Part(1)]
        self._places: dict[str, tuple[_Part, int]] = {}
        self._added = self._put_until = 0

    def append(self, line: Mapping[str, Any]) -> None:
        """See `ReportFile`; returns when an object holds the line.

        Raises:
            OutputError: it cannot be written.
        """
        self._put_with(self._add(line))

    def append_together(self, lines: Sequence[Mapping[str, Any]]) -> list[OutputError | None]:
        """See `ReportFile`: all with one put."""
        tickets = [self._add(line) for line in lines]
        try:
            if tickets:
                self._put_with(tickets[-1])
        except OutputError as error:
            return [error] * len(tickets)
        return [None] * len(tickets)

    def _add(self, line: Mapping[str, Any]) -> int:
        """Add a line to the last part; returns how many were added to all."""
        shown = self._convert({**line, **self._stamp})
        with self._adding:
            part = self._parts[-1]
            if len(part.lines) >= LINES:
                part = _Part(part.number + 1)
                self._parts.append(part)
            part.lines.append(encode_line(shown))
            part.fresh = True
            earlier, _ = self._places.pop(str(shown["output"]), (None, 0))
            if earlier is not None:  # its photo was not put in the end
                earlier.open -= 1
            if shown["status"] == "done" and shown["written"]:
                self._places[str(shown["output"])] = part, len(part.lines) - 1
                part.open += 1
            self._added += 1
            return self._added

    def _put_with(self, ticket: int) -> None:
        """Return when an object holds a line and all before it."""
        with self._putting:  # another thread may have put this line too in the meantime
            if self._put_until < ticket:
                self._put()

    def finish(self, line: Mapping[str, Any]) -> None:
        """Complete a line with what is known after its photo was put."""
        shown = self._convert({**line, **self._stamp})
        with self._adding:
            part, number = self._places.pop(str(shown["output"]), (None, 0))
            if part is None:
                return
            part.lines[number] = encode_line(shown)
            part.open -= 1
            part.stale = True

    def _put(self, *, all: bool = False) -> None:
        """Put every part with new lines, and full parts whose last line was completed; with `all`, every stale part."""
        with self._adding:
            until, last = self._added, self._parts[-1]
            waiting = [
                (part, part.stale, b"".join(part.lines))
                for part in self._parts
                if part.fresh or (part.stale and (all or (part.open == 0 and part is not last)))
            ]
            for part, _, _ in waiting:
                part.fresh = part.stale = False
        try:
            for part, _, data in waiting:
                key = f"{self._folder.key}/{self._run}-{part.number:06d}.jsonl".lstrip("/")
                self._store.put(key, data, None)
        except EnhanceError as error:
            with self._adding:
                for part, stale, _ in waiting:
                    part.fresh, part.stale = True, stale
            raise OutputError(f"The report cannot be written: {error}") from error
        with self._adding:
            self._put_until = until
            self._parts = [
                part for part in self._parts if part.number >= last.number or part.open or part.fresh or part.stale
            ]

    def close(self) -> None:
        """Put everything that is pending.

        Raises:
            OutputError: it cannot be written.
        """
        with self._putting:
            self._put(all=True)


def folder_of(report: Path, mirror: Mirror) -> Location:
    """The location of the parts of a report; those of all shards are together."""
    location = mirror.location(report)
    assert location is not None
    folder, slash, name = location.key.rpartition("/")
    if re.fullmatch(r"enhance-report\.\d{1,6}-of-\d{1,6}\.jsonl", name):
        name = report_name(None)
    return location._replace(key=f"{folder}{slash}{name.removesuffix('.jsonl')}")


def fetch(report: Path, mirror: Mirror) -> bool:
    """Read the parts of all runs into the place of a report, oldest first; returns whether there are any.

    Raises:
        EnhanceError: they cannot be read.
        OutputError: there is no space for them.
    """
    folder = folder_of(report, mirror)
    store = mirror.store(folder)
    names = sorted(item.key for item in store.list(folder.key) if _PART.fullmatch(item.key.rpartition("/")[2]))
    if not names:
        return False
    try:
        report.parent.mkdir(parents=True, exist_ok=True)
        with report.open("wb") as file, ThreadPoolExecutor(_AT_ONCE) as pool:
            for data in _in_order(pool, names, lambda key: store.get(key)[0]):
                file.write(data)
    except OSError as error:
        raise OutputError(f"The folder {tempfile.gettempdir()} cannot be written: {error.strerror}.") from error
    return os.path.getsize(report) > 0  # noqa: PTH202


def _in_order(pool: ThreadPoolExecutor, names: list[str], get: Callable[[str], bytes]) -> Iterator[bytes]:
    """The results of `get` for all names, several at a time, never all in memory."""
    for start in range(0, len(names), _AT_ONCE):
        yield from pool.map(get, names[start : start + _AT_ONCE])
