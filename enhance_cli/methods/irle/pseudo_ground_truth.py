"""The pseudo ground truth made from a dark photo itself: stage 1 learns from it, and `--stage reference` shows it.

Robust white balance, the tone curve, the local maximum as illumination smoothed along structure, a bounded gain,
less colour in the deepest shadows, and a low-pass (docs/papers.md, I2 and I8: the reference of real pairs is near
a global power curve, so illumination only modifies it). Everything is decided on a small proxy and kept as a few
numbers and one bilateral grid. NumPy and OpenCV; images are sRGB-encoded RGB in 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from enhance_cli.imaging import bilateral_grid, opacity
from enhance_cli.methods.irle import tone

Array = NDArray[Any]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)

PROXY_SIDE = 384
"""Long side of the proxy: all constants below are relative to it, so that results do not depend on resolution."""

NORM = 6.0
"""Minkowski norm of Shades of Grey: between the mean (1) and the brightest pixel (infinity)."""

LIGHTEST_CAST, HEAVIEST_CAST = 0.6, 1.7
"""Bounds of a channel's factor before luma is normalised: beyond them a channel holds too little to be restored."""

BINS, CELL = 10, 24.0
"""Tone bins of the bilateral grid, and the side of its cells in proxy pixels."""


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
    asked = (luma >= low) & (luma <= high) & (smooth.max(axis=2) < 0.98)
    if weights is not None:
        asked &= weights > 0
    seen = smooth[asked].astype(np.float64)
    shares = None if weights is None else weights[asked][:, None] / weights[asked].mean(dtype=np.float64)
    if seen.shape[0] < 16 or seen.max() < 2.0 / 255.0:
        return Cast((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), False)
    powers, known = (seen**NORM, seen) if shares is None else (seen**NORM * shares, seen * shares)
    light = np.maximum(powers.mean(axis=0) ** (1.0 / NORM), 1e-4)
    tint = light / np.exp(np.log(light).mean())
    factors = np.clip(1.0 / tint, LIGHTEST_CAST, HEAVIEST_CAST)
    mean = known.mean(axis=0)
    factors *= float(mean @ LUMA) / max(float((mean * factors) @ LUMA), 1e-6)
    beyond = bool(np.any((1.0 / tint < LIGHTEST_CAST) | (1.0 / tint > HEAVIEST_CAST)))
    return Cast(_three(factors), _three(tint), beyond)


def illumination(proxy: Array) -> Array:
    """The local maximum of the channels, smoothed along the image's own structure: h×w in 0.001..1 (I2, 2).

    Args:
        proxy: h×w×3 in 0..1, white-balanced.
    """
    scale = max(proxy.shape[:2]) / 600.0
    guide = cv2.GaussianBlur(np.asarray(proxy, np.float32), (0, 0), max(0.5, 1.5 * scale)).max(axis=2)
    side = max(3, round(21 * scale) | 1)
    brightest = cv2.dilate(guide, np.ones((side, side), np.uint8))
    radius = max(2, round(60 * scale))
    smooth = guided_filter(guide, brightest, radius, 1e-2 * float(guide.var()) + 1e-8)
    return np.clip(smooth, 1e-3, 1.0)


def guided_filter(guide: Array, values: Array, radius: int, epsilon: float) -> Array:
    """He et al., "Guided image filtering", 2010, eq. 5, 6 and 8: the local linear function of the guide.

    Args:
        guide: h×w.
        values: h×w, what is to be smoothed.
        radius: of the box windows, in pixels.
        epsilon: regularisation: variances of the guide far below it are smoothed over.
    """

    def mean(plane: Array) -> Array:
        side = 2 * radius + 1
        return np.asarray(cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT))

    about_guide, about_values = mean(guide), mean(values)
    slope = (mean(guide * values) - about_guide * about_values) / (mean(guide * guide) - about_guide**2 + epsilon)
    return mean(slope) * guide + mean(about_values - slope * about_guide)


def local_bend(proxy: Array, curve: tone.ToneCurve) -> Array:
    """Log of the curve's gain at a pixel's illumination over its gain at the pixel: h×w, at most 0.

    Applied fully, it turns the curve into a Retinex quotient by a power of the illumination, which keeps local contrast
    and loses brightness; a share of it is a compromise.
    """
    light = cv2.GaussianBlur(np.asarray(proxy, np.float32), (0, 0), 1.0) @ LUMA
    around = illumination(proxy)
    return np.asarray(np.minimum(curve.log_gain(around) - curve.log_gain(light), 0.0), np.float32)


def grid_of(guide: Array, values: Array) -> Array:
    """A field over the proxy as a bilateral grid, to be sliced by full-resolution luma: (rows+1)×(columns+1)×(bins+1).

    Args:
        guide: h×w, see `guide_of`.
        values: h×w.
    """
    rows, columns = bilateral_grid.cells(guide.shape[0], guide.shape[1], CELL)
    grid: Array = bilateral_grid.fit(guide, values[..., None], rows, columns, BINS)[..., 0]
    return grid


def slice_of(grid: Array, guide: Array) -> Array:
    """The grid's field over an image of any size: float32 h×w."""
    field: Array = bilateral_grid.slice_grid(grid[..., None], guide)[..., 0]
    return field


def guide_of(picture: Array) -> Array:
    """The guide of the grid: the square root of luma, as most tones of a dark image are low."""
    return np.asarray(np.sqrt(np.maximum(np.asarray(picture, np.float32) @ LUMA, 0.0)), np.float32)


def desaturated_shadows(picture: Array, log_gain: Array, amount: float = 0.6) -> Array:
    """Less colour where the gain is highest: the colour there is mostly the sensor's own tint (I2, 4).

    It begins at a gain of 3.3 and is complete at 30. Beginning at 9 was tried: 3.3 is better by 0.2 dB of matched PSNR
    on 30 pairs of the training photos.

    Args:
        picture: h×w×3.
        log_gain: h×w, ln of the gain.
        amount: the largest share of colour taken away.
    """
    grey = (picture @ LUMA)[..., None]
    saturation = 1.0 - np.float32(amount) * np.clip((log_gain - 1.2) / 2.2, 0.0, 1.0)[..., None]
    return np.asarray(grey + saturation * (picture - grey), np.float32)


def low_passed(picture: Array) -> Array:
    """Low-pass that keeps a reference's light and colours but not its noise: a Gaussian of 5 pixels at 600 (I2, 5)."""
    sigma = max(0.8, 5.0 * max(picture.shape[:2]) / 600.0)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)


def reference(
    proxy: Array, curve: tone.ToneCurve, balance: tuple[float, float, float], bend: float, smooth: bool = True
) -> Array:
    """The pseudo ground truth of a small image: h×w×3 in 0..1.

    Args:
        proxy: h×w×3 in 0..1.
        curve: the tone curve of the white-balanced image.
        balance: factors of R, G and B.
        bend: share of `local_bend`, 0..1.
        smooth: whether it is low-passed, as the losses see it.
    """
    light = np.clip(np.asarray(proxy, np.float32) * np.asarray(balance, np.float32), 0.0, 1.0)
    gain = curve.log_gain(cv2.GaussianBlur(light @ LUMA, (0, 0), 1.0))
    bright = curve.picture(light)
    if bend:
        log_bend = np.float32(bend) * local_bend(light, curve)
        bright, gain = bright * np.exp(log_bend)[..., None], gain + log_bend
    bright = np.clip(desaturated_shadows(bright, gain), 0.0, 1.0)
    return low_passed(bright) if smooth else bright


def _three(values: Array) -> tuple[float, float, float]:
    red, green, blue = map(float, values)
    return red, green, blue
