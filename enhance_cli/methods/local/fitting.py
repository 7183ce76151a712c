"""A hard mask's edge fitted to the photo's, and the transition inside it.

A mask is drawn by a person or a segmentation program: its edge lies some pixels beside that of what it shows, and it
knows nothing of hair. The guided filter (He, Sun and Tang, "Guided image filtering", 2013) makes of it the mask that is
nearest to it and, in every small window, linear in the photo's colours: it steps where the photo does, and is a ramp
where the photo has no edge. The upper half of what it gives is the transition, so that this lies inside.

Coefficients are found where the photo is small ("Fast guided filter", 2015) and applied at full resolution, in tiles,
and only in those that the edge is near: far from it the filter gives the mask back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from enhance_cli.methods.local.covers import Cover, grown
from enhance_cli.methods.local.kernels_fitting import apply, coefficients
from enhance_cli.types import Image

if TYPE_CHECKING:
    from enhance_cli.types import Array

SIDE = 1200
"""Most pixels along the longer side of the photo in which coefficients are found."""

STRIP = 128
"""Rows of the small photo that are fitted together, which bounds what the coefficients take."""

RADIUS = 0.01
"""Of the filter's windows, as a share of the shorter side; an edge is found up to twice as far from the mask's."""

LEAST, MOST = 3, 10
"""Pixels of that radius where coefficients are found."""

VARIANCE = 0.015**2
"""Added to the variance of a window's colours (0..1): what varies less is no edge."""

SOFT_VARIANCE = 0.03**2
"""The same for what is soft already."""

LUMA = 0.299, 0.587, 0.114

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
    depth, deepest = _of_parts(mask, scale.radius)
    values = np.empty((rows, columns), np.uint16)
    for strip, first, last in _strips(len(mask)):
        planes = _averaged(guide, mask, scale.radius, slice(first, last))
        planes[4] = _of_thin_parts(depth[first:last], deepest[first:last], scale.radius)
        step = float(scale.step), float(scale.step)
        apply(pixels, planes, step, mask, 2 * scale.radius + 1, (START, END), strip, first, values)
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
    constant = _box(share - slope * mean, radius)
    slope = _box(slope, radius)
    planes = np.stack((*(np.float32(weight) * slope for weight in LUMA), constant, np.zeros_like(constant)))
    values = np.empty((height, width), np.uint16)
    levels = np.rint(target * np.float32(255.0)).astype(np.uint8)
    apply(pixels, planes, step, levels, 2 * radius + 1, (0.0, 1.0), slice(0, len(target)), 0, values)
    return values


def _small(values: Array, step: int) -> Array:
    """Means of squares of pixels as uint8; the last rows and columns that fill no square are left out."""
    small: Any = values
    if step > 1:
        rows, columns = max(values.shape[0] // step, 1), max(values.shape[1] // step, 1)
        small = cv2.resize(values[: rows * step, : columns * step], (columns, rows), interpolation=cv2.INTER_AREA)
    # Differences that 8 bits do not show lie below what counts as an edge.
    return small if small.dtype == np.uint8 else cv2.convertScaleAbs(small, alpha=1.0 / 257.0)  # type: ignore[no-any-return]


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


def _strips(rows: int) -> Iterator[tuple[slice, int, int]]:
    """Rows of the small photo to fit together, and the first row and the end of those whose coefficients they need."""
    for top in range(0, rows, STRIP):
        bottom = min(top + STRIP, rows)
        yield slice(top, bottom), max(top - 1, 0), min(bottom + 1, rows)


def _averaged(guide: Array, mask: Array, radius: int, rows: slice) -> Array:
    """Some rows of the coefficients of the guided filter: their means over windows, float32 5×rows×w; the last plane is
    empty.
    """
    first, last = max(rows.start - radius, 0), min(rows.stop + radius, len(mask))
    found = coefficients(guide, mask, radius, VARIANCE, slice(first, last))
    planes = np.empty((5, rows.stop - rows.start, mask.shape[1]), np.float32)
    for plane, means in zip(found, planes, strict=False):
        means[...] = _box(plane, radius)[rows.start - first : rows.stop - first]
    return planes


def _box(values: Array, radius: int) -> Array:
    side = 2 * radius + 1
    smooth: Array = cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT)
    return smooth


def _of_parts(mask: Array, radius: int) -> tuple[Array, Array]:
    """The distance to the mask's edge, and the greatest within reach of a window: uint8, eighths of a pixel."""
    inside = np.greater(mask, 127).view(np.uint8)
    distance: Any = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_5)
    depth: Any = cv2.convertScaleAbs(distance, alpha=8.0)
    # Of wide parts the windows' reach from any edge shows that they are.
    side = 2 * (2 * radius + 1) + 1
    deepest: Any = cv2.dilate(depth, np.ones((side, side), np.uint8))
    return depth, deepest


def _of_thin_parts(depth: Array, deepest: Array, radius: int) -> Array:
    """The fall-off of parts too thin for the filter's windows, which would see little of them: by the distance to their
    edge, as a share of half their width.
    """
    most = deepest.astype(np.float32)
    most *= np.float32(1.0 / 8.0)
    thinness = np.clip((np.float32(2 * radius + 2) - most) / np.float32(radius), 0.0, 1.0)
    thin: Array = thinness * (depth * np.float32(1.0 / 8.0)) / np.maximum(most, np.float32(1.0))
    return thin
