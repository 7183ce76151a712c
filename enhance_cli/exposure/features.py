"""What the predictor sees of a photo: statistics of its tones and colours, and where they are.

Much of it is divided by the photo's bright tones, so that it says what is in the photo whatever its exposure is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SIDE = 64
"""Rows and columns of the copy; a photo is squeezed to a square, which keeps the shares of all tones."""

QUANTILES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)

FIGURES = 4
"""How many figures are predicted: those of `figures`."""

RANGE = 4.0
"""Statistics are clipped at this many standard deviations of the training photos."""

DOUBT = (-5.0, 0.0)
"""Bounds of the natural logarithm of an expected error."""

_BRIGHT = QUANTILES.index(0.95)
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_LEAST = np.float32(0.02)


def falling(value: float, low: float, high: float) -> float:
    """1 up to `low`, 0 from `high` on."""
    return min(max((high - value) / (high - low), 0.0), 1.0)


def luma_of(light: Array) -> Array:
    """BT.601 luma, h×w, of light 3×h×w."""
    plane: Array = np.tensordot(_LUMA, light, axes=(0, 0))
    return plane


def chroma_of(light: Array, luma: Array) -> Array:
    """The length of BT.601 chroma, h×w."""
    length: Array = np.hypot(np.float32(0.564) * (light[2] - luma), np.float32(0.713) * (light[0] - luma))
    return length


def figures(light: Array) -> Array:
    """Mean luma, its 2nd percentile and standard deviation, and mean chroma of light 3×h×w: what is predicted."""
    luma = luma_of(light)
    place = int(0.02 * (luma.size - 1))
    black = np.partition(luma.ravel(), place)[place]
    return np.array([luma.mean(), black, luma.std(), chroma_of(light, luma).mean()], np.float32)


def statistics(light: Array) -> Array:
    """About sixty numbers, float32, for light 3×64×64 in 0..1, encoded as in sRGB."""
    luma = luma_of(light)
    ordered = np.sort(luma.ravel())
    quantiles = ordered[[round(share * (ordered.size - 1)) for share in QUANTILES]]
    bright, mean = max(quantiles[_BRIGHT], _LEAST), luma.mean()
    means, deviations = light.mean(axis=(1, 2)), light.std(axis=(1, 2))
    chroma = chroma_of(light, luma).mean()
    detail = np.abs(np.diff(luma, axis=0)).mean() + np.abs(np.diff(luma, axis=1)).mean()
    parts = luma.reshape(4, SIDE // 4, 4, SIDE // 4).mean(axis=(1, 3))
    centre = parts[1:3, 1:3].mean() - mean
    level = mean + _LEAST
    numbers = (
        0.5 * np.log(level),
        luma.std(),
        np.log(luma.std() / level + 0.05),
        chroma,
        chroma / level,
        detail / level,
        (light.min(axis=0) > 0.97).mean(),
        (light.max(axis=0) > 0.97).mean(),
        (luma < 0.03).mean(),
        centre,
        centre / level,
    )
    return np.concatenate(
        [
            np.sqrt(quantiles),
            np.minimum(quantiles[1:12:2] / bright, 1.5),
            means,
            deviations,
            np.array(numbers, np.float32),
            2.0 * (means / level - 1.0),
            np.sqrt(parts.ravel() / bright),
        ]
    ).astype(np.float32)
