"""What is empty in a night scene stays dark: its shift is bounded, by place and tone (`imaging.night`)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from enhance_cli.exposure.features import luma_of
from enhance_cli.exposure.predictor import reduced
from enhance_cli.imaging import bilateral_grid, night
from enhance_cli.imaging.finish import smoothstep
from enhance_cli.methods.clode.curve import guide

if TYPE_CHECKING:
    from enhance_cli.types import Array

LARGEST = math.log(1.3)
"""Largest shift of what is empty: near black, the curve's slope is its exponential, by which noise grows."""

SIDE = 64
"""Rows and columns of the copy in which empty places are looked for."""


def empty_places(light: Array, weights: Array | None, pixels: Array, scene: float) -> Array | None:
    """How empty every pixel of a proxy is: h×w in 0..1; None if it shows no night scene.

    Args:
        light: 3×h×w in 0..1.
        weights: opacity h×w; None if all pixels count alike.
        pixels: the photo, H×W×3 or H×W, uint8 or uint16.
        scene: how certainly something in it is lit, `Trajectory.scene`.
    """
    height, width = light.shape[1:]
    rows, columns = min(SIDE, height), min(SIDE, width)
    small = None if weights is None else reduced(weights[None], rows, columns)[0]
    found = night.empty(reduced(light, rows, columns), small, pixels, scene)
    if found is None:
        return None
    places = found[np.ix_(np.arange(height) * rows // height, np.arange(width) * columns // width)]
    return np.asarray(places * (1.0 - smoothstep(luma_of(light), *night.DARK)), np.float32)


def bounded(shift: Array, empty: Array) -> Array:
    """A shift that is at most `LARGEST` where pixels are empty, as far as they are.

    Args:
        shift: of any shape.
        empty: 0..1, of that shape or one that is broadcast to it.
    """
    return (shift + empty * (np.minimum(shift, LARGEST) - shift)).astype(np.float32)  # type: ignore[no-any-return]


def bounded_grid(grid: Array, light: Array, empty: Array, spread: float) -> Array:
    """The same for a grid that was fitted to a bounded shift: at tones that noise reaches, it is bounded too.

    Args:
        grid: rows×columns×bins×3, shifts over position and `curve.guide`.
        light: 3×h×w in 0..1, the proxy.
        empty: h×w in 0..1, of the proxy.
        spread: how far noise reaches above the tone of what is empty, from `night.spread`.
    """
    rows, columns, bins, _ = grid.shape
    share = bilateral_grid.fit(guide(light), empty[..., None], rows - 1, columns - 1, bins - 1)[..., 0].clip(0.0, 1.0)
    return bounded(grid, night.reaching(share, spread * (bins - 1))[..., None])
