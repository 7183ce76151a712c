"""What came of a plan, area by area: light before and after, and how it falls off from A to C."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from enhance_cli.imaging import luma
from enhance_cli.methods.local.masks import FULL

if TYPE_CHECKING:
    from enhance_cli.types import Array

_SIDE = 320
"""Pixels along the longer side that are looked at, evenly spread."""

_RINGS = 16
"""Parts of the transition, by their t."""

_LEAST = 8
"""Pixels of a ring, or it is passed over."""

_DARKEST = 1 / 255

Cells = tuple[float, float, float, float]
Rendered = Callable[["Array", "Array", Cells], "Array"]
"""From some pixels, their fall-off, and where they lie, as (row and column of the first, from one to the next) in the
picture, to what becomes of them."""


class Review(NamedTuple):
    """Means over pixels that lie evenly in the picture; every pixel where it is small."""

    before: tuple[float | None, float | None, float | None]
    """Mean luma of A, B and C in 0..1; None where there is no such area."""

    after: tuple[float | None, float | None, float | None]
    gains: tuple[float, ...]
    """Stops that the rings of B gained, from A outwards: 2.2 times the logarithm of the ratio of mean luma."""

    monotony: float | None
    """Spearman's correlation of t and gain over these rings; None for less than three of them."""


def review(pixels: Array, fall_off: Array, region: tuple[int, int], rendered: Rendered) -> Review:
    """Look at a picture's light, before and after.

    Args:
        pixels: H×W×3 uint8 or uint16.
        fall_off: h×w uint16, t of the part of the picture that is lit.
        region: its first row and column.
        rendered: renders some pixels.
    """
    (top, left), (height, width) = region, fall_off.shape
    before: list[float | None] = [None, None, None]
    after: list[float | None] = [None, None, None]
    gains: dict[float, float] = {}
    if fall_off.size:
        step = max(1, max(height, width) // _SIDE)
        shares = np.ascontiguousarray(fall_off[step // 2 :: step, step // 2 :: step])
        part = np.ascontiguousarray(pixels[top : top + height, left : left + width][step // 2 :: step, step // 2 :: step])
        old, new = _levels(part), _levels(rendered(part, shares, (top + step // 2, left + step // 2, step, step)))
        areas = (shares == FULL, (shares > 0) & (shares < FULL))
        for i, area in enumerate(areas):
            if area.any():
                before[i], after[i] = float(old[area].mean()), float(new[area].mean())
        gains = _rings(shares, areas[1], old, new)
    step = max(1, max(pixels.shape[:2]) // _SIDE)
    whole = np.ascontiguousarray(pixels[step // 2 :: step, step // 2 :: step])
    shares = np.zeros(whole.shape[:2], np.uint16)
    rows, columns = (np.arange(start // 2, side, step) for start, side in ((step, pixels.shape[0]), (step, pixels.shape[1])))
    if fall_off.size:
        inside = np.ix_((rows >= top) & (rows < top + height), (columns >= left) & (columns < left + width))
        down, across = rows[inside[0].ravel()] - top, columns[inside[1].ravel()] - left
        shares[inside] = fall_off[np.ix_(down, across)]
    outside = shares == 0
    if outside.any():
        new = _levels(rendered(whole, shares, (step // 2, step // 2, step, step)))
        before[2], after[2] = float(_levels(whole)[outside].mean()), float(new[outside].mean())
    rings = sorted(gains.items(), reverse=True)
    return Review(
        (before[0], before[1], before[2]),
        (after[0], after[1], after[2]),
        tuple(gain for _, gain in rings),
        spearman(*zip(*rings, strict=True)) if len(rings) > 2 else None,
    )


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


def _rings(shares: Array, between: Array, old: Array, new: Array) -> dict[float, float]:
    """Gain in stops by the mean t of parts of B."""
    places = shares[between] / FULL
    ring = np.minimum((places * _RINGS).astype(np.intp), _RINGS - 1)
    counts = np.bincount(ring, minlength=_RINGS)
    means = [np.bincount(ring, weights, _RINGS) / np.maximum(counts, 1) for weights in (places, old[between], new[between])]
    gains = 2.2 * np.log2((means[2] + _DARKEST) / (means[1] + _DARKEST))
    return {float(means[0][i]): float(gains[i]) for i in np.flatnonzero(counts >= _LEAST)}
