"""What replacing a photo takes beside writing one: a lock on it, knowing it again, keeping what the file system
holds of it, and keeping its original.

The order is lock, read, stage, back up, record, rename. Killed between any two of them, the photo is whole and is
either its original or what a line tells of.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from enhance_cli.engines import abandon
from enhance_cli.errors import ChangedSource, EnhanceError, MissingSource, OutputError, Protected, UnreadableSource
from enhance_cli.imaging import atomic
from enhance_cli.imaging.codecs import FORMATS, format_of_suffix
from enhance_cli.imaging.marks import mark_of
from enhance_cli.pipeline.journal import file_state, path_in_report
from enhance_cli.pipeline.known import Known, Trace

_POLL_SECONDS = 0.05
_ATTRIBUTE = "user.enhance"
"""The extended attribute that marks a file whose format holds no XMP: sha256 and method."""


def backup_path(target: Path, suffix: str) -> Path:
    """Where the original of a photo is kept."""
    return target.with_name(target.name + suffix)


# --- the lock ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def locked(target: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[os.stat_result]:
    """Hold a photo, so that no other run replaces it meanwhile; yields its status.

    Args:
        target: the file itself, no link.
        waiting: called once, holding nothing, before waiting for another run.

    Raises:
        MissingSource: it is not there, or is not a regular file.
        UnreadableSource: the operating system refuses.
    """
    while True:
        descriptor = _opened(target)
        try:
            if not atomic.try_lock(descriptor):
                waiting()
                while not atomic.try_lock(descriptor):
                    abandon.check()
                    time.sleep(_POLL_SECONDS)  # not one long wait, which nothing could interrupt
            status = os.fstat(descriptor)
            if _is_at(target, status):  # else it was replaced between opening and locking
                yield status
                return
        finally:
            os.close(descriptor)


def _opened(target: Path) -> int:
    try:
        if not stat.S_ISREG(target.stat().st_mode):
            raise MissingSource(f"{target} is not a regular file; give a photo.")
        return os.open(target, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        what = "is a link to nothing" if target.is_symlink() else "does not exist"
        raise MissingSource(f"{target} {what}.") from error
    except OSError as error:
        raise UnreadableSource(f"{target} cannot be read: {error.strerror}.") from error


def _is_at(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), status)
    except OSError:
        return False


# --- what is known of it -----------------------------------------------------------------------------------


class Past:
    """A photo in place that is held: what became of it before, and what its successor takes over.

    It is looked for in three ways, each dearer than the one before, until `reason` says why to leave it alone.
    """

    def __init__(
        self, source: Path, target: Path, status: os.stat_result, known: Known | None, *, again: bool = False
    ) -> None:
        """Look at nothing yet.

        Args:
            source: as the user gave it.
            target: the file itself.
            status: of the file when it was locked.
            known: the reports.
            again: enhance it though it was enhanced before.
        """
        self._source, self._target, self._status = source, target, status
        self._known = known or Known(None)
        self._again = again
        self._is_ours = False
        self.reason: str | None = None
        """Why it is left alone, in a sentence."""

    def look(self) -> bool:
        """Judge by its name, size and time.

        Raises:
            Protected: it is read-only.
        """
        photograph = original_of(self._source)
        if photograph is not None:
            self.reason = f"{self._source} looks like the original of {photograph}, left alone."
        elif not self._found(self._known.by_state(self._target)):
            refuse_protected(self._target, self._status)
        return self.reason is not None

    def look_into(self, data: bytes) -> bool:
        """Judge by its bytes."""
        attribute = _attribute(self._target)
        if attribute is not None or self._known.has_contents(self._target):
            sha256 = hashlib.sha256(data).hexdigest()
            if attribute is not None and attribute[0] == sha256:
                return self._found(Trace(attribute[1]))
            return self._found(self._known.by_content(self._target, sha256))
        return False

    def look_at_mark(self, xmp: bytes | None) -> bool:
        """Judge by the mark in its XMP."""
        mark = mark_of(xmp)
        return self._found(None if mark is None else Trace(mark.method, mark.role != ""))

    def _found(self, trace: Trace | None) -> bool:
        if trace is None:
            return False
        self._is_ours = True
        if trace.illustration:
            self.reason = f"{self._source} was drawn by enhance beside a photo, left alone."
        elif not self._again:
            self.reason = f"{self._source} was enhanced before ({trace.method}), left alone; --again enhances it again."
        return self.reason is not None

    def check_unchanged(self) -> None:
        """See that it is still the one that was locked.

        Raises:
            ChangedSource: somebody replaced it or wrote to it.
        """
        before = self._status
        with contextlib.suppress(OSError):
            now = self._target.stat()
            if os.path.samestat(now, before) and (now.st_size, now.st_mtime_ns) == (before.st_size, before.st_mtime_ns):
                return
        raise ChangedSource(f"{self._target} changed while it was worked on, and was left alone; run again.")

    def hand_on(self, staged: Path) -> None:
        """Give its successor what the file system holds of it; see `keep_attributes`."""
        keep_attributes(self._target, self._status, staged)

    def mark_file(self, staged: Path, data: bytes, method: str) -> None:
        """Mark its successor, which can hold no XMP, where the file system can."""
        with contextlib.suppress(OSError, AttributeError):
            os.setxattr(staged, _ATTRIBUTE, f"{hashlib.sha256(data).hexdigest()} {method}".encode())

    @contextlib.contextmanager
    def kept_original(self, suffix: str, data: bytes, report: Path | None) -> Iterator[dict[str, Any]]:
        """Keep its original until it is replaced and after; yields the `backup` of the report line.

        An error within, before it was replaced, takes the backup away again.

        Args:
            suffix: of the backup's name.
            data: its bytes.
            report: which the line names files from.

        Raises:
            Protected: there is a file of that name that is not known to be its original.
            OutputError: it cannot be written.
        """
        path = backup_path(self._target, suffix)
        sha256 = hashlib.sha256(data).hexdigest()
        made = not os.path.lexists(path)
        if made:
            _keep(self._target, path, data, self._status)
        else:
            kept = _sha256_of(path)
            # What enhance made has an older original, which is the true one.
            if kept != sha256 and not (self._is_ours and self._known.backup(path) == kept):
                raise Protected(
                    f"{path} exists and is not known to be the original of {self._target}; move it away, or give "
                    "another suffix: --backup=SUFFIX."
                )
            sha256 = kept
        try:
            yield {**file_state(path, path_in_report(path, report)), "sha256": sha256}
        except BaseException:
            if made and _is_at(self._target, self._status):
                with contextlib.suppress(OSError):
                    path.unlink()
            raise


def original_of(source: Path) -> Path | None:
    """The photo beside a file whose name says that the file is its kept original; None for images' names."""
    name = source.name
    if format_of_suffix(source) is not None:
        return None
    lowered = name.lower()
    for item in FORMATS.values():
        for suffix in item.suffixes:
            end = lowered.rfind(suffix)
            if end > 0 and end + len(suffix) < len(name):
                photograph = source.with_name(name[: end + len(suffix)])
                if photograph.exists():
                    return photograph
    return None


