"""Luma, the channel by which exposure is measured: its planes and its histograms.

All of it is BT.601 in fixed point, so that grey images, colour images and the luma of a JPEG are measured
the same way. The loops take images as flat views of their rows (`flat_rows`): a contiguous image, a window
of one and a read-only one are then the same type to the compiler, and every loop is compiled once per depth.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from enhance_cli.engines.compiled import kernel

Array = NDArray[Any]

BINS = 256

_BANKS = 8
"""Histograms that neighbouring pixels are counted in: a run of equal pixels would otherwise wait for its own
last increment to reach memory."""


def flat_rows(picture: Array, *, writable: bool = False) -> tuple[Array, int]:
    """An image as one contiguous line of samples and the samples from one row to the next.

    Args:
        picture: H×W or H×W×3, uint8 or uint16. Rows may lie apart (a window of a larger image); any other
            layout is copied, or refused where `writable`.
        writable: whether the line will be written to; otherwise it is read-only.

    Returns:
        The line, a view that ends with the last row's last sample, and the stride of rows in samples.

    Raises:
        TypeError: the samples are neither uint8 nor uint16.
        ValueError: `writable`, and the samples of a row are not contiguous.
    """
    if picture.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"images are uint8 or uint16 here, not {picture.dtype}")
    item = picture.itemsize
    row = int(np.prod(picture.shape[1:]))
    packed = picture.size == 0 or (
        picture[0].flags.c_contiguous
        and (len(picture) == 1 or (picture.strides[0] >= row * item and picture.strides[0] % item == 0))
    )
    if len(picture) == 1 and packed:  # whose stride leads nowhere, and may be anything
        return as_strided(picture, (row,), (item,), writeable=writable), row
    if not packed:
        if writable:
            raise ValueError("the samples of a row of `out` must lie side by side")
        picture = np.ascontiguousarray(picture)
    stride = picture.strides[0] // item
    span = (len(picture) - 1) * stride + row if picture.size else 0
    return as_strided(picture, (span,), (item,), writeable=writable), stride


# --- planes ------------------------------------------------------------------------------------------------


def luma(rgb: Array) -> Array:
    """BT.601 luma of H×W×3 RGB, uint8 or uint16, in fixed point: H×W of the same dtype.

    `(4899 R + 9617 G + 1868 B + 8192) >> 14` at either depth.
    """
    height, width, _ = rgb.shape
    out = np.empty((height, width), rgb.dtype)
    line, stride = flat_rows(rgb)
    _luma_rows(line, stride, width, out)
    return out


@kernel
def luma_row(rgb, out):  # type: ignore[no-untyped-def]
    """Luma of one row: 3n interleaved samples into n. The sum stays below 2**30 for 16 bits."""
    for x in range(len(out)):
        total = np.uint32(rgb[3 * x]) * np.uint32(4899) + np.uint32(rgb[3 * x + 1]) * np.uint32(9617)
        total += np.uint32(rgb[3 * x + 2]) * np.uint32(1868) + np.uint32(8192)
        out[x] = np.uint32(total) >> np.uint32(14)


@kernel
def _luma_rows(line, stride, width, out):  # type: ignore[no-untyped-def]
    for y in range(len(out)):
        luma_row(line[y * stride : y * stride + 3 * width], out[y])


def split_ycbcr(interleaved: Array, fy: int, fx: int) -> tuple[Array, Array, Array]:
    """The planes of an interleaved YCbCr image, chroma subsampled by whole factors, in one pass.

    Args:
        interleaved: H×W×3 uint8, Y Cb Cr.
        fy: rows of luma for a row of chroma.
        fx: columns of luma for a column of chroma.

    Returns:
        Contiguous uint8 planes: Y, H×W, and Cb and Cr, ceil(H / fy)×ceil(W / fx), each sample the one at the
        top left of its block (decoders that repeat chroma samples hold the stored ones there).
    """
    height, width, _ = interleaved.shape
    plane = np.empty((height, width), np.uint8)
    cb, cr = np.empty((2, -(-height // fy), -(-width // fx)), np.uint8)
    line, stride = flat_rows(interleaved)
    _split_rows(line, stride, plane, cb, cr, fy, fx)
    return plane, cb, cr


@kernel
def _split_rows(line, stride, plane, cb, cr, fy, fx):  # type: ignore[no-untyped-def]
    height, width = plane.shape
    blue = np.empty(width, np.uint8)
    red = np.empty(width, np.uint8)
    for y in range(height):
        row = line[y * stride : y * stride + 3 * width]
        target = plane[y]
        if y % fy:
            for x in range(width):
                target[x] = row[3 * x]
            continue
        # Strides of 3 and of 2 the compiler turns into shuffles; one of 3 * fx, or unknown, it would not.
        for x in range(width):
            target[x] = row[3 * x]
            blue[x] = row[3 * x + 1]
            red[x] = row[3 * x + 2]
        _decimate(blue, cb[y // fy], fx)
        _decimate(red, cr[y // fy], fx)


@kernel
def _decimate(samples, out, step):  # type: ignore[no-untyped-def]
    if step == 1:
        for x in range(len(out)):
            out[x] = samples[x]
    elif step == 2:
        for x in range(len(out)):
            out[x] = samples[2 * x]
    else:
        for x in range(len(out)):
            out[x] = samples[step * x]


# --- histograms --------------------------------------------------------------------------------------------


def luma_histogram(luma: Array) -> Array:
    """Counts of the 256 grey levels of H×W luma, uint8 or uint16: int64, 256.

    16-bit values are binned by the nearest 8-bit code, `(v + 128) // 257`.
    """
    height, width = luma.shape
    counts: Array = count_tiles(luma, height, width, 0, 1, 1)[0, 0]
    return counts


def rgb_luma_histogram(rgb: Array) -> Array:
    """`luma_histogram(luma(rgb))` of H×W×3 RGB, uint8 or uint16, without the plane between: int64, 256."""
    height, width, _ = rgb.shape
    line, stride = flat_rows(rgb)
    counts = np.zeros(BINS, np.int64)
    _count_rgb(line, stride, height, width, np.empty(width, rgb.dtype), counts)
    return counts


def count_tiles(luma: Array, tile_height: int, tile_width: int, first_row: int, last_row: int, columns: int) -> Array:
    """Histograms of the tiles in rows `first_row`..`last_row` of a grid laid over H×W luma from its top left.

    Tiles that reach over the bottom or the right see the image reflected there without its edge pixel
    (`cv2.BORDER_REFLECT_101`), folded as often as needed.

    Returns:
        int64, `last_row - first_row`×`columns`×256.
    """
    height, width = luma.shape
    line, stride = flat_rows(luma)
    counts = np.zeros((last_row - first_row, columns, BINS), np.int64)
    _count_tiles(line, stride, height, width, tile_height, tile_width, first_row, counts)
    return counts


def _codes(row, buffer):  # type: ignore[no-untyped-def]
    """The 8-bit codes of a row of samples; 16-bit ones are binned into `buffer`, uint8 and at least as long."""


@overload(_codes)
def _codes_at_depth(row, buffer):  # type: ignore[no-untyped-def]
    def as_they_are(row, buffer):  # type: ignore[no-untyped-def]
        return row

    def binned(row, buffer):  # type: ignore[no-untyped-def]
        for x in range(len(row)):
            buffer[x] = (np.uint32(row[x]) + np.uint32(128)) // np.uint32(257)
        return buffer[: len(row)]

    return as_they_are if row.dtype == types.uint8 else binned


@kernel
def _count(codes, banks):  # type: ignore[no-untyped-def]
    """Add a row of 8-bit codes to the banks, one bank after the other."""
    one = np.uint32(1)
    whole = len(codes) // 8
    for i in range(whole):
        eight = codes[8 * i : 8 * i + 8]
        banks[np.uint64(eight[0])] += one
        banks[np.uint64(eight[1]) + np.uint64(256)] += one
        banks[np.uint64(eight[2]) + np.uint64(512)] += one
        banks[np.uint64(eight[3]) + np.uint64(768)] += one
        banks[np.uint64(eight[4]) + np.uint64(1024)] += one
        banks[np.uint64(eight[5]) + np.uint64(1280)] += one
        banks[np.uint64(eight[6]) + np.uint64(1536)] += one
        banks[np.uint64(eight[7]) + np.uint64(1792)] += one
    for x in range(8 * whole, len(codes)):
        banks[np.uint64(codes[x])] += one


@kernel
def _sum_banks(banks, counts):  # type: ignore[no-untyped-def]
    for bank in range(_BANKS):
        for code in range(BINS):
            counts[code] += banks[bank * BINS + code]


@kernel
def _reflected(index, length):  # type: ignore[no-untyped-def]
    """Where a position beyond the end lies in the image (`blocks.reflected` is its array)."""
    if index < length or length == 1:
        return min(index, length - 1)
    folded = index % (2 * length - 2)
    return min(folded, 2 * length - 2 - folded)


@kernel
def _count_tiles(line, stride, height, width, tile_height, tile_width, first_row, counts):  # type: ignore[no-untyped-def]
    banks = np.empty(_BANKS * BINS, np.uint32)
    buffer = np.empty(tile_width, np.uint8)
    for i in range(counts.shape[0]):
        for j in range(counts.shape[1]):
            banks[:] = 0
            left = min(j * tile_width, width)
            right = min(left + tile_width, width)
            for row in range((first_row + i) * tile_height, (first_row + i + 1) * tile_height):
                start = _reflected(row, height) * stride
                _count(_codes(line[start + left : start + right], buffer), banks)
                for beyond in range(max(width, j * tile_width), (j + 1) * tile_width):
                    at = start + _reflected(beyond, width)
                    banks[np.uint64(_codes(line[at : at + 1], buffer)[0])] += np.uint32(1)
            _sum_banks(banks, counts[i, j])


@kernel
def _count_rgb(line, stride, height, width, row_luma, counts):  # type: ignore[no-untyped-def]
    banks = np.zeros(_BANKS * BINS, np.uint32)
    buffer = np.empty(width, np.uint8)
    for y in range(height):
        luma_row(line[y * stride : y * stride + 3 * width], row_luma)
        _count(_codes(row_luma, buffer), banks)
    _sum_banks(banks, counts)
