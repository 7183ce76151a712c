"""Inputs of the estimator's network, and clip limits from its outputs; NumPy in, NumPy out.

Both engines and training call these two functions, so production inputs are computed exactly as in training.
No torch, no onnxruntime: the caller runs the network between the two calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from enhance_cli.imaging.blocks import reflected
from enhance_cli.methods.clahe_adaptive.structure import SHADE
from enhance_cli.methods.clahe_adaptive.tiles import tile_geometry

THUMBNAIL = 256
"""Side of the luma thumbnail that the network sees, as in the paper."""

FEATURES = 19
"""Numbers that describe one histogram, its structure and its noise; see `describe_histograms` and `network_inputs`."""

THIN = 1 / 16
"""Mean opacity of a tile below which its histogram is mixed with those of its neighbours."""

LOWEST, HIGHEST = 0.01, 256.0
"""The range of clip limits: never 0, which OpenCV reads as no limit; from 256 on nothing can be clipped."""


class Whole(NamedTuple):
    """The whole image as one tile."""

    histogram: NDArray[Any]
    """256 counts."""

    shares: NDArray[np.float32]
    """256 shares of structure."""


def network_inputs(
    histograms: NDArray[Any],
    shares: NDArray[np.float32],
    noise: NDArray[np.floating],
    thumbnail: NDArray[np.float32],
    whole: Whole,
) -> dict[str, NDArray[np.float32]]:
    """Everything the network sees of one image.

    Args:
        histograms: rows×columns×256 counts, from `tile_histograms`.
        shares: rows×columns×256, from `structure.structured_shares`.
        noise: standard deviations of noise in levels, of any grid, from `structure.noise_deviations`.
        thumbnail: 256×256 luma in 0..1, from `thumbnail`.
        whole: the image in one tile.

    Returns:
        `thumbnail` 1×1×256×256; `statistics` 1×(FEATURES+1), the description of the whole image and the number of
        tiles; `tiles` 1×FEATURES×rows×columns, the description of every tile. All float32.
    """
    rows, columns, _ = histograms.shape
    field = np.asarray(noise, np.float32)
    described = _describe(whole.histogram, whole.shares, area_pool(field, 1, 1)[0, 0])
    fineness = np.float32(np.log2(rows * columns) / 8.0)
    of_tiles = _describe(histograms, shares, area_pool(field, rows, columns))
    return {
        "thumbnail": np.ascontiguousarray(thumbnail, dtype=np.float32)[None, None],
        "statistics": np.append(described, fineness).astype(np.float32)[None],
        "tiles": np.ascontiguousarray(of_tiles.transpose(2, 0, 1))[None],
    }


def _describe(histograms: NDArray[Any], shares: NDArray[np.float32], noise: Any) -> NDArray[np.float32]:
    """`describe_histograms` with the share of structure, the share of empty dark and the noise: ...×FEATURES."""
    counts = np.asarray(histograms, np.float64)
    parts = counts / counts.sum(axis=-1, keepdims=True)
    structured = (parts * shares).sum(axis=-1)
    empty = (parts * (1.0 - shares))[..., :SHADE].sum(axis=-1)
    seen = np.stack([structured, empty, np.broadcast_to(np.asarray(noise), structured.shape) / 8.0], axis=-1)
    return np.concatenate([describe_histograms(histograms), seen.astype(np.float32)], axis=-1)


def weighted_histograms(
    luma: NDArray[np.integer], weights: NDArray[np.integer], rows: int, columns: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Histograms of tiles with pixels weighted by opacity, normalised to the area of a tile.

    A tile that is almost fully transparent takes its neighbours' histogram, or the whole image's if they are
    transparent too.

    Args:
        luma: H×W uint8 or uint16.
        weights: H×W opacity, uint8 or uint16, not 0 everywhere.
        rows: rows of tiles.
        columns: columns of tiles.

    Returns:
        rows×columns×256 whole numbers that sum to a tile's pixels, and 256 counts of the whole image.
    """
    height, width = luma.shape
    tile_height, tile_width = tile_geometry(height, width, rows, columns)
    down = reflected(0, rows * tile_height, height)
    across = reflected(0, columns * tile_width, width)
    sums = np.zeros((rows, columns, 256))
    for i in range(rows):
        band = down[i * tile_height : (i + 1) * tile_height]
        levels, opacity = luma[band][:, across], weights[band][:, across]
        if luma.dtype == np.uint16:
            levels = ((levels.astype(np.uint32) + 128) // 257).astype(np.uint8)
        for j in range(columns):
            part = slice(None), slice(j * tile_width, (j + 1) * tile_width)
            sums[i, j] = np.bincount(levels[part].ravel(), opacity[part].ravel(), 256)
    area = tile_height * tile_width
    whole = sums.sum(axis=(0, 1))
    totals = sums.sum(axis=2, keepdims=True)
    padded = np.pad(sums, ((1, 1), (1, 1), (0, 0)))
    around = np.sum([padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)], axis=0)
    near = around.sum(axis=2, keepdims=True)
    leant = np.where(near > 0, around / np.maximum(near, 1.0), whole / whole.sum())
    lean = np.clip(1.0 - totals / (THIN * area * np.iinfo(weights.dtype).max), 0.0, 1.0)
    shares = (1.0 - lean) * sums / np.maximum(totals, 1.0) + lean * leant
    # The cumulative sums are rounded, so that the counts sum to the area.
    running = np.rint(np.cumsum(shares, axis=2) * area).astype(np.int64)
    running[..., -1] = area
    return np.diff(running, axis=2, prepend=0), whole


