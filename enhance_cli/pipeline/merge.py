"""Joining the reports of a run that was split over machines, and saying what is missing from it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from enhance_cli.errors import OutputError, UnreadableSource, UsageError
from enhance_cli.imaging import atomic
from enhance_cli.pipeline import shards
from enhance_cli.pipeline.journal import path_in_report, path_of_report, whole_lines
from enhance_cli.pipeline.report import encode_line, is_held


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the last line of an output stands."""

    report: Path
    number: int
    status: str
    source: str


@dataclass(slots=True)
class Merged:
    """What the joined report holds, and what it lacks."""

    lines: int = 0
    done: int = 0
    failed: list[str] = field(default_factory=list)
    """Sources whose last line is a failure."""

    missing_shards: list[str] = field(default_factory=list)
    """Parts of a split run that have no report here."""

    missing_outputs: list[str] = field(default_factory=list)
    """Pictures that a line calls done and that are not there."""

    missing_sources: list[str] = field(default_factory=list)
    """Pictures of the given inputs that have no line."""

    @property
    def complete(self) -> bool:
        """Whether nothing failed and nothing is missing."""
        return not (self.failed or self.missing_shards or self.missing_outputs or self.missing_sources)


def reports_named(arguments: Iterable[Path]) -> list[Path]:
    """Report files as they were given, and those that lie in given folders.

    Raises:
        UsageError: there is nothing at a path, or no report in a folder.
    """
    found: list[Path] = []
    for path in arguments:
        inside = shards.reports_in(path) if path.is_dir() else [path]
        if not inside or not inside[0].exists():
            raise UsageError(f"{path} holds no report." if path.is_dir() else f"{path} does not exist.")
        found += inside
    return list(dict.fromkeys(found))


def merge(reports: list[Path], target: Path, expected: Iterable[Path] = ()) -> Merged:
    """Write one report with the last line of every output, in order of first mention.

    Args:
        reports: those of the parts, or any others.
        target: the joined report, which may be one of them.
        expected: sources that should have lines.

    Raises:
        OutputError: a run is still writing one of the reports, or the target cannot be written.
        UnreadableSource: a report cannot be read.
    """
    for path in {*reports, target}:
        if is_held(path):
            raise OutputError(f"A run is still writing {path}; merge when it has ended.")
    places: dict[str, _Place] = {}
    parts: set[shards.Shard] = set()
    frames: set[str] = set()
    for report, number, line in _lines(reports):
        name = line.get("output") or line.get("source") or ""
        place = _Place(report, number, line.get("status", ""), os.path.abspath(line.get("source") or ""))  # noqa: PTH100
        key = os.path.abspath(name)  # noqa: PTH100
        # A picture that was skipped says nothing new of what is there.
        if key not in places or place.status != "skipped":
            places[key] = place
        frames.update(os.path.abspath(frame) for frame in line.get("frames") or ())  # noqa: PTH100
        if line.get("shard"):
            parts.add(shards.Shard.parse(line["shard"]))
    parts |= {part for part in map(shards.shard_of, reports) if part is not None}
    merged = Merged(missing_shards=_missing(parts))
    joined = []
    kept = {(place.report, place.number) for place in places.values()}
    for report, number, line in _lines(reports):
        if (report, number) not in kept:
            continue
        if line.get("status") == "failed":
            merged.failed.append(line["source"])
        written = line.get("written") or []
        for item in written:
            file = Path(path_of_report(item["path"], report))
            if not file.exists():
                merged.missing_outputs.append(str(file))
            item["path"] = path_in_report(file, target)
        merged.done += line.get("status") == "done"
        joined.append(encode_line(line))
    merged.lines = len(joined)
    known = {place.source for place in places.values()} | frames
    merged.missing_sources = [str(path) for path in expected if os.path.abspath(path) not in known]  # noqa: PTH100
    atomic.write_atomically(target, b"".join(joined))
    return merged


def _lines(reports: Iterable[Path]) -> Iterator[tuple[Path, int, dict[str, Any]]]:
    for report in reports:
        try:
            for number, (_, line) in enumerate(whole_lines(report)):
                yield report, number, line
        except OSError as error:
            raise UnreadableSource(f"The report {report} cannot be read: {error.strerror}.") from error


def _missing(parts: set[shards.Shard]) -> list[str]:
    """Of every split that left a trace, the parts that left none."""
    return [
        str(part)
        for count in sorted({part.count for part in parts})
        for part in (shards.Shard(number, count) for number in range(1, count + 1))
        if part not in parts
    ]
