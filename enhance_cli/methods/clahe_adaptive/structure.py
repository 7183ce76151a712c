"""Which parts of a photo are structure, and which are flat or hold only noise (docs/papers.md, C11 and C12).

Histogram equalisation stretches the levels that many pixels have. If these are the levels of a night sky or a wall,
only noise is stretched, and the surface takes another tone in every tile that it lies in. So the local contrast of a
small copy of the photo is compared with the contrast that its noise alone would give, and flat pixels are counted
apart. NumPy in, NumPy out, the same for both engines.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhance_cli.imaging.blocks import reflected
from enhance_cli.methods.clahe_adaptive.tiles import fit_grid, tile_geometry

APART = 2
"""Distance in pixels between the samples compared: adjacent pixels have been smoothed by the camera and by JPEG."""

SAMPLES = 24
"""Approximate number of noise samples along a side of a tile: enough for their median to be right to some per cent."""

NOISE_GRID = 8
"""Rows and columns of the tiles in which noise is measured, whatever the grid of the curves."""

CORRELATED = 4.0
"""Pixels of noise that vary together, after demosaicing and JPEG: a mean over n pixels has n / 4 independent ones."""

QUANTISED = 0.5
"""Standard deviation in levels that quantisation can hide: by rounding to whole levels, or by flat dark JPEG blocks."""

NEIGHBOURHOOD = 5
"""Side of the squares of the small copy in which contrast is measured."""

NOISE_ALONE, CLEAR = 1.3, 2.6
"""Local contrast over that of noise: up to `NOISE_ALONE` it is noise, from `CLEAR` up structure."""

LEVELS = 3.0
"""Standard deviation in levels over which the shares of neighbouring levels are averaged."""

PRIOR = 0.02
"""Weight of the whole photo in the shares of a tile, which may hold few cells of the small copy."""

LITTLE, MUCH = 0.05, 0.6
"""Share of structure in a tile: up to `LITTLE` it takes the curve of the whole photo; from `MUCH` up its own may count
in full."""

SHADE = 32
"""Level below which flat pixels are empty dark, such as a night sky or a black frame."""

NOTHING = 0.01, 0.04
"""Share of structure in a photo: up to the first it shows nothing, from the second something."""

LOCAL = 0.3
"""Weight of the own curve of a tile that is all structure. The error to references asks for less, but then there is
hardly any local contrast, which is what a fine grid is chosen for."""

RARE, COMMON = 0.01, 0.05
"""Share of empty dark in a photo: up to `RARE` it is not looked at, from `COMMON` up it is."""

LIFTED, LEAVING = 3.0, 10.0
"""Slope of `dark_bound` over the levels of empty dark, whose noise grows by no more, and above them."""

HIGHEST_DARK = 36.0
"""Level that `dark_bound` gives the brightest of empty dark at most."""

LIT, LAMPS = (100.0, 200.0), (190.0, 245.0)
"""Level of the brightest thousandth of a photo: up to the first it is dark all over, from the second it has lights.
`LAMPS` are the ones that a night without grain is known by: dark frames of a day have none that clip."""

BLACK = 0.12, 0.3
"""Share of empty dark in a photo with lamps: up to the first it is shade, from the second a night."""

GRAINY = 0.2, 0.45
"""Noise of empty dark over its level: up to the first it may be lifted, from the second little else would be."""

_MEDIAN = 0.6745
"""Median of the absolute value of a centred normal variable, in standard deviations."""


def noise_grid(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the tiles in which noise is measured."""
    return fit_grid(height, width, NOISE_GRID, NOISE_GRID)


def structure_map(
    thumbnail: NDArray[np.float32], noise: NDArray[np.floating], height: int, width: int
) -> NDArray[np.float32]:
    """Where the photo shows structure: N×N float32, 0 (flat, or noise alone) to 1.

    Args:
        thumbnail: N×N area means of luma in 0..1.
        noise: rows×columns standard deviations of noise in levels, from `noise_deviations`.
        height: of the photo in pixels.
        width: of the photo in pixels.
    """
    side = len(thumbnail)
    levels = np.asarray(thumbnail, np.float32) * np.float32(255.0)
    levels = levels - levels.mean()  # the squares below then lose no digits
    mean = _means(levels, NEIGHBOURHOOD)
    variance = np.maximum(_means(levels * levels, NEIGHBOURHOOD) - mean * mean, 0.0)
    independent = max(1.0, height * width / side**2 / CORRELATED)
    deviation = _enlarged(noise, side)
    expected = deviation * deviation / np.float32(independent) + np.float32(QUANTISED**2)
    field = _eased(np.sqrt(variance / expected), NOISE_ALONE, CLEAR)
    return _means(field, 3)


