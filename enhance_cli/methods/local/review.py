"""The effect of a plan by area: light before and after, and how it falls off from A to C."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from enhance_cli.imaging import luma
from enhance_cli.imaging.opacity import mean
from enhance_cli.methods.local.covers import FULL

if TYPE_CHECKING:
    from enhance_cli.types import Array

_SIDE = 320
"""Pixels along the longer side that are looked at, evenly spread."""

_RINGS = 16
"""Parts of the transition, by their t."""

_LEAST = 8
"""Minimum number of pixels of a ring; smaller rings are skipped."""

_DARKEST = 1 / 255

Samples = tuple[int, int, int]
"""Some pixels of an image: row and column of the first, and from one to the next."""

Rendered = Callable[["Array", "Array", Samples], "Array"]
"""Renders sampled pixels: (pixels, their fall-off, which samples) to the result."""


class Review(NamedTuple):
    """Means over pixels that lie evenly in the image; every pixel where it is small."""

    before: tuple[float | None, float | None, float | None]
    """Mean luma of A, B and C in 0..1; None where there is no such area."""

    after: tuple[float | None, float | None, float | None]
    gains: tuple[float, ...]
    """Stops that the rings of B gained, from A outwards: 2.2 times the logarithm of the ratio of mean luma."""

    monotony: float | None
    """Spearman's correlation of t and gain over these rings; None for less than three of them."""


def review(
    pixels: Array, fall_off: Array, region: tuple[int, int], rendered: Rendered, weights: Array | None = None
) -> Review:
    """Look at an image's light, before and after.

    Args:
        pixels: H×W×3 uint8 or uint16.
        fall_off: h×w uint16, t of the part of the image that is lit.
        region: its first row and column.
        rendered: renders some pixels.
        weights: H×W opacity; None where all pixels count alike.
    """
    height, width = pixels.shape[:2]
    before: list[float | None] = [None, None, None]
    after: list[float | None] = [None, None, None]
    rings: list[tuple[float, float]] = []
    if fall_off.size:
        seen = _look(pixels, fall_off, region, (*region, *fall_off.shape), rendered, weights)
        areas = (seen.shares == FULL, (seen.shares > 0) & (seen.shares < FULL))
        for i, area in enumerate(areas):
            if area.any():
                before[i], after[i] = seen.means(area)
        rings = _rings(seen, areas[1])
    seen = _look(pixels, fall_off, region, (0, 0, height, width), rendered, weights)
    outside = seen.shares == 0
    if outside.any():
        before[2], after[2] = seen.means(outside)
    return Review(
        (before[0], before[1], before[2]),
        (after[0], after[1], after[2]),
        tuple(gain for _, gain in rings),
        spearman(*zip(*rings, strict=True)) if len(rings) > 2 else None,
    )


class _Seen(NamedTuple):
    """Samples of a part of an image, each rows×columns."""

    shares: Array
    """t as uint16."""

    old: Array
    """Luma in 0..1."""

    new: Array
    opacity: Array | None
    """None where all pixels count alike."""

    def means(self, area: Array) -> tuple[float, float] | tuple[None, None]:
        """Mean luma of an area before and after, by opacity; None where it is hidden."""
        shares = None if self.opacity is None else self.opacity[area]
        if shares is not None and not shares.any():
            return None, None
        return mean(self.old[area], shares), mean(self.new[area], shares)


def _look(
    pixels: Array,
    fall_off: Array,
    region: tuple[int, int],
    part: tuple[int, int, int, int],
    rendered: Rendered,
    weights: Array | None,
) -> _Seen:
    top, left, height, width = part
    step = max(1, max(height, width) // _SIDE)
    rows, columns = (np.arange(min(step, side) // 2, side, step) for side in (height, width))
    some = np.ascontiguousarray(pixels[np.ix_(rows + top, columns + left)])
    shares = np.zeros(some.shape[:2], np.uint16)
    down, across = rows + top - region[0], columns + left - region[1]
    inside_down = (down >= 0) & (down < fall_off.shape[0])
    inside_across = (across >= 0) & (across < fall_off.shape[1])
    shares[np.ix_(inside_down, inside_across)] = fall_off[np.ix_(down[inside_down], across[inside_across])]
    new = rendered(some, shares, (int(rows[0]) + top, int(columns[0]) + left, step))
    seen = None if weights is None else weights[np.ix_(rows + top, columns + left)]
    return _Seen(shares, _levels(some), _levels(new), seen)


def spearman(one: tuple[float, ...], two: tuple[float, ...]) -> float:
    """Spearman's rank correlation of two series of one length, at least two; ties share their mean rank.

    A series that is flat throughout has no order: 0.
    """
    first, second = (_ranks(np.asarray(series, np.float64)) for series in (one, two))
    first, second = first - first.mean(), second - second.mean()
    norm = float(np.sqrt(np.square(first).sum() * np.square(second).sum()))
    return float(first @ second) / norm if norm > 0 else 0.0


def _ranks(series: Array) -> Array:
    _, inverse, counts = np.unique(series, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: Array = (ends - (counts - 1) / 2.0)[inverse]
    return ranks


def _levels(pixels: Array) -> Array:
    """Luma in 0..1."""
    levels: Array = luma.luma(pixels) / np.float64(np.iinfo(pixels.dtype).max)
    return levels


def _rings(seen: _Seen, between: Array) -> list[tuple[float, float]]:
    """Mean t and gain in stops of parts of B, from A outwards; of what is seen."""
    if seen.opacity is not None:
        between = between & (seen.opacity > 0)
    places = seen.shares[between] / FULL
    ring = np.minimum((places * _RINGS).astype(np.intp), _RINGS - 1)
    counts = np.bincount(ring, minlength=_RINGS)
    told = (places, seen.old[between], seen.new[between])
    place, old, new = (np.bincount(ring, values, _RINGS) / np.maximum(counts, 1) for values in told)
    gains = 2.2 * np.log2((new + _DARKEST) / (old + _DARKEST))
    return [(float(place[i]), float(gains[i])) for i in np.flatnonzero(counts >= _LEAST)[::-1]]
