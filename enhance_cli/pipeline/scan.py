"""From what a user typed to Jobs: every output is named before any work, so clashes are found here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from enhance_cli.controls import ListedPhoto
from enhance_cli.errors import UsageError
from enhance_cli.pipeline.clashes import Clashes
from enhance_cli.pipeline.inputs import Elsewhere, Found, counted, find
from enhance_cli.pipeline.jobs import Jobs, Names, each_once
from enhance_cli.pipeline.plans import plan_path
from enhance_cli.pipeline.shards import Shard
from enhance_cli.pipeline.stacks import grouped
from enhance_cli.pipeline.targets import destination, illustration_paths, in_place_destination, refuse_nesting
from enhance_cli.types import Job


@dataclass(slots=True)
class Scan:
    """The jobs of a run and what is known about their outputs."""

    jobs: Jobs
    folder: Path | None
    """The output folder; None when the output is stdout."""

    single_file: bool = False
    """Whether the user named the output file itself, so that its suffix decides the format."""

    shared_stems: frozenset[Path] = frozenset()
    """Illustration names that several outputs would share, so that the whole name of the output is used instead."""

    remarks: list[str] = field(default_factory=list)
    """Messages for the user: what was left out and why."""


def scan(
    arguments: Sequence[str],
    *,
    recursive: bool = False,
    format: str | None = None,
    beside: Sequence[str] = (),
    endings: Sequence[str] = ("",),
    stacks: str | int | None = None,
    in_place: bool = False,
    shard: Shard | None = None,
    names: bool = False,
    plans: Path | None = None,
    listed: Sequence[ListedPhoto] | None = None,
    elsewhere: Elsewhere = lambda *_: None,
) -> Scan:
    """Turn `INPUT... OUTPUT` into Jobs in a stable order.

    Args:
        arguments: inputs (files, folders, globs, `-`, `@list`), followed by the output (folder, file or `-`).
        recursive: whether folders are read with their subfolders.
        format: the format that outputs are written in; None keeps each source's name.
        beside: names of the illustrations that will be written as `<stem>_<name>.png`, for the clash check.
        endings: suffixes of the names of the images that are written for each source (see `Controls.variants`).
        stacks: how sources are grouped into stacks that become one image each (see `stacks.grouped`). Grouping needs
            all names, so that a run with stacks holds them in memory.
        in_place: every argument is an input, and every image its own output.
        shard: keep only this part of the jobs, with stacks kept whole; clashes are searched among all jobs.
        names: note in each Job which other sources have the same name; all names are then held in memory.
        plans: the folder for plans, for the clash check.
        listed: the sources, with the names of their outputs, instead of INPUTs.
        elsewhere: finds what is not on the disk (see `inputs.find`).

    Raises:
        UsageError: the arguments make no sense together, nothing named exists, outputs clash with each other
            or with their sources.
    """
    remarks: list[str] = []
    if in_place:
        if stacks is not None:
            raise UsageError("--in-place replaces each photo, and --fuse makes one of several: give an OUTPUT.")
        place = in_place_destination(arguments, endings)
    else:
        several = stacks is not None
        place = destination(arguments, beside, endings, format, stacked=several, listed=listed is not None)
        refuse_nesting(place)
    jobs = Jobs()
    kept = jobs if shard is None else Jobs()
    kept_plan = None if plans is None else partial(plan_path, plans, root=place.folder)
    clashes = Clashes(jobs, beside, endings, in_place, kept_plan)
    if names:
        jobs.names = kept.names = Names()
    items = find(place.inputs, None if in_place else place.folder, recursive, remarks, elsewhere)
    if listed is not None:
        items = (Found(Path(photo.source), Path(photo.relative), in_folder=True) for photo in listed)
    if stacks is not None:
        items = _stacked(items, stacks, remarks)
    for index, item in enumerate(items):
        if place.takes_one and index > 0:
            count = index + 1 + sum(1 for _ in items)
            raise UsageError(place.takes_one.format(count=count))
        below = item.relative.as_posix() if item.in_folder else ""
        job = Job(index, item.source, place.name(item), item.frames, relative=below)
        jobs.append(job)
        if jobs.names is not None:
            jobs.names.add(job)
        if not in_place:
            clashes.watch(job)
        if shard is not None and shard.holds(item.relative):
            kept.append(job)
    if in_place:
        kept = jobs = each_once(kept, lambda picture: illustration_paths(picture, beside))
        clashes = Clashes(jobs, beside, endings, in_place, kept_plan)
        for job in jobs:
            clashes.watch(job)
    clashes.refuse()
    return Scan(kept, place.folder, place.single_file, clashes.shared_stems, remarks)


def _stacked(items: Iterable[Found], rule: str | int, remarks: list[str]) -> Iterator[Found]:
    """One item for each stack, with the name of its image."""
    found = list(items)
    sources = [item.source for item in found if item.source is not None]
    if len(sources) < len(found):
        raise UsageError("--fuse takes files, and - is one photo without a name.")
    stacks, unmatched = grouped(sources, [item.relative for item in found], rule)
    if unmatched:
        remarks.append(
            f"{counted(len(unmatched))} left out: {rule} does not match {sources[unmatched[0]].name}, for example."
        )
    for stack in stacks:
        first, *frames = (sources[place] for place in stack.frames)
        yield Found(first, stack.relative, tuple(frames))
