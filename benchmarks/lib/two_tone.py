"""The two-tone test: images of two flat tones, and how flat an enhancer leaves them.

A method that equalises the neighbourhood of a pixel rather than its tone draws halos along strong edges. On an
image of two flat tones nothing else can happen to the tones, so the halo is all there is to measure.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from enhance_cli.quality.pictures import Picture, luma

TONES = ((0.08, 0.6), (0.02, 0.3), (0.3, 0.9))
"""Dark and bright tone of each pair, as sRGB-encoded grey in 0..1."""

MARGIN = 6.0
"""Pixels nearer to the edge than this are not judged: codecs and denoisers may soften an edge."""


class TwoTone(NamedTuple):
    """One test image."""

    name: str
    """Shape and tones, such as `circle 0.08|0.60`."""

    pixels: NDArray[np.uint8]
    """H×W×3 grey RGB."""


def two_tone_pictures(height: int = 256, width: int = 384) -> list[TwoTone]:
    """Nine images: dark and bright halves, a bright disc in the dark, a thin dark pole before a bright sky."""
    y, x = np.mgrid[:height, :width]
    shapes = {
        "halves": x >= width // 2,
        "circle": np.hypot(y - height / 2, x - width / 2) < 0.27 * height,
        "pole": np.abs(x - 0.6 * width) > max(3.0, width / 64),
    }
    return [
        TwoTone(f"{name} {dark:.2f}|{bright:.2f}", painted(bright_part, dark, bright))
        for name, bright_part in shapes.items()
        for dark, bright in TONES
    ]


def two_tone_flatness(before: Picture, after: Picture) -> float:
    """The unevenness of the worse tone of an enhanced two-tone image, as a share of the output's step.

    Per tone: the range from the 1st to the 99th percentile of the output's luma, smoothed by a Gaussian of
    1.5 pixels, over the pixels more than `MARGIN` from the edge; divided by the difference of the two tones'
    medians. A tone too thin to have such pixels (the pole) is not judged, the other one is.

    0 is for perfectly flat tones, `math.inf` for an output without a step.

    Raises:
        ValueError: `before` has not exactly two tones, or the sizes differ.
    """
    tones, output = luma(before), luma(after)
    if tones.shape != output.shape:
        raise ValueError(f"the pictures differ in size: {tones.shape} and {output.shape} (height, width)")
    low, high = float(tones.min()), float(tones.max())
    bright_part = tones > 0.5 * (low + high)
    if high == low or not np.allclose(tones, np.where(bright_part, high, low), rtol=0, atol=1e-6):
        raise ValueError("the picture before has not exactly two tones")
    smooth = cv2.GaussianBlur(output, (0, 0), 1.5)
    parts = (bright_part, ~bright_part)
    step = abs(float(np.median(output[parts[0]])) - float(np.median(output[parts[1]])))
    if step == 0.0:
        return math.inf
    ranges = []
    for part in parts:
        depth = cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        inside = smooth[depth > MARGIN]
        if inside.size:
            ranges.append(float(np.ptp(np.percentile(inside, (1, 99)))))
    return max(ranges) / step


def painted(bright_part: NDArray[np.bool_], dark: float, bright: float) -> NDArray[np.uint8]:
    levels = np.array([round(dark * 255), round(bright * 255)], np.uint8)
    return np.repeat(levels[bright_part.astype(np.intp)][:, :, None], 3, axis=2)
