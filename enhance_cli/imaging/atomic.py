"""Writing a file so that there is never half of one under its name."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from enhance_cli.errors import OutputError


def write_atomically(target: Path, data: bytes) -> None:
    """Write to a temporary file in the target's folder, sync it, then rename it into place.

    The temporary name is short and hidden, so that a 255-byte target name works and folder scans skip it.

    Raises:
        OutputError: the folder cannot be written, is gone, or the disk is full.
    """
    temporary: str | None = None
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=".enhance-", suffix=".tmp", dir=target.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_UMASK)
        Path(temporary).replace(target)
        temporary = None
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror or error}.") from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


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
