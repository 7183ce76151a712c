"""The CPU engine: networks by ONNX Runtime, pixel kernels by Numba. Never imports torch."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from enhance_cli.engines import abandon
from enhance_cli.engines import weights as weight_files
from enhance_cli.engines.base import Kernel, Network, Out, Owner
from enhance_cli.engines.once import Once
from enhance_cli.errors import WeightsError
from enhance_cli.types import Method

if TYPE_CHECKING:
    from enhance_cli.types import Array


def available_cores() -> int:
    """Cores this process may use: its affinity mask, and the quota of its control group."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:  # noqa: PTH123 - a pseudo file
            quota, period = file.read().split()
        if quota != "max":
            cores = min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        pass
    return cores


class CpuEngine:
    """Networks and kernels on the CPU; the methods are documented at `base.Engine`."""

    model: Literal["full", "lite"] = "lite"

    def __init__(self, threads: int = 1, own_weights: Path | None = None) -> None:
        """Open the engine.

        Args:
            threads: how many threads one photo may use; the stream gives 1 when it processes as many
                photos at once as there are cores.
            own_weights: see `base.Engine`.
        """
        self.device = "cpu"
        self.threads = threads
        self.own_weights = own_weights
        self.card_memory: int | None = None
        self.half = False
        self._networks: Once[tuple[Network, weight_files.Weights]] = Once()
        self._pool = ThreadPoolExecutor(threads, "enhance-band") if threads > 1 else None
        # Each run of a network uses all threads of this engine, so this many blocks keep all cores busy.
        self._turns = threading.BoundedSemaphore(max(1, available_cores() // threads))

    def kernels(self, method: Owner) -> ModuleType:
        """The method's pixel kernels for this engine."""
        return import_module(method.module("kernels_cpu"))

    def network(self, method: Method, stem: str) -> tuple[Network, weight_files.Weights]:
        """A network of the method and its weights; safe to call from several threads."""
        return self._networks.get((method.name, stem), lambda: self._open(method, stem))

    def _open(self, method: Method, stem: str) -> tuple[Network, weight_files.Weights]:
        found = weight_files.find(method, stem, "onnx", self.own_weights)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # With memory patterns, the second run of a shape allocates all it needs in one piece while the pieces of
        # the first run stay allocated: twice the memory, for no measurable gain in time.
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            # Explicit, because the GPU build otherwise tries CUDA first and prints errors if there is none.
            session = onnxruntime.InferenceSession(found.path.read_bytes(), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise WeightsError(f"{found.path} cannot be opened by ONNX Runtime: {error}.") from error
        names = [output.name for output in session.get_outputs()]

        return _Network(session, names), found

    def run(self, kernel: Kernel, /, *arrays: Any, **numbers: Any) -> Any:
        """Call a kernel; on the CPU it takes and returns NumPy arrays."""
        return kernel(*arrays, **numbers)

    call = run

    def into(self, out: Out, kernel: Kernel, /, *arrays: Any, **numbers: Any) -> Out:
        """Call a kernel that writes `out`."""
        kernel(*arrays, **numbers, out=out)
        return out

    def copy(self, out: Array, source: Array) -> None:
        """Copy an array."""
        out[...] = source

    def resident(
        self, read: Sequence[Array] = (), *, written: Sequence[Array] = (), discarded: Sequence[Array] = ()
    ) -> AbstractContextManager[None]:
        """Nothing: the arrays are where the kernels work."""
        return nullcontext()

    def made(self, array: Array) -> Array:
        """The array itself."""
        return array

    def measured(self, owner: Owner, name: str, pixels: Array, *numbers: Any) -> Array:
        """What a kernel measures of an image."""
        return getattr(self.kernels(owner), name)(pixels, *numbers)  # type: ignore[no-any-return]

    def flight(self) -> AbstractContextManager[None]:
        """Nothing: all is done at once."""
        return nullcontext()

    def remarks(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def numpy(self, result: Any) -> Any:
        """The result itself."""
        return result

    def in_bands(self, kernel: Kernel, rows: int, /, *arrays: Any) -> Array:
        """Call a kernel for as many bands of rows as there are threads, and join the results."""
        bands = min(self.threads, rows)
        if bands == 1:
            return kernel(*arrays)  # type: ignore[no-any-return]
        edges = [rows * band // bands for band in range(bands + 1)]
        return np.concatenate(self.map(lambda band: kernel(*arrays, edges[band], edges[band + 1]), range(bands)))

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        """Process independent parts of one photo on this engine's threads; results in order."""
        work = abandon.checked(work)
        if self._pool is None:
            return [work(item) for item in items]
        return list(self._pool.map(work, items))

    @contextmanager
    def turn(self, *, limited: bool) -> Iterator[None]:
        """A context manager for the work on one block."""
        with self._turns if limited else nullcontext():
            abandon.check()
            yield

    def close(self, *, wait: bool = True) -> None:
        """End the threads; wait for their current work unless it was abandoned."""
        if self._pool is not None:
            self._pool.shutdown(wait=wait, cancel_futures=not wait)


class _Network:
    """A network of ONNX Runtime; see `base.Network`."""

    def __init__(self, session: Any, names: list[str]) -> None:
        self._session, self._names = session, names

    def __call__(self, **inputs: Array) -> dict[str, Array]:
        """Its outputs."""
        given = {name: np.ascontiguousarray(value) for name, value in inputs.items()}
        return dict(zip(self._names, self._session.run(self._names, given), strict=True))

    run = __call__
