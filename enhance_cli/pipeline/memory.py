"""How much memory this process may use: the machine's, or less in a container with a limit."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

_GENEROUS = 2 * 10**9
"""More decoded images in memory than this do not make a run faster."""


def default_budget() -> int:
    """The default memory budget for decoded images: 2 GB, or half of the memory if that is less."""
    return min(_GENEROUS, usable_memory() // 2)


def give_back() -> None:
    """Return freed memory to the system, if the C library retains it and has a call for that. Once per large image,
    between two stages, the cost is not measurable.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def usable_memory(root: Path = Path("/")) -> int:
    """Bytes of memory that this process may use: the machine's, limited by every control group that it is in.

    Args:
        root: where `proc` and `sys` are; for tests.
    """
    return min((limit for limit in _limits(root)), default=2 * _GENEROUS)


def _limits(root: Path) -> Iterator[int]:
    try:
        if root == Path("/"):
            yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        pass  # not available on this system
    groups = root / "sys" / "fs" / "cgroup"
    for line in _text(root / "proc" / "self" / "cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            base, name = groups, "memory.max"
        elif "memory" in controllers.split(","):
            base, name = groups / "memory", "memory.limit_in_bytes"
        else:
            continue
        # Any parent group may have the smallest limit. Within a container the path may be the host's, and then
        # only the top group exists.
        folder = Path(path.lstrip("/"))
        for part in (folder, *folder.parents):
            text = _text(base / part / name).strip()
            if text.isdigit():  # "max" means no limit; the old interface uses a number larger than any memory
                yield int(text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
