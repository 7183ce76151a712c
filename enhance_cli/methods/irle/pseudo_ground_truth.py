"""The pseudo ground truth made from a dark photo itself, which `--stage reference` shows.

Robust white balance, the tone curve, colour that follows its gain, and a low-pass (docs/papers.md, I2 and I8: the
reference of real pairs is near a global power curve). Everything is decided on a small proxy and kept as a few numbers.
NumPy and OpenCV; images are sRGB-encoded RGB in 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from enhance_cli.imaging import opacity
from enhance_cli.imaging.area import extremes

Array = NDArray[Any]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)

PROXY_SIDE = 384
"""Long side of the proxy: all constants below are relative to it, so that results do not depend on resolution."""

NORM = 6.0
"""Minkowski norm of Shades of Grey: between the mean (1) and the brightest pixel (infinity)."""

LIGHTEST_CAST, HEAVIEST_CAST = 0.6, 1.7
"""Bounds of a channel's factor before luma is normalised: beyond them a channel holds too little to be restored."""


@dataclass(frozen=True, slots=True)
class Cast:
    """The colour cast of an image, and the factors that correct it."""

    balance: tuple[float, float, float]
    """Factors of R, G and B that neutralise the light, within bounds and at constant luma."""

    tint: tuple[float, float, float]
    """The estimated light: 1 is neutral, above 1 the channel is too strong; not bounded."""

    beyond: bool
    """Whether the bounds limit the factors, so that the cast is corrected only in part."""


def balanced_with(cast: Cast, strength: float) -> tuple[float, float, float]:
    """A share of the white balance, 0..1, as factors; a geometric share, so that shares add up."""
    red, green, blue = (factor**strength for factor in cast.balance)
    return red, green, blue


def robust_white_balance(proxy: Array, weights: Array | None = None) -> Cast:
    """Shades of Grey over pixels that are neither black, noise nor lamps (docs/papers.md, I2, 1).

    It uses the blurred proxy's pixels between the 5th and the 95th percentile of luma that are not near white; the norm
    of each channel over them is its light. An image without such pixels has no cast.

    Args:
        proxy: h×w×3 in 0..1.
        weights: h×w opacity; None where all pixels count alike.
    """
    smooth = cv2.GaussianBlur(np.asarray(proxy, np.float32), (0, 0), max(1.0, 3.0 * max(proxy.shape[:2]) / 600.0))
    luma = smooth @ LUMA
    low, high = opacity.quantiles(luma, (0.05, 0.95), weights)
    asked = (luma >= low) & (luma <= high) & (extremes(smooth)[1] < 0.98)
    if weights is not None:
        asked &= weights > 0
    seen = smooth[asked].astype(np.float64)
    if seen.shape[0] < 16 or seen.max() < 2.0 / 255.0:
        return Cast((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), False)
    shares = None if weights is None else weights[asked][:, None] / weights[asked].mean(dtype=np.float64)
    powers, known = (seen**NORM, seen) if shares is None else (seen**NORM * shares, seen * shares)
    light = np.maximum(powers.mean(axis=0) ** (1.0 / NORM), 1e-4)
    tint = light / np.exp(np.log(light).mean())
    factors = np.clip(1.0 / tint, LIGHTEST_CAST, HEAVIEST_CAST)
    mean = known.mean(axis=0)
    factors *= float(mean @ LUMA) / max(float((mean * factors) @ LUMA), 1e-6)
    beyond = bool(np.any((1.0 / tint < LIGHTEST_CAST) | (1.0 / tint > HEAVIEST_CAST)))
    return Cast(_three(factors), _three(tint), beyond)


RICHER = (0.5, 1.9, 0.25)
"""Colour that the curve takes away: ln of the gain at which most of it is given back, and from which none is, and the
largest share. A power brings the largest and the smallest channel nearer to each other."""

PALER = (1.9, 2.2, 0.7)
"""Colour that is noise: ln of the gain at which it begins to be reduced, the range over which the reduction increases,
and its largest share."""


SKIN_FOLLOWS = 1.0
"""The share of a gain of luma that chroma of colours like skin's may follow (`imaging.finish.bounded_skin`). `RICHER`
and `PALER` bound it already, and 0.8, as in other methods, takes colour from wood and walls of photos that are dim."""


def coloured(picture: Array, log_gain: Array, chroma: float = 1.0) -> Array:
    """Colour that follows the gain as far as its noise allows, as factors of the channels' distances from luma.

    The factor rises from 1 where nothing is brightened to 1.25 at a gain of 1.6, is 1 again at 6.7, and falls to 0.3 at
    60, where colour is mostly the sensor's own tint (docs/papers.md, I2, 4). It ends where a channel would
    leave 0..1, so that hues stay.

    Args:
        picture: h×w×3 in 0..1.
        log_gain: h×w, ln of the gain.
        chroma: a further factor, for the whole photo; it too comes with the gain.
    """
    top, end, more = RICHER
    start, way, less = PALER
    factor = 1.0 + more * np.minimum(log_gain / top, (end - log_gain) / (end - top)).clip(0.0, 1.0)
    factor = factor - less * ((log_gain - start) / way).clip(0.0, 1.0)
    factor = factor * (1.0 + (chroma - 1.0) * (log_gain / top).clip(0.0, 1.0))
    grey = picture @ LUMA
    least, most = extremes(picture)
    inside = np.minimum((1.0 - grey) / np.maximum(most - grey, 1e-4), grey / np.maximum(grey - least, 1e-4))
    factor = np.minimum(factor, np.maximum(inside, 1.0))[..., None]
    return np.asarray(grey[..., None] + factor * (picture - grey[..., None]), np.float32)


def low_passed(picture: Array) -> Array:
    """Low-pass that keeps a reference's light and colours but not its noise: a Gaussian of 5 pixels at 600 (I2, 5)."""
    sigma = max(0.8, 5.0 * max(picture.shape[:2]) / 600.0)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)


def _three(values: Array) -> tuple[float, float, float]:
    red, green, blue = map(float, values)
    return red, green, blue
