"""`kernel`: Numba compilation with a cache that survives read-only homes and installs.

Compiling the kernels costs seconds, loading them from the cache milliseconds, so the cache must always find
a place: the user's cache folder, else a private folder in the temporary directory, else none (and then every
start compiles). This room decides where; the kernels themselves live with their methods.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba


def cache_folder() -> Path | None:
    """The first folder that can be written, of: $ENHANCE_CACHE_DIR, $XDG_CACHE_HOME, ~/.cache, the temporary one.

    A cache holds code that will be run, so a folder in the shared temporary directory is used only when it
    belongs to this user and nobody else can write it.
    """
    candidates = []
    if named := os.environ.get("ENHANCE_CACHE_DIR"):
        candidates.append(Path(named))
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        candidates.append(Path(xdg) / "enhance")
    if home := os.environ.get("HOME"):
        candidates.append(Path(home) / ".cache" / "enhance")
    for folder in candidates:
        if _writable(folder):
            return folder
    private = Path(tempfile.gettempdir()) / f"enhance-cache-{os.getuid()}"
    return private if _writable(private) and _private(private) else None


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _private(folder: Path) -> bool:
    status = folder.lstat()
    ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    return ours and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _sources() -> str:
    """A short name for the state of all kernel sources.

    Numba's cache watches only the file that a kernel stands in, not the kernels it calls from other files, so
    a change to one of those would go on running as it was: every state gets a folder of its own.
    """
    package = Path(__file__).parents[1]
    files = [*sorted(package.glob("imaging/*.py")), *sorted(package.glob("methods/*/kernels_cpu.py"))]
    states = "".join(f"{path.name}{path.stat().st_size}{path.stat().st_mtime_ns}" for path in files)
    return hashlib.blake2s(states.encode(), digest_size=6).hexdigest()


def _kernel_cache() -> str:
    if named := os.environ.get("NUMBA_CACHE_DIR"):
        return named
    folder = cache_folder()
    return "" if folder is None else str(folder / "kernels" / _sources())


KERNEL_CACHE = _kernel_cache()
"""The folder where compiled kernels are kept; empty where no folder can be written."""


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a pixel loop on first call: cached on disk, without the GIL, never its own threads.

    Threads belong to the stream (a photograph per worker) and to `Engine.map` (bands of one photograph);
    a kernel that started its own would compete with both.

    The compiler takes no liberty with floating point, not even to contract a product and a sum: it decides on that
    separately for the vectors of a loop and for the elements left over, and a pixel's value must not depend on which
    of them it is among. Where one rounding is wanted for both, `imaging.vector_math.fma` says so.
    """
    # Numba asks for the folder when a function is decorated. Set here each time, because Numba itself sets it
    # anew from the environment whenever that changes.
    numba.config.CACHE_DIR = KERNEL_CACHE  # type: ignore[attr-defined]
    return numba.njit(function, cache=bool(KERNEL_CACHE), nogil=True, error_model="numpy", fastmath=False)


def compiled_before() -> bool:
    """Whether the disk cache already holds kernels, so that the first photograph need not wait."""
    return bool(KERNEL_CACHE) and any(Path(KERNEL_CACHE).rglob("*.nbi"))
