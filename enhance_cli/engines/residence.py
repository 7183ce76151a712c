"""Maps host arrays to their copies on the device, and views of the one to views of the other.

A photo's pixels are copied to the device once. Methods keep working with NumPy arrays and their views; the engine looks
up by address whether it holds a copy of the memory that a view lies in, and gives kernels the same view of the copy.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from enhance_cli.types import Array


class Place(NamedTuple):
    """A view of an array that has a copy on the device."""

    held: Any
    """The copy of the whole array: flat, of the array's dtype."""

    start: int
    """Offset of the view's first sample from that of the array, in samples."""

    strides: tuple[int, ...]
    """In samples."""


class _Entry(NamedTuple):
    first: int
    last: int
    array: Array
    held: Any


class Residence:
    """Arrays of the host with their counterparts on the device. Safe to use from several threads."""

    def __init__(self) -> None:
        """Hold nothing."""
        self._lock = threading.Lock()
        self._entries: list[_Entry] = []
        self._found: set[int] = set()

    def add(self, array: Array, held: Any) -> None:
        """Register a C-contiguous array, which must neither move nor change until it is removed."""
        first = int(array.__array_interface__["data"][0])
        with self._lock:
            self._entries.append(_Entry(first, first + array.nbytes, array, held))

    def remove(self, arrays: Iterable[Array]) -> None:
        """Remove arrays, whether they are registered or not."""
        with self._lock:
            for array in arrays:
                for number in reversed(range(len(self._entries))):
                    if self._entries[number].array is array:
                        del self._entries[number]
                        self._found.discard(id(array))
                        break

    def was_found(self, array: Array) -> bool:
        """Whether a registered array, or a view of it, was looked up."""
        return id(array) in self._found

    def find(self, view: Array) -> Place | None:
        """The location of a view; None if its array is not registered, or has another dtype."""
        if not self._entries or view.size == 0:
            return None
        item = view.itemsize
        first = int(view.__array_interface__["data"][0])
        last = (
            first + item + sum((length - 1) * stride for length, stride in zip(view.shape, view.strides, strict=True))
        )
        with self._lock:
            entries = list(reversed(self._entries))  # of several, the latest
        for entry in entries:
            inside = entry.first <= first and last <= entry.last and entry.array.dtype == view.dtype
            if inside and all(stride >= 0 and stride % item == 0 for stride in view.strides):
                self._found.add(id(entry.array))
                return Place(entry.held, (first - entry.first) // item, tuple(it // item for it in view.strides))
        return None
