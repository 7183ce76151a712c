"""The CPU engine: networks by ONNX Runtime, pixel kernels by Numba. Never imports torch."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from enhance_cli.engines import abandon
from enhance_cli.engines import weights as weights_room
from enhance_cli.engines.base import Kernel, Network
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

    def __init__(self, threads: int = 1) -> None:
        """Open the engine.

        Args:
            threads: how many threads one photo may use; the stream gives 1 when it works on as many
                photos as there are cores.
        """
        self.device = "cpu"
        self.threads = threads
        self._networks: Once[tuple[Network, weights_room.Weights]] = Once()
        self._pool = ThreadPoolExecutor(threads, "enhance-band") if threads > 1 else None
        # A network's own threads are this engine's too: that many blocks keep all cores at work.
        self._turns = threading.BoundedSemaphore(max(1, available_cores() // threads))

    def kernels(self, method: Method) -> ModuleType:
        """The method's pixel kernels for this engine."""
        return import_module(method.module("kernels_cpu"))

    def network(self, method: Method, stem: str) -> tuple[Network, weights_room.Weights]:
        """A network of the method and its weights; safe to call from several threads."""
        return self._networks.get((method.name, stem), lambda: self._open(method, stem))

    def _open(self, method: Method, stem: str) -> tuple[Network, weights_room.Weights]:
        found = weights_room.find(method, stem, "onnx")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Planned for a shape that was seen once, the second run takes all that it will need in one piece, and the
        # pieces of the first stay held: twice the memory, for no time that could be measured.
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            # Named, because the GPU build otherwise looks for CUDA first and complains in red where there is none.
            session = onnxruntime.InferenceSession(found.path.read_bytes(), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise WeightsError(f"{found.path} cannot be opened by ONNX Runtime: {error}.") from error
        names = [output.name for output in session.get_outputs()]

        def run(**inputs: Array) -> dict[str, Array]:
            given = {name: np.ascontiguousarray(value) for name, value in inputs.items()}
            return dict(zip(names, session.run(names, given), strict=True))

        return run, found

    def run(self, kernel: Kernel, /, *arrays: Any, **numbers: Any) -> Any:
        """Call a kernel; NumPy arrays are what it takes and gives here."""
        return kernel(*arrays, **numbers)

    call = run

    def into(self, out: Array, kernel: Kernel, /, *arrays: Any, **numbers: Any) -> Array:
        """Call a kernel that writes `out`."""
        kernel(*arrays, **numbers, out=out)
        return out

    def numpy(self, result: Any) -> Any:
        """The result itself."""
        return result

    def in_bands(self, kernel: Kernel, rows: int, /, *arrays: Any) -> Array:
        """Call a kernel for as many bands of rows as there are threads, and join what it gives."""
        bands = min(self.threads, rows)
        if bands == 1:
            return kernel(*arrays)  # type: ignore[no-any-return]
        edges = [rows * band // bands for band in range(bands + 1)]
        return np.concatenate(self.map(lambda band: kernel(*arrays, edges[band], edges[band + 1]), range(bands)))

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        """Do independent parts of one photo, on this engine's threads; results in order."""
        work = abandon.checked(work)
        if self._pool is None:
            return [work(item) for item in items]
        return list(self._pool.map(work, items))

    @contextmanager
    def turn(self, *, limited: bool) -> Iterator[None]:
        """What the work on one block is done in."""
        with self._turns if limited else nullcontext():
            abandon.check()
            yield

    def close(self, *, wait: bool = True) -> None:
        """End the threads, waiting for what they are at unless it was abandoned."""
        if self._pool is not None:
            self._pool.shutdown(wait=wait, cancel_futures=not wait)