def clip_limits(outputs: Mapping[str, NDArray[np.float32]], rows: int, columns: int) -> NDArray[np.float32]:
    """The clip limit of every tile: rows×columns float32 in 0.01..256, in multiples of the uniform bin height.

    The product of three outputs of the network: the image's factor, the local map averaged over the area of
    the tile (so it serves any grid), and the tile's own factor from its histogram.

    Args:
        outputs: `global_factor` 1, `local` 1×1×128×128 and `tile_factor` 1×1×rows×columns.
        rows: rows of tiles.
        columns: columns of tiles.
    """
    pooled = area_pool(outputs["local"][0, 0], rows, columns)
    limits = outputs["global_factor"].reshape(()) * pooled * outputs["tile_factor"][0, 0]
    return np.asarray(np.clip(limits, LOWEST, HIGHEST), np.float32)


def retention(outputs: Mapping[str, NDArray[np.float32]]) -> float:
    """The share of flat pixels, 0..1, that counts in the curves beside structure (docs/papers.md, C12)."""
    return float(outputs["retention"].reshape(()))


def blackness(outputs: Mapping[str, NDArray[np.float32]]) -> float:
    """How far empty dark is kept dark, 0..1 (docs/papers.md, C14)."""
    return float(outputs["blackness"].reshape(()))


def global_factor(outputs: Mapping[str, NDArray[np.float32]]) -> float:
    """The network's factor for the whole image, as the report shows it."""
    return float(outputs["global_factor"].reshape(()))


def area_pool(field: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """Mean of an H×W field over rows×columns equal areas, fractional pixels included: rows×columns float32."""
    height, width = field.shape
    return np.asarray(coverage(height, rows) @ field @ coverage(width, columns).T, np.float32)


def coverage(length: int, bins: int) -> NDArray[np.float32]:
    """bins×length weights: the share of each pixel of a side in each of `bins` equal intervals of it."""
    edges = np.linspace(0.0, length, bins + 1)
    pixel = np.arange(length)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return np.asarray(np.clip(overlap, 0.0, 1.0) * bins / length, np.float32)


def describe_histograms(histograms: NDArray[Any]) -> NDArray[np.float32]:
    """Describe histograms by 16 numbers of order one: (..., 256) counts to (..., 16) float32.

    Where the tones lie (mean, deviation, quantiles), how full the scale is (entropy, share of levels in use) and
    what a clip limit would do: the shares above 0.25, 1, 4 and 16 times the uniform bin height are exactly the
    excess of docs/papers.md, C7, at those limits, and no limit above the height of the largest bin clips anything.
    """
    counts = histograms.astype(np.float64)
    shares = counts / counts.sum(axis=-1, keepdims=True)
    levels = np.arange(256) / 255.0
    mean = shares @ levels
    deviation = np.sqrt(np.maximum(shares @ levels**2 - mean**2, 0.0))
    running = np.cumsum(shares, axis=-1)
    quantiles = [(running < q).sum(axis=-1).clip(max=255) / 255.0 for q in (0.001, 0.02, 0.25, 0.5, 0.75, 0.98, 0.999)]
    entropy = -(shares * np.log2(np.maximum(shares, 1e-12))).sum(axis=-1)
    used = (counts > 0).mean(axis=-1)
    excess = [np.maximum(shares - limit / 256.0, 0.0).sum(axis=-1) for limit in (0.25, 1.0, 4.0, 16.0)]
    peak = np.log2(shares.max(axis=-1) * 256.0) / 8.0
    described = [mean, 3.0 * deviation, *quantiles, entropy / 8.0, used, *excess, peak]
    return np.stack(described, axis=-1).astype(np.float32)
