"""The tone curve of a dark photo, on which the pseudo ground truth and the illumination are based (docs/papers.md, I8).

Pairs of low and high exposures lie near one *power* curve with log-log slopes of 0.43 to 0.70, the flatter the
darker the image. So the mean of an image gives the exponent, and the factor follows from the requested exposure. A
photo that is dim rather than dark was taken at nearly the right exposure: there a steeper curve, up to a plain factor,
restores the contrast that a flat one would take away. Because the curve is a function of single samples, mean and
contrast after it are exact from a histogram, without rendering any pixel.

NumPy; images are sRGB-encoded samples in 0..1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhance_cli.imaging import opacity
from enhance_cli.imaging.area import extremes
from enhance_cli.imaging.kernels_cpu import channel_counts

Array = NDArray[Any]

TARGET = 0.47
"""Mean of all samples after the curve: that of the bright counterparts of dark images."""

SPREAD = 0.065
"""Mean distance of bright counterparts of dark images from `TARGET`: what a prediction's doubt is compared with."""

NEAR, FAR = 0.02, 0.10
"""Distances below a predicted mean up to which an image stays as it is, and from which it is brought to that mean."""

LARGEST_FACTOR = 4.0
"""Upper bound of `factor`: in a nearly black image a larger one would show no detail, only banding."""

WHITE, BLOWN = 0.9, 0.1
"""At most the share `BLOWN` of an image's samples may be raised above `WHITE`: in night photos with lamps the target
mean is not reachable otherwise. It limits one in ten dark training images with references, and two in three of
lamp-lit streets."""

BLOWN_AT_NIGHT = 0.03
"""The same of a night scene: what is lit there shall keep its tones, as most of the rest is to stay dark. 22 of 549
dark frames of brackets look like one and change by it; all of them together lose 0.02 dB."""

KNEE = 0.8
"""Where the soft shoulder begins, as a share of white: lamps roll off instead of clipping."""

DIM, CONTRAST = (0.05, 0.14), 0.20
"""Means of an image between which the curve comes to be asked for contrast, and the contrast that it is to reach: the
standard deviation of all samples. Bright counterparts of dim photos have 0.19 to 0.31, those of dark ones 0.12 to 0.22,
which the exponent alone gives them."""

DARKEST, VEIL, STEEPER = 0.04, 0.08, 0.1
"""Level above which the darkest hundredth of a flat image counts as a veil, the most light that is taken away as one,
and how much contrast must have raised the exponent for all of that."""

DEEP = 0.15
"""The level that black is brought to at most where an image has one (`ToneCurve.black`): 38 of 255."""

UNBOUNDED = 99.0
"""A bound of the gain's logarithm that none reaches."""

PEDESTAL = 0.004
"""One grey level, added to light before its gain is computed, so that the gain of black is defined."""


@dataclass(frozen=True, slots=True)
class ToneCurve:
    """R = shoulder(a x^g), at most `max_gain` times x; softly below `DEEP` (x / black)^1.5 where there is a black."""

    exponent: float
    """g: 0.42 for the darkest images, 0.70 from a mean of 0.18 up, 1 for no change."""

    factor: float
    """a, 0..4."""

    max_gain: float = np.inf
    """Upper bound of R / x, from `--max-gain`."""

    knee: float = KNEE
    """Where the shoulder begins, 0..1; 1 is a hard clip."""

    veil: float = 0.0
    """Light that is taken away after the power, softly near black, 0..`VEIL`."""

    black: float = 0.0
    """Light up to which the image shows nothing and is to stay dark, 0..1: a night sky beside lamps; 0 for none."""

    @property
    def is_identity(self) -> bool:
        """Whether the curve changes nothing."""
        return self.exponent == self.factor == 1.0

    def __call__(self, light: Array) -> Array:
        """The curve at light in 0..1, float32 of the same shape, in 0..1."""
        x = np.maximum(np.asarray(light, np.float32), np.float32(0.0))
        raw = np.float32(self.factor) * x ** np.float32(self.exponent)
        if np.isfinite(self.max_gain):
            raw = np.minimum(raw, np.float32(self.max_gain) * x)
        if self.black > 0.0:
            # A smooth minimum: (raw^-4 + deep^-4)^(-1/4) = raw / (1 + (raw / deep)^4)^(1/4).
            deep = np.float32(DEEP) * (x / np.float32(self.black)) ** np.float32(1.5)
            ratio = np.minimum(raw / np.maximum(deep, np.float32(1e-6)), np.float32(1e4))
            raw = raw / np.sqrt(np.sqrt(np.float32(1.0) + np.square(np.square(ratio))))
        if self.veil > 0.0:
            least = _soft(np.float32(-self.veil), self.veil)
            raw = (_soft(raw - np.float32(self.veil), self.veil) - least) / np.float32(1.0 - self.veil)
        return shoulder(raw, self.knee, min(self.factor, self.max_gain))

    def picture(self, light: Array) -> Array:
        """The hue-preserving curve of a colour image: float32, H×W×3.

        The largest and the smallest channel of a pixel follow the curve, which determines saturation; the middle one
        keeps its relative position between them. Applied per channel, the curve shifts hues by a median of 12 degrees
        on dark pairs of the training photos, and this by 4, at a cost of 0.15 dB of matched PSNR; one ratio for all
        three channels preserves hues too and costs 2.5 dB.
        """
        x = np.asarray(light, np.float32)
        low, high = (channel[..., None] for channel in extremes(x))
        bottom, top = self(low), self(high)
        place = (x - low) / np.maximum(high - low, np.float32(1e-6))
        return np.asarray(bottom + (top - bottom) * place, np.float32)

    def log_gain(self, light: Array) -> Array:
        """Log of the curve's gain at smoothed light: float32, the denoiser's input for the noise to expect.

        Without the shoulder, and with a pedestal, so that it is finite and smooth.
        """
        x = np.asarray(light, np.float32) + np.float32(PEDESTAL)
        log, numbers = np.log(x), self.gain_numbers
        gain = np.minimum(np.float32(numbers[0]) + np.float32(numbers[1]) * log, np.float32(numbers[2]))
        return np.asarray(np.minimum(gain, np.float32(numbers[3]) + np.float32(0.5) * log), np.float32)

    @property
    def gain_numbers(self) -> tuple[float, float, float, float]:
        """Ln a, g - 1, the bound of the gain's logarithm, and what 0.5 ln x is added to for the bound next to black."""
        deep = math.log(DEEP) - 1.5 * math.log(self.black) if self.black > 0.0 else UNBOUNDED
        bound = math.log(self.max_gain) if np.isfinite(self.max_gain) else UNBOUNDED
        return math.log(max(self.factor, 1e-6)), self.exponent - 1.0, bound, deep


