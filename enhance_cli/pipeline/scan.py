"""From what a user typed to Jobs: every output is named before any work, so clashes are found here."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from enhance_cli.errors import UsageError
from enhance_cli.imaging.codecs import FORMATS, format_of_suffix
from enhance_cli.pipeline.stacks import grouped
from enhance_cli.types import Job

STDIO = "-"
REPORT_NAME = "enhance-report.jsonl"


@dataclass(slots=True)
class Scan:
    """What there is to do."""

    jobs: list[Job]
    folder: Path | None
    """The output folder; None when the output is stdout."""

    single_file: bool = False
    """Whether the user named the output file itself, so that its suffix decides the format."""

    remarks: list[str] = field(default_factory=list)
    """Sentences for the user: what was left out and why."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A source and what its output is called below the output folder."""

    source: Path | None
    relative: Path
    frames: tuple[Path, ...] = ()


def scan(
    arguments: Sequence[str],
    *,
    recursive: bool = False,
    format: str | None = None,
    beside: Sequence[str] = (),
    endings: Sequence[str] = ("",),
    stacks: str | int | None = None,
) -> Scan:
    """Turn `INPUT... OUTPUT` into Jobs in a stable order.

    Args:
        arguments: inputs (files, folders, globs, `-`, `@list`) and last the output (folder, file or `-`).
        recursive: whether folders are read with their subfolders.
        format: the format that outputs are written in; None keeps each source's name.
        beside: names of the illustrations that will be written as `<stem>_<name>.png`, for the clash check.
        endings: of the names of the pictures that are written for each source (see `Controls.variants`).
        stacks: how sources are grouped into stacks that become one picture each (see `stacks.grouped`).

    Raises:
        UsageError: the arguments make no sense together, nothing named exists, outputs clash with each other
            or with their sources.
    """
    if len(arguments) < 2:
        hint = f"`{arguments[0]}` and no OUTPUT" if arguments else "neither"
        raise UsageError(f"Give at least one INPUT and the OUTPUT (a folder, a file, or -) last; there is {hint}.")
    *inputs, output = arguments
    remarks: list[str] = []
    single_file = _single_file_target(inputs, output, several=stacks is not None)
    folder = None if output == STDIO else (single_file.parent if single_file else Path(output))
    if folder is not None and folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; the OUTPUT for several pictures is a folder.")

    found = list(_find(inputs, folder if single_file is None else None, recursive, remarks))
    if stacks is not None and found:
        found = _stacked(found, stacks, remarks)
    if output == STDIO and beside:
        raise UsageError(f"--{beside[0]} writes a picture beside the output, and - is no file; name one.")
    if output == STDIO and len(endings) > 1:
        raise UsageError(f"stdout takes one picture, and {len(endings)} are asked of each; give a folder as OUTPUT.")
    if output == STDIO and len(found) > 1:
        raise UsageError(f"stdout takes one picture, and there are {len(found)}; give a folder as OUTPUT.")
    if single_file is not None and len(found) > 1:
        raise UsageError(f"{output} is one file, and there are {len(found)} pictures; give a folder as OUTPUT.")

    jobs = []
    for index, item in enumerate(found):
        if output == STDIO:
            target = None
        elif single_file is not None:
            target = single_file
        elif item.source is None:
            raise UsageError("A picture from stdin has no name: give a file or - as OUTPUT.")
        else:
            target = Path(output) / _renamed(item.relative, format)
        jobs.append(Job(index, item.source, target, item.frames))
    _refuse_clashes(jobs, beside, endings)
    return Scan(jobs, folder, single_file is not None, remarks)


def _stacked(found: Sequence[_Found], rule: str | int, remarks: list[str]) -> list[_Found]:
    """One item for each stack, named as its picture."""
    sources = [item.source for item in found if item.source is not None]
    if len(sources) < len(found):
        raise UsageError("--fuse takes files, and - is one picture without a name.")
    stacks, unmatched = grouped(sources, [item.relative for item in found], rule)
    if unmatched:
        remarks.append(f"{_pictures(len(unmatched))} left out: {rule} is not in {sources[unmatched[0]].name}, say.")
    return [
        _Found(sources[stack.frames[0]], stack.relative, tuple(sources[place] for place in stack.frames[1:]))
        for stack in stacks
    ]


def _single_file_target(inputs: Sequence[str], output: str, *, several: bool = False) -> Path | None:
    """The output as a file: no existing folder, a picture's suffix, one input that is no folder, or several files
    that may become one picture.
    """
    path = Path(output)
    announced = format_of_suffix(path)
    if output == STDIO or output.endswith(os.sep) or path.is_dir() or announced is None:
        return None
    if not several and (len(inputs) != 1 or Path(inputs[0]).is_dir()):
        return None
    if not announced.writable:
        raise UsageError(f"{output} cannot be written as {announced.name}; name it as one of {_writable_suffixes()}.")
    return path


def _writable_suffixes() -> str:
    return ", ".join(item.suffixes[0] for item in FORMATS.values() if item.writable)


def _renamed(relative: Path, format: str | None) -> Path:
    """The source's name, with the suffix of another format only where the source's is not one of its own."""
    announced = format_of_suffix(relative)
    if format is None and announced is not None:
        format = announced.written_as
    if format is None or relative.suffix.lower() in FORMATS[format].suffixes:
        return relative
    return relative.with_suffix(FORMATS[format].suffixes[0])


