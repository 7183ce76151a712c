"""The CUDA engine: networks and pixel kernels by torch on one device.

On a CPU device it runs the same kernels, so that tests can run them on any machine. All transfers between host and
device go through `_upload` and `_download`, which count them (`traffic`).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from enhance_cli.engines import abandon
from enhance_cli.engines import weights as weight_files
from enhance_cli.engines.base import Kernel, Network, Out, Owner
from enhance_cli.engines.cpu import available_cores
from enhance_cli.engines.lanes import Lanes, NoLanes
from enhance_cli.engines.once import Once
from enhance_cli.engines.residence import Place, Residence
from enhance_cli.engines.traffic import Traffic
from enhance_cli.errors import DeviceError, WeightsError
from enhance_cli.types import Method

if TYPE_CHECKING:
    from enhance_cli.types import Array


_ALIGNED = 256
"""Planes of a photo are aligned to this many bytes in the block of memory in which they are transferred."""

_SMALL = 2**16
"""Arrays of up to this many bytes, such as the weights of a network that a kernel runs, are copied together."""

_DTYPES = {
    np.dtype(name): getattr(torch, name)
    for name in ("uint8", "uint16", "uint32", "int32", "int64", "float16", "float32", "float64", "bool")
}


class CudaEngine:
    """Networks and kernels on one CUDA device; the methods are documented at `base.Engine`."""

    threads = 1

    def __init__(
        self,
        device: str = "cuda:0",
        own_weights: Path | None = None,
        *,
        card_memory: int | None = None,
        half: bool | None = None,
    ) -> None:
        """Open a device.

        Args:
            device: `cuda`, `cuda:N`, or `cpu` for the tests.
            own_weights: see `base.Engine`.
            card_memory: see `base.Engine`; None for three quarters of what is free on the card.
            half: see `base.Engine`; None means yes on a card, and no on the CPU in its place.

        Raises:
            DeviceError: torch sees no such device.
        """
        self.own_weights = own_weights
        self._device, self.device = self._opened(device)
        if self._device.type == "cuda":
            # torch lets convolutions round their inputs to 10 bits (TF32) by default, like half precision: kernels that
            # blur would be as far from the CPU's as networks. The setting is the process's.
            torch.backends.cudnn.allow_tf32 = False
        self.model: Literal["full", "lite"] = "full" if self._device.type == "cuda" else "lite"
        self.card_memory: int | None = self._free() * 3 // 4 if card_memory is None else card_memory
        self.half = self._device.type == "cuda" if half is None else half
        self.traffic = Traffic()
        self._lanes: Lanes | NoLanes = self._lanes_of(self._device)
        self._turns = threading.BoundedSemaphore(available_cores())
        self._networks: Once[Any] = Once()
        self._mine = threading.local()
        self._read, self._written = Residence(), Residence()

    def _opened(self, device: str) -> tuple[torch.device, str]:
        """The device, and its name in the report."""
        asked = torch.device(device)
        if asked.type != "cuda":
            return asked, "torch-cpu"
        if not torch.cuda.is_available():
            build = "built without CUDA" if torch.version.cuda is None else f"built for CUDA {torch.version.cuda}"
            raise DeviceError(
                f"The device {device} is not available: torch {torch.__version__} ({build}) sees no GPU; "
                "use --device cpu, or see `enhance doctor`."
            )
        index = asked.index or 0
        if index >= torch.cuda.device_count():
            raise DeviceError(f"The device {device} does not exist: there are {torch.cuda.device_count()}.")
        return torch.device("cuda", index), f"cuda:{index} ({torch.cuda.get_device_name(index)})"

    def _lanes_of(self, device: torch.device) -> Lanes | NoLanes:
        return Lanes(torch.cuda, device) if device.type == "cuda" else NoLanes()

    def _free(self) -> int:
        """Free bytes on the device; for the CPU in tests, any number that is large enough."""
        return int(torch.cuda.mem_get_info(self._device)[0]) if self._device.type == "cuda" else 2**33

    # --- kernels and networks ------------------------------------------------------------------------------

    def kernels(self, method: Owner) -> ModuleType:
        """The method's pixel kernels for this engine."""
        return import_module(method.module("kernels_cuda"))

    def network(self, method: Method, stem: str) -> tuple[Network, weight_files.Weights]:
        """A network of the method and its weights.

        The weights carry the sizes of their network; `network.build` makes one of them, and `network.OUTPUTS`
        names what its `forward` returns, unless the network itself does, in `outputs`.
        """
        opened: tuple[Network, weight_files.Weights]
        opened = self._networks.get((method.name, stem), lambda: self._open(method, stem))
        return opened

    def _open(self, method: Method, stem: str) -> tuple[Network, weight_files.Weights]:
        if not (self.half and stem in method.half):
            return self._loaded(method, stem)
        network, found = self._loaded(method, stem, torch.float16)
        return _Halved(self, network, lambda: self._full(method, stem), f"{method.name}'s {stem}"), found

    def _full(self, method: Method, stem: str) -> _Network:
        """The single-precision version of a network that runs in half precision, opened when it is first needed."""
        made: _Network = self._networks.get((method.name, stem, "full"), lambda: self._loaded(method, stem)[0])
        return made

    def _loaded(
        self, method: Method, stem: str, dtype: torch.dtype = torch.float32
    ) -> tuple[_Network, weight_files.Weights]:
        found = weight_files.find(method, stem, "safetensors", self.own_weights)
        network_module = import_module(method.module("network"))
        try:
            with safe_open(found.path, framework="pt") as file:
                module = network_module.build(json.loads(file.metadata()["configuration"]))
                module.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 - no mapping
            module = self._placed(module.eval().to(dtype))
        except (KeyError, TypeError, RuntimeError, ValueError, OSError, SafetensorError) as error:
            raise WeightsError(f"{found.path} cannot be opened: {error}.") from error
        self._lanes.finish()  # other streams may use it from now on
        names = getattr(module, "outputs", None) or network_module.OUTPUTS
        return _Network(self, module, tuple(names), dtype), found

    def _placed(self, module: torch.nn.Module) -> torch.nn.Module:
        """A network with its weights on the device."""
        return module.to(self._device)

    def run(self, kernel: Kernel, /, *arrays: Any, **numbers: Any) -> Any:
        """Call a kernel; it takes and returns tensors on the device."""
        with torch.no_grad():
            placed, named = self._on_device((arrays, numbers))
            return kernel(*placed, **named)

    def call(self, kernel: Kernel, /, *arrays: Any, **numbers: Any) -> Any:
        """Call a kernel and copy its result to the host."""
        return self.numpy(self.run(kernel, *arrays, **numbers))

    def into(self, out: Out, kernel: Kernel, /, *arrays: Any, **numbers: Any) -> Out:
        """Call a kernel that writes tensors on the device: those held for `out`, or others that are copied into it."""
        places: tuple[Any, ...] = out if isinstance(out, tuple) else (out,)
        held = [self._view(self._written.find(place), place) for place in places]
        made = tuple(self._empty(place) if view is None else view for place, view in zip(places, held, strict=True))
        self.run(kernel, *arrays, **numbers, out=made if isinstance(out, tuple) else made[0])
        for place, view, tensor in zip(places, held, made, strict=True):
            if view is None:
                np.copyto(place, self._download(tensor))
        return out

    def _empty(self, like: Array) -> torch.Tensor:
        return torch.empty(like.shape, dtype=_DTYPES[like.dtype], device=self._device)

    def _space(self, size: int) -> torch.Tensor:
        return torch.empty(size, dtype=torch.uint8, device=self._device)

    def copy(self, out: Array, source: Array) -> None:
        """Copy an array, on the device if `out` is held there."""
        view = self._view(self._written.find(out), out)
        if view is None:
            out[...] = source
        else:
            view.copy_(self._on_device(source))

    def in_bands(self, kernel: Kernel, rows: int, /, *arrays: Any) -> Array:
        """Call a kernel once: the device is parallel within it."""
        return self.call(kernel, *arrays)  # type: ignore[no-any-return]

    # --- what passes between host and device ---------------------------------------------------------------

    @contextmanager
    def resident(
        self, read: Sequence[Array] = (), *, written: Sequence[Array] = (), discarded: Sequence[Array] = ()
    ) -> Iterator[None]:
        """Hold arrays on the device; see `base.Engine`."""
        read, written, discarded = ([it for it in arrays if it.size] for arrays in (read, written, discarded))
        space: torch.Tensor | None = None
        blocks: list[int] = []
        try:
            if read:
                blocks, size = _laid_out(read)

                def fill(block: Array) -> None:
                    for array, start in zip(read, blocks, strict=True):
                        np.copyto(block[start : start + array.nbytes].view(array.dtype).reshape(array.shape), array)

                self._hold(self._read, read, blocks, self._upload(size, fill))
            if written:
                blocks, size = _laid_out(written)
                space = self._space(size)
                self._hold(self._written, written, blocks, space)
            for array in discarded:
                self._written.add(array, self._empty(array).view(-1))
            yield
            # A method that works on NumPy arrays alone has written the arrays themselves.
            through_kernels = [it for it in zip(written, blocks, strict=False) if self._written.was_found(it[0])]
            if space is not None and through_kernels:
                made = self._fetch(space)
                for array, start in through_kernels:
                    np.copyto(array, made[start : start + array.nbytes].view(array.dtype).reshape(array.shape))
        finally:
            self._read.remove(read)
            self._written.remove([*written, *discarded])

    def _hold(self, where: Residence, arrays: Sequence[Array], starts: Sequence[int], block: torch.Tensor) -> None:
        for array, start in zip(arrays, starts, strict=True):
            where.add(array, block[start : start + array.nbytes].view(_DTYPES[array.dtype]))

    def made(self, array: Array) -> Any:
        """The tensor that is held for an array that kernels write, or for a view of it."""
        view = self._view(self._written.find(array), array)
        return array if view is None else view

    def measured(self, owner: Owner, name: str, pixels: Array, *numbers: Any) -> Array:
        """Measure an image; one that is not held is not copied for this, because the host has it too."""
        written = self._written.was_found(pixels)
        held = self.made(pixels) if written else pixels
        if not written and self._read.find(pixels) is None:
            return getattr(import_module(owner.module("kernels_cpu")), name)(pixels, *numbers)  # type: ignore[no-any-return]
        return self.call(getattr(self.kernels(owner), name), held, *numbers)  # type: ignore[no-any-return]

    def flight(self) -> AbstractContextManager[None]:
        """A stream of the card for the work of this thread in the body."""
        return self._lanes.flight()

    def _view(self, place: Place | None, array: Array) -> torch.Tensor | None:
        if place is None:
            return None
        self._lanes.uses(place.held)
        start = place.held.storage_offset() + place.start
        return place.held.as_strided(array.shape, place.strides, start)  # type: ignore[no-any-return]

    def remarks(self) -> tuple[str, ...]:
        """See `base.Engine`."""
        said = dict.fromkeys(self._mine.__dict__.pop("said", []))
        return tuple(said)

    def _say(self, sentence: str) -> None:
        self._mine.__dict__.setdefault("said", []).append(sentence)

    def numpy(self, result: Any) -> Any:
        """Copy a tensor, or each tensor of a tuple, to the host; arrays are returned as they are."""
        if isinstance(result, tuple):
            return tuple(self.numpy(part) for part in result)
        return result if isinstance(result, np.ndarray) else self._download(result)

    def _on_device(self, value: Any) -> Any:
        """A value with all its arrays, including those in lists, tuples and mappings, on the device."""
        small = list(self._small(value))
        return self._placed_there(value, self._send_together(small) if len(small) > 1 else {})

    def _small(self, value: Any) -> Iterator[Array]:
        """The small arrays within a value that are not held on the device."""
        if isinstance(value, np.ndarray):
            if 0 < value.nbytes <= _SMALL and self._read.find(value) is None:
                yield value
        elif isinstance(value, dict | list | tuple):
            for item in value.values() if isinstance(value, dict) else value:
                yield from self._small(item)

    def _placed_there(self, value: Any, sent: dict[int, torch.Tensor]) -> Any:
        """Like `_on_device`; `sent` has the tensors of the arrays that were sent together, by their identity."""
        if isinstance(value, np.ndarray):
            if id(value) in sent:
                return sent[id(value)]
            view = self._view(self._read.find(value), value)
            return self._send(value) if view is None else view
        if isinstance(value, dict):
            return {name: self._placed_there(item, sent) for name, item in value.items()}
        if isinstance(value, list):
            return [self._placed_there(item, sent) for item in value]
        if isinstance(value, tuple):
            items = [self._placed_there(item, sent) for item in value]
            return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        return value

    def _send_together(self, arrays: Sequence[Array]) -> dict[int, torch.Tensor]:
        """Upload arrays in one copy; returns tensors by the arrays' identity."""
        starts, size = _laid_out(arrays)
        block = np.zeros(size, np.uint8)
        for array, start in zip(arrays, starts, strict=True):
            block[start : start + array.nbytes].view(array.dtype).reshape(array.shape)[...] = array
        sent = self._send(block)
        return {
            id(array): sent[start : start + array.nbytes].view(_DTYPES[array.dtype]).view(array.shape)
            for array, start in zip(arrays, starts, strict=True)
        }

    def _send(self, array: Array) -> torch.Tensor:
        """Upload a small array, or a tile of a photo that does not fit on the device."""
        self.traffic.up(array.nbytes)
        return torch.from_numpy(array).to(self._device)

    def _download(self, tensor: torch.Tensor) -> Array:
        """Download a small array or a tile."""
        self.traffic.down(tensor.nbytes)
        return tensor.cpu().numpy()

    def _upload(self, size: int, fill: Callable[[Array], None]) -> torch.Tensor:
        """Upload pixels, once: `fill` writes them into pinned memory, from which they are copied asynchronously.

        torch does not reuse pinned memory until copies out of it have finished.
        """
        self.traffic.up(size, trip=True)
        block = self._pinned(size)
        fill(block.numpy())
        return block.to(self._device, non_blocking=True)

    def _fetch(self, block: torch.Tensor) -> Array:
        """Download pixels, once, as flat uint8: this thread waits for its stream, and for no other."""
        self.traffic.down(block.nbytes, trip=True)
        staged = self._pinned(block.numel())
        staged.copy_(block, non_blocking=True)
        self._lanes.finish()
        return staged.numpy()

    def _pinned(self, size: int) -> torch.Tensor:
        """Pinned host memory for asynchronous copies; torch reuses it when these have finished."""
        return torch.empty(size, dtype=torch.uint8, pin_memory=self._device.type == "cuda")

    # --- threads -------------------------------------------------------------------------------------------

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


