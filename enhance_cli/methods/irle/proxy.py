"""The downscaled copy of an image on which brightness is decided, and the gain of a curve over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from enhance_cli.exposure.features import chroma_of, luma_of
from enhance_cli.imaging import opacity
from enhance_cli.methods.irle.pseudo_ground_truth import LUMA, PROXY_SIDE

if TYPE_CHECKING:
    from enhance_cli.methods.irle.tone import ToneCurve
    from enhance_cli.types import Array


def proxy_of(pixels: Array, weights: Array | None) -> tuple[Array, Array | None]:
    """Area means as light, float32 h×w×3, long side at most `PROXY_SIDE`; and of the weights, if given."""
    height, width = pixels.shape[:2]
    scale = min(1.0, PROXY_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if weights is not None:
        shares = opacity.plane_means(weights, *size[::-1])
        return np.ascontiguousarray(opacity.weighted_means(pixels, weights, *size[::-1]).transpose(1, 2, 0)), shares
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) / np.float32(np.iinfo(pixels.dtype).max), None


def gain_of(light: Array, curve: ToneCurve) -> Array:
    """Log of the curve's gain over a proxy's light h×w×3: float32 h×w."""
    smooth = cv2.GaussianBlur(light @ LUMA, (0, 0), 1.0)
    return np.zeros_like(smooth) if curve.is_identity else curve.log_gain(smooth)


BALANCED, FROM, FULL = 0.5, 0.7, 1.6
"""The largest share of the white balance, and the median of the gain's logarithm between which it comes to be applied.

In a photo that is nearly bright enough a cast is mostly what the scene looked like; in a dark one mostly the sensor."""


def balance_share(curve: ToneCurve, proxy: Array, shares: Array | None) -> float:
    """The share of the white balance that a photo is given by default, 0..`BALANCED`.

    Args:
        curve: of the photo as it is.
        proxy: its light h×w×3.
        shares: opacity h×w, if not all pixels count alike.
    """
    if curve.is_identity:
        return 0.0
    median = opacity.quantiles(gain_of(proxy, curve), (0.5,), shares)[0]
    return BALANCED * float(np.clip((median - FROM) / (FULL - FROM), 0.0, 1.0))


def mean(picture: Array, shares: Array | None) -> float:
    """Mean of all samples of an image h×w×3, weighted by opacity h×w if given."""
    return opacity.mean(picture, None if shares is None else np.repeat(shares[..., None], 3, axis=2))


def chroma_mean(picture: Array, shares: Array | None) -> float:
    """Mean chroma of an image h×w×3 in 0..1, as `exposure.Wanted` has it, weighted by opacity h×w if given."""
    light = picture.transpose(2, 0, 1)
    return opacity.mean(chroma_of(light, luma_of(light)), shares)
