"""Carries out a review, the `review.json` of a gallery, photo by photo.

Only outputs in a report are changed, and only if source and output are as they were when they were reviewed. As in a
run, a file is staged, its report line is appended, and then it is placed: if this is interrupted, the same command
continues, and finds in the report what is done already. A line contains the digest of the original run's settings, so
that the command that made the photo treats it as done and does not undo the review.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from enhance_cli.controls import limited_file
from enhance_cli.errors import (
    ChangedSource,
    EnhanceError,
    MissingSource,
    OutputError,
    Protected,
    UnreadableSource,
    UnsupportedFormat,
    UsageError,
)
from enhance_cli.gallery import values
from enhance_cli.gallery.choices import command_of
from enhance_cli.gallery.photos import Photo, read, reports_of
from enhance_cli.gallery.previews import contents
from enhance_cli.imaging import atomic
from enhance_cli.imaging.codecs import format_of_suffix, sniff
from enhance_cli.pipeline import restore
from enhance_cli.pipeline.journal import path_in_report
from enhance_cli.pipeline.report import ReportFile, open_report
from enhance_cli.pipeline.run import Run, run
from enhance_cli.pipeline.states import file_state

SCHEMA = "enhance-review/1"
_DECISIONS = ("keep", "reject", "redo")

Status = Literal["kept", "rejected", "removed", "redone", "done before", "left"]


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on one photo."""

    decision: str
    output: Path
    source: str
    state: Mapping[str, str]
    """Size and time of the output that was reviewed; empty if there was none."""

    method: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Review:
    """An exported review."""

    folder: Path
    reports: tuple[Path, ...]
    decisions: tuple[Decision, ...]


@dataclass(frozen=True, slots=True)
class Applied:
    """The result of one decision."""

    output: Path
    status: Status
    error: EnhanceError | None = None


