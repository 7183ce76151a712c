"""Measures of a whole image on the CPU (see `measures`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from enhance_cli.imaging import luma
from enhance_cli.imaging.area import area_means as area_means

if TYPE_CHECKING:
    from enhance_cli.types import Array


def luma_counts(pixels: Array) -> Array:
    """How often each code occurs in the luma of H×W or H×W×3 samples: int64, 256 or 65536."""
    if pixels.dtype == np.uint8:
        return luma.luma_histogram(pixels) if pixels.ndim == 2 else luma.rgb_luma_histogram(pixels)
    counts = np.zeros(65536, np.int64)
    for top in range(0, len(pixels), 256):  # in bands: bincount widens what it counts to 8 bytes
        band = pixels[top : top + 256]
        counts += np.bincount((band if band.ndim == 2 else luma.luma(band)).ravel(), minlength=65536)
    return counts


def channel_counts(pixels: Array) -> Array:
    """How often each code occurs in each channel of H×W×3: int64, 3×256 or 3×65536."""
    codes = np.iinfo(pixels.dtype).max + 1
    counts = np.zeros((3, codes), np.int64)
    for top in range(0, len(pixels), 128):
        for channel in range(3):
            counts[channel] += np.bincount(pixels[top : top + 128, :, channel].ravel(), minlength=codes)
    return counts
