"""How much of every tile is structure and how much noise: what a clip limit would raise (docs/papers.md, C11).

Histogram equalisation stretches the levels that many pixels have. Where these are the levels of one surface and its
noise, nothing but the noise is there to be stretched. So the width of a tile's histogram is compared with the width
that noise alone would give it; numpy in, numpy out, the same for both engines.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhance_cli.imaging.blocks import reflected
from enhance_cli.methods.clahe_adaptive.tiles import tile_geometry

APART = 2
"""Pixels from one to the next that is compared: those side by side a JPEG, and a camera before it, has smoothed."""

SAMPLES = 48
"""Samples of the noise along a side of a tile, about: their median is then good to a few per cent."""

QUANTISED = 0.5
"""Deviation in levels that rounding leaves unseen: to whole levels, and of the dark parts of a JPEG to flat blocks."""

NOISE_ALONE, CLEAR = 1.05, 1.4
"""Histograms up to the former times as wide as noise makes them are noise; from the latter on they are structure."""

SPREAD, WIDE = 2.0, 3.0
"""The same of the stretch that holds all tones but a tenth at either end: large tiles show more than one thing, and a
image is not without structure because most of it is blown out, or black."""

OTHER, SAME = 0.25, 0.6
"""Common area of the histograms of two tiles side by side: up to the former they show different things, from the latter
on the same. The same is treated alike, or walls would come out in patches."""

ROUNDS = 6
"""Tiles over which what looks alike is averaged."""

LITTLE, MUCH = 0.05, 0.5
"""Means of structure over what looks alike: up to the former none is seen in it, from the latter on nothing else."""

LEFT = 0.5
"""The limit of a tile without structure, if it is not lower anyway: its noise grows by half, its level moves by one."""

_GAUSSIAN = 2.0 * math.sqrt(math.pi)
"""Effective levels of a normal distribution, by its deviation."""

_TENTHS = 2.563
"""From the first to the last tenth of a normal distribution, by its deviation."""

_MEDIAN = 0.6745
"""Median of the absolute value of a normal variable, by its deviation."""


def structure(histograms: NDArray[np.integer], diagonals: NDArray[np.integer]) -> NDArray[np.float32]:
    """The share of structure in every tile: 0 for noise, or nothing at all, to 1: rows×columns float32.

    The width of a histogram is its number of effective levels, one by the sum of squared shares: it looks at what most
    pixels have, so that a lamp does not make a night sky a tile with structure. Tiles side by side that look alike
    share what structure they have.

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
    """The deviation of white noise in every tile, in levels, by the median of its diagonal differences.

    A difference a - b - c + d of the corners of a square sees no edge that is level or upright and no slope, and its
    deviation is twice that of the noise. Edges that it does see are outliers, which a median leaves out.

    Args:
        diagonals: ...×256 counts of absolute differences; where there are none, the deviation is 0.
    """
    running = np.cumsum(diagonals, axis=-1)
    half = running[..., -1:] / 2.0
    middle = np.minimum((running < half).sum(axis=-1, keepdims=True), 255)
    within = np.take_along_axis(diagonals, middle, -1)
    before = np.take_along_axis(running, middle, -1) - within
    # Counts stand for differences from half a level below to half a level above, those of 0 for its upper half.
    lower = np.maximum(middle - 0.5, 0.0)
    median = lower + (middle + 0.5 - lower) * (half - before) / np.maximum(within, 1)
    found: NDArray[np.float64] = np.where(half > 0, median, 0.0)[..., 0] / (2.0 * _MEDIAN)
    return found


def weighed(limits: NDArray[np.float32], share: NDArray[np.float32]) -> NDArray[np.float32]:
    """Limits drawn towards `LEFT` by what is not structure; limits below it stay: float32 as both arguments."""
    least = np.minimum(limits, np.float32(LEFT))
    return np.asarray(least + (limits - least) * share, np.float32)


def weighted_diagonals(
    luma: NDArray[np.integer], weights: NDArray[np.integer], rows: int, columns: int
) -> NDArray[np.int64]:
    """`diagonal_counts` where four pixels count as much as the least seen of them: rows×columns×256 int64.

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
    """Where along a side of tiles samples start, so that they end inside a tile: tiles×samples.

    Steps are odd, so that samples meet every place of a JPEG's blocks alike.
    """
    places: NDArray[np.intp] = np.arange(tiles)[:, None] * tile + np.arange(0, tile - APART, tile // SAMPLES | 1)
    return places


def eight_bit(samples: NDArray[Any]) -> NDArray[np.int32]:
    """Whole levels of 0..255, of either depth, as histograms bin them."""
    levels = samples.astype(np.int32)
    return (levels + 128) // 257 if samples.dtype == np.uint16 else levels


def _shares(histograms: NDArray[np.integer]) -> NDArray[np.float64]:
    """A row of histograms, each with the sum 1: a whole grid of 256x256 would take half a gigabyte."""
    counts = histograms.astype(np.float64)
    shares: NDArray[np.float64] = counts / counts.sum(axis=-1, keepdims=True)
    return shares


def _common_areas(histograms: NDArray[np.integer]) -> NDArray[np.float64]:
    """What the histograms of a tile and of those around it have in common, as `_around`: 3×3×rows×columns in 0..1."""
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
    """Every tile's own value, in the middle, and those around it, 0 beyond the image: 3×3×rows×columns."""
    rows, columns = field.shape
    padded = np.pad(field, 1)
    return np.array([[padded[i : i + rows, j : j + columns] for j in range(3)] for i in range(3)])


def _eased(values: NDArray[np.float64], none: float, all_of_it: float) -> NDArray[np.float64]:
    """From 0 at one value to 1 at another, without corners."""
    share = np.clip((values - none) / (all_of_it - none), 0.0, 1.0)
    eased: NDArray[np.float64] = share * share * (3.0 - 2.0 * share)
    return eased
