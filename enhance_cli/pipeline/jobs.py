"""Hundreds of thousands of jobs and names, kept in temporary files so that memory does not depend on the folder's size.

Clashes are searched among 64-bit hashes (eight bytes per name); names are read again only if two hashes agree.
"""

from __future__ import annotations

import dataclasses
import heapq
import os
import tempfile
import unicodedata
import weakref
from array import array
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import quote, unquote

from enhance_cli.pipeline.names import natural
from enhance_cli.types import Job, Standing

_IN_MEMORY = 1 << 16
"""Bytes of names that are held in memory before they go to a file."""

_SORTED_AT_ONCE = 8192
"""Names of one folder that are sorted in memory."""


class Spool:
    """Byte strings without NUL, in order of writing; can be read back any number of times."""

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
    """File names in natural order (see `names.natural`), for folders of any size."""

    def __init__(self) -> None:
        self._latest: list[str] = []
        self._runs: list[Spool] = []

    def append(self, name: str) -> None:
        """Add one."""
        self._latest.append(name)
        if len(self._latest) >= _SORTED_AT_ONCE:
            run = Spool()
            for sorted_name in sorted(self._latest, key=natural):
                run.append(os.fsencode(sorted_name))
            self._runs.append(run)
            self._latest = []

    def __iter__(self) -> Iterator[str]:
        runs = (map(os.fsdecode, run) for run in self._runs)
        return heapq.merge(*runs, sorted(self._latest, key=natural), key=natural)


class Jobs:
    """The jobs of a run, in order; each iteration creates the Job objects again."""

    def __init__(self) -> None:
        self._records = Spool()
        self._count = 0
        self.names: Names | None = None
        """Names of the run's sources, if they are needed; duplicates among them are noted in the Jobs."""

    def append(self, job: Job) -> None:
        """Add one at the end."""
        standing = (f"{item.bytes}:{item.modified_ns}:{quote(item.etag)}:{item.path}" for item in job.standing)
        names = (job.relative, job.namesake, "twin" if job.twin else "")
        # A list of existing files, then an empty entry; a list of frames, then an empty entry.
        for record in (job.source, job.target, *names, *standing, None, *job.frames, None):
            self._records.append(b"" if record is None else os.fsencode(record))
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Job]:
        records = map(os.fsdecode, self._records)
        for index, source in enumerate(records):
            job = Job(
                index,
                Path(source) if source else None,
                Path(target) if (target := next(records)) else None,
                relative=next(records),
                namesake=next(records),
                twin=bool(next(records)),
                standing=tuple(_standing(record) for record in iter(records.__next__, "")),
                frames=tuple(Path(record) for record in iter(records.__next__, "")),
            )
            yield job if self.names is None else self.names.completed(job)


def _standing(record: str) -> Standing:
    size, modified, etag, path = record.split(":", 3)
    return Standing(path, int(size), int(modified), unquote(etag))


class Names:
    """The names of a run's sources without suffixes, kept in memory, to find duplicates."""

    def __init__(self) -> None:
        self._stems: dict[str, list[Path]] = {}
        self._relatives: dict[str, list[Path]] = {}

    def add(self, job: Job) -> None:
        """Add a job's names; of duplicates, the first two in different folders are kept."""
        if job.source is not None:
            self._note(self._stems, job.source.stem, job.source)
            if job.relative:
                self._note(self._relatives, os.path.splitext(job.relative)[0], job.source)  # noqa: PTH122

    @staticmethod
    def _note(names: dict[str, list[Path]], name: str, source: Path) -> None:
        found = names.setdefault(name, [])
        if not found or (len(found) == 1 and not _in_one_folder(found[0], source)):
            found.append(source)

    def completed(self, job: Job) -> Job:
        """The job with the duplicates of its name filled in."""
        if job.source is None:
            return job
        others = [path for path in self._stems.get(job.source.stem, ()) if not _in_one_folder(path, job.source)]
        if not others:
            return job
        twins = len(self._relatives.get(os.path.splitext(job.relative)[0], ())) > 1  # noqa: PTH122
        return dataclasses.replace(job, namesake=str(others[0]), twin=bool(job.relative) and twins)


def _in_one_folder(first: Path, second: Path) -> bool:
    return first.parent == second.parent or os.path.realpath(first.parent) == os.path.realpath(second.parent)


class Paths:
    """A set of paths that only stores hashes: equal hashes must be confirmed by comparing the paths."""

    def __init__(self) -> None:
        self._buckets = [array("q") for _ in range(256)]

    def add(self, path: Path) -> None:
        """Count a path, each time it is added."""
        number = hash(same_name(path))
        self._buckets[number & 255].append(number)

    def repeated(self) -> set[int]:
        """Hashes that were added more than once."""
        found: set[int] = set()
        for bucket in self._buckets:
            seen: set[int] = set()
            found.update(number for number in bucket if number in seen or seen.add(number))  # type: ignore[func-returns-value]
        return found

    def shared_with(self, other: Paths) -> set[int]:
        """Hashes that are in both sets."""
        return {
            number for ours, theirs in zip(self._buckets, other._buckets, strict=True) for number in {*ours} & {*theirs}
        }


def each_once(jobs: Jobs, drawn: Callable[[Path], Iterable[Path]]) -> Jobs:
    """The jobs of a run in place, each file only once.

    A photo that is named several times, in another spelling or through links, is processed once. Illustrations of
    photos are left out. Two names that a case-insensitive file system would treat as one stay two jobs.

    Args:
        jobs: each with a target.
        drawn: the illustrations that will be written for a target.
    """
    folders: dict[Path, str] = {}

    def place(path: Path) -> Path:
        """The file itself: targets are not links, but their parent folders may be."""
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
    once.names = jobs.names
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
    """A key that is equal for paths that some file system treats as one: absolute, in one case and normal form."""
    return unicodedata.normalize("NFC", os.path.abspath(path)).casefold()  # noqa: PTH100 - keeps links as they are


def named_alike(
    numbers: set[int], paths: Iterable[tuple[Path, Path | None]]
) -> Iterator[tuple[Path, Path | None, Path | None]]:
    """The (path, owner) pairs whose path occurred before: the path, and both owners.

    Args:
        numbers: hashes to check.
        paths: read only if there are any.
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
