"""Recognises results of enhance by their content, from every report in reach of a photo.

In reach are the run's own report and those in the photo's folder and the folders above it, links included. Reports
are read on first use, and lines appended since are read on every later use: another run may be working on the same
album.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from enhance_cli.pipeline import shards
from enhance_cli.pipeline.journal import path_of_report
from enhance_cli.pipeline.lines import parsed, raw_lines

_MOST_FOLDERS = 64
"""How many folders above a photo are searched."""


class Trace(NamedTuple):
    """What is known about a file that enhance wrote."""

    method: str
    illustration: bool = False
    """Whether it is an illustration."""


@dataclass(slots=True)
class _Report:
    """What one report says; `read` bytes of it have been read."""

    path: Path
    read: int = 0
    contents: dict[int, Trace] = field(default_factory=dict)
    """By the beginning of the sha256 of the written file."""

    states: dict[int, Trace] = field(default_factory=dict)
    """By path, size and time of the written file."""

    backups: dict[int, str] = field(default_factory=dict)
    """By path: the sha256 of the original that was kept there."""

    def refresh(self) -> None:
        """Read what is new. A report that cannot be read is ignored."""
        try:
            size = self.path.stat().st_size
            if size == self.read:
                return
            with self.path.open("rb") as file:
                if size < self.read:  # it was replaced by another file
                    self.read = 0
                file.seek(self.read)
                for line in raw_lines(file):
                    if line.too_long:
                        continue
                    if not line.whole:
                        break
                    self.read = file.tell()
                    self._learn(line.data)
        except OSError:
            return

    def _learn(self, raw: bytes) -> None:
        try:
            line = parsed(raw)
            written = line["written"]
            if not written:
                return
            first = (path_of_report(written[0]["path"], self.path), written[0]["bytes"], written[0]["modified_ns"])
            if line["status"] == "restored":
                self.states.pop(hash(first), None)
            if line["status"] != "done":
                return
            for number, item in enumerate(written):
                trace = Trace(line["method"], number > 0)
                if item["sha256"]:
                    self.contents[_short(item["sha256"])] = trace
                if not _same_state(item, line["read"]):
                    state = (path_of_report(item["path"], self.path), item["bytes"], item["modified_ns"])
                    self.states[hash(state)] = trace
            backup = line.get("backup")
            if backup:
                self.backups[hash(path_of_report(backup["path"], self.path))] = backup["sha256"]
        except (ValueError, KeyError, TypeError, AttributeError):
            return  # a line of some other make


class _Folder(NamedTuple):
    """A folder of photos and the reports in reach."""

    names: tuple[str, ...]
    reports: tuple[Path, ...]


class Known:
    """What a run in place knows of earlier results. Thread-safe; pickled without what it has read."""

    def __init__(self, report: Path | None) -> None:
        """Read nothing yet.

        Args:
            report: the run's own.
        """
        self._own = None if report is None else Path(os.path.realpath(report))
        self._lock = threading.Lock()
        self._reports: dict[Path, _Report] = {}
        self._folders: dict[str, _Folder] = {}
        self._listed: dict[Path, list[Path]] = {}
        """By folder: the reports, including those of parts, that existed when it was first searched."""

    def __reduce__(self) -> tuple[type[Known], tuple[Path | None]]:
        return Known, (self._own,)

    def by_state(self, path: Path) -> Trace | None:
        """What is known about a file in its current state, by its path, size and time."""
        try:
            status = path.stat()
        except OSError:
            return None
        with self._lock:
            folder, reports = self._near(path)
            keys = [
                hash((os.path.join(parent, path.name), status.st_size, status.st_mtime_ns))  # noqa: PTH118
                for parent in folder.names
            ]
            return next((report.states[key] for report in reports for key in keys if key in report.states), None)

    def by_content(self, path: Path, sha256: str) -> Trace | None:
        """What is known about a file, by the sha256 of its bytes."""
        key = _short(sha256)
        with self._lock:
            return next((report.contents[key] for report in self._near(path)[1] if key in report.contents), None)

    def has_contents(self, path: Path) -> bool:
        """Whether computing the sha256 of a file is worthwhile: some report in reach contains hashes."""
        with self._lock:
            return any(report.contents for report in self._near(path)[1])

    def backup(self, path: Path) -> str | None:
        """The sha256 of the original that was kept at a path according to a report; None if no report says so."""
        with self._lock:
            folder, reports = self._near(path)
            keys = [hash(os.path.join(parent, path.name)) for parent in folder.names]  # noqa: PTH118
            return next((report.backups[key] for report in reports for key in keys if key in report.backups), None)

    def _near(self, path: Path) -> tuple[_Folder, list[_Report]]:
        """The folder of a file and the reports in its reach, up to date."""
        parent = os.path.dirname(os.path.abspath(path))  # noqa: PTH100, PTH120
        folder = self._folders.get(parent)
        if folder is None:
            names = tuple(dict.fromkeys((parent, os.path.realpath(parent))))
            above = dict.fromkeys(
                place for name in names for place in (Path(name), *Path(name).parents[:_MOST_FOLDERS])
            )
            paths = [] if self._own is None else [self._own]
            for place in above:
                paths += [Path(os.path.realpath(place)) / shards.report_name(None), *self._parts(place)]
            folder = self._folders[parent] = _Folder(names, tuple(dict.fromkeys(paths)))
        found = []
        for report_path in folder.reports:
            report = self._reports.get(report_path)
            if report is None:
                report = self._reports[report_path] = _Report(report_path)
                report.refresh()
            elif report_path != self._own:  # lines that this run has appended need not be read
                report.refresh()
            found.append(report)
        return folder, found

    def _parts(self, folder: Path) -> list[Path]:
        if folder not in self._listed:
            self._listed[folder] = shards.reports_in(Path(os.path.realpath(folder)))
        return self._listed[folder]


def _short(sha256: str) -> int:
    return int(sha256[:16], 16)


def _same_state(written: dict[str, Any], read: list[dict[str, Any]]) -> bool:
    """Whether size and time cannot distinguish an output from its source (`--preserve-times`, BMP)."""
    return any((item["bytes"], item["modified_ns"]) == (written["bytes"], written["modified_ns"]) for item in read)
