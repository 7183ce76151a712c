"""The CUDA engine: networks and pixel kernels by torch on one device.

Given a CPU device it runs the very same kernels there, which is how the tests exercise them on any machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open

from enhance_cli.engines import abandon
from enhance_cli.engines import weights as weights_room
from enhance_cli.engines.once import Once
from enhance_cli.errors import DeviceError, WeightsError
from enhance_cli.types import Method

if TYPE_CHECKING:
    from enhance_cli.engines.cpu import Network
    from enhance_cli.types import Array


class CudaEngine:
    """Networks and kernels on one CUDA device."""

    threads = 1

    def __init__(self, device: str = "cuda:0") -> None:
        """Open a device.

        Args:
            device: `cuda`, `cuda:N`, or `cpu` for the tests.

        Raises:
            DeviceError: torch sees no such device.
        """
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
        self._networks: Once[tuple[Network, weights_room.Weights]] = Once()

    def kernels(self, method: Method) -> ModuleType:
        """The method's pixel kernels for this engine."""
        return import_module(method.module("kernels_cuda"))

    def network(self, method: Method, stem: str) -> tuple[Network, weights_room.Weights]:
        """A network of the method, verified, and opened when it is first asked for.

        It takes and returns numpy arrays, as on the CPU.

        The weights carry the sizes of their network; `network.build` makes one of them, and `network.OUTPUTS`
        names what its `forward` returns, unless the network itself does, in `outputs`.

        Raises:
            WeightsError: missing, altered, or not loadable.
        """
        return self._networks.get((method.name, stem), lambda: self._open(method, stem))

    def _open(self, method: Method, stem: str) -> tuple[Network, weights_room.Weights]:
        found = weights_room.find(method, stem, "safetensors")
        room = import_module(method.module("network"))
        try:
            with safe_open(found.path, framework="pt") as file:
                module = room.build(json.loads(file.metadata()["configuration"]))
                module.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 - no mapping
            module = module.to(self._device).eval()
        except (KeyError, TypeError, RuntimeError, ValueError, OSError, SafetensorError) as error:
            raise WeightsError(f"{found.path} cannot be opened: {error}.") from error

        names = getattr(module, "outputs", None) or room.OUTPUTS

        def run(**inputs: Array) -> dict[str, Array]:
            with torch.inference_mode():
                outputs = module(**{name: self.upload(value) for name, value in inputs.items()})
            return {name: self.download(value) for name, value in zip(names, outputs, strict=True)}

        return run, found

    def upload(self, array: Array) -> Any:
        """Copy an array to the device."""
        return torch.from_numpy(array).to(self._device)

    def download(self, array: Any) -> Array:
        """Copy an array back."""
        return array.cpu().numpy()  # type: ignore[no-any-return]

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        """Do independent parts of one photograph one after another: the device is parallel inside each.

        Raises:
            Abandoned: the run was stopped; no further part is begun.
        """
        work = abandon.checked(work)
        return [work(item) for item in items]

    def close(self, *, wait: bool = True) -> None:
        """Nothing to end: the device's memory goes with the process."""
