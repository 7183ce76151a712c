"""The pixel kernels of clode on NumPy arrays: the proxy, and the grid sliced and the curve applied in one pass.

The same functions as `kernels_cuda.py`, equal to within one grey level. A row of pixels goes through three loops over
buffers that fit the L1 cache: conversion to light and tone, vectorised; grid look-ups, which are scalar, in a grid
row blended beforehand so that a pixel needs four nodes, not eight; and the curve, vectorised again, with our own
exponential because a library call would prevent it.

A pixel's position in the grid depends only on its position in the whole image, so rendering a window gives the same
bits as that part of the whole.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhance_cli.engines.compiled import kernel
from enhance_cli.errors import UsageError
from enhance_cli.imaging.area import area_means
from enhance_cli.imaging.blocks import read as read
from enhance_cli.imaging.finish import LEAST, Tones
from enhance_cli.imaging.finish_rows import finish_row
from enhance_cli.imaging.luma import flat_rows
from enhance_cli.imaging.vector_math import exp_row
from enhance_cli.methods.clode.curve import SKIN, SKIN_CHROMA, SKIN_SATURATION, STEEPNESS
from enhance_cli.methods.clode.curve import shifted as shifted
from enhance_cli.methods.clode.solvers import LIGHT_STEPS, Derivative, Step

Array = NDArray[Any]

_ONE = np.float32(1.0)
_HALF = np.float32(0.5)
_ZERO = np.float32(0.0)
_LEAST = np.float32(LEAST)
_STEEPNESS = np.float32(STEEPNESS)
_RED, _GREEN, _BLUE = np.float32(0.299), np.float32(0.587), np.float32(0.114)
_SKIN, _SKIN_SPAN = np.float32(SKIN[0]), np.float32(1.0 / (SKIN[1] - SKIN[0]))
_SKIN_CHROMA, _SKIN_SATURATION = np.float32(SKIN_CHROMA), np.float32(SKIN_SATURATION)


# --- the proxy ---------------------------------------------------------------------------------------------


def proxy(pixels: Array, height: int, width: int) -> Array:
    """Area means of an H×W×3 image as light: float32 3×height×width in 0..1."""
    return area_means(pixels, height, width)


# --- library solvers ---------------------------------------------------------------------------------------


def step_on_light(solver: str) -> Step:
    """A fixed step of `euler`, `midpoint` or `rk4`."""
    return LIGHT_STEPS[solver]


def adaptive(
    derivative: Derivative, start: Array, times: Sequence[float], tol: float
) -> Iterator[tuple[float, Array, int]]:
    """SciPy's Dormand-Prince 4(5): (time, state, steps so far) at each time, by quartic interpolation between steps."""
    if sys.modules.get("scipy.linalg.cython_blas", sys) is None:
        del sys.modules["scipy.linalg.cython_blas"]  # the command line keeps Numba from loading it; SciPy needs it
    try:
        from scipy.integrate import RK45
    except ImportError:
        raise UsageError("--solver dopri5 needs SciPy, which is not installed here; choose another solver.") from None

    def flat(time: float, state: Array) -> Array:
        return derivative(time, state).ravel()  # type: ignore[no-any-return]

    course = RK45(flat, 0.0, start.ravel(), np.inf if times[0] > 0 else -np.inf, rtol=tol, atol=tol)
    steps = 0
    for wanted in times:
        while abs(course.t) < abs(wanted):
            course.step()
            steps += 1
        yield wanted, course.dense_output()(wanted), steps


# --- rendering ---------------------------------------------------------------------------------------------


def itself(light: Array) -> Array:
    """Light, where kernels work on it."""
    return light


def padded(light: Array, rows: int, columns: int) -> Array:
    """Light 3×h×w with further rows and columns like its last ones."""
    return np.pad(light, ((0, 0), (0, rows), (0, columns)), mode="edge")


def nothing(light: Array) -> Array:
    """Zeros like light."""
    return np.zeros_like(light)


