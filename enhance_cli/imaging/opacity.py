"""Transparency in methods: pixels are weighted by their opacity, and hidden ones are ignored.

Colour under full transparency is arbitrary. Before a method sees it, it is replaced by an interpolation of the visible
pixels around it, from a pyramid of means ("push and pull": Gortler et al., "The lumigraph",
1996); and every statistic weighs pixels by their opacity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from enhance_cli.imaging import area

if TYPE_CHECKING:
    from enhance_cli.types import Array, Image

CELL = 4
"""Side of the pyramid's finest cells in pixels."""

_BAND = 256
"""Rows taken at once; a multiple of `CELL`."""


def weights_of(image: Image) -> Array | None:
    """The opacity that pixels are weighed by, H×W uint8 or uint16; None where all count alike.

    They do if there is no alpha, or if it is the same everywhere, even 0.
    """
    alpha = image.alpha
    return None if alpha is None or alpha.min() == alpha.max() else alpha


def weight_means(image: Image, height: int, width: int) -> Array | None:
    """Mean opacity of the cells of `area_means`: float32 height×width in 0..1; None where all pixels count alike."""
    weights = weights_of(image)
    return None if weights is None else plane_means(weights, height, width)


def plane_means(plane: Array, height: int, width: int) -> Array:
    """Area means of one plane, H×W uint8 or uint16, in the cells of `area.area_means`: float32 height×width in 0..1."""
    return weighted_means(plane, np.ones_like(plane), height, width)


def area_means(image: Image, height: int, width: int, means: Callable[..., Any] = area.area_means) -> Array:
    """Area means of an image as light, weighed by opacity: float32 3×height×width in 0..1.

    Args:
        image: H×W×3, its hidden pixels filled.
        height: rows of cells, which are those of `area.area_means`.
        width: columns of cells.
        means: what is asked where all pixels count alike: `(pixels, height, width)` to the same.
    """
    weights = weights_of(image)
    if weights is None:
        return means(image.pixels, height, width)  # type: ignore[no-any-return]
    return weighted_means(image.pixels, weights, height, width)


