"""The compiled loops by which chroma follows luma (docs/papers.md, C9), on rows; `kernels_cpu` runs them."""

from __future__ import annotations

import numpy as np

from enhance_cli.engines.compiled import kernel
from enhance_cli.methods.clahe_adaptive.chroma import LARGEST, NEAR_WHITE, SKIN

PART = 512
"""Pixels whose chroma is worked on together: 14 KiB of numbers, which stay in the L1 cache."""


@kernel
def mean_row(source, stride, first, last, width, across, sums, out):  # type: ignore[no-untyped-def]
    """Means, rounded half up, of luma over the blocks that samples of chroma stand for; blocks end with the image."""
    sums[:] = 0
    for y in range(first, last):
        row = source[y * stride : y * stride + width]
        for x in range(len(row)):
            sums[x] = np.uint16(sums[x] + np.uint16(row[x]))
    whole = width // across
    count = np.float32((last - first) * across)
    half = np.float32(0.5) * count
    if across == 2:
        for x in range(whole):
            out[x] = np.int32((np.float32(np.int32(sums[2 * x]) + np.int32(sums[2 * x + 1])) + half) / count)
    elif across == 1:
        for x in range(whole):
            out[x] = np.int32((np.float32(sums[x]) + half) / count)
    else:
        for x in range(whole):
            total = np.int32(0)
            for k in range(across):
                total += np.int32(sums[x * across + k])
            out[x] = np.int32((np.float32(total) + half) / count)
    if whole < len(out):
        total = np.int32(0)
        for k in range(whole * across, width):
            total += np.int32(sums[k])
        count = np.float32((last - first) * (width - whole * across))
        out[whole] = np.int32((np.float32(total) + np.float32(0.5) * count) / count)


@kernel
def tint_row(tint, y):  # type: ignore[no-untyped-def]
    """The means of chroma for the pixels of row `y` of a window, bilinearly between the centres of their parts."""
    means, rows, columns, out, _, spread, drawn = tint
    band = np.searchsorted(rows[0], y, side="right") - 1
    if drawn[0] != band:
        drawn[0] = band
        _spread_row(means[rows[1][band]], columns, spread[0])
        _spread_row(means[rows[2][band]], columns, spread[1])
    share = rows[3][y]
    for channel in range(2):
        upper = spread[0, channel]
        lower = spread[1, channel]
        blended = out[channel]
        for x in range(len(blended)):
            blended[x] = upper[x] + (lower[x] - upper[x]) * share


@kernel
def _spread_row(means, columns, out):  # type: ignore[no-untyped-def]
    """A row of means, bilinearly over the columns of a window: 2×w."""
    edges, before, after, weights = columns
    for channel in range(2):
        for run in range(len(before)):
            left = means[before[run], channel]
            step = means[after[run], channel] - left
            for x in range(edges[run], edges[run + 1]):
                out[channel, x] = left + step * weights[x]


@kernel
def _ramp(value, none, full):  # type: ignore[no-untyped-def]
    """0 at `none`, 1 at `full`, linear between."""
    return min(max((value - np.float32(none)) * np.float32(1 / (full - none)), np.float32(0)), np.float32(1))


@kernel
def _follow(pixels, noise):  # type: ignore[no-untyped-def]
    """Colour differences that follow luma (docs/papers.md, C9) for a part of a row; all in 8-bit levels.

    Everything lies in one array, at distances known to the compiler: it would not vectorise a loop over seven arrays
    that may overlap.

    Args:
        pixels: `PART` numbers each of luma before and after, R-Y, G-Y, B-Y (replaced), and the means of R-Y and B-Y.
        noise: deviation from the means that grows half as much.
    """
    one = np.float32(1)
    half = np.float32(0.5)
    for x in range(PART):
        before = pixels[x]
        after = pixels[x + PART]
        red = pixels[x + 2 * PART]
        green = pixels[x + 3 * PART]
        blue = pixels[x + 4 * PART]
        mean_red = pixels[x + 5 * PART]
        mean_blue = pixels[x + 6 * PART]
        growth = min(max(after / max(before, one), one), np.float32(LARGEST)) - one
        growth *= one - _ramp(after, NEAR_WHITE[0], NEAR_WHITE[1])
        cr = np.float32(0.713) * red
        cb = np.float32(0.564) * blue
        skin = _ramp(before, 30, 42) * _ramp(cr, 3, 6) * _ramp(cr, 50, 46) * _ramp(cb, 0, -3) * _ramp(cb, -56, -52)
        growth = min(growth, np.float32(SKIN - 1) + (one - skin) * np.float32(LARGEST))
        apart = (red - mean_red) * (red - mean_red) + (blue - mean_blue) * (blue - mean_blue)
        own = one + growth * apart / (apart + noise * noise)
        shared = one + growth - own
        mean_green = np.float32(-0.299 / 0.587) * mean_red + np.float32(-0.114 / 0.587) * mean_blue
        red = own * red + shared * mean_red
        green = own * green + shared * mean_green
        blue = own * blue + shared * mean_blue
        highest = max(max(red, green), max(blue, half))
        lowest = max(max(-red, -green), max(-blue, half))
        fit = min(one, min((np.float32(255.5) - after) / highest, (after + half) / lowest))
        pixels[x + 2 * PART] = fit * red
        pixels[x + 3 * PART] = fit * green
        pixels[x + 4 * PART] = fit * blue


