"""Joins the reports of a run that was split over machines, and says what is missing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from enhance_cli.errors import OutputError, UnreadableSource, UsageError
from enhance_cli.imaging import atomic
from enhance_cli.pipeline import shards
from enhance_cli.pipeline.journal import path_in_report, path_of_report
from enhance_cli.pipeline.lines import LONGEST, RawLine, fault_of, parsed, raw_lines, refuse_foreign
from enhance_cli.pipeline.report import encode_line, is_held
from enhance_cli.pipeline.states import States


@dataclass(frozen=True, slots=True)
class _Place:
    """The position of the last line of an output."""

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

    remarks: list[str] = field(default_factory=list)
    """Messages for the user: what was left out and why."""

    missing_shards: list[str] = field(default_factory=list)
    """Parts of a split run that have no report here."""

    missing_outputs: list[str] = field(default_factory=list)
    """Images that are done according to a line but do not exist."""

    missing_sources: list[str] = field(default_factory=list)
    """Images of the given inputs that have no line."""

    @property
    def complete(self) -> bool:
        """Whether nothing failed and nothing is missing."""
        return not (self.failed or self.missing_shards or self.missing_outputs or self.missing_sources)


@dataclass(frozen=True, slots=True)
class Reports:
    """The reports to join."""

    files: list[Path]
    named: frozenset[Path] = frozenset()
    """Those that the user named, as opposed to found in a folder."""


def reports_named(arguments: Iterable[Path]) -> Reports:
    """Report files that were given, and those in given folders.

    Raises:
        UsageError: a path does not exist or is not a report, or a folder holds no report.
    """
    found: list[Path] = []
    named: list[Path] = []
    for path in arguments:
        inside = shards.reports_in(path) if path.is_dir() else [path]
        if not inside or not inside[0].exists():
            raise UsageError(f"{path} holds no report." if path.is_dir() else f"{path} does not exist.")
        if not path.is_dir():
            named.append(path)
        found += inside
    for path in found:
        refuse_foreign(path, "REPORT")
    return Reports(list(dict.fromkeys(found)), frozenset(named))


def merge(reports: Reports, target: Path, expected: Iterable[Path] = (), states: States | None = None) -> Merged:
    """Write one report with the last line of every output, in order of first mention.

    Args:
        reports: those of the parts, or any others.
        target: the joined report; it may be one that was found in a folder, or what an earlier merge of the same made.
        expected: sources that should have lines.
        states: what there is at a path; by default the disk is asked.

    Raises:
        UsageError: a line is not a report line, or lines of the target would be lost.
        OutputError: a run is still writing one of the reports, or the target cannot be written.
        UnreadableSource: a report cannot be read.
    """
    states = states or States()
    refuse_foreign(target, "OUTPUT")
    for path in {*reports.files, target}:
        if is_held(path):
            raise OutputError(f"A run is still writing {path}; merge when it has ended.")
    _refuse_part(reports, target)
    merged = Merged()
    places: dict[str, _Place] = {}
    parts: set[shards.Shard] = set()
    frames: set[str] = set()
    seen: set[bytes] = set()
    beside = _elsewhere(target, reports)
    for report, number, line in _lines(reports.files, merged.remarks, states):
        name = line.get("output") or line.get("source") or ""
        place = _Place(report, number, line["status"], os.path.abspath(line["source"]))  # noqa: PTH100
        key = os.path.abspath(name)  # noqa: PTH100
        # The line of a skipped image says nothing new about it.
        if key not in places or place.status != "skipped":
            places[key] = place
        frames.update(os.path.abspath(frame) for frame in line.get("frames") or ())  # noqa: PTH100
        if line.get("shard"):
            parts.add(shards.Shard.parse(line["shard"]))
        if beside:
            seen.add(_digest(_moved(line, report, target, states)))
    for report, number, line in _lines(beside, merged.remarks, states):
        if _digest(_moved(line, report, target, states)) not in seen:
            raise UsageError(
                f"OUTPUT {target} holds a line that is in none of the reports to join (line {number}), which would be "
                "lost; name a new file as the last argument."
            )
    parts |= {part for part in map(shards.shard_of, reports.files) if part is not None}
    merged.missing_shards = _missing(parts)
    joined = []
    kept = {(place.report, place.number) for place in places.values()}
    for report, number, line in _lines(reports.files, [], states):
        if (report, number) not in kept:
            continue
        if line["status"] == "failed":
            merged.failed.append(line["source"])
        for item in line.get("written") or ():
            file = path_of_report(item["path"], report)
            if not states.is_there(file):
                merged.missing_outputs.append(file)
        merged.done += line["status"] == "done"
        joined.append(_moved(line, report, target, states))
    merged.lines = len(joined)
    known = {place.source for place in places.values()} | frames
    merged.missing_sources = [str(path) for path in expected if os.path.abspath(path) not in known]  # noqa: PTH100
    atomic.write_atomically(Path(os.path.realpath(target)), b"".join(joined))  # a link stays one
    return merged


def _refuse_part(reports: Reports, target: Path) -> None:
    """Check that the target is not an input report: if OUTPUT was forgotten, the last report is taken for it."""
    if not target.exists():
        return
    if any(target.samefile(path) for path in reports.named):
        raise UsageError(f"OUTPUT {target} is one of the reports to join; name a new file as the last argument.")
    if shards.shard_of(target) is not None:
        raise UsageError(
            f"OUTPUT {target} is the report of one part, and is left as it is; name a new file as the last argument."
        )


def _elsewhere(target: Path, reports: Reports) -> list[Path]:
    """The target, if it is there and not among the reports."""
    return [target] if target.exists() and not any(target.samefile(path) for path in reports.files) else []


def _moved(line: Mapping[str, Any], report: Path, target: Path, states: States) -> bytes:
    """A line of one report, rewritten for another report."""
    written = line.get("written")
    if written:
        paths = [path_in_report(Path(path_of_report(item["path"], report)), target) for item in written]
        line = {**line, "written": [{**item, "path": path} for item, path in zip(written, paths, strict=True)]}
    return encode_line(states.to_report(line))


def _digest(line: bytes) -> bytes:
    return hashlib.blake2b(line, digest_size=16).digest()


def _lines(
    reports: Iterable[Path], remarks: list[str], states: States
) -> Iterator[tuple[Path, int, Mapping[str, Any]]]:
    """(report, line number from 1, line); an incomplete line of a killed run is skipped with a remark.

    Raises:
        UsageError: a line is none of a report.
        UnreadableSource: a report cannot be read.
    """
    for report in reports:
        try:
            with report.open("rb") as file:
                for raw in raw_lines(file):
                    line = _line(raw, report)
                    if line is None:
                        remarks.append(f"{report}, line {raw.number}, was cut off and is left out.")
                    else:
                        yield report, raw.number, states.from_report(line)
        except OSError as error:
            raise UnreadableSource(f"The report {report} cannot be read: {error.strerror}.") from error


def _line(raw: RawLine, report: Path) -> dict[str, Any] | None:
    """One line as an object; None for an incomplete last line."""
    try:
        if raw.too_long:
            raise ValueError(f"it is longer than {LONGEST >> 20} MiB")
        line = parsed(raw.data)
        fault = fault_of(line)
        if fault is None:
            encode_line(line)  # infinite numbers can be read but not be written as JSON
    except (ValueError, RecursionError) as error:
        if not raw.whole and not raw.too_long:
            return None
        fault = str(error) if not isinstance(error, RecursionError) else "it is nested too deeply"
    if fault is not None:
        raise UsageError(
            f"{report}, line {raw.number}, is not a report line ({fault}); take it out, or leave that file out."
        )
    return line


def _missing(parts: set[shards.Shard]) -> list[str]:
    """For every split that appears in the reports, the parts that do not."""
    return [
        str(part)
        for count in sorted({part.count for part in parts})
        for part in (shards.Shard(number, count) for number in range(1, count + 1))
        if part not in parts
    ]
