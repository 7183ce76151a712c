"""A hard mask's edge fitted to the photo's, and the transition inside it.

A mask is drawn by a person or a segmentation program: its edge lies some pixels beside that of what it shows, and it
knows nothing of hair. The guided filter (He, Sun and Tang, "Guided image filtering", 2013) makes of it the mask that is
nearest to it and, in every small window, linear in the photo's colours: it steps where the photo does, and is a ramp
where the photo has no edge. The upper half of what it gives is the transition, so that this lies inside.

Coefficients are found where the photo is small ("Fast guided filter", 2015) and applied at full resolution, in blocks,
and only in those that the edge is near: far from it the filter gives the mask back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from enhance_cli.imaging import luma
from enhance_cli.methods.local.covers import FULL, Cover, grown
from enhance_cli.types import Image

if TYPE_CHECKING:
    from enhance_cli.types import Array

SIDE = 1200
"""Most pixels along the longer side of the photo in which coefficients are found."""

BLOCK = 256
"""Sides of a block at full resolution."""

RADIUS = 0.01
"""Of the filter's windows, as a share of the shorter side; an edge is found up to twice as far from the mask's."""

LEAST, MOST = 3, 10
"""Pixels of that radius where coefficients are found."""

VARIANCE = 0.015**2
"""Added to the variance of a window's colours (0..1): what varies less is no edge."""

SOFT_VARIANCE = 0.03**2
"""The same for what is soft already."""

START, END = 0.6, 0.95
"""Values of the fitted mask at which the transition begins and A does."""


