"""Puts back originals that `--in-place --backup` kept: found in reports, checked by hash, one rename each.

As when a photo is enhanced, its line is appended first: if the process is killed between the two, the original is still
there, and the same command continues. But a line needs disk space and a rename does not: if the disk is full, the line
is tried again after the rename, which frees space, and an original is put back even if no line can be written.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from enhance_cli.errors import EnhanceError, OutputError, Protected, UnreadableSource, UsageError
from enhance_cli.imaging import codecs
from enhance_cli.pipeline import in_place, shards
from enhance_cli.pipeline.journal import path_in_report, path_of_report
from enhance_cli.pipeline.lines import whole_lines
from enhance_cli.pipeline.report import ReportFile, open_report
from enhance_cli.pipeline.states import file_state


@dataclass(slots=True)
class Original:
    """What reports say about one photo whose original was kept."""

    target: Path
    backup: Path
    sha256: str
    """The sha256 of the original."""

    report: Path
    """The report with the latest line about it."""

    line: dict[str, Any]
    written: set[str] = field(default_factory=set)
    """The sha256 of every result that enhance made of it."""


@dataclass(frozen=True, slots=True)
class Restored:
    """The outcome for one photo."""

    target: Path
    status: Literal["restored", "original", "failed"]
    """`original`: the photo is the original already."""

    error: EnhanceError | None = None
    """Why it failed; for a photo that is `restored`, why its report does not say so."""


def find(places: Sequence[Path], *, recursive: bool = False, reports: Iterable[Path] = ()) -> list[Original]:
    """Photos whose originals were kept, according to the reports in the given folders and above them.

    Args:
        places: folders, or photos.
        recursive: include subfolders and their reports.
        reports: further reports.

    Raises:
        UsageError: a place or a report does not exist.
        UnreadableSource: a report cannot be read.
    """
    for path in (*places, *reports):
        if not os.path.lexists(path):
            raise UsageError(f"{path} does not exist; give a folder or a photo.")
    wanted = [Path(os.path.realpath(path)) for path in places]
    found: dict[Path, Original] = {}
    written: dict[Path, set[str]] = {}
    for report in dict.fromkeys(
        (*_reports_near(wanted, recursive), *(Path(os.path.realpath(path)) for path in reports))
    ):
        try:
            for line in whole_lines(report):
                _learn(line, report, found, written)
        except OSError as error:
            raise UnreadableSource(f"The report {report} cannot be read: {error.strerror}.") from error
    chosen = [item for item in found.values() if any(_is_in(item.target, place, recursive) for place in wanted)]
    for item in chosen:
        item.written = written[item.target]
    return sorted(chosen, key=lambda item: item.target)


def without_report(places: Sequence[Path], *, recursive: bool = False) -> list[Path]:
    """Files named like originals, next to their photo, that hold an image: their report is lost."""
    found = []
    for place in places:
        folder = place if place.is_dir() else place.parent
        for below, folders, names in os.walk(folder):
            folders[:] = sorted(folders) if recursive and place.is_dir() else []
            for path in (Path(below, name) for name in sorted(names)):
                photograph = in_place.original_of(path)
                if photograph is not None and (place.is_dir() or photograph == place) and _holds_picture(path):
                    found.append(path)
    return found


def _holds_picture(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return codecs.sniff(file.read(4096)) is not None
    except (OSError, EnhanceError):
        return False


def _reports_near(wanted: Sequence[Path], recursive: bool) -> Iterator[Path]:
    for place in wanted:
        folder = place if place.is_dir() else place.parent
        for above in (*reversed(folder.parents), folder):
            yield from shards.reports_in(above)
        if recursive and place.is_dir():
            for below, folders, _ in os.walk(folder):
                folders.sort()
                if Path(below) != folder:
                    yield from shards.reports_in(Path(below))


def _is_in(target: Path, place: Path, recursive: bool) -> bool:
    return target == place or target.parent == place or (recursive and target.is_relative_to(place))


def _learn(line: dict[str, Any], report: Path, found: dict[Path, Original], written: dict[Path, set[str]]) -> None:
    try:
        if line["status"] != "done" or not line["written"]:
            return
        target = Path(os.path.realpath(path_of_report(line["written"][0]["path"], report)))
        written.setdefault(target, set()).add(line["written"][0]["sha256"])
        backup = line.get("backup")
        if backup:
            path = Path(path_of_report(backup["path"], report))
            found[target] = Original(target, path, str(backup["sha256"]), report, line)
    except (KeyError, TypeError, IndexError):
        return  # not a line of this program


def restore(originals: Sequence[Original], *, force: bool = False) -> Iterator[Restored]:
    """Put originals back; yields the outcome of each.

    Args:
        originals: the result of `find`.
        force: also if a photo was changed since enhance wrote it, or its original has changed.

    Raises:
        OutputError: a report cannot be opened, or a run is writing it.
    """
    with ExitStack() as stack:
        reports = dict.fromkeys(item.report for item in originals)
        files = {path: stack.enter_context(open_report(path)) for path in reports}
        for item in originals:
            try:
                restored = _restore(item, files[item.report], force=force)
            except EnhanceError as error:
                restored = Restored(item.target, "failed", error)
            yield restored


def _restore(item: Original, report: ReportFile, *, force: bool) -> Restored:
    recorded = True
    with ExitStack() as held:
        if item.target.exists():
            held.enter_context(in_place.locked(item.target))
        if not _check(item, force=force):
            return Restored(item.target, "original")
        line = _line(item)
        try:
            report.append(line)
        except OutputError:
            recorded = False
        _put_back(item)
    if not recorded:  # the space of the replaced file is free now that it is closed
        try:
            report.append(line)
        except OutputError as error:
            return Restored(item.target, "restored", OutputError(f"{item.target} is restored, but: {error}"))
    return Restored(item.target, "restored")


def check(item: Original, *, force: bool = False) -> Restored:
    """What `restore` would do, without doing it."""
    try:
        return Restored(item.target, "restored" if _check(item, force=force) else "original")
    except EnhanceError as error:
        return Restored(item.target, "failed", error)


def _check(item: Original, *, force: bool) -> bool:
    """Whether the photo needs to be restored.

    Raises:
        Protected: something would be lost.
        UnreadableSource: the operating system refuses.
    """
    present, kept = _sha256_of(item.target), _sha256_of(item.backup)
    if kept is None:
        if present == item.sha256:
            return False
        raise Protected(f"{item.target} cannot be restored: its original {item.backup} is gone.")
    if force:
        return True
    if kept != item.sha256:
        raise Protected(f"{item.backup} is not the original that was kept of {item.target}; --force uses it anyway.")
    if present is not None and present != item.sha256 and present not in item.written:
        raise Protected(
            f"{item.target} was changed since enhance wrote it; --force puts {item.backup} in its place anyway."
        )
    return True


def _line(item: Original) -> dict[str, Any]:
    """The report line of a restored photo: what it was enhanced with, and the original as the written file."""
    state = {**file_state(item.backup, path_in_report(item.target, item.report)), "sha256": item.sha256}
    nothing: dict[str, Any] = {"size": None, "notes": [], "ms": None, "exposure": None, "plan": None, "read": []}
    return {**item.line, **nothing, "status": "restored", "written": [state]}


def _put_back(item: Original) -> None:
    try:
        if item.target.exists() and item.target.samefile(item.backup):
            item.backup.unlink()  # a rename between two hard links of one file does nothing
        else:
            item.backup.replace(item.target)
    except OSError as error:
        raise OutputError(f"{item.target} cannot be written: {error.strerror}.") from error


def _sha256_of(path: Path) -> str | None:
    """None if there is no file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnreadableSource(f"{path} cannot be read: {error.strerror}.") from error
