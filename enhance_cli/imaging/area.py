"""An image made small by area means, the proxy that networks look at."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhance_cli.engines.compiled import kernel
from enhance_cli.imaging.luma import flat_rows

Array = NDArray[Any]


def area_means(pixels: Array, height: int, width: int) -> Array:
    """Area means of an H×W×3 image, uint8 or uint16, as light: float32 3×height×width in 0..1.

    Bins are whole pixels, `floor(i * H / height)` to `ceil((i + 1) * H / height)`, as in adaptive average pooling.
    """
    line, stride = flat_rows(pixels)
    out = np.empty((3, height, width), np.float32)
    _area_means(line, stride, pixels.shape[0], pixels.shape[1], float(np.iinfo(pixels.dtype).max), out)
    return out


def extremes(pixels: Array) -> tuple[Array, Array]:
    """The smallest and the largest channel of each pixel of H×W×3, H×W of the same dtype.

    NumPy's own reductions over an axis this short take ten times as long.
    """
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    return np.minimum(np.minimum(red, green), blue), np.maximum(np.maximum(red, green), blue)


@kernel
def _area_means(line, stride, rows, columns, white, out):  # type: ignore[no-untyped-def]
    _, height, width = out.shape
    sums = np.empty(3 * columns, np.uint32)
    for i in range(height):
        top = i * rows // height
        bottom = -(-(i + 1) * rows // height)
        sums[:] = 0
        for y in range(top, bottom):
            row = line[y * stride : y * stride + 3 * columns]
            for x in range(len(sums)):
                sums[x] += row[x]
        for j in range(width):
            left = j * columns // width
            right = -(-(j + 1) * columns // width)
            scale = 1.0 / (white * ((bottom - top) * (right - left)))
            red = np.uint64(0)
            green = np.uint64(0)
            blue = np.uint64(0)
            for x in range(left, right):
                red += sums[3 * x]
                green += sums[3 * x + 1]
                blue += sums[3 * x + 2]
            out[0, i, j] = np.float64(red) * scale
            out[1, i, j] = np.float64(green) * scale
            out[2, i, j] = np.float64(blue) * scale
