"""The curve that a logit shift is, on numpy arrays of light in 0..1: the reference of the kernels.

CLODE's equation dI/dt = a I (1 - I) says d logit(I) / dt = a: whatever the network does, its solution is
I' = sigmoid(logit(I) + S) with S the integral of a. So S is all that has to be known of a solve, black and white
stay, and no S can leave 0..1 or turn the order of two pixels that share it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)
"""BT.601 luma."""

RATIO_SHARE = {"channel": 0.0, "blend": 0.4, "ratio": 1.0}
"""How much of the common ratio each `--colour` takes."""

STEEPNESS = 1.0 / 0.15
"""A blend takes its whole share from this peak on, and less in deep shadow: a ratio would keep its colour noise."""


def luma(light: Array) -> Array:
    """Luma of light whose channels come first: h×w of 3×h×w."""
    plane: Array = np.tensordot(WEIGHTS, light, axes=(0, 0))
    return plane


def guide(light: Array) -> Array:
    """What the bilateral grid calls tone: the root of luma, so that shadows get as many bins as lights."""
    tone: Array = np.sqrt(np.maximum(luma(light), 0.0))
    return tone


def shifted(light: Array, shift: Array) -> Array:
    """sigmoid(logit(I) + S) in closed form, exact at 0 and 1: I e^S / (1 - I + I e^S)."""
    gain = np.exp(shift)
    bright = light * gain
    curved: Array = bright / (1.0 - light + bright)
    return curved


def coloured(light: Array, shift: Array, share: float) -> Array:
    """The curve in each channel, mixed with one ratio for all three.

    In each channel the curve lifts small values more than large ones, which turns hues and pales colours. As a
    ratio, taken where the largest channel is, it keeps hue and saturation and clips nothing.

    Args:
        light: 3×h×w in 0..1.
        shift: 3×h×w.
        share: of the ratio: 0 channels alone, 1 the ratio alone; between, the share of what is no deep shadow.
    """
    channels = shifted(light, shift)
    if share == 0.0:
        return channels
    peak = light.max(axis=0)
    gain = np.exp(shift.mean(axis=0))
    ratio = gain / (1.0 - peak + peak * gain)
    part = np.float32(share) * (np.minimum(peak * np.float32(STEEPNESS), 1.0) if share < 1.0 else 1.0)
    mixed: Array = channels + part * (light * ratio - channels)
    return mixed
