"""The tone curve of a dark photo: where the pseudo ground truth and the illumination start (docs/papers.md, I8).

Pairs of low and high exposures lie near one *power* curve with log-log slopes of 0.43 to 0.70, the flatter the
darker the image. So an image's mean alone gives the exponent, and the factor follows from the exposure that is
asked for. Because the curve is a function of single samples, its mean over an image is exact from a histogram: no
pixel is rendered to find it.

NumPy; images are sRGB-encoded samples in 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhance_cli.imaging import opacity

Array = NDArray[Any]

TARGET = 0.47
"""Mean of all samples after the curve: what dark images' own bright twins have."""

LARGEST_FACTOR = 4.0
"""Of `factor`: a nearly black image has no detail that a larger one could show, only steps."""

WHITE, BLOWN = 0.9, 0.1
"""At most `BLOWN` of an image's samples may be lifted above `WHITE`: in a night with lamps the mean is no goal. One
in ten of the dark training images with references is held back by it, and two in three of lamp-lit streets."""

KNEE = 0.8
"""Where the soft shoulder begins, as a share of white: lamps roll off instead of clipping."""

PEDESTAL = 0.004
"""One grey level, added to light before a gain is read off it, so that black has one."""


@dataclass(frozen=True, slots=True)
class ToneCurve:
    """R = shoulder(a x^g), never more than `max_gain` times x."""

    exponent: float
    """g, 0.42 for the darkest images, 0.70 from a mean of 0.18 on; 1 leaves an image alone."""

    factor: float
    """a, 0..4."""

    max_gain: float = np.inf
    """Bound of R / x: what `--max-gain` sets; black lies below it in every curve."""

    knee: float = KNEE
    """Where the shoulder begins, 0..1; 1 is a hard clip."""

    @property
    def is_identity(self) -> bool:
        """Whether light is left alone."""
        return self.exponent == self.factor == 1.0

    def __call__(self, light: Array) -> Array:
        """The curve at light in 0..1, float32 of the same shape, in 0..1."""
        x = np.maximum(np.asarray(light, np.float32), np.float32(0.0))
        raw = np.float32(self.factor) * x ** np.float32(self.exponent)
        if np.isfinite(self.max_gain):
            raw = np.minimum(raw, np.float32(self.max_gain) * x)
        return shoulder(raw, self.knee, min(self.factor, self.max_gain))

    def picture(self, light: Array) -> Array:
        """The curve of a colour image, which keeps every pixel's hue: float32, H×W×3.

        Its largest and its smallest channel follow the curve, which also decides how much colour is left; the one
        between stays where it was between them. The curve of each channel alone turns hues by a median of 12 degrees
        on dark pairs of the training photos and this by 4, for 0.15 dB of matched PSNR; one ratio for all three
        keeps them too and costs 2.5 dB.
        """
        x = np.asarray(light, np.float32)
        low, high = x.min(axis=2, keepdims=True), x.max(axis=2, keepdims=True)
        bottom, top = self(low), self(high)
        place = (x - low) / np.maximum(high - low, np.float32(1e-6))
        return np.asarray(bottom + (top - bottom) * place, np.float32)

    def log_gain(self, light: Array) -> Array:
        """Log of the curve's gain at smoothed light: float32, what the denoiser is told of the noise it will meet.

        Without shoulder, and with a pedestal, so that it is finite and smooth.
        """
        x = np.asarray(light, np.float32) + np.float32(PEDESTAL)
        gain = np.float32(np.log(max(self.factor, 1e-6))) + np.float32(self.exponent - 1.0) * np.log(x)
        return np.asarray(np.minimum(gain, np.log(self.max_gain)), np.float32)


def shoulder(raw: Array, knee: float, white: float) -> Array:
    """Values up to the knee as they are, beyond it compressed so that `white` becomes 1; C¹ and strictly rising.

    Reinhard et al., "Photographic tone reproduction for digital images", 2002, eq. 4, above the knee: an exponential
    shoulder keeps 0.1 dB more and leaves nothing of what a lamp lights.

    Args:
        raw: values of at least 0.
        knee: 0..1; 1 clips.
        white: the largest value; at most 1 there is nothing to compress.
    """
    if knee >= 1.0 or white <= 1.0:
        return np.minimum(raw, np.float32(1.0))
    room = np.float32(1.0 - knee)
    above = np.maximum(raw - np.float32(knee), np.float32(0.0)) / room
    top = np.float32((white - knee) / (1.0 - knee))
    bent = np.float32(knee) + room * above * (1.0 + above / (top * top)) / (1.0 + above)
    return np.where(raw > knee, np.minimum(bent, np.float32(1.0)), raw)


