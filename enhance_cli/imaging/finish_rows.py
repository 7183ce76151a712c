"""The compiled loops of `finish.finished`, on rows of pixels, for the kernels of methods to call on their light."""

from __future__ import annotations

import numpy as np

from enhance_cli.engines.compiled import kernel
from enhance_cli.imaging.finish import (
    BRIGHT,
    DARK,
    FADED,
    HIGHLIGHT,
    LEAST,
    ROSY_HUES,
    ROSY_SATURATION,
    SKIN_FOLLOWS,
    SKIN_GROWTH,
    SKIN_LIGHT,
    SKIN_SATURATION,
    YELLOWER,
)

_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)
_LEAST = np.float32(LEAST)
_RED, _GREEN, _BLUE = np.float32(0.299), np.float32(0.587), np.float32(0.114)
_HIGHLIGHT = np.float32(HIGHLIGHT[0])
_HIGHLIGHT_SCALE = np.float32(1.0 / (HIGHLIGHT[1] - HIGHLIGHT[0]))
_DARK_SPAN = np.float32(1.0 / DARK)
_FADED, _FADED_SPAN = np.float32(FADED[1]), np.float32(1.0 / (FADED[1] - FADED[0]))
_BRIGHT = np.float32(BRIGHT[0])
_BRIGHT_SPAN = np.float32(1.0 / (BRIGHT[1] - BRIGHT[0]))
_HALF = np.float32(0.5)
_TWO, _THREE, _FIVE = np.float32(2.0), np.float32(3.0), np.float32(5.0)
_GROWTH, _FOLLOWS = np.float32(SKIN_GROWTH), np.float32(SKIN_FOLLOWS)
_LIGHT, _LIGHT_SPAN = np.float32(SKIN_LIGHT[0]), np.float32(1.0 / (SKIN_LIGHT[1] - SKIN_LIGHT[0]))
_COLOURED, _COLOURED_SPAN = (
    np.float32(SKIN_SATURATION[0]),
    np.float32(1.0 / (SKIN_SATURATION[1] - SKIN_SATURATION[0])),
)
_VIVID, _VIVID_SPAN = np.float32(ROSY_SATURATION[1]), np.float32(1.0 / (ROSY_SATURATION[1] - ROSY_SATURATION[0]))
_YELLOWER, _YELLOWER_SPAN = np.float32(YELLOWER[0]), np.float32(1.0 / (YELLOWER[1] - YELLOWER[0]))
_ROSY, _ROSY_SPAN = np.float32(ROSY_HUES[0]), np.float32(1.0 / (ROSY_HUES[1] - ROSY_HUES[0]))


@kernel
def finish_row(red, green, blue, source_red, source_green, source_blue, gains, chroma, follows=_FOLLOWS):  # type: ignore[no-untyped-def]
    """`finish.finished` of a row in place: float32 rows in 0..1 of the result and of the photo, and its `Tones`.

    Another share than `SKIN_FOLLOWS` is given as float32.
    """
    if gains.size > 0:
        tone_row(red, green, blue, source_red, source_green, source_blue, gains, np.float32(chroma))
    bound_skin(red, green, blue, source_red, source_green, source_blue, np.float32(chroma), follows)
    keep_highlights(red, green, blue, source_red, source_green, source_blue)


