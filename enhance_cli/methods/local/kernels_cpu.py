"""The pixel kernels of local on NumPy arrays: the network's brightening, the tail and the lock in one pass.

The same functions as `kernels_cuda.py`, equal to within one grey level. Rows go through short loops over buffers that
fit the L1 and L2 caches, which the compiler vectorises; only the look-ups of the bilateral grid are scalar, in a row of
the grid blended beforehand, so that a pixel needs four nodes, not eight. The tail sees three rows of the brightened
image, so three are kept and each is computed once.

A pixel's output depends only on its position in the whole image and on its neighbours: a window with its neighbours
gives the same bits as the whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhance_cli.engines.compiled import kernel
from enhance_cli.imaging.luma import flat_rows
from enhance_cli.imaging.vector_math import exp_row, fma

Array = NDArray[Any]

_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)
_HALF = np.float32(0.5)
_BRIGHTEST = np.float32(1e4)
_FULL = np.float32(65535.0)


def render(
    pixels: Array,
    fall_off: Array,
    field: Array,
    guide: Array,
    tail: Array,
    degree: float,
    lock: bool,
    region: tuple[int, int],
    cells: tuple[float, float, float, float],
    place: tuple[int, int] = (0, 0),
    out: Array | None = None,
) -> Array:
    """Light a window under the fall-off t, refined by the tail, rounded once, half up.

    With three dimensions `field` is STAR's curve maps: eight steps x <- x + r t (x² - x), where r less
    (1 / degree - 1) |r| stands for r in A. With four it is DeepUPE's grid of 3×4 matrices: the illumination
    S = I + (1 - I) sigmoid(matrix (I, 1)) is tied to t, 1 / S' = 1 + t (1 / S - 1), and S' times the degree divides
    I. In B the degree is ramped by a smoothstep of t.

    Args:
        pixels: h×w×3 uint8 or uint16, the window.
        fall_off: uint16, t times 65535 of a part of the whole image; 0 elsewhere.
        field: float32 rows×columns×bins×12 or rows×columns×24, cells whose centres lie evenly over the whole.
        guide: float32 H×6 and a last row: weights of the roots of R, G, B and of t, bias, weight of the output; the
            last row's last is the output's bias. Not read for curve maps.
        tail: float32 3×37: 4×3×3 weights of lit R, G, B and t, and a bias.
        degree: of light; smaller is brighter.
        lock: whether pixels with t = 0 stay, and those with t below a quarter are blended with what they were.
        region: row and column in the whole image of the first value of `fall_off`.
        cells: of `field` from one row of the whole image to the next, cells above its first row, and the same for
            columns: (rows / height, 0, columns / width, 0) but for an image that is itself a part of one.
        place: row and column in the whole image of the window's first pixel.
        out: receives the result; of the shape of `pixels`, and not the same memory.

    Returns:
        Like `pixels`. At an edge of the window that is not an edge of the image, the tail repeats the outermost pixels.
    """
    out = np.empty_like(pixels) if out is None else out
    box = lit_part(fall_off.shape, region, pixels.shape, place) if lock else (0, *pixels.shape[:1], 0, pixels.shape[1])
    first, last, start, end = box
    if lock:
        out[...] = pixels
    if first >= last or start >= end:
        return out
    line, stride = flat_rows(pixels)
    target, target_stride = flat_rows(out, writable=True)
    _render(
        line,
        stride,
        target,
        target_stride,
        pixels.shape[0],
        pixels.shape[1],
        np.array(box, np.int64),
        fall_off,
        np.ascontiguousarray(field).reshape(*field.shape[:2], -1),
        field.shape[2] if field.ndim == 4 else 0,
        guide,
        tail,
        np.float32(degree),
        lock,
        np.array((*region, *place), np.int64),
        np.array(cells, np.float64),
        float(np.iinfo(pixels.dtype).max),
    )
    return out


def lit_part(
    part: tuple[int, ...], region: tuple[int, int], window: tuple[int, ...], place: tuple[int, int]
) -> tuple[int, int, int, int]:
    """The intersection of a window with a part of the image: first row, last, first column, last (exclusive)."""
    first, start = max(region[0] - place[0], 0), max(region[1] - place[1], 0)
    last, end = min(region[0] + part[0] - place[0], window[0]), min(region[1] + part[1] - place[1], window[1])
    return first, last, start, end


@kernel
def _render(  # type: ignore[no-untyped-def]
    line,
    stride,
    target,
    target_stride,
    rows,
    columns,
    box,
    fall_off,
    field,
    bins,
    guide,
    tail,
    degree,
    lock,
    places,
    cells,
    white,
):
    first, last, start, end = box[0], box[1], box[2], box[3]
    # The tail looks one column beyond what is written, where the window has one.
    before, beyond = max(start - 1, 0), min(end + 1, columns)
    count = beyond - before
    inputs = np.empty((3, 4, count + 2), np.float32)
    source = np.empty((3, count), np.float32)
    scratch = np.empty((4, count), np.float32)
    whole = np.empty(count, np.int32)
    nodes = np.empty(count, np.int32)
    blended = np.empty((field.shape[1], field.shape[2]), np.float32)
    sums = np.empty((3, end - start), np.float32)
    right = np.empty(count, np.float64)
    for x in range(count):
        at = (places[3] + before + x + 0.5) * cells[2] + cells[3] - 0.5
        right[x] = min(max(at, 0.0), field.shape[1] - 1.0)
    full = np.float32(white)
    done = -1
    for y in range(first, last):
        for near in range(max(y - 1, 0), min(y + 2, rows)):
            if near <= done:
                continue
            done = near
            row = line[near * stride + 3 * before : near * stride + 3 * beyond]
            _blend_rows(field, (places[2] + near + 0.5) * cells[0] + cells[1] - 0.5, blended)
            lit = inputs[near % 3]
            _light(row, full, lit, places[2] + near, places[3] + before, places, fall_off, source)
            if bins > 0:
                _illuminate(lit, source, right, field.shape[1], bins, blended, guide, degree, scratch, whole, nodes)
            else:
                _curve(lit, source, right, field.shape[1], blended, degree, scratch)
            for c in range(4):
                lit[c, 0] = lit[c, 1]
                lit[c, count + 1] = lit[c, count]
        _refine(inputs, y, rows, start - before, tail, sums)
        row = line[y * stride + 3 * start : y * stride + 3 * end]
        to = target[y * target_stride + 3 * start : y * target_stride + 3 * end]
        _store(row, full, sums, inputs[y % 3, 3, 1 + start - before :], lock, to)


@kernel
def _light(row, white, lit, y, left, places, fall_off, source):  # type: ignore[no-untyped-def]
    """A row of samples as light, and its fall-off in the fourth row of `lit`."""
    count = source.shape[1]
    red, green, blue = source[0], source[1], source[2]
    for x in range(count):
        red[x] = np.float32(row[3 * x]) / white
        green[x] = np.float32(row[3 * x + 1]) / white
        blue[x] = np.float32(row[3 * x + 2]) / white
    share = lit[3]
    share[:] = _ZERO
    above = y - places[0]
    if 0 <= above < fall_off.shape[0]:
        start = max(places[1] - left, 0)
        end = min(places[1] + fall_off.shape[1] - left, count)
        values = fall_off[above]
        for x in range(start, end):
            share[x + 1] = np.float32(values[x + left - places[1]]) / _FULL


@kernel
def _ramp(share):  # type: ignore[no-untyped-def]
    return share * share * (np.float32(3.0) - np.float32(2.0) * share)


@kernel
def _blend_rows(field, at, blended):  # type: ignore[no-untyped-def]
    """The row of cells at a place between the centres of cells."""
    at = min(max(at, 0.0), field.shape[0] - 1.0)
    i = min(int(at), max(field.shape[0] - 2, 0))
    down = np.float32(at - i)
    above = field[i]
    below = field[min(i + 1, field.shape[0] - 1)]
    for j in range(field.shape[1]):
        for k in range(field.shape[2]):
            blended[j, k] = above[j, k] + down * (below[j, k] - above[j, k])


@kernel
def _illuminate(lit, source, across, columns, bins, blended, guide, degree, scratch, whole, nodes):  # type: ignore[no-untyped-def]
    """One row lit by DeepUPE's illumination."""
    count = source.shape[1]
    share = lit[3, 1 : count + 1]
    up, right = scratch[0], scratch[1]
    _guide(source, share, guide, scratch, whole)
    flat = blended.ravel()
    last_column = np.int32(max(columns - 2, 0))
    last_bin = np.int32(max(bins - 2, 0))
    for x in range(count):
        j = min(np.int32(across[x]), last_column)
        right[x] = np.float32(across[x] - j)
        tone = min(max(up[x] * np.float32(bins) - _HALF, _ZERO), np.float32(bins - 1))
        k = min(np.int32(tone), last_bin)
        up[x] = tone - np.float32(k)
        nodes[x] = (j * np.int32(bins) + k) * np.int32(12)
    step = np.uint64(12 * bins) if columns > 1 else np.uint64(0)
    higher = np.uint64(12) if bins > 1 else np.uint64(0)
    red, green, blue = source[0], source[1], source[2]
    node = np.empty(12, np.float32)
    for x in range(count):
        n = np.uint64(nodes[x])
        v = right[x]
        u = up[x]
        one = (_ONE - u) * (_ONE - v)
        two = u * (_ONE - v)
        three = (_ONE - u) * v
        four = u * v
        for i in range(12):
            m = n + np.uint64(i)
            near = fma(two, flat[m + higher], one * flat[m])
            node[i] = fma(four, flat[m + step + higher], fma(three, flat[m + step], near))
        r, g, b = red[x], green[x], blue[x]
        lit[0, x + 1] = fma(node[2], b, fma(node[1], g, node[0] * r)) + node[3]
        lit[1, x + 1] = fma(node[6], b, fma(node[5], g, node[4] * r)) + node[7]
        lit[2, x + 1] = fma(node[10], b, fma(node[9], g, node[8] * r)) + node[11]
    factor = scratch[2]
    for x in range(count):
        factor[x] = _ONE / fma(degree - _ONE, _ramp(share[x]), _ONE)
    for c in range(3):
        values = lit[c, 1 : count + 1]
        light = source[c]
        for x in range(count):
            scratch[3, x] = min(max(-values[x], np.float32(-80.0)), np.float32(80.0))
        exp_row(scratch[3], whole)
        for x in range(count):
            value = light[x]
            # 1 / S, with the sigmoid's 1 / (1 + e) in it: one division for both.
            inverse = min((_ONE + scratch[3, x]) / fma(value, scratch[3, x], _ONE), _BRIGHTEST)
            gain = fma(share[x], inverse - _ONE, _ONE)
            values[x] = min(value * gain * factor[x], _ONE)


