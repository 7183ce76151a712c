"""The first stage of retinex on rows of pixels: light, its candidates, their scores, and their fusion.

`kernels_cpu` runs it on every row of a strip. Rows are stored as their even columns followed by their odd ones. The
formulas are those of `formulas`, written for one pass: divisions are products with one reciprocal per pixel.
"""

from __future__ import annotations

import numpy as np

from enhance_cli.engines.compiled import kernel
from enhance_cli.imaging.vector_math import exp_row, log2_row
from enhance_cli.imaging.vector_math import fma_pair as fma
from enhance_cli.methods.retinex.formulas import (
    LEAST,
    LEAST_OF_NEGATIVE,
    LUMA,
    NEARLY_WHITE,
    OFFSET,
    SATURATION,
    TOE,
)

_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)
_LEAST = np.float32(LEAST)
_LEAST_OF_NEGATIVE = np.float32(LEAST_OF_NEGATIVE)
_OFFSET = np.float32(OFFSET)
_TOE = np.float32(TOE)
_SATURATION = np.float32(SATURATION)
_NEARLY_WHITE = np.float32(NEARLY_WHITE)
_RED, _GREEN, _BLUE = (np.float32(weight) for weight in LUMA)
_LN2 = np.float32(0.6931471805599453)
_STEEPEST = np.float32(80.0)
"""Exponents are clipped to this magnitude: beyond it float32 powers of e overflow, and a sigmoid is 0 or 1."""


@kernel
def load(frames, y, columns, images):  # type: ignore[no-untyped-def]
    """Convert one row of every frame to light and saturation."""
    stride, white = frames.stride, frames.white
    for k in range(frames.exposures):
        row = frames.line[k * frames.between + y * stride : k * frames.between + (y + 1) * stride]
        # An image's own light is the middle candidate of three; frames are candidates themselves.
        image = images[1] if frames.exposures == 1 else images[k]
        red, green, blue, saturation = image[0], image[1], image[2], image[3]
        for x in range(len(columns)):
            at = np.uint64(3 * columns[x])
            red[x] = row[at]
            green[x] = row[at + np.uint64(1)]
            blue[x] = row[at + np.uint64(2)]
        for x in range(len(columns)):
            red[x] /= white
            green[x] /= white
            blue[x] /= white
        for x in range(len(columns)):
            saturation[x] = max(red[x], max(green[x], blue[x])) - min(red[x], min(green[x], blue[x]))


@kernel
def light_candidates(illumination, y, height, columns, cell, across, images, scratch, codes, curves):  # type: ignore[no-untyped-def]
    """The two illuminations of a row and the candidates from them; the forward one is left in scratch[5]."""
    bright, dark, k, o = scratch[0], scratch[1], scratch[2], scratch[3]
    red, green, blue = images[1, 0], images[1, 1], images[1, 2]
    for x in range(len(columns)):
        bright[x] = max(red[x], max(green[x], blue[x]))
        dark[x] = _ONE - min(red[x], min(green[x], blue[x]))
    _row_of(illumination.forward, y, height, curves[0])
    _row_of(illumination.inverse, y, height, curves[1])

    _slice(curves[0], bright, cell, across, k, o, codes)
    light = scratch[5]
    _illuminate(bright, k, o, light, codes)
    used = _powered(light, illumination.power, k, codes)
    for x in range(len(columns)):
        k[x] = _ONE / max(used[x], _LEAST)
    for c in range(3):
        values, to = images[1, c], images[0, c]
        for x in range(len(columns)):
            to[x] = min(values[x] * k[x], _ONE)

    _slice(curves[1], dark, cell, across, k, o, codes)
    _illuminate(dark, k, o, scratch[4], codes)
    used = _powered(scratch[4], illumination.inverse_power, k, codes)
    kept = dark  # the factor on differences between channels
    for x in range(len(columns)):
        value = max(used[x], _LEAST_OF_NEGATIVE)
        offset = _OFFSET * value * (_ONE - value)
        gain = _ONE / (value + offset)
        trusted = dark[x] / max(fma(_TOE, _ONE - value, dark[x]), _NEARLY_WHITE)
        o[x] = fma(-offset, gain, _ONE)
        k[x] = trusted * gain
        kept[x] = min(_SATURATION * (value + offset), _ONE)
    to_red, to_green, to_blue = images[2, 0], images[2, 1], images[2, 2]
    for x in range(len(columns)):
        r = fma(red[x] - _ONE, k[x], o[x])
        g = fma(green[x] - _ONE, k[x], o[x])
        b = fma(blue[x] - _ONE, k[x], o[x])
        luma = fma(_BLUE, b, fma(_GREEN, g, _RED * r))
        to_red[x] = min(max(fma(kept[x], r - luma, luma), _ZERO), _ONE)
        to_green[x] = min(max(fma(kept[x], g - luma, luma), _ZERO), _ONE)
        to_blue[x] = min(max(fma(kept[x], b - luma, luma), _ZERO), _ONE)
    for i in range(0, 3, 2):
        red, green, blue, saturation = images[i, 0], images[i, 1], images[i, 2], images[i, 3]
        for x in range(len(columns)):
            saturation[x] = max(red[x], max(green[x], blue[x])) - min(red[x], min(green[x], blue[x]))