def render(
    pixels: Array,
    grid: Array,
    shift: Array,
    tones: Tones,
    share: float,
    height: int,
    width: int,
    top: int = 0,
    left: int = 0,
    out: Array | None = None,
) -> Array:
    """Slice the shift and apply the curve to a window, rounded once, half up.

    Args:
        pixels: h×w×3 uint8 or uint16: the window whose first pixel is (`top`, `left`) of a `height`×`width` image.
        grid: float32 rows×columns×bins×3, shifts over position and square root of luma; empty for no shift.
        shift: float32 3×H×W, the shift of every pixel, used instead of the grid unless empty.
        tones: the curve of the whole image, for the end of the light (`imaging.finish`).
        share: of the common ratio in the colours (see `curve.coloured`).
        height: rows of the whole image.
        width: columns of the whole image.
        top: first row of the window.
        left: first column of the window.
        out: h×w×3 of the dtype of `pixels` to write into; may be `pixels` itself.

    Returns:
        `out`, or a new array like it.
    """
    out = np.empty(pixels.shape, pixels.dtype) if out is None else out
    line, stride = flat_rows(pixels)
    target, target_stride = flat_rows(out, writable=True)
    white = float(np.iinfo(pixels.dtype).max)
    _render_codes(
        *(line, stride, target, target_stride, white, pixels.shape[0], pixels.shape[1]),
        *_field(grid, shift, height, width, top, left, pixels.shape),
        *(np.float32(share), tones.gains, np.float32(tones.chroma)),
    )
    return out


def render_light(
    pixels: Array,
    grid: Array,
    shift: Array,
    tones: Tones,
    share: float,
    height: int,
    width: int,
    top: int = 0,
    left: int = 0,
) -> Array:
    """As `render`, before rounding: float32 3×h×w in 0..1, for the denoiser."""
    line, stride = flat_rows(pixels)
    out = np.empty((3, *pixels.shape[:2]), np.float32)
    _render_planes(
        *(line, stride, out, float(np.iinfo(pixels.dtype).max)),
        *_field(grid, shift, height, width, top, left, pixels.shape),
        *(np.float32(share), tones.gains, np.float32(tones.chroma)),
    )
    return out


def store(light: Array, noise: Array, strength: float, out: Array) -> None:
    """Light minus its noise, clipped and rounded half up, into h×w×3 codes; `light` and `noise` are 3×h×w."""
    _store(light, noise, np.float32(strength), float(np.iinfo(out.dtype).max), out)


def _field(
    grid: Array, shift: Array, height: int, width: int, top: int, left: int, shape: tuple[int, ...]
) -> tuple[Any, ...]:
    rows, columns = shape[:2]
    if top < 0 or left < 0 or top + rows > height or left + columns > width:
        raise ValueError(f"the window {rows}x{columns} at ({top}, {left}) reaches out of {height}x{width}")
    if shift.size:
        if shift.shape != (3, height, width):
            raise ValueError(f"shifts of {shift.shape} for a picture of {height}x{width}")
    elif grid.ndim != 4 or grid.shape[3] != 3 or (grid.size and min(grid.shape) < 2):
        raise ValueError(f"a grid of {grid.shape} has no cells")
    return grid, shift, height, width, top, left


@kernel
def _render_codes(  # type: ignore[no-untyped-def]
    line,
    stride,
    target,
    target_stride,
    white,
    rows,
    columns,
    grid,
    shift,
    height,
    width,
    top,
    left,
    share,
    gains,
    chroma,
):
    light = np.empty((6, columns), np.float32)
    scratch = np.empty((4, columns), np.float32)
    codes = np.empty((4, columns), np.int32)
    blended = np.empty(grid.shape[1:], np.float32)
    full = np.float32(white)
    changed = shift.size > 0 or grid.size > 0
    for y in range(rows):
        row = line[y * stride : y * stride + 3 * columns]
        _curve_row(row, full, grid, shift, height, width, top + y, left, share, light, scratch, codes, blended)
        if changed:
            finish_row(light[0], light[1], light[2], light[3], light[4], light[5], gains, chroma)
        to = target[y * target_stride : y * target_stride + 3 * columns]
        red, green, blue = light[0], light[1], light[2]
        for x in range(columns):
            to[3 * x] = np.int32(red[x] * full + _HALF)
            to[3 * x + 1] = np.int32(green[x] * full + _HALF)
            to[3 * x + 2] = np.int32(blue[x] * full + _HALF)


