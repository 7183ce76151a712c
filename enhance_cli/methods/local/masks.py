"""Masks as regions of one picture: A is lit, C stays, and B between them is the transition.

All three are told by one number per pixel, the fall-off t: 1 in A, 0 in C, and between in B, linear in the distance
to A, or the softness of a soft mask. It is kept in 16 bits, 65535 in A and 0 in C, so regions never overlap or gape.

Paper: "Local low-light image enhancement via region-aware normalization", whose masks are circles, a second radius
1.2 to 1.25 of the first, and portraits with an eroded copy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import cv2
import numpy as np

from enhance_cli.errors import UsageError
from enhance_cli.imaging import colour, luma, opacity
from enhance_cli.methods.local import LocalControls, Mask, Shape
from enhance_cli.types import Image

if TYPE_CHECKING:
    from enhance_cli.types import Array

FULL = 65535
"""Fall-off, or cover, of a pixel that is all inside."""

INSIDE, OUTSIDE = 0.9, 0.02
"""A soft mask's values from which a pixel belongs to A, and below which to C."""

OF_RADIUS = 0.22
"""A transition's width where none is given, as a share of the radius of a disc of the mask's area: the middle of the
paper's, whose outer radius is 1.2 to 1.25 of the inner."""

NARROW = 1 / 32
"""Of the shorter side: a narrower transition may look like an edge."""

_SOFT = 2.0
"""Mean pixels from inside to outside from which a mask's edge is softness, not only smooth drawing."""

_STEPS = 48.0
"""Distances are measured where the transition is this many pixels wide: an exact distance transform at full
resolution costs more than all the rest of a photograph."""

_ASPECT = 0.02
"""Relative difference of aspect between a mask and its picture that passes as rounding."""

_LUMA_SIDE, _LUMA_BLUR, _LUMA_REACH = 512, 0.012, 2.0
"""`luma<N`: long side of the picture in which dark regions are sought, the blur that makes regions of pixels as a
share of the shorter side, and how many times N the transition reaches beyond it. With less, dark parts come out
brighter than what was brighter beside them."""


