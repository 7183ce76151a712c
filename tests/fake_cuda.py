"""A CUDA device that has no values: torch's fake tensors on `cuda:0`, so that a build for the CPU proves what it can.

A fake tensor knows its shape, dtype and device, and an operation on tensors of two devices raises, as on a card. It
has no values, which methods need wherever a result comes down and decides what is done next. So the same photo is first
enhanced by the CUDA engine on the CPU (`Recording`), and what came down there is what comes down here (`FakeCuda`).

What fake tensors let pass and a card does not is held by lists here: operations on unsigned integers of more than 8
bits, for which torch has few kernels, indices on the host, and copies to the host that the engine does not make.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from enhance_cli.engines.cuda import CudaEngine
from enhance_cli.engines.lanes import NoLanes

Array = np.ndarray[Any, Any]

BAREBONES = (torch.uint16, torch.uint32, torch.uint64)
"""torch documents them as of limited support, and its source calls them barebones: most CUDA kernels lack them."""

VIEWS = {
    "alias",
    "as_strided",
    "detach",
    "expand",
    "permute",
    "select",
    "slice",
    "squeeze",
    "t",
    "transpose",
    "unbind",
    "unsqueeze",
    "view",
    "_unsafe_view",
    "reshape",
}
"""Operations that compute nothing."""

ALLOWED = VIEWS | {
    "empty",
    "empty_like",
    "empty_strided",
    "new_empty",
    "new_empty_strided",
    "copy_",  # aten/src/ATen/native/cuda/Copy.cu: AT_BAREBONES_UNSIGNED_TYPES in its dispatch of copy_
    "_to_copy",  # an empty tensor and copy_
    "clone",  # the same
    "fill_",  # aten/src/ATen/native/cuda/FillKernel.cu: the same
    "zero_",  # fill_
    "cat",  # aten/src/ATen/native/cuda/Shape.cu: the same
}
"""What CUDA kernels do with `BAREBONES`, by torch's source; no arithmetic, no comparison, no indexing, no reduction."""

CONVERSIONS = ("copy_", "_to_copy", "empty_like", "new_empty")
"""Operations that may be given half precision and another."""

SMALL = 2**16
"""Bytes that a kernel may take from the host itself: places of rows and columns, weights of a blur."""


@contextmanager
def device_guard() -> Iterator[None]:
    """Let a build for the CPU select the device `cuda:0`, which does nothing.

    torch selects the device of a tensor's operation through a table of guards. One for CUDA comes with its library, or
    from `FakeTensorMode` where there is that library but no card. In a build for the CPU the place is empty, so
    indexing and convolutions of a fake tensor fail before they are dispatched: the guard of the device `meta`, which
    does nothing, takes it.
    """
    kinds = torch._C._autograd.DeviceType
    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libc10.so"))
        guards = (ctypes.c_void_p * (int(kinds.Meta) + 1)).in_dll(library, "_ZN3c104impl26device_guard_impl_registryE")
    except (OSError, ValueError):
        pytest.skip("this build of torch does not show its table of device guards")
    before = guards[int(kinds.CUDA)]
    if before is None:
        guards[int(kinds.CUDA)] = guards[int(kinds.Meta)]
    try:
        yield
    finally:
        guards[int(kinds.CUDA)] = before


class Wrong(AssertionError):
    """An operation that a card would refuse, or that would wait for the host."""