def is_drawn(path: Path) -> bool:
    """Whether a file was drawn by enhance beside a photo, by the mark in it."""
    from enhance_cli.imaging.codecs.png import chunks

    try:
        mark = mark_of(chunks.take_apart(path.read_bytes()).carried.xmp)
    except (OSError, EnhanceError):
        return False
    return mark is not None and mark.role != ""


def _attribute(path: Path) -> tuple[str, str] | None:
    try:
        sha256, _, method = os.getxattr(path, _ATTRIBUTE).decode().partition(" ")
    except (OSError, AttributeError, UnicodeDecodeError):
        return None
    return (sha256, method) if len(sha256) == 64 and method else None


# --- what the file system holds of it ----------------------------------------------------------------------


def refuse_protected(target: Path, status: os.stat_result) -> None:
    """See whether a photo may be replaced.

    Raises:
        Protected: it is read-only.
    """
    read_only_disk = bool(os.statvfs(target).f_flag & os.ST_RDONLY)  # found when staging, and ends the run
    if not read_only_disk and (status.st_mode & 0o222 == 0 or not os.access(target, os.W_OK)):
        raise Protected(f"{target} is read-only; make it writable, or give an OUTPUT instead of --in-place.")


def keep_attributes(target: Path, before: os.stat_result, staged: Path) -> None:
    """Give what will replace a photo its owner, group, mode and extended attributes (access lists are such).

    Raises:
        Protected: it is another's, and would become ours.
        OutputError: the file system refuses.
    """
    try:
        now = staged.stat()
        if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
            try:
                os.chown(staged, before.st_uid, before.st_gid)
            except PermissionError as error:
                raise Protected(
                    f"{target} belongs to another user or group, and replacing it would change that; run as its owner, "
                    "or give an OUTPUT instead of --in-place."
                ) from error
        staged.chmod(stat.S_IMODE(before.st_mode))
        for name in os.listxattr(target) if hasattr(os, "listxattr") else ():
            if name == _ATTRIBUTE:
                continue  # speaks of the bytes that were
            try:
                os.setxattr(staged, name, os.getxattr(target, name))
            except OSError:
                if name.startswith(("user.", "system.posix_acl")):
                    raise
                # Labels and trusted attributes are the system's to give.
    except OSError as error:
        raise OutputError(
            f"{target} cannot be replaced with its owner, group, mode and extended attributes kept: {error.strerror}."
        ) from error


# --- its original ------------------------------------------------------------------------------------------


def _keep(target: Path, path: Path, data: bytes, before: os.stat_result) -> None:
    """Make a backup: a second link, or a copy where that cannot be."""
    try:
        os.link(target, path)
    except FileExistsError as error:
        raise Protected(f"{path} was just made by another program; run again.") from error
    except OSError:
        with atomic.Staged(path, data) as staged:
            keep_attributes(target, before, staged.path)
            os.utime(staged.path, ns=(before.st_atime_ns, before.st_mtime_ns))
            if os.path.lexists(path):
                raise Protected(f"{path} was just made by another program; run again.") from None
            staged.place()


def _sha256_of(path: Path) -> str:
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise Protected(f"{path} is not a regular file, so no original can be kept there; give --backup=SUFFIX.")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UnreadableSource(f"{path} cannot be read: {error.strerror}.") from error
