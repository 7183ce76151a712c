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
resolution costs more than all the rest of a photograph."""

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
    """Let a fall-off begin further out, or end further in; `soft` has a margin where that may be needed."""
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
    """As `bands`, for what must be whole from top to bottom."""
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
    """Distances over `width` + 1 pixels, as uint16 up to 65535: rising, of every pixel that is covered from those that
    are not; else 65535 less that of every pixel outside of A from A. None where there are none of either.

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
    # Along rows now and along columns piece by piece, which is what OpenCV does in one.
    wide = cv2.resize(small.astype(np.float32), (soft.shape[1], len(small)), interpolation=cv2.INTER_LINEAR)

    def enlarged(columns: slice) -> Array:
        piece = np.ascontiguousarray(wide[:, columns])
        size = piece.shape[1], soft.shape[0]
        tall = cv2.resize(piece, size, interpolation=cv2.INTER_LINEAR).reshape(size[::-1])
        return np.rint(tall).astype(np.uint16)

    return enlarged


def _levels(seen: Array, scale: float, width: float, rising: bool) -> Array:
    """`_ramp` at a scale, of what is seen as 1 in uint8 at that scale."""
    near = _near(seen, scale)
    near /= np.float32(width + 1.0)
    if not rising:
        np.subtract(np.float32(1.0), near, out=near)
    np.clip(near, 0.0, 1.0, out=near)
    near *= np.float32(FULL)
    levels: Array = np.rint(near, out=near).astype(np.uint16)
    return levels


def distance(part: Array, scale: float) -> Array:
    """Pixels from every pixel of `part` to the nearest one outside it, float32; measured at a scale, and small.

    `part` is not to be used afterwards.
    """
    return _near(_shrunk(part.view(np.uint8), scale), scale)


def _shrunk(seen: Array, scale: float) -> Array:
    """A part of a picture, 1 in uint8, at a scale; `seen` is not to be used afterwards."""
    rows, columns = (max(1, round(side * scale)) for side in seen.shape)
    if (rows, columns) == seen.shape:
        return seen
    seen *= np.uint8(255)
    small: Array = cv2.resize(seen, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.greater(small, 127, out=small.view(np.bool_)).view(np.uint8)


def _near(seen: Array, scale: float) -> Array:
    """`distance` of what is seen as 1 in uint8 at a scale already."""
    distance: Array = cv2.distanceTransform(seen, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    if scale == 1.0:
        return distance
    # Half a pixel lies between a pixel's centre and the edge, at either scale.
    return np.where(distance > 0, (distance - 0.5) / np.float32(scale) + 0.5, np.float32(0.0))
