"""Simulated faults of exposure and sensor: degraded versions of good photos.

Every function takes an image in 0..1 (float32, sRGB-encoded; H×W luma or H×W×3 RGB) and an explicit
`numpy.random.Generator`, and returns the degraded image, quantised to 8 bit as a camera file would be
(uint8). Which images are degraded, and how often, is a method's recipe. No files and no torch here.

Parameters are those of docs/papers.md, S1 and S2.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]
Codes = NDArray[np.uint8]
Field = NDArray[np.float32] | np.float32
Degradation = Callable[[Picture, np.random.Generator], Codes]

DISPLAY_GAMMA = 2.2
"""Between sRGB-encoded and linear light, as a plain power (docs/papers.md, S1)."""


def generator(seed: int, *index: int) -> np.random.Generator:
    """The random numbers of one draw: a function of the seed and the draw's index alone.

    So draw 1,000 is the same whether or not the 999 before it were made, which makes training resumable and
    validation pairs fixed.
    """
    return np.random.Generator(np.random.PCG64([seed, *index]))


def smooth_field(
    random: np.random.Generator, height: int, width: int, low: float, high: float, knots: int = 3
) -> Picture:
    """A H×W field between uniform draws in `low`..`high` at knots×knots points, bicubic; may overshoot a little."""
    values = random.uniform(low, high, (knots, knots)).astype(np.float32)
    return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def compress_shift(picture: Picture, random: np.random.Generator) -> Codes:
    """Histogram compression and intensity shift `a x + b`, nothing clipped: the degradation of IA-CLAHE.

    a ~ U(0.25, 1) (1 with probability 0.1: the network must know when to stop), b ~ U(0, 1 - a); in half of the draws
    a and b are smooth fields, without which limits would not need to vary over the image; in three of ten there is
    noise of 0 to 3 grey levels, so that flat noisy tiles occur.
    """
    height, width = picture.shape[:2]
    local, noisy, unchanged = random.random(3)
    gain: Field
    share: Field
    if unchanged < 0.1:
        gain, share = np.float32(1.0), np.float32(0.0)
    elif local < 0.5:
        gain = smooth_field(random, height, width, 0.25, 1.0).clip(0.2, 1.0)
        share = smooth_field(random, height, width, 0.0, 1.0).clip(0.0, 1.0)
    else:
        gain, share = np.float32(random.uniform(0.25, 1.0)), np.float32(random.uniform(0.0, 1.0))
    degraded = picture * _like(gain, picture) + _like((1.0 - gain) * share, picture)
    if noisy < 0.3:
        degraded = degraded + random.normal(0.0, random.uniform(0.0, 3.0) / 255.0, picture.shape)
    return _quantised(degraded)


def tone_curve(picture: Picture, random: np.random.Generator) -> Codes:
    """A wrong exposure as a display curve: stops of -3 to +1.5 in linear light with clipping, or a gamma of 1.5 to 3.

    A third of the draws are gammas (shadows crushed, as in a backlit subject), the others exposures; a quarter of
    all carry noise of 0 to 3 grey levels.
    """
    kind, noisy = random.random(2)
    if kind < 1 / 3:
        degraded = picture ** np.float32(random.uniform(1.5, 3.0))
    else:
        gain = 2.0 ** random.uniform(-3.0, 1.5)
        degraded = _display(_linear(picture) * np.float32(gain))
    if noisy < 0.25:
        degraded = degraded + random.normal(0.0, random.uniform(0.0, 3.0) / 255.0, picture.shape)
    return _quantised(degraded)


def lowlight(picture: Picture, random: np.random.Generator) -> Codes:
    """A dark frame with sensor noise: 1.5 to 5 stops under, or 0.5 to 2.5 with probability one half.

    In linear light: exposure, in half of the draws an uneven illumination, white-balance cast (RGB only), shot
    and read noise; then encoding, in half of the draws a 3×3 box that correlates the noise as demosaicing does,
    and in half a JPEG of quality 60 to 98.
    """
    height, width = picture.shape[:2]
    stops = random.uniform(1.5, 5.0) if random.random() < 0.5 else random.uniform(0.5, 2.5)
    light = _linear(picture) * np.float32(2.0**-stops)
    if random.random() < 0.5:
        rough = random.normal(0.0, 0.5, (height, width)).astype(np.float32)
        smooth = cv2.GaussianBlur(rough, (0, 0), max(width / 4, 1.0), borderType=cv2.BORDER_REFLECT)
        # The blur reduces the deviation; 0.5 is the value wanted after it.
        field = np.asarray(smooth * (0.5 / max(float(smooth.std()), 1e-6)), np.float32)
        light = light * _like(np.exp(field), picture)
    if picture.ndim == 3:
        light = light * np.exp(random.normal(0.0, 0.08, 3)).astype(np.float32)
    shot, read = 10.0 ** random.uniform(-3.6, -2.2), 10.0 ** random.uniform(-3.2, -2.2)
    noise = random.normal(0.0, 1.0, picture.shape).astype(np.float32)
    noise = noise * np.sqrt(np.maximum(light, 0.0) * np.float32(shot) + np.float32(read**2))
    if random.random() < 0.5:
        noise = cv2.blur(noise, (3, 3))
    codes = _quantised(_display(light + noise))
    return _jpeg(codes, int(random.integers(60, 99))) if random.random() < 0.5 else codes


def overexpose(picture: Picture, random: np.random.Generator) -> Codes:
    """A bright frame: 0.5 to 2 stops over in linear light, with a soft shoulder from 0.8 on and clipping."""
    light = _linear(picture) * np.float32(2.0 ** random.uniform(0.5, 2.0))
    shoulder = np.where(light > 0.8, 0.8 + 0.2 * (1.0 - np.exp(-(light - 0.8) / 0.2)), light)
    return _quantised(_display(shoulder.astype(np.float32)))


def nonuniform(picture: Picture, random: np.random.Generator) -> Codes:
    """An uneven exposure: gains of -4 to +1.8 stops that vary smoothly over the image, in linear light."""
    height, width = picture.shape[:2]
    stops = smooth_field(random, height, width, -4.0, 1.8)
    return _quantised(_display(_linear(picture) * _like(np.exp2(stops), picture)))


def _linear(picture: Picture) -> Picture:
    return picture ** np.float32(DISPLAY_GAMMA)


def _display(light: Picture) -> Picture:
    return np.clip(light, 0.0, 1.0) ** np.float32(1.0 / DISPLAY_GAMMA)


def _like(field: Field, picture: Picture) -> Field:
    """A field over rows and columns, with an axis for the channels where the image has them."""
    return field[..., None] if isinstance(field, np.ndarray) and picture.ndim == 3 else field


def _quantised(picture: NDArray[np.floating]) -> Codes:
    return np.asarray(np.rint(np.clip(picture, 0.0, 1.0) * 255.0), np.uint8)


def _jpeg(codes: Codes, quality: int) -> Codes:
    swapped = codes[..., ::-1] if codes.ndim == 3 else codes
    _, packed = cv2.imencode(".jpg", swapped, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR if codes.ndim == 3 else cv2.IMREAD_GRAYSCALE), np.uint8)
    return np.ascontiguousarray(decoded[..., ::-1]) if codes.ndim == 3 else decoded