@dataclass(frozen=True)
class Regions:
    """Where the areas of a picture lie."""

    height: int
    width: int
    fall_off: Array
    """h×w uint16, the part of the picture outside which all is C; 0×0 where nothing is lit."""

    top: int = 0
    left: int = 0
    transition: float = 0.0
    """Width of B in pixels: as asked for, else B's area over the length of its middle line."""

    soft: bool = False
    """Whether B is a mask's own softness."""

    @cached_property
    def shares(self) -> tuple[float, float, float]:
        """Shares of the picture's pixels in A, B and C; they sum to 1."""
        whole = self.height * self.width
        inside = int(np.count_nonzero(self.fall_off == FULL))
        lit = int(np.count_nonzero(self.fall_off))
        return inside / whole, (lit - inside) / whole, (whole - lit) / whole

    def planes(self, rows: int, columns: int) -> Array:
        """Area A and the fall-off as area means over the whole picture: float32 2×rows×columns in 0..1.

        Bins are those of `imaging.area.area_means`.
        """
        sums = np.zeros((2, rows, columns))
        bottom, right = self.top + self.fall_off.shape[0], self.left + self.fall_off.shape[1]
        starts = np.arange(columns) * self.width // columns
        ends = -(-np.arange(1, columns + 1) * self.width // columns)
        for i in range(rows):
            first, last = i * self.height // rows, -(-(i + 1) * self.height // rows)
            band = self.fall_off[max(first - self.top, 0) : max(min(last, bottom) - self.top, 0)]
            if not band.size:
                continue
            totals = np.zeros((2, self.width + 1))
            totals[0, 1 + self.left : 1 + right] = (band == FULL).sum(axis=0, dtype=np.uint32)
            totals[1, 1 + self.left : 1 + right] = band.sum(axis=0, dtype=np.uint32) / FULL
            totals = totals.cumsum(axis=1)
            sums[:, i] = (totals[:, ends] - totals[:, starts]) / ((last - first) * (ends - starts))
        return sums.astype(np.float32)


def regions(image: Image, controls: LocalControls) -> Regions:
    """The areas of a picture under its controls.

    Raises:
        UsageError: the mask does not fit the picture: it lies outside, is shaped differently, or needs an alpha
            channel that is not there.
    """
    assert controls.mask is not None
    cover = _cover(image, controls.mask, "mask")
    outer = None if controls.mask_outer is None else _cover(image, controls.mask_outer, "mask_outer")
    if controls.mask_invert:
        # What was outside the outer one is lit, and what was inside the inner one stays.
        cover, outer = (
            (_inverted(image, cover), None) if outer is None else (_inverted(image, outer), _inverted(image, cover))
        )
    if not cover.values.size and (outer is None or not outer.values.size):
        return Regions(image.height, image.width, np.empty((0, 0), np.uint16))
    if outer is not None:
        return _drawn(image, cover, outer)
    width = _transition(image, cover, controls)
    # The inside of an eroded mask needs no more than its own pixels, but one beyond them where it ends.
    reach = 1 if controls.transition_mode == "erode" else math.ceil(width) + 1
    grown = _grown(image, cover, reach)
    values = _fall_off(grown.values, width, controls.transition_mode)
    return _trimmed(image, grown._replace(values=values), width, cover.soft and width == 0.0)


def fall_off(mask: Array, width: float, mode: Literal["dilate", "erode", "both"] = "dilate") -> Array:
    """The fall-off of a mask of a whole picture.

    Args:
        mask: h×w floats in 0..1, hard or soft.
        width: of the transition in pixels.
        mode: whether it lies outside the mask, inside it, or half and half.

    Returns:
        float32 h×w: 1 in A, 0 in C; hard masks fall by 1 / (width + 1) a pixel.
    """
    values = _fall_off(np.rint(np.asarray(mask, np.float32) * FULL).astype(np.uint16), width, mode)
    return values / np.float32(FULL)


# --- what a mask covers ------------------------------------------------------------------------------------


class _Cover(NamedTuple):
    """A part of a picture: how much of every pixel a mask covers. Outside of it, nothing."""

    values: Array
    """h×w uint16."""

    top: int
    left: int
    soft: bool


_NOTHING = _Cover(np.empty((0, 0), np.uint16), 0, 0, False)


def _cover(image: Image, mask: Mask, role: str) -> _Cover:
    name = image.metadata.source or "the picture"
    option = f"--{role.replace('_', '-')}"
    if mask.shapes:
        cover = _shapes(image.height, image.width, mask.shapes)
        if not cover.values.any():
            raise UsageError(
                f"{option}: {mask.text} covers no pixel of {name}, which is {image.width}x{image.height}; "
                "a mask lies inside of its picture."
            )
        return cover
    if mask.source == "luma":
        return _within(image, _dark(image, mask.below), soft=True)
    if mask.source == "alpha":
        if image.alpha is None:
            raise UsageError(f"{option} alpha: {name} has no transparency; give a shape or a picture as the mask.")
        values = _sixteen(image.alpha)
    elif mask.source == "array":
        values = _of_array(mask.pixels, option)
    else:
        values = _of_picture(image.companions[role])
    height, width = values.shape
    if abs(math.log(width * image.height / (height * image.width))) > _ASPECT + 0.5 / min(height, width):
        what = "the mask" if mask.source == "array" else mask.text
        raise UsageError(
            f"{option}: {what} is {width}x{height}, shaped differently from {name} of {image.width}x{image.height}; "
            "a mask may have any size, but the picture's proportions."
        )
    soft = _softness(values) >= _SOFT
    return _within(image, _scaled(values, image.height, image.width, soft), soft)


def _of_picture(picture: Image) -> Array:
    """A picture's alpha where it has one that says something, else its luma."""
    if picture.alpha is not None and picture.alpha.min() < np.iinfo(picture.alpha.dtype).max:
        return _sixteen(picture.alpha)
    pixels = picture.pixels
    return _sixteen(pixels if pixels.ndim == 2 else luma.luma(pixels))


def _of_array(given: Any, option: str) -> Array:
    values = np.asarray(given)
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * np.uint8(255)
    try:
        return _of_picture(colour.from_array(values))
    except UsageError as error:
        raise UsageError(f"{option}: {error}") from None


def _sixteen(plane: Array) -> Array:
    return plane if plane.dtype == np.uint16 else plane.astype(np.uint16) * np.uint16(257)


def _softness(values: Array) -> float:
    """Mean pixels from inside to outside: the area between over the length of the edge."""
    between = np.count_nonzero((values > OUTSIDE * FULL) & (values < INSIDE * FULL))
    return float(between / max(_length(values > FULL // 2), 1.0))


def _length(part: Array) -> float:
    """Of the edge of a part of a picture: crossings of rows and columns, of which a line in any direction has, on
    average, 4 / pi for each of its pixels.
    """
    crossings = np.count_nonzero(part[1:] != part[:-1]) + np.count_nonzero(part[:, 1:] != part[:, :-1])
    return float(crossings * math.pi / 4.0)


def _scaled(values: Array, height: int, width: int, soft: bool) -> Array:
    """A mask at the size of its picture; a hard one stays hard."""
    if values.shape == (height, width):
        return values
    shrinking = values.shape[0] >= height
    scaled: Any = cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)
    return scaled if soft else np.where(scaled > FULL // 2, np.uint16(FULL), np.uint16(0))


def _dark(image: Image, below: float) -> Array:
    """How much every pixel belongs to a region darker than `below`, h×w uint16 of the whole picture."""
    scale = min(1.0, _LUMA_SIDE / max(image.height, image.width))
    rows, columns = max(1, round(image.height * scale)), max(1, round(image.width * scale))
    red, green, blue = opacity.area_means(colour.to_rgb(image), rows, columns)
    level: Any = 0.299 * red + 0.587 * green + 0.114 * blue
    level = cv2.GaussianBlur(level, (0, 0), max(_LUMA_BLUR * min(rows, columns), 0.5))
    cover = np.clip((below * (1.0 + _LUMA_REACH) - level) / (below * _LUMA_REACH), 0.0, 1.0)
    small = np.rint(cover * FULL).astype(np.uint16)
    return _scaled(small, image.height, image.width, soft=True)


def _within(image: Image, values: Array, soft: bool) -> _Cover:
    """A whole picture's mask, cut to what it covers."""
    return _cut(_Cover(values, 0, 0, soft), OUTSIDE * FULL)


def _cut(cover: _Cover, above: float) -> _Cover:
    covered = cover.values > above
    rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    if not rows.size:
        return _NOTHING
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    return cover._replace(values=cover.values[top:bottom, left:right], top=cover.top + top, left=cover.left + left)


def _inverted(image: Image, cover: _Cover) -> _Cover:
    whole = np.full((image.height, image.width), FULL, np.uint16)
    rows, columns = cover.values.shape
    whole[cover.top : cover.top + rows, cover.left : cover.left + columns] -= cover.values
    return _within(image, whole, cover.soft)


def _grown(image: Image, cover: _Cover, by: int) -> _Cover:
    """A cover with an empty margin, as far as the picture goes."""
    rows, columns = cover.values.shape
    up, left = min(by, cover.top), min(by, cover.left)
    down = min(by, image.height - cover.top - rows)
    right = min(by, image.width - cover.left - columns)
    values = np.pad(cover.values, ((up, down), (left, right)))
    return cover._replace(values=values, top=cover.top - up, left=cover.left - left)


# --- shapes ------------------------------------------------------------------------------------------------


def _shapes(height: int, width: int, shapes: Sequence[Shape]) -> _Cover:
    """Shapes drawn and joined; a pixel is inside where its centre is."""
    outlines = [_Outline.of(shape, height, width) for shape in shapes]
    top = max(0, min(outline.top for outline in outlines))
    left = max(0, min(outline.left for outline in outlines))
    bottom = min(height, max(outline.bottom for outline in outlines))
    right = min(width, max(outline.right for outline in outlines))
    if top >= bottom or left >= right:
        return _NOTHING
    canvas = np.zeros((bottom - top, right - left), np.bool_)
    for outline in outlines:
        outline.paint(canvas, top, left)
    if not canvas.any():
        # Between the centres of pixels: the pixel that the middle of the first shape lies in, if the picture shows it.
        middle = outlines[0].middle(height, width)
        if middle is not None:
            canvas[middle[0] - top, middle[1] - left] = True
    return _cut(_Cover(canvas.astype(np.uint16) * np.uint16(FULL), top, left, False), 0.0)


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
        canvas = canvas[first : self.bottom - top, start : self.right - left]
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


# --- from cover to fall-off --------------------------------------------------------------------------------


def _transition(image: Image, cover: _Cover, controls: LocalControls) -> float:
    """The width of the transition in pixels, beside the mask's own softness."""
    if controls.transition != "auto":
        return controls.transition.pixels(min(image.height, image.width))
    if cover.soft:
        return 0.0
    area = float(cover.values.sum(dtype=np.float64)) / FULL
    return OF_RADIUS * math.sqrt(area / math.pi)


_SOFTNESS = np.rint(np.clip((np.arange(FULL + 1) / FULL - OUTSIDE) / (INSIDE - OUTSIDE), 0, 1) * FULL).astype(np.uint16)
"""The fall-off of every value of a soft mask."""


def _fall_off(cover: Array, width: float, mode: str) -> Array:
    """uint16 from uint16; `cover` has a margin where the transition may need one."""
    soft = np.empty_like(cover)
    for top in range(0, len(cover), 64):  # in bands: numpy widens what it looks up by to 8 bytes
        soft[top : top + 64] = _SOFTNESS[cover[top : top + 64]]
    if width <= 0.0:
        return soft
    if mode == "dilate":
        return _dilated(soft, width)
    if mode == "erode":
        return _eroded(soft, width)
    one, two = _dilated(soft, width / 2.0), _eroded(soft, width / 2.0)
    # A hard mask's edge is where both meet, half of the way for either side: their mean, rounded down, in 16 bits.
    both: Array = np.bitwise_and(one & two, np.uint16(1))
    both += one >> 1
    both += two >> 1
    return both


def _dilated(soft: Array, width: float) -> Array:
    """The transition outside A."""
    inside = soft == FULL
    if not inside.any() or inside.all():
        return soft.copy()
    falling = np.minimum(_ramp(~inside, width, rising=False), FULL - 1)
    falling[inside] = FULL
    return np.maximum(soft, falling, out=falling)


def _eroded(soft: Array, width: float) -> Array:
    """The transition inside what the mask covers."""
    covered = soft > 0
    if not covered.any() or covered.all():
        return soft.copy()
    rising = np.maximum(_ramp(covered, width, rising=True), 1)
    rising[~covered] = 0
    return np.minimum(soft, rising, out=rising)


def _ramp(part: Array, width: float, *, rising: bool) -> Array:
    """Distance of every pixel of `part` from what is not in it, over `width` + 1 pixels, as uint16 up to 65535;
    or, not rising, 65535 less that.
    """
    scale = min(1.0, _STEPS / width)
    near = _distance(part, scale) / np.float32(width + 1.0)
    share = np.clip(near if rising else 1.0 - near, 0.0, 1.0)
    small = np.rint(share * np.float32(FULL)).astype(np.uint16)
    if small.shape == part.shape:
        return small
    scaled: Array = cv2.resize(small, part.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return scaled


def _distance(part: Array, scale: float) -> Array:
    """Pixels from every pixel of `part` to the nearest one outside it, float32; measured at a scale, and small."""
    rows, columns = (max(1, round(side * scale)) for side in part.shape)
    seen = part.view(np.uint8)
    if (rows, columns) != part.shape:
        seen = (cv2.resize(seen * np.uint8(255), (columns, rows), interpolation=cv2.INTER_AREA) > 127).view(np.uint8)
    distance: Array = cv2.distanceTransform(seen, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    if scale == 1.0:
        return distance
    # Half a pixel lies between a pixel's centre and the edge, at either scale.
    return np.where(distance > 0, (distance - 0.5) / np.float32(scale) + 0.5, np.float32(0.0))


def _drawn(image: Image, inner: _Cover, outer: _Cover) -> Regions:
    """A transition drawn by hand: from the edge of the inner mask to that of the outer one."""
    whole = np.zeros((2, image.height, image.width), np.bool_)
    for plane, cover in zip(whole, (inner, outer), strict=True):
        rows, columns = cover.values.shape
        plane[cover.top : cover.top + rows, cover.left : cover.left + columns] = cover.values > FULL // 2
    inside, reach = whole[0], whole[0] | whole[1]
    between = reach & ~inside
    width = 2.0 * np.count_nonzero(between) / max(_length(inside) + _length(reach), 1.0)
    scale = min(1.0, _STEPS / max(width, 1.0))
    share = np.zeros(between.shape, np.float32)
    if inside.any() and not reach.all():
        into, out = _distance(~inside, scale), _distance(reach, scale)
        share = out / np.maximum(out + into, 1e-6)
    elif not inside.any():
        share = _distance(reach, scale)
        share = share / max(float(share.max()), 1.0) if not reach.all() else share + 1.0
    small = np.rint(np.clip(share, 0.0, 1.0) * np.float32(FULL)).astype(np.uint16)
    values: Any = small
    if small.shape != between.shape:
        values = cv2.resize(small, between.shape[::-1], interpolation=cv2.INTER_LINEAR)
    values = np.clip(values, 1, FULL - 1)
    values[inside], values[~reach] = FULL, 0
    return _trimmed(image, _Cover(values, 0, 0, False), width, soft=False)


def _trimmed(image: Image, found: _Cover, width: float, soft: bool) -> Regions:
    cut = _cut(found, 0.0)
    values = np.ascontiguousarray(cut.values)
    between = np.count_nonzero((values > 0) & (values < FULL))
    if not between:
        width, soft = 0.0, False
    elif soft:
        width = between / max(_length(values > FULL // 2), 1.0)
    return Regions(image.height, image.width, values, cut.top, cut.left, float(width), soft)
