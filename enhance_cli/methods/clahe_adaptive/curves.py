"""Tone curves of tiles from their histograms, on NumPy arrays (docs/papers.md, C3 to C7 and C12 to C14)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhance_cli.imaging.luma import BINS
from enhance_cli.methods.clahe_adaptive.tiles import BRIGHT, HIGHLIGHT, STEEPEST

Array = NDArray[Any]


def tile_curves(histograms: Array, clip_limits: Array, tile_area: float) -> Array:
    """Tone curves of the tiles in real arithmetic (docs/papers.md, C7).

    With counts h of a tile of A pixels and the limit C' = c A / 256, the excess E = A - sum min(h, C') is
    spread over all bins, h' = min(h, C') + E / 256, and the curve is 255 / A times the running sum of h'.

    Args:
        histograms: rows×columns×256 counts; where they sum to less than A, the rest is excess.
        clip_limits: rows×columns limits c > 0, in multiples of the uniform bin height A / 256.
        tile_area: pixels of a tile, A.

    Returns:
        float32 rows×columns×256 grey levels in 0..255, never falling; summed in float64.
    """
    curves = np.empty(histograms.shape, np.float32)
    limits = np.asarray(clip_limits, np.float64)[..., None] / BINS
    for part in _row_parts(histograms):
        shares = histograms[part] / tile_area
        clipped = np.minimum(shares, limits[part])
        excess = 1.0 - clipped.sum(axis=-1, keepdims=True)
        curves[part] = np.minimum(255.0 * np.cumsum(clipped + excess / BINS, axis=-1), 255.0)
    return curves


def photo_curves(
    histograms: Array,
    shares: Array,
    limits: Array,
    local: Array,
    whole: Array,
    whole_shares: Array,
    whole_limit: float,
    retention: float,
    bound: Array,
    blackness: float,
    tile_area: int,
) -> Array:
    """Tone curves that leave flat parts to the whole photo (docs/papers.md, C12 to C14).

    Of the flat pixels of each level only a part counts, and the rest is spread as excess is. A tile's curve is
    g + l (t - g) with its own t, the whole photo's g and its local share l; both ends of it are then bounded.

    Args:
        histograms: rows×columns×256 counts.
        shares: rows×columns×256 shares of structure, 0..1.
        limits: rows×columns clip limits.
        local: rows×columns local shares l, 0..1.
        whole: 256 counts of the whole photo.
        whole_shares: 256 shares of structure of the whole photo.
        whole_limit: the clip limit of g.
        retention: the share of flat pixels that counts, 0..1.
        bound: 256 levels above which curves are lowered, from `structure.dark_bound`.
        blackness: by which share of what exceeds it, 0..1.
        tile_area: pixels of a tile.

    Returns:
        float32 rows×columns×256 grey levels in 0..255, never falling.
    """
    kept = whole * (whole_shares + retention * (1.0 - whole_shares))
    of_photo = tile_curves(kept[None, None], np.full((1, 1), whole_limit), float(whole.sum()))[0, 0]
    curves = np.empty(histograms.shape, np.float32)
    for part in _row_parts(histograms):
        kept = histograms[part] * (shares[part] + retention * (1.0 - shares[part]))
        curves[part] = tile_curves(kept, limits[part], tile_area)
        curves[part] = of_photo + local[part][..., None] * (curves[part] - of_photo)
    for part in _row_parts(histograms):
        curves[part] -= np.float32(blackness) * np.maximum(curves[part] - bound, 0)
    return keep_highlights(curves)


def keep_highlights(curves: Array) -> Array:
    """Raise curves so that white stays white and rolls off (docs/papers.md, C14): ...×256 levels, never falling.

    y + w max(0, v - y) with a weight w of the level v that rises to 1 near white; from `BRIGHT` on, no step of more
    than `STEEPEST` levels.
    """
    levels = np.arange(BINS, dtype=np.float32)
    at = np.clip((levels / np.float32(255) - HIGHLIGHT[0]) / (HIGHLIGHT[1] - HIGHLIGHT[0]), 0, 1).astype(np.float32)
    weight = at * at * (3 - 2 * at)
    kept = curves + weight * np.maximum(levels - curves, 0)
    slope = np.float32(STEEPEST) * levels[BRIGHT:]
    top = kept[..., BRIGHT:] - slope
    kept[..., BRIGHT:] = np.maximum.accumulate(top[..., ::-1], axis=-1)[..., ::-1] + slope
    raised: Array = kept
    return raised


def integer_limits(clip_limits: Array, tile_area: int) -> Array:
    """The counts at which OpenCV clips the bins: `max(int(c A / 256), 1)`, int32 (docs/papers.md, C3)."""
    limits = np.asarray(clip_limits, np.float64) * tile_area / BINS
    return np.clip(limits, 1, np.iinfo(np.int32).max).astype(np.int32)


def opencv_tile_curves(histograms: Array, clip_limits: Array, tile_area: int) -> Array:
    """Tone curves of the tiles in the integer arithmetic of `cv2.createCLAHE` (docs/papers.md, C3 to C5).

    The limit is truncated to whole counts, the residue of the excess goes to the first bins of a comb, and
    the curve is rounded: on small tiles this differs by tens of grey levels from `tile_curves`. The arguments are
    the same.

    Returns:
        float32 rows×columns×256 whole grey levels in 0..255.
    """
    bins = np.arange(BINS)
    curves = np.empty(histograms.shape, np.float32)
    limits = integer_limits(clip_limits, tile_area)[..., None]
    scale = np.float32(255) / np.float32(tile_area)
    for part in _row_parts(histograms):
        counts = np.minimum(histograms[part], limits[part])
        excess = (histograms[part] - counts).sum(axis=-1, keepdims=True)
        residue = excess % BINS
        step = np.maximum(BINS // np.maximum(residue, 1), 1)
        counts += excess // BINS + ((bins % step == 0) & (bins // step < residue))
        curves[part] = np.minimum(np.rint(np.cumsum(counts, axis=-1).astype(np.float32) * scale), 255)
    return curves


def _row_parts(histograms: Array) -> list[slice]:
    """Slices of about a hundred tiles: a whole 256x256 grid at once would take half a gigabyte of doubles."""
    rows, columns, _ = histograms.shape
    step = max(1, 256 // columns)
    return [slice(start, start + step) for start in range(0, rows, step)]
