"""What exists at a path before any work: according to the disk or, for objects, to the listing (see `mirror`)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from enhance_cli.types import Standing


def file_state(path: Path, name: str | None = None, *, content: bytes | None = None) -> dict[str, Any]:
    """The state of a file, by which later changes are detected: the `read` and `written` entries of a report line.

    Args:
        path: the file.
        name: its path in the entry; by default the absolute path.
        content: its bytes, to include their sha256.

    Raises:
        OSError: it does not exist.
    """
    status = path.stat()
    return {
        "path": name if name is not None else os.path.abspath(path),  # noqa: PTH100 - keeps links as they are
        "bytes": status.st_size,
        "modified_ns": status.st_mtime_ns,
        "sha256": None if content is None else hashlib.sha256(content).hexdigest(),
    }


class States:
    """The disk. `mirror.ObjectStates` adds objects to it."""

    def state(self, path: Path, *, hashed: bool = False) -> dict[str, Any]:
        """The state of a file as a report line has it (see `file_state`).

        Raises:
            OSError: there is none.
        """
        return file_state(path, content=path.read_bytes() if hashed else None)

    def exists(self, path: Path) -> bool:
        """Whether anything has this name, a broken link included."""
        return os.path.lexists(path)

    def is_there(self, path: str) -> bool:
        """Whether there is a file, or an object, of this name."""
        return os.path.exists(path)  # noqa: PTH110 - False for what is no path at all

    def standing(self, path: Path) -> Standing | None:
        """The state of what has this name now, to recognise it when it is replaced."""
        try:
            status = path.lstat()
        except OSError:
            return None
        return Standing(str(path), status.st_size, status.st_mtime_ns)

    def refresh(self, path: Path) -> None:
        """Look up an object again that was only listed."""

    def seen(self, path: Path) -> Standing | None:
        """The state of a source that must not change until it is read; None if it was not listed."""
        return None

    def adopted(self, item: Mapping[str, Any]) -> Mapping[str, Any]:
        """The state of a written file as in a report, completed by what the report could not contain."""
        return item

    def to_report(self, line: Mapping[str, Any]) -> Mapping[str, Any]:
        """A line of this run as written to a report: the inverse of `from_report`."""
        return line

    def from_report(self, line: Mapping[str, Any]) -> Mapping[str, Any]:
        """A line of a report with the paths of this run."""
        return line
