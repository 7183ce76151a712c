"""Transfers a photo from and to buckets: its sources are fetched to files, and staged files are put as objects."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from enhance_cli.errors import OutputError, UnreadableSource
from enhance_cli.imaging import atomic
from enhance_cli.pipeline.mirror import Mirror, object_state
from enhance_cli.types import Job

_number = itertools.count()


@contextlib.contextmanager
def fetched(job: Job, mirror: Mirror) -> Iterator[Job]:
    """The job with its sources in files, which are removed at the end; they must be as they were when they were listed.

    Raises:
        MissingSource: an object has gone.
        ChangedSource: an object has changed.
        UnreadableSource: it cannot be read, or there is no space for it.
    """
    if not any(mirror.location(path) is not None for path in job.sources):
        yield job
        return
    folder = mirror.root / f"f-{os.getpid()}-{next(_number)}"
    try:
        sources = [_fetch(path, folder, job, mirror) for path in job.sources]
        yield replace(job, source=sources[0], frames=tuple(sources[1:]), listed=job.source)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fetch(path: Path, folder: Path, job: Job, mirror: Mirror) -> Path:
    location = mirror.location(path)
    if location is None:
        return path
    seen = next((item for item in job.standing if item.path == str(path)), None)
    data, item = mirror.store(location).get(location.key, "" if seen is None else seen.etag)
    place = folder / path.relative_to(mirror.root)
    modified = item.modified_ns if seen is None else seen.modified_ns
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        os.utime(place, ns=(modified, modified))
    except OSError as error:
        raise UnreadableSource(f"{location} cannot be fetched to {mirror.root}: {error.strerror}.") from error
    return place


def recording(
    record: Callable[[Mapping[str, Any]], None], job: Job, mirror: Mirror
) -> Callable[[Mapping[str, Any]], None]:
    """The same `record`, but its lines have the states of the objects instead of those of their files."""

    def as_objects(line: Mapping[str, Any]) -> None:
        for item in line["read"]:
            if mirror.location(item["path"]) is not None:
                place = next(path for path in map(str, job.sources) if mirror.shown(path) == mirror.shown(item["path"]))
                seen = next((standing for standing in job.standing if standing.path == place), None)
                if seen is not None:
                    item.update(object_state(seen) | {"sha256": item["sha256"]})
        record(line)

    return as_objects


def exists(path: Path, mirror: Mirror | None) -> bool:
    """Whether there is an object at its place now."""
    location = None if mirror is None else mirror.location(path)
    return mirror is not None and location is not None and mirror.store(location).head(location.key) is not None


def put(staged: atomic.Staged, job: Job, mirror: Mirror | None, *, overwrite: bool) -> str:
    """Put a staged file under its key, over the output of an earlier run, or where there is no object.

    Returns:
        The etag of the object.

    Raises:
        OccupiedOutput: another object is there.
        OutputError: it cannot be written.
    """
    location = None if mirror is None else mirror.location(staged.target)
    assert mirror is not None
    assert location is not None
    old = next((item.etag for item in job.standing if item.path == str(staged.target)), "")
    try:
        data = staged.path.read_bytes()
    except OSError as error:
        raise OutputError(f"{location} cannot be written: {error.strerror}.") from error
    return mirror.store(location).put(location.key, data, None if overwrite else old).etag
