"""The regions drawn over the picture: what is lit, what is touched, what stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from enhance_cli.imaging import colour
from enhance_cli.methods.local.covers import FULL
from enhance_cli.types import Image

if TYPE_CHECKING:
    from enhance_cli.types import Array

_LONG_SIDE = 1600
_ROWS = 64
_INSIDE = np.array([255.0, 176.0, 32.0], np.float32)
_BETWEEN = np.array([64.0, 160.0, 255.0], np.float32)


def draw_regions(image: Image, fall_off: Array, region: tuple[int, int]) -> Array:
    """Tint area A amber and area B blue, the fainter the further out; area C is grey, and edges are outlined.

    Args:
        image: the picture before enhancement.
        fall_off: h×w uint16 of the part that is lit.
        region: its first row and column.

    Returns:
        H×W×3 uint8 RGB, long side at most 1600 pixels.
    """
    rgb = colour.to_rgb(colour.to_eight_bit(image)).pixels
    scale = min(1.0, _LONG_SIDE / max(image.height, image.width))
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    small: Array = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    share = np.zeros((size[1], size[0]), np.uint16)
    # The nearest value: between A and C there must not appear a B that is none.
    (first, rows), (start, columns) = (
        _nearest(long, short, at, length)
        for long, short, at, length in zip((image.height, image.width), size[::-1], region, fall_off.shape, strict=True)
    )
    share[first : first + len(rows), start : start + len(columns)] = fall_off[np.ix_(rows, columns)]
    grey = cv2.cvtColor(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    inside, lit = share == FULL, share > 0
    result: Array = np.empty_like(small)
    for top in range(0, len(small), _ROWS):  # in bands: floating point takes several times the memory of the picture
        band = slice(top, top + _ROWS)
        result[band] = _tinted(small[band], grey[band], share[band])
    for area, line in ((inside, _INSIDE), (lit, _BETWEEN)):
        outlines, _ = cv2.findContours(area.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(result, outlines, -1, tuple(float(value) for value in line), 1, cv2.LINE_AA)
    return result


def _tinted(rgb: Array, grey: Array, share: Array) -> Array:
    """Some rows of the drawing: rows×columns×3 uint8, from RGB, grey as RGB, and the fall-off."""
    lit = (share > 0)[..., None]
    drawn = 0.6 * grey.astype(np.float32)
    strength = (0.15 + 0.35 * share[..., None] / np.float32(FULL)) * lit
    drawn = np.where(lit, rgb.astype(np.float32), drawn)
    drawn += strength * (np.where((share == FULL)[..., None], _INSIDE, _BETWEEN) - drawn)
    tinted: Array = np.rint(drawn).clip(0, 255).astype(np.uint8)
    return tinted


def _nearest(long: int, short: int, at: int, length: int) -> tuple[int, Array]:
    """The samples of a line that show a part of it when it is made shorter.

    Returns:
        The first of the `short` samples that lies in the part, and for each that does its place in the part.
    """
    line: Array = cv2.resize(np.arange(long, dtype=np.float32)[:, None], (1, short), interpolation=cv2.INTER_NEAREST)
    places = line.ravel().astype(np.intp) - at
    inside = np.flatnonzero((places >= 0) & (places < length))
    return (int(inside[0]) if inside.size else 0), places[inside]