class Scale(NamedTuple):
    """How a photo is made small to fit a mask."""

    step: int
    """Pixels of the photo along each side of one of the small photo."""

    radius: int
    """Of the filter's windows, in pixels of the small photo."""

    @classmethod
    def of(cls, height: int, width: int) -> Scale:
        """For a photo of this size."""
        step = min(-(-max(height, width) // SIDE), height, width)
        return cls(step, min(max(round(RADIUS * min(height, width) / step), LEAST), MOST))

    @property
    def reach(self) -> int:
        """Pixels of the photo from a mask's edge to where the fitted one is the same."""
        return (2 * self.radius + 2) * self.step


def fit(image: Image, cover: Cover) -> Cover:
    """The fall-off of a hard mask, with the transition inside: uint16.

    Args:
        image: RGB.
        cover: what the mask covers; not empty.
    """
    scale = Scale.of(image.height, image.width)
    area = grown(image, cover, scale.reach)
    rows, columns = area.values.shape
    pixels = image.pixels[area.top : area.top + rows, area.left : area.left + columns]
    guide = _small(pixels, scale.step)
    mask = _without_specks(_small(area.values, scale.step), (2 * scale.radius + 1) ** 2)
    half = np.iinfo(mask.dtype).max // 2
    values = np.empty((rows, columns), np.uint16)
    for block in _blocks(rows, columns):
        near = mask[_around(block, mask.shape, scale.step, 2 * scale.radius + 1)]
        if near.min() == near.max():
            values[block] = FULL if near.flat[0] > half else 0
            continue
        far = _around(block, mask.shape, scale.step, 4 * scale.radius + 4)  # how thin a part is shows further away
        covered = _unit(mask[far])
        linear = coefficients(_unit(guide[far]), covered, scale.radius)
        planes = np.dstack((linear, _of_thin_parts(covered, scale.radius)))
        planes = _enlarged(planes, _origin(far), block, (scale.step, scale.step))
        found = (applied(planes, pixels[block]) - np.float32(START)) * np.float32(1.0 / (END - START))
        values[block] = _levels(np.maximum(found, planes[..., 4]))
    return Cover(values, area.top, area.left, soft=True, owned=True)


def fit_soft(pixels: Array, guide: Array, target: Array, radius: int) -> Array:
    """What was found in a small copy of a photo at full resolution, with the photo's own edges: H×W uint16.

    Args:
        pixels: H×W×3 uint8 or uint16, the photo.
        guide: h×w float32 in 0..1, the luma of the small copy.
        target: h×w float32 in 0..1, what was found in it.
        radius: of the filter's windows, in pixels of the copy.
    """
    height, width = pixels.shape[:2]
    step = height / target.shape[0], width / target.shape[1]
    mean, share = _box(guide, radius), _box(target, radius)
    slope = _box(guide * target, radius) - mean * share
    slope /= _box(guide * guide, radius) - mean * mean + np.float32(SOFT_VARIANCE)
    planes = _box(np.dstack((slope, share - slope * mean)), radius)
    values = np.empty((height, width), np.uint16)
    for block in _blocks(height, width):
        part = target[_around(block, target.shape, max(step), 2 * radius + 1)]
        if part.min() == part.max():
            values[block] = round(float(part.flat[0]) * FULL)
        else:
            enlarged = _enlarged(planes, (0, 0), block, step)
            found = _unit(luma.luma(pixels[block]))
            found *= enlarged[..., 0]
            found += enlarged[..., 1]
            values[block] = _levels(found)
    return values


def _small(values: Array, step: int) -> Array:
    """Means of squares of pixels; the last rows and columns that fill no square are left out."""
    if step == 1:
        return values
    rows, columns = max(values.shape[0] // step, 1), max(values.shape[1] // step, 1)
    small: Array = cv2.resize(values[: rows * step, : columns * step], (columns, rows), interpolation=cv2.INTER_AREA)
    return small


def _without_specks(mask: Array, least: int) -> Array:
    """A mask whose holes of fewer pixels than `least` are filled: each would be a dark spot, with a transition."""
    white = np.iinfo(mask.dtype).max
    outside = (mask <= white // 2).view(np.uint8)
    _, labels, found, _ = cv2.connectedComponentsWithStats(outside, connectivity=4)
    rows, columns = mask.shape
    left, top = found[:, cv2.CC_STAT_LEFT], found[:, cv2.CC_STAT_TOP]
    right, bottom = left + found[:, cv2.CC_STAT_WIDTH], top + found[:, cv2.CC_STAT_HEIGHT]
    speck = (found[:, cv2.CC_STAT_AREA] < least) & (left > 0) & (top > 0) & (right < columns) & (bottom < rows)
    speck[0] = False  # the mask itself
    if not speck.any():
        return mask
    filled = mask.copy()
    filled[speck[labels]] = white
    return filled


def _blocks(rows: int, columns: int) -> Iterator[tuple[slice, slice]]:
    for top in range(0, rows, BLOCK):
        for left in range(0, columns, BLOCK):
            yield slice(top, min(top + BLOCK, rows)), slice(left, min(left + BLOCK, columns))


def _around(block: tuple[slice, slice], size: tuple[int, ...], step: float, reach: int) -> tuple[slice, slice]:
    """The part of the small photo that a block is found from."""
    down, across = (
        slice(
            min(max(int(side.start / step) - reach, 0), length - 1),
            min(math.ceil(side.stop / step) + reach, length),
        )
        for side, length in zip(block, size, strict=True)
    )
    return down, across


def _origin(part: tuple[slice, slice]) -> tuple[int, int]:
    return part[0].start, part[1].start


def _enlarged(planes: Array, origin: tuple[int, int], block: tuple[slice, slice], step: tuple[float, float]) -> Array:
    """Planes of the small photo, of which `origin` is the first pixel, at the pixels of a block of the photo."""
    rows, columns = (side.stop - side.start for side in block)
    if step[0] == step[1] == 1:
        first, start = block[0].start - origin[0], block[1].start - origin[1]
        return planes[first : first + rows, start : start + columns]
    down, across = ((side.start + 0.5) / by - 0.5 - first for side, by, first in zip(block, step, origin, strict=True))
    move = np.array([[1.0 / step[1], 0.0, across], [0.0, 1.0 / step[0], down]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    parts = [  # OpenCV takes four channels at once
        cv2.warpAffine(np.ascontiguousarray(part), move, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        for part in (planes[..., :4], planes[..., 4:])
        if part.shape[2]
    ]
    return parts[0] if len(parts) == 1 else np.dstack(parts)


def _unit(values: Array) -> Array:
    unit: Array = values.astype(np.float32)
    unit *= np.float32(1.0 / np.iinfo(values.dtype).max)
    return unit


def _levels(values: Array) -> Array:
    np.clip(values, 0.0, 1.0, out=values)
    values *= np.float32(FULL)
    levels: Array = np.rint(values, out=values).astype(np.uint16)
    return levels


def applied(planes: Array, pixels: Array) -> Array:
    """What coefficients h×w×4 make of pixels h×w×3: float32 h×w."""
    seen = _unit(pixels)
    total: Array = planes[..., 3] + planes[..., 0] * seen[..., 0]
    for channel in (1, 2):
        total += planes[..., channel] * seen[..., channel]
    return total


def coefficients(guide: Array, target: Array, radius: int) -> Array:
    """The guided filter's means of coefficients: of a pixel's colours, and a constant.

    Args:
        guide: h×w×3 float32 in 0..1.
        target: h×w float32, what is to become linear in the guide.
        radius: of the windows in pixels.

    Returns:
        float32 h×w×4.
    """
    mean, share = _box(guide, radius), _box(target, radius)
    covariance = _box(guide * target[..., None], radius) - mean * share[..., None]
    i, j = (0, 0, 0, 1, 1, 2), (0, 1, 2, 1, 2, 2)
    products = guide[..., i] * guide[..., j]
    rr, rg, rb, gg, gb, bb = (
        _box(np.ascontiguousarray(products[..., k]), radius) - mean[..., i[k]] * mean[..., j[k]] for k in range(6)
    )
    for own in (rr, gg, bb):
        own += np.float32(VARIANCE)
    # The inverse of a symmetric 3×3 matrix by its cofactors.
    c00, c01, c02 = gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb
    c11, c12, c22 = rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg
    determinant = rr * c00 + rg * c01 + rb * c02
    one, two, three = (covariance[..., k] for k in range(3))
    linear = np.dstack(
        (c00 * one + c01 * two + c02 * three, c01 * one + c11 * two + c12 * three, c02 * one + c12 * two + c22 * three)
    )
    linear /= np.maximum(determinant, np.float32(1e-20))[..., None]
    constant = share - (linear * mean).sum(axis=2)
    planes: Array = np.dstack((linear, constant))
    return _box(planes, radius)


def _box(values: Array, radius: int) -> Array:
    side = 2 * radius + 1
    smooth: Array = cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT)
    return smooth


def _of_thin_parts(covered: Array, radius: int) -> Array:
    """The fall-off of parts too thin for the filter's windows, which would see little of them: by the distance to their
    edge, as a share of half their width.
    """
    inside = (covered > 0.5).view(np.uint8)
    depth: Any = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Of wide parts the windows' reach from any edge shows that they are.
    reach = 2 * radius + 1
    deepest: Any = cv2.dilate(depth, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    thinness = np.clip((np.float32(reach + 1) - deepest) / np.float32(radius), 0.0, 1.0)
    thin: Array = thinness * depth / np.maximum(deepest, np.float32(1.0))
    return thin
