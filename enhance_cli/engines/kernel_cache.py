"""The folder of compiled kernels: one file with a checksum for each. No run depends on its contents.

A file holds a checksum, its key and the machine code. A truncated, corrupted, foreign or unreadable file counts as
absent, so that the kernel is compiled again: machine code that is not exactly what was written must never run. There
is no index that several processes would have to agree on; each file is written under a temporary name and renamed.

    FOLDER/kernels/STATE/NAME-KEY.kernel

STATE names everything that determines machine code besides the kernel itself (see `compiled.state`). It is a folder,
so that the code of older states can be removed as a whole.
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
"""How many states are kept: the current one and the latest others, such as a second installation or a downgrade."""

_HOUR, _DAY = 3600.0, 86400.0


class Damaged(Exception):
    """A file exists but is not what was written."""


@dataclass(frozen=True)
class Candidate:
    """A folder that may hold the cache."""

    folder: Path
    named: bool = False
    """Whether the user named it. Other folders are used only if no other user can write them."""

    def usable(self) -> bool:
        """Create the folder, and test whether files can be written there."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self.named and not _private(self.folder):
                return False
            with tempfile.TemporaryFile(dir=self.folder):
                return True
        except OSError:
            return False


def candidates() -> Iterator[Candidate]:
    """The set ones of $ENHANCE_CACHE_DIR, $NUMBA_CACHE_DIR, $XDG_CACHE_HOME, ~/.cache and the temporary folder."""
    if named := os.environ.get("ENHANCE_CACHE_DIR"):
        yield Candidate(Path(named), named=True)
    if named := os.environ.get("NUMBA_CACHE_DIR"):
        yield Candidate(Path(named) / "enhance", named=True)
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        yield Candidate(Path(xdg) / "enhance")
    if home := os.environ.get("HOME"):
        yield Candidate(Path(home) / ".cache" / "enhance")
    with contextlib.suppress(OSError):  # there is no home folder
        yield Candidate(Path(tempfile.gettempdir()) / f"enhance-cache-{os.getuid()}")


def cache_folder() -> Path | None:
    """The first candidate that can be written and trusted; created if absent."""
    return next((item.folder for item in candidates() if item.usable()), None)


def _private(folder: Path) -> bool:
    """Whether a folder belongs to this user, and no one else can write it."""
    status = folder.stat()
    ours = folder.lstat().st_uid == status.st_uid == os.getuid()
    return ours and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


@dataclass
class KernelStore:
    """Compiled kernels of one state. Only documented errors are raised, and a run can continue after any of them."""

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
        """The data saved under a key, or None.

        Raises:
            Damaged: the file holds something else; it is removed if possible.
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
        """Save data atomically: several processes may do so at once.

        Raises:
            OSError: the disk is full, the folder cannot be written.
        """
        path = self._path(name, key)
        if not self.folder.is_dir():
            # The parents too: the cache may have been deleted since it was chosen.
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
        """Remove the data of a key."""
        with contextlib.suppress(OSError):
            self._path(name, key).unlink()

    def holds_any(self) -> bool:
        """Whether kernels of this state exist already; marks the state as in use."""
        try:
            if time.time() - self.folder.stat().st_mtime > _DAY:
                os.utime(self.folder)
        except OSError:
            pass  # absent, or owned by another user
        return next(self._files(), None) is not None

    def _files(self) -> Iterator[Path]:
        with contextlib.suppress(OSError):
            yield from self.folder.glob(f"*{_SUFFIX}")

    def repair(self) -> tuple[int, int]:
        """Check every file of this state and remove damaged ones; returns the counts of intact and damaged files."""
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
        """Remove the least recently used states, and temporary files left by killed processes.

        A process whose state is removed no longer finds its files, so it compiles again; nothing fails.
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
                # Only folders named like states: there may be other files of the user here.
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