@kernel
def _guide(source, share, guide, scratch, whole):  # type: ignore[no-untyped-def]
    """The position of the pixels of a row along the grid's third axis, into the first row of `scratch`."""
    count = source.shape[1]
    roots = scratch[1:4]
    for c in range(3):
        for x in range(count):
            roots[c, x] = np.sqrt(source[c, x])
    total = scratch[0]
    hidden = guide.shape[0] - 1
    total[:] = guide[hidden, 5]
    for h in range(hidden):
        a, b, c, d, bias, out = guide[h, 0], guide[h, 1], guide[h, 2], guide[h, 3], guide[h, 4], guide[h, 5]
        for x in range(count):
            value = fma(d, share[x], fma(c, roots[2, x], fma(b, roots[1, x], a * roots[0, x]))) + bias
            total[x] = fma(out, max(value, _ZERO), total[x])
    for x in range(count):
        total[x] = min(max(-total[x], np.float32(-80.0)), np.float32(80.0))
    exp_row(total, whole)
    for x in range(count):
        total[x] = _ONE / (_ONE + total[x])


@kernel
def _curve(lit, source, across, columns, blended, degree, scratch):  # type: ignore[no-untyped-def]
    """One row lit by STAR's curve maps."""
    count = source.shape[1]
    share = lit[3, 1 : count + 1]
    right, further = scratch[0], scratch[1]
    for x in range(count):
        further[x] = (_ONE / degree - _ONE) * _ramp(share[x])
    for c in range(3):
        values = lit[c, 1 : count + 1]
        for x in range(count):
            values[x] = source[c, x]
    start = 0
    while start < count:  # a run of pixels lies between the same two cells
        j = min(int(across[start]), max(columns - 2, 0))
        end = start
        while end < count and min(int(across[end]), max(columns - 2, 0)) == j:
            right[end] = np.float32(across[end] - j)
            end += 1
        one, two = blended[j], blended[min(j + 1, columns - 1)]
        part, beyond, along = share[start:end], further[start:end], right[start:end]
        for c in range(3):
            values = lit[c, start + 1 : end + 1]
            for step in range(0, 24, 12):
                a, b, d, e = one[step + c], one[step + 3 + c], one[step + 6 + c], one[step + 9 + c]
                f, g, h, i = two[step + c] - a, two[step + 3 + c] - b, two[step + 6 + c] - d, two[step + 9 + c] - e
                for x in range(len(values)):
                    u = along[x]
                    value = _stepped(values[x], fma(f, u, a) * part[x], beyond[x])
                    value = _stepped(value, fma(g, u, b) * part[x], beyond[x])
                    value = _stepped(value, fma(h, u, d) * part[x], beyond[x])
                    values[x] = _stepped(value, fma(i, u, e) * part[x], beyond[x])
        start = end