@kernel
def bound_skin(red, green, blue, source_red, source_green, source_blue, chroma, follows=_FOLLOWS):  # type: ignore[no-untyped-def]
    """`finish.bounded_skin` of a row in place; `chroma` and `follows` are float32."""
    growth = _GROWTH * _HALF * (_ONE + max(chroma, _ONE))
    for x in range(len(red)):
        r, g, b = source_red[x], source_green[x], source_blue[x]
        before = _RED * r + _GREEN * g + _BLUE * b
        after = _RED * red[x] + _GREEN * green[x] + _BLUE * blue[x]
        span = max(r - b, _LEAST)
        hue = (g - b) / span
        share = min(max((before - _LIGHT) * _LIGHT_SPAN, _ZERO), _ONE)
        share *= min(max((hue - _ROSY) * _ROSY_SPAN, _ZERO), _ONE)
        share *= min(max((np.float32(0.95) - hue) / np.float32(0.2), _ZERO), _ONE)
        saturation = (r - b) / max(r, _LEAST)
        share *= min(max((np.float32(0.9) - saturation) / np.float32(0.3), _ZERO), _ONE)
        share *= min(max((saturation - _COLOURED) * _COLOURED_SPAN, _ZERO), _ONE)
        yellow = min(max((hue - _YELLOWER) * _YELLOWER_SPAN, _ZERO), _ONE)
        share *= min(max((_VIVID + yellow - saturation) * _VIVID_SPAN, _ZERO), _ONE)
        narrow = max(max(r, max(g, b)) - min(r, min(g, b)), _LEAST)
        wide = max(max(red[x], max(green[x], blue[x])) - min(red[x], min(green[x], blue[x])), _LEAST)
        most = growth * (_FIVE * after + _THREE * before) / max(_THREE * after + _FIVE * before, _LEAST)
        most = max(most, (follows + (_ONE - follows) * yellow) * after / max(before, _LEAST))
        less = share * (_ONE - min(most * narrow / wide, _ONE))
        red[x] -= less * (red[x] - after)
        green[x] -= less * (green[x] - after)
        blue[x] -= less * (blue[x] - after)


@kernel
def keep_highlights(red, green, blue, source_red, source_green, source_blue, low=_HIGHLIGHT, scale=_HIGHLIGHT_SCALE):  # type: ignore[no-untyped-def]
    """The highlights of a row in place, without tones and colour.

    Another range than `HIGHLIGHT` is given by its low end and the reciprocal of its width, as float32.
    """
    for x in range(len(red)):
        r, g, b = source_red[x], source_green[x], source_blue[x]
        at = (_RED * r + _GREEN * g + _BLUE * b - low) * scale
        at = min(max(at, _ZERO), _ONE)
        kept = at * at * (_THREE - _TWO * at)
        red[x] += kept * max(r - red[x], _ZERO)
        green[x] += kept * max(g - green[x], _ZERO)
        blue[x] += kept * max(b - blue[x], _ZERO)


@kernel
def tone_row(red, green, blue, source_red, source_green, source_blue, gains, chroma):  # type: ignore[no-untyped-def]
    """Tones and colour of a row in place, without the highlights; `gains` has nodes, and `chroma` is float32."""
    last = np.int32(len(gains) - 2)
    scale = np.float32(len(gains) - 1)
    more = chroma - _ONE
    faded = min(max((_FADED - chroma) * _FADED_SPAN, _ZERO), _ONE)
    for x in range(len(red)):
        r, g, b = red[x], green[x], blue[x]
        grey = min(max(_RED * r + _GREEN * g + _BLUE * b, _ZERO), _ONE)
        at = grey * scale
        node = min(np.int32(at), last)
        gain = gains[node] + (at - np.float32(node)) * (gains[node + 1] - gains[node])
        toned = grey * gain
        span = max(r - b, _LEAST)
        hue = (g - b) / span
        saturation = (r - b) / max(r, _LEAST)
        skin = min(max((hue - np.float32(0.05)) / np.float32(0.15), _ZERO), _ONE)
        skin *= min(max((np.float32(0.95) - hue) / np.float32(0.2), _ZERO), _ONE)
        skin *= min(max((np.float32(0.9) - saturation) / np.float32(0.3), _ZERO), _ONE)
        dark = (_RED * source_red[x] + _GREEN * source_green[x] + _BLUE * source_blue[x]) * _DARK_SPAN
        dark = min(max(dark, _ZERO), _ONE)
        bright = min(max((grey - _BRIGHT) * _BRIGHT_SPAN, _ZERO), _ONE)
        spared = (_ONE - skin) * (dark * dark * (_THREE - _TWO * dark))
        colour = more * (spared + faded * (_ONE - spared))
        colour = _ONE + colour * (_ONE - bright * bright * (_THREE - _TWO * bright))
        above = max((max(r, max(g, b)) - grey) * gain, _LEAST)
        below = max(grey - min(r, min(g, b)), _LEAST)
        colour = min(colour, min(max(_ONE - toned, _ZERO) / above, max(grey / below, _ONE)))
        colour *= gain
        red[x] = min(max(toned + colour * (r - grey), _ZERO), _ONE)
        green[x] = min(max(toned + colour * (g - grey), _ZERO), _ONE)
        blue[x] = min(max(toned + colour * (b - grey), _ZERO), _ONE)
