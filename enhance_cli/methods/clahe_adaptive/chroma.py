"""How chroma follows luma: its constants and what is measured for it (docs/papers.md, C9). NumPy, no kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from enhance_cli.imaging import opacity
from enhance_cli.imaging.finish import luma

if TYPE_CHECKING:
    from enhance_cli.engines import Engine
    from enhance_cli.types import Array, Image

LARGEST = 3.0
"""Largest factor on chroma: a luma that is lifted more comes from levels whose colour is coarse and noisy."""

NEAR_WHITE = (204.0, 255.0)
"""New luma from which chroma grows less, and at which it does not grow."""

SKIN = 1.35
"""Largest factor on colours like skin that are not dark."""

PARTS = 64
"""Rows and columns of the means of chroma, whose growth noise has no part in."""

LEAST_NOISE, PER_NOISE = 1.5, 2.0
"""Deviation from the mean chroma, in levels, that grows half as much as the mean: the first number where luma has no
noise, and the second times the deviation of its noise more."""


def noise_of(deviations: Array) -> float:
    """What counts as noise in chroma, in levels, from the deviations of noise in luma."""
    return LEAST_NOISE + PER_NOISE * float(np.median(deviations))


def tint_of(image: Image, engine: Engine, kernels: Any) -> Array | None:
    """Means of R-Y and B-Y over equal parts of the image, in levels: PARTS×PARTS×2 float32; None for a grey image."""
    if image.chroma is not None:
        blue, red = (255.0 * engine.call(kernels.thumbnail, plane, PARTS) - 128.0 for plane in image.chroma)
        return np.stack([1.402 * red, 1.772 * blue], axis=-1).astype(np.float32)
    if image.pixels.ndim == 2:
        return None
    means: Callable[..., Any] = lambda pixels, height, _: engine.call(kernels.rgb_means, pixels, height)  # noqa: E731
    light = 255.0 * opacity.area_means(image, PARTS, PARTS, means)
    grey = luma(light)
    return np.stack([light[0] - grey, light[2] - grey], axis=-1).astype(np.float32)