def load(path: Path, place: Path | None = None) -> Review:
    """Read a review.

    Args:
        path: of `review.json`.
        place: the output folder, if it was moved since the review.

    Raises:
        UsageError: it cannot be read, or is not a review.
    """
    try:
        told = json.loads(limited_file(path))
    except OSError as error:
        raise UsageError(f"The review {path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError):
        raise UsageError(f"The review {path} is not JSON; give the review.json that a gallery exported.") from None
    told = values.mapping(told)
    photos = told.get("photos")
    if told.get("schema") != SCHEMA or not isinstance(photos, list) or not values.text(told.get("folder")):
        raise UsageError(f"{path} is not a review ({SCHEMA}); give the review.json that a gallery exported.")
    folder = Path(told["folder"])
    decisions = tuple(_decision(values.mapping(photo), number, path) for number, photo in enumerate(photos, 1))
    reports = tuple(Path(report) for report in values.texts(told.get("reports"), most=10_000))
    if place is not None:
        new = Path(os.path.abspath(place))  # noqa: PTH100
        decisions = tuple(replace(one, output=_moved(one.output, folder, new)) for one in decisions)
        return Review(new, tuple(reports_of(new)), decisions)
    return Review(folder, reports or tuple(reports_of(folder)), decisions)


def _decision(told: Mapping[str, Any], number: int, path: Path) -> Decision:
    redo = values.mapping(told.get("redo"))
    state = values.mapping(told.get("state"))
    decision = Decision(
        values.text(told.get("decision")),
        Path(values.text(told.get("output"), 1 << 16)),
        values.text(told.get("source"), 1 << 16),
        {name: state[name] for name in ("bytes", "modified_ns") if isinstance(state.get(name), str)},
        values.text(redo.get("method")),
        values.mapping(redo.get("options")),
    )
    if decision.decision not in _DECISIONS or (told.get("output") and not decision.output.is_absolute()):
        raise UsageError(
            f"{path}: photo {number} has no decision (keep, reject or redo) or no output; export it again."
        )
    return decision


def _moved(output: Path, old: Path, new: Path) -> Path:
    return new / output.relative_to(old) if output.is_relative_to(old) else output


def apply(
    review: Review,
    *,
    remove: bool = False,
    options: Mapping[str, Any] | None = None,
    dry_run: bool = False,
) -> Iterator[Applied]:
    """Carry out a review; yields the result of each decision.

    Args:
        review: the decisions.
        remove: remove rejected outputs instead of replacing them by their sources.
        options: of the runs that redo photos: device, jobs, weights, quality, strip.
        dry_run: only report what would be done.

    Raises:
        UsageError: a report is missing.
        OutputError: a report cannot be written, or a run is writing it.
    """
    for report in review.reports:
        reports_of(report)
    known = {str(photo.output): photo for photo in read(review.reports)}
    redo: list[tuple[Decision, Photo, Run]] = []
    for decision in review.decisions:
        if decision.decision == "keep":
            yield Applied(decision.output, "kept")
            continue
        try:
            photo = known.get(str(decision.output))
            if photo is None:
                raise UsageError(f"No report of {review.folder} has {decision.output}, so it is left alone.")
            if decision.decision == "reject":
                yield Applied(decision.output, _reject(decision, photo, remove=remove, dry_run=dry_run))
                continue
            asked = _asked(decision, photo, options or {})
            if _is_redone(photo, asked):
                yield Applied(decision.output, "done before")
            else:
                _refuse_changed(decision, photo)
                redo.append((decision, photo, asked))
        except EnhanceError as error:
            yield Applied(decision.output, "left", error)
    if dry_run:
        yield from (Applied(decision.output, "redone") for decision, _, _ in redo)
    else:
        yield from _redo(redo)


# --- whether a photo is unchanged since its review --------------------------------------------------------------


def _now(path: Path) -> dict[str, str]:
    """Size and time of a file, as in a review; empty if there is none."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UnreadableSource(f"{path} cannot be read: {error.strerror}.") from error
    return {"bytes": str(status.st_size), "modified_ns": str(status.st_mtime_ns)}


def _refuse_changed(decision: Decision, photo: Photo) -> None:
    """Check that output and source are unchanged since the review.

    Raises:
        Protected: the output has changed.
        ChangedSource: the source has changed.
        MissingSource: there is no source.
    """
    if _now(decision.output) != decision.state:
        raise Protected(f"{decision.output} changed since it was reviewed, and is left alone; build the gallery again.")
    read_then = photo.line.get("read") or []
    if photo.source is None or not photo.source.exists():
        raise MissingSource(f"The source of {decision.output} is not there, so it is left alone: {photo.source}")
    if read_then and photo.source != photo.output:
        source = _now(photo.source) if not photo.source.is_symlink() else _now(Path(os.path.realpath(photo.source)))
        then = {name: str(read_then[0].get(name)) for name in ("bytes", "modified_ns")}
        if source != then:
            raise ChangedSource(
                f"{photo.source} changed since it was enhanced, so {decision.output} is left alone; enhance it again."
            )


def _is_in_place(photo: Photo) -> bool:
    return photo.line.get("backup") is not None or (
        photo.source is not None and os.path.realpath(photo.source) == os.path.realpath(photo.output or "")
    )


# --- reject --------------------------------------------------------------------------------------------------


def _reject(decision: Decision, photo: Photo, *, remove: bool, dry_run: bool) -> Status:
    assert photo.output is not None
    now = _now(photo.output)
    if photo.line["status"] in ("rejected", "restored") and now == photo.state:
        return "done before"
    if not now and not decision.state:
        return "done before"  # the photo failed: there is no output to reject
    if _is_in_place(photo):
        return _restore(decision, photo, dry_run=dry_run)
    _refuse_changed(decision, photo)
    if photo.line.get("frames") and not remove:
        raise UnsupportedFormat(
            f"{photo.output} was made from several photos, so no source can replace it; --remove removes it."
        )
    if dry_run:
        return "removed" if remove else "rejected"
    with open_report(photo.report) as report:
        if remove:
            report.append(_line(photo, [], removed=path_in_report(photo.output, photo.report)))
            try:
                photo.output.unlink()
            except OSError as error:
                raise OutputError(f"{photo.output} cannot be removed: {error.strerror}.") from error
            return "removed"
        _put_source(decision, photo, report)
        return "rejected"


def _put_source(decision: Decision, photo: Photo, report: ReportFile) -> None:
    """Replace an output by its source, byte for byte."""
    assert photo.output is not None
    assert photo.source is not None
    try:
        data = contents(photo.source)
    except OSError as error:
        raise UnreadableSource(f"{photo.source} cannot be read: {error.strerror}.") from error
    held, named = sniff(data), format_of_suffix(photo.output)
    if held is not None and named is not None and held.name != named.name:
        raise UnsupportedFormat(
            f"{photo.source} is {held.name} and cannot stand in as {photo.output}; --remove removes the output instead."
        )
    with atomic.Staged(photo.output, data) as staged:
        state = file_state(staged.path, path_in_report(photo.output, photo.report))
        report.append(_line(photo, [state]))
        if _now(photo.output) != decision.state:
            raise Protected(f"{photo.output} was changed by another program just now, and is left alone.")
        staged.place()


def _line(photo: Photo, written: list[dict[str, Any]], removed: str | None = None) -> dict[str, Any]:
    """The report line of a rejected photo: what it was made with, and what is in its place."""
    nothing: dict[str, Any] = {"error": None, "notes": [], "ms": None, "exposure": None, "plan": None, "backup": None}
    review = {"decision": "reject", "removed": removed}
    return {**photo.line, **nothing, "status": "rejected", "written": written, "review": review}


def _restore(decision: Decision, photo: Photo, *, dry_run: bool) -> Status:
    """Put the original of a photo in place back, as `enhance restore` does."""
    assert photo.output is not None
    if _now(photo.output) != decision.state:
        raise Protected(f"{photo.output} changed since it was reviewed, and is left alone; build the gallery again.")
    originals = restore.find([photo.output], reports=[photo.report])
    if not originals:
        raise Protected(f"{photo.output} was replaced in place without --backup, so there is no original to put back.")
    if dry_run:
        return "rejected"
    (restored,) = restore.restore(originals)
    if restored.error is not None:
        raise restored.error
    return "rejected"


# --- redo ----------------------------------------------------------------------------------------------------


def _asked(decision: Decision, photo: Photo, options: Mapping[str, Any]) -> Run:
    """The run that redoes a photo.

    Raises:
        EnhanceError: it cannot be redone: in place, a stack, unknown options.
    """
    from enhance_cli import methods

    command = command_of(decision.method, decision.options)
    own = methods.get(decision.method).controls.knobs()
    foreign = [name for name in decision.options if name not in own]
    if foreign:
        raise UsageError(f"{decision.output}: {decision.method} has no option {foreign[0]!r}, so it is left alone.")
    if _is_in_place(photo):
        raise Protected(
            f"{photo.output} was enhanced in place; run `enhance restore` on it, and then `{command} --in-place` again."
        )
    if photo.line.get("frames"):
        raise UsageError(f"{photo.output} was fused from several photos; run `{command} --fuse` on them again.")
    if values.mapping(photo.line.get("weights")).get("own") and options.get("weights") is None:
        raise UsageError(f"{photo.output} was made with weights of your own; name them with --weights FOLDER.")
    given = {**decision.options, **options, "report": str(photo.report)}
    try:
        return Run.of(decision.method, [str(photo.source), str(photo.output)], given)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{photo.output} cannot be redone with `{command}`: {error}.") from error


def _is_redone(photo: Photo, asked: Run) -> bool:
    review = values.mapping(photo.line.get("review"))
    done = review.get("decision") == "redo" and review.get("settings") == asked.settings
    return done and photo.line["status"] == "done" and photo.output is not None and _now(photo.output) == photo.state


def _redo(wanted: Sequence[tuple[Decision, Photo, Run]]) -> Iterator[Applied]:
    """Redo photos, those with the same settings and folder in one run."""
    groups: dict[tuple[str, str, str, str], list[tuple[Photo, Run]]] = {}
    for _, photo, asked in wanted:
        assert photo.output is not None
        assert photo.source is not None
        together = photo.source.name == photo.output.name and format_of_suffix(photo.source) is not None
        where = str(photo.output.parent if together else photo.output)
        groups.setdefault((asked.method, asked.settings, photo.settings, where), []).append((photo, asked))
    for (_, settings, stands_for, where), members in groups.items():
        first = members[0][1]
        stamp = {"settings": stands_for or None, "review": {"decision": "redo", "settings": settings}}
        whole = replace(first, arguments=(*(str(photo.source) for photo, _ in members), where), stamp=stamp)
        listener = _Listener()
        try:
            run(whole, listener, alone=True)
        except EnhanceError as error:
            listener.refusal = error
        for photo, _ in members:
            assert photo.output is not None
            failure = listener.errors.get(str(photo.output)) or listener.refusal
            yield Applied(photo.output, "left" if failure else "redone", failure)


class _Listener:
    """Remembers which photos of a run failed."""

    def __init__(self) -> None:
        self.errors: dict[str, EnhanceError] = {}
        self.refusal: EnhanceError | None = None

    def remark(self, text: str) -> None:
        """Nothing."""

    def trouble(self, text: str) -> None:
        """Nothing: the error is raised as well."""

    def planned(self, source: str, frames: list[str], output: str) -> None:
        """Nothing."""

    def begins(self, total: int) -> None:
        """Nothing."""

    def finished(self, outcome: Any) -> None:
        """Keep an error."""
        if outcome.error is not None:
            error = outcome.error
            known = error if isinstance(error, EnhanceError) else EnhanceError(outcome.report["error"]["message"])
            self.errors[str(outcome.job.target)] = known
