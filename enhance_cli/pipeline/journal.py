"""What earlier runs did, read from their reports, so that a restart repeats nothing.

A line is written after its files are staged and before they are placed (`imaging/atomic.py`). So every file in place
has its line, whenever a run was killed; and a line without its file means that the run was killed between the two, so
the photo is processed again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from enhance_cli.errors import UnreadableSource
from enhance_cli.pipeline.lines import whole_lines
from enhance_cli.pipeline.states import States


def settings_digest(parts: Mapping[str, Any]) -> str:
    """A digest, in sixteen digits, of everything but the source that decides an output; a restart compares it."""
    text = repr(sorted((name, repr(value)) for name, value in parts.items()))
    return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=8).hexdigest()


def path_in_report(path: Path, report: Path | None) -> str:
    """The path of a written file in its line: relative to the report's folder if below it, so that both can move."""
    absolute = os.path.abspath(path)  # noqa: PTH100
    folder = None if report is None else os.path.dirname(os.path.abspath(report))  # noqa: PTH100, PTH120
    return os.path.relpath(absolute, folder) if folder and absolute.startswith(os.path.join(folder, "")) else absolute  # noqa: PTH118


def path_of_report(name: str, report: Path) -> str:
    """The absolute path that `path_in_report` named."""
    return os.path.abspath(os.path.join(os.path.dirname(report), name))  # noqa: PTH100, PTH118, PTH120


class Journal:
    """The latest state of every output. It stores hashes, so that a line takes about two hundred bytes of memory."""

    def __init__(self, reports: Iterable[Path] = (), *, by_content: bool = False, states: States | None = None) -> None:
        """Read reports; later lines replace earlier ones.

        Args:
            reports: files that do not exist are skipped.
            by_content: sources are compared by their bytes instead of size and time.
            states: what is at a path now; by default the disk is asked.
        """
        self._by_content = by_content
        self._states = states or States()
        self._made_of: dict[int, int] = {}
        """By output: settings and source; absent if the last line is a failure."""

        self._source: dict[int, tuple[int, int]] = {}
        """By output: the name and the state of its source."""

        self._last: dict[int, int] = {}
        """By written file: its state when it was last written."""

        self._ever: set[int] = set()
        """All states that were ever written."""

        self._removed: set[int] = set()
        """Outputs that a review removed."""

        for report in reports:
            try:
                for line in whole_lines(report):
                    self._learn(self._states.from_report(line), report)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise UnreadableSource(f"The report {report} cannot be read: {error.strerror}.") from error

    def _learn(self, line: Mapping[str, Any], report: Path) -> None:
        try:
            if line["status"] == "skipped":  # it was enhanced before, and had this state
                for item in line["read"]:
                    self._last[hash(path_of_report(item["path"], report))] = _state(item)
                return
            if line["status"] == "restored":
                for item in line["written"]:
                    self._last.pop(hash(path_of_report(item["path"], report)), None)
                return
            written = [
                self._states.adopted({**item, "path": path_of_report(item["path"], report)})
                for item in line.get("written") or ()
            ]
            for item in written:
                self._last[hash(item["path"])] = number = _state(item)
                self._ever.add(number)
            rejected = line["status"] == "rejected"
            if rejected and not written:
                output = hash(path_of_report(line["review"]["removed"], report))
                self._last.pop(output, None)
                self._removed.add(output)
                self._made_of[output] = self._origin(line["settings"], line["read"])
            elif (line["status"] == "done" or rejected) and written:
                output = hash(written[0]["path"])
                self._removed.discard(output)
                self._made_of[output] = self._origin(line["settings"], line["read"])
                if line["read"]:
                    self._source[output] = _source_of(line["read"][0])
            elif line["status"] == "failed" and line["output"]:
                self._made_of.pop(hash(os.path.abspath(line["output"])), None)  # noqa: PTH100
        except (LookupError, TypeError, ValueError, ArithmeticError):
            return  # not a line of this program

    def _origin(self, settings: str, read: Iterable[Mapping[str, Any]]) -> int:
        # Without a recorded hash nothing is proved; NaN equals nothing, so that such a photo is processed again.
        states = (
            state
            for item in read
            for state in ((item["sha256"],) if self._by_content else (item["bytes"], _time(item)))
        )
        return hash((settings, *(float("nan") if state is None else state for state in states)))

    def owns(self, path: Path) -> bool:
        """Whether a run wrote this file and it has not changed since."""
        return self._now(path) in self._ever

    def knows(self, path: Path) -> bool:
        """Whether a run wrote a file of this name, changed since or not."""
        return hash(os.path.abspath(path)) in self._last  # noqa: PTH100

    def is_of_another(self, path: Path, source: Path) -> bool:
        """Whether an output was made from another image: neither the same name nor the same size and time."""
        made = self._source.get(hash(os.path.abspath(path)))  # noqa: PTH100
        if made is None:
            return False
        try:
            asking = _source_of(self._states.state(source))
        except OSError:
            return False
        return made[0] != asking[0] and made[1] != asking[1]

    def is_latest(self, path: Path) -> bool:
        """Whether a file is as the last run left it."""
        now = self._now(path)
        return now is not None and self._last.get(hash(os.path.abspath(path))) == now  # noqa: PTH100

    def _now(self, path: Path) -> int | None:
        """A file's present state as one number; None where there is none."""
        try:
            return _state(self._states.state(path))
        except OSError:
            return None

    def has_done(
        self, settings: str, sources: Iterable[Path], outputs: Iterable[Path], pictures: Iterable[Path]
    ) -> bool:
        """Whether there is nothing to do: the settings and sources are the same, and all outputs still exist.

        An output that was changed since counts as existing and is left alone; an output of an earlier run with other
        settings does not.

        Args:
            settings: of the current run.
            sources: every file that decides the outputs.
            outputs: every file that would be written.
            pictures: those of the outputs that have report lines of their own.
        """
        if not all(hash(os.path.abspath(path)) in self._made_of for path in pictures):  # noqa: PTH100 - no disk asked
            return False
        for path in outputs:
            now = self._now(path)
            if now is None and hash(os.path.abspath(path)) in self._removed:  # noqa: PTH100
                continue
            if now is None or (now in self._ever and now != self._last.get(hash(os.path.abspath(path)))):  # noqa: PTH100
                return False
        try:
            read = [self._states.state(path, hashed=self._by_content) for path in sources]
        except OSError:
            return False
        origin = self._origin(settings, read)
        return all(self._made_of[hash(os.path.abspath(path))] == origin for path in pictures)  # noqa: PTH100


def _source_of(item: Mapping[str, Any]) -> tuple[int, int]:
    name = os.path.abspath(item["path"])  # noqa: PTH100 - a relative one is from where the same command runs
    return hash(name), hash((item["bytes"], _time(item)))


def _state(item: Mapping[str, Any]) -> int:
    return hash((item["path"], item["bytes"], _time(item)))


def _time(item: Mapping[str, Any]) -> int | str:
    """What changes with every write: of an object its etag, of a file its time."""
    stamp: int | str = item.get("etag") or item["modified_ns"]
    return stamp
