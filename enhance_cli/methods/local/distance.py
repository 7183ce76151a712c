"""From what a mask covers to the fall-off: its own softness, and a transition by the distance to its edge."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import cv2
import numpy as np

from enhance_cli.methods.local.covers import FULL, INSIDE, LARGE, OUTSIDE, ROWS, bands, of_white

if TYPE_CHECKING:
    from enhance_cli.types import Array

STEPS = 48.0
"""Distances are measured where the transition is this many pixels wide: an exact distance transform at full
resolution would take longer than all other work on a photo."""

_SOFTNESS = np.rint(np.clip((np.arange(FULL + 1) / FULL - OUTSIDE) / (INSIDE - OUTSIDE), 0, 1) * FULL).astype(np.uint16)
"""The fall-off of every value of a soft mask."""


def softened(cover: Array, *, owned: bool) -> Array:
    """The fall-off of a mask's own softness, uint16 from uint8 or uint16; in the same memory where that is `owned`."""
    table = _SOFTNESS[:: int(of_white(cover))]
    soft = cover if owned and cover.dtype == np.uint16 else np.empty(cover.shape, np.uint16)
    for top in range(0, len(cover), 64):  # in bands: numpy widens what it looks up by to 8 bytes
        soft[top : top + 64] = table[cover[top : top + 64]]
    return soft


def add_transition(soft: Array, width: float, mode: str) -> None:
    """Add a transition to a fall-off in place, outside or inside its edge; `soft` has the margin that this needs."""
    if width <= 0.0:
        return
    falling = None if mode == "erode" else _ramp(soft, width if mode == "dilate" else width / 2.0, rising=False)
    rising = None if mode == "dilate" else _ramp(soft, width if mode == "erode" else width / 2.0, rising=True)
    for columns in _columns(soft):
        part = soft[:, columns]
        one = part if falling is None else _dilated(part, falling(columns))
        two = part if rising is None else _eroded(part, rising(columns))
        if mode != "both":
            soft[:, columns] = two if falling is None else one
            continue
        # A hard mask's edge is where both meet, half of the way for either side: their mean, rounded down, in 16 bits.
        both: Array = np.bitwise_and(one & two, np.uint16(1))
        both += one >> 1
        both += two >> 1
        soft[:, columns] = both


def _columns(values: Array) -> Iterator[slice]:
    """Like `bands`, but of columns, for work that needs them whole."""
    width = values.shape[1]
    return (slice(left, min(left + ROWS, width)) for left in range(0, width, ROWS))


def _dilated(soft: Array, falling: Array) -> Array:
    """The transition outside A."""
    inside = soft == FULL
    falling = np.minimum(falling, FULL - 1)
    falling[inside] = FULL
    return np.maximum(soft, falling)


def _eroded(soft: Array, rising: Array) -> Array:
    """The transition inside what the mask covers."""
    rising = np.maximum(rising, 1)
    rising[soft == 0] = 0
    return np.minimum(soft, rising)


def _ramp(soft: Array, width: float, *, rising: bool) -> Callable[[slice], Array] | None:
    """A linear ramp over `width` + 1 pixels, uint16: rising, from 0 at pixels that are not covered inwards; else from
    65535 in A outwards. None where all pixels lie on one side of the edge.

    Returns:
        A function from columns to the rows×columns of them, as `_columns` has them.
    """
    seen = np.empty(soft.shape, np.uint8)
    for band in bands(soft):
        np.greater(soft[band], 0, out=seen[band].view(np.bool_)) if rising else np.not_equal(
            soft[band], FULL, out=seen[band].view(np.bool_)
        )
    if not seen.any() or seen.all():
        return None
    scale = min(1.0, STEPS / width)
    in_bands = seen.size > LARGE
    seen = _shrunk(seen, scale)
    if in_bands:
        small = np.empty(seen.shape, np.uint16)
        reach = math.ceil(min(width, STEPS)) + 3  # whatever is further away is as far as can be
        for band in bands(seen):
            first = max(band.start - reach, 0)
            found = _levels(seen[first : band.stop + reach], scale, width, rising)
            small[band] = found[band.start - first : band.stop - first]
    else:
        small = _levels(seen, scale, width, rising)
    del seen
    if small.shape == soft.shape:
        return lambda columns: small[:, columns]
    # Piece by piece: the whole in floating point would take more than all the rest of a large photo.
    end = len(small[0])
    stretch = end / soft.shape[1]

    def enlarged(columns: slice) -> Array:
        at = (np.arange(columns.start, columns.stop) + 0.5) * stretch - 0.5
        at = np.clip(at, 0.0, end - 1.0)
        left = at.astype(np.intp)
        right = np.minimum(left + 1, end - 1)
        piece = small[:, left].astype(np.float32)
        piece += (small[:, right] - piece) * (at - left).astype(np.float32)
        size = piece.shape[1], soft.shape[0]
        tall = cv2.resize(piece, size, interpolation=cv2.INTER_LINEAR).reshape(size[::-1])
        return np.rint(tall).astype(np.uint16)

    return enlarged


def _levels(seen: Array, scale: float, width: float, rising: bool) -> Array:
    """The values of `_ramp` at a scale, from a map at that scale: uint8, 1 where distances are measured."""
    near = _near(seen, scale)
    near /= np.float32(width + 1.0)
    if not rising:
        np.subtract(np.float32(1.0), near, out=near)
    np.clip(near, 0.0, 1.0, out=near)
    near *= np.float32(FULL)
    levels: Array = np.rint(near, out=near).astype(np.uint16)
    return levels


def distance(part: Array, scale: float) -> Array:
    """Pixels from every pixel of `part` to the nearest one outside it, float32; measured and returned at a scale.

    `part` must not be used afterwards.
    """
    return _near(_shrunk(part.view(np.uint8), scale), scale)


def _shrunk(seen: Array, scale: float) -> Array:
    """A binary map, uint8 with 1 inside, resized by a scale; `seen` must not be used afterwards."""
    rows, columns = (max(1, round(side * scale)) for side in seen.shape)
    if (rows, columns) == seen.shape:
        return seen
    seen *= np.uint8(255)
    small: Array = cv2.resize(seen, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.greater(small, 127, out=small.view(np.bool_)).view(np.uint8)


def _near(seen: Array, scale: float) -> Array:
    """`distance` from a map at the scale: uint8, 1 where distances are measured."""
    distance: Array = cv2.distanceTransform(seen, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    if scale == 1.0:
        return distance
    # Half a pixel lies between a pixel's centre and the edge, at either scale.
    return np.where(distance > 0, (distance - 0.5) / np.float32(scale) + 0.5, np.float32(0.0))
