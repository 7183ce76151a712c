"""The pixel kernels of retinex on NumPy arrays: slice, divide, fuse and restore in one pass, without large temporaries.

The same functions as `kernels_cuda.py`, equal to within one grey level. A window is processed in vertical strips, and
each strip by a cascade from top to bottom: two rows of pixels are divided and fused (`kernels_light`), then every
convolution that now has its input rows computes one output row (`kernels_restoration`), and the pixels three blocks
above are finished. Only a few rows are kept in between, which fit the L2 cache. Rows are stored as their even columns
followed by their odd ones: this is already the packing of the restoration network, whose twelve channels are views.

Loops are written so that the compiler vectorises them and keeps weights in registers; buffer lengths are multiples of
the vector length. A pixel's value depends only on the pixels around it and on its position in the whole image, so
rendering a window gives the same bits as that part of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from enhance_cli.engines.compiled import kernel
from enhance_cli.imaging.blocks import Region, mirrored
from enhance_cli.imaging.finish import Tones
from enhance_cli.imaging.finish_rows import bound_skin, keep_highlights, tone_row
from enhance_cli.imaging.luma import flat_rows
from enhance_cli.imaging.vector_math import fma_pair as fma
from enhance_cli.methods.retinex.arrays import REACH, FusionWeights, RestorationWeights
from enhance_cli.methods.retinex.formulas import HIGHLIGHT, RESTORED
from enhance_cli.methods.retinex.kernels_light import blend, light_candidates, load, score_of, softmax
from enhance_cli.methods.retinex.kernels_restoration import convolve, mix, pool, relu, relu_and_skip, squash

Array = NDArray[Any]

_ZERO = np.float32(0.0)
_HALF = np.float32(0.5)
_ONE = np.float32(1.0)
_HIGHLIGHT = np.float32(HIGHLIGHT[0])
_RESTORED_SCALE = np.float32(1.0 / RESTORED)
_HIGHLIGHT_SCALE = np.float32(1.0 / (HIGHLIGHT[1] - HIGHLIGHT[0]))

_STRIP = 256
"""Maximum width of a strip in blocks of 2×2 pixels: the rows kept then fit half a megabyte."""

_LANES = 16
"""Buffers are multiples of this many blocks long, two vectors of eight."""


class _Frames(NamedTuple):
    """The pixels of a window of each exposure, one after another."""

    line: Array
    stride: int
    """Values from one row to the next."""

    between: int
    """Values from one frame to the next."""

    exposures: int
    columns: int
    white: np.float32
    """The largest code."""


class _Illumination(NamedTuple):
    """Both grids, rows×columns×bins×2, empty if frames are fused; and the powers of both illuminations."""

    forward: Array
    inverse: Array
    power: np.float32
    inverse_power: np.float32


class _Target(NamedTuple):
    """Where results are written: codes, or, if `light` is not empty, float32 planes of a region."""

    line: Array
    stride: int
    light: Array
    noise: Array


def render(
    frames: Sequence[Array],
    region: Region,
    grids: tuple[Array, Array] | None,
    powers: tuple[float, float],
    tones: Tones,
    fusion: FusionWeights,
    restoration: RestorationWeights | None,
    out: Array | None = None,
) -> Array:
    """Divide by the illumination, fuse and restore a region of a window, rounded once, half up.

    Args:
        frames: h×w×3 uint8 or uint16, the same window of each exposure; one image where there are `grids`.
        region: the position of the window, and which of its pixels to compute.
        grids: rows×columns×bins×2 float32, the forward and the inverse illumination; None to fuse frames.
        powers: what the two illuminations are raised to.
        tones: the curve of the whole image, before highlights (`imaging.finish`); without effect on frames.
        fusion: the network, with the first layer's biases per candidate: frames, or I / L, I, 1 - (1 - I) / L'.
        restoration: the network; None to leave noise alone.
        out: h×w×3 of the dtype of the frames to write into.

    Returns:
        `out`, or a new array like a frame; outside of the region it equals the first frame.
    """
    out = np.empty(frames[0].shape, frames[0].dtype) if out is None else out
    if region.shape != out.shape[:2]:
        out[...] = frames[0]
    nothing = np.empty((0, 0, 0), np.float32)
    target = _Target(*flat_rows(out, writable=True), nothing, nothing)
    _run(frames, region, grids, powers, tones, fusion, restoration, target)
    return out


def render_light(
    frames: Sequence[Array],
    region: Region,
    grids: tuple[Array, Array] | None,
    powers: tuple[float, float],
    tones: Tones,
    fusion: FusionWeights,
    restoration: RestorationWeights,
) -> tuple[Array, Array]:
    """As `render`, before rounding: the fused light in 0..1 and the map to be added, float32 3×h×w of the region."""
    shape = (3, region.bottom - region.top, region.right - region.left)
    light, noise = np.empty(shape, np.float32), np.empty(shape, np.float32)
    target = _Target(np.empty(0, frames[0].dtype), 0, light, noise)
    _run(frames, region, grids, powers, tones, fusion, restoration, target)
    return light, noise


def high_pass(noise: Array, taps: Array, region: Region, wanted: Region) -> Array:
    """The noise map of a region less its low frequencies, for a smaller region inside.

    Args:
        noise: float32 3×h×w, the map over `region`.
        taps: the symmetric low-pass filter from its middle on (see `noise_map.low_pass`).
        region: the region of `noise`: `wanted` extended by the filter's radius, within the image.
        wanted: the region to return.
    """
    reach = len(taps)
    rows = mirrored(wanted.top - reach + 1, wanted.bottom + reach - 1, region.height) - region.top
    columns = mirrored(wanted.left - reach + 1, wanted.right + reach - 1, region.width) - region.left
    out = np.empty((3, wanted.bottom - wanted.top, wanted.right - wanted.left), np.float32)
    _high_pass(noise, taps, rows, columns, out)
    return out


def store(light: Array, noise: Array, out: Array) -> None:
    """Light and its noise map, 3×h×w, clipped and rounded half up, into h×w×3 codes."""
    _store(light, noise, float(np.iinfo(out.dtype).max), out)


def _run(
    frames: Sequence[Array],
    region: Region,
    grids: tuple[Array, Array] | None,
    powers: tuple[float, float],
    tones: Tones,
    fusion: FusionWeights,
    restoration: RestorationWeights | None,
    target: _Target,
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
    white = np.float32(np.iinfo(line.dtype).max)
    _cascade(
        _Frames(line, stride, between, len(frames), frames[0].shape[1], white),
        region,
        _Illumination(grids[0], grids[1], np.float32(powers[0]), np.float32(powers[1])),
        (tones.gains, np.float32(tones.chroma)),
        fusion,
        restoration is not None,
        RestorationWeights.none() if restoration is None else restoration,
        target,
    )


@kernel
def _cascade(frames, region, illumination, tones, fusion, restore, restoration, target):  # type: ignore[no-untyped-def]
    """Process strip after strip, and row after row of blocks in it; see the module's docstring."""
    forward = illumination.forward
    gains, chroma = tones
    stronger = forward.size > 0 and (illumination.power > _ONE or illumination.inverse_power > _ONE)
    # See `formulas.scored_powers`.
    powers = min(illumination.power, _ONE), min(illumination.inverse_power, _ONE)
    scored = _Illumination(illumination.forward, illumination.inverse, powers[0], powers[1])
    top, left, bottom, right = region.top, region.left, region.bottom, region.right
    block_top, block_bottom = top // 2, (bottom + 1) // 2
    block_left, block_right = left // 2, (right + 1) // 2
    reach = REACH if restore else 0
    pieces = -(-(block_right - block_left) // _STRIP)
    step = -(-(block_right - block_left) // pieces)
    n = -(-(step + 2 * reach) // _LANES) * _LANES
    features = len(restoration.biases[0])
    candidates = len(fusion.biases)

    fused = np.zeros((4, 13, n + _LANES), np.float32)  # a ring of rows: packed light, and illumination
    layers = np.zeros((REACH, 3, features, n + _LANES), np.float32)  # a ring of rows for each convolution
    found = np.zeros((12, n), np.float32)
    columns = np.empty(2 * n, np.int32)
    cell = np.empty(2 * n, np.int32)
    across = np.empty(2 * n, np.float32)
    images = np.empty((candidates, 4, 2 * n), np.float32)
    scores = np.empty((candidates, 2 * n), np.float32)
    hidden = np.empty((fusion.first.shape[0], 2 * n), np.float32)
    scratch = np.empty((6, 2 * n), np.float32)
    codes = np.empty(2 * n, np.int32)
    curves = np.empty((2, *forward.shape[1:]), np.float32)

    for piece in range(pieces):
        start = block_left + piece * step
        end = min(start + step, block_right)
        for x in range(n):
            block = min(max(start - reach + x, 0), (region.width - 1) // 2)
            for odd in range(2):
                column = min(2 * block + odd, region.width - 1)
                # Blocks beyond the window do not affect any pixel of the region: any value will do.
                columns[odd * n + x] = min(max(column - region.window_left, 0), frames.columns - 1)
                at = (column + 0.5) * (forward.shape[1] - 1) / region.width
                cell[odd * n + x] = min(int(at), max(forward.shape[1] - 2, 0))
                across[odd * n + x] = np.float32(at - cell[odd * n + x])
        for q in range(block_top - reach, block_bottom + reach):
            row = fused[q % 4]
            block = min(max(q, 0), (region.height - 1) // 2)
            for odd in range(2):
                y = min(2 * block + odd, region.height - 1)
                load(frames, y - region.window_top, columns, images)
                if forward.size > 0:
                    light_candidates(scored, y, region.height, columns, cell, across, images, scratch, codes, curves)
                for k in range(candidates):
                    score_of(images[k], fusion, k, hidden, scratch, scores[k])
                softmax(scores, scratch[0], codes)
                if stronger:
                    light_candidates(
                        illumination, y, region.height, columns, cell, across, images, scratch, codes, curves
                    )
                blend(images, scores, row, odd, n)
                if forward.size > 0:
                    for side in range(2):
                        of, source = 2 * odd + side, images[1, :3, side * n : (side + 1) * n]
                        red, green, blue = row[of, :n], row[4 + of, :n], row[8 + of, :n]
                        if gains.size > 0:
                            tone_row(red, green, blue, source[0], source[1], source[2], gains, chroma)
                        bound_skin(red, green, blue, source[0], source[1], source[2], chroma)
                        keep_highlights(red, green, blue, source[0], source[1], source[2], _HIGHLIGHT, _HIGHLIGHT_SCALE)
                if restore:
                    if forward.size > 0:
                        pool(scratch[5], row[12], odd, n)
                    else:
                        row[12, :n] = _ONE
            p = q
            if restore:
                squash(row[12, :n], codes)
                for layer in range(REACH):
                    r = q - 1 - layer  # the row that this convolution can compute now
                    if r < block_top - REACH + 1 + layer:
                        break
                    made, bias = layers[layer, r % 3], restoration.biases[layer]
                    if layer == 0:
                        convolve(fused[(r - 1) % 4], fused[r % 4], row, restoration.stem, bias, made, n)
                        relu(made, n)
                    else:
                        before, weights = layers[layer - 1], restoration.convs[layer - 1]
                        convolve(before[(r - 1) % 3], before[r % 3], before[(r + 1) % 3], weights, bias, made, n)
                        relu_and_skip(made, before[r % 3], n)
                p = q - REACH
                if p < block_top:
                    continue
                for o in range(12):
                    found[o, :] = restoration.head_bias[o]
                for layer in range(REACH):
                    mix(layers[layer, p % 3], REACH - 1 - layer, restoration.heads[layer], found, n)
            for odd in range(2):
                y = 2 * p + odd
                if top <= y < bottom:
                    if target.light.size > 0:
                        _put_planes(fused[p % 4], found, reach, odd, start, end, region, y, target)
                    else:
                        _put_codes(
                            fused[p % 4], found, reach, odd, start, end, region, y, restore, frames.white, target
                        )


@kernel
def _restored(light):  # type: ignore[no-untyped-def]
    """The share of the noise map that is added to light, 0..1: none to white (`formulas.RESTORED`)."""
    return min(max((_ONE - light) * _RESTORED_SCALE, _ZERO), _ONE)


@kernel
def _put_codes(row, found, reach, odd, start, end, region, y, restore, white, target):  # type: ignore[no-untyped-def]
    """A finished row of pixels of a strip, blocks `start` to `end`, clipped and rounded."""
    left, right, window_left = region.left, region.right, region.window_left
    to = target.line[(y - region.window_top) * target.stride :]
    scratch = np.empty((3, 2, end - start), np.int32)
    for c in range(3):
        for side in range(2):
            i = 4 * c + 2 * odd + side
            values, added, codes = row[i], found[i], scratch[c, side]
            if restore:
                for x in range(end - start):
                    light = values[x + reach]
                    light = min(max(light + added[x] * _restored(light), _ZERO), _ONE)
                    codes[x] = np.int32(light * white + _HALF)
            else:
                for x in range(end - start):
                    codes[x] = np.int32(min(values[x], _ONE) * white + _HALF)
    for side in range(2):
        red, green, blue = scratch[0, side], scratch[1, side], scratch[2, side]
        first = 1 if 2 * start + side < left else 0
        last = end - start - 1 if 2 * end - 2 + side >= right else end - start
        for x in range(first, last):
            at = np.uint64(3 * (2 * (start + x) + side - window_left))
            to[at] = red[x]
            to[at + np.uint64(1)] = green[x]
            to[at + np.uint64(2)] = blue[x]


@kernel
def _put_planes(row, found, reach, odd, start, end, region, y, target):  # type: ignore[no-untyped-def]
    """As `_put_codes`, but with separate light and noise map."""
    left, right, y = region.left, region.right, y - region.top
    light, noise = target.light, target.noise
    for c in range(3):
        for side in range(2):
            i = 4 * c + 2 * odd + side
            for x in range(end - start):
                column = 2 * (start + x) + side
                if left <= column < right:
                    light[c, y, column - left] = row[i, x + reach]
                    noise[c, y, column - left] = found[i, x] * _restored(row[i, x + reach])


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
