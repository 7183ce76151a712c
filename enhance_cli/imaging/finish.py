"""What every method's light goes through last: tones, colour, and highlights that stay white.

A method decides where light goes. What its result may not do is the same for all of them: turn white grey, lay a veil
over black, or leave colours drained. So each method ends a pixel with `finished`, given the photo's light x and its own
result y:

1. **tones**: luma Y of y becomes t(Y), a curve of the whole photo (`Tones`) that restores a black point and contrast;
2. **colour**: the channels' distances from luma follow t(Y) / Y times a factor, which is 1 near black and white, and on
   colours like skin, and ends where a channel would leave 0..1, so that hues do not turn;
3. **skin**: where the photo's colours are like skin's, chroma grows at most by `SKIN_GROWTH`, or with the light
   (`bounded_skin`);
4. **highlights**: y + w max(0, x - y) for each channel, w rising from 0 to 1 as the luma of x rises from 0.86 to 0.985.
   What is clipped stays white, and what is nearly clipped comes near it in the photo's order of tones. By the smallest
   channel, noise in blue alone, which luma hardly shows, would draw contours.

All of it looks at one pixel, so it cannot cause halos. These are the formulas on NumPy arrays, for estimates;
`finish_rows` has the compiled loops and `finish_torch` those for other devices.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

HIGHLIGHT = (0.86, 0.985)
"""Luma of the photo at which its highlights begin to be kept, and at which they are kept whole: 251 of 255."""

NODES = 257
"""Nodes of a tone curve over luma 0..1: one for each code of 8 bits, and white."""

DARK, BRIGHT = 0.02, (0.8, 1.0)
"""Luma of the photo up to which its colour is mostly noise; luma of the result between which its colour is kept."""

FADED = (0.7, 0.8)
"""Factors of colour up to which they hold for all pixels, and from which they spare skin and the photo's black: a photo
that was so dark that its noise is colour has too much of it everywhere."""

SKIN_GROWTH, SKIN_FOLLOWS = 1.19, 0.8
"""The most by which chroma of CIELAB may grow on colours like skin's; and the share of a gain of luma that it may
follow where that is more: a face lifted out of deep shade would else be grey."""

SKIN_LIGHT = (0.05, 0.12)
"""Luma of the photo between which that bound sets in: the hue of darker pixels is mostly noise."""

SKIN_HUES, ROSY_HUES = (0.05, 0.2), (-1.5, -0.6)
"""Hues (G - B) / (R - B) between which colours begin to be like skin's, in white light, and in the light of dusk, whose
blue turns skin to rose."""

YELLOWER, ROSY_SATURATION = (0.2, 0.45), (0.3, 0.45)
"""Hues between which colours are less likely to be rosy skin than wood, sand or sunlit skin: those may follow the light
wholly. Saturation 1 - B / R up to which rosy colours may be skin, and from which they are too vivid. So photos that are
dim or flat keep their colours."""

SKIN_SATURATION = (0.04, 0.14)
"""Saturation 1 - B / R between which that bound sets in: greys have no colour that a method may not give them."""

LEAST = 1e-4
"""The least divisor."""

GROUPS = 1024
"""Bins of luma by which a curve is fitted."""

_RED, _GREEN, _BLUE = 0.299, 0.587, 0.114

_STEEPEST, _FLATTEST = 1.6, 0.6
"""Bounds of the exponent that changes contrast."""

_VEIL = (0.3, 0.38)
"""Bounds of the light b that a veil is taken for, without and with freedom (`fit`)."""

_GAMMA = (0.6, 0.5), 1.6
"""Bounds of the exponent that keeps or sets the mean: the least without and with freedom, and the greatest."""


class Tones(NamedTuple):
    """The tone curve of a photo, and how much colour follows it."""

    gains: Array
    """(NODES,) float32: t(Y) / Y at luma i / 256; empty to leave tones and colour as they are."""

    chroma: float
    """Factor of the channels' distances from luma, besides t(Y) / Y; 1 keeps saturation."""


UNCHANGED = Tones(np.empty(0, np.float32), 1.0)
"""Leaves tones and colour alone."""


def luma(light: Array) -> Array:
    """BT.601 luma, h×w, of light 3×h×w."""
    plane: Array = _RED * light[0] + _GREEN * light[1] + _BLUE * light[2]
    return plane


