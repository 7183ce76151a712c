"""Synthetic images of two flat tones: what an enhancer does around an edge shows here as a halo.

Batches hold some of them because photos alone teach an enhancer to even out neighbourhoods; their losses ask that
flat stays flat on either side. benchmarks/lib/two_tone.py draws the nine test images.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]
Range = tuple[float, float]


def two_tones(
    random: np.random.Generator, side: int, dark: Range = (0.01, 0.35), step: Range = (0.2, 0.6)
) -> tuple[Picture, Picture]:
    """A grey image of a dark and a brighter tone, cut at any angle or by a disc or a pole.

    Args:
        random: drawn from the same number of times whatever comes out.
        side: height and width in pixels.
        dark: least and largest dark tone, 0..1.
        step: least and largest difference of the bright tone from the dark one.

    Returns:
        The image, side×side×3, and where the brighter tone is, side×side of 0 and 1; float32.
    """
    y, x = np.mgrid[:side, :side].astype(np.float32) / np.float32(side)
    angle, place, size = random.uniform(0.0, 2.0 * math.pi), random.uniform(-0.3, 0.3), random.uniform(0.03, 0.35)
    across = (x - 0.5) * math.cos(angle) + (y - 0.5) * math.sin(angle)
    match int(random.integers(3)):
        case 0:
            bright = across > place
        case 1:
            bright = np.hypot(x - 0.5 - place, y - 0.5) < size
        case _:
            bright = np.abs(across - place) > 0.3 * size
    if not bright.any() or bright.all():
        bright = x > 0.5
    low = float(random.uniform(*dark))
    tones = np.where(bright, low + float(random.uniform(*step)), low).astype(np.float32)
    return np.repeat(tones[..., None], 3, axis=2), bright.astype(np.float32)