# --- inputs ------------------------------------------------------------------------------------------------


def _find(inputs: Sequence[str], output: Path | None, recursive: bool, remarks: list[str]) -> Iterator[_Found]:
    excluded = _identity(output) if output is not None and output.is_dir() else None
    missing = []
    anything = False
    for text in inputs:
        if text == STDIO:
            anything = True
            yield _Found(None, Path("stdin"))
        elif text.startswith("@") and not Path(text).exists():
            anything = True
            for line in _listed(text[1:]):
                yield _Found(Path(line), Path(Path(line).name))
        elif Path(text).is_dir():
            anything = True
            yield from _pictures_below(Path(text), excluded, recursive, remarks)
        elif glob.has_magic(text) and not os.path.lexists(text):
            anything = True
            matches = sorted(filter(os.path.isfile, glob.glob(text, recursive=True)))  # noqa: PTH207 - may be absolute
            if not matches:
                remarks.append(f"Nothing matches {text}.")
            for match in matches:
                yield _Found(Path(match), Path(Path(match).name))
        else:
            if not os.path.lexists(text):
                missing.append(text)
            yield _Found(Path(text), Path(Path(text).name))
            anything = anything or text not in missing
    if missing and not anything:
        raise UsageError(f"{missing[0]} does not exist; give a file, a folder, a glob, @list.txt or -.")


def _listed(name: str) -> list[str]:
    """Paths of a list file: NUL-separated if it holds a NUL, else a path a line."""
    try:
        data = sys.stdin.buffer.read() if name == STDIO else Path(name).read_bytes()
    except OSError as error:
        raise UsageError(f"The list {name} cannot be read: {error.strerror}.") from error
    lines = data.split(b"\0") if b"\0" in data else data.splitlines()
    return [os.fsdecode(line) for line in lines if line.strip()]


def _pictures_below(
    root: Path, excluded: tuple[int, int] | None, recursive: bool, remarks: list[str]
) -> Iterator[_Found]:
    """Pictures of a folder in sorted order; hidden files, other files and the output folder are passed over."""
    count = deeper = 0
    for folder, relative in _walk(root, excluded):
        for entry in folder:
            if not recursive and relative.parts:
                deeper += 1
                continue
            count += 1
            yield _Found(root / relative / entry, relative / entry)
    if count == 0 and deeper == 0:
        remarks.append(f"{root} holds no pictures.")
    elif deeper:
        remarks.append(f"{_pictures(deeper)} in subfolders of {root} left out; use -r to include them.")


def _walk(root: Path, excluded: tuple[int, int] | None) -> Iterator[tuple[list[str], Path]]:
    """(names of pictures, folder relative to the root), depth first, each directory once."""
    pending = [Path()]
    while pending:
        relative = pending.pop()
        names, folders = [], []
        try:
            with os.scandir(root / relative) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if excluded is None or _identity(Path(entry.path)) != excluded:
                            folders.append(relative / entry.name)
                    elif format_of_suffix(Path(entry.name)) is not None:
                        names.append(entry.name)
        except OSError as error:
            raise UsageError(f"{root / relative} cannot be read: {error.strerror}.") from error
        yield sorted(names), relative
        pending += sorted(folders, reverse=True)


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count} pictures"


# --- clashes -----------------------------------------------------------------------------------------------


def _refuse_clashes(jobs: Iterable[Job], beside: Sequence[str], endings: Sequence[str]) -> None:
    """No output may be another's, or a source. Names equal but for case clash too: some file systems think so."""
    owners: dict[str, Job] = {}
    for job in jobs:
        if job.target is None:
            continue
        for target in [job.target_with(ending) for ending in endings]:
            for path in (target, *illustration_paths(target, beside)):
                key = str(path).casefold()
                if key in owners:
                    raise UsageError(
                        f"{owners[key].source} and {job.source} would both be written to {path}; "
                        "give them different names or run them apart."
                    )
                owners[key] = job
            for source in _read_by(job):
                if _same_file(source, target):
                    raise UsageError(f"{target} would replace its own source; give another folder as OUTPUT.")
    sources = {os.path.abspath(source): source for job in jobs for source in _read_by(job)}  # noqa: PTH100
    for job in jobs:
        for target in [] if job.target is None else [job.target_with(ending) for ending in endings]:
            other = sources.get(os.path.abspath(target))  # noqa: PTH100
            if other is not None:
                raise UsageError(f"{job.source} would be written over the source {other}; give another OUTPUT.")


def _read_by(job: Job) -> tuple[Path, ...]:
    return job.frames if job.source is None else (job.source, *job.frames)


def illustration_paths(target: Path, names: Iterable[str]) -> Iterator[Path]:
    """Where the pictures beside an output go: `<stem>_<name>.png`."""
    for name in names:
        yield target.with_name(f"{target.stem}_{name}.png")


def _same_file(source: Path, target: Path) -> bool:
    try:
        return source.samefile(target)
    except OSError:
        return False


def existing_targets(
    jobs: Iterable[Job], written_by_us: Callable[[Path], bool], endings: Sequence[str] = ("",)
) -> list[Path]:
    """Outputs that are there already and were not written by an earlier run."""
    targets = [job.target_with(ending) for job in jobs if job.target is not None for ending in endings]
    return [target for target in targets if target.exists() and not written_by_us(target)]