def finished(
    light: Array,
    source: Array,
    tones: Tones = UNCHANGED,
    highlight: tuple[float, float] = HIGHLIGHT,
    follows: float = SKIN_FOLLOWS,
) -> Array:
    """Tones, colour and highlights of a method's light.

    Args:
        light: 3×h×w in 0..1, the method's result y.
        source: 3×h×w in 0..1, the photo's light x.
        tones: the curve of the photo.
        highlight: another range than `HIGHLIGHT`.
        follows: another share than `SKIN_FOLLOWS`.

    Returns:
        3×h×w in 0..1.
    """
    if tones.gains.size:
        light = _toned(light, source, tones)
    light = bounded_skin(light, source, tones.chroma, follows)
    kept = smoothstep(luma(source), *highlight)
    result: Array = light + kept * np.maximum(source - light, 0.0)
    return result


def _toned(light: Array, source: Array, tones: Tones) -> Array:
    grey = np.clip(luma(light), 0.0, 1.0)
    gain = np.interp(grey, np.linspace(0.0, 1.0, NODES), tones.gains).astype(light.dtype)
    toned = grey * gain
    faded = float(np.clip((FADED[1] - tones.chroma) / (FADED[1] - FADED[0]), 0.0, 1.0))
    spared = (1.0 - skin_likeness(light)) * smoothstep(luma(source), 0.0, DARK)
    colour = 1.0 + (tones.chroma - 1.0) * (spared + faded * (1.0 - spared))
    colour = 1.0 + (colour - 1.0) * (1.0 - smoothstep(grey, *BRIGHT))
    above = np.maximum((light.max(axis=0) - grey) * gain, LEAST)
    below = np.maximum(grey - light.min(axis=0), LEAST)
    colour = np.minimum(colour, np.minimum(np.maximum(1.0 - toned, 0.0) / above, np.maximum(grey / below, 1.0)))
    return np.clip(toned + colour * gain * (light - grey), 0.0, 1.0)  # type: ignore[no-any-return]


def bounded_skin(light: Array, source: Array, chroma: float = 1.0, follows: float = SKIN_FOLLOWS) -> Array:
    """Bound the growth of chroma on colours like skin's, at constant luma.

    With the photo's x, its luma X, and the result's y and Y, chroma C = max - min of the channels is bounded by
    C(x) max(g (5 Y + 3 X) / (3 Y + 5 X), f Y / X). Here f is `follows`, and g is `SKIN_GROWTH`, and more by half of
    what the photo's factor of chroma is above 1: a veil takes colour from skin too. The quotient is the Padé
    approximant of (Y / X)^(1/4), by which a difference of encoded channels counts less in CIELAB the brighter it is.
    How much of the bound applies, say `skin_likeness` of x, `SKIN_LIGHT`, and the ranges of saturation.

    Args:
        light: 3×h×w in 0..1, a method's result.
        source: 3×h×w in 0..1, the photo's light.
        chroma: of the photo's `Tones`.
        follows: the share of a gain of luma that chroma may follow; all of it at yellower hues (`YELLOWER`).
    """
    before, after = luma(source), luma(light)
    narrow, wide = (np.maximum(each.max(axis=0) - each.min(axis=0), LEAST) for each in (source, light))
    growth = SKIN_GROWTH * (0.5 + 0.5 * max(chroma, 1.0))
    most = growth * (5.0 * after + 3.0 * before) / np.maximum(3.0 * after + 5.0 * before, LEAST)
    hue, saturation = _hue_and_saturation(source)
    yellow = np.clip((hue - YELLOWER[0]) / (YELLOWER[1] - YELLOWER[0]), 0.0, 1.0)
    most = np.maximum(most, (follows + (1.0 - follows) * yellow) * after / np.maximum(before, LEAST))
    share = _likeness(hue, saturation, ROSY_HUES)
    for value, (low, high) in ((before, SKIN_LIGHT), (saturation, SKIN_SATURATION)):
        share = share * np.clip((value - low) / (high - low), 0.0, 1.0)
    low, high = ROSY_SATURATION
    share = share * np.clip((high + yellow - saturation) / (high - low), 0.0, 1.0)
    less = share * (1.0 - np.minimum(most * narrow / wide, 1.0))
    bounded: Array = light - less * (light - after)
    return bounded.astype(light.dtype)


def skin_likeness(light: Array) -> Array:
    """How much colours are like skin of any complexion, h×w in 0..1 of 3×h×w: from red to yellow, not saturated."""
    return _likeness(*_hue_and_saturation(light), SKIN_HUES)


def _hue_and_saturation(light: Array) -> tuple[Array, Array]:
    """(G - B) / (R - B) and 1 - B / R, h×w."""
    red, green, blue = light
    span = red - blue
    return (green - blue) / np.maximum(span, LEAST), span / np.maximum(red, LEAST)


