"""Looks before photos are enhanced: a run that only writes decisions, and photos that are decided on together."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from enhance_cli.controls import DECISION_SCHEMA, Listed, ListedPhoto
from enhance_cli.errors import ChangedSource, OutputError, UsageError
from enhance_cli.imaging import atomic, codecs, colour, metadata, shooting
from enhance_cli.pipeline.assignment import Assignment
from enhance_cli.pipeline.files import Coding, read
from enhance_cli.pipeline.inputs import STDIO
from enhance_cli.pipeline.names import natural
from enhance_cli.pipeline.recipe import sentence
from enhance_cli.pipeline.scan import scan
from enhance_cli.pipeline.states import file_state
from enhance_cli.pipeline.summary import Summary, Tally
from enhance_cli.types import Image, Job, LookingEnhancer, Metadata, Outcome

if TYPE_CHECKING:
    from enhance_cli.pipeline.listener import Listener
    from enhance_cli.pipeline.mirror import Mirror
    from enhance_cli.pipeline.recipe import Recipe
    from enhance_cli.pipeline.run import Run
    from enhance_cli.pipeline.stream import Admission

_HEAD = 1 << 16
"""Bytes of a file in which its EXIF is looked for."""

_SIDE = 320
"""Longer side in pixels that is enough for a look: twice that of the copies that methods look at."""


def look(asked: Run, path: Path, listener: Listener, *, alone: bool = False) -> Summary:
    """Look at every photo that the arguments name, and write a line for each, the least certain first.

    Args:
        asked: the run; every argument is an INPUT.
        path: the file of decisions, which replaces one of an earlier look.
        listener: receives the events of the run.
        alone: whether this process runs only enhance (see `Assignment`).

    Raises:
        EnhanceError: the run as a whole cannot continue; single photos that fail are only counted.
    """
    from enhance_cli.engines.cpu import available_cores
    from enhance_cli.pipeline.memory import default_budget
    from enhance_cli.pipeline.stream import ByteBudget, parallel

    options = asked.options
    _refuse_foreign(path, overwrite=options.overwrite)
    found = scan(asked.arguments, recursive=options.recursive, in_place=True, shard=options.shard)
    for remark in found.remarks:
        listener.remark(remark)
    started = time.monotonic()
    workers = options.jobs or available_cores()
    coding = Coding(max_pixels=options.max_pixels)
    assignment = Assignment(
        asked.method,
        asked.controls,
        options.device,
        coding,
        weights=options.weights,
        gpu_memory=options.gpu_memory,
        precision=options.precision,
        codec=options.codec,
        alone=alone,
    )
    recipe = assignment.open(listener.remark)
    tally = Tally()
    lines: list[dict[str, Any]] = []

    def work(job: Job, admit: Admission) -> tuple[Outcome, dict[str, Any]]:
        admit(0)  # a small copy is little memory; what is decoded whole is not counted
        line = decision_of(job, recipe, options.max_pixels)
        return Outcome(job, "done", line), line

    def failed(job: Job, error: Exception) -> tuple[Outcome, dict[str, Any]]:
        line = {"source": str(job.source), "error": {"message": sentence(error)}}
        return Outcome(job, "failed", line, error=error), {}

    listener.begins(len(found.jobs))
    budget = ByteBudget(options.memory or default_budget())
    try:
        for outcome, line in parallel(found.jobs, work, failed, workers=workers, budget=budget):
            tally.count(outcome)
            listener.finished(outcome)
            if line:
                lines.append(line)
    finally:
        recipe.engine.close(wait=False)
    lines, remarks = _agreed(lines, recipe)
    for remark in remarks:
        listener.remark(remark)
    lines.sort(key=lambda line: (line["certainty"], line["source"]))
    text = "".join(json.dumps(line, ensure_ascii=True, allow_nan=False) + "\n" for line in lines)
    atomic.make_folder(path.absolute().parent)
    with atomic.Staged(path, text.encode()) as staged:
        staged.place()
    return tally.summary(seconds=time.monotonic() - started, device=recipe.engine.device, report=path)


def decision_of(job: Job, recipe: Recipe, max_pixels: int) -> dict[str, Any]:
    """The line of a photo.

    Raises:
        EnhanceError: it cannot be read.
    """
    from enhance_cli.imaging.view import view_of

    if job.source is None:
        raise UsageError(f"{STDIO} has no name that a decision could be for; give files.")
    data = read(job.source)
    state = file_state(job.source)
    if state["bytes"] != len(data):
        raise ChangedSource(f"{job.source} changed while it was read; run again when it is complete.")
    image = _small(data, str(job.source), max_pixels)
    _, view, _ = view_of(image)
    decision = cast(LookingEnhancer, recipe.enhancer).look(image if view is None else view.whole(), recipe.controls)
    names: dict[str, Any] = {
        "schema": DECISION_SCHEMA,
        "source": str(job.source),
        "relative": job.relative or job.source.name,
    }
    names["taken"] = _taken(job.source)
    return {**names, **decision, "bytes": state["bytes"], "modified_ns": state["modified_ns"]}


def _small(data: bytes, source: str, max_pixels: int) -> Image:
    """A photo, RGB, decoded at a fraction of its size where its format allows that."""
    codec = codecs.sniff(data)
    small = codec.small(data, _SIDE) if codec is not None and codec.small is not None else None
    # What is not smaller is decoded as it will be when it is enhanced: the faster decoder rounds more.
    whole = small is None or small.pixels.shape[0] == small.height or small.height * small.width > max_pixels
    if codec is None or small is None or whole:
        return colour.to_rgb(codecs.decode(data, source=source, max_pixels=max_pixels))
    carried = Metadata(source=source, format=codec.name, icc=small.icc, exif=small.exif)
    return colour.to_rgb(Image(small.pixels, metadata=carried))


def agreed(
    jobs: Iterable[Job], recipe: Recipe, workers: int, max_pixels: int, mirror: Mirror | None = None
) -> tuple[Listed | None, list[str]]:
    """Look at the photos of a run that belong together, and decide for each group; the others are left out.

    Args:
        jobs: all photos of the run, those that were enhanced before too: a restart then decides as before.
        recipe: the method.
        workers: photos at once.
        max_pixels: refuse photos with more.
        mirror: fetches those in buckets, once for the time they were taken at and once to be looked at.

    Returns:
        The decisions, None if no photos belong together; and remarks that name outliers.
    """
    from enhance_cli.pipeline.stream import ByteBudget, parallel

    files = [job for job in jobs if job.source is not None]
    enhancer = cast(LookingEnhancer, recipe.enhancer)
    names = [str(job.source) for job in files]
    groups = enhancer.groups(names, _all_taken(files, workers, mirror), recipe.controls)
    wanted = [files[place] for group in groups for place in group]
    if not wanted:
        return None, []

    def work(job: Job, admit: Admission) -> dict[str, Any] | None:
        admit(0)
        if mirror is None:
            return decision_of(job, recipe, max_pixels)
        from enhance_cli.pipeline.transfer import fetched

        with fetched(job, mirror) as local:
            return decision_of(local, recipe, max_pixels) | {"source": str(job.source)}

    def failed(job: Job, error: Exception) -> None:
        return None  # it fails again, with its line in the report, when it is enhanced

    looked = parallel(wanted, work, failed, workers=workers, budget=ByteBudget(0))
    lines, remarks = _agreed([line for line in looked if line is not None], recipe)
    photos = {
        os.path.abspath(line["source"]): ListedPhoto("", line, line["source"], line["relative"])  # noqa: PTH100
        for line in lines
    }
    return Listed("", photos=photos), remarks


def _all_taken(files: Sequence[Job], workers: int, mirror: Mirror | None) -> list[float | None]:
    """When photos were taken; those in buckets are fetched for it."""
    if mirror is None:
        return [_taken(job.source) for job in files]
    from enhance_cli.pipeline.stream import ByteBudget, parallel
    from enhance_cli.pipeline.transfer import fetched

    def work(job: Job, admit: Admission) -> float | None:
        admit(0)
        with fetched(job, mirror) as local:
            return _taken(local.source)

    return list(parallel(files, work, lambda *_: None, workers=workers, budget=ByteBudget(0), ordered=True))


def _agreed(lines: Sequence[dict[str, Any]], recipe: Recipe) -> tuple[list[dict[str, Any]], list[str]]:
    """Decisions made one within each group, and a remark for each group with outliers."""
    enhancer = cast(LookingEnhancer, recipe.enhancer)
    if not recipe.controls.looks_together:
        return [*lines], []
    ordered = sorted(lines, key=lambda line: natural(line["source"]))
    done, remarks = list(ordered), []
    names = [line["source"] for line in ordered]
    for group in enhancer.groups(names, [line["taken"] for line in ordered], recipe.controls):
        made, outliers = enhancer.agree([ordered[place] for place in group])
        for place, line in zip(group, made, strict=True):
            done[place] = line
        if outliers:
            odd = ", ".join(names[group[place]] for place in outliers)
            remarks.append(f"{odd}: unlike {len(group) - len(outliers)} neighbours, decided on alone.")
    return done, remarks


def _taken(path: Path | None) -> float | None:
    """When a JPEG was taken, from the beginning of its file."""
    try:
        with (path or Path()).open("rb") as file:
            start = file.read(_HEAD)
    except OSError:
        return None
    place = start.find(metadata.EXIF_PREFIX)
    return None if place < 0 else shooting.taken(start[place + len(metadata.EXIF_PREFIX) :])


def _refuse_foreign(path: Path, *, overwrite: bool) -> None:
    """Refuse to replace a file that is not one of decisions.

    Raises:
        UsageError: it is not.
        OutputError: it cannot be read.
    """
    if overwrite or not os.path.lexists(path):
        return
    try:
        with path.open("rb") as file:
            start = file.readline(1 << 16)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}.") from error
    if start and DECISION_SCHEMA.encode() not in start:
        raise UsageError(f"{path} exists and is no file of decisions; give another one to --decide, or --overwrite.")
