"""The interface shared by the CPU engine and the CUDA engine, and everything a method knows about a device.

A method never looks at the device. It names a kernel and gives it NumPy arrays; the engine decides where the arrays
must be, how many threads share the work, and which size of a network suits the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from enhance_cli.engines.weights import Weights
from enhance_cli.types import Method

if TYPE_CHECKING:
    from enhance_cli.types import Array

Kernel = Callable[..., Any]

Out = TypeVar("Out")
"""An array to write, or a tuple of arrays."""


class Network(Protocol):
    """Maps named float32 arrays, from NumPy or from `Engine.run`, to named arrays."""

    def __call__(self, **inputs: Any) -> dict[str, Array]:
        """Its outputs as NumPy arrays."""
        ...

    def run(self, **inputs: Any) -> dict[str, Any]:
        """Its outputs on the device, as those of `Engine.run`."""
        ...


class Owner(Protocol):
    """The owner of the kernels in a module: a Method, or `imaging.measures`."""

    def module(self, name: str) -> str:
        """The full name of a module beside it, such as `kernels_cpu`."""
        ...


class Engine(Protocol):
    """Networks and pixel kernels on one device. Safe to use from several threads.

    `run`, `call` and `into` copy arrays, including those in lists and tuples, to the device before calling the kernel,
    unless they are held there (`resident`); all other arguments are passed unchanged. They differ in where the result
    ends up.
    """

    device: str
    """The device as named in the report: `cpu`, or `cuda:0 (name of the card)`."""

    threads: int
    """Threads that `map` uses for one photo; 1 if the device itself is parallel."""

    model: Literal["full", "lite"]
    """The network size that suits the device, for methods with two sizes: `full` on CUDA, `lite` on the CPU."""

    card_memory: int | None
    """Bytes that photos may take on the device, including what kernels need for them; None if the device works in the
    memory of the host."""

    half: bool
    """Whether networks that may run in half precision (`Method.half`) do so."""

    own_weights: Path | None
    """A folder of own weights (`--weights`). Networks in it use these weights, others the shipped ones."""

    def kernels(self, method: Owner) -> ModuleType:
        """The method's pixel kernels for this device; names and arguments are the same on both devices."""
        ...

    def network(self, method: Method, stem: str) -> tuple[Network, Weights]:
        """A network of the method and its weights, verified and opened on first use.

        Args:
            method: whose network.
            stem: one of `method.weights`.

        Raises:
            WeightsError: the weights are missing, altered, or cannot be loaded.
        """
        ...

    def run(self, kernel: Kernel, /, *arrays: Any, **numbers: Any) -> Any:
        """Call a kernel and leave its result on the device, where it can be sliced and passed to further kernels."""
        ...

    def call(self, kernel: Kernel, /, *arrays: Any, **numbers: Any) -> Any:
        """Call a kernel and return its result as NumPy arrays."""
        ...

    def into(self, out: Out, kernel: Kernel, /, *arrays: Any, **numbers: Any) -> Out:
        """Call a kernel that writes every element of its argument `out`; returns `out`.

        Args:
            out: a NumPy array of the shape and dtype that the kernel writes, or a tuple of several; may be views.
            kernel: called with the arguments and `out=`.
            arrays: its positional arguments.
            numbers: its keyword arguments.
        """
        ...

    def copy(self, out: Array, source: Array) -> None:
        """`out[...] = source`, where `out` may be held on the device (`resident`)."""
        ...

    def resident(
        self, read: Sequence[Array] = (), *, written: Sequence[Array] = (), discarded: Sequence[Array] = ()
    ) -> AbstractContextManager[None]:
        """Keep arrays on the device for the body. The CPU engine does nothing, as they are there already.

        Args:
            read: copied to the device in one copy. A kernel that is given one of them, or a view of one, works on the
                copy on the device. They must not change meanwhile.
            written: what `into` and `copy` write to them or to views of them stays on the device, and is copied back at
                once when the body ends without an exception. An array that was not written is left alone. `read` may
                contain the same arrays.
            discarded: as `written`, but never copied back: intermediate results, whose host memory is not touched.

        All are C-contiguous.
        """
        ...

    def made(self, array: Array) -> Any:
        """The device copy of a `written` or `discarded` array or a view of it, for further kernels."""
        ...

    def measured(self, owner: Owner, name: str, pixels: Array, *numbers: Any) -> Array:
        """Measure an image with a kernel where its pixels are: on the device if they are held there, or on the host.

        Args:
            owner: owner of the kernel, which exists for both kinds of device.
            name: name of the kernel, which is called with the pixels and the numbers; its result is small.
            pixels: the image, or its device copy.
            numbers: further arguments.
        """
        ...

    def flight(self) -> AbstractContextManager[None]:
        """All work of this thread in the body belongs to one photo: on a card it has its own stream.

        When the body ends, all of it is finished. Results of `run` are used only in the flight that made them; only
        held arrays (`resident`) may be used in a later flight.
        """
        ...

    def remarks(self) -> tuple[str, ...]:
        """Messages for the user about this thread's work since the last call."""
        ...

    def numpy(self, result: Any) -> Any:
        """Convert a result of `run` to NumPy arrays; an array that is one already is not copied."""
        ...

    def in_bands(self, kernel: Kernel, rows: int, /, *arrays: Any) -> Array:
        """Like `call`, with the `rows` rows of the result divided among the engine's threads.

        Args:
            kernel: `kernel(*arrays)` gives all rows, `kernel(*arrays, first, last)` rows `first` to `last` - 1.
            rows: of the result.
            arrays: as for `call`.
        """
        ...

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        """Process independent parts of one photo on the engine's threads; results in order.

        Raises:
            Abandoned: the run was stopped; no further part is started.
        """
        ...

    def turn(self, *, limited: bool) -> AbstractContextManager[None]:
        """A context manager for the work on one block of an image.

        Args:
            limited: wait until a core is free, so that no more blocks are in progress than there are cores; this
                bounds their total memory.

        Raises:
            Abandoned: the run was stopped; the block is not started.
        """
        ...

    def close(self, *, wait: bool = True) -> None:
        """End the threads; wait for their current work unless `wait` is false."""
        ...
