"""Smooths dark parts of a JPEG in which only the means of its blocks are left, before they are brightened.

A JPEG stores the frequencies of blocks of 8×8 samples, coarsely quantised. In dark parts often only the mean of a block
remains, and neighbouring means differ by a step of the quantiser, about two levels, in luma and chroma. This is
invisible until the image is brightened tenfold; then a chequerboard of grey, green and purple appears.

So dark blocks without detail are replaced by a smooth surface through the means of such blocks, at 16 bits, because
steps of one level would be visible too. Blocks that differ by more than a few quantiser steps are not mixed, which
preserves edges. The surface is computed once for the whole image, from the means; smoothing a window needs no pixels
around it, and gives the same bits for any window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from enhance_cli.engines.compiled import kernel
from enhance_cli.imaging.luma import flat_rows

if TYPE_CHECKING:
    from enhance_cli.types import Array

SIDE = 8
"""Samples along a block of a JPEG."""

FLAT = (2.0, 5.0)
"""Levels between the least and the greatest sample of a channel of a block up to which it is flat, and from which it
is not: chroma is stored at half the size, and interpolated across the borders of its blocks."""

DARK = (20.0, 36.0)
"""Mean luma of a block, in levels, up to which it is dark, and from which it is not: above, a gain is small."""

NEAR = (2.5, 5.0)
"""Levels between a pixel and the smooth surface up to which the surface takes its place, and from which it stays."""

ALIKE = 7.0
"""Levels between the means of two blocks from which they are not mixed."""

COLOUR = 0.4
"""How much a level of R - Y or B - Y counts beside one of luma: the quantiser's steps of chroma are larger."""

REACH, SPREAD, ROUNDS = 3, 2.5, 2
"""Blocks to every side that are mixed, the standard deviation of their weights in blocks, and how often."""

LEAST = 0.01
"""Share of flat dark blocks below which an image is left as it is."""


