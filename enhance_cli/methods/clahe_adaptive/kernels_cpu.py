"""The pixel kernels of clahe-adaptive on NumPy arrays: luma, histograms, tile curves and their blending.

The same functions as `kernels_cuda.py`, equal to within one grey level. Two ideas make them fast: the curves of
the two neighbouring rows of tiles are blended once per image row, so that a pixel needs one look-up of a value
and a slope, not four of values; and the look-ups (which are scalar) are separate from the arithmetic (which can
then be vectorised).

A pixel's weights depend only on its position in the whole image, so rendering a window gives the same bits as
that part of the whole: threads can split an image into bands.

References: Zuiderveld, "Contrast limited adaptive histogram equalization", Graphics Gems IV, 1994; OpenCV's
`createCLAHE`, whose integer results `opencv_tile_curves` reproduces; the real-valued form is IA-CLAHE's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload
from numpy.typing import NDArray

from enhance_cli.engines.compiled import kernel
from enhance_cli.imaging.area import area_means
from enhance_cli.imaging.blocks import reflected
from enhance_cli.imaging.colour import pixels_per_sample
from enhance_cli.imaging.luma import BINS, count_tiles, flat_rows, luma, luma_row
from enhance_cli.methods.clahe_adaptive.curves import (
    integer_limits,
    keep_highlights,
    opencv_tile_curves,
    photo_curves,
    tile_curves,
)
from enhance_cli.methods.clahe_adaptive.kernels_chroma import PART, follow_planes, follow_rgb, mean_row, tint_row
from enhance_cli.methods.clahe_adaptive.structure import APART, sample_places
from enhance_cli.methods.clahe_adaptive.tiles import tile_geometry

__all__ = [
    "diagonal_counts",
    "integer_limits",
    "keep_highlights",
    "luma",
    "opencv_tile_curves",
    "photo_curves",
    "render_chroma",
    "render_luma",
    "render_rgb",
    "render_rgb_followed",
    "rgb_means",
    "thumbnail",
    "tile_curves",
    "tile_histograms",
]

Array = NDArray[Any]

_ENTRY = 2 * (BINS + 1)
"""Floats of a blended curve: value and slope for every knot, the last knot twice (16-bit look-ups read one ahead)."""

_CHUNK = 1024
"""Pixels looked up before the arithmetic: 8 KiB of look-ups (16 KiB for 16 bits), which stay in the L1 cache."""


def thumbnail(luma: Array, size: int) -> Array:
    """Area mean of H×W luma, uint8 or uint16, over `size`×`size` bins: float32 in 0..1.

    Bins are whole pixels, `floor(i * H / size)` to `ceil((i + 1) * H / size)` (see `tiles.bin_edges`); they
    overlap by a pixel if the side is not a multiple of `size`.
    """
    height, width = luma.shape
    line, stride = flat_rows(luma)
    out = np.empty((size, size), np.float32)
    _area_means(line, stride, height, width, float(np.iinfo(luma.dtype).max), out)
    return out


@kernel
def _area_means(line, stride, height, width, white, out):  # type: ignore[no-untyped-def]
    size = len(out)
    sums = np.empty(width, np.uint32)
    for i in range(size):
        top = i * height // size
        bottom = -(-(i + 1) * height // size)
        sums[:] = 0
        for y in range(top, bottom):
            row = line[y * stride : y * stride + width]
            for x in range(width):
                sums[x] += row[x]
        for j in range(size):
            left = j * width // size
            right = -(-(j + 1) * width // size)
            total = np.uint64(0)
            for x in range(left, right):
                total += sums[x]
            out[i, j] = np.float64(total) / (white * ((bottom - top) * (right - left)))


def rgb_means(rgb: Array, size: int) -> Array:
    """Area means of H×W×3 over `size`×`size` bins: float32 3×`size`×`size` in 0..1."""
    return area_means(rgb, size, size)


def tile_histograms(luma: Array, rows: int, columns: int, first_row: int = 0, last_row: int | None = None) -> Array:
    """Counts of the 256 grey levels in every tile (docs/papers.md, C2).

    The image is padded as OpenCV pads it (by indices; nothing is copied), and padded pixels count. 16-bit
    values are binned by the nearest 8-bit code, `(v + 128) // 257`.

    Args:
        luma: H×W uint8 or uint16, the whole image.
        rows: rows of tiles.
        columns: columns of tiles.
        first_row: the first row of tiles to count, so that threads can split an image.
        last_row: the row of tiles to stop before; None for all.

    Returns:
        int64, (last_row - first_row)×columns×256.
    """
    height, width = luma.shape
    tile_height, tile_width = tile_geometry(height, width, rows, columns)
    last_row = rows if last_row is None else last_row
    return count_tiles(luma, tile_height, tile_width, first_row, last_row, columns)


def diagonal_counts(luma: Array, rows: int, columns: int, first_row: int = 0, last_row: int | None = None) -> Array:
    """Counts of sampled absolute diagonal differences in every tile (docs/papers.md, C11).

    For the corners of small squares, |a - b - c + d| in whole levels, 16-bit values binned as for `tile_histograms`;
    the last bin holds all differences from 255 up.

    Args:
        luma: H×W uint8 or uint16; the other arguments as for `tile_histograms`.
        rows: rows of tiles.
        columns: columns of tiles.
        first_row: the first row of tiles to count.
        last_row: the row of tiles to stop before; None for all.

    Returns:
        int64, (last_row - first_row)×columns×256.
    """
    height, width = luma.shape
    tile_height, tile_width = tile_geometry(height, width, rows, columns)
    last_row = rows if last_row is None else last_row
    line, stride = flat_rows(luma)
    down = reflected(0, rows * tile_height, height)
    across = reflected(0, columns * tile_width, width)
    counts = np.zeros((last_row - first_row, columns, BINS), np.int64)
    left = sample_places(tile_width, columns)
    first, second = across[left], across[left + APART]
    top = sample_places(tile_height, rows)[first_row:last_row]
    _count_diagonals(line, stride, down[top], down[top + APART], first, second, counts)
    return counts


@kernel
def _count_diagonals(line, stride, upper, lower, first, second, counts):  # type: ignore[no-untyped-def]
    for i in range(counts.shape[0]):
        for k in range(upper.shape[1]):
            above = line[upper[i, k] * stride :]
            below = line[lower[i, k] * stride :]
            for j in range(counts.shape[1]):
                for x in range(first.shape[1]):
                    here = np.uint64(first[j, x])
                    beside = np.uint64(second[j, x])
                    difference = _level(above[here]) - _level(above[beside])
                    difference -= _level(below[here]) - _level(below[beside])
                    counts[i, j, np.uint64(min(abs(difference), 255))] += 1


def _level(sample):  # type: ignore[no-untyped-def]
    """The 8-bit code of a sample."""


@overload(_level)
def _level_at_depth(sample):  # type: ignore[no-untyped-def]
    def as_it_is(sample):  # type: ignore[no-untyped-def]
        return np.int32(sample)

    def binned(sample):  # type: ignore[no-untyped-def]
        return np.int32((np.uint32(sample) + np.uint32(128)) // np.uint32(257))

    return as_it_is if sample == types.uint8 else binned


# --- rendering ---------------------------------------------------------------------------------------------


def render_luma(
    luma: Array,
    curves: Array,
    height: int,
    width: int,
    top: int = 0,
    left: int = 0,
    out: Array | None = None,
) -> Array:
    """Map a window of luma through the curves of its four nearest tiles (docs/papers.md, C6).

    The curves are blended bilinearly between the centres of tiles; the result is rounded once, half to even.

    Args:
        luma: h×w uint8 or uint16: the window whose first pixel is (`top`, `left`) of a `height`×`width`
            image.
        curves: rows×columns×256 grey levels in 0..255. 16-bit codes are looked up between knots, at v / 257.
        height: rows of the whole image.
        width: columns of the whole image.
        top: first row of the window.
        left: first column of the window.
        out: h×w of the dtype of `luma` to write into; may be `luma` itself.

    Returns:
        h×w of the dtype of `luma`: `out`, if given.

    Raises:
        ValueError: the window reaches out of the image, or `out` has another shape or dtype than the window,
            or its rows are not contiguous.
    """
    out = _target(luma, out)
    source, source_stride = flat_rows(luma)
    target, target_stride = flat_rows(out, writable=True)
    rows, columns = _place(luma.shape, curves.shape, height, width, top, left)
    scratch = _scratch(len(columns[1]))
    knots = _knots(curves, rows)
    _render_luma(source, source_stride, target, target_stride, knots, rows, columns, scratch)
    return out


def render_rgb(
    rgb: Array,
    curves: Array,
    height: int,
    width: int,
    top: int = 0,
    left: int = 0,
    out: Array | None = None,
) -> Array:
    """Map the luma of a window of RGB and add its change to R, G and B: Cb and Cr stay (docs/papers.md, C1).

    Luma enters R, G and B with weight one, so the sum equals a conversion to YCbCr and back without its rounding.

    Args:
        rgb: h×w×3 uint8 or uint16; the other arguments as for `render_luma`.
        curves: rows×columns×256.
        height: rows of the whole image.
        width: columns of the whole image.
        top: first row of the window.
        left: first column of the window.
        out: h×w×3 of the dtype of `rgb` to write into; may be `rgb` itself.

    Returns:
        h×w×3 of the dtype of `rgb`: `out`, if given.

    Raises:
        ValueError: the window reaches out of the image, or `out` has another shape or dtype than the window,
            or its rows are not contiguous.
    """
    nowhere = _placed_tint(np.zeros((1, 1, 2), np.float32), rgb.shape, height, width, top, left)
    return _render_colour(rgb, curves, height, width, top, left, out, nowhere, None)


def render_rgb_followed(
    rgb: Array,
    curves: Array,
    tint: Array,
    noise: float,
    height: int,
    width: int,
    top: int = 0,
    left: int = 0,
    out: Array | None = None,
) -> Array:
    """Like `render_rgb`, but the colour differences R-Y, G-Y, B-Y follow the change of luma (docs/papers.md, C9).

    Args:
        rgb: as for `render_rgb`.
        curves: as for `render_rgb`.
        tint: N×N×2 float32 means of R-Y and B-Y over equal parts of the whole image, in levels of 8 bits.
        noise: deviation from those means, in levels, that is taken for noise and grows half as much.
        height: as for `render_rgb`.
        width: as for `render_rgb`.
        top: as for `render_rgb`.
        left: as for `render_rgb`.
        out: as for `render_rgb`.

    Returns:
        As `render_rgb`.

    Raises:
        ValueError: as for `render_rgb`.
    """
    return _render_colour(
        rgb, curves, height, width, top, left, out, _placed_tint(tint, rgb.shape, height, width, top, left), noise
    )


def render_chroma(
    blue: Array,
    red: Array,
    luma: Array,
    curves: Array,
    tint: Array,
    noise: float,
    height: int,
    width: int,
    samples: tuple[int, int],
    top: int = 0,
    out: tuple[Array, Array] | None = None,
) -> tuple[Array, Array]:
    """The stored chroma of a JPEG, following the change of luma as in `render_rgb_followed`.

    Args:
        blue: h×w uint8, rows of the stored Cb from `top` on, over the full width.
        red: the same of Cr.
        luma: the rows of luma that these samples stand for, before it is rendered.
        curves: as for `render_luma`.
        tint: as for `render_rgb_followed`.
        noise: as for `render_rgb_followed`.
        height: rows of the stored chroma of the whole image.
        width: columns of it.
        samples: height and width of the whole image.
        top: first row of `blue` and `red`.
        out: two planes to write into.

    Returns:
        Cb and Cr, h×w uint8.
    """
    down, across = pixels_per_sample(samples[0], height), pixels_per_sample(samples[1], width)
    tile_height, tile_width = tile_geometry(*samples, curves.shape[0], curves.shape[1])
    rows = _between_centres(top, len(blue), tile_height / down, curves.shape[0])
    columns = _between_centres(0, width, tile_width / across, curves.shape[1])
    source, stride = flat_rows(luma)
    lines = [flat_rows(plane) for plane in (blue, red)]
    made = np.empty((2, len(blue), width), np.uint8)
    lumas = np.empty(width, np.uint8), np.empty(width, np.float32)
    placed = _placed_tint(tint, (len(blue), width), height, width, top, 0)
    _render_chroma(
        *(lines[0] + lines[1]),
        source,
        stride,
        luma.shape,
        (down, across),
        made,
        lumas,
        placed,
        np.float32(noise),
        _knots(curves, rows),
        rows,
        columns,
        _scratch(len(columns[1])),
    )
    if out is None:
        return made[0], made[1]
    out[0][...], out[1][...] = made
    return out


def _placed_tint(
    tint: Array, window: tuple[int, ...], height: int, width: int, top: int, left: int
) -> tuple[Array, tuple[Array, ...], tuple[Array, ...], Array, Array, Array, Array]:
    """Means of chroma, where a window lies among them, and buffers: for a row of the means, for `_follow`, for the
    means above and below the row, and for the run of rows that these are of.
    """
    side = len(tint)
    return (
        np.ascontiguousarray(tint, np.float32),
        _between_centres(top, window[0], height / side, side),
        _between_centres(left, window[1], width / side, side),
        np.empty((2, window[1]), np.float32),
        np.zeros(7 * PART, np.float32),
        np.empty((2, 2, window[1]), np.float32),
        np.full(1, -1),
    )


def _render_colour(
    rgb: Array,
    curves: Array,
    height: int,
    width: int,
    top: int,
    left: int,
    out: Array | None,
    tint: tuple[Any, ...],
    noise: float | None,
) -> Array:
    out = _target(rgb, out)
    source, source_stride = flat_rows(rgb)
    target, target_stride = flat_rows(out, writable=True)
    rows, columns = _place(rgb.shape, curves.shape, height, width, top, left)
    grey, changed = np.empty((2, rgb.shape[1]), rgb.dtype)
    lumas = grey, changed, np.empty(rgb.shape[1], np.float32)
    scratch = _scratch(len(columns[1]))
    knots = _knots(curves, rows)
    follows, apart = noise is not None, np.float32(noise or 0.0)
    _render_rgb(
        source, source_stride, target, target_stride, lumas, follows, tint, apart, knots, rows, columns, scratch
    )
    return out


def _target(window: Array, out: Array | None) -> Array:
    if out is None:
        return np.empty(window.shape, window.dtype)
    if out.shape != window.shape or out.dtype != window.dtype:
        raise ValueError(f"`out` is {out.shape} {out.dtype}, the window {window.shape} {window.dtype}")
    return out


def _knots(curves: Array, rows: tuple[Array, ...]) -> Array:
    """The curves as the loops take them: contiguous float32, clipped here so that blends need no clipping.

    Only up to the last row of tiles needed: otherwise each of the many bands of a fine grid would clip all of it.
    """
    _, above, below, _ = rows
    knots = np.zeros((int(below.max(initial=0)) + 1, *curves.shape[1:]), np.float32)
    needed = slice(int(above.min(initial=0)), len(knots))
    np.clip(curves[needed], 0, 255, out=knots[needed], casting="same_kind")
    return knots


def _scratch(runs: int) -> tuple[Array, ...]:
    """Buffers for a call: curves of two rows of tiles, their blend, and the entries looked up for a chunk of pixels.

    The latter two come in two views: as floats, and as entries of a value and a slope.
    """
    upper, lower, table = np.empty((3, runs * _ENTRY), np.float32)
    found = np.empty(4 * _CHUNK, np.float32)
    return upper, lower, table, table.view(np.uint64), found, found.view(np.uint64)


def _place(
    window: tuple[int, ...], grid: tuple[int, ...], height: int, width: int, top: int, left: int
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Where the rows and the columns of a window lie among the tiles: `_between_centres` of both.

    The loops do not check indices, so a window outside of the image is refused here.
    """
    if len(grid) != 3 or grid[2] != BINS:
        raise ValueError(f"curves are rows×columns×{BINS}, not {'×'.join(map(str, grid))}")
    if min(top, left) < 0 or top + window[0] > height or left + window[1] > width:
        raise ValueError(f"a window of {window[:2]} at {top, left} reaches out of a picture of {height, width}")
    tile_height, tile_width = tile_geometry(height, width, grid[0], grid[1])
    return (
        _between_centres(top, window[0], tile_height, grid[0]),
        _between_centres(left, window[1], tile_width, grid[1]),
    )


