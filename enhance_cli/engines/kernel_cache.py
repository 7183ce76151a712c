"""The folder of compiled kernels: one checked file for each, and nothing in it that a run depends on.

A file holds a checksum, then its key and the machine code. What is cut off, flipped, foreign or unreadable is taken
for absent, so that the kernel is compiled again: machine code that is not exactly what was written must never be run.
There is no index that several processes would have to agree on; each file is written aside and renamed.

    FOLDER/kernels/STATE/NAME-KEY.kernel

STATE stands for all that machine code follows from beside the kernel itself (see `compiled.state`). It is a folder, so
that the code of older states can be removed as a whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_MAGIC = b"enhance-kernel-1\n"
_DIGEST = 32
_SUFFIX, _STAGED = ".kernel", ".tmp"

_STATES_KEPT = 4
"""The state in use and the latest others: of a second installation, say, or the one that an upgrade may go back to."""

_HOUR, _DAY = 3600.0, 86400.0


class Damaged(Exception):
    """A file is there and is not what was written."""


@dataclass(frozen=True)
class Candidate:
    """A folder that may hold the cache."""

    folder: Path
    named: bool = False
    """Whether the user named it. Others hold code that will be run only if they are this user's alone."""

    def usable(self) -> bool:
        """Make the folder, and try whether files can be written there."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self.named and not _private(self.folder):
                return False
            with tempfile.TemporaryFile(dir=self.folder):
                return True
        except OSError:
            return False


def candidates() -> Iterator[Candidate]:
    """Of $ENHANCE_CACHE_DIR, $NUMBA_CACHE_DIR, $XDG_CACHE_HOME, ~/.cache and the temporary folder, those there are."""
    if named := os.environ.get("ENHANCE_CACHE_DIR"):
        yield Candidate(Path(named), named=True)
    if named := os.environ.get("NUMBA_CACHE_DIR"):
        yield Candidate(Path(named) / "enhance", named=True)
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        yield Candidate(Path(xdg) / "enhance")
    if home := os.environ.get("HOME"):
        yield Candidate(Path(home) / ".cache" / "enhance")
    with contextlib.suppress(OSError):  # there is none
        yield Candidate(Path(tempfile.gettempdir()) / f"enhance-cache-{os.getuid()}")


def cache_folder() -> Path | None:
    """The first candidate that can be written and trusted; made if it is not there."""
    return next((item.folder for item in candidates() if item.usable()), None)


def _private(folder: Path) -> bool:
    """Whether a folder is this user's, and nobody else can write it."""
    status = folder.stat()
    ours = folder.lstat().st_uid == status.st_uid == os.getuid()
    return ours and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


@dataclass
class KernelStore:
    """Compiled kernels of one state. Nothing here raises but what is documented, and a run can go on after that."""

    states: Path
    """`FOLDER/kernels`."""

    state: str
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.states / self.state

    def _path(self, name: str, key: bytes) -> Path:
        short = re.sub(r"[^\w.]", "_", name)[-80:]
        return self.folder / f"{short}-{hashlib.blake2b(key, digest_size=12).hexdigest()}{_SUFFIX}"

    def read(self, name: str, key: bytes) -> bytes | None:
        """What was kept under a key, or None.

        Raises:
            Damaged: there is something else, which is removed if it can be.
            OSError: it cannot be read.
        """
        path = self._path(name, key)
        try:
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            return _checked(data, key)
        except Damaged:
            with contextlib.suppress(OSError):
                path.unlink()
            raise

    def write(self, name: str, key: bytes, payload: bytes) -> None:
        """Keep something, in one piece: several processes may do so at once.

        Raises:
            OSError: the disk is full, the folder cannot be written.
        """
        path = self._path(name, key)
        if not self.folder.is_dir():
            # The parents too: somebody may have emptied the cache since it was chosen.
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.prune()
        body = len(key).to_bytes(4, "little") + key + payload
        descriptor, staged = tempfile.mkstemp(suffix=_STAGED, dir=self.folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_MAGIC + hashlib.blake2b(body, digest_size=_DIGEST).digest())
                file.write(body)
            Path(staged).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(staged).unlink()
            raise

    def forget(self, name: str, key: bytes) -> None:
        """Remove what is kept under a key."""
        with contextlib.suppress(OSError):
            self._path(name, key).unlink()

    def holds_any(self) -> bool:
        """Whether kernels of this state were kept before; marks the state as in use."""
        try:
            if time.time() - self.folder.stat().st_mtime > _DAY:
                os.utime(self.folder)
        except OSError:
            pass  # not there, or not ours to mark
        return next(self._files(), None) is not None

    def _files(self) -> Iterator[Path]:
        with contextlib.suppress(OSError):
            yield from self.folder.glob(f"*{_SUFFIX}")

    def mend(self) -> tuple[int, int]:
        """Look at every file of this state and remove what is damaged; returns how many are whole, and were not."""
        whole = damaged = 0
        for path in self._files():
            try:
                _checked(path.read_bytes())
                whole += 1
            except (Damaged, OSError):
                damaged += 1
                with contextlib.suppress(OSError):
                    if path.is_dir() and not path.is_symlink():
                        shutil.rmtree(path)
                    else:
                        path.unlink()
        self.prune()
        return whole, damaged

    def prune(self) -> None:
        """Remove states that have not been in use for longest, and what killed processes left half written.

        A process that uses a state that is removed misses its files, and compiles: it fails of nothing.
        """
        now = time.time()
        with contextlib.suppress(OSError):
            for path in list(self.folder.glob(f"*{_STAGED}")):
                with contextlib.suppress(OSError):
                    if now - path.stat().st_mtime > _HOUR:
                        path.unlink()
        others = []
        with contextlib.suppress(OSError):
            for path in self.states.iterdir():
                # Only what is named as states are: the folder may be one that holds other things of the user's.
                if path.name != self.state and re.fullmatch(r"[0-9a-f]{12,64}", path.name) and not path.is_symlink():
                    others.append((path.stat().st_mtime, path))
        for _, path in sorted(others, reverse=True)[_STATES_KEPT - 1 :]:
            shutil.rmtree(path, ignore_errors=True)


def _checked(data: bytes, key: bytes | None = None) -> bytes:
    """The payload of a file.

    Raises:
        Damaged: the checksum does not fit, or the key is another.
    """
    start = len(_MAGIC) + _DIGEST
    body = memoryview(data)[start:]
    if not data.startswith(_MAGIC) or len(body) < 4:
        raise Damaged
    if hashlib.blake2b(body, digest_size=_DIGEST).digest() != data[len(_MAGIC) : start]:
        raise Damaged
    length = int.from_bytes(body[:4], "little")
    if key is not None and bytes(body[4 : 4 + length]) != key:
        raise Damaged
    return bytes(body[4 + length :])
