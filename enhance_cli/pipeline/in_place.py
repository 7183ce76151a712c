"""What replacing a photo takes in addition to writing one: locking it, recognising earlier results, keeping its file
system attributes, and keeping its original.

The order is lock, read, stage, back up, record, rename. If the process is killed between any two of them, the photo is
complete and is either the original or a result that has its report line.
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
from enhance_cli.pipeline.journal import path_in_report
from enhance_cli.pipeline.known import Known, Trace
from enhance_cli.pipeline.states import file_state

_POLL_SECONDS = 0.05
_ATTRIBUTE = "user.enhance"
"""The extended attribute that marks a file whose format holds no XMP: sha256 and method."""


def backup_path(target: Path, suffix: str) -> Path:
    """Where the original of a photo is kept."""
    return target.with_name(target.name + suffix)


# --- the lock ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def locked(target: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[os.stat_result]:
    """Lock a photo, so that no other run replaces it meanwhile; yields its stat result.

    Args:
        target: the file itself, no link.
        waiting: called once, without the lock, before waiting for another run.

    Raises:
        MissingSource: it does not exist, or is not a regular file.
        UnreadableSource: the operating system refuses.
    """
    while True:
        descriptor = _opened(target)
        try:
            if not atomic.try_lock(descriptor):
                waiting()
                while not atomic.try_lock(descriptor):
                    abandon.check()
                    time.sleep(_POLL_SECONDS)  # polling, because a blocking wait could not be interrupted
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
        what = "is a dangling link" if target.is_symlink() else "does not exist"
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
    """A locked photo in place: what is known about earlier runs, and what its replacement takes over.

    There are three checks, each more expensive than the one before; they stop when `reason` says why to skip it.
    """

    def __init__(
        self, source: Path, target: Path, status: os.stat_result, known: Known | None, *, again: bool = False
    ) -> None:
        """Check nothing yet.

        Args:
            source: as the user gave it.
            target: the file itself.
            status: of the file when it was locked.
            known: the reports.
            again: enhance it even if it was enhanced before.
        """
        self._source, self._target, self._status = source, target, status
        self._known = known or Known(None)
        self._again = again
        self._is_ours = False
        self.reason: str | None = None
        """Why it is skipped, in a sentence."""

    def look(self) -> bool:
        """Check its name, size and time.

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
        """Check the hash of its bytes."""
        attribute = _attribute(self._target)
        if attribute is not None or self._known.has_contents(self._target):
            sha256 = hashlib.sha256(data).hexdigest()
            if attribute is not None and attribute[0] == sha256:
                return self._found(Trace(attribute[1]))
            return self._found(self._known.by_content(self._target, sha256))
        return False

    def look_at_mark(self, xmp: bytes | None) -> bool:
        """Check the mark in its XMP."""
        mark = mark_of(xmp)
        return self._found(None if mark is None else Trace(mark.method, mark.role != ""))

    def _found(self, trace: Trace | None) -> bool:
        if trace is None:
            return False
        self._is_ours = True
        if trace.illustration:
            self.reason = f"{self._source} is an illustration that enhance made, left alone."
        elif not self._again:
            self.reason = f"{self._source} was enhanced before ({trace.method}), left alone; --again enhances it again."
        return self.reason is not None

    def check_unchanged(self) -> None:
        """Check that it is still the file that was locked.

        Raises:
            ChangedSource: another program replaced it or wrote to it.
        """
        before = self._status
        with contextlib.suppress(OSError):
            now = self._target.stat()
            if os.path.samestat(now, before) and (now.st_size, now.st_mtime_ns) == (before.st_size, before.st_mtime_ns):
                return
        raise ChangedSource(f"{self._target} changed while it was worked on, and was left alone; run again.")

    def hand_on(self, staged: Path) -> None:
        """Copy its file system attributes to the replacement; see `keep_attributes`."""
        keep_attributes(self._target, self._status, staged)

    def mark_file(self, staged: Path, data: bytes, method: str) -> None:
        """Mark the replacement by an extended attribute if its format cannot hold XMP."""
        with contextlib.suppress(OSError, AttributeError):
            os.setxattr(staged, _ATTRIBUTE, f"{hashlib.sha256(data).hexdigest()} {method}".encode())

    @contextlib.contextmanager
    def kept_original(self, suffix: str, data: bytes, report: Path | None) -> Iterator[dict[str, Any]]:
        """Back up the original; yields the `backup` of the report line.

        An error in the body, before the photo is replaced, removes the backup again.

        Args:
            suffix: of the backup's name.
            data: its bytes.
            report: the report whose folder paths in the line are relative to.

        Raises:
            Protected: a file of that name exists and is not known to be its original.
            OutputError: it cannot be written.
        """
        path = backup_path(self._target, suffix)
        sha256 = hashlib.sha256(data).hexdigest()
        made = not os.path.lexists(path)
        if made:
            _keep(self._target, path, data, self._status)
        else:
            kept = _sha256_of(path)
            # A result of enhance has an older original, which is the one to keep.
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
    """The photo that a file, by its name, is the kept original of; None for names of images."""
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
    """Whether a file is an illustration that enhance made, according to its mark."""
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
    """Check whether a photo may be replaced.

    Raises:
        Protected: it is read-only.
    """
    read_only_disk = bool(os.statvfs(target).f_flag & os.ST_RDONLY)  # found when staging, and ends the run
    if not read_only_disk and (status.st_mode & 0o222 == 0 or not os.access(target, os.W_OK)):
        raise Protected(f"{target} is read-only; make it writable, or give an OUTPUT instead of --in-place.")


def keep_attributes(target: Path, before: os.stat_result, staged: Path) -> None:
    """Copy owner, group, mode and extended attributes (including access lists) of a photo to its replacement.

    Raises:
        Protected: it belongs to another user or group, and replacing it would change that.
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
                continue  # describes the old bytes
            try:
                os.setxattr(staged, name, os.getxattr(target, name))
            except OSError:
                if name.startswith(("user.", "system.posix_acl")):
                    raise
                # Only the system may set labels and trusted attributes.
    except OSError as error:
        raise OutputError(
            f"{target} cannot be replaced with its owner, group, mode and extended attributes kept: {error.strerror}."
        ) from error


# --- its original ------------------------------------------------------------------------------------------


def _keep(target: Path, path: Path, data: bytes, before: os.stat_result) -> None:
    """Make a backup: a hard link, or a copy if links are not possible."""
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