def _between_centres(start: int, length: int, tile: float, tiles: int) -> tuple[Array, Array, Array, Array]:
    """Split the pixels start..start+length of one axis into runs that lie between the same two tile centres.

    Returns:
        The edges of the n runs, counted from `start` (int64, n + 1); for each run the tiles whose centres lie
        before and after it, the same one at the ends (int64, n); for each pixel the weight of the tile after it
        (float32, computed in single precision and in OpenCV's order, so that most ties round alike).
    """
    position = np.arange(start, start + length, dtype=np.float32) * np.float32(1 / tile) - np.float32(0.5)
    before = np.floor(position)
    edges = np.concatenate(([0], np.flatnonzero(np.diff(before)) + 1, [length]))
    index = before[edges[:-1]].astype(np.int64)
    return edges, np.maximum(index, 0), np.minimum(index + 1, tiles - 1), position - before


@kernel
def _pair_curves(curves, columns, pairs):  # type: ignore[no-untyped-def]
    """A row of tiles as values and slopes: for each run of columns its left curve, and the difference to its right."""
    _, before, after, _ = columns
    for run in range(len(before)):
        left = curves[before[run]]
        right = curves[after[run]]
        entry = pairs[run * _ENTRY : (run + 1) * _ENTRY]
        for knot in range(BINS):
            entry[2 * knot] = left[knot]
            entry[2 * knot + 1] = right[knot] - left[knot]
        entry[_ENTRY - 2] = entry[_ENTRY - 4]
        entry[_ENTRY - 1] = entry[_ENTRY - 3]