def _likeness(hue: Array, saturation: Array, hues: tuple[float, float]) -> Array:
    """The likeness to skin that begins at `SKIN_HUES` or `ROSY_HUES`."""
    kind = np.clip((hue - hues[0]) / (hues[1] - hues[0]), 0.0, 1.0) * np.clip((0.95 - hue) / 0.2, 0.0, 1.0)
    return kind * np.clip((0.9 - saturation) / 0.3, 0.0, 1.0)


def clipped(light: Array) -> Array:
    """How much pixels of light 3×h×w are clipped in all channels, h×w in 0..1: they stay white with every method."""
    found: Array = smoothstep(light.min(axis=0), *HIGHLIGHT)
    return found


def smoothstep(values: Any, low: float, high: float) -> Any:
    """3 t² - 2 t³ with t from 0 at `low` to 1 at `high`, clipped."""
    at = np.clip((values - low) / (high - low), 0.0, 1.0)
    return at * at * (3.0 - 2.0 * at)


def fit(
    grey: Array,
    weights: Array | None = None,
    *,
    black: float | None = None,
    contrast: float | None = None,
    mean: float | None = None,
    chroma: float = 1.0,
    freedom: float = 0.0,
) -> Tones:
    """The curve that gives luma a black point, a contrast and a mean, as nearly as its bounds allow.

    The curve is t = s(u(Y^g)): a power for the mean, u for the black point, and for contrast an s that bends with
    exponent c on either side of the mean. u(v) takes a veil's light b away as (v - b) / (1 - b) does, but softly,
    h(v - b) scaled to 0..1 with h(z) = (z + sqrt(z² + b² / 9)) / 2. The curve rises from 0 at 0 to 1 at 1.

    Args:
        grey: luma of a downscaled result in 0..1, of any shape.
        weights: opacity, of the same shape; None if all pixels count alike.
        black: wanted 2nd percentile of luma; a lower one stays. None to leave it.
        contrast: wanted standard deviation of luma. None to leave it.
        mean: wanted mean. None to keep the mean that `grey` has.
        chroma: see `Tones`.
        freedom: 0..1, how far the bounds widen.
    """
    from enhance_cli.imaging.tone_fit import searched  # the formulas alone need no compiler

    thickest = _VEIL[0] + freedom * (_VEIL[1] - _VEIL[0])
    least = _GAMMA[0][0] + freedom * (_GAMMA[0][1] - _GAMMA[0][0])
    values, weights = _grouped(grey, weights)
    if not values.size or (black is None and contrast is None and mean is None and chroma == 1.0):
        return UNCHANGED
    centre = float(np.average(values, weights=weights))
    wanted = centre if mean is None else mean
    shares = np.cumsum(weights)
    darkest = float(values[np.searchsorted(shares, 0.02 * shares[-1])])
    goals = (math.nan if black is None else black, math.nan if contrast is None else contrast, wanted)
    gamma, veil, bend, pivot = searched(
        values, weights, darkest, *goals, thickest, (_FLATTEST, _STEEPEST), (least, _GAMMA[1])
    )
    nodes = np.linspace(0.0, 1.0, NODES)
    nodes[0] = 0.25 * nodes[1]  # the gain at black, which no division gives
    return Tones((_curve(nodes, gamma, veil, bend, pivot) / nodes).astype(np.float32), float(chroma))


def _grouped(grey: Array, weights: Array | None) -> tuple[Array, Array]:
    """Luma as means of `GROUPS` bins that are not empty, in rising order, and their weights.

    The fit evaluates the curve some two hundred times; on every pixel that took most of an estimate's time.
    """
    values = np.asarray(grey, np.float64).ravel()
    each = np.ones(values.size) if weights is None else np.asarray(weights, np.float64).ravel()
    places = np.clip(values * GROUPS, 0, GROUPS - 1).astype(np.intp)
    sums = np.bincount(places, each, GROUPS)
    used = sums > 0.0
    return np.bincount(places, each * values, GROUPS)[used] / sums[used], sums[used]


def _curve(values: Any, gamma: float, veil: float, bend: float, pivot: float) -> Any:
    least = _soft(-veil, veil)
    u = (_soft(np.power(values, gamma) - veil, veil) - least) / (_soft(1.0 - veil, veil) - least)
    low = pivot * np.power(np.minimum(u / pivot, 1.0), bend)
    high = (1.0 - pivot) * (1.0 - np.power(np.clip((1.0 - u) / (1.0 - pivot), 0.0, 1.0), bend))
    return low + high


def _soft(values: Any, veil: float) -> Any:
    return 0.5 * (values + np.sqrt(np.square(values) + veil * veil / 9.0))
