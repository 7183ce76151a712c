"""The pixel kernels of irle on NumPy arrays: stage 1 by look-up, its gain, and everything after the denoiser.

The same functions as `kernels_cuda.py`, equal to within one grey level. White balance and curve are functions of single
samples, so they are given as tables with an entry for each code: a pixel costs six look-ups and a quotient.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from enhance_cli.engines.compiled import kernel
from enhance_cli.imaging.blocks import read as read
from enhance_cli.imaging.finish import Tones
from enhance_cli.imaging.finish_rows import finish_row
from enhance_cli.imaging.vector_math import log2_row
from enhance_cli.methods.irle.empty import HELD, Empty
from enhance_cli.methods.irle.pseudo_ground_truth import PALER, RICHER, SKIN_FOLLOWS
from enhance_cli.methods.irle.tone import PEDESTAL

Array = NDArray[Any]

BLUR, REACH = 4.0, 16
"""Standard deviation and radius of the Gaussian blur of luma, in pixels: a pixel's own noise must not affect its
gain."""

_ZERO, _HALF, _ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)
_LN2 = np.float32(0.6931471805599453)
_LEAST = np.float32(1e-4)
_FOLLOWS = np.float32(SKIN_FOLLOWS)
_HELD = np.float32(HELD)
_TOP, _END, _MORE = (np.float32(value) for value in RICHER)
_START, _LESS = np.float32(PALER[0]), np.float32(PALER[2])
_PER_TOP, _PER_FALL, _PER_WAY = (
    np.float32(1.0 / RICHER[0]),
    np.float32(1.0 / (RICHER[1] - RICHER[0])),
    np.float32(1.0 / PALER[1]),
)
_RED, _GREEN, _BLUE = np.float32(0.299), np.float32(0.587), np.float32(0.114)


def first_stage(codes: Array, light: Array, bright: Array) -> tuple[Array, Array]:
    """White balance and hue-preserving curve of an image (`tone.ToneCurve.picture`).

    Args:
        codes: h×w×3 uint8 or uint16, contiguous.
        light: 3×codes float32, the balanced light of each code.
        bright: 3×codes float32, the curve at that light.

    Returns:
        The bright image 3×h×w, in 0..1, and the luma of its balanced light, h×w; float32.
    """
    picture = np.empty((3, *codes.shape[:2]), np.float32)
    luma = np.empty(codes.shape[:2], np.float32)
    _first_stage(codes, light, bright, picture, luma)
    return picture, luma


def log_gain(luma: Array, curve: tuple[float, float, float, float]) -> Array:
    """Log of the curve's gain at blurred luma (`tone.ToneCurve.log_gain`), float32 like `luma`.

    The result is invalid within `REACH` pixels of a border that is not a border of the image.

    Args:
        luma: h×w float32; borders are reflected.
        curve: `tone.ToneCurve.gain_numbers`.
    """
    smooth = np.asarray(cv2.GaussianBlur(luma, (0, 0), BLUR), np.float32)
    gain = np.empty_like(smooth)
    _log_gain(smooth, *(np.float32(value) for value in (*curve, PEDESTAL)), gain)
    return gain


def finish(
    picture: Array,
    clean: Array,
    gain: Array,
    codes: Array,
    numbers: tuple[float, float, float, float],
    tones: Tones,
    empty: Empty,
    out: Array,
) -> None:
    """Remove noise, let colour follow the gain, apply the final factor, tones and highlights, hold back what is empty.

    Rounds half up.

    Args:
        picture: 3×h×w, stage 1.
        clean: the same from the denoiser; may be `picture` itself.
        gain: h×w, ln of the gain.
        codes: h×w×3 of the dtype of `out`, the photo.
        numbers: share of the noise to remove; ln of the gain from which this full share is removed (rising from 0
            at ln 0); the photo's factor of chroma; the final factor.
        tones: the curve of the whole image (`imaging.finish`).
        empty: what of it is empty, and where these pixels lie in it.
        out: h×w×3 uint8 or uint16.
    """
    settings = (np.float32(value) for value in (*numbers, tones.chroma, np.iinfo(out.dtype).max))
    _finish(picture, clean, gain, codes, tones.gains, *settings, empty.grid, *empty[1:], out)


def enlarge(small: Array, height: int, width: int, top: int, left: int, out: Array) -> None:
    """A window of a small image at full resolution, bilinear between the centres of its pixels, rounded half up.

    Args:
        small: h×w×3 float32 in 0..1.
        height: rows of the whole image.
        width: columns of the whole image.
        top: first row of the window.
        left: first column of the window.
        out: rows×columns×3 uint8 or uint16.
    """
    down = places(top, out.shape[0], height, small.shape[0])
    across = places(left, out.shape[1], width, small.shape[1])
    _enlarge(small, *down, *across, np.float32(np.iinfo(out.dtype).max), out)


def places(start: int, count: int, length: int, cells: int) -> tuple[Array, Array]:
    """The cell before each of `count` pixels from `start`, int64, and the fraction towards the next, float32."""
    at = np.clip((np.arange(start, start + count) + 0.5) * cells / length - 0.5, 0.0, cells - 1.0)
    cell = np.minimum(at.astype(np.int64), max(cells - 2, 0))
    return cell, (at - cell).astype(np.float32)


@kernel
def _first_stage(codes, light, bright, picture, luma):  # type: ignore[no-untyped-def]
    rows, columns, _ = codes.shape
    least = np.float32(1e-6)
    for y in range(rows):
        for x in range(columns):
            r, g, b = codes[y, x, 0], codes[y, x, 1], codes[y, x, 2]
            red, green, blue = light[0, r], light[1, g], light[2, b]
            luma[y, x] = _RED * red + _GREEN * green + _BLUE * blue
            # The curve is increasing, so the extremes of the result are the curve at the extremes.
            low = min(red, min(green, blue))
            high = max(red, max(green, blue))
            one, two, three = bright[0, r], bright[1, g], bright[2, b]
            bottom = min(one, min(two, three))
            slope = (max(one, max(two, three)) - bottom) / max(high - low, least)
            picture[0, y, x] = bottom + slope * (red - low)
            picture[1, y, x] = bottom + slope * (green - low)
            picture[2, y, x] = bottom + slope * (blue - low)


@kernel
def _log_gain(smooth, log_factor, slope, bound, deep, pedestal, gain):  # type: ignore[no-untyped-def]
    rows, columns = smooth.shape
    whole = np.empty(columns, np.int32)
    slope *= _LN2
    half = _HALF * _LN2
    for y in range(rows):
        blurred, row = smooth[y], gain[y]
        for x in range(columns):
            row[x] = max(blurred[x], _ZERO) + pedestal
        log2_row(row, whole)
        for x in range(columns):
            row[x] = min(min(log_factor + slope * row[x], bound), deep + half * row[x])


@kernel
def _hold_row(result, source, empty, place, width, left):  # type: ignore[no-untyped-def]
    """`empty.held` for a row at a place in 0..1 of the image's height."""
    cells, bins = empty.shape[1] - 1, empty.shape[2] - 1
    row, down = _cell(place * (empty.shape[0] - 1), empty.shape[0] - 1)
    nodes = empty[row] + down * (empty[row + 1] - empty[row])
    for x in range(result.shape[1]):
        red, green, blue = source[0, x], source[1, x], source[2, x]
        column, right = _cell((left + x + 0.5) / width * cells, cells)
        tone, up = _cell(np.sqrt(max(red, max(green, blue))) * np.float32(bins), bins)
        before = nodes[column, tone] + up * (nodes[column, tone + 1] - nodes[column, tone])
        after = nodes[column + 1, tone] + up * (nodes[column + 1, tone + 1] - nodes[column + 1, tone])
        share = before + right * (after - before)
        if share > _ZERO:
            for c in range(3):
                result[c, x] += share * (min(result[c, x], _HELD * source[c, x]) - result[c, x])