@kernel
def _blend_rows(share, scratch):  # type: ignore[no-untyped-def]
    """Blend the table of `scratch` for one image row, at the fraction `share` between the upper and lower tiles."""
    upper, lower, table, _, _, _ = scratch
    for i in range(len(table)):
        table[i] = upper[i] + (lower[i] - upper[i]) * share


@kernel
def _rounded(value):  # type: ignore[no-untyped-def]
    return np.int32(np.rint(value))


@kernel
def _unrounded(value):  # type: ignore[no-untyped-def]
    return value


def _shade(source, target, columns, scratch):  # type: ignore[no-untyped-def]
    """Map a row of luma through the table of `scratch`, run by run; rounded where the target holds integers."""


@overload(_shade)
def _shade_at_depth(source, target, columns, scratch):  # type: ignore[no-untyped-def]
    stored = _unrounded if target.dtype == types.float32 else _rounded

    def eight_bit(source, target, columns, scratch):  # type: ignore[no-untyped-def]
        edges, _, _, right = columns
        _, _, _, table, pairs, found = scratch
        for run in range(len(edges) - 1):
            entry = table[run * (BINS + 1) : (run + 1) * (BINS + 1)]
            for start in range(edges[run], edges[run + 1], _CHUNK):
                codes = source[start : min(start + _CHUNK, edges[run + 1])]
                for x in range(len(codes)):
                    found[x] = entry[np.uint64(codes[x])]
                shaded = target[start : start + len(codes)]
                weights = right[start : start + len(codes)]
                for x in range(len(codes)):
                    shaded[x] = stored(pairs[2 * x] + pairs[2 * x + 1] * weights[x])

    def sixteen_bit(source, target, columns, scratch):  # type: ignore[no-untyped-def]
        edges, _, _, right = columns
        _, _, _, table, pairs, found = scratch
        for run in range(len(edges) - 1):
            entry = table[run * (BINS + 1) : (run + 1) * (BINS + 1)]
            for start in range(edges[run], edges[run + 1], _CHUNK):
                codes = source[start : min(start + _CHUNK, edges[run + 1])]
                for x in range(len(codes)):
                    knot = np.uint64(codes[x]) // np.uint64(257)
                    found[2 * x] = entry[knot]
                    found[2 * x + 1] = entry[knot + np.uint64(1)]
                shaded = target[start : start + len(codes)]
                weights = right[start : start + len(codes)]
                for x in range(len(codes)):
                    share = np.float32(np.uint32(codes[x]) % np.uint32(257)) * np.float32(1 / 257)
                    value = pairs[4 * x] + (pairs[4 * x + 2] - pairs[4 * x]) * share
                    slope = pairs[4 * x + 1] + (pairs[4 * x + 3] - pairs[4 * x + 1]) * share
                    shaded[x] = stored((value + slope * weights[x]) * np.float32(257))

    return eight_bit if source.dtype == types.uint8 else sixteen_bit