class _Watch(TorchDispatchMode):
    """Sees every operation, before fake tensors do."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[str, torch.dtype]] = set()
        self.engine_copies = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.removeprefix("aten::")
        if name.startswith("prim::"):  # asks for the device or the layout
            return func(*args, **kwargs)
        given = [it for it in tree_leaves((args, kwargs)) if isinstance(it, torch.Tensor)]
        if name == "bincount":  # as long as its largest value asks for, which no fake tensor has: as long as asked for
            kind = torch.float64 if len(given) > 1 else torch.int64
            if len({it.device for it in given}) != 1:
                raise Wrong("bincount: values and weights are on two devices")
            self._check(name, given)
            return torch.empty(kwargs.get("minlength", args[-1]), dtype=kind, device=given[0].device)
        self._check(name, given)
        self._check_precision(name, given)
        made = func(*args, **kwargs)
        outputs = [it for it in tree_leaves(made) if isinstance(it, torch.Tensor)]
        self._check(name, outputs)
        self._check_copies(name, given, outputs)
        return made

    def _check(self, name: str, tensors: list[torch.Tensor]) -> None:
        for tensor in tensors:
            if tensor.device.type == "cuda" and tensor.dtype in BAREBONES:
                self.seen.add((name, tensor.dtype))
                if name not in ALLOWED:
                    raise Wrong(f"{name} on {tensor.dtype}: CUDA has no such kernel")

    def _check_precision(self, name: str, tensors: list[torch.Tensor]) -> None:
        kinds = {it.dtype for it in tensors if it.dim() > 0 and it.is_floating_point()}
        if name not in CONVERSIONS and torch.float16 in kinds and len(kinds) > 1:
            raise Wrong(f"{name}: half precision is mixed with {kinds - {torch.float16}}")

    def _check_copies(self, name: str, given: list[torch.Tensor], made: list[torch.Tensor]) -> None:
        devices = {it.device.type for it in given if it.dim() > 0}
        if name in ("index", "index_put", "index_put_") and len(devices) > 1:
            raise Wrong(f"{name}: indices on the host, which are copied at every call")
        if name in ("_to_copy", "copy_"):
            source, target = given[-1], made[0]
            if source.device.type == "cuda" and target.device.type == "cpu":
                raise Wrong(f"{name}: a kernel copies to the host")
            up = source.device.type == "cpu" and target.device.type == "cuda" and not self.engine_copies
            if up and source.nbytes > SMALL:
                raise Wrong(f"{name}: a kernel takes {source.nbytes} bytes from the host, past the engine")


class Recording(CudaEngine):
    """The CUDA engine on the CPU, which keeps what came down."""

    def __init__(self, **options: Any) -> None:
        super().__init__("cpu", **{"half": True, **options})
        self.model = "full"
        self.came_down: list[Array] = []

    def _loaded(self, method: Any, stem: str, dtype: torch.dtype = torch.float32) -> Any:
        # Half precision is slow on a CPU; what comes down has the same shapes and types without it.
        return super()._loaded(method, stem)

    def _download(self, tensor: torch.Tensor) -> Array:
        found = super()._download(tensor)
        self.came_down.append(found.copy())
        return found

    def _fetch(self, block: torch.Tensor) -> Array:
        found = super()._fetch(block)
        self.came_down.append(found.copy())
        return found


class FakeCuda(CudaEngine):
    """The CUDA engine on `cuda:0`, with fake tensors; what comes down is what a `Recording` kept."""

    def __init__(self, **options: Any) -> None:
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)
        self.watch = _Watch()
        self._inside = False
        self._replies: Iterator[Array] = iter(())
        super().__init__("cuda", **options)

    @contextmanager
    def _faked(self) -> Iterator[None]:
        if self._inside:
            yield
            return
        self._inside = True
        try:
            with self._mode, self.watch:
                yield
        finally:
            self._inside = False

    def _opened(self, device: str) -> tuple[torch.device, str]:
        return torch.device("cuda", 0), "cuda:0 (fake)"

    def _free(self) -> int:
        return 2**33

    def _lanes_of(self, device: torch.device) -> NoLanes:
        return NoLanes()

    def _placed(self, module: torch.nn.Module) -> torch.nn.Module:
        # A module's parameters cannot become fake in place.
        before = torch.__future__.get_overwrite_module_params_on_conversion()
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        try:
            with self._mode:
                return super()._placed(module)
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(before)

    def run(self, kernel: Any, /, *arrays: Any, **numbers: Any) -> Any:
        with self._faked():
            return super().run(kernel, *arrays, **numbers)

    def into(self, out: Any, kernel: Any, /, *arrays: Any, **numbers: Any) -> Any:
        with self._faked():
            return super().into(out, kernel, *arrays, **numbers)

    def _empty(self, like: Array) -> torch.Tensor:
        with self._mode:
            return super()._empty(like)

    def _space(self, size: int) -> torch.Tensor:
        with self._mode:
            return super()._space(size)

    def _send(self, array: Array) -> torch.Tensor:
        self.watch.engine_copies = True
        try:
            with self._mode:
                return super()._send(array)
        finally:
            self.watch.engine_copies = False

    def _upload(self, size: int, fill: Callable[[Array], None]) -> torch.Tensor:
        self.traffic.up(size, trip=True)
        block = np.empty(size, np.uint8)
        fill(block)
        with self._mode:
            return torch.from_numpy(block).to(self._device)

    def _download(self, tensor: torch.Tensor) -> Array:
        self.traffic.down(tensor.nbytes)
        return self._reply(tensor)

    def _fetch(self, block: torch.Tensor) -> Array:
        self.traffic.down(block.nbytes, trip=True)
        return self._reply(block)

    def _reply(self, tensor: torch.Tensor) -> Array:
        if not isinstance(tensor, FakeTensor) or tensor.device.type != "cuda":
            raise Wrong(f"what comes down is not on the device: {tensor!r}")
        found = next(self._replies)
        if tuple(tensor.shape) != found.shape or str(tensor.dtype) != f"torch.{found.dtype}":
            raise Wrong(f"{tensor!r} comes down where the CPU has {found.shape} of {found.dtype}")
        return found.copy()

    def expect(self, came_down: list[Array]) -> None:
        """What is to come down next."""
        self._replies = iter(came_down)

    def all_came_down(self) -> bool:
        """Whether as much came down as was kept."""
        return next(self._replies, None) is None
