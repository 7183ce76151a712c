"""How much of each tile is structure and how much is noise that a clip limit would amplify (docs/papers.md, C11).

Histogram equalisation stretches the levels that many pixels have. If these are the levels of a single surface with
noise, only the noise is stretched. So the width of a tile's histogram is compared with the width that noise alone
would give it. NumPy in, NumPy out, the same for both engines.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhance_cli.imaging.blocks import reflected
from enhance_cli.methods.clahe_adaptive.tiles import tile_geometry

APART = 2
"""Distance in pixels between the samples compared: adjacent pixels have been smoothed by the camera and by JPEG."""

SAMPLES = 48
"""Approximate number of noise samples along a side of a tile: enough for their median to be right to a few per cent."""

QUANTISED = 0.5
"""Standard deviation in levels that quantisation can hide: by rounding to whole levels, or by flat dark JPEG blocks."""

NOISE_ALONE, CLEAR = 1.05, 1.4
"""Width of a histogram over the width from noise alone: up to `NOISE_ALONE` it is noise, from `CLEAR` up structure."""

SPREAD, WIDE = 2.0, 3.0
"""The same two bounds for the range between the first and the last decile: large tiles show more than one thing, and an
image is not without structure because most of it is clipped or black."""

OTHER, SAME = 0.25, 0.6
"""Intersection of the histograms of two adjacent tiles: up to `OTHER` they show different surfaces, from `SAME` up the
same one. One surface is treated alike, or walls would come out in patches."""

ROUNDS = 6
"""Rounds of averaging among adjacent tiles that look alike, that is the distance in tiles that it reaches."""

LITTLE, MUCH = 0.05, 0.5
"""Mean structure over tiles that look alike: up to `LITTLE` it counts as none, from `MUCH` up as all."""

LEFT = 0.5
"""Upper bound of the limit of a tile without structure: its noise grows by half, its level moves by one."""

_GAUSSIAN = 2.0 * math.sqrt(math.pi)
"""Effective levels of a normal distribution per unit of standard deviation."""

_TENTHS = 2.563
"""Distance from the first to the last decile of a normal distribution, in standard deviations."""

_MEDIAN = 0.6745
"""Median of the absolute value of a centred normal variable, in standard deviations."""


def structure(histograms: NDArray[np.integer], diagonals: NDArray[np.integer]) -> NDArray[np.float32]:
    """The share of structure in every tile, from 0 (noise or a flat tone) to 1: rows×columns float32.

    The width of a histogram is its number of effective levels, the reciprocal of the sum of squared shares. It reflects
    what most pixels have, so that a lamp does not make a night sky a tile with structure. Adjacent tiles that look
    alike share their structure.

    Args:
        histograms: rows×columns×256 counts, from `tile_histograms`.
        diagonals: rows×columns×256 counts, from `diagonal_counts`.
    """
    levels = np.array([1.0 / (shares**2).sum(axis=-1) for shares in map(_shares, histograms)])
    running = (np.cumsum(_shares(row), axis=-1) for row in histograms)
    between = np.array([((share >= 0.1) & (share < 0.9)).sum(axis=-1) for share in running])
    noise = np.hypot(noise_deviations(diagonals), QUANTISED)
    own = np.maximum(
        _eased(np.log(levels / (_GAUSSIAN * noise)), math.log(NOISE_ALONE), math.log(CLEAR)),
        _eased(between / (_TENTHS * noise), SPREAD, WIDE),
    )
    alike = np.clip((_common_areas(histograms) - OTHER) / (SAME - OTHER), 0.0, 1.0)
    for _ in range(ROUNDS):
        own = (alike * _around(own)).sum(axis=(0, 1)) / alike.sum(axis=(0, 1))
    return np.asarray(_eased(own, LITTLE, MUCH), np.float32)


def noise_deviations(diagonals: NDArray[np.integer]) -> NDArray[np.float64]:
    """The standard deviation of white noise in every tile, in levels, from the median of its diagonal differences.

    The difference a - b - c + d of the corners of a square does not respond to horizontal or vertical edges or to
    linear gradients, and its standard deviation is twice that of the noise. Other edges are outliers, which the median
    ignores.

    Args:
        diagonals: ...×256 counts of absolute differences; without any, the deviation is 0.
    """
    running = np.cumsum(diagonals, axis=-1)
    half = running[..., -1:] / 2.0
    middle = np.minimum((running < half).sum(axis=-1, keepdims=True), 255)
    within = np.take_along_axis(diagonals, middle, -1)
    before = np.take_along_axis(running, middle, -1) - within
    # A count covers differences from half a level below to half a level above; that of 0 only its upper half.
    lower = np.maximum(middle - 0.5, 0.0)
    median = lower + (middle + 0.5 - lower) * (half - before) / np.maximum(within, 1)
    found: NDArray[np.float64] = np.where(half > 0, median, 0.0)[..., 0] / (2.0 * _MEDIAN)
    return found


def weighed(limits: NDArray[np.float32], share: NDArray[np.float32]) -> NDArray[np.float32]:
    """Limits pulled towards `LEFT` where structure is missing; limits below it stay. float32, as both arguments."""
    least = np.minimum(limits, np.float32(LEFT))
    return np.asarray(least + (limits - least) * share, np.float32)


def weighted_diagonals(
    luma: NDArray[np.integer], weights: NDArray[np.integer], rows: int, columns: int
) -> NDArray[np.int64]:
    """`diagonal_counts` with each square weighted by the least opaque of its four pixels: rows×columns×256 int64.

    Args:
        luma: H×W uint8 or uint16.
        weights: H×W opacity, uint8 or uint16.
        rows: of tiles.
        columns: of tiles.
    """
    height, width = luma.shape
    tile_height, tile_width = tile_geometry(height, width, rows, columns)
    down = reflected(0, rows * tile_height, height)
    across = reflected(0, columns * tile_width, width)
    counts = np.zeros((rows, columns, 256), np.int64)
    top, left = sample_places(tile_height, rows), sample_places(tile_width, columns)
    for i in range(rows):
        places = top[i]
        corners = [(down[places + y][:, None], across[left.ravel() + x]) for y in (0, APART) for x in (0, APART)]
        a, b, c, d = (eight_bit(luma[corner]) for corner in corners)
        differences = np.minimum(np.abs(a - b - c + d), 255).reshape(len(places), columns, -1)
        seen = np.minimum.reduce([weights[corner] for corner in corners]).reshape(differences.shape)
        for j in range(columns):
            counts[i, j] = np.bincount(differences[:, j].ravel(), seen[:, j].ravel(), 256)
    return counts


def sample_places(tile: int, tiles: int) -> NDArray[np.intp]:
    """Start positions of the samples along an axis of tiles, such that each sample lies inside a tile: tiles×samples.

    Steps are odd, so that samples fall equally often on every position within a JPEG block.
    """
    places: NDArray[np.intp] = np.arange(tiles)[:, None] * tile + np.arange(0, tile - APART, tile // SAMPLES | 1)
    return places


def eight_bit(samples: NDArray[Any]) -> NDArray[np.int32]:
    """Samples of 8 or 16 bits as whole levels in 0..255, as histograms bin them."""
    levels = samples.astype(np.int32)
    return (levels + 128) // 257 if samples.dtype == np.uint16 else levels


def _shares(histograms: NDArray[np.integer]) -> NDArray[np.float64]:
    """One row of histograms, each normalised to the sum 1: a whole 256x256 grid would take half a gigabyte."""
    counts = histograms.astype(np.float64)
    shares: NDArray[np.float64] = counts / counts.sum(axis=-1, keepdims=True)
    return shares


def _common_areas(histograms: NDArray[np.integer]) -> NDArray[np.float64]:
    """Intersections of the histograms of each tile and its neighbours, as in `_around`: 3×3×rows×columns, 0..1."""
    rows, columns, _ = histograms.shape
    common = np.zeros((3, 3, rows, columns))
    for i in range(rows):
        here = _shares(histograms[i])
        for down in range(max(0, 1 - i), min(3, rows - i + 1)):
            there = np.pad(_shares(histograms[i + down - 1]), ((1, 1), (0, 0)))
            for right in range(3):
                common[down, right, i] = np.minimum(here, there[right : right + columns]).sum(axis=-1)
    return common


def _around(field: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each tile's own value, in the centre, and its neighbours' values, 0 outside of the image: 3×3×rows×columns."""
    rows, columns = field.shape
    padded = np.pad(field, 1)
    return np.array([[padded[i : i + rows, j : j + columns] for j in range(3)] for i in range(3)])


def _eased(values: NDArray[np.float64], none: float, all_of_it: float) -> NDArray[np.float64]:
    """Smoothstep from 0 at `none` to 1 at `all_of_it`."""
    share = np.clip((values - none) / (all_of_it - none), 0.0, 1.0)
    eased: NDArray[np.float64] = share * share * (3.0 - 2.0 * share)
    return eased
