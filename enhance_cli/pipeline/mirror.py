"""Objects as paths: a run with URLs works on a mirror, a scratch folder in which every object has a path, its place.

The place of `s3://bucket/a/b.jpg` is `ROOT/s3/bucket/a/b.jpg`. No file is there: the place is only a name, which scan,
settle and process treat like any other path. A source is fetched just before it is decoded (`transfer.py`); a file
staged for a target is uploaded under its key instead of being renamed. Users only see URLs: everything that leaves the
run passes through `shown`.

States of objects are listed once, into a temporary database, so that a million names take no memory.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from enhance_cli.errors import OutputError, UsageError
from enhance_cli.pipeline.names import natural
from enhance_cli.pipeline.states import States
from enhance_cli.storage import SCHEMES, Item, Location, Opener, Store, opened
from enhance_cli.types import Standing

_PREFIX = "enhance-mirror-"
_LOCK = ".lock"


@dataclass(frozen=True)
class Mirror:
    """The mapping between objects and places below a folder; a value that can be sent to other processes."""

    root: Path
    opener: Opener = opened
    """Returns the store of a bucket; tests use others."""

    _pattern: re.Pattern[str] = field(init=False, repr=False)
    _start: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Each fetched source has a separate folder, `ROOT/f-NUMBER`, in which it has its place.
        pattern = re.compile(rf"{re.escape(str(self.root))}(?:/f-[0-9-]+)?/({'|'.join(SCHEMES)})(?:/|$)")
        object.__setattr__(self, "_pattern", pattern)
        object.__setattr__(self, "_start", f"{self.root}/")

    def place(self, location: Location) -> Path:
        """The place of an object."""
        return self.root / location.scheme / location.bucket / location.key

    def location(self, path: Path | str) -> Location | None:
        """The object of a place; None for a path that is not a place."""
        text = str(path)
        match = self._pattern.match(text) if text.startswith(self._start) else None
        if match is None:
            return None
        bucket, _, key = text[match.end() :].partition("/")
        return Location(match[1], bucket, key)

    def store(self, location: Location) -> Store:
        """The bucket of an object."""
        return self.opener(location)

    def shown(self, text: str) -> str:
        """A text with URLs in place of places."""
        return self._pattern.sub(r"\1://", text)

    def shown_in(self, value: Any) -> Any:
        """A JSON value with URLs in place of places."""
        if isinstance(value, str):
            return self.shown(value)
        if isinstance(value, Mapping):
            return {name: self.shown_in(item) for name, item in value.items()}
        return [self.shown_in(item) for item in value] if isinstance(value, list | tuple) else value

    def placed_in(self, value: Any) -> Any:
        """A JSON value with places in place of URLs: the inverse of `shown_in`."""
        if isinstance(value, str):
            if value.startswith(tuple(f"{scheme}://" for scheme in SCHEMES)):
                with contextlib.suppress(UsageError):
                    return str(self.place(Location.parse(value)))
            return value
        if isinstance(value, Mapping):
            return {name: self.placed_in(item) for name, item in value.items()}
        return [self.placed_in(item) for item in value] if isinstance(value, list) else value


@contextlib.contextmanager
def mirrored(opener: Opener = opened) -> Iterator[Mirror]:
    """A mirror for one run, whose folder is removed at the end; those of killed runs are removed now.

    Raises:
        OutputError: the folder for temporary files cannot be written.
    """
    folder = Path(tempfile.gettempdir())
    _sweep(folder)
    try:
        root = Path(os.path.realpath(tempfile.mkdtemp(prefix=_PREFIX, dir=folder)))
        lock = os.open(root / "new", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise OutputError(f"The folder for temporary files, {folder}, cannot be written: {error.strerror}.") from error
    try:
        with contextlib.suppress(OSError):  # locked before it has the name that a sweep looks for
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (root / "new").rename(root / _LOCK)
        yield Mirror(root, opener)
    finally:
        os.close(lock)
        shutil.rmtree(root, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove the mirrors of runs that were killed: they hold no lock."""
    for path in folder.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if path.is_symlink() or path.stat().st_uid != os.getuid():
                continue
            descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)