@kernel
def _fill(pixels, first, values, start, count, scale):  # type: ignore[no-untyped-def]
    """Copy `count` values from `start` on, scaled, to the part of `pixels` that begins at `first`."""
    target = pixels[first : first + count]
    source = values[start : start + count]
    for x in range(len(source)):
        target[x] = np.float32(source[x]) * scale


@kernel
def follow_rgb(rgb, luma, shaded, means, noise, pixels, out):  # type: ignore[no-untyped-def]
    """The shaded luma and the colour differences that follow it, rounded half to even and clipped."""
    zero = np.float32(0)
    white = np.float32(255 if luma.itemsize == 1 else 65535)
    unit = np.float32(1 if luma.itemsize == 1 else 257)
    scale = np.float32(1) / unit
    for start in range(0, len(luma), PART):
        count = min(PART, len(luma) - start)
        _fill(pixels, 0, luma, start, count, scale)
        _fill(pixels, PART, shaded, start, count, scale)
        _fill(pixels, 5 * PART, means[0], start, count, np.float32(1))
        _fill(pixels, 6 * PART, means[1], start, count, np.float32(1))
        source = rgb[3 * start : 3 * (start + count)]
        for x in range(count):
            pixels[x + 2 * PART] = np.float32(source[3 * x]) * scale - pixels[x]
            pixels[x + 3 * PART] = np.float32(source[3 * x + 1]) * scale - pixels[x]
            pixels[x + 4 * PART] = np.float32(source[3 * x + 2]) * scale - pixels[x]
        _follow(pixels, noise)
        target = out[3 * start : 3 * (start + count)]
        for x in range(count):
            after = pixels[x + PART]
            target[3 * x] = np.int32(np.rint(min(max((after + pixels[x + 2 * PART]) * unit, zero), white)))
            target[3 * x + 1] = np.int32(np.rint(min(max((after + pixels[x + 3 * PART]) * unit, zero), white)))
            target[3 * x + 2] = np.int32(np.rint(min(max((after + pixels[x + 4 * PART]) * unit, zero), white)))


@kernel
def follow_planes(blue, red, luma, shaded, means, noise, pixels, out_blue, out_red):  # type: ignore[no-untyped-def]
    """Cb and Cr that follow luma, rounded half to even and clipped."""
    one = np.float32(1)
    middle = np.float32(128)
    for start in range(0, len(luma), PART):
        count = min(PART, len(luma) - start)
        _fill(pixels, 0, luma, start, count, one)
        _fill(pixels, PART, shaded, start, count, one)
        _fill(pixels, 2 * PART, red, start, count, one)
        _fill(pixels, 4 * PART, blue, start, count, one)
        _fill(pixels, 5 * PART, means[0], start, count, one)
        _fill(pixels, 6 * PART, means[1], start, count, one)
        for x in range(PART):
            of_red = np.float32(1.402) * (pixels[x + 2 * PART] - middle)
            of_blue = np.float32(1.772) * (pixels[x + 4 * PART] - middle)
            pixels[x + 2 * PART] = of_red
            pixels[x + 3 * PART] = np.float32(-0.299 / 0.587) * of_red + np.float32(-0.114 / 0.587) * of_blue
            pixels[x + 4 * PART] = of_blue
        _follow(pixels, noise)
        _store_chroma(pixels, 4 * PART, np.float32(1 / 1.772), out_blue[start : start + count])
        _store_chroma(pixels, 2 * PART, np.float32(1 / 1.402), out_red[start : start + count])


@kernel
def _store_chroma(pixels, first, scale, out):  # type: ignore[no-untyped-def]
    """Colour differences as samples of chroma."""
    source = pixels[first : first + len(out)]
    for x in range(len(out)):
        sample = source[x] * scale + np.float32(128)
        out[x] = np.int32(np.rint(min(max(sample, np.float32(0)), np.float32(255))))