def structured_shares(
    thumbnail: NDArray[np.float32], structure: NDArray[np.float32], height: int, width: int, rows: int, columns: int
) -> NDArray[np.float32]:
    """The share of the pixels of every tile and level that are structure: rows×columns×256 float32 in 0..1.

    Args:
        thumbnail: N×N area means of luma in 0..1.
        structure: N×N, from `structure_map`.
        height: of the photo in pixels.
        width: of the photo in pixels.
        rows: of tiles.
        columns: of tiles.
    """
    side = len(thumbnail)
    tile_height, tile_width = tile_geometry(height, width, rows, columns)
    down, across = (
        np.minimum(((np.arange(side) + 0.5) * length / side).astype(np.int64) // tile, tiles - 1)
        for length, tile, tiles in ((height, tile_height, rows), (width, tile_width, columns))
    )
    levels = np.clip(np.rint(thumbnail * 255.0), 0, 255).astype(np.int64)
    places = ((down[:, None] * columns + across) * 256 + levels).ravel()
    near = _near_levels()
    counts, structured = (
        np.bincount(places, weights, rows * columns * 256).astype(np.float32).reshape(-1, 256)
        for weights in (None, structure.ravel())
    )
    # The whole photo stands in where a tile has no cell at a level, and a trace of structure where the photo has none.
    whole, of_it = counts.sum(axis=0) @ near + np.float32(1e-3), structured.sum(axis=0) @ near
    prior = np.float32(PRIOR / max(1.0, whole.max()))
    shares = np.empty_like(counts)
    step = 4096
    for start in range(0, len(counts), step):  # a grid of 256×256 at once would take hundreds of megabytes
        part = slice(start, start + step)
        shares[part] = (structured[part] @ near + prior * of_it) / (counts[part] @ near + prior * whole)
    return np.clip(shares, 0.0, 1.0).reshape(rows, columns, 256)


def structured_tiles(histograms: NDArray[Any], shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """The share of structure in every tile: (...×256) counts and shares to (...) float32."""
    counts = np.asarray(histograms, np.float32)
    found: NDArray[np.float32] = (counts * shares).sum(axis=-1) / np.maximum(counts.sum(axis=-1), np.float32(1e-9))
    return found


def local_shares(histograms: NDArray[Any], shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far every tile's own curve counts beside that of the whole photo (docs/papers.md, C13): rows×columns."""
    return np.asarray(LOCAL * _eased(structured_tiles(histograms, shares), LITTLE, MUCH), np.float32)


def shown(histogram: NDArray[Any], shares: NDArray[np.float32]) -> float:
    """How certainly a photo shows anything at all, 0..1; flat pixels of one that does not are left alone.

    Args:
        histogram: 256 counts of the whole photo.
        shares: 256 shares of structure of the whole photo.
    """
    return float(_eased(structured_tiles(histogram, shares), *NOTHING))


def night(
    thumbnail: NDArray[np.float32],
    structure: NDArray[np.float32],
    noise: NDArray[np.floating],
    histogram: NDArray[Any],
) -> float:
    """How certainly a photo is one of lights in the dark, whose dark is to stay (docs/papers.md, C14): 0..1.

    Args:
        thumbnail: as for `structure_map`.
        structure: N×N, from `structure_map`.
        noise: as for `structure_map`.
        histogram: 256 counts of the whole photo.
    """
    levels = thumbnail * np.float32(255.0)
    empty = (1.0 - structure) * (levels < SHADE)
    amount = float(empty.sum())
    if amount == 0.0:
        return 0.0
    level = max(1.0, float((empty * levels).sum()) / amount)
    grain = float((empty * _enlarged(noise, len(thumbnail))).sum()) / amount / level
    running = np.cumsum(histogram, dtype=np.float64)
    brightest = float((running < 0.999 * running[-1]).sum())
    grainy = _eased(np.array(brightest), *LIT) * _eased(np.array(grain), *GRAINY)
    black = _eased(np.array(brightest), *LAMPS) * _eased(np.array(amount / empty.size), *BLACK)
    return float(max(grainy, black))


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


def dark_bound(histogram: NDArray[Any], shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """What curves should not exceed if empty dark is to stay dark (docs/papers.md, C14): 256 levels, float32.

    Args:
        histogram: 256 counts of the whole photo.
        shares: 256 shares of structure of the whole photo.
    """
    counts = np.asarray(histogram, np.float64)
    empty = (counts * (1.0 - shares))[:SHADE]
    seen = float(_eased(np.array(empty.sum() / counts.sum()), RARE, COMMON))
    levels = np.arange(256.0)
    end = float((np.cumsum(empty) < 0.95 * empty.sum()).sum())
    slope = min(LIFTED, HIGHEST_DARK / max(end, 1.0))
    bound = slope * np.minimum(levels, end) + LEAVING * np.maximum(levels - end, 0.0)
    return np.asarray(bound + 255.0 * (1.0 - seen), np.float32)


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


def _enlarged(noise: NDArray[np.floating], side: int) -> NDArray[np.float32]:
    """Deviations in tiles as a side×side float32 field, bilinear between their centres."""
    field = np.asarray(noise, np.float32)
    for axis in (1, 0):
        tiles = field.shape[axis]
        position = np.clip((np.arange(side) + 0.5) * (tiles / side) - 0.5, 0.0, tiles - 1.0)
        before = position.astype(np.int64)
        weight = (position - before).reshape((-1, 1) if axis == 0 else (1, -1))
        first, second = (field.take(np.minimum(before + step, tiles - 1), axis) for step in (0, 1))
        field = (first + (second - first) * weight).astype(np.float32)
    return field


def _means(field: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Means over side×side squares of a field mirrored at its edges, float32; OpenCV would take longer to load."""
    padded = np.pad(field, side // 2, mode="reflect").astype(np.float64)
    height, width = field.shape
    across = sum((padded[:, x : x + width] for x in range(1, side)), padded[:, :width])
    total = sum((across[y : y + height] for y in range(1, side)), across[:height])
    return np.asarray(total * (1.0 / side**2), np.float32)


@cache
def _near_levels() -> NDArray[np.float32]:
    """The weights by which levels are averaged with their neighbours: 256×256."""
    apart = np.subtract.outer(np.arange(256.0), np.arange(256.0))
    near: NDArray[np.float32] = np.exp(-0.5 * (apart / LEVELS) ** 2).astype(np.float32)
    return near


def _eased(values: NDArray[np.floating], none: float, all_of_it: float) -> NDArray[np.float32]:
    """Smoothstep from 0 at `none` to 1 at `all_of_it`."""
    share = np.clip((np.asarray(values, np.float32) - none) / (all_of_it - none), 0.0, 1.0)
    eased: NDArray[np.float32] = share * share * (3.0 - 2.0 * share)
    return eased
