"""Quantities of a photo, or of what a method makes of it, measured on a small copy in sRGB.

All are numbers without units, tones and shares from 0 to 1. The chooser sees them, and reasons are told
with them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from enhance_cli.imaging.area import extremes
from enhance_cli.methods.auto.kernels_measure import lowest_and_chroma

if TYPE_CHECKING:
    from enhance_cli.types import Array

SIDE = 160
"""Longest side in pixels of the copy that is measured and that candidates are tried on."""

DARK, BRIGHT = 0.1, 0.75
"""Luma below which a pixel counts as dark, and above which as bright."""

BLACK, WHITE = 4, 251
"""Largest level of a pixel that is black, and smallest level, in all channels, of one that is white."""

QUANTILES = (0.05, 0.5, 0.95)
"""Of luma."""

NAMES = (
    *(f"p{round(100 * q):02d}" for q in QUANTILES),
    "mean",
    "deviation",
    "dark",
    "bright",
    "white",
    "local contrast",
    "dark channel",
    "two tones",
)
"""The quantities, in the order of `Quantities.values`."""


_TONES = np.arange(256) / 255.0
_SQUARES = _TONES**2
_SHARES = np.array(QUANTILES) - 1e-9


@dataclass(frozen=True, eq=False)
class Quantities:
    """What was measured of an image."""

    values: Array
    """float64, in the order of `NAMES`."""

    chroma: float
    """Mean length of BT.601 chroma (`exposure.Wanted.chroma`)."""

    def __getitem__(self, name: str) -> float:
        """A quantity by its name."""
        return float(self.values[NAMES.index(name)])


def luma_of(codes: Array) -> Array:
    """BT.601 luma of H×W×3 uint8, H×W uint8."""
    return np.asarray(cv2.cvtColor(codes, cv2.COLOR_RGB2GRAY))


def measure(codes: Array) -> Quantities:
    """Measure a small copy: H×W×3 uint8, sRGB."""
    levels = luma_of(codes)
    height, width = levels.shape
    lowest = np.empty_like(levels)
    chroma = lowest_and_chroma(codes, lowest)
    counts = np.bincount(levels.ravel(), minlength=256) / levels.size
    mean = float(counts @ _TONES)
    quantiles = np.searchsorted(np.cumsum(counts), _SHARES) / 255.0
    near = max(3, 2 * round(0.03 * max(height, width)) + 1)
    contrast = cv2.absdiff(levels, cv2.blur(levels, (near, near), borderType=cv2.BORDER_REFLECT))
    darkest = cv2.erode(lowest, np.ones((near, near), np.uint8))
    values = (
        *quantiles,
        mean,
        math.sqrt(max(0.0, float(counts @ _SQUARES) - mean * mean)),
        float(counts[: round(255 * DARK)].sum()),
        float(counts[math.floor(255.0 * BRIGHT) + 1 :].sum()),
        np.count_nonzero(lowest >= WHITE) / levels.size,
        cv2.mean(contrast)[0] / 255.0,
        cv2.mean(darkest)[0] / 255.0,
        _separation(counts),
    )
    return Quantities(np.array(values, np.float64), chroma)


def _separation(counts: Array) -> float:
    """Otsu's measure of two classes of tones: the largest variance between them as a share of all variance, 0 to 1."""
    tones = (np.arange(len(counts)) + 0.5) / len(counts)
    weight, moment = np.cumsum(counts), np.cumsum(counts * tones)
    total = float(((tones - moment[-1]) ** 2 * counts).sum())
    inner = (weight > 1e-6) & (weight < 1.0 - 1e-6)
    if total < 1e-9 or not inner.any():
        return 0.0
    between = (moment[-1] * weight[inner] - moment[inner]) ** 2 / (weight[inner] * (1.0 - weight[inner]))
    return float(between.max() / total)


SAME = 3
"""Levels within which neighbours count as equal: a JPEG that is decoded small is rounded by as much."""


class Flatness(NamedTuple):
    """What tells drawings from photos."""

    flat: float
    """Share of pixels equal to their neighbours to the right and below, within `SAME`."""

    common: float
    """Share of pixels in the four most frequent colours of 4096."""

    colours: int
    """How many of 4096 colours have at least 1 pixel in 1000."""

    step: float
    """Levels by which three quarters of the pixels that are not flat differ from a neighbour, at least: drawings have
    edges where they are not flat, photos gradients and grain. 0 if all are flat."""

    mean: float
    """Mean of all channels, 0 to 1."""


def flatness(codes: Array) -> Flatness:
    """Measure a small copy: H×W×3 uint8, at least 2×2 pixels."""
    levels = codes.astype(np.int16)
    steps = [extremes(np.abs(step - levels[:-1, :-1]))[1] for step in (levels[1:, :-1], levels[:-1, 1:])]
    largest = np.maximum(*steps)
    changes = largest[largest > SAME]
    index = (codes.astype(np.int64) >> 4) @ np.array([256, 16, 1])
    counts = np.sort(np.bincount(index.ravel(), minlength=4096))[::-1] / index.size
    return Flatness(
        1.0 - changes.size / largest.size,
        float(counts[:4].sum()),
        int((counts >= 1e-3).sum()),
        float(np.quantile(changes, 0.25)) if changes.size else 0.0,
        float(codes.mean()) / 255.0,
    )