class _Network:
    """A network on the device; see `base.Network`."""

    def __init__(
        self, engine: CudaEngine, module: torch.nn.Module, names: tuple[str, ...], dtype: torch.dtype = torch.float32
    ) -> None:
        self._engine, self._module, self._names, self._dtype = engine, module, names, dtype

    def __call__(self, **inputs: Any) -> dict[str, Array]:
        """Its outputs on the host."""
        return {name: self._engine.numpy(value) for name, value in self.run(**inputs).items()}

    def run(self, **inputs: Any) -> dict[str, Any]:
        """Its outputs on the device."""
        outputs = self._engine.run(self._forward, **inputs)
        return dict(zip(self._names, outputs, strict=True))

    def _forward(self, **inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs = self._module(**{name: value.contiguous().to(self._dtype) for name, value in inputs.items()})
        return tuple(output.to(torch.float32) for output in outputs)


class _Halved:
    """A network in half precision; in single precision if a result exceeds the range of half precision (65,504)."""

    def __init__(self, engine: CudaEngine, network: _Network, full: Callable[[], _Network], called: str) -> None:
        self._engine, self._network, self._full, self._called = engine, network, full, called

    def __call__(self, **inputs: Any) -> dict[str, Array]:
        """Its outputs on the host."""
        found = self._network(**inputs)
        return found if all(np.isfinite(value).all() for value in found.values()) else self._again()(**inputs)

    def run(self, **inputs: Any) -> dict[str, Any]:
        """Its outputs on the device."""
        found = self._network.run(**inputs)
        return found if self._engine.call(_all_finite, list(found.values())).item() else self._again().run(**inputs)

    def _again(self) -> _Network:
        self._engine._say(f"{self._called} ran in single precision: it exceeded the range of half precision")
        return self._full()


def _all_finite(tensors: list[torch.Tensor]) -> torch.Tensor:
    """Whether all values are finite: only then is 0 times their sum 0, and not NaN."""
    return torch.stack([(tensor * 0.0).sum() for tensor in tensors]).sum() == 0.0


def _laid_out(arrays: Sequence[Array]) -> tuple[list[int], int]:
    """The offsets of arrays in one block of memory, in bytes, and its size."""
    starts, end = [], 0
    for array in arrays:
        starts.append(end)
        end += -(-array.nbytes // _ALIGNED) * _ALIGNED
    return starts, end