@kernel
def _render_planes(line, stride, out, white, grid, shift, height, width, top, left, share, gains, chroma):  # type: ignore[no-untyped-def]
    _, rows, columns = out.shape
    light = np.empty((6, columns), np.float32)
    scratch = np.empty((4, columns), np.float32)
    codes = np.empty((4, columns), np.int32)
    blended = np.empty(grid.shape[1:], np.float32)
    full = np.float32(white)
    changed = shift.size > 0 or grid.size > 0
    for y in range(rows):
        row = line[y * stride : y * stride + 3 * columns]
        _curve_row(row, full, grid, shift, height, width, top + y, left, share, light, scratch, codes, blended)
        if changed:
            finish_row(light[0], light[1], light[2], light[3], light[4], light[5], gains, chroma)
        for c in range(3):  # `out[:, y] = light` would take seconds to compile, for the text of an error
            to = out[c, y]
            values = light[c]
            for x in range(columns):
                to[x] = values[x]


@kernel
def _store(light, noise, strength, white, out):  # type: ignore[no-untyped-def]
    _, height, width = light.shape
    full = np.float32(white)
    for y in range(height):
        for c in range(3):
            clean = light[c, y]
            grain = noise[c, y]
            row = out[y]
            for x in range(width):
                value = min(max(clean[x] - strength * grain[x], np.float32(0.0)), _ONE)
                row[x, c] = np.int32(value * full + _HALF)


@kernel
def _curve_row(row, white, grid, shift, height, width, y, left, share, light, scratch, codes, blended):  # type: ignore[no-untyped-def]
    """Apply the curve to one row, into `light`: the result in its first three rows, the photo in the others.

    `scratch` and `codes` are buffers, `blended` is one row of the grid.
    """
    columns = light.shape[1]
    red, green, blue = light[0], light[1], light[2]
    up = scratch[3]
    scale = _ONE / white
    bins = np.float32(grid.shape[2] - 1)
    for x in range(columns):
        r = np.float32(row[3 * x])
        g = np.float32(row[3 * x + 1])
        b = np.float32(row[3 * x + 2])
        red[x] = r / white
        green[x] = g / white
        blue[x] = b / white
        light[3, x] = red[x]
        light[4, x] = green[x]
        light[5, x] = blue[x]
        tone = (np.float32(0.299) * r + np.float32(0.587) * g + np.float32(0.114) * b) * scale
        up[x] = min(np.sqrt(tone), _ONE) * bins
    if shift.size > 0:
        for c in range(3):
            source = shift[c, y]
            to = scratch[c]
            for x in range(columns):
                to[x] = source[left + x]
    elif grid.size == 0:
        return
    else:
        _slice_row(grid, height, width, y, left, up, scratch, codes, blended)
    if share > np.float32(0.0):
        _curve_mixed(red, green, blue, scratch, codes, share)
    else:
        for c in range(3):
            exp_row(scratch[c], codes[c])
            values = light[c]
            gains = scratch[c]
            for x in range(columns):
                bright = values[x] * gains[x]
                values[x] = bright / (_ONE - values[x] + bright)


