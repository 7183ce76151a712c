"""`kernel`: Numba compilation with a cache whose failures (damaged, full, gone, not ours) never make a photo fail.

Compiling the kernels takes seconds, loading them milliseconds, so they are cached (see `kernel_cache`): in the user's
cache folder, otherwise in a private folder of the temporary directory; if neither is possible, every start compiles
them. The kernels themselves are in the folders of their methods. Importing this module, or one with kernels, creates no
folder.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import os
import pickle
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import CodeType
from typing import Any

import numba
import numpy as np
from numba.core import compiler, serialize
from numba.core.caching import NullCache
from numba.core.dispatcher import Dispatcher

from enhance_cli.engines.kernel_cache import KernelStore, cache_folder

_dumps: Any = serialize.dumps  # pickles modules and functions by name, as Numba's own cache does

_PACKAGES = ("engines", "exposure", "imaging", "methods")
"""Folders of the package that contain kernels and everything they import."""

_HARMLESS = ("CACHE", "COLOR_SCHEME", "CUDA", "GDB", "THREADS", "WARN")
"""Parts of the names of Numba settings that do not change CPU machine code."""


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a pixel loop on first call: cached on disk, releases the GIL, starts no threads of its own.

    Threads belong to the stream (a photo per worker) and to `Engine.map` (bands of one photo);
    a kernel that started its own would compete with both.

    Fast-math is off, and products and sums are not contracted either: the compiler decides on contraction separately
    for the vectors of a loop and for the remaining elements, and the value of a pixel must not depend on which of
    these it is in. Use `imaging.vector_math.fma` where a product and a sum should be rounded once.
    """
    compiled = numba.njit(function, nogil=True, error_model="numpy", fastmath=False)
    if isinstance(compiled, Dispatcher):  # it is a plain function if NUMBA_DISABLE_JIT is set
        compiled._cache = _KernelCache(function)  # type: ignore[attr-defined]
    return compiled