def _soft(values: Any, veil: float) -> Any:
    """Values above 0, and less and less of those below; smooth."""
    return np.float32(0.5) * (values + np.sqrt(np.square(values) + np.float32(veil * veil / 9.0)))


def shoulder(raw: Array, knee: float, white: float) -> Array:
    """Values unchanged up to the knee, and compressed above so that `white` maps to 1; C¹ and strictly increasing.

    Reinhard et al., "Photographic tone reproduction for digital images", 2002, eq. 4, above the knee: an exponential
    shoulder gains 0.1 dB and loses all detail near lamps.

    Args:
        raw: values of at least 0.
        knee: 0..1; 1 clips.
        white: the largest value; nothing is compressed if it is at most 1.
    """
    if knee >= 1.0 or white <= 1.0:
        return np.minimum(raw, np.float32(1.0))
    span = np.float32(1.0 - knee)
    above = np.maximum(raw - np.float32(knee), np.float32(0.0)) / span
    top = np.float32((white - knee) / (1.0 - knee))
    bent = np.float32(knee) + span * above * (1.0 + above / (top * top)) / (1.0 + above)
    return np.where(raw > knee, np.minimum(bent, np.float32(1.0)), raw)


def exponent_for(mean: float) -> float:
    """The exponent from the mean of all samples, 0..1: g = 0.42 + 0.28 clip((log2 m + 5.5) / 3, 0, 1).

    The form is docs/papers.md, I8; exponents of 0.45 to 0.75 lose 0.2 dB of matched PSNR on 30 pairs of training.
    """
    share = (np.log2(max(mean, 1e-6)) + 5.5) / 3.0
    return 0.42 + 0.28 * float(np.clip(share, 0.0, 1.0))


def aim(predicted: float, doubt: float, before: float) -> float:
    """The mean to reach: a prediction, drawn to `TARGET` as its doubt says, and near to it the image's own mean.

    Args:
        predicted: mean that an image should have, 0..1.
        doubt: mean error to expect of it.
        before: mean that it has.
    """
    trust = SPREAD**2 / (SPREAD**2 + doubt**2)
    missing = TARGET + trust * (predicted - TARGET) - before
    return before + missing * float(np.clip((missing - NEAR) / (FAR - NEAR), 0.0, 1.0))


def histogram(pixels: Array, weights: Array | None = None) -> NDArray[Any]:
    """How often each code occurs in each channel: 3×256 or 3×65536, of H×W×3 uint8 or uint16.

    Args:
        pixels: the image.
        weights: H×W uint8 or uint16 weights of the pixels; the result is then float64.
    """
    if weights is None:
        return channel_counts(pixels)
    codes = np.iinfo(pixels.dtype).max + 1
    return np.stack([opacity.histogram(pixels[..., channel], weights, codes) for channel in range(3)])


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


def contrast_for(mean: float) -> float:
    """The contrast to reach at least, from the mean of all samples: 0 for dark images, `CONTRAST` for dim ones."""
    low, high = (math.log2(value) for value in DIM)
    return CONTRAST * float(np.clip((math.log2(max(mean, 1e-6)) - low) / (high - low), 0.0, 1.0))


