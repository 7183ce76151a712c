"""The CPU engine: networks by ONNX Runtime, pixel kernels by Numba. Never imports torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from enhance_cli.engines import abandon
from enhance_cli.engines import weights as weights_room
from enhance_cli.engines.once import Once
from enhance_cli.errors import WeightsError
from enhance_cli.types import Method

if TYPE_CHECKING:
    from enhance_cli.types import Array

Network = Callable[..., dict[str, "Array"]]


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
    """Networks and kernels on the CPU."""

    def __init__(self, threads: int = 1) -> None:
        """Open the engine.

        Args:
            threads: how many threads one photograph may use; the stream gives 1 when it works on as many
                photographs as there are cores.
        """
        self.device = "cpu"
        self.threads = threads
        self._networks: Once[tuple[Network, weights_room.Weights]] = Once()
        self._pool = ThreadPoolExecutor(threads, "enhance-band") if threads > 1 else None

    def kernels(self, method: Method) -> ModuleType:
        """The method's pixel kernels for this engine."""
        return import_module(method.module("kernels_cpu"))

    def network(self, method: Method, stem: str) -> tuple[Network, weights_room.Weights]:
        """A network of the method, verified, and opened when it is first asked for.

        Returns:
            A function from named float32 arrays to named arrays, safe to call from several threads, and the
            weights it runs.

        Raises:
            WeightsError: missing, altered, or not loadable.
        """
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
            return dict(zip(names, session.run(names, inputs), strict=True))

        return run, found

    def upload(self, array: Array) -> Any:
        """Hand an array to the kernels; they take numpy arrays here."""
        return array

    def download(self, array: Any) -> Array:
        """Take an array from the kernels."""
        return array  # type: ignore[no-any-return]

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        """Do independent parts of one photograph, on this engine's threads; results in order.

        Raises:
            Abandoned: the run was stopped; no further part is begun.
        """
        work = abandon.checked(work)
        if self._pool is None:
            return [work(item) for item in items]
        return list(self._pool.map(work, items))

    def close(self, *, wait: bool = True) -> None:
        """End the threads, waiting for what they are at unless it was abandoned."""
        if self._pool is not None:
            self._pool.shutdown(wait=wait, cancel_futures=not wait)