@kernel
def _row_of(grid, y, height, out):  # type: ignore[no-untyped-def]
    """The grid at a row of pixels, columns×bins×2."""
    at = (y + 0.5) * (grid.shape[0] - 1) / height
    row = min(int(at), max(grid.shape[0] - 2, 0))
    below = grid[min(row + 1, grid.shape[0] - 1)].ravel()
    down = np.float32(at - row)
    above = grid[row].ravel()
    to = out.ravel()
    for i in range(len(to)):
        to[i] = above[i] + down * (below[i] - above[i])


@kernel
def _slice(curves, channel, cell, across, k, o, whole):  # type: ignore[no-untyped-def]
    """The curve of every pixel of a row: `k` times the tone, and `o`, by position and tone."""
    columns, bins, _ = curves.shape
    values = curves.ravel()
    for x in range(len(channel)):
        tone = np.sqrt(channel[x])
        k[x] = tone
        o[x] = tone * np.float32(bins - 1)
        whole[x] = min(np.int32(o[x]), np.int32(bins - 2))
        o[x] -= np.float32(whole[x])
    if columns == 1:
        for x in range(len(channel)):
            at = np.uint64(2 * whole[x])
            up = o[x]
            slope = values[at] + up * (values[at + np.uint64(2)] - values[at])
            o[x] = values[at + np.uint64(1)] + up * (values[at + np.uint64(3)] - values[at + np.uint64(1)])
            k[x] *= slope
        return
    for x in range(len(channel)):
        at = np.uint64(2 * (cell[x] * bins + whole[x]))
        to = at + np.uint64(2 * bins)
        up = o[x]
        a = values[at] + up * (values[at + np.uint64(2)] - values[at])
        b = values[to] + up * (values[to + np.uint64(2)] - values[to])
        k[x] *= a + across[x] * (b - a)
        a = values[at + np.uint64(1)] + up * (values[at + np.uint64(3)] - values[at + np.uint64(1)])
        b = values[to + np.uint64(1)] + up * (values[to + np.uint64(3)] - values[to + np.uint64(1)])
        o[x] = a + across[x] * (b - a)


@kernel
def _illuminate(channel, k, o, light, whole):  # type: ignore[no-untyped-def]
    """L = b + (1 - b) sigmoid(k u + o)."""
    for x in range(len(channel)):
        light[x] = min(max(-(k[x] + o[x]), -_STEEPEST), _STEEPEST)
    exp_row(light, whole)
    for x in range(len(channel)):
        light[x] = channel[x] + (_ONE - channel[x]) / (_ONE + light[x])


@kernel
def _powered(light, power, scratch, whole):  # type: ignore[no-untyped-def]
    """`light` to a power: itself for 1, else in `scratch`."""
    if power == _ONE:
        return light
    for x in range(len(light)):
        scratch[x] = max(light[x], np.float32(1e-6))
    log2_row(scratch, whole)
    for x in range(len(light)):
        scratch[x] *= power * _LN2
    exp_row(scratch, whole)
    return scratch