@kernel
def _stepped(value, rate, further):  # type: ignore[no-untyped-def]
    """One step of the curve; `further` brightens whatever the sign of the rate."""
    rate = min(max(fma(-further, abs(rate), rate), -_ONE), _ONE)
    return fma(rate, fma(value, value, -value), value)


@kernel
def _refine(inputs, y, rows, offset, tail, sums):  # type: ignore[no-untyped-def]
    """The lit row plus a 3×3 convolution of lit image and fall-off; beyond the image its edge is repeated."""
    count = sums.shape[1]
    for c in range(3):
        total = sums[c]
        lit = inputs[y % 3, c, offset + 1 : offset + 1 + count]
        bias = tail[c, 36]
        for x in range(count):
            total[x] = lit[x] + bias
        for k in range(4):
            w = tail[c, 9 * k : 9 * k + 9]
            w0, w1, w2, w3, w4, w5, w6, w7, w8 = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8]
            above = inputs[max(y - 1, 0) % 3, k]
            here = inputs[y % 3, k]
            below = inputs[min(y + 1, rows - 1) % 3, k]
            # Separate slices: with offsets in the index the compiler does not vectorise the loop.
            a, b, d = above[offset : offset + count], above[offset + 1 : offset + 1 + count], above[offset + 2 :]
            e, f, g = here[offset : offset + count], here[offset + 1 : offset + 1 + count], here[offset + 2 :]
            h, i, j = below[offset : offset + count], below[offset + 1 : offset + 1 + count], below[offset + 2 :]
            for x in range(count):
                total[x] += (
                    fma(w2, d[x], fma(w1, b[x], w0 * a[x]))
                    + fma(w5, g[x], fma(w4, f[x], w3 * e[x]))
                    + fma(w8, j[x], fma(w7, i[x], w6 * h[x]))
                )


@kernel
def _store(row, white, sums, share, lock, to):  # type: ignore[no-untyped-def]
    count = sums.shape[1]
    for x in range(count):
        part = min(np.float32(4.0) * share[x], _ONE)
        part = _ramp(part) if lock else _ONE
        for c in range(3):
            value = np.float32(row[3 * x + c])
            new = min(max(sums[c, x], _ZERO), _ONE) * white
            to[3 * x + c] = np.int32(fma(part, new - value, value) + _HALF)
