"""The pixel work of retinex on numpy arrays: slice, divide, fuse and restore in one pass, without large temporaries.

The same functions as `kernels_cuda.py`, equal to one grey level. A window is done in vertical strips; down a strip
walks a cascade: two rows of pixels are mended and fused, then every convolution that now has its rows makes one of
its own, and the pixels three blocks above are finished. All that waits between are a few rows, which the second
cache holds. Rows are kept as their even columns followed by their odd ones: that is the packing of the restoration
network already, so that its twelve channels are views of them.

Loops are written so that the compiler makes vectors of them and keeps weights in registers; buffers are whole
numbers of vectors long. Every value of a pixel is a function of the pixels around it and of its place in the whole
picture, so rendering a window equals the same part of rendering the whole, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhance_cli.engines.compiled import kernel
from enhance_cli.imaging.luma import flat_rows
from enhance_cli.imaging.vector_math import exp_row, log2_row
from enhance_cli.imaging.vector_math import fma_pair as fma
from enhance_cli.methods.retinex.arrays import REACH, FusionWeights, Region, RestorationWeights
from enhance_cli.methods.retinex.formulas import (
    DARKEST,
    LEAST,
    LEAST_OF_NEGATIVE,
    LUMA,
    NEARLY_WHITE,
    OCTAVES,
    OFFSET,
    SATURATION,
    TOE,
)

Array = NDArray[Any]

_ZERO = np.float32(0.0)
_HALF = np.float32(0.5)
_ONE = np.float32(1.0)
_LEAST = np.float32(LEAST)
_LEAST_OF_NEGATIVE = np.float32(LEAST_OF_NEGATIVE)
_OFFSET = np.float32(OFFSET)
_TOE = np.float32(TOE)
_SATURATION = np.float32(SATURATION)
_RED, _GREEN, _BLUE = (np.float32(weight) for weight in LUMA)
_NEARLY_WHITE = np.float32(NEARLY_WHITE)
_DARKEST = np.float32(DARKEST)
_PER_OCTAVE = np.float32(1.0 / OCTAVES)
_LN2 = np.float32(0.6931471805599453)
_STEEPEST = np.float32(80.0)
"""Exponents are held within this: beyond it float32 knows no powers of e, and a sigmoid nothing but 0 and 1."""

_STRIP = 256
"""Blocks of 2×2 pixels to a strip, at most: the rows between then fit half a megabyte."""

_LANES = 16
"""Buffers are multiples of this many blocks long, two vectors of eight."""


def render(
    frames: Sequence[Array],
    region: Region,
    grids: tuple[Array, Array] | None,
    powers: tuple[float, float],
    fusion: FusionWeights,
    restoration: RestorationWeights | None,
    out: Array | None = None,
) -> Array:
    """Mend, fuse and restore a region of a window, rounded once, half up.

    Args:
        frames: h×w×3 uint8 or uint16, the same window of each exposure; one picture where there are `grids`.
        region: where the window lies, and which of its pixels are wanted.
        grids: rows×columns×bins×2 float32, the forward and the inverse illumination; None to fuse frames.
        powers: what the two illuminations are raised to.
        fusion: the network, with the first layer's biases per candidate: frames, or I / L, I, 1 - (1 - I) / L'.
        restoration: the network; None to leave noise alone.
        out: h×w×3 of the dtype of the frames to write the region's pixels into.

    Returns:
        `out`, or a new array like a frame; outside of the region it is not written.
    """
    out = np.empty(frames[0].shape, frames[0].dtype) if out is None else out
    target, target_stride = flat_rows(out, writable=True)
    nothing = np.empty((0, 0, 0), np.float32)
    _run(frames, region, grids, powers, fusion, restoration, target, target_stride, nothing, nothing)
    return out


def render_light(
    frames: Sequence[Array],
    region: Region,
    grids: tuple[Array, Array] | None,
    powers: tuple[float, float],
    fusion: FusionWeights,
    restoration: RestorationWeights,
) -> tuple[Array, Array]:
    """As `render`, before rounding: the fused light in 0..1 and the map to be added, float32 3×h×w of the region."""
    shape = (3, region.bottom - region.top, region.right - region.left)
    light, noise = np.empty(shape, np.float32), np.empty(shape, np.float32)
    nothing = np.empty(0, frames[0].dtype)
    _run(frames, region, grids, powers, fusion, restoration, nothing, 0, light, noise)
    return light, noise


def high_pass(noise: Array, taps: Array, region: Region, wanted: Region) -> Array:
    """The noise map of a region less its low frequencies, for a smaller region inside.

    Args:
        noise: float32 3×h×w, the map over `region`.
        taps: the symmetric low-pass filter from its middle on (see `noise_map.low_pass`).
        region: what `noise` covers: `wanted` and the filter's radius around it, as far as there is a picture.
        wanted: what to return.
    """
    reach = len(taps)
    rows = _mirrored(wanted.top - reach + 1, wanted.bottom + reach - 1, region.height) - region.top
    columns = _mirrored(wanted.left - reach + 1, wanted.right + reach - 1, region.width) - region.left
    out = np.empty((3, wanted.bottom - wanted.top, wanted.right - wanted.left), np.float32)
    _high_pass(noise, taps, rows, columns, out)
    return out


def store(light: Array, noise: Array, region: Region, out: Array) -> None:
    """Light and its noise map, 3×h×w of a region, clipped and rounded half up, into the window `out`."""
    inside = out[region.top - region.window_top : region.bottom - region.window_top]
    inside = inside[:, region.left - region.window_left : region.right - region.window_left]
    _store(light, noise, float(np.iinfo(out.dtype).max), inside)


def _mirrored(start: int, stop: int, length: int) -> Array:
    """Positions reflected at both ends, the end itself repeated, as the cosine transform extends a picture."""
    folded = np.arange(start, stop) % (2 * length)
    return np.minimum(folded, 2 * length - 1 - folded)


def _run(  # type: ignore[no-untyped-def]
    frames, region, grids, powers, fusion, restoration, target, target_stride, light, noise
) -> None:
    if len(frames) == 1:
        line, stride = flat_rows(frames[0])
        between = 0
    else:
        line = np.concatenate([np.ascontiguousarray(frame).ravel() for frame in frames])
        line.flags.writeable = False  # as `flat_rows` gives it: one type to the compiler
        stride, between = 3 * frames[0].shape[1], frames[0].size
    if grids is None:
        empty = np.empty((0, 0, 0, 2), np.float32)
        grids = empty, empty
    restore = restoration is not None
    if restoration is None:
        restoration = RestorationWeights.none()
    _cascade(
        *(line, stride, between, len(frames), float(np.iinfo(line.dtype).max)),
        *(region.window_top, region.window_left, frames[0].shape[1], region.height, region.width),
        *(region.top, region.left, region.bottom, region.right),
        *(grids[0], grids[1], np.float32(powers[0]), np.float32(powers[1])),
        *(fusion.first, fusion.biases, fusion.second, fusion.second_bias, fusion.third),
        *(restore, restoration.stem, restoration.convs, restoration.biases, restoration.heads, restoration.head_bias),
        *(target, target_stride, light, noise),
    )


@kernel
def _cascade(  # type: ignore[no-untyped-def]
    line, stride, between, count, white,
    window_top, window_left, window_width, height, width,
    top, left, bottom, right,
    forward, inverse, power, inverse_power,
    first, first_biases, second, second_bias, third,
    restore, stem, convs, biases, heads, head_bias,
    target, target_stride, light, noise,
):  # fmt: skip
    """Strip after strip, row of blocks after row of blocks; see the head of this file."""
    block_top, block_bottom = top // 2, (bottom + 1) // 2
    block_left, block_right = left // 2, (right + 1) // 2
    reach = REACH if restore else 0
    pieces = -(-(block_right - block_left) // _STRIP)
    step = -(-(block_right - block_left) // pieces)
    n = -(-(step + 2 * reach) // _LANES) * _LANES
    features = len(biases[0])
    candidates = len(first_biases)

    mended = np.zeros((4, 13, n + _LANES), np.float32)  # a ring of rows: packed light, and illumination
    layers = np.zeros((REACH, 3, features, n + _LANES), np.float32)  # a ring of rows for each convolution
    found = np.zeros((12, n), np.float32)
    columns = np.empty(2 * n, np.int32)
    cell = np.empty(2 * n, np.int32)
    across = np.empty(2 * n, np.float32)
    images = np.empty((candidates, 4, 2 * n), np.float32)
    scores = np.empty((candidates, 2 * n), np.float32)
    hidden = np.empty((first.shape[0], 2 * n), np.float32)
    room = np.empty((6, 2 * n), np.float32)
    codes = np.empty(2 * n, np.int32)
    curves = np.empty((2, *forward.shape[1:]), np.float32)
    full = np.float32(white)

    for piece in range(pieces):
        start = block_left + piece * step
        end = min(start + step, block_right)
        for x in range(n):
            block = min(max(start - reach + x, 0), (width - 1) // 2)
            for odd in range(2):
                column = min(2 * block + odd, width - 1)
                # Beyond the window there are blocks that no wanted pixel needs: any pixel will do.
                columns[odd * n + x] = min(max(column - window_left, 0), window_width - 1)
                at = (column + 0.5) * (forward.shape[1] - 1) / width
                cell[odd * n + x] = min(int(at), max(forward.shape[1] - 2, 0))
                across[odd * n + x] = np.float32(at - cell[odd * n + x])
        for q in range(block_top - reach, block_bottom + reach):
            row = mended[q % 4]
            block = min(max(q, 0), (height - 1) // 2)
            for odd in range(2):
                y = min(2 * block + odd, height - 1)
                _load(line, stride, between, count, y - window_top, columns, full, images)
                if forward.size > 0:
                    _mend(
                        y,
                        height,
                        columns,
                        cell,
                        across,
                        forward,
                        inverse,
                        power,
                        inverse_power,
                        images,
                        room,
                        codes,
                        curves,
                    )
                for k in range(candidates):
                    _score(images[k], first, first_biases[k], second, second_bias, third, hidden, room, scores[k])
                _weigh(scores, room[0], codes)
                _blend(images, scores, row, odd, n)
                if restore:
                    if forward.size > 0:
                        _pool(room[5], row[12], odd, n)
                    else:
                        row[12, :n] = _ONE
            p = q
            if restore:
                _squash(row[12, :n], codes)
                for layer in range(REACH):
                    r = q - 1 - layer  # the row that this convolution can make now
                    if r < block_top - REACH + 1 + layer:
                        break
                    made = layers[layer, r % 3]
                    if layer == 0:
                        _conv(mended[(r - 1) % 4], mended[r % 4], row, stem, biases[0], made, n)
                        _relu(made, n)
                    else:
                        before = layers[layer - 1]
                        _conv(
                            before[(r - 1) % 3],
                            before[r % 3],
                            before[(r + 1) % 3],
                            convs[layer - 1],
                            biases[layer],
                            made,
                            n,
                        )
                        _relu_and_skip(made, before[r % 3], n)
                p = q - REACH
                if p < block_top:
                    continue
                for o in range(12):
                    found[o, :] = head_bias[o]
                for layer in range(REACH):
                    _mix(layers[layer, p % 3], REACH - 1 - layer, heads[layer], found, n)
            for odd in range(2):
                y = 2 * p + odd
                if not top <= y < bottom:
                    continue
                if light.size > 0:
                    _put_planes(mended[p % 4], found, reach, odd, start, end, left, right, y - top, light, noise)
                else:
                    to = target[(y - window_top) * target_stride :]
                    _put_codes(
                        mended[p % 4], found, reach, odd, start, end, left, right, window_left, restore, full, to
                    )


# --- the curve and the fusion ------------------------------------------------------------------------------


@kernel
def _load(line, stride, between, count, y, columns, white, images):  # type: ignore[no-untyped-def]
    """One row of every frame to light, and how saturated it is."""
    for k in range(count):
        row = line[k * between + y * stride : k * between + (y + 1) * stride]
        # A picture's own light is the middle candidate of three; frames are candidates themselves.
        image = images[1] if count == 1 else images[k]
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
def _mend(  # type: ignore[no-untyped-def]
    y, height, columns, cell, across, forward, inverse, power, inverse_power, images, room, codes, curves
):
    """The two illuminations of a row and the candidates they make; the forward one stays in room[5]."""
    bright, dark, k, o = room[0], room[1], room[2], room[3]
    red, green, blue = images[1, 0], images[1, 1], images[1, 2]
    for x in range(len(columns)):
        bright[x] = max(red[x], max(green[x], blue[x]))
        dark[x] = _ONE - min(red[x], min(green[x], blue[x]))
    _row_of(forward, y, height, curves[0])
    _row_of(inverse, y, height, curves[1])

    _slice(curves[0], bright, cell, across, k, o, codes)
    light = room[5]
    _illuminate(bright, k, o, light, codes)
    used = _powered(light, power, k, codes)
    for x in range(len(columns)):
        k[x] = _ONE / max(used[x], _LEAST)
    for c in range(3):
        values, to = images[1, c], images[0, c]
        for x in range(len(columns)):
            to[x] = min(values[x] * k[x], _ONE)

    _slice(curves[1], dark, cell, across, k, o, codes)
    _illuminate(dark, k, o, room[4], codes)
    used = _powered(room[4], inverse_power, k, codes)
    kept = dark  # of the differences of channels
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
    """The curve of every pixel of a row: `k` times the tone, and `o`, by place and tone."""
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
def _powered(light, power, room, whole):  # type: ignore[no-untyped-def]
    """`light` to a power: itself for 1, else in `room`."""
    if power == _ONE:
        return light
    for x in range(len(light)):
        room[x] = max(light[x], np.float32(1e-6))
    log2_row(room, whole)
    for x in range(len(light)):
        room[x] *= power * _LN2
    exp_row(room, whole)
    return room


@kernel
def _score(image, first, bias, second, second_bias, third, hidden, room, score):  # type: ignore[no-untyped-def]
    """How well exposed a candidate is: 4 -> hidden -> half of it -> 1 at every pixel, two neurons at a time."""
    count = score.shape[0]
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
        a, b = room[0], room[1]
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
def _weigh(scores, total, whole):  # type: ignore[no-untyped-def]
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
def _blend(images, weights, row, odd, n):  # type: ignore[no-untyped-def]
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


# --- the restoration ---------------------------------------------------------------------------------------


@kernel
def _pool(light, to, odd, n):  # type: ignore[no-untyped-def]
    """Half of the mean illumination of 2×2 blocks, of their upper or lower row."""
    if odd == 0:
        for x in range(n):
            to[x] = light[x] + light[n + x]
    else:
        for x in range(n):
            to[x] = (to[x] + light[x] + light[n + x]) * np.float32(0.25)


@kernel
def _squash(light, whole):  # type: ignore[no-untyped-def]
    """Light 0..1 on a logarithmic scale from -1 to 1, as the network was trained on."""
    for x in range(len(light)):
        light[x] += _DARKEST
    log2_row(light, whole)
    for x in range(len(light)):
        light[x] = fma(light[x], _PER_OCTAVE, _ONE)


@kernel
def _conv(above, here, below, weights, bias, out, n):  # type: ignore[no-untyped-def]
    """One row of a 3×3 convolution: output column x sees the input's x, x + 1 and x + 2.

    One output and one input at a time: nine weights stay in registers, which is worth more than fewer loads.
    """
    for o in range(out.shape[0]):
        to = out[o, :n]
        to[:] = bias[o]
        for c in range(weights.shape[1]):
            u, v, w = above[c], here[c], below[c]
            p = weights[o, c]
            p0, p1, p2, p3, p4, p5, p6, p7, p8 = p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8]
            for x in range(n):
                t = fma(p2, u[x + 2], fma(p1, u[x + 1], fma(p0, u[x], to[x])))
                t = fma(p5, v[x + 2], fma(p4, v[x + 1], fma(p3, v[x], t)))
                to[x] = fma(p8, w[x + 2], fma(p7, w[x + 1], fma(p6, w[x], t)))


@kernel
def _relu(rows, n):  # type: ignore[no-untyped-def]
    for c in range(len(rows)):
        row = rows[c, :n]
        for x in range(n):
            row[x] = max(row[x], _ZERO)


@kernel
def _relu_and_skip(rows, before, n):  # type: ignore[no-untyped-def]
    """What is above 0, and the features of the layer before at the same place."""
    for c in range(len(rows)):
        row, skipped = rows[c, :n], before[c, 1 : n + 1]
        for x in range(n):
            row[x] = max(row[x], _ZERO) + skipped[x]


@kernel
def _mix(features, shift, weights, out, n):  # type: ignore[no-untyped-def]
    """Add a 1×1 convolution of features, `shift` columns on, to `out`; both counts are even."""
    for o in range(0, out.shape[0], 2):
        a, b = out[o], out[o + 1]
        for i in range(0, features.shape[0], 2):
            u, v = features[i, shift : shift + n], features[i + 1, shift : shift + n]
            p0, p1, q0, q1 = weights[o, i], weights[o, i + 1], weights[o + 1, i], weights[o + 1, i + 1]
            for x in range(n):
                a[x] = fma(p1, v[x], fma(p0, u[x], a[x]))
                b[x] = fma(q1, v[x], fma(q0, u[x], b[x]))


@kernel
def _put_codes(row, found, reach, odd, start, end, left, right, window_left, restore, white, to):  # type: ignore[no-untyped-def]
    """A finished row of pixels of a strip, blocks `start` to `end`, clipped and rounded."""
    room = np.empty((3, 2, end - start), np.int32)
    for c in range(3):
        for side in range(2):
            i = 4 * c + 2 * odd + side
            values, added, codes = row[i], found[i], room[c, side]
            if restore:
                for x in range(end - start):
                    light = min(max(values[x + reach] + added[x], _ZERO), _ONE)
                    codes[x] = np.int32(light * white + _HALF)
            else:
                for x in range(end - start):
                    codes[x] = np.int32(min(values[x], _ONE) * white + _HALF)
    for side in range(2):
        red, green, blue = room[0, side], room[1, side], room[2, side]
        first = 1 if 2 * start + side < left else 0
        last = end - start - 1 if 2 * end - 2 + side >= right else end - start
        for x in range(first, last):
            at = np.uint64(3 * (2 * (start + x) + side - window_left))
            to[at] = red[x]
            to[at + np.uint64(1)] = green[x]
            to[at + np.uint64(2)] = blue[x]


@kernel
def _put_planes(row, found, reach, odd, start, end, left, right, y, light, noise):  # type: ignore[no-untyped-def]
    """As `_put_codes`, light and noise map apart."""
    for c in range(3):
        for side in range(2):
            i = 4 * c + 2 * odd + side
            for x in range(end - start):
                column = 2 * (start + x) + side
                if left <= column < right:
                    light[c, y, column - left] = row[i, x + reach]
                    noise[c, y, column - left] = found[i, x]


# --- the noise map, by frequency ---------------------------------------------------------------------------


@kernel
def _high_pass(noise, taps, rows, columns, out):  # type: ignore[no-untyped-def]
    reach = len(taps) - 1
    _, height, width = out.shape
    down = np.empty(noise.shape[2], np.float32)
    wide = np.empty(len(columns), np.float32)
    low = np.empty(width, np.float32)
    for c in range(3):
        plane = noise[c]
        for y in range(height):
            here = plane[rows[y + reach]]
            for x in range(len(down)):
                down[x] = taps[0] * here[x]
            for t in range(1, reach + 1):
                tap, above, below = taps[t], plane[rows[y + reach - t]], plane[rows[y + reach + t]]
                for x in range(len(down)):
                    down[x] = fma(tap, above[x] + below[x], down[x])
            for x in range(len(wide)):
                wide[x] = down[columns[x]]
            for x in range(width):
                low[x] = taps[0] * wide[x + reach]
            for t in range(1, reach + 1):
                tap, before, after = taps[t], wide[reach - t :], wide[reach + t :]
                for x in range(width):
                    low[x] = fma(tap, before[x] + after[x], low[x])
            to = out[c, y]
            for x in range(width):
                to[x] = here[columns[x + reach]] - low[x]


@kernel
def _store(light, noise, white, out):  # type: ignore[no-untyped-def]
    _, height, width = light.shape
    full = np.float32(white)
    for y in range(height):
        for c in range(3):
            values, added, row = light[c, y], noise[c, y], out[y]
            for x in range(width):
                row[x, c] = np.int32(min(max(values[x] + added[x], _ZERO), _ONE) * full + _HALF)
