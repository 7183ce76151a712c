"""Quality measures of one image, or of an image before and after, that need no reference.

numpy is all this module imports at the top: the stream calls `exposure` for every photo, and a start
must not pay for more. Images are H×W×3 RGB or H×W grey, uint8, uint16 or floating point in 0..1
(`pictures.levels`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhance_cli.quality.lab import hue_turns, lab
from enhance_cli.quality.pictures import Levels, Picture, level_pair, levels, luma

COLOURED = 12.0
"""C*ab above which a pixel counts as coloured; below it the hue angle is mostly noise."""

_STRIP = 64
"""Rows taken at once where an image is turned into larger arrays."""


def exposure(counts: NDArray[Any]) -> dict[str, float]:
    """The report's exposure block, computed from a luma histogram.

    Args:
        counts: pixels per luma code, 256 entries (8 bit) or 65536 (16 bit), any integer or float dtype.
            Entry `i` stands for luma `i / (entries - 1)`.

    Returns:
        `mean`, `median`, `p01`, `p99`: luma in 0..1; a quantile is the lowest code that at least this share
        of the pixels does not exceed. `dark`, `bright`: shares of pixels below 1/255 and above 254/255.
        `entropy`: bits per pixel of the 256-bin histogram (0..8); 16-bit codes are rounded to 8 bits first,
        so that an image has one entropy whatever depth it is kept at.

    Raises:
        ValueError: the histogram has another length, or is empty.
    """
    counts = np.asarray(counts)
    if counts.shape not in ((256,), (65536,)):
        raise ValueError(f"a luma histogram has 256 or 65536 entries, not the shape {counts.shape}")
    cumulative = np.cumsum(counts, dtype=np.float64)
    total = float(cumulative[-1])
    if total <= 0:
        raise ValueError("the luma histogram counts no pixels")
    top = counts.size - 1
    # 1/255 is code 1 in 8 bit and exactly code 257 in 16 bit, so the comparison is one of whole numbers.
    step = top // 255
    quantiles = np.searchsorted(cumulative, np.array([0.5, 0.01, 0.99]) * total) / top
    return {
        "mean": float(np.arange(counts.size) @ counts.astype(np.float64)) / total / top,
        "median": float(quantiles[0]),
        "p01": float(quantiles[1]),
        "p99": float(quantiles[2]),
        "dark": float(cumulative[step - 1]) / total,
        "bright": (total - float(cumulative[top - step])) / total,
        "entropy": _entropy(counts),
    }


def entropy(picture: Picture) -> float:
    """Shannon entropy of the luma rounded to 8 bits, in bits per pixel (0..8).

    Raises:
        ValueError: the array is not an image.
    """
    codes = np.rint(luma(picture)).astype(np.uint8)
    return _entropy(np.bincount(codes.ravel(), minlength=256))


def contrast(picture: Picture) -> float:
    """RMS contrast: the standard deviation of luma in 0..1, not divided by the mean (Peli 1990, eq. 4).

    Raises:
        ValueError: the array is not an image.
    """
    return float(luma(picture).std()) / 255.0


def clipped(picture: Picture) -> tuple[float, float]:
    """The shares of samples (R, G and B counted alike) below 1/255 and above 254/255: low, high.

    Raises:
        ValueError: the array is not an image.
    """
    samples = levels(picture)
    return float(np.mean(samples < 1.0)), float(np.mean(samples > 254.0))


def noise(picture: Picture) -> float:
    """The standard deviation of the noise in luma, in 8-bit levels.

    The image is filtered with Immerkaer's mask, which cancels constant, linear and most quadratic structure
    ("Fast noise variance estimation", 1996, eq. 3). The spread of the answer is then read from its median
    and not, as in eq. 4, from its mean: edges and texture, a minority of pixels, move the median less. Pixels
    clipped at either end carry no noise and are left out.

    Raises:
        ValueError: a side is shorter than 3 pixels, or the array is not an image.
    """
    grey = luma(picture)
    if min(grey.shape) < 3:
        raise ValueError("the noise estimate needs at least 3x3 pixels")
    # The mask is the outer product of (1, -2, 1) with itself; its norm is 6.
    rows = grey[:-2] - 2.0 * grey[1:-1] + grey[2:]
    answer = rows[:, :-2] - 2.0 * rows[:, 1:-1] + rows[:, 2:]
    centre = grey[1:-1, 1:-1]
    answer = answer[(centre >= 1.0) & (centre <= 254.0)]
    if answer.size == 0:
        return 0.0
    return float(np.median(np.abs(answer))) / (0.674490 * 6.0)


def loe(output: Picture, before: Picture) -> float:
    """Lightness order error: how many other samples, on average, a sample changed its order with.

    Lightness is the maximum of R, G and B, then the maximum over 15x15 pixels; it is sampled every
    floor(shorter side / 50) pixels, and each sample is compared with all samples (Wang et al., "Naturalness
    preserved enhancement algorithm for non-uniform illumination images", 2013, eq. 23-25, with the sampling
    of the code its authors published). 0 when every order is kept; it grows with the number of samples, so
    figures compare only between images of one shape: at 3:2 there are 3750 or a few more.

    Args:
        output: the enhanced image.
        before: the image it was made from, of the same size.

    Raises:
        ValueError: the sizes differ, or an array is not an image.
    """
    first, second = (_lightness_samples(picture) for picture in level_pair(output, before))
    changed = 0
    rows = max(1, 4_000_000 // first.size)
    for start in range(0, first.size, rows):
        part = slice(start, start + rows)
        order_first = first[None, :] >= first[part, None]
        order_second = second[None, :] >= second[part, None]
        changed += int(np.count_nonzero(order_first != order_second))
    return changed / first.size


def hue_change(before: Picture, after: Picture) -> float | None:
    """The median change of hue angle in degrees, 0..180, over the pixels coloured before (C*ab > 12).

    Returns:
        The median, or None where no pixel is coloured.

    Raises:
        ValueError: the sizes differ, or an array is not an image.
    """
    first, second = level_pair(before, after)
    if first.shape[2] == 1:
        return None
    turns = []
    for top in range(0, first.shape[0], _STRIP):
        old, new = lab(first[top : top + _STRIP]), lab(second[top : top + _STRIP])
        coloured = np.hypot(old[..., 1], old[..., 2]) > COLOURED
        old, new = old[coloured], new[coloured]
        turns.append(hue_turns(old, new))
    angles = np.concatenate(turns)
    return float(np.rad2deg(np.median(angles))) if angles.size else None


def _entropy(counts: NDArray[Any]) -> float:
    """Shannon entropy in bits of a 256- or 65536-bin histogram, the latter rounded to 256 bins."""
    if counts.size == 65536:
        counts = np.bincount((np.arange(65536) + 128) // 257, weights=counts, minlength=256)
    share = counts[counts > 0] / float(counts.sum())
    return max(0.0, -float(share @ np.log2(share)))


def _lightness_samples(picture: Levels) -> NDArray[np.float64]:
    """The sampled local maxima of `loe`, flat."""
    import cv2

    lightness = cv2.dilate(np.rint(picture.max(axis=2)), np.ones((15, 15), np.uint8))
    step = max(1, min(lightness.shape) // 50)
    return np.asarray(lightness[step - 1 :: step, step - 1 :: step], np.float64).ravel()
