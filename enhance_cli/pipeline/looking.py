"""Decisions before photos are enhanced: a run that only writes decisions, and photos that are decided on together."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from enhance_cli.controls import DECISION_SCHEMA, Listed, ListedPhoto
from enhance_cli.errors import OutputError, UsageError
from enhance_cli.imaging import atomic
from enhance_cli.pipeline.assignment import Assignment
from enhance_cli.pipeline.files import Coding
from enhance_cli.pipeline.glance import UNNAMED, decision_of, taken
from enhance_cli.pipeline.inputs import STDIO
from enhance_cli.pipeline.names import natural
from enhance_cli.pipeline.recipe import told
from enhance_cli.pipeline.scan import scan
from enhance_cli.pipeline.summary import Summary, Tally
from enhance_cli.types import Job, LookingEnhancer, Outcome

if TYPE_CHECKING:
    from enhance_cli.pipeline.listener import Listener
    from enhance_cli.pipeline.mirror import Mirror
    from enhance_cli.pipeline.recipe import Recipe
    from enhance_cli.pipeline.run import Run
    from enhance_cli.pipeline.stream import Admission

_MANY = 60
"""Number of photos from which child processes help: starting one takes as long as deciding on thirty photos."""


def look(asked: Run, path: Path, listener: Listener, *, alone: bool = False) -> Summary:
    """Decide on every photo that the arguments name, and write a line for each, the least certain first.

    Args:
        asked: the run; every argument is an INPUT.
        path: the file of decisions, which replaces one of an earlier run.
        listener: receives the events of the run.
        alone: whether this process runs only enhance (see `Assignment`).

    Raises:
        EnhanceError: the run as a whole cannot continue; single photos that fail are only counted.
    """
    from enhance_cli.engines.cpu import available_cores
    from enhance_cli.pipeline.memory import default_budget
    from enhance_cli.pipeline.stream import ByteBudget, parallel

    options = asked.options
    if STDIO in map(str, asked.arguments):
        raise UsageError(UNNAMED)
    if str(path) == STDIO:
        raise UsageError("--decide writes a file, not stdout; give a file name.")
    _refuse_foreign(path, overwrite=options.overwrite)
    found = scan(asked.arguments, recursive=options.recursive, in_place=True, shard=options.shard)
    for remark in found.remarks:
        listener.remark(remark)
    started = time.monotonic()
    workers = options.jobs or available_cores()
    assignment = Assignment.of(asked, Coding(max_pixels=options.max_pixels), alone=alone)
    recipe = assignment.open(listener.remark)
    tally = Tally()
    lines: list[dict[str, Any]] = []

    def work(job: Job, admit: Admission) -> tuple[Outcome, dict[str, Any]]:
        admit(0)  # a small copy takes little memory; photos that are decoded in full are not counted
        line = looked(job)
        return Outcome(job, "done", line), line

    def failed(job: Job, error: Exception) -> tuple[Outcome, dict[str, Any]]:
        line = {"source": str(job.source), "error": {"message": told(error, str(job.source))["message"]}}
        return Outcome(job, "failed", line, error=error), {}

    listener.begins(len(found.jobs))
    budget = ByteBudget(options.memory or default_budget())
    stack = ExitStack()
    try:
        looked, stop = _shared(stack, assignment, recipe, options.max_pixels, len(found.jobs), workers)
        for outcome, line in parallel(found.jobs, work, failed, workers=workers, budget=budget, abandon=stop):
            tally.count(outcome)
            listener.finished(outcome)
            if line:
                lines.append(line)
    finally:
        stack.close()
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


def _shared(
    stack: ExitStack, assignment: Assignment, recipe: Recipe, max_pixels: int, photos: int, workers: int
) -> tuple[Callable[[Job], dict[str, Any]], Callable[[], None]]:
    """`decision_of` for several threads, and a function that ends it at once.

    A decision is mostly Python code on small arrays, which one process runs one at a time. So if there are many photos,
    child processes work in addition to this one, which begins while they start.

    Args:
        stack: ends the children.
        assignment: what they open.
        recipe: the method in this process.
        max_pixels: refuse photos with more.
        photos: how many there are.
        workers: threads that decide.
    """
    if workers == 1 or photos < _MANY or recipe.engine.device != "cpu":
        return partial(decision_of, recipe=recipe, max_pixels=max_pixels), lambda: None
    from enhance_cli.pipeline.isolate import Crew

    crew = stack.enter_context(Crew([replace(assignment, alone=True)]))
    here = threading.Lock()

    def looked(job: Job) -> dict[str, Any]:
        if not here.acquire(blocking=False):
            return crew.look(job, max_pixels)
        try:
            return decision_of(job, recipe, max_pixels)
        finally:
            here.release()

    return looked, crew.kill


def agreed(
    jobs: Iterable[Job], recipe: Recipe, workers: int, max_pixels: int, mirror: Mirror | None = None
) -> tuple[Listed | None, list[str]]:
    """Decide on the photos of a run that belong together, group by group; the others are left out.

    Args:
        jobs: all photos of the run, those that were enhanced before too: a restart then decides as before.
        recipe: the method.
        workers: photos at once.
        max_pixels: refuse photos with more.
        mirror: fetches those in buckets, once for the time at which they were taken and once for the decision.

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
        return [taken(job.source) for job in files]
    from enhance_cli.pipeline.stream import ByteBudget, parallel
    from enhance_cli.pipeline.transfer import fetched

    def work(job: Job, admit: Admission) -> float | None:
        admit(0)
        with fetched(job, mirror) as local:
            return taken(local.source)

    return list(parallel(files, work, lambda *_: None, workers=workers, budget=ByteBudget(0), ordered=True))


def _agreed(lines: Sequence[dict[str, Any]], recipe: Recipe) -> tuple[list[dict[str, Any]], list[str]]:
    """Unify the decisions within each group, with a remark for each group that has outliers."""
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


def _refuse_foreign(path: Path, *, overwrite: bool) -> None:
    """Refuse to replace a file that is not one of decisions.

    Raises:
        UsageError: it is not.
        OutputError: it cannot be read.
    """
    if path.is_dir():
        inside = path / "decisions.jsonl"
        raise UsageError(f"{path} is a folder, and --decide writes a file; give one, such as {inside}.")
    if overwrite or not os.path.lexists(path):
        return
    try:
        with path.open("rb") as file:
            start = file.readline(1 << 16)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}.") from error
    if start and DECISION_SCHEMA.encode() not in start:
        raise UsageError(f"{path} exists and is not a file of decisions; give another one to --decide, or --overwrite.")