@kernel
def _slice_row(grid, height, width, y, left, up, scratch, codes, blended):  # type: ignore[no-untyped-def]
    rows, columns, bins = grid.shape[0] - 1, grid.shape[1] - 1, grid.shape[2] - 1
    at_row = (y + 0.5) * rows / height
    i = min(int(at_row), rows - 1)
    down = np.float32(at_row - i)
    above = grid[i].ravel()
    below = grid[i + 1].ravel()
    near = blended.ravel()
    for i in range(len(near)):
        near[i] = above[i] + down * (below[i] - above[i])
    stride = 3 * (bins + 1)
    nodes = codes[0]
    right = codes[1].view(np.float32)
    for x in range(len(up)):
        at_column = np.float64(left + x + 0.5) * columns / width
        j = min(np.int32(at_column), np.int32(columns - 1))
        right[x] = np.float32(at_column - j)
        tone = min(np.int32(up[x]), np.int32(bins - 1))
        up[x] -= np.float32(tone)
        nodes[x] = j * np.int32(stride) + np.int32(3) * tone
    one, two, three = scratch[0], scratch[1], scratch[2]
    for x in range(len(up)):
        n = np.uint64(nodes[x])
        m = np.uint64(n + np.uint64(stride))
        u = up[x]
        v = right[x]
        a = near[n] + u * (near[n + np.uint64(3)] - near[n])
        b = near[m] + u * (near[m + np.uint64(3)] - near[m])
        one[x] = a + v * (b - a)
        a = near[n + np.uint64(1)] + u * (near[n + np.uint64(4)] - near[n + np.uint64(1)])
        b = near[m + np.uint64(1)] + u * (near[m + np.uint64(4)] - near[m + np.uint64(1)])
        two[x] = a + v * (b - a)
        a = near[n + np.uint64(2)] + u * (near[n + np.uint64(5)] - near[n + np.uint64(2)])
        b = near[m + np.uint64(2)] + u * (near[m + np.uint64(5)] - near[m + np.uint64(2)])
        three[x] = a + v * (b - a)


@kernel
def _curve_mixed(red, green, blue, scratch, codes, share):  # type: ignore[no-untyped-def]
    """The curve per channel, mixed with a common ratio at the largest channel (`curve.coloured`)."""
    common = scratch[3]
    third = np.float32(1.0 / 3.0)
    one, two, three = scratch[0], scratch[1], scratch[2]
    for x in range(len(red)):
        common[x] = (one[x] + two[x] + three[x]) * third
    for c in range(4):
        exp_row(scratch[c], codes[c])
    steep = _STEEPNESS if share < _ONE else np.float32(1e9)
    kept = _ONE if share < _ONE else _ZERO
    for x in range(len(red)):
        r, g, b = red[x], green[x], blue[x]
        peak = max(r, max(g, b))
        part = share * min(peak * steep, _ONE)
        rest = _ONE - part
        ratio = part * (common[x] / (_ONE - peak + peak * common[x]))
        lifted = r * one[x]
        new_red = rest * (lifted / (_ONE - r + lifted)) + ratio * r
        lifted = g * two[x]
        new_green = rest * (lifted / (_ONE - g + lifted)) + ratio * g
        lifted = b * three[x]
        new_blue = rest * (lifted / (_ONE - b + lifted)) + ratio * b
        # `curve.with_skin`
        before = _RED * r + _GREEN * g + _BLUE * b
        after = _RED * new_red + _GREEN * new_green + _BLUE * new_blue
        span = max(r - b, _LEAST)
        hue = (g - b) / span
        skin = min(max((hue - np.float32(0.05)) / np.float32(0.15), _ZERO), _ONE)
        skin *= min(max((np.float32(0.95) - hue) / np.float32(0.2), _ZERO), _ONE)
        skin *= min(max((np.float32(0.9) - (r - b) / max(r, _LEAST)) / np.float32(0.3), _ZERO), _ONE)
        skin *= kept * min(max((before - _SKIN) * _SKIN_SPAN, _ZERO), _ONE)
        most = max(_SKIN_CHROMA, _SKIN_SATURATION * after / max(before, _LEAST))
        most = min(most, max(_ONE - after, _ZERO) / max(peak - before, _LEAST))
        most = min(most, after / max(before - min(r, min(g, b)), _LEAST))
        r -= before
        g -= before
        b -= before
        chroma = (new_red - after) * r + (new_green - after) * g + (new_blue - after) * b
        chroma = min(max(chroma / max(r * r + g * g + b * b, _LEAST * _LEAST), _ZERO), most)
        red[x] = new_red + skin * (after + chroma * r - new_red)
        green[x] = new_green + skin * (after + chroma * g - new_green)
        blue[x] = new_blue + skin * (after + chroma * b - new_blue)