def exponent_for(mean: float) -> float:
    """The exponent from the mean of all samples, 0..1: g = 0.42 + 0.28 clip((log2 m + 5.5) / 3, 0, 1).

    The form is docs/papers.md, I8; exponents of 0.45 to 0.75 lose 0.2 dB of matched PSNR on 30 pairs of training.
    """
    share = (np.log2(max(mean, 1e-6)) + 5.5) / 3.0
    return 0.42 + 0.28 * float(np.clip(share, 0.0, 1.0))


def histogram(pixels: Array, weights: Array | None = None) -> NDArray[Any]:
    """How often each code occurs in each channel: 3×256 or 3×65536, of H×W×3 uint8 or uint16.

    Args:
        pixels: the image.
        weights: H×W uint8 or uint16 that pixels count by; float64 is returned then.
    """
    codes = np.iinfo(pixels.dtype).max + 1
    if weights is not None:
        return np.stack([opacity.histogram(pixels[..., channel], weights, codes) for channel in range(3)])
    counts = np.zeros((3, codes), np.int64)
    for top in range(0, pixels.shape[0], 128):  # in bands: bincount widens what it counts to 8 bytes
        for channel in range(3):
            counts[channel] += np.bincount(pixels[top : top + 128, :, channel].ravel(), minlength=codes)
    return counts


def mean_of(counts: Array) -> float:
    """The mean of all samples, 0..1."""
    codes = np.arange(counts.shape[1]) / (counts.shape[1] - 1)
    return float((counts @ codes).sum() / max(counts.sum(), 1))


def mean_after(counts: Array, curve: ToneCurve, balance: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> float:
    """The mean of all samples that a curve gives a white-balanced image, exact from its histogram."""
    light, weights = _levels(counts, balance)
    return float((weights * curve(light)).sum())


def _levels(counts: Array, balance: tuple[float, float, float]) -> tuple[Array, Array]:
    """Light of every code that occurs in any channel, and its share of all samples; dark images use few codes."""
    codes = np.arange(counts.shape[1], dtype=np.float64) / (counts.shape[1] - 1)
    light = np.clip(codes * np.asarray(balance, np.float64)[:, None], 0.0, 1.0)
    return light[counts > 0], counts[counts > 0] / max(counts.sum(), 1)


def fitted(
    counts: Array,
    *,
    target: float = TARGET,
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0),
    max_gain: float = np.inf,
    largest_factor: float = LARGEST_FACTOR,
    knee: float = KNEE,
    exponent: float | None = None,
) -> ToneCurve:
    """The curve that gives an image the mean `target`, or comes as near to it as its lights and its black allow.

    Args:
        counts: the image's `histogram`, 3×codes.
        target: mean of all samples after the curve, 0..1.
        balance: factors of red, green and blue before the curve.
        max_gain: bound of the curve's gain.
        largest_factor: bound of a; an image that needs more stays darker than `target`.
        knee: of the shoulder.
        exponent: g, if it is not to follow from the image's mean.
    """
    light, weights = _levels(counts, balance)
    if exponent is None:
        exponent = exponent_for(mean_of(counts))
    blown = BLOWN + float(weights[light > WHITE].sum())
    low, high = 0.0, largest_factor
    for _ in range(24):
        middle = 0.5 * (low + high)
        values = ToneCurve(exponent, middle, max_gain, knee)(light)
        short = float((weights * values).sum()) < target and float(weights[values > WHITE].sum()) <= blown
        low, high = (middle, high) if short else (low, middle)
    return ToneCurve(exponent, 0.5 * (low + high), max_gain, knee)


def reaching(
    counts: Array, exposure: float, *, balance: tuple[float, float, float], max_gain: float = np.inf
) -> ToneCurve:
    """The curve that makes `exposure` the mean; none where the image is as bright already, or black.

    Args:
        counts: the image's `histogram`, 3×codes.
        exposure: mean of all samples after the curve, 0..1.
        balance: factors of red, green and blue before the curve.
        max_gain: bound of the curve's gain.
    """
    before = mean_of(counts)
    if before >= exposure or before == 0.0:
        return ToneCurve(1.0, 1.0, max_gain)
    curve = fitted(counts, target=exposure, balance=balance, max_gain=max_gain)
    if curve.factor >= 1.0:
        return curve
    # A factor below 1 makes white grey. The image needs a gentler curve, up to none: white stays, the exponent moves.
    light = np.arange(counts.shape[1])[None] * (np.asarray(balance) / (counts.shape[1] - 1))[:, None]
    low, high = curve.exponent, 1.0
    for _ in range(24):
        middle = 0.5 * (low + high)
        reached = float((counts * ToneCurve(middle, 1.0, max_gain)(light)).sum() / counts.sum())
        low, high = (low, middle) if reached < exposure else (middle, high)
    return ToneCurve(0.5 * (low + high), 1.0, max_gain)
