"""Parts of an image: which part of a window can be computed, the blocks to compute it by, and border extension.

A network's convolutions and a library's vector loops may round differently on arrays of other sizes. So what looks at
neighbours is computed on blocks that lie at the same places of an image whatever window is asked for, each with its
context around it; then windows equal the whole, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from enhance_cli.types import Array, Window

Border = Literal["edge", "reflect"]
"""How an image is extended beyond its border: the edge pixel repeated, or reflected without the edge pixel."""


class Region(NamedTuple):
    """A rectangle of pixels of an image of which a window is given; all in the image's coordinates."""

    height: int
    """Rows of the image."""

    width: int
    window_top: int
    """The window's first row."""

    window_left: int
    top: int
    """The rectangle's first row, which may lie beyond the image's border; `bottom` is the first row after it."""

    left: int
    bottom: int
    right: int

    @classmethod
    def valid(cls, window: Window, height: int, width: int, halo: int) -> Self:
        """The part of a window that has `halo` pixels around it within the window, or lies at the image's border.

        Args:
            window: its pixels, and where they lie.
            height: rows of the image.
            width: columns of the image.
            halo: pixels that computing one looks at on every side.
        """
        rows, columns = window.pixels.shape[:2]
        top, bottom = _valid(window.top, rows, height, halo)
        left, right = _valid(window.left, columns, width, halo)
        return cls(height, width, window.top, window.left, top, left, bottom, right)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.bottom - self.top, self.right - self.left

    @property
    def empty(self) -> bool:
        """Whether it contains no pixel."""
        return self.top >= self.bottom or self.left >= self.right

    def grown(self, margin: int) -> Self:
        """Grown by this many pixels on every side, within the image."""
        return self._replace(
            top=max(self.top - margin, 0),
            left=max(self.left - margin, 0),
            bottom=min(self.bottom + margin, self.height),
            right=min(self.right + margin, self.width),
        )

    def with_context(self, inside: int, border: int, multiple: int = 1) -> Self:
        """Grown by the pixels around it that a network needs, also beyond the image's border.

        Args:
            inside: pixels more on a side that has more of the image beyond it.
            border: pixels more on a side that lies at the image's border.
            multiple: both sides become multiples of this; pixels are added below and to the right.
        """
        top = self.top - (inside if self.top > 0 else border)
        left = self.left - (inside if self.left > 0 else border)
        bottom = self.bottom + (inside if self.bottom < self.height else border)
        right = self.right + (inside if self.right < self.width else border)
        return self._replace(
            top=top, left=left, bottom=bottom + (top - bottom) % multiple, right=right + (left - right) % multiple
        )

    def blocks(self, side: int) -> Iterator[Self]:
        """The blocks that cover it, row by row: squares at multiples of `side`, cut off at the image's border."""
        if self.empty:
            return
        for top in range(self.top // side * side, self.bottom, side):
            for left in range(self.left // side * side, self.right, side):
                bottom, right = min(top + side, self.height), min(left + side, self.width)
                yield self._replace(top=top, left=left, bottom=bottom, right=right)

    def common(self, other: Self) -> Self:
        """Its intersection with another region."""
        return self._replace(
            top=max(self.top, other.top),
            left=max(self.left, other.left),
            bottom=min(self.bottom, other.bottom),
            right=min(self.right, other.right),
        )

    def within(self, other: Self) -> tuple[slice, slice]:
        """Its rows and columns in an array that holds another region, which contains it."""
        return (
            slice(self.top - other.top, self.bottom - other.top),
            slice(self.left - other.left, self.right - other.left),
        )

    @property
    def within_window(self) -> tuple[slice, slice]:
        """Its rows and columns in the window, which contains it."""
        return (
            slice(self.top - self.window_top, self.bottom - self.window_top),
            slice(self.left - self.window_left, self.right - self.window_left),
        )

    def read(self, window: Array, border: Border, *, planes: bool = False) -> Array:
        """Its pixels from the window, contiguous.

        What lies beyond the image continues it; what lies within the image and beyond the window is arbitrary, and no
        valid pixel depends on it.

        Args:
            window: rows×columns, or rows×columns×channels.
            border: how the image continues.
            planes: whether `window` is channels×rows×columns instead.
        """
        rows, columns = window.shape[1:] if planes else window.shape[:2]
        down = places(self.top, self.bottom, self.height, self.window_top, rows, border)
        across = places(self.left, self.right, self.width, self.window_left, columns, border)
        found = window[:, down][:, :, across] if planes else window[down][:, across]
        return np.ascontiguousarray(found)


def read(window: Array, region: Region, border: Border, planes: bool = False) -> Array:
    """`Region.read` as a kernel."""
    return region.read(window, border, planes=planes)


def reflected(start: int, stop: int, length: int) -> NDArray[np.intp]:
    """Where positions from `start` to before `stop` lie in an image of `length`, reflected at its border.

    Without the edge pixel, as OpenCV's `BORDER_REFLECT_101`; folded as often as needed.
    """
    period = max(2 * length - 2, 1)
    at = np.abs(np.arange(start, stop)) % period
    places: NDArray[np.intp] = np.minimum(at, period - at)
    return places


def mirrored(start: int, stop: int, length: int) -> NDArray[np.intp]:
    """As `reflected`, with the edge pixel repeated: how the cosine transform continues an image (`BORDER_REFLECT`)."""
    folded = np.arange(start, stop) % (2 * length)
    places: NDArray[np.intp] = np.minimum(folded, 2 * length - 1 - folded)
    return places


def _valid(start: int, count: int, length: int, halo: int) -> tuple[int, int]:
    first = start + (halo if start > 0 else 0)
    last = start + count - (halo if start + count < length else 0)
    return first, max(first, last)


def places(begin: int, end: int, length: int, start: int, count: int, border: Border) -> slice | NDArray[Any]:
    """Where positions `begin` to `end` of an image lie in a window of `count` from `start`: a slice if all do."""
    if begin >= start and end <= start + count:
        return slice(begin - start, end - start)  # a view; indexing with arrays may take as long as a small network
    at = reflected(begin, end, length) if border == "reflect" else np.arange(begin, end).clip(0, length - 1)
    return np.clip(at - start, 0, count - 1)