def fitted(
    counts: Array,
    *,
    target: float = TARGET,
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0),
    max_gain: float = np.inf,
    exponent: float | None = None,
    black: float = 0.0,
    blown: float = BLOWN,
) -> ToneCurve:
    """The curve that gives an image the mean `target`, or comes as near to it as its highlights and blacks allow.

    Args:
        counts: the image's `histogram`, 3×codes.
        target: mean of all samples after the curve, 0..1.
        balance: factors of red, green and blue before the curve.
        max_gain: bound of the curve's gain.
        exponent: g; None to derive it from the image's mean and contrast.
        black: see `ToneCurve`.
        blown: share of all samples that may be raised above `WHITE`.
    """
    if exponent is None:
        exponent = exponent_of(counts, target)
    return _with_mean(_levels(counts, balance), ToneCurve(exponent, 1.0, max_gain, black=black), target, blown)


def exponent_of(counts: Array, target: float = TARGET) -> float:
    """The exponent from the mean of all samples, or the larger one from which a dim image has contrast; 0.42..1.

    Args:
        counts: the image's `histogram`, 3×codes.
        target: mean of all samples after the curve, 0..1.
    """
    levels, mean = _levels(_coarse(counts), (1.0, 1.0, 1.0)), mean_of(counts)
    wanted, low, high = contrast_for(mean), exponent_for(mean), 1.0
    if _deviation(levels, _with_mean(levels, ToneCurve(low, 1.0), target)) >= wanted:
        return low
    for _ in range(8):
        middle = 0.5 * (low + high)
        short = _deviation(levels, _with_mean(levels, ToneCurve(middle, 1.0), target)) < wanted
        low, high = (middle, high) if short else (low, middle)
    return 0.5 * (low + high)


def _with_mean(levels: tuple[Array, Array], curve: ToneCurve, target: float, blown: float = BLOWN) -> ToneCurve:
    """The curve with the factor that reaches the mean, 0..`LARGEST_FACTOR`, clipping at most the share `blown` more."""
    light, weights = levels
    blown += float(weights[light > WHITE].sum())
    low, high = 0.0, LARGEST_FACTOR
    for _ in range(20):
        middle = 0.5 * (low + high)
        values = replace(curve, factor=middle)(light)
        short = float((weights * values).sum()) < target and float(weights[values > WHITE].sum()) <= blown
        low, high = (middle, high) if short else (low, middle)
    return replace(curve, factor=0.5 * (low + high))


def _deviation(levels: tuple[Array, Array], curve: ToneCurve) -> float:
    """Standard deviation of all samples after a curve."""
    light, weights = levels
    values = curve(light)
    mean = float((weights * values).sum())
    return math.sqrt(float((weights * np.square(values - mean)).sum()))


def _coarse(counts: Array) -> Array:
    """A histogram of at most 1,024 codes, whose means of 64 codes lie less than a thousandth of white apart."""
    if counts.shape[1] <= 1024:
        return counts
    bins: Array = counts.reshape(3, 1024, -1).sum(axis=2)
    return bins


def _veil(levels: tuple[Array, Array], curve: ToneCurve, before: float, exposure: float) -> float:
    """The light to take away after a curve: what the darkest hundredth has above `DARKEST`, bounded.

    Only images that are flat have a veil: those whose exponent had to rise for contrast. And it goes with the light
    that the curve adds, so that an image that is nearly left alone keeps its blacks too.
    """
    flat = (curve.exponent - exponent_for(before)) / STEEPER
    if flat <= 0.0:
        return 0.0
    light, weights = levels
    order = np.argsort(light)
    darkest = light[order[np.searchsorted(np.cumsum(weights[order]), 0.01)]]
    excess = min(max(float(curve(darkest)) - DARKEST, 0.0), VEIL)
    return excess * min(flat, 1.0) * min((exposure - before) / FAR, 1.0)


def reaching(
    counts: Array,
    exposure: float,
    *,
    balance: tuple[float, float, float],
    max_gain: float = np.inf,
    black: float = 0.0,
    blown: float = BLOWN,
) -> ToneCurve:
    """The curve that makes `exposure` the mean; the identity if the image is already that bright, or black.

    Args:
        counts: the image's `histogram`, 3×codes.
        exposure: mean of all samples after the curve, 0..1.
        balance: factors of red, green and blue before the curve.
        max_gain: bound of the curve's gain.
        black: see `ToneCurve`.
        blown: see `fitted`.
    """
    before = mean_of(counts)
    if before >= exposure or before == 0.0:
        return ToneCurve(1.0, 1.0, max_gain)
    curve = fitted(counts, target=exposure, balance=balance, max_gain=max_gain, black=black, blown=blown)
    light, weights = levels = _levels(counts, balance)
    if black == 0.0:
        veil = _veil(levels, curve, before, exposure)
        curve = _with_mean(levels, replace(curve, veil=veil), exposure, blown) if veil else curve
    if curve.factor >= 1.0:
        return curve
    # A factor below 1 would turn white grey, so a gentler curve is needed: the factor stays 1 and the exponent changes.
    low, high = min(curve.exponent, 1.0), 1.0
    for _ in range(24):
        middle = 0.5 * (low + high)
        reached = float((weights * replace(curve, exponent=middle, factor=1.0)(light)).sum())
        low, high = (low, middle) if reached < exposure else (middle, high)
    return replace(curve, exponent=0.5 * (low + high), factor=1.0)