def weighted_means(pixels: Array, weights: Array, height: int, width: int) -> Array:
    """Area means of H×W×3 or H×W samples by weights H×W: float32 3×height×width, or height×width, in 0..1.

    Cells with less opacity than the most opaque one are interpolated from their neighbours accordingly.
    """
    planes = pixels if pixels.ndim == 3 else pixels[..., None]
    rows, columns, channels = planes.shape
    edges = np.arange(width + 1) * columns
    starts, ends = edges[:-1] // width, -(-edges[1:] // width)
    out = np.empty((height, width, channels), np.float32)
    believed = np.empty((height, width, 1), np.float32)
    white = float(np.iinfo(pixels.dtype).max)
    for i in range(height):
        band = slice(i * rows // height, -(-(i + 1) * rows // height))
        opacity = weights[band].astype(np.uint64)
        total = _between(opacity.sum(axis=0), starts, ends)
        believed[i, :, 0] = total / ((ends - starts) * len(opacity))
        for c in range(channels):
            plane = planes[band, :, c]
            sums = _between((plane * opacity).sum(axis=0), starts, ends)
            out[i, :, c] = sums / np.maximum(total, 1) / white
    leant = _pulled(out, believed / max(float(believed.max()), 1e-9), 0.25)
    return np.ascontiguousarray(leant.transpose(2, 0, 1)) if pixels.ndim == 3 else leant[..., 0]


def _between(sums: Array, starts: Array, ends: Array) -> Array:
    running = np.concatenate((np.zeros(1, np.uint64), np.cumsum(sums, dtype=np.uint64)))
    found: Array = running[ends] - running[starts]
    return found


def histogram(samples: Array, weights: Array, bins: int) -> Array:
    """Counts of whole numbers below `bins`, each counted by its weight: float64, whole numbers still."""
    counts = np.zeros(bins)
    for top in range(0, len(samples), 128):  # in bands: bincount widens what it counts to 8 bytes
        band = slice(top, top + 128)
        counts += np.bincount(samples[band].ravel(), weights[band].ravel(), bins)
    return counts


def mean(values: Array, weights: Array | None) -> float:
    """The mean of values, weighed by weights of the same shape, not all of them 0, or plain for None."""
    if weights is None:
        return float(values.mean())
    return float((values * weights).sum(dtype=np.float64) / weights.sum(dtype=np.float64))


def quantiles(values: Array, shares: tuple[float, ...], weights: Array | None) -> Array:
    """Quantiles, those of numpy for None, else the least values that these shares of all weight do not exceed."""
    if weights is None:
        return np.quantile(values, shares)
    order = np.argsort(values, axis=None, kind="stable")
    running = np.cumsum(weights.ravel()[order], dtype=np.float64)
    places = np.searchsorted(running, np.asarray(shares) * running[-1])
    found: Array = values.ravel()[order][np.minimum(places, len(order) - 1)].astype(np.float64)
    return found


# --- filling -----------------------------------------------------------------------------------------------


class Fill:
    """The colours to put where an image is hidden; hidden pixels do not influence them."""

    def __init__(self, part: Callable[[tuple[slice, slice]], Array], alpha: Array) -> None:
        """Take means of all that is visible.

        Args:
            part: the pixels of a part of the image, given as its rows and columns.
            alpha: H×W opacity of the whole.
        """
        self._alpha = alpha
        self._cells = _pulled(*_cell_means(part, alpha))

    def fill(self, pixels: Array, place: tuple[slice, slice]) -> Array:
        """A part of the image with the fill where it is hidden: `pixels` themselves where nothing is.

        The same for any part that a pixel lies in.
        """
        rows, columns = np.nonzero(self._alpha[place] == 0)
        if not rows.size:
            return pixels
        filled = pixels.copy()
        white = np.float32(np.iinfo(pixels.dtype).max)
        step = 2**20  # pixels at once
        for first in range(0, rows.size, step):
            y, x = rows[first : first + step], columns[first : first + step]
            values = np.rint(self._at(y + (place[0].start or 0), x + (place[1].start or 0)) * white)
            filled[y, x] = values[:, 0] if pixels.ndim == 2 else values
        return filled

    def _at(self, y: Array, x: Array) -> Array:
        """The means between cells' middles, n×channels in 0..1."""
        cells = self._cells
        (up, down, below), (left, right, beside) = _neighbours(y, cells.shape[0]), _neighbours(x, cells.shape[1])
        above = cells[up, left] * (1 - beside) + cells[up, right] * beside
        under = cells[down, left] * (1 - beside) + cells[down, right] * beside
        between: Array = above * (1 - below) + under * below
        return between


def _neighbours(places: Array, count: int) -> tuple[Array, Array, Array]:
    """For pixels along an axis the cells before and after, and how far each is on its way, n×1."""
    at = (places.astype(np.float32) + np.float32(0.5)) / np.float32(CELL) - np.float32(0.5)
    before = np.floor(at)
    share = (at - before)[:, None]
    first = before.astype(np.intp)
    return np.clip(first, 0, count - 1), np.clip(first + 1, 0, count - 1), share


def _cell_means(part: Callable[[tuple[slice, slice]], Array], alpha: Array) -> tuple[Array, Array]:
    """Means of what is visible in cells, rows×columns×channels in 0..1, and their confidence."""
    height, width = alpha.shape
    whole_width = -(-width // CELL) * CELL
    sums, totals = [], []
    for top in range(0, height, _BAND):
        place = slice(top, min(top + _BAND, height)), slice(0, width)
        opacity = alpha[place].astype(np.float32) / np.float32(np.iinfo(alpha.dtype).max)
        pixels = part(place)
        planes = pixels[..., None] if pixels.ndim == 2 else pixels
        padding = (0, -len(opacity) % CELL), (0, whole_width - width)
        seen = planes.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max) * opacity[..., None]
        sums.append(_blocks(np.pad(seen, (*padding, (0, 0)))))
        totals.append(_blocks(np.pad(opacity, padding)[..., None]))
    total = np.concatenate(totals)  # a cell with one fully visible pixel has full confidence
    return np.concatenate(sums) / np.maximum(total, np.float32(1e-9)), np.minimum(total, np.float32(1.0))


def _blocks(values: Array, side: int = CELL) -> Array:
    """Sums over squares."""
    rows, columns, channels = values.shape
    blocks = values.reshape(rows // side, side, columns // side, side, channels)
    sums: Array = blocks.sum(axis=(1, 3))
    return sums


def _pulled(means: Array, weights: Array, belief: float = 1.0) -> Array:
    """Means of cells; hidden cells take theirs from coarser cells, recursively.

    Args:
        means: h×w×channels.
        weights: h×w×1 in 0..1, the confidence of the means.
        belief: in a cell, as a share of the sum of that in its four parts, at most 1: 1 believes in what is seen of
            few, 1/4 in what most are.
    """
    if means.shape[:2] == (1, 1):
        return np.where(weights > 0, means, np.float32(0.5))
    even = (0, means.shape[0] % 2), (0, means.shape[1] % 2), (0, 0)
    below = np.pad(weights, even)
    totals = _blocks(below, 2)
    coarse = _pulled(
        _blocks(np.pad(means, even) * below, 2) / np.maximum(totals, np.float32(1e-9)),
        np.minimum(totals * np.float32(belief), np.float32(1.0)),
        belief,
    )
    rows = coarse.repeat(2, axis=0)[: len(means)]
    spread = _smoothed(rows.repeat(2, axis=1)[:, : means.shape[1]])
    leaning: Array = weights * means + (1 - weights) * spread
    return leaning


def _smoothed(values: Array) -> Array:
    """Halves and quarters of a cell and its two neighbours along both axes: repeated values lose their steps."""
    for axis in (0, 1):
        padded = np.pad(values, [(1, 1) if axis == it else (0, 0) for it in range(3)], mode="edge")
        length = values.shape[axis]
        before, after = (padded.take(np.arange(start, start + length), axis) for start in (0, 2))
        values = np.float32(0.25) * before + np.float32(0.5) * values + np.float32(0.25) * after
    return values


def with_hidden_filled(image: Image) -> Image:
    """An image with the fill under full transparency, for encoders whose blocks would spread what is hidden there."""
    if image.alpha is None or image.alpha.min() > 0:
        return image
    pixels = image.pixels
    whole = slice(0, image.height), slice(0, image.width)
    return image.replace(pixels=Fill(lambda place: pixels[place], image.alpha).fill(pixels, whole))
