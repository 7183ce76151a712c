"""Writing a file so that there is never half of one under its name.

A file is staged (written whole under a short hidden name in the target's folder, synced, its size checked), and
placed by a rename. Between the two its maker can look at it, or write down that it is about to be there. While it
is staged an flock is held on it, so that `sweep` can tell what a killed process left behind from what a living
one is writing.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from enhance_cli.errors import OutputError

_PREFIX, _SUFFIX = ".enhance-", ".tmp"

_NO_LINKS = {errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
"""What file systems without hard links answer when asked for one."""

_staged: set[Staged] = set()
_staging = threading.Lock()
"""Held while a file is made or placed, so that `discard_all` misses none."""

_over = False


class Staged:
    """A file that is whole and on the disk, but not yet under its name. Leaving the context unplaced removes it."""

    def __init__(self, target: Path, data: bytes) -> None:
        """Write all of `data` beside `target`.

        The temporary name is short and hidden, so that a 255-byte target name works and folder scans skip it.

        Raises:
            OutputError: the folder cannot be written, is gone, or the disk is full.
        """
        self.target = target
        self._descriptor = self._folder = -1
        self._temporary: Path | None = None
        try:
            with _explained(target):
                # Held open, so that the file is found and removed where somebody moves the folder meanwhile.
                self._folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
                self._open(target.parent)
                view = memoryview(data)
                while view:
                    view = view[os.write(self._descriptor, view) :]
                os.fsync(self._descriptor)
                os.chmod(self._descriptor, 0o666 & ~_UMASK)  # noqa: PTH101 - of the open file, whatever its name
                if os.fstat(self._descriptor).st_size != len(data):
                    raise OSError(errno.EIO, "the disk did not keep all of it")
        except BaseException:
            self.discard()
            raise

    def _open(self, folder: Path) -> None:
        """Make the temporary file and lock it; again if a sweep took it between the two."""
        while self._temporary is None:
            with _staging:
                if _over:
                    raise OSError(errno.ECANCELED, "the run has been stopped")
                self._descriptor, name = tempfile.mkstemp(prefix=_PREFIX, suffix=_SUFFIX, dir=folder)
                self._temporary = Path(name)
                _staged.add(self)
            with contextlib.suppress(OSError):  # a file system without locks; nobody can sweep there either
                fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            if os.fstat(self._descriptor).st_nlink == 0:
                os.close(self._descriptor)
                self._temporary = None

    @property
    def path(self) -> Path:
        """Where the bytes are until they are placed."""
        assert self._temporary is not None
        return self._temporary

    def place(self) -> None:
        """Give the file its name, replacing what had it.

        Raises:
            OutputError: the name is too long, is a folder's, or the folder is gone.
        """
        with _explained(self.target):
            self.path.replace(self.target)
        self._temporary = None
        _staged.discard(self)

    def place_anew(self) -> None:
        """Give the file its name if nothing has it, in one step.

        Raises:
            FileExistsError: something has it, be it a folder or a link to nothing; it is left as it is.
            OutputError: the name is too long, or the folder is gone.
        """
        try:
            with _explained(self.target, FileExistsError):
                os.link(self.path, self.target)
        except OutputError as error:
            if getattr(error.__cause__, "errno", None) not in _NO_LINKS:
                raise
            with _explained(self.target, FileExistsError):
                os.close(os.open(self.target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))  # what is then replaced is ours
            self.place()
            return
        with contextlib.suppress(OSError):
            self.path.unlink()
        self._temporary = None
        _staged.discard(self)

    def discard(self) -> None:
        """Remove what has not been placed."""
        self._remove()
        for descriptor in (self._descriptor, self._folder):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._folder = -1

    def _remove(self) -> None:
        if self._temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary.name, dir_fd=self._folder)
            self._temporary = None
        _staged.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()


def write_atomically(target: Path, data: bytes) -> None:
    """Stage and place at once.

    Raises:
        OutputError: the folder cannot be written, is gone, or the disk is full.
    """
    with Staged(target, data) as staged:
        staged.place()


def discard_all() -> None:
    """Remove all that this process has staged and not placed, because it is about to end. Nothing is staged after it.

    Whoever was writing one of them is left behind: it writes to a file without a name, and cannot place it.
    """
    global _over
    held = _staging.acquire(timeout=0.2)  # a file system that hangs must not hang the end as well
    try:
        _over = True
        for item in list(_staged):
            item._remove()
    finally:
        if held:
            _staging.release()


def sweep(folder: Path) -> int:
    """Remove what killed processes left staged in a folder; what a living one holds stays. Returns how many."""
    swept = 0
    with contextlib.suppress(OSError):
        for path in list(folder.glob(f"{_PREFIX}*{_SUFFIX}")):
            with contextlib.suppress(OSError):
                descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
                    swept += 1
                finally:
                    os.close(descriptor)
    return swept


def try_lock(file: BinaryIO | int) -> bool:
    """Take a file's lock, unless another has it; it goes with the open file, or with the process."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks
    return True


def probe(target: Path, size: int) -> None:
    """Try whether there is room for `size` bytes beside a target, leaving nothing.

    Raises:
        OutputError: there is not, or the folder cannot be written.
    """
    with _explained(target), tempfile.TemporaryFile(dir=target.parent) as file:
        os.posix_fallocate(file.fileno(), 0, max(size, 1))


@contextlib.contextmanager
def _explained(target: Path, *but: type[OSError]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, but):
            raise
        raise OutputError(f"{target} cannot be written: {error.strerror or error}.") from error


def _read_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


_UMASK = _read_umask()  # read once, at import: reading it means setting it, which is not safe among threads


def make_folder(folder: Path) -> None:
    """Make an output folder with its parents.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be made: {error.strerror}.") from error