@dataclass(frozen=True, eq=False)
class DarkBlocks:
    """The smooth surface of an image, and where it takes the place of pixels."""

    surface: Array
    """rows×columns×3 float32, in levels of 8 bits, at the centres of blocks."""

    weights: Array
    """rows×columns float32 in 0..1, how flat and dark each block is."""

    @classmethod
    def of(cls, pixels: Array) -> Self | None:
        """Those of an image, H×W×3 uint8; None where it has hardly any."""
        height, width, _ = pixels.shape
        rows, columns = -(-height // SIDE), -(-width // SIDE)
        means, weights = np.zeros((rows, columns, 3), np.float32), np.zeros((rows, columns), np.float32)
        line, stride = flat_rows(pixels)
        _measure(line, stride, height, width, FLAT, DARK, means, weights)
        if weights.mean() < LEAST:
            return None
        reach = np.arange(-REACH, REACH + 1)
        falling = np.exp(-(reach[:, None] ** 2 + reach**2) / (2 * SPREAD**2)).astype(np.float32)
        surface = means
        for _ in range(ROUNDS):
            mixed = np.zeros_like(surface)
            _mix(surface, weights, falling, np.float32(ALIKE), mixed)
            surface = mixed
        extended = surface.copy()
        _extend(surface, weights, extended)
        return cls(extended, weights)

    def smooth(self, pixels: Array, place: tuple[slice, slice]) -> Array:
        """A window with its flat dark blocks smoothed: h×w×3 uint16.

        Args:
            pixels: h×w×3 uint8, as stored.
            place: where it lies in the image.
        """
        height, width, _ = pixels.shape
        out = np.empty(pixels.shape, np.uint16)
        line, stride = flat_rows(pixels)
        top, left = place[0].start, place[1].start
        _smooth(
            line, stride, top, left, self.surface, self.weights, NEAR, np.float32(ALIKE), out.reshape(height, 3 * width)
        )
        return out

    @staticmethod
    def back(pixels: Array, smoothed: Array, rendered: Array) -> Array:
        """8 bits again: `pixels` where a method left what `smooth` made of them as it was, what it rendered elsewhere.

        Args:
            pixels: h×w×3 uint8, as stored.
            smoothed: h×w×3 uint16, of `smooth`.
            rendered: h×w×3 uint16.
        """
        out = np.empty(pixels.shape, np.uint8)
        lines = (np.ascontiguousarray(it).reshape(-1) for it in (pixels, smoothed, rendered))
        _back(*lines, out.reshape(-1))
        return out


@kernel
def _step(value, low, high):  # type: ignore[no-untyped-def]
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    return share * share * (3.0 - 2.0 * share)


@kernel
def _apart(red, green, blue):  # type: ignore[no-untyped-def]
    """How far two colours are apart, in levels, from the differences of their channels."""
    luma = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
    return max(abs(luma), np.float32(COLOUR) * max(abs(red - luma), abs(blue - luma)))


@kernel
def _measure(line, stride, height, width, flat, dark, means, weights):  # type: ignore[no-untyped-def]
    """Mean of every block that is flat and dark, and how much it is both; the last ones may be smaller than others."""
    most = 1000.0 * (dark[1] + flat[1])
    for i in range(means.shape[0]):
        bottom = min((i + 1) * SIDE, height)
        for j in range(means.shape[1]):
            right = min((j + 1) * SIDE, width)
            first = line[i * SIDE * stride + 3 * j * SIDE :]
            # A flat block is as dark as its first pixel, so that most blocks need no more than that.
            if 299.0 * first[0] + 587.0 * first[1] + 114.0 * first[2] > most:
                continue
            widest = 0
            for channel in range(3):
                least, greatest, total = first[channel], first[channel], 0
                for y in range(i * SIDE, bottom):
                    for x in range(j * SIDE, right):
                        sample = line[y * stride + 3 * x + channel]
                        least = min(least, sample)
                        greatest = max(greatest, sample)
                        total += sample
                widest = max(widest, int(greatest) - int(least))
                means[i, j, channel] = total / ((bottom - i * SIDE) * (right - j * SIDE))
            luma = 0.299 * means[i, j, 0] + 0.587 * means[i, j, 1] + 0.114 * means[i, j, 2]
            weights[i, j] = (1.0 - _step(luma, dark[0], dark[1])) * (1.0 - _step(float(widest), flat[0], flat[1]))


@kernel
def _likeness(one, other, alike):  # type: ignore[no-untyped-def]
    """How much the means of two blocks may be mixed: 1 if they are equal, 0 from `alike` levels on."""
    red, green, blue = other[0] - one[0], other[1] - one[1], other[2] - one[2]
    share = np.float32(1) - min(_apart(red, green, blue) / alike, np.float32(1)) ** 2
    return share * share


@kernel
def _mix(means, weights, falling, alike, out):  # type: ignore[no-untyped-def]
    """Each flat dark block as the mean of those around it that are alike: a bilateral filter of blocks."""
    rows, columns = weights.shape
    reach = falling.shape[0] // 2
    for i in range(rows):
        for j in range(columns):
            if weights[i, j] == 0.0:
                continue
            red, green, blue, total = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
            for y in range(max(i - reach, 0), min(i + reach + 1, rows)):
                for x in range(max(j - reach, 0), min(j + reach + 1, columns)):
                    if weights[y, x] == 0.0:
                        continue
                    share = _likeness(means[i, j], means[y, x], alike)
                    share *= weights[y, x] * falling[y - i + reach, x - j + reach]
                    red += share * means[y, x, 0]
                    green += share * means[y, x, 1]
                    blue += share * means[y, x, 2]
                    total += share
            out[i, j, 0] = red / total
            out[i, j, 1] = green / total
            out[i, j, 2] = blue / total


@kernel
def _extend(means, weights, out):  # type: ignore[no-untyped-def]
    """Continue the surface into the blocks beside flat dark ones, so that it can be interpolated up to their edges."""
    rows, columns = weights.shape
    for i in range(rows):
        for j in range(columns):
            if weights[i, j] == 1.0:
                continue
            total = np.float32(0)
            around = np.zeros(3, np.float32)
            for y in range(max(i - 2, 0), min(i + 3, rows)):
                for x in range(max(j - 2, 0), min(j + 3, columns)):
                    share = weights[y, x] / np.float32(1 + (y - i) ** 2 + (x - j) ** 2)
                    total += share
                    for channel in range(3):
                        around[channel] += share * means[y, x, channel]
            if total > 0.0:
                for channel in range(3):
                    own = weights[i, j] * means[i, j, channel]
                    out[i, j, channel] = own + (np.float32(1) - weights[i, j]) * around[channel] / total


@kernel
def _code(level):  # type: ignore[no-untyped-def]
    """The nearest code of 16 bits of a level, which is never negative."""
    return np.uint16(np.int32(level * np.float32(257) + np.float32(0.5)))


@kernel
def _corners(upper, i, surface, weights, alike, mixed):  # type: ignore[no-untyped-def]
    """Along half a row of blocks, how much each of the four means around a half of a block counts there.

    Args:
        upper: the row of means above.
        i: the row of blocks.
        surface: the means.
        weights: of the blocks; those of none are left out.
        alike: see `ALIKE`.
        mixed: 2·columns×4, to write to: above and below before, above and below after.
    """
    rows, columns = weights.shape
    for half in range(2 * columns):
        j = half // 2
        if weights[i, j] == 0.0:
            continue
        before = (half - 1) // 2
        for corner in range(4):
            row, column = upper + corner % 2, before + corner // 2
            if 0 <= row < rows and 0 <= column < columns:
                mixed[half, corner] = _likeness(surface[i, j], surface[row, column], alike)
            else:
                mixed[half, corner] = 0


@kernel
def _smooth(line, stride, top, left, surface, weights, near, alike, out):  # type: ignore[no-untyped-def]
    """Put the surface, interpolated between the centres of blocks, in place of the pixels that are near to it."""
    rows, columns = weights.shape
    width = out.shape[1] // 3
    half, one = np.float32(0.5), np.float32(1)
    mixed = np.zeros((2 * columns, 4), np.float32)
    last = -1
    for y in range(out.shape[0]):
        source = line[y * stride : y * stride + 3 * width]
        i = (top + y) // SIDE
        upper = (2 * (top + y) // SIDE - 1) // 2  # -1 in the first half of a block at the edge of the image
        if 2 * (top + y) // SIDE != last:
            last = 2 * (top + y) // SIDE
            _corners(upper, i, surface, weights, alike, mixed)
        down = (np.float32(top + y) + half) / np.float32(SIDE) - half - np.float32(upper)
        above, below = max(upper, 0), min(upper + 1, rows - 1)
        for x in range(width):
            j = (left + x) // SIDE
            weight = weights[i, j]
            if weight == 0.0:
                for channel in range(3):
                    out[y, 3 * x + channel] = np.uint16(257) * source[3 * x + channel]
                continue
            side = 2 * (left + x) // SIDE
            before = (side - 1) // 2
            across = (np.float32(left + x) + half) / np.float32(SIDE) - half - np.float32(before)
            after, before = min(before + 1, columns - 1), max(before, 0)
            first = mixed[side, 0] * (one - down) * (one - across)
            second = mixed[side, 1] * down * (one - across)
            third = mixed[side, 2] * (one - down) * across
            fourth = mixed[side, 3] * down * across
            total = one / (first + second + third + fourth)
            red = first * surface[above, before, 0] + second * surface[below, before, 0]
            red += third * surface[above, after, 0] + fourth * surface[below, after, 0]
            green = first * surface[above, before, 1] + second * surface[below, before, 1]
            green += third * surface[above, after, 1] + fourth * surface[below, after, 1]
            blue = first * surface[above, before, 2] + second * surface[below, before, 2]
            blue += third * surface[above, after, 2] + fourth * surface[below, after, 2]
            red = red * total - np.float32(source[3 * x])
            green = green * total - np.float32(source[3 * x + 1])
            blue = blue * total - np.float32(source[3 * x + 2])
            apart = min(max((_apart(red, green, blue) - near[0]) / (near[1] - near[0]), np.float32(0)), one)
            weight *= one - apart * apart * (np.float32(3) - np.float32(2) * apart)
            out[y, 3 * x] = _code(np.float32(source[3 * x]) + red * weight)
            out[y, 3 * x + 1] = _code(np.float32(source[3 * x + 1]) + green * weight)
            out[y, 3 * x + 2] = _code(np.float32(source[3 * x + 2]) + blue * weight)


@kernel
def _back(pixels, smoothed, rendered, out):  # type: ignore[no-untyped-def]
    for i in range(len(out)):
        made = np.uint8((np.uint32(rendered[i]) + np.uint32(128)) // np.uint32(257))
        out[i] = pixels[i] if rendered[i] == smoothed[i] else made
