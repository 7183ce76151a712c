"""What a method asks of a device: the interface that the CPU engine and the CUDA engine have in common.

A method never looks at the device. It names a kernel and gives it NumPy arrays; where these have to be for the kernel
to take them, how many threads share the work, and which size of a network suits the device is the engine's concern.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, Protocol

from enhance_cli.engines.weights import Weights
from enhance_cli.types import Method

if TYPE_CHECKING:
    from enhance_cli.types import Array

Network = Callable[..., dict[str, "Array"]]
"""From named float32 arrays, NumPy's or what `Engine.run` returned, to named NumPy arrays."""

Kernel = Callable[..., Any]


class Engine(Protocol):
    """Networks and pixel kernels on one device. Safe to use from several threads.

    `run`, `call` and `into` hand a kernel the arrays it is given, also those within lists and tuples, on the device;
    every other argument stays as it is. They differ in where the result ends up.
    """

    device: str
    """What the report calls the device: `cpu`, or `cuda:0 (name of the card)`."""

    threads: int
    """Threads that `map` spreads one photo over; 1 where the device is parallel by itself."""

    model: Literal["full", "lite"]
    """The size of network that suits the device, where a method has two: `full` on CUDA, `lite` on the CPU."""

    def kernels(self, method: Method) -> ModuleType:
        """The method's pixel kernels for this device; both devices' have the same names and arguments."""
        ...

    def network(self, method: Method, stem: str) -> tuple[Network, Weights]:
        """A network of the method, verified, and opened when it is first asked for; and the weights that it runs.

        Args:
            method: whose network.
            stem: one of `method.weights`.

        Raises:
            WeightsError: missing, altered, or not loadable.
        """
        ...

    def run(self, kernel: Kernel, /, *arrays: Any, **numbers: Any) -> Any:
        """Call a kernel and leave its result on the device, to be sliced and handed to further kernels."""
        ...

    def call(self, kernel: Kernel, /, *arrays: Any, **numbers: Any) -> Any:
        """Call a kernel; the result as NumPy arrays."""
        ...

    def into(self, out: Array, kernel: Kernel, /, *arrays: Any, **numbers: Any) -> Array:
        """Call a kernel that writes every element of its argument `out`; returns `out`.

        Args:
            out: a NumPy array of the shape and dtype that the kernel writes; may be a view.
            kernel: called with the arguments and `out=`.
            arrays: its positional arguments.
            numbers: its keyword arguments.
        """
        ...

    def numpy(self, result: Any) -> Any:
        """A result of `run` as NumPy arrays; not copied where it is one."""
        ...

    def in_bands(self, kernel: Kernel, rows: int, /, *arrays: Any) -> Array:
        """As `call`, with the `rows` rows of a result shared out between the engine's threads.

        Args:
            kernel: `kernel(*arrays)` gives all rows, `kernel(*arrays, first, last)` those from `first` on, not `last`.
            rows: of the result.
            arrays: as for `call`.
        """
        ...

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        """Do independent parts of one photo, on the engine's threads; results in order.

        Raises:
            Abandoned: the run was stopped; no further part is begun.
        """
        ...

    def turn(self, *, limited: bool) -> AbstractContextManager[None]:
        """What the work on one block of an image is done in.

        Args:
            limited: wait until fewer such blocks are worked on than there are cores for, which bounds the memory that
                they take together.

        Raises:
            Abandoned: the run was stopped; the block is not begun.
        """
        ...

    def close(self, *, wait: bool = True) -> None:
        """End the threads, waiting for what they are at unless `wait` is false."""
        ...