@kernel
def score_of(image, fusion, candidate, hidden, scratch, score):  # type: ignore[no-untyped-def]
    """How well exposed a candidate is: 4 -> hidden -> half of it -> 1 at every pixel, two neurons at a time."""
    first, bias, second, second_bias, third = fusion
    bias, count = bias[candidate], score.shape[0]
    red, green, blue, saturation = image[0], image[1], image[2], image[3]
    for i in range(0, hidden.shape[0], 2):
        p0, p1, p2, p3, p4 = first[i, 0], first[i, 1], first[i, 2], first[i, 3], bias[i]
        q0, q1, q2, q3, q4 = first[i + 1, 0], first[i + 1, 1], first[i + 1, 2], first[i + 1, 3], bias[i + 1]
        a, b = hidden[i], hidden[i + 1]
        for x in range(count):
            r, g, h, s = red[x], green[x], blue[x], saturation[x]
            a[x] = max(fma(p3, s, fma(p2, h, fma(p1, g, fma(p0, r, p4)))), _ZERO)
            b[x] = max(fma(q3, s, fma(q2, h, fma(q1, g, fma(q0, r, q4)))), _ZERO)
    score[:] = _ZERO
    for o in range(0, second.shape[0], 2):
        a, b = scratch[0], scratch[1]
        a[:] = second_bias[o]
        b[:] = second_bias[o + 1]
        for i in range(0, second.shape[1], 4):
            _add_four(hidden, i, second[o], second[o + 1], a, b)
        p0, q0 = third[o], third[o + 1]
        for x in range(count):
            score[x] += fma(p0, max(a[x], _ZERO), q0 * max(b[x], _ZERO))


@kernel
def _add_four(values, i, p, q, a, b):  # type: ignore[no-untyped-def]
    """Four rows from the i-th on, times the weights p, to `a`, and times q to `b`."""
    u, v, w, z = values[i], values[i + 1], values[i + 2], values[i + 3]
    p0, p1, p2, p3 = p[i], p[i + 1], p[i + 2], p[i + 3]
    q0, q1, q2, q3 = q[i], q[i + 1], q[i + 2], q[i + 3]
    for x in range(len(a)):
        a[x] = fma(p3, z[x], fma(p2, w[x], fma(p1, v[x], fma(p0, u[x], a[x]))))
        b[x] = fma(q3, z[x], fma(q2, w[x], fma(q1, v[x], fma(q0, u[x], b[x]))))


@kernel
def softmax(scores, total, whole):  # type: ignore[no-untyped-def]
    """Softmax over candidates, in place: weights that sum to 1."""
    count, length = scores.shape
    for x in range(length):
        total[x] = scores[0, x]
    for k in range(1, count):
        score = scores[k]
        for x in range(length):
            total[x] = max(total[x], score[x])
    for k in range(count):
        score = scores[k]
        for x in range(length):
            score[x] = max(score[x] - total[x], -_STEEPEST)
        exp_row(score, whole)
    for x in range(length):
        total[x] = scores[0, x]
    for k in range(1, count):
        score = scores[k]
        for x in range(length):
            total[x] += score[x]
    for k in range(count):
        score = scores[k]
        for x in range(length):
            score[x] /= total[x]


@kernel
def blend(images, weights, row, odd, n):  # type: ignore[no-untyped-def]
    """The weighted sum of the candidates into a row of the ring, packed: channel, odd row, odd column."""
    for c in range(3):
        for side in range(2):
            to = row[4 * c + 2 * odd + side, :n]
            weight, values = weights[0, side * n : (side + 1) * n], images[0, c, side * n : (side + 1) * n]
            for x in range(n):
                to[x] = weight[x] * values[x]
            for k in range(1, len(images)):
                weight, values = weights[k, side * n : (side + 1) * n], images[k, c, side * n : (side + 1) * n]
                for x in range(n):
                    to[x] = fma(weight[x], values[x], to[x])
