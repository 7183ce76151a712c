"""Masks as regions of one picture: A is lit, C stays, and B between them is the transition.

All three are told by one number per pixel, the fall-off t: 1 in A, 0 in C, and between in B, linear in the distance
to A, or the softness of a soft mask. It is kept in 16 bits, 65535 in A and 0 in C, so regions never overlap or gape.

Paper: "Local low-light image enhancement via region-aware normalization", whose masks are circles, a second radius
1.2 to 1.25 of the first, and portraits with an eroded copy.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
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
        inside = sum(int(np.count_nonzero(self.fall_off[band] == FULL)) for band in _bands(self.fall_off))
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
    if controls.mask_outer is not None:
        inner, outer = (
            _Bits.of(_cover(image, mask, role), image.height, image.width)
            for mask, role in ((controls.mask, "mask"), (controls.mask_outer, "mask_outer"))
        )
        # Inverted, what was outside the outer one is lit, and what was inside the inner one stays.
        return _drawn(~outer, ~inner) if controls.mask_invert else _drawn(inner, outer)
    cover = _cover(image, controls.mask, "mask")
    if controls.mask_invert:
        cover = _inverted(image, cover)
    if not cover.values.size:
        return Regions(image.height, image.width, np.empty((0, 0), np.uint16))
    width = _transition(image, cover, controls)
    # The inside of an eroded mask needs no more than its own pixels, but one beyond them where it ends.
    reach = 1 if controls.transition_mode == "erode" else math.ceil(width) + 1
    grown = _grown(image, cover, reach)
    grown = grown._replace(values=_softened(grown.values, owned=grown.owned))
    soft = cover.soft and width == 0.0
    del cover  # of a large picture it takes as much as the result
    _add_transition(grown.values, width, controls.transition_mode)
    return _trimmed(image.height, image.width, grown, width, soft)


def fall_off(mask: Array, width: float, mode: Literal["dilate", "erode", "both"] = "dilate") -> Array:
    """The fall-off of a mask of a whole picture.

    Args:
        mask: h×w floats in 0..1, hard or soft.
        width: of the transition in pixels.
        mode: whether it lies outside the mask, inside it, or half and half.

    Returns:
        float32 h×w: 1 in A, 0 in C; hard masks fall by 1 / (width + 1) a pixel.
    """
    values = _softened(np.rint(np.asarray(mask, np.float32) * FULL).astype(np.uint16), owned=True)
    _add_transition(values, width, mode)
    return values / np.float32(FULL)


# --- what a mask covers ------------------------------------------------------------------------------------


class _Cover(NamedTuple):
    """A part of a picture: how much of every pixel a mask covers. Outside of it, nothing."""

    values: Array
    """h×w, as the mask came: uint8 or uint16. Of a large picture a second array of these would be too much."""

    top: int
    left: int
    soft: bool
    owned: bool = False
    """Whether nobody else looks at `values`, so that they may become something else."""


_NOTHING = _Cover(np.empty((0, 0), np.uint16), 0, 0, False)

_ROWS = 256

LARGE = 2**25
"""Pixels from which on narrow transitions are measured in bands."""


def _bands(values: Array) -> Iterator[slice]:
    """Rows to look at together: what is computed of a whole large mask at once takes several times its memory."""
    return (slice(top, min(top + _ROWS, len(values))) for top in range(0, len(values), _ROWS))


def _of_white(values: Array) -> float:
    """What values of this dtype are to be multiplied by to be 16-bit ones."""
    return 257.0 if values.dtype == np.uint8 else 1.0


def _cover(image: Image, mask: Mask, role: str) -> _Cover:
    name = image.metadata.source or "the photo"
    option = f"--{role.replace('_', '-')}"
    if mask.shapes:
        cover = _shapes(image.height, image.width, mask.shapes)
        if not cover.values.any():
            raise UsageError(
                f"{option}: {mask.text} covers no pixel of {name}, which is {image.width}x{image.height}; "
                "a mask must overlap its photo."
            )
        return cover
    if mask.source == "luma":
        return _within(image, _dark(image, mask.below), soft=True, owned=True)
    if mask.source == "alpha":
        if image.alpha is None:
            raise UsageError(f"{option} alpha: {name} has no transparency; give a shape or an image as the mask.")
        values = image.alpha
    elif mask.source == "array":
        values = _of_array(mask.pixels, option)
    else:
        values = _of_picture(image.companions[role])
    height, width = values.shape
    if abs(math.log(width * image.height / (height * image.width))) > _ASPECT + 0.5 / min(height, width):
        what = "the mask" if mask.source == "array" else mask.text
        raise UsageError(
            f"{option}: {what} is {width}x{height}, not of the proportions of {name}, {image.width}x{image.height}; "
            "a mask may have any size, but must have the photo's proportions."
        )
    soft = _softness(values) >= _SOFT
    scaled = _scaled(values, image.height, image.width, soft)
    return _within(image, scaled, soft, owned=scaled is not values)


def _of_picture(picture: Image) -> Array:
    """A picture's alpha where it has one that says something, else its luma."""
    if picture.alpha is not None and picture.alpha.min() < np.iinfo(picture.alpha.dtype).max:
        return picture.alpha
    pixels = picture.pixels
    return pixels if pixels.ndim == 2 else luma.luma(pixels)


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
    unit = _of_white(values)
    low, high = OUTSIDE * FULL / unit, INSIDE * FULL / unit
    between = sum(np.count_nonzero((values[band] > low) & (values[band] < high)) for band in _bands(values))
    return float(between / max(_length(values, FULL // 2 / unit), 1.0))


def _length(values: Array, above: float) -> float:
    """Of the edge of the part of a picture above a value: crossings of rows and columns, of which a line in any
    direction has, on average, 4 / pi for each of its pixels.
    """
    crossings = sum(
        _crossings(values[band.start : band.stop + 1] > above, band.stop - band.start) for band in _bands(values)
    )
    return float(crossings * math.pi / 4.0)


def _crossings(part: Array, rows: int) -> int:
    """Of the edge of a part of a picture, H×W bool, of whose rows the one beyond `rows` is only looked at."""
    across = int(np.count_nonzero(part[1:] != part[:-1]))
    part = part[:rows]
    return across + int(np.count_nonzero(part[:, 1:] != part[:, :-1]))


_shrinking = threading.Lock()
"""A soft mask may be many times as large as its picture, and is 16 bits deep while it is made small: one at a time."""


def _scaled(values: Array, height: int, width: int, soft: bool) -> Array:
    """A mask at the size of its picture, uint8 or uint16; a hard one stays hard, and is uint8."""
    if values.shape == (height, width):
        return values
    if values.shape[0] < height:
        scaled: Any = cv2.resize(_sixteen(values), (width, height), interpolation=cv2.INTER_LINEAR)
    elif soft:
        with _shrinking:
            scaled = cv2.resize(_sixteen(values), (width, height), interpolation=cv2.INTER_AREA)
    else:
        scaled = cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA)
    if soft:
        return scaled  # type: ignore[no-any-return]
    half = FULL // 2 / _of_white(scaled)
    hard = np.empty((height, width), np.uint8)
    for band in _bands(scaled):
        np.multiply(scaled[band] > half, np.uint8(255), out=hard[band])
    return hard


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


def _within(image: Image, values: Array, soft: bool, *, owned: bool) -> _Cover:
    """A whole picture's mask, cut to what it covers."""
    return _cut(_Cover(values, 0, 0, soft, owned), OUTSIDE * FULL / _of_white(values))


def _cut(cover: _Cover, above: float) -> _Cover:
    values = cover.values
    in_row, in_column = np.zeros(values.shape[0], np.bool_), np.zeros(values.shape[1], np.bool_)
    for band in _bands(values):
        covered = values[band] > above
        in_row[band] = covered.any(axis=1)
        in_column |= covered.any(axis=0)
    rows, columns = np.flatnonzero(in_row), np.flatnonzero(in_column)
    if not rows.size:
        return _NOTHING
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    return cover._replace(values=values[top:bottom, left:right], top=cover.top + top, left=cover.left + left)


def _inverted(image: Image, cover: _Cover) -> _Cover:
    whole = np.full((image.height, image.width), np.iinfo(cover.values.dtype).max, cover.values.dtype)
    rows, columns = cover.values.shape
    whole[cover.top : cover.top + rows, cover.left : cover.left + columns] -= cover.values
    return _within(image, whole, cover.soft, owned=True)


def _grown(image: Image, cover: _Cover, by: int) -> _Cover:
    """A cover with an empty margin, as far as the picture goes."""
    rows, columns = cover.values.shape
    up, left = min(by, cover.top), min(by, cover.left)
    down = min(by, image.height - cover.top - rows)
    right = min(by, image.width - cover.left - columns)
    if not (up or down or left or right):
        return cover
    values = np.zeros((rows + up + down, columns + left + right), cover.values.dtype)
    values[up : up + rows, left : left + columns] = cover.values
    return cover._replace(values=values, top=cover.top - up, left=cover.left - left, owned=True)


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
        # A polygon is filled as a whole; the others are formulas, whose numbers take 8 bytes a pixel and more.
        for band in _bands(canvas) if outline.shape.kind != "polygon" else (slice(0, len(canvas)),):
            outline.paint(canvas[band], top + band.start, left)
    if not canvas.any():
        # Between the centres of pixels: the pixel that the middle of the first shape lies in, if the picture shows it.
        middle = outlines[0].middle(height, width)
        if middle is not None:
            canvas[middle[0] - top, middle[1] - left] = True
    values = canvas.view(np.uint8)
    values *= np.uint8(255)
    return _cut(_Cover(values, top, left, False, owned=True), 0.0)


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


# --- from cover to fall-off --------------------------------------------------------------------------------


def _transition(image: Image, cover: _Cover, controls: LocalControls) -> float:
    """The width of the transition in pixels, beside the mask's own softness."""
    if controls.transition != "auto":
        return controls.transition.pixels(min(image.height, image.width))
    if cover.soft:
        return 0.0
    area = float(cover.values.sum(dtype=np.float64)) / np.iinfo(cover.values.dtype).max
    return OF_RADIUS * math.sqrt(area / math.pi)


_SOFTNESS = np.rint(np.clip((np.arange(FULL + 1) / FULL - OUTSIDE) / (INSIDE - OUTSIDE), 0, 1) * FULL).astype(np.uint16)
"""The fall-off of every value of a soft mask."""


def _softened(cover: Array, *, owned: bool) -> Array:
    """The fall-off of a mask's own softness, uint16 from uint8 or uint16; in the same memory where that is `owned`."""
    table = _SOFTNESS[:: int(_of_white(cover))]
    soft = cover if owned and cover.dtype == np.uint16 else np.empty(cover.shape, np.uint16)
    for top in range(0, len(cover), 64):  # in bands: numpy widens what it looks up by to 8 bytes
        soft[top : top + 64] = table[cover[top : top + 64]]
    return soft


def _add_transition(soft: Array, width: float, mode: str) -> None:
    """Let a fall-off begin further out, or end further in; `soft` has a margin where that may be needed."""
    if width <= 0.0:
        return
    falling = None if mode == "erode" else _ramp(soft, width if mode == "dilate" else width / 2.0, rising=False)
    rising = None if mode == "dilate" else _ramp(soft, width if mode == "erode" else width / 2.0, rising=True)
    for columns in _columns(soft):
        part = soft[:, columns]
        one = part if falling is None else _dilated(part, falling(columns))
        two = part if rising is None else _eroded(part, rising(columns))
        if mode != "both":
            soft[:, columns] = two if falling is None else one
            continue
        # A hard mask's edge is where both meet, half of the way for either side: their mean, rounded down, in 16 bits.
        both: Array = np.bitwise_and(one & two, np.uint16(1))
        both += one >> 1
        both += two >> 1
        soft[:, columns] = both


def _columns(values: Array) -> Iterator[slice]:
    """As `_bands`, for what must be whole from top to bottom."""
    width = values.shape[1]
    return (slice(left, min(left + _ROWS, width)) for left in range(0, width, _ROWS))


def _dilated(soft: Array, falling: Array) -> Array:
    """The transition outside A."""
    inside = soft == FULL
    falling = np.minimum(falling, FULL - 1)
    falling[inside] = FULL
    return np.maximum(soft, falling)


def _eroded(soft: Array, rising: Array) -> Array:
    """The transition inside what the mask covers."""
    rising = np.maximum(rising, 1)
    rising[soft == 0] = 0
    return np.minimum(soft, rising)


def _ramp(soft: Array, width: float, *, rising: bool) -> Callable[[slice], Array] | None:
    """Distances over `width` + 1 pixels, as uint16 up to 65535: rising, of every pixel that is covered from those that
    are not; else 65535 less that of every pixel outside of A from A. None where there are none of either.

    Returns:
        A function from columns to the rows×columns of them, as `_columns` has them.
    """
    seen = np.empty(soft.shape, np.uint8)
    for band in _bands(soft):
        np.greater(soft[band], 0, out=seen[band].view(np.bool_)) if rising else np.not_equal(
            soft[band], FULL, out=seen[band].view(np.bool_)
        )
    if not seen.any() or seen.all():
        return None
    scale = min(1.0, _STEPS / width)
    in_bands = seen.size > LARGE
    seen = _shrunk(seen, scale)
    if in_bands:
        small = np.empty(seen.shape, np.uint16)
        reach = math.ceil(min(width, _STEPS)) + 3  # whatever is further away is as far as can be
        for band in _bands(seen):
            first = max(band.start - reach, 0)
            found = _levels(seen[first : band.stop + reach], scale, width, rising)
            small[band] = found[band.start - first : band.stop - first]
    else:
        small = _levels(seen, scale, width, rising)
    del seen
    if small.shape == soft.shape:
        return lambda columns: small[:, columns]
    # Along rows now and along columns piece by piece, which is what OpenCV does in one.
    wide = cv2.resize(small.astype(np.float32), (soft.shape[1], len(small)), interpolation=cv2.INTER_LINEAR)

    def enlarged(columns: slice) -> Array:
        piece = np.ascontiguousarray(wide[:, columns])
        size = piece.shape[1], soft.shape[0]
        tall = cv2.resize(piece, size, interpolation=cv2.INTER_LINEAR).reshape(size[::-1])
        return np.rint(tall).astype(np.uint16)

    return enlarged


def _levels(seen: Array, scale: float, width: float, rising: bool) -> Array:
    """`_ramp` at a scale, of what is seen as 1 in uint8 at that scale."""
    near = _near(seen, scale)
    near /= np.float32(width + 1.0)
    if not rising:
        np.subtract(np.float32(1.0), near, out=near)
    np.clip(near, 0.0, 1.0, out=near)
    near *= np.float32(FULL)
    levels: Array = np.rint(near, out=near).astype(np.uint16)
    return levels


def _distance(part: Array, scale: float) -> Array:
    """Pixels from every pixel of `part` to the nearest one outside it, float32; measured at a scale, and small.

    `part` is not to be used afterwards.
    """
    return _near(_shrunk(part.view(np.uint8), scale), scale)


def _shrunk(seen: Array, scale: float) -> Array:
    """A part of a picture, 1 in uint8, at a scale; `seen` is not to be used afterwards."""
    rows, columns = (max(1, round(side * scale)) for side in seen.shape)
    if (rows, columns) == seen.shape:
        return seen
    seen *= np.uint8(255)
    small: Array = cv2.resize(seen, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.greater(small, 127, out=small.view(np.bool_)).view(np.uint8)


def _near(seen: Array, scale: float) -> Array:
    """`_distance` of what is seen as 1 in uint8 at a scale already."""
    distance: Array = cv2.distanceTransform(seen, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    if scale == 1.0:
        return distance
    # Half a pixel lies between a pixel's centre and the edge, at either scale.
    return np.where(distance > 0, (distance - 0.5) / np.float32(scale) + 0.5, np.float32(0.0))


class _Bits(NamedTuple):
    """Which pixels of a picture a mask covers more than half, eight to a byte: two masks as large as a large picture do
    not lie beside it and what is made of them.
    """

    packed: Array
    """uint8, one row for each of the picture's."""

    height: int
    width: int

    @classmethod
    def of(cls, cover: _Cover, height: int, width: int) -> _Bits:
        """Of a mask."""
        packed = np.empty((height, (width + 7) // 8), np.uint8)
        for rows in _row_bands(height):
            packed[rows] = np.packbits(_halved(cover, rows, width), axis=1)
        return cls(packed, height, width)

    def __invert__(self) -> _Bits:
        return self._replace(packed=~self.packed)

    def rows(self, rows: slice) -> Array:
        """Some rows of them, as bools."""
        bits: Array = np.unpackbits(self.packed[rows], axis=1, count=self.width).view(np.bool_)
        return bits


def _drawn(inner: _Bits, outer: _Bits) -> Regions:
    """A transition drawn by hand: from the edge of the inner mask to that of the outer one."""
    height, width = inner.height, inner.width
    inside = inner.rows

    def reach(rows: slice) -> Array:
        return inside(rows) | outer.rows(rows)

    counts, crossings = [0, 0], [0, 0]
    for rows in _row_bands(height):
        for i, part in enumerate((inside, reach)):
            seen = part(slice(rows.start, min(rows.stop + 1, height)))
            crossings[i] += _crossings(seen, rows.stop - rows.start)
            counts[i] += int(np.count_nonzero(seen[: rows.stop - rows.start]))
    lit, reached = counts
    edges = crossings[0] * math.pi / 4.0 + crossings[1] * math.pi / 4.0
    mean_width = 2.0 * (reached - lit) / max(edges, 1.0)
    scale = min(1.0, _STEPS / max(mean_width, 1.0))
    small = None
    if reached == height * width or not lit:
        small = _of_one_edge(reach, height, width, scale, lit=lit > 0, all_reached=reached == height * width)
    elif scale < 1.0 or height * width <= LARGE:
        out = _distance(_whole(reach, height, width), scale)
        small = _sixteenths(_share(out, _distance(~_whole(inside, height, width), scale)))
        del out
    values: Any = np.empty((height, width), np.uint16)
    if small is not None:
        values = small if small.shape == values.shape else cv2.resize(small, (width, height), dst=values)
    for rows in _row_bands(height):
        if small is None:
            values[rows] = _drawn_band(inside, reach, rows, height, math.ceil(mean_width))
        band = values[rows]
        np.clip(band, 1, FULL - 1, out=band)
        band[inside(rows)], band[~reach(rows)] = FULL, 0
    return _trimmed(height, width, _Cover(values, 0, 0, False), mean_width, soft=False)


def _row_bands(height: int) -> Iterator[slice]:
    return (slice(top, min(top + _ROWS, height)) for top in range(0, height, _ROWS))


def _halved(cover: _Cover, rows: slice, width: int) -> Array:
    """Some rows of a mask over the whole picture: what is covered more than half."""
    part = np.zeros((rows.stop - rows.start, width), np.bool_)
    first, last = max(rows.start, cover.top), min(rows.stop, cover.top + len(cover.values))
    if first < last:
        values = cover.values[first - cover.top : last - cover.top]
        columns = slice(cover.left, cover.left + values.shape[1])
        np.greater(values, FULL // 2 / _of_white(values), out=part[first - rows.start : last - rows.start, columns])
    return part


def _whole(part: Callable[[slice], Array], height: int, width: int) -> Array:
    whole = np.empty((height, width), np.bool_)
    for rows in _row_bands(height):
        whole[rows] = part(rows)
    return whole


def _share(out: Array, into: Array) -> Array:
    """How far in a pixel lies between two edges, 0..1: `out` from the outer, `into` from the inner one."""
    share: Array = out / np.maximum(out + into, 1e-6)
    return share


def _sixteenths(share: Array) -> Array:
    """Shares in 0..1 as uint16."""
    levels: Array = np.rint(np.clip(share, 0.0, 1.0) * np.float32(FULL)).astype(np.uint16)
    return levels


def _of_one_edge(
    reach: Callable[[slice], Array], height: int, width: int, scale: float, *, lit: bool, all_reached: bool
) -> Array:
    """The fall-off where there is nothing wholly inside, or nothing outside, at a scale."""
    if lit:
        return np.zeros((height, width), np.uint16)
    out = _distance(_whole(reach, height, width), scale)
    return _sixteenths(out + np.float32(1.0) if all_reached else out / np.float32(max(float(out.max()), 1.0)))


def _drawn_band(
    inside: Callable[[slice], Array], reach: Callable[[slice], Array], rows: slice, height: int, width: int
) -> Array:
    """The fall-off of some rows, from as many rows around as the farther of their nearest edges asks for."""
    around = 2 * width + _ROWS
    while True:
        seen = slice(max(rows.start - around, 0), min(rows.stop + around, height))
        own = slice(rows.start - seen.start, rows.stop - seen.start)
        within, reached = inside(seen), reach(seen)
        between = reached[own] & ~within[own]
        complete = seen == slice(0, height)
        if not between.any():
            return np.zeros(between.shape, np.uint16)
        # Without an edge in sight a distance is to nothing, so more rows are looked at.
        if complete or (within.any() and not reached.all()):
            into, out = _distance(~within, 1.0)[own], _distance(reached, 1.0)[own]
            if complete or max(into[between].max(), out[between].max()) < around:
                return _sixteenths(_share(out, into))
        around *= 2


def _trimmed(height: int, width: int, found: _Cover, transition: float, soft: bool) -> Regions:
    cut = _cut(found, 0.0)
    values = _packed(cut.values)
    between = sum(np.count_nonzero((values[band] > 0) & (values[band] < FULL)) for band in _bands(values))
    if not between:
        transition, soft = 0.0, False
    elif soft:
        transition = between / max(_length(values, FULL // 2), 1.0)
    return Regions(height, width, values, cut.top, cut.left, float(transition), soft)


def _packed(values: Array) -> Array:
    """The values side by side, in the memory that they are a window of where that is of one piece."""
    whole = values.base
    if values.flags.c_contiguous or whole is None or not whole.flags.c_contiguous or whole.dtype != values.dtype:
        return np.ascontiguousarray(values)
    line = whole.reshape(-1)
    rows, columns = values.shape
    for y in range(rows):  # towards the beginning: a row never lies before where it goes
        line[y * columns : (y + 1) * columns] = values[y]
    return line[: rows * columns].reshape(rows, columns)