@kernel
def _render_luma(source, source_stride, target, target_stride, curves, rows, columns, scratch):  # type: ignore[no-untyped-def]
    edges, above, below, down = rows
    width = len(columns[3])
    for band in range(len(above)):
        _pair_curves(curves[above[band]], columns, scratch[0])
        _pair_curves(curves[below[band]], columns, scratch[1])
        for y in range(edges[band], edges[band + 1]):
            _blend_rows(down[y], scratch)
            row = source[y * source_stride : y * source_stride + width]
            _shade(row, target[y * target_stride : y * target_stride + width], columns, scratch)


@kernel
def _render_rgb(  # type: ignore[no-untyped-def]
    source, source_stride, target, target_stride, lumas, follows, tint, noise, curves, rows, columns, scratch
):
    edges, above, below, down = rows
    width = 3 * len(columns[3])
    luma, shaded, unrounded = lumas
    for band in range(len(above)):
        _pair_curves(curves[above[band]], columns, scratch[0])
        _pair_curves(curves[below[band]], columns, scratch[1])
        for y in range(edges[band], edges[band + 1]):
            _blend_rows(down[y], scratch)
            row = source[y * source_stride : y * source_stride + width]
            result = target[y * target_stride : y * target_stride + width]
            luma_row(row, luma)
            if follows:
                # Not rounded before its ratio to the luma before is taken: a saturated colour would step by several
                # levels where luma steps by one.
                _shade(luma, unrounded, columns, scratch)
                tint_row(tint, y)
                follow_rgb(row, luma, unrounded, tint[3], noise, tint[4], result)
            else:
                _shade(luma, shaded, columns, scratch)
                _add_change(row, luma, shaded, result)


