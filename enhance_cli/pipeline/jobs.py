"""Jobs and names by the hundred thousand: kept in temporary files, so that a scan takes the same memory for any folder.

Clashes are looked for among 64-bit hashes (eight bytes a name); only where two agree are the names read again.
"""

from __future__ import annotations

import heapq
import os
import tempfile
import unicodedata
import weakref
from array import array
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from enhance_cli.types import Job

_IN_MEMORY = 1 << 16
"""Bytes of names that are held before they go to a file."""

_SORTED_AT_ONCE = 8192
"""Names of one folder that are sorted in memory."""


class Spool:
    """Byte strings without NUL, in order of writing; read back as often as wanted, by one reader or several in turn."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - lives as long as this
        self._count = 0
        self._was_read = False
        weakref.finalize(self, self._file.close)

    def append(self, record: bytes) -> None:
        """Add one."""
        if self._was_read:
            self._file.seek(0, os.SEEK_END)
            self._was_read = False
        self._file.write(record + b"\0")
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[bytes]:
        position, rest = 0, b""
        while True:
            self._was_read = True
            self._file.seek(position)
            block = self._file.read(1 << 16)
            if not block:
                return
            position += len(block)
            *whole, rest = (rest + block).split(b"\0")
            yield from whole


class SortedNames:
    """File names in sorted order, however many a folder holds."""

    def __init__(self) -> None:
        self._latest: list[str] = []
        self._runs: list[Spool] = []

    def append(self, name: str) -> None:
        """Add one."""
        self._latest.append(name)
        if len(self._latest) >= _SORTED_AT_ONCE:
            run = Spool()
            for sorted_name in sorted(self._latest):
                run.append(os.fsencode(sorted_name))
            self._runs.append(run)
            self._latest = []

    def __iter__(self) -> Iterator[str]:
        return heapq.merge(*(map(os.fsdecode, run) for run in self._runs), sorted(self._latest))


class Jobs:
    """What there is to do, in order; iterating makes the Jobs anew."""

    def __init__(self) -> None:
        self._paths = Spool()
        self._count = 0

    def append(self, job: Job) -> None:
        """Add one at the end."""
        for path in (job.source, job.target, *job.frames, None):  # however many frames, then nothing
            self._paths.append(b"" if path is None else os.fsencode(path))
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Job]:
        paths = (Path(os.fsdecode(path)) if path else None for path in self._paths)
        return (
            Job(index, source, next(paths), tuple(iter(paths.__next__, None))) for index, source in enumerate(paths)
        )


class Paths:
    """A set of paths that only remembers hashes: it tells where a second look is worth it, never that there is none."""

    def __init__(self) -> None:
        self._buckets = [array("q") for _ in range(256)]

    def add(self, path: Path) -> None:
        """Count a path; again if it comes again."""
        number = hash(same_name(path))
        self._buckets[number & 255].append(number)

    def repeated(self) -> set[int]:
        """Hashes that came more than once."""
        found: set[int] = set()
        for bucket in self._buckets:
            seen: set[int] = set()
            found.update(number for number in bucket if number in seen or seen.add(number))  # type: ignore[func-returns-value]
        return found

    def shared_with(self, other: Paths) -> set[int]:
        """Hashes that came in both."""
        return {
            number for ours, theirs in zip(self._buckets, other._buckets, strict=True) for number in {*ours} & {*theirs}
        }


def each_once(jobs: Jobs, drawn: Callable[[Path], Iterable[Path]]) -> Jobs:
    """The jobs of a run in place without those that are others by another name.

    A photograph that is named again, in another spelling or through links, is one and is done once. What is drawn
    beside a photograph is no photograph. Two names that a case-insensitive file system takes for one stay two jobs.

    Args:
        jobs: each with a target.
        drawn: what will be written beside a target.
    """
    folders: dict[Path, str] = {}

    def place(path: Path) -> Path:
        """The file itself: targets are no links, but the folders that lead to them may be."""
        if path.parent not in folders:
            folders[path.parent] = os.path.realpath(path.parent)
        return Path(folders[path.parent], path.name)

    named, beside = Paths(), Paths()
    for job in jobs:
        if job.target is not None:
            named.add(place(job.target))
            for picture in drawn(job.target):
                beside.add(place(picture))
    repeated, shared = named.repeated(), named.shared_with(beside)
    if not repeated and not shared:
        return jobs
    several = repeated | shared
    pictures = {
        picture
        for job in jobs
        if job.target is not None
        for picture in map(place, drawn(job.target))
        if hash(same_name(picture)) in shared
    }
    once = Jobs()
    seen: set[Path] = set()
    for job in jobs:
        path = place(job.target) if job.target is not None else None
        if path is not None and hash(same_name(path)) in several:
            if path in seen or path in pictures:
                continue
            seen.add(path)
        once.append(job)
    return once


def same_name(path: Path) -> str:
    """What two paths have in common where some file system takes them for one: absolute, in one case and one form."""
    return unicodedata.normalize("NFC", os.path.abspath(path)).casefold()  # noqa: PTH100 - keeps links as they are


def named_alike(
    numbers: set[int], paths: Iterable[tuple[Path, Path | None]]
) -> Iterator[tuple[Path, Path | None, Path | None]]:
    """Of (path, owner), those whose path was seen before under the same name: the path, and both owners.

    Args:
        numbers: hashes that are worth a look.
        paths: read only if there are such.
    """
    first: dict[str, Path | None] = {}
    if not numbers:
        return
    for path, owner in paths:
        name = same_name(path)
        if hash(name) not in numbers:
            continue
        if name in first:
            yield path, first[name], owner
        else:
            first[name] = owner
