"""The CUDA engine: networks and pixel kernels by torch on one device.

Given a CPU device it runs the same kernels there, so that tests can run them on any machine.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from enhance_cli.engines import abandon
from enhance_cli.engines import weights as weight_files
from enhance_cli.engines.base import Kernel, Network
from enhance_cli.engines.cpu import available_cores
from enhance_cli.engines.once import Once
from enhance_cli.errors import DeviceError, WeightsError
from enhance_cli.types import Method

if TYPE_CHECKING:
    from enhance_cli.types import Array


class CudaEngine:
    """Networks and kernels on one CUDA device; the methods are documented at `base.Engine`."""

    threads = 1

    def __init__(self, device: str = "cuda:0", own_weights: Path | None = None) -> None:
        """Open a device.

        Args:
            device: `cuda`, `cuda:N`, or `cpu` for the tests.
            own_weights: see `base.Engine`.

        Raises:
            DeviceError: torch sees no such device.
        """
        self.own_weights = own_weights
        self._device = torch.device(device)
        if self._device.type == "cuda":
            if not torch.cuda.is_available():
                build = "built without CUDA" if torch.version.cuda is None else f"built for CUDA {torch.version.cuda}"
                raise DeviceError(
                    f"The device {device} is not available: torch {torch.__version__} ({build}) sees no GPU; "
                    "use --device cpu, or see `enhance doctor`."
                )
            index = self._device.index or 0
            if index >= torch.cuda.device_count():
                raise DeviceError(f"The device {device} does not exist: there are {torch.cuda.device_count()}.")
            self._device = torch.device("cuda", index)
            self.device = f"cuda:{index} ({torch.cuda.get_device_name(index)})"
        else:
            self.device = "torch-cpu"
        self.model: Literal["full", "lite"] = "full" if self._device.type == "cuda" else "lite"
        self._turns = threading.BoundedSemaphore(available_cores())
        self._networks: Once[tuple[Network, weight_files.Weights]] = Once()

    def kernels(self, method: Method) -> ModuleType:
        """The method's pixel kernels for this engine."""
        return import_module(method.module("kernels_cuda"))

    def network(self, method: Method, stem: str) -> tuple[Network, weight_files.Weights]:
        """A network of the method and its weights.

        The weights carry the sizes of their network; `network.build` makes one of them, and `network.OUTPUTS`
        names what its `forward` returns, unless the network itself does, in `outputs`.
        """
        return self._networks.get((method.name, stem), lambda: self._open(method, stem))

    def _open(self, method: Method, stem: str) -> tuple[Network, weight_files.Weights]:
        found = weight_files.find(method, stem, "safetensors", self.own_weights)
        network_module = import_module(method.module("network"))
        try:
            with safe_open(found.path, framework="pt") as file:
                module = network_module.build(json.loads(file.metadata()["configuration"]))
                module.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 - no mapping
            module = module.to(self._device).eval()
        except (KeyError, TypeError, RuntimeError, ValueError, OSError, SafetensorError) as error:
            raise WeightsError(f"{found.path} cannot be opened: {error}.") from error

        names = getattr(module, "outputs", None) or network_module.OUTPUTS

        def run(**inputs: Array) -> dict[str, Array]:
            with torch.inference_mode():
                outputs = module(**{name: self._on_device(value).contiguous() for name, value in inputs.items()})
            return {name: self.numpy(value) for name, value in zip(names, outputs, strict=True)}

        return run, found

    def run(self, kernel: Kernel, /, *arrays: Any, **numbers: Any) -> Any:
        """Call a kernel; it takes and returns tensors on the device."""
        return kernel(*self._on_device(arrays), **self._on_device(numbers))

    def call(self, kernel: Kernel, /, *arrays: Any, **numbers: Any) -> Any:
        """Call a kernel and copy its result to the host."""
        return self.numpy(self.run(kernel, *arrays, **numbers))

    def into(self, out: Array, kernel: Kernel, /, *arrays: Any, **numbers: Any) -> Array:
        """Call a kernel that writes a tensor on the device, and copy that into `out`."""
        target = torch.from_numpy(out)
        made = torch.empty(target.shape, dtype=target.dtype, device=self._device)
        kernel(*self._on_device(arrays), **self._on_device(numbers), out=made)
        target.copy_(made)
        return out

    def numpy(self, result: Any) -> Any:
        """Copy a tensor, or each tensor of a tuple, to the host."""
        if isinstance(result, tuple):
            return tuple(self.numpy(part) for part in result)
        return result.cpu().numpy()

    def in_bands(self, kernel: Kernel, rows: int, /, *arrays: Any) -> Array:
        """Call a kernel once: the device is parallel within it."""
        return self.call(kernel, *arrays)  # type: ignore[no-any-return]

    def _on_device(self, value: Any) -> Any:
        """A value with all its arrays, including those in lists, tuples and mappings, copied to the device."""
        if isinstance(value, np.ndarray):
            return torch.from_numpy(value).to(self._device)
        if isinstance(value, dict):
            return {name: self._on_device(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._on_device(item) for item in value]
        if isinstance(value, tuple):
            items = [self._on_device(item) for item in value]
            return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        return value

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        """Process independent parts of one photo one after another: the device is parallel within each."""
        work = abandon.checked(work)
        return [work(item) for item in items]

    @contextmanager
    def turn(self, *, limited: bool) -> Iterator[None]:
        """A context manager for the work on one block."""
        with self._turns if limited else nullcontext():
            abandon.check()
            yield

    def close(self, *, wait: bool = True) -> None:
        """Do nothing: the device's memory is released with the process."""