def _add_change(rgb, luma, shaded, out):  # type: ignore[no-untyped-def]
    """The three channels with the change of luma added, clipped."""


@overload(_add_change)
def _add_change_at_depth(rgb, luma, shaded, out):  # type: ignore[no-untyped-def]
    sample = np.uint8 if luma.dtype == types.uint8 else np.uint16

    def saturating(rgb, luma, shaded, out):  # type: ignore[no-untyped-def]
        # A saturating subtraction and a saturating addition in the samples' own width, one of them of zero:
        # three times as fast as clipping wider integers.
        for x in range(len(luma)):
            least = min(luma[x], shaded[x])
            up = sample(shaded[x] - least)
            down = sample(luma[x] - least)
            red = sample(rgb[3 * x] - min(rgb[3 * x], down))
            green = sample(rgb[3 * x + 1] - min(rgb[3 * x + 1], down))
            blue = sample(rgb[3 * x + 2] - min(rgb[3 * x + 2], down))
            out[3 * x] = red + min(sample(~red), up)
            out[3 * x + 1] = green + min(sample(~green), up)
            out[3 * x + 2] = blue + min(sample(~blue), up)

    return saturating


@kernel
def _render_chroma(  # type: ignore[no-untyped-def]
    blue,
    blue_stride,
    red,
    red_stride,
    source,
    stride,
    shape,
    block,
    made,
    lumas,
    tint,
    noise,
    curves,
    rows,
    columns,
    scratch,
):
    edges, above, below, down = rows
    height, width = shape
    samples = len(columns[3])
    sums = np.empty(width, np.uint16)
    for band in range(len(above)):
        _pair_curves(curves[above[band]], columns, scratch[0])
        _pair_curves(curves[below[band]], columns, scratch[1])
        for y in range(edges[band], edges[band + 1]):
            _blend_rows(down[y], scratch)
            mean_row(source, stride, y * block[0], min((y + 1) * block[0], height), width, block[1], sums, lumas[0])
            _shade(lumas[0], lumas[1], columns, scratch)
            tint_row(tint, y)
            follow_planes(
                blue[y * blue_stride : y * blue_stride + samples],
                red[y * red_stride : y * red_stride + samples],
                lumas[0],
                lumas[1],
                tint[3],
                noise,
                tint[4],
                made[0, y],
                made[1, y],
            )
