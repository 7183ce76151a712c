"""The part of a photo that a mask covers, with the mask's values at their own depth."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from enhance_cli.types import Image

if TYPE_CHECKING:
    from enhance_cli.types import Array

FULL = 65535
"""Value of a pixel that lies wholly inside."""

INSIDE, OUTSIDE = 0.9, 0.02
"""A soft mask's values from which a pixel belongs to A, and below which to C."""


class Cover(NamedTuple):
    """A part of a picture: how much of every pixel a mask covers. Outside of it, nothing."""

    values: Array
    """h×w, uint8 or uint16, as the mask came: a second array of this size would be too much for a large photo."""

    top: int
    left: int
    soft: bool
    owned: bool = False
    """Whether `values` belong to this cover alone, so that they may be overwritten."""


NOTHING = Cover(np.empty((0, 0), np.uint16), 0, 0, False)

ROWS = 256

LARGE = 2**25
"""Pixels from which on narrow transitions are measured in bands."""


def bands(values: Array) -> Iterator[slice]:
    """Rows to process together: temporaries of a whole large mask would take several times its memory."""
    return (slice(top, min(top + ROWS, len(values))) for top in range(0, len(values), ROWS))


def of_white(values: Array) -> float:
    """The factor that scales values of this dtype to 16 bits."""
    return 257.0 if values.dtype == np.uint8 else 1.0


def length_of_edge(values: Array, above: float) -> float:
    """The length in pixels of the edge of the part above a value, from crossings along rows and columns: a line in any
    direction has, on average, 4 / pi of them for each of its pixels.
    """
    count = sum(crossings(values[band.start : band.stop + 1] > above, band.stop - band.start) for band in bands(values))
    return float(count * math.pi / 4.0)


def crossings(part: Array, rows: int) -> int:
    """Changes between neighbours along rows and columns of H×W bools; the row beyond `rows` is only a neighbour."""
    across = int(np.count_nonzero(part[1:] != part[:-1]))
    part = part[:rows]
    return across + int(np.count_nonzero(part[:, 1:] != part[:, :-1]))


def within(image: Image, values: Array, soft: bool, *, owned: bool) -> Cover:
    """A mask of a whole photo, cropped to the part that it covers."""
    return cut(Cover(values, 0, 0, soft, owned), OUTSIDE * FULL / of_white(values))


def cut(cover: Cover, above: float) -> Cover:
    """A cover, cropped to the rows and columns with values above a threshold."""
    values = cover.values
    in_row, in_column = np.zeros(values.shape[0], np.bool_), np.zeros(values.shape[1], np.bool_)
    for band in bands(values):
        covered = values[band] > above
        in_row[band] = covered.any(axis=1)
        in_column |= covered.any(axis=0)
    rows, columns = np.flatnonzero(in_row), np.flatnonzero(in_column)
    if not rows.size:
        return NOTHING
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    return cover._replace(values=values[top:bottom, left:right], top=cover.top + top, left=cover.left + left)


def inverted(image: Image, cover: Cover) -> Cover:
    """The complement of a cover."""
    whole = np.full((image.height, image.width), np.iinfo(cover.values.dtype).max, cover.values.dtype)
    rows, columns = cover.values.shape
    whole[cover.top : cover.top + rows, cover.left : cover.left + columns] -= cover.values
    return within(image, whole, cover.soft, owned=True)


def grown(image: Image, cover: Cover, by: int) -> Cover:
    """A cover with an empty margin of `by` pixels, where the photo has them."""
    rows, columns = cover.values.shape
    up, left = min(by, cover.top), min(by, cover.left)
    down = min(by, image.height - cover.top - rows)
    right = min(by, image.width - cover.left - columns)
    if not (up or down or left or right):
        return cover
    values = np.zeros((rows + up + down, columns + left + right), cover.values.dtype)
    values[up : up + rows, left : left + columns] = cover.values
    return cover._replace(values=values, top=cover.top - up, left=cover.left - left, owned=True)
