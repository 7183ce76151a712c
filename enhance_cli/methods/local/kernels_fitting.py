"""The loops of the guided filter, compiled: coefficients of a small photo, and what they make of the large one.

Sums over windows are whole numbers, so that they are exact wherever they begin. Rows go through short loops that the
compiler vectorises.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhance_cli.engines.compiled import kernel
from enhance_cli.imaging.luma import flat_rows
from enhance_cli.imaging.vector_math import fma

Array = NDArray[Any]

_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)
_HALF = np.float32(0.5)
_FULL = np.float32(65535.0)

_RGB = 3
_PAIRS = 6
"""Products of two of three channels: RR, RG, RB, GG, GB, BB."""

_SUMS = 2 * _RGB + _PAIRS + 1
"""Sums of a window: of three channels, of their products, of the target, and of its products with the channels."""

TILE = 64
"""Least side of a tile, in pixels of the large photo."""


def coefficients(guide: Array, target: Array, radius: int, variance: float, rows: slice) -> Array:
    """The guided filter's coefficients: in the window around a pixel the target is nearly slopes · RGB + constant.

    With the means and the covariance matrix Σ of the colours, and the covariance c of the target and the colours,
    slopes = (Σ + variance · 1)⁻¹ c and constant = mean of the target - slopes · mean colours.

    Args:
        guide: h×w×3 uint8.
        target: h×w uint8, what is to become linear in the guide.
        radius: of the windows in pixels; beyond the photo they end.
        variance: added to the variance of the colours, which are in 0..1.
        rows: those that are wanted.

    Returns:
        float32 4×rows×w: a slope for each channel in 0..1, and the constant, of a target in 0..1.
    """
    planes = np.empty((4, rows.stop - rows.start, guide.shape[1]), np.float32)
    _coefficients(guide, target, radius, np.float32(variance * 255.0**2), rows.start, planes)
    return planes


def apply(
    pixels: Array,
    planes: Array,
    step: tuple[float, float],
    target: Array,
    reach: int,
    levels: tuple[float, float],
    rows: slice,
    first: int,
    out: Array,
) -> None:
    """Let coefficients of a small photo act on some rows of the large one, tile by tile.

    Where the target is constant as far as the windows reach, so is the result, and the photo is not read.

    Args:
        pixels: H×W×3 uint8 or uint16.
        planes: float32 5×h×w of the small photo's rows from `first` on: three slopes, a constant, and the least value
            of the result; bilinear between the centres of pixels.
        step: rows and columns of the photo for one of the small photo.
        target: uint8, the whole small photo's.
        reach: of the windows, in pixels of the small photo.
        levels: values that become 0 and 65535.
        rows: of the small photo; the last of them takes what the photo has beyond.
        first: the small photo's row that `planes` begins with.
        out: H×W uint16; receives the values of these rows.
    """
    line, stride = flat_rows(pixels)
    scale = 1.0 / (levels[1] - levels[0])
    numbers = np.array((scale / np.iinfo(pixels.dtype).max, scale, levels[0] * scale), np.float32)
    _apply(line, stride, planes, step[0], step[1], target, reach, numbers, rows.start, rows.stop, first, out)


@kernel
def _coefficients(guide, target, radius, variance, start, planes):  # type: ignore[no-untyped-def]
    height, width = target.shape
    columns = np.zeros((_SUMS, width), np.int32)
    means = np.empty((_SUMS, width), np.float32)
    first = max(start - radius, 0)
    for y in range(first, min(start + radius, height)):
        _add_row(guide[y], target[y], np.int32(1), columns)
    for i in range(planes.shape[1]):
        y = start + i
        if y + radius < height:
            _add_row(guide[y + radius], target[y + radius], np.int32(1), columns)
        if y - radius - 1 >= first:
            _add_row(guide[y - radius - 1], target[y - radius - 1], np.int32(-1), columns)
        count = min(y + radius + 1, height) - max(y - radius, 0)
        for k in range(_SUMS):
            _window_means(columns[k], radius, count, means[k])
        _solve(means, variance, planes[:, i])


@kernel
def _add_row(guide, target, sign, columns):  # type: ignore[no-untyped-def]
    """Add one row of the guide and the target to the sums over columns, or take it away."""
    for x in range(len(target)):
        r, g, b, t = np.int32(guide[x, 0]), np.int32(guide[x, 1]), np.int32(guide[x, 2]), sign * np.int32(target[x])
        columns[0, x] += sign * r
        columns[1, x] += sign * g
        columns[2, x] += sign * b
        columns[9, x] += t
        columns[10, x] += t * r
        columns[11, x] += t * g
        columns[12, x] += t * b
        r *= sign
        columns[3, x] += r * np.int32(guide[x, 0])
        columns[4, x] += r * g
        columns[5, x] += r * b
        columns[6, x] += sign * g * g
        columns[7, x] += sign * g * b
        columns[8, x] += sign * b * b


@kernel
def _window_means(column, radius, count, out):  # type: ignore[no-untyped-def]
    """Means over windows of sums over columns."""
    width = len(column)
    total = np.int32(0)
    for x in range(min(radius, width)):
        total += column[x]
    for x in range(width):
        if x + radius < width:
            total += column[x + radius]
        if x - radius - 1 >= 0:
            total -= column[x - radius - 1]
        covered = min(x + radius + 1, width) - max(x - radius, 0)
        out[x] = np.float32(total) / np.float32(covered * count)


@kernel
def _solve(means, variance, planes):  # type: ignore[no-untyped-def]
    """One row of coefficients, by the factors L D Lᵀ of the covariance matrix: its determinant would be a small
    difference of large products, because the colours of a window are nearly grey.
    """
    white = np.float32(255.0)
    for x in range(means.shape[1]):
        r, g, b, t = means[0, x], means[1, x], means[2, x], means[9, x]
        rr = means[3, x] - r * r + variance
        rg = means[4, x] - r * g
        rb = means[5, x] - r * b
        gg = means[6, x] - g * g + variance
        gb = means[7, x] - g * b
        bb = means[8, x] - b * b + variance
        one = means[10, x] - t * r
        two = means[11, x] - t * g
        three = means[12, x] - t * b
        g_of_r, b_of_r = rg / rr, rb / rr
        gg -= g_of_r * rg
        gb -= g_of_r * rb
        b_of_g = gb / gg
        bb -= b_of_r * rb + b_of_g * gb
        two -= g_of_r * one
        three -= b_of_r * one + b_of_g * two
        blue = three / bb
        green = two / gg - b_of_g * blue
        red = one / rr - g_of_r * green - b_of_r * blue
        planes[0, x] = red
        planes[1, x] = green
        planes[2, x] = blue
        planes[3, x] = (t - red * r - green * g - blue * b) / white


@kernel
def _apply(line, stride, planes, down, across, target, reach, numbers, top, bottom, first, out):  # type: ignore[no-untyped-def]
    height, width = target.shape
    rows, columns = out.shape
    tall, wide = max(1, round(TILE / down)), max(1, round(TILE / across))
    scale, offset = numbers[1], numbers[2]
    lowest, highest = np.empty(width, target.dtype), np.empty(width, target.dtype)
    # Two rows of coefficients at the columns of a tile, and which rows they are.
    lines = np.empty((2, 5, int(wide * across) + 2 + max(0, columns - int(width * across))), np.float32)
    for upper in range(top, bottom, tall):
        lower = min(upper + tall, bottom)
        _extremes(target, max(upper - reach, 0), min(lower + reach, height), lowest, highest)
        start, end = int(upper * down), rows if lower == height else int(lower * down)
        for left in range(0, width, wide):
            right = min(left + wide, width)
            begin, stop = int(left * across), columns if right == width else int(right * across)
            near = slice(max(left - reach, 0), min(right + reach, width))
            least, most = lowest[near].min(), highest[near].max()
            if least == most:
                value = scale * np.float32(least) / np.float32(255.0) - offset
                out[start:end, begin:stop] = np.uint16(min(max(value, _ZERO), _ONE) * _FULL + _HALF)
                continue
            held = -2
            for y in range(start, end):
                at = min(max((y + 0.5) / down - 0.5, 0.0), height - 1.0)
                row = min(int(at), max(height - 2, 0))
                if row != held:
                    for k in range(2):
                        if k == 0 and row == held + 1:
                            lines[0] = lines[1]
                        else:
                            _widen(planes, min(row + k, height - 1) - first, across, begin, stop, lines[k])
                    held = row
                samples = line[y * stride + 3 * begin : y * stride + 3 * stop]
                _fitted_row(samples, lines[0], lines[1], np.float32(at - row), numbers, out[y, begin:stop])


@kernel
def _extremes(target, top, bottom, lowest, highest):  # type: ignore[no-untyped-def]
    """The least and the greatest value in some rows of every column."""
    lowest[:] = target[top]
    highest[:] = target[top]
    for y in range(top + 1, bottom):
        row = target[y]
        for x in range(len(row)):
            lowest[x] = min(lowest[x], row[x])
            highest[x] = max(highest[x], row[x])


@kernel
def _widen(planes, row, across, begin, stop, out):  # type: ignore[no-untyped-def]
    """A row of the small photo's coefficients at the columns of the large one."""
    width = planes.shape[2]
    for x in range(begin, stop):
        at = min(max((x + 0.5) / across - 0.5, 0.0), width - 1.0)
        j = min(int(at), max(width - 2, 0))
        right = np.float32(at - j)
        beside = min(j + 1, width - 1)
        for k in range(5):
            near = planes[k, row, j]
            out[k, x - begin] = fma(right, planes[k, row, beside] - near, near)


@kernel
def _fitted_row(samples, above, below, down, numbers, out):  # type: ignore[no-untyped-def]
    """One row of a tile: slopes · RGB + constant between `levels`, at least the fifth plane, as uint16."""
    unit, scale, offset = numbers[0], numbers[1], numbers[2]
    for x in range(len(out)):
        red = fma(down, below[0, x] - above[0, x], above[0, x])
        green = fma(down, below[1, x] - above[1, x], above[1, x])
        blue = fma(down, below[2, x] - above[2, x], above[2, x])
        constant = fma(down, below[3, x] - above[3, x], above[3, x])
        least = fma(down, below[4, x] - above[4, x], above[4, x])
        total = red * np.float32(samples[3 * x]) + green * np.float32(samples[3 * x + 1])
        total = fma(unit, fma(blue, np.float32(samples[3 * x + 2]), total), fma(scale, constant, -offset))
        out[x] = np.uint16(min(max(total, least, _ZERO), _ONE) * _FULL + _HALF)
