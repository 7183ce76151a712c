"""Simulates backlight: darkens one part of a photo, along the edges of its objects.

Training simulates backlit photos with it, and so does the backlit test of the benchmarks.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from enhance_cli.quality.pictures import luma

Codes = NDArray[np.uint8]
Shade = NDArray[np.float32]

GAMMA = 2.2
"""Between sRGB-encoded and linear light, as a plain power: the simulators of training use the same."""


def light_behind(photograph: Codes, rough: Shade) -> float:
    """Levels by which the lit part must be brighter than the part to be shaded."""
    grey = luma(photograph)
    return float(grey[rough < 0.5].mean() - grey[rough >= 0.5].mean())


def shade_along(photograph: Codes, rough: Shade, steps: int = 4) -> Shade:
    """A rough shade aligned with the edges of the photo, as light ends at the outlines of objects.

    A guided filter (He, Sun, Tang, 2013) of the rough shade, guided by the photo's luma, over a tenth of the shorter
    side, and then made steeper, so that little is left half in the shade.

    Args:
        photograph: H×W×3 RGB.
        rough: H×W in 0..1.
        steps: how steep.

    Returns:
        H×W float32 in 0..1.
    """
    guide = (luma(photograph) / 255.0).astype(np.float32)
    side = 2 * max(2, min(guide.shape) // 20) + 1

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.blur(values, (side, side)), np.float32)

    of_guide, of_rough = mean(guide), mean(rough)
    slope = (mean(guide * rough) - of_guide * of_rough) / (mean(guide * guide) - of_guide**2 + np.float32(1e-3))
    followed = mean(slope) * guide + mean(of_rough - slope * of_guide)
    return np.asarray(np.clip(0.5 + steps * (followed - 0.5), 0.0, 1.0), np.float32)


def shaded(picture: NDArray[np.float32], shade: Shade, stops: float) -> NDArray[np.float32]:
    """Darken H×W×3 in 0..1, in linear light, by `stops` times the shade."""
    gain = np.exp2(np.float32(-stops) * shade)[..., None]
    return np.asarray(picture * gain ** np.float32(1.0 / GAMMA), np.float32)
