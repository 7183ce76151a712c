"""A transition drawn by hand: from the edge of one mask to that of another (`--mask-outer`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from enhance_cli.methods.local.covers import FULL, LARGE, ROWS, Cover, crossings, of_white
from enhance_cli.methods.local.distance import STEPS, distance

if TYPE_CHECKING:
    from enhance_cli.types import Array


class Bits(NamedTuple):
    """Which pixels a mask covers by more than half, packed eight to a byte: two masks of a large photo would
    take too much memory beside it and the fall-off.
    """

    packed: Array
    """uint8, one row for each of the picture's."""

    height: int
    width: int

    @classmethod
    def of(cls, cover: Cover, height: int, width: int) -> Bits:
        """Pack a mask."""
        packed = np.empty((height, (width + 7) // 8), np.uint8)
        for rows in _row_bands(height):
            packed[rows] = np.packbits(_halved(cover, rows, width), axis=1)
        return cls(packed, height, width)

    def __invert__(self) -> Bits:
        return self._replace(packed=~self.packed)

    def rows(self, rows: slice) -> Array:
        """Some rows, unpacked to bools."""
        bits: Array = np.unpackbits(self.packed[rows], axis=1, count=self.width).view(np.bool_)
        return bits


def draw_between(inner: Bits, outer: Bits) -> tuple[Array, float]:
    """The fall-off of a whole photo, uint16, from the edge of the inner mask to that of the outer one, and its mean
    width in pixels.
    """
    height, width = inner.height, inner.width
    inside = inner.rows

    def reach(rows: slice) -> Array:
        return inside(rows) | outer.rows(rows)

    counts, lengths = [0, 0], [0, 0]
    for rows in _row_bands(height):
        for i, part in enumerate((inside, reach)):
            seen = part(slice(rows.start, min(rows.stop + 1, height)))
            lengths[i] += crossings(seen, rows.stop - rows.start)
            counts[i] += int(np.count_nonzero(seen[: rows.stop - rows.start]))
    lit, reached = counts
    edges = lengths[0] * math.pi / 4.0 + lengths[1] * math.pi / 4.0
    mean_width = 2.0 * (reached - lit) / max(edges, 1.0)
    scale = min(1.0, STEPS / max(mean_width, 1.0))
    small = None
    if reached == height * width or not lit:
        small = _of_one_edge(reach, height, width, scale, lit=lit > 0, all_reached=reached == height * width)
    elif scale < 1.0 or height * width <= LARGE:
        out = distance(_whole(reach, height, width), scale)
        small = _sixteenths(_share(out, distance(~_whole(inside, height, width), scale)))
        del out
    values: Any = np.empty((height, width), np.uint16)
    if small is not None:
        values = small if small.shape == values.shape else cv2.resize(small, (width, height), dst=values)
    for rows in _row_bands(height):
        if small is None:
            values[rows] = _drawn_band(inside, reach, rows, height, math.ceil(mean_width))
        band = values[rows]
        np.clip(band, 1, FULL - 1, out=band)
        band[inside(rows)], band[~reach(rows)] = FULL, 0
    return values, mean_width


def _row_bands(height: int) -> Iterator[slice]:
    return (slice(top, min(top + ROWS, height)) for top in range(0, height, ROWS))


def _halved(cover: Cover, rows: slice, width: int) -> Array:
    """Some rows of a mask of the whole photo: pixels that are covered by more than half."""
    part = np.zeros((rows.stop - rows.start, width), np.bool_)
    first, last = max(rows.start, cover.top), min(rows.stop, cover.top + len(cover.values))
    if first < last:
        values = cover.values[first - cover.top : last - cover.top]
        columns = slice(cover.left, cover.left + values.shape[1])
        np.greater(values, FULL // 2 / of_white(values), out=part[first - rows.start : last - rows.start, columns])
    return part


def _whole(part: Callable[[slice], Array], height: int, width: int) -> Array:
    whole = np.empty((height, width), np.bool_)
    for rows in _row_bands(height):
        whole[rows] = part(rows)
    return whole


def _share(out: Array, into: Array) -> Array:
    """The position of a pixel between two edges, 0 at the outer and 1 at the inner, from the distances to them."""
    share: Array = out / np.maximum(out + into, 1e-6)
    return share


def _sixteenths(share: Array) -> Array:
    """Shares in 0..1 as uint16."""
    levels: Array = np.rint(np.clip(share, 0.0, 1.0) * np.float32(FULL)).astype(np.uint16)
    return levels


def _of_one_edge(
    reach: Callable[[slice], Array], height: int, width: int, scale: float, *, lit: bool, all_reached: bool
) -> Array:
    """The fall-off where there is nothing wholly inside, or nothing outside, at a scale."""
    if lit:
        return np.zeros((height, width), np.uint16)
    out = distance(_whole(reach, height, width), scale)
    return _sixteenths(out + np.float32(1.0) if all_reached else out / np.float32(max(float(out.max()), 1.0)))


def _drawn_band(
    inside: Callable[[slice], Array], reach: Callable[[slice], Array], rows: slice, height: int, width: int
) -> Array:
    """The fall-off of some rows, computed with as many rows around them as the distances to the edges require."""
    around = 2 * width + ROWS
    while True:
        seen = slice(max(rows.start - around, 0), min(rows.stop + around, height))
        own = slice(rows.start - seen.start, rows.stop - seen.start)
        within, reached = inside(seen), reach(seen)
        between = reached[own] & ~within[own]
        complete = seen == slice(0, height)
        if not between.any():
            return np.zeros(between.shape, np.uint16)
        # Without an edge in sight a distance is to nothing, so more rows are looked at.
        if complete or (within.any() and not reached.all()):
            into, out = distance(~within, 1.0)[own], distance(reached, 1.0)[own]
            if complete or max(into[between].max(), out[between].max()) < around:
                return _sixteenths(_share(out, into))
        around *= 2
