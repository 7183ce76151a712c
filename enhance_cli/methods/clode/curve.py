"""The tone curve given by a logit shift, on NumPy arrays of light in 0..1: the reference for the kernels.

CLODE's equation dI/dt = a I (1 - I) says d logit(I) / dt = a: whatever the network does, its solution is
I' = sigmoid(logit(I) + S) with S the integral of a. So a solve is fully described by S; black and white stay, the
result is always in 0..1, and two pixels with the same S keep their order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhance_cli.exposure.features import luma_of
from enhance_cli.imaging.finish import LEAST, skin_likeness

Array = NDArray[Any]

RATIO_SHARE = {"channel": 0.0, "blend": 0.4, "ratio": 1.0}
"""The share of the common ratio for each `--colour`."""

STEEPNESS = 1.0 / 0.15
"""`blend` applies its full share where the largest channel is 0.15 or more, and less in deep shadows, where a ratio
would keep colour noise."""


SKIN = (0.04, 0.16)
"""Luma of the photo between which colours like skin's begin to keep their hue: darker ones are noisy."""

SKIN_CHROMA, SKIN_SATURATION = 1.25, 0.7
"""The most by which chroma of colours like skin's may grow, unless their saturation stays below this
share of the photo's."""


def guide(light: Array) -> Array:
    """The guide of the bilateral grid: the square root of luma, so that shadows get as many bins as highlights."""
    tone: Array = np.sqrt(np.maximum(luma_of(light), 0.0))
    return tone


def shifted(light: Array, shift: Array) -> Array:
    """sigmoid(logit(I) + S) in closed form, exact at 0 and 1: I e^S / (1 - I + I e^S)."""
    gain = np.exp(shift)
    bright = light * gain
    curved: Array = bright / (1.0 - light + bright)
    return curved


def coloured(light: Array, shift: Array, share: float) -> Array:
    """The curve in each channel, mixed with one ratio for all three.

    Applied per channel, the curve raises small values more than large ones, which shifts hues and desaturates. As a
    common ratio, taken at the largest channel, it keeps hue and saturation and clips nothing.

    Args:
        light: 3×h×w in 0..1.
        shift: 3×h×w.
        share: of the ratio: 0 is the curve per channel, 1 the ratio alone; in between, less in deep shadows.
    """
    channels = shifted(light, shift)
    if share == 0.0:
        return channels
    peak = light.max(axis=0)
    gain = np.exp(shift.mean(axis=0))
    ratio = gain / (1.0 - peak + peak * gain)
    part = np.float32(share) * (np.minimum(peak * np.float32(STEEPNESS), 1.0) if share < 1.0 else 1.0)
    mixed: Array = channels + part * (light * ratio - channels)
    return mixed if share == 1.0 else with_skin(mixed, light)


def with_skin(result: Array, light: Array) -> Array:
    """Give colours like skin's their hue back, in the result's luma Y.

    With the photo's light x and its luma X, the result y becomes Y + k (x - X), where k is its own chroma along the hue
    of x: (y - Y)·(x - X) / |x - X|², bounded by `SKIN_CHROMA`, by `SKIN_SATURATION` Y / X if that is more, and by
    the range 0..1. How much of it, says `finish.skin_likeness` of x.

    Args:
        result: 3×h×w in 0..1.
        light: 3×h×w in 0..1, the photo.
    """
    before, after = luma_of(light), luma_of(result)
    hue = light - before
    chroma = ((result - after) * hue).sum(axis=0) / np.maximum(np.square(hue).sum(axis=0), LEAST * LEAST)
    most = np.maximum(SKIN_CHROMA, SKIN_SATURATION * after / np.maximum(before, LEAST))
    most = np.minimum(most, np.maximum(1.0 - after, 0.0) / np.maximum(hue.max(axis=0), LEAST))
    most = np.minimum(most, after / np.maximum(-hue.min(axis=0), LEAST))
    chroma = np.minimum(np.maximum(chroma, 0.0), most)
    share = skin_likeness(light) * np.clip((before - SKIN[0]) / (SKIN[1] - SKIN[0]), 0.0, 1.0)
    kept: Array = result + share * (after + chroma * hue - result)
    return kept.astype(result.dtype)
