"""Atomic writing: a file appears under its name complete or not at all.

A file is staged (written completely under a short hidden name in the target's folder, synced, its size checked), then
placed by a rename. Between the two the caller can verify it, or record that it is about to appear. While it is
staged an flock is held on it, so that `sweep` can distinguish files left by killed processes from files that a
running process is writing.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from enhance_cli.errors import OutputError

_PREFIX, _SUFFIX = ".enhance-", ".tmp"

_NO_LINKS = {errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
"""Errors of file systems without hard links when asked for one."""

_staged: set[Staged] = set()
_staging = threading.Lock()
"""Held while a file is made or placed, so that `discard_all` misses none."""

_over = False


class Staged:
    """A complete file on the disk, not yet under its name. Leaving the context before it is placed removes it."""

    def __init__(self, target: Path, data: bytes) -> None:
        """Write all of `data` to the folder of `target`.

        The temporary name is short and hidden, so that a 255-byte target name works and folder scans skip it.

        Raises:
            OutputError: the folder cannot be written, is gone, or the disk is full; or the target is a device, a pipe
                or a socket.
        """
        self.target = target
        self._descriptor = self._folder = -1
        self._temporary: Path | None = None
        try:
            with _explained(target):
                _refuse_special(target)
                # Held open, so that the file can be removed even if the folder is moved meanwhile.
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
            with contextlib.suppress(OSError):  # a file system without locks, on which `sweep` does nothing either
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
            _refuse_special(self.target)
            self.path.replace(self.target)
        self._temporary = None
        _staged.discard(self)

    def place_anew(self) -> None:
        """Give the file its name if there is no such file, in one step.

        Raises:
            FileExistsError: the name exists, possibly as a folder or a broken link; it is left unchanged.
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
        self._remove()

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


def _refuse_special(target: Path) -> None:
    """Refuse to replace what is neither a file nor a link: root may, and /dev/null would be a file from then on."""
    try:
        mode = target.lstat().st_mode
    except OSError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "it is a device, a pipe or a socket, not a file")


def write_atomically(target: Path, data: bytes) -> None:
    """Stage and place at once.

    Raises:
        OutputError: the folder cannot be written, is gone, or the disk is full.
    """
    with Staged(target, data) as staged:
        staged.place()


def discard_all() -> None:
    """Remove everything this process has staged but not placed, because it is about to end; staging then fails.

    A thread that is still writing one of them writes to a deleted file, and cannot place it.
    """
    global _over
    held = _staging.acquire(timeout=0.2)  # a file system that hangs must not block the end
    try:
        _over = True
        for item in list(_staged):
            item._remove()
    finally:
        if held:
            _staging.release()


def sweep(folder: Path) -> int:
    """Remove staged files left by killed processes; those of running processes stay. Returns how many were removed."""
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
    """Lock a file unless another process holds the lock; closing the file or ending the process releases it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks
    return True


def probe(target: Path, size: int) -> None:
    """Test whether there is space for `size` bytes in the folder of a target; leaves nothing behind.

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


_UMASK = _read_umask()  # read once, at import: reading it means setting it, which is not thread-safe


def make_folder(folder: Path) -> None:
    """Make an output folder with its parents.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be made: {error.strerror}.") from error