class ObjectStates(States):
    """The disk, and the objects that were listed."""

    def __init__(self, mirror: Mirror) -> None:
        """Start with no object.

        Args:
            mirror: knows which paths are objects.
        """
        self.mirror = mirror
        self._adding = threading.RLock()
        # A database without a name is a temporary file, some of whose pages are held in memory.
        self._known = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._known.execute("PRAGMA journal_mode=OFF")
        self._known.execute("PRAGMA temp_store=FILE")
        self._known.execute("PRAGMA cache_size=-16000")
        self._known.execute(
            "CREATE TABLE objects (folder TEXT, name TEXT, bytes INTEGER, modified INTEGER, etag TEXT,"
            " PRIMARY KEY (folder, name)) WITHOUT ROWID"
        )

    def close(self) -> None:
        """Remove the database."""
        self._known.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, location: Location, items: Iterator[Item]) -> int:
        """Note objects of a bucket; returns how many."""
        bucket = str(self.mirror.place(location._replace(key="")))
        count = 0

        def rows() -> Iterator[tuple[str, str, int, int, str]]:
            nonlocal count
            for item in items:
                folder, slash, name = item.key.rpartition("/")
                count += 1
                yield f"{bucket}{slash}{folder}", name, item.bytes, item.modified_ns, item.etag

        with self._adding:
            self._known.execute("BEGIN")
            self._known.executemany("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)", rows())
            self._known.execute("COMMIT")
        return count

    def look(self, location: Location) -> int:
        """List every object below a location; returns how many there are.

        Raises:
            EnhanceError: it cannot be listed.
        """
        return self.add(location, self.mirror.store(location).list(location.key))

    def folders(self, root: Path) -> list[str]:
        """The folders below a place that hold objects, itself included, in the order in which folders are scanned."""
        start = str(root)
        with self._adding:
            found = self._known.execute(
                "SELECT DISTINCT folder FROM objects WHERE folder = ? OR (folder > ? AND folder < ?)",
                (start, start + "/", start + "0"),
            ).fetchall()
        return sorted((folder for (folder,) in found), key=lambda folder: tuple(map(natural, folder.split("/"))))

    def names(self, folder: str) -> Iterator[str]:
        """The names of the objects of a folder, in no useful order."""
        for (name,) in self._known.execute("SELECT name FROM objects WHERE folder = ?", (folder,)):
            yield name

    def standing(self, path: Path) -> Standing | None:
        """See `States`; of an object, what was listed."""
        if self.mirror.location(path) is None:
            return super().standing(path)
        folder, _, name = str(path).rpartition("/")
        with self._adding:
            row = self._known.execute(
                "SELECT bytes, modified, etag FROM objects WHERE folder = ? AND name = ?", (folder, name)
            ).fetchone()
        return None if row is None else Standing(str(path), *row)

    def state(self, path: Path, *, hashed: bool = False) -> dict[str, Any]:
        """See `States`."""
        location = self.mirror.location(path)
        if location is None:
            return super().state(path, hashed=hashed)
        found = self.standing(path)
        if found is None:
            raise FileNotFoundError(0, "no such object", str(path))
        content = self.mirror.store(location).get(location.key)[0] if hashed else None
        return object_state(found, content)

    def exists(self, path: Path) -> bool:
        """See `States`."""
        return super().exists(path) if self.mirror.location(path) is None else self.standing(path) is not None

    def is_there(self, path: str) -> bool:
        """See `States`."""
        return super().is_there(path) if self.mirror.location(path) is None else self.standing(Path(path)) is not None

    def refresh(self, path: Path) -> None:
        """See `States`."""
        location = self.mirror.location(path)
        if location is not None:
            self.look(location)

    def seen(self, path: Path) -> Standing | None:
        """See `States`: of an object, what was listed."""
        return None if self.mirror.location(path) is None else self.standing(path)

    def from_report(self, line: Mapping[str, Any]) -> Mapping[str, Any]:
        """See `States`."""
        return dict(self.mirror.placed_in(line))

    def to_report(self, line: Mapping[str, Any]) -> Mapping[str, Any]:
        """See `States`."""
        return dict(self.mirror.shown_in(line))

    def adopted(self, item: Mapping[str, Any]) -> Mapping[str, Any]:
        """See `States`: the etag of the object that is there, if it has the size. A killed run could not note it."""
        path = Path(item["path"])
        if item.get("etag") or self.mirror.location(path) is None:
            return item
        found = self.standing(path)
        return {**item, "etag": found.etag} if found is not None and found.bytes == item["bytes"] else item


def object_state(found: Standing, content: bytes | None = None, name: str | None = None) -> dict[str, Any]:
    """The state of an object as a report line has it: that of a file, and its etag."""
    import hashlib

    return {
        "path": found.path if name is None else name,
        "bytes": found.bytes,
        "modified_ns": found.modified_ns,
        "sha256": None if content is None else hashlib.sha256(content).hexdigest(),
        "etag": found.etag,
    }
