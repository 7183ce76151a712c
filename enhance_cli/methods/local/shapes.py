"""Masks drawn from shapes: circles, rectangles, ellipses and polygons, joined."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from enhance_cli.methods.local import Shape
from enhance_cli.methods.local.covers import NOTHING, Cover, bands, cut

if TYPE_CHECKING:
    from enhance_cli.types import Array


def draw(height: int, width: int, shapes: Sequence[Shape]) -> Cover:
    """Shapes drawn and joined; a pixel is inside where its centre is."""
    outlines = [_Outline.of(shape, height, width) for shape in shapes]
    top = max(0, min(outline.top for outline in outlines))
    left = max(0, min(outline.left for outline in outlines))
    bottom = min(height, max(outline.bottom for outline in outlines))
    right = min(width, max(outline.right for outline in outlines))
    if top >= bottom or left >= right:
        return NOTHING
    canvas = np.zeros((bottom - top, right - left), np.bool_)
    for outline in outlines:
        # A polygon is filled as a whole; the others are formulas, whose numbers take 8 bytes a pixel and more.
        for band in bands(canvas) if outline.shape.kind != "polygon" else (slice(0, len(canvas)),):
            outline.paint(canvas[band], top + band.start, left)
    if not canvas.any():
        # Between the centres of pixels: the pixel that the middle of the first shape lies in, if the picture shows it.
        middle = outlines[0].middle(height, width)
        if middle is not None:
            canvas[middle[0] - top, middle[1] - left] = True
    values = canvas.view(np.uint8)
    values *= np.uint8(255)
    return cut(Cover(values, top, left, False, owned=True), 0.0)


@dataclass(frozen=True)
class _Outline:
    """A shape in pixels: the rows and columns that it may touch, and what it paints of them."""

    shape: Shape
    numbers: tuple[float, ...]
    box: tuple[float, float, float, float]
    """First x, first y, last x, last y."""

    top: int
    left: int
    bottom: int
    right: int

    @classmethod
    def of(cls, shape: Shape, height: int, width: int) -> _Outline:
        side = min(height, width)
        places = (width, height)
        if shape.kind == "polygon":
            of: Sequence[int] = places * (len(shape.lengths) // 2)
        else:
            of = {"circle": (*places, side), "ellipse": (*places, side, side), "rect": places * 2}[shape.kind]
        numbers = tuple(length.pixels(whole) for length, whole in zip(shape.lengths, of, strict=True))
        if shape.kind == "circle":
            x, y, reach = numbers
            box = (x - reach, y - reach, x + reach, y + reach)
        elif shape.kind == "ellipse":
            x, y, *radii = numbers
            box = (x - max(radii), y - max(radii), x + max(radii), y + max(radii))
        elif shape.kind == "rect":
            x, y, across, down = numbers
            box = (x, y, x + across, y + down)
        else:
            box = (min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2]))
        # Clipped before they are whole: a mask may be written far outside.
        left, right = (int(np.clip(edge, -2, width + 2)) for edge in (box[0] - 1, box[2] + 2))
        top, bottom = (int(np.clip(edge, -2, height + 2)) for edge in (box[1] - 1, box[3] + 2))
        return cls(shape, numbers, box, top, left, bottom, right)

    def middle(self, height: int, width: int) -> tuple[int, int] | None:
        """Row and column of the middle of what the picture shows of the shape; None where it shows nothing."""
        first, last = max(self.box[0], 0.0), min(self.box[2], float(width))
        upper, lower = max(self.box[1], 0.0), min(self.box[3], float(height))
        if first > last or upper > lower:
            return None
        return min(int((upper + lower) / 2.0), height - 1), min(int((first + last) / 2.0), width - 1)

    def paint(self, canvas: Array, top: int, left: int) -> None:
        """Add the shape to a canvas of bools whose first pixel is (`top`, `left`)."""
        if self.shape.kind == "polygon":
            corners = np.reshape(self.numbers, (-1, 2)) - (left + 0.5, top + 0.5)
            # OpenCV takes sixteenths of pixels; far corners are drawn in to where 32 bits hold them.
            fixed = np.rint(np.clip(corners, -1e6, 1e6) * 16.0).astype(np.int32)
            painted = canvas.astype(np.uint8)
            cv2.fillPoly(painted, [fixed], (1,), shift=4)
            canvas |= painted.astype(np.bool_)
            return
        first, start = max(self.top - top, 0), max(self.left - left, 0)
        canvas = canvas[first : max(self.bottom - top, 0), start : self.right - left]
        rows, columns = canvas.shape
        y = np.arange(top + first, top + first + rows)[:, None] + 0.5
        x = np.arange(left + start, left + start + columns)[None, :] + 0.5
        if self.shape.kind == "rect":
            across, down = self.numbers[2:]
            x, y = x - self.numbers[0], y - self.numbers[1]
            canvas |= (x >= 0.0) & (x < across) & (y >= 0.0) & (y < down)
            return
        x, y = x - self.numbers[0], y - self.numbers[1]
        if self.shape.kind == "circle":
            canvas |= np.square(x) + np.square(y) <= self.numbers[2] ** 2
            return
        turn = math.radians(self.shape.degrees)
        along = (x * math.cos(turn) + y * math.sin(turn)) / self.numbers[2]
        aside = (y * math.cos(turn) - x * math.sin(turn)) / self.numbers[3]
        canvas |= np.square(along) + np.square(aside) <= 1.0
