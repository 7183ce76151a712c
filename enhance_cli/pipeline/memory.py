"""How much memory this process may count on: the machine's, or less where a container says so."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

_GENEROUS = 2 * 10**9
"""Of decoded images in flight more do not make a run faster."""


def default_budget() -> int:
    """Bytes of decoded images that a run holds unless it is told: 2 GB, or half of the memory if that is less."""
    return min(_GENEROUS, usable_memory() // 2)


def give_back() -> None:
    """Hand memory that was freed back to the system, where its C library keeps it and can be asked: once for a large
    image, between two stages, it costs nothing that could be measured.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def usable_memory(root: Path = Path("/")) -> int:
    """Bytes of memory that this process may have: of the machine, and of every control group that it is in.

    Args:
        root: where `proc` and `sys` are; for tests.
    """
    return min((limit for limit in _limits(root)), default=2 * _GENEROUS)


def _limits(root: Path) -> Iterator[int]:
    try:
        if root == Path("/"):
            yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        pass  # a system that does not tell
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
        # Any group on the way up may be the narrow one. Within a container the path may be the host's, and then
        # only the top is there.
        folder = Path(path.lstrip("/"))
        for part in (folder, *folder.parents):
            text = _text(base / part / name).strip()
            if text.isdigit():  # "max" is none; the old interface says so with a number beyond any machine
                yield int(text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
