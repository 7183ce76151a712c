"""Figures of one picture, or of a picture before and after, that need no reference.

numpy is all this module imports at the top: the stream calls `exposure` for every photograph, and a start must
not pay for more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def exposure(counts: NDArray[Any]) -> dict[str, float]:
    """The report's exposure block, read off a luma histogram.

    Args:
        counts: pixels per luma code, 256 entries (8 bit) or 65536 (16 bit), any integer or float dtype. Entry
            `i` stands for luma `i / (entries - 1)`.

    Returns:
        `mean`, `median`, `p01`, `p99`: luma in 0..1; a quantile is the lowest code that at least this share of
        the pixels does not exceed. `dark`, `bright`: shares of pixels below 1/255 and above 254/255.
        `entropy`: bits per pixel of the 256-bin histogram (0..8); 16-bit codes are rounded to 8 bits first, so
        that a picture has one entropy whatever depth it is kept at.

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
        "bright": 1.0 - float(cumulative[top - step]) / total,
        "entropy": _entropy(counts),
    }


def _entropy(counts: NDArray[Any]) -> float:
    """Shannon entropy in bits of a 256- or 65536-bin histogram, the latter rounded to 256 bins."""
    if counts.size == 65536:
        counts = np.bincount((np.arange(65536) + 128) // 257, weights=counts, minlength=256)
    share = counts[counts > 0] / float(counts.sum())
    return max(0.0, -float(share @ np.log2(share)))