@kernel
def _cell(at, cells):  # type: ignore[no-untyped-def]
    """The cell that a place in 0..`cells` lies in, and how far into it."""
    first = min(int(at), cells - 1)
    return first, np.float32(at - first)


@kernel
def _finish(  # type: ignore[no-untyped-def]
    picture,
    clean,
    gain,
    codes,
    gains,
    strength,
    full,
    chroma,
    level,
    toned_chroma,
    white,
    empty,
    height,
    width,
    top,
    left,
    out,
):
    _, rows, columns = picture.shape
    result, source = np.empty((3, columns), np.float32), np.empty((3, columns), np.float32)
    scale = _ONE / white
    for y in range(rows):
        for x in range(columns):
            g = gain[y, x]
            share = strength * min(max(g / full, _ZERO), _ONE)
            red = picture[0, y, x] + share * (clean[0, y, x] - picture[0, y, x])
            green = picture[1, y, x] + share * (clean[1, y, x] - picture[1, y, x])
            blue = picture[2, y, x] + share * (clean[2, y, x] - picture[2, y, x])
            grey = _RED * red + _GREEN * green + _BLUE * blue
            colour = _ONE + _MORE * min(max(min(g * _PER_TOP, (_END - g) * _PER_FALL), _ZERO), _ONE)
            colour -= _LESS * min(max((g - _START) * _PER_WAY, _ZERO), _ONE)
            colour *= _ONE + (chroma - _ONE) * min(max(g * _PER_TOP, _ZERO), _ONE)
            above = (_ONE - grey) / max(max(red, max(green, blue)) - grey, _LEAST)
            below = grey / max(grey - min(red, min(green, blue)), _LEAST)
            colour = min(colour, max(min(above, below), _ONE))
            result[0, x] = min(max((grey + colour * (red - grey)) * level, _ZERO), _ONE)
            result[1, x] = min(max((grey + colour * (green - grey)) * level, _ZERO), _ONE)
            result[2, x] = min(max((grey + colour * (blue - grey)) * level, _ZERO), _ONE)
            source[0, x] = codes[y, x, 0] * scale
            source[1, x] = codes[y, x, 1] * scale
            source[2, x] = codes[y, x, 2] * scale
        finish_row(result[0], result[1], result[2], source[0], source[1], source[2], gains, toned_chroma, _FOLLOWS)
        if empty.size > 0:
            _hold_row(result, source, empty, (top + y + 0.5) / height, width, left)
        for x in range(columns):
            out[y, x, 0] = np.int32(result[0, x] * white + _HALF)
            out[y, x, 1] = np.int32(result[1, x] * white + _HALF)
            out[y, x, 2] = np.int32(result[2, x] * white + _HALF)


@kernel
def _enlarge(small, rows, down, columns, across, white, out):  # type: ignore[no-untyped-def]
    last_row, last_column = small.shape[0] - 1, small.shape[1] - 1
    for y in range(len(rows)):
        above, below = small[rows[y]], small[min(rows[y] + 1, last_row)]
        v = down[y]
        for x in range(len(columns)):
            i, j, u = columns[x], min(columns[x] + 1, last_column), across[x]
            for c in range(3):
                before = above[i, c] + v * (below[i, c] - above[i, c])
                after = above[j, c] + v * (below[j, c] - above[j, c])
                value = min(max(before + u * (after - before), _ZERO), _ONE)
                out[y, x, c] = np.int32(value * white + _HALF)