class _KernelCache(NullCache):
    """The cache that a Numba function asks for machine code before it compiles, and saves to afterwards.

    It replaces Numba's own, which keeps an index that several processes write, trusts whatever it reads, and lets any
    error abort the call.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._name = f"{function.__module__}.{function.__qualname__}"

    @property
    def cache_path(self) -> str | None:
        """The cache folder; part of Numba's interface."""
        store = kernel_store()
        return None if store is None else str(store.folder)

    def load_overload(self, signature: Any, target: Any) -> Any:
        """The compiled function for a signature, or None if anything is wrong with it: then it is compiled."""
        target.refresh()
        store = kernel_store()
        if store is None:
            return None
        try:
            data = store.read(self._name, self._key(signature, target.codegen()))
            rebuild: Any = compiler.CompileResult._rebuild
            return None if data is None else rebuild(target, *pickle.loads(data))
        except Exception as error:  # noqa: BLE001 - no reason is good enough to lose a photo
            _note("damaged" if not isinstance(error, OSError) else "unreadable", error, store)
            return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Save a compiled function, if possible."""
        store = kernel_store()
        if store is None or result.library.has_dynamic_globals or not all(part.can_cache for part in result.lifted):
            return
        try:
            store.write(self._name, self._key(signature, result.library.codegen), _dumps(result._reduce()))
        except Exception as error:  # noqa: BLE001 - it is compiled, and can be used
            _note("unwritable", error, store)

    def _key(self, signature: Any, codegen: Any) -> bytes:
        """What determines this machine code in addition to the state: types, processor, and the values frozen in it."""
        parts = (repr(signature), repr(codegen.magic_tuple()), *_frozen(self._function))
        return b"\0".join(part if isinstance(part, bytes) else part.encode() for part in parts)


def _frozen(function: Callable[..., Any]) -> Iterator[bytes | str]:
    """The bytecode of a kernel and of those it calls, and the constants that they name.

    The state covers their source, but Python itself may have run older bytecode, because it compares only the time and
    size of a source.
    """
    seen, pending = set(), [function]
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.add(current)
        code = current.__code__
        scope = {**current.__globals__, **inspect.getclosurevars(current).nonlocals}
        named = [(name, scope.get(name)) for name in (*code.co_names, *code.co_freevars)]
        pending += [value.py_func for _, value in named if isinstance(value, Dispatcher)]
        yield hashlib.blake2b(code.co_code, digest_size=16).digest()
        for name, value in (*named, ("", code.co_consts)):
            yield name
            yield from _constant(value)


def _constant(value: Any) -> Iterator[bytes | str]:
    """A value as Numba freezes it; nothing for functions, modules and types, which the state covers."""
    if isinstance(value, np.generic | np.ndarray):
        yield f"{value.dtype.str} {value.shape}"
        yield value.tobytes()
    elif isinstance(value, tuple):
        for item in value:
            yield from _constant(item)
    elif isinstance(value, CodeType):
        yield value.co_code
        yield from _constant(value.co_consts)
    elif isinstance(value, bool | int | float | complex | str | bytes):
        yield repr(value)


# --- where -------------------------------------------------------------------------------------------------


@functools.cache
def kernel_store() -> KernelStore | None:
    """The kernel cache of this process; None if there can be none. Chosen and created on the first use of a kernel."""
    try:
        folder = cache_folder()
        if folder is not None:
            return KernelStore(folder / "kernels", state())
        why = "no folder can be written"
    except OSError as error:
        why = f"the sources of the kernels cannot be read: {error.strerror}"
    _TROUBLE.setdefault("unwritable", f"Compiled kernels cannot be kept ({why}), so every run compiles them; {_ADVICE}")
    return None


def state() -> str:
    """A short name for everything that determines machine code besides the kernel itself.

    This is the content of every source that a kernel may call or take constants from (Numba only checks the time and
    size of the kernel's own file), versions, and Numba's settings. The processor is part of each kernel's key.

    Raises:
        OSError: a source cannot be read.
    """
    import llvmlite

    digest = hashlib.blake2b(digest_size=12)
    versions = (sys.version, platform.machine(), numba.__version__, llvmlite.__version__, np.__version__)
    digest.update(repr((versions, _settings())).encode())
    package = Path(__file__).parents[1]
    for path in sources(package):
        digest.update(f"\0{path[len(str(package)) :]}\0".encode())
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a hundred files at every start
            digest.update(file.read())
    return digest.hexdigest()


def sources(package: Path) -> list[str]:
    """The files that kernels may call or take constants from: all of their folders except the training recipes.

    Raises:
        OSError: a folder cannot be read.
    """

    def below(folder: str) -> Iterator[str]:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    if entry.name not in ("__pycache__", "training"):
                        yield from below(entry.path)
                elif entry.name.endswith(".py"):
                    yield entry.path

    return sorted(path for folder in _PACKAGES for path in below(str(package / folder)))


def _settings() -> list[tuple[str, str]]:
    """Numba's settings, from its environment variables and files, except those that do not change our code."""
    return sorted(
        (name, str(value))
        for name, value in vars(numba.config).items()
        if name.isupper()
        and isinstance(value, bool | int | float | str)
        and not any(part in name for part in _HARMLESS)
    )


def compiled_before() -> bool:
    """Whether kernels are cached already, so that the first photo need not wait."""
    store = kernel_store()
    return store is not None and store.holds_any()


# --- what went wrong ---------------------------------------------------------------------------------------

_ADVICE = "`enhance doctor` looks into it, and ENHANCE_CACHE_DIR names another folder."
_TROUBLE: dict[str, str] = {}
"""One message for each kind of problem, however many kernels are affected."""


def _note(kind: str, error: Exception, store: KernelStore) -> None:
    why = getattr(error, "strerror", None) or type(error).__name__
    sentences = {
        "damaged": f"Compiled kernels in {store.folder} were damaged and have been compiled again.",
        "unreadable": f"Compiled kernels in {store.folder} cannot be read ({why}) and are compiled again; {_ADVICE}",
        "unwritable": f"Compiled kernels cannot be kept in {store.folder} ({why}): every run compiles them; {_ADVICE}",
    }
    _TROUBLE.setdefault(kind, sentences[kind])


def trouble() -> dict[str, str]:
    """The messages about the cache so far: one for each kind of problem."""
    return dict(_TROUBLE)


def note_trouble(found: Mapping[str, str]) -> None:
    """Add the cache problems of another process."""
    for kind, text in found.items():
        _TROUBLE.setdefault(kind, text)
