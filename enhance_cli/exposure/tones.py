"""The tone curve that brings a method's result to the black point, contrast and colour that a photo should have."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from enhance_cli.exposure import Wanted
from enhance_cli.exposure.features import chroma_of, falling, luma_of
from enhance_cli.imaging import opacity
from enhance_cli.imaging.finish import NODES, UNCHANGED, Tones, finished, fit

if TYPE_CHECKING:
    from enhance_cli.types import Array

MOST_CONTRAST, LEAST_CONTRAST = (1.35, 1.9), 0.7
"""Bounds of the contrast by that of the result: the greatest without and with freedom, and the least. The predictor
errs, and a curve this steep shows noise."""

DEEPER = 0.6, 0.4
"""The black point that is aimed for, by the predicted one, without and with a veil: the predicted one is a median over
scenes with and without true black. A lower one is left alone. Darkening deepens black by itself, so that it aims for
the predicted one."""

MOST_CHROMA, LEAST_CHROMA = 1.45, (0.8, 0.65)
"""Bounds of the factor of colour; the least of a photo brightened little, and of one brightened much (`LIFTED`). Below
1 it takes back colour that a curve for each channel has added, or that is noise."""

LIFTED = (1.5, 3.0)
"""Stops by which mean luma is raised up to which a photo is brightened little, and from which much. Dark pairs that
need three stops and more had 1.7 times the chroma of their references; that of dark frames of brackets was right."""

RICHER, MORE_COLOUR = 1.2, 1.15
"""What contrast and colour are aimed for where there is a veil, by those predicted: of a veiled photo, the predictor
expects less than it had."""

FLAT, FULL = 0.9, 1.05
"""Contrast of the photo by the predicted one, up to which it has a veil if it is lit, and from which it has none."""

FREE, BOUND = 1.4, 2.4
"""Gains of mean luma up to which, and from which, a curve has all freedom, and none. What was lit and yet is flat has a
veil; of what was dark, noise and blocks are amplified already, and little is known of its contrast."""

_KEPT = 1.3
"""Colour that `faded` aims for, by the predicted one: some goes with the noise that is removed after it."""

_DARKENED = 0.97
"""Gain of mean luma below 1 from which there is no freedom: what was clipped has no contrast left to restore."""

_FLATNESS = 0.85, 1.03
"""Contrast of the photo by the predicted one, up to which, and from which, `clearing` clears all, and nothing."""

_SHADE, _LIT = 40 / 255, 100 / 255
"""Luma below which a pixel is in shade, and above which it is in light."""


class Clearing(NamedTuple):
    """Where `clearing` sets in, and how far it goes."""

    gains: tuple[float, float] = (1.2, 2.0)
    """Gains of mean luma up to which, and from which, it clears all, and nothing."""

    backlit: tuple[float, float] = (0.08, 0.2)
    """The same for the share of the photo in shade, or in light if that is less: a method that sees where light is
    missing has lit flat shade on purpose."""

    deeper: tuple[float, float] = (0.8, 0.6)
    """As `DEEPER`."""


CLEARING = Clearing()

_NOTHING = 1e-3


def tones_for(light: Array, source: Array, wanted: Wanted, weights: Array | None = None) -> Tones:
    """The curve for a downscaled result. It keeps the mean, or darkens towards the wanted one.

    Args:
        light: 3×h×w in 0..1, a method's result.
        source: 3×h×w in 0..1, the photo.
        wanted: what the photo should have.
        weights: opacity, h×w; None if all pixels count alike.
    """
    return _bounded(light, source, wanted, weights, DEEPER, LEAST_CONTRAST)


def clearing(
    light: Array, source: Array, wanted: Wanted, weights: Array | None = None, bounds: Clearing = CLEARING
) -> Tones:
    """The curve for a downscaled result whose method finds its brightness itself: it takes a veil away, no more.

    Only photos have one that were lit and yet are flat, and not because part of them lies in shade: there, and in what
    was dark, black and contrast are what the method has made of them. The mean stays, and contrast does not fall.

    Args:
        light: 3×h×w in 0..1, a method's result.
        source: 3×h×w in 0..1, the photo.
        wanted: what the photo should have.
        weights: opacity, h×w; None if all pixels count alike.
        bounds: where it sets in, and how far it goes.
    """
    before = luma_of(source)
    gain = _gain(luma_of(light), before, weights)
    ratio = _contrast(before, weights) / max(wanted.contrast, _NOTHING)
    shade, lit = (opacity.mean(part.astype(np.float32), weights) for part in (before < _SHADE, before > _LIT))
    share = min(
        falling(gain, *bounds.gains),
        (gain - _DARKENED) / (1.0 - _DARKENED),
    )
    share = min(max(share, 0.0), 1.0) * falling(ratio, *_FLATNESS) * falling(min(shade, lit), *bounds.backlit)
    if share == 0.0:
        return UNCHANGED
    return part_of(_bounded(light, source, wanted._replace(luma=1.0), weights, bounds.deeper, 1.0), share)


def part_of(tones: Tones, share: float) -> Tones:
    """A share, 0..1, of what a curve does."""
    if share == 0.0 or not tones.gains.size:
        return UNCHANGED
    one = np.float32(1.0)
    return Tones(one + np.float32(share) * (tones.gains - one), 1.0 + share * (tones.chroma - 1.0))


def _bounded(
    light: Array,
    source: Array,
    wanted: Wanted,
    weights: Array | None,
    deeper: tuple[float, float],
    least: float,
) -> Tones:
    grey = luma_of(light)
    mean, contrast = opacity.mean(grey, weights), _contrast(grey, weights)
    gain = _gain(grey, luma_of(source), weights)
    freedom = min((BOUND - gain) / (BOUND - FREE), (gain - _DARKENED) / (1.0 - _DARKENED))
    freedom = min(max(freedom, 0.0), 1.0)
    ratio = _contrast(luma_of(source), weights) / max(wanted.contrast, _NOTHING)
    veil = freedom * min(max((FULL - ratio) / (FULL - FLAT), 0.0), 1.0)
    black = wanted.black * (_between(*deeper, veil) if gain >= _DARKENED else 1.0)
    most = _between(*MOST_CONTRAST, freedom)
    bounded = min(max(_between(1.0, RICHER, veil) * wanted.contrast, least * contrast), most * contrast)
    tones = fit(grey, weights, black=black, contrast=bounded, mean=min(wanted.luma, mean), freedom=freedom)
    after = finished(light, source, tones)
    factor = _between(1.0, MORE_COLOUR, veil) * wanted.chroma / _chroma(after, weights)
    return tones._replace(chroma=min(max(factor, _between(*LEAST_CHROMA, _lifted(gain))), MOST_CHROMA))


def faded(light: Array, source: Array, wanted: Wanted, weights: Array | None = None) -> Tones:
    """Less colour for a downscaled result that has more than the photo should have, as far as it was brightened much.

    Args:
        light: 3×h×w in 0..1, a method's result.
        source: 3×h×w in 0..1, the photo.
        wanted: what the photo should have.
        weights: opacity, h×w; None if all pixels count alike.
    """
    share = _lifted(_gain(luma_of(light), luma_of(source), weights))
    factor = _KEPT * wanted.chroma / _chroma(light, weights)
    if share == 0.0 or factor >= 1.0:
        return UNCHANGED
    return part_of(Tones(np.ones(NODES, np.float32), max(factor, _between(*LEAST_CHROMA, share))), share)


def _gain(grey: Array, before: Array, weights: Array | None) -> float:
    """By how much the mean luma grows."""
    return opacity.mean(grey, weights) / max(opacity.mean(before, weights), _NOTHING)


def _lifted(gain: float) -> float:
    """How much a photo is brightened whose mean luma grows by a gain, 0..1."""
    return 1.0 - falling(math.log2(max(gain, 1.0)), *LIFTED)


def _chroma(light: Array, weights: Array | None) -> float:
    """Mean chroma, and not 0."""
    return max(opacity.mean(chroma_of(light, luma_of(light)), weights), _NOTHING)


def _contrast(grey: Array, weights: Array | None) -> float:
    mean = opacity.mean(grey, weights)
    return float(np.sqrt(opacity.mean(np.square(grey - mean), weights)))


def _between(low: float, high: float, share: float) -> float:
    return low + share * (high - low)
