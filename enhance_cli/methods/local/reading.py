"""Masks as they are given, read for one photo: shapes, images, arrays, the photo's own alpha, its dark regions."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from enhance_cli.errors import UsageError
from enhance_cli.imaging import colour, luma, opacity
from enhance_cli.methods.local import Mask
from enhance_cli.methods.local.covers import FULL, INSIDE, OUTSIDE, Cover, bands, length_of_edge, of_white, within
from enhance_cli.methods.local.fitting import fit_soft
from enhance_cli.methods.local.shapes import draw
from enhance_cli.types import Image

if TYPE_CHECKING:
    from enhance_cli.types import Array

_SOFT = 2.0
"""Mean pixels from inside to outside from which a mask's edge is softness, not only smooth drawing."""

_ASPECT = 0.02
"""Relative difference of aspect between a mask and its picture that passes as rounding."""

_LUMA_SIDE, _LUMA_BLUR, _LUMA_REACH = 512, 0.012, 2.0
"""`luma<N`: long side of the picture in which dark regions are sought, the blur that makes regions of pixels as a
share of the shorter side, and how many times N the transition reaches beyond it. With less, dark parts come out
brighter than what was brighter beside them."""


def read(image: Image, mask: Mask, role: str) -> Cover:
    """What a mask covers of a photo.

    Args:
        image: the photo, with its companions.
        mask: as written or given.
        role: the option that named it, `mask` or `mask_outer`.

    Raises:
        UsageError: it does not fit the photo.
    """
    name = image.metadata.source or "the photo"
    option = f"--{role.replace('_', '-')}"
    if mask.shapes:
        cover = draw(image.height, image.width, mask.shapes)
        if not cover.values.any():
            raise UsageError(
                f"{option}: {mask.text} covers no pixel of {name}, which is {image.width}x{image.height}; "
                "a mask must overlap its photo."
            )
        return cover
    if mask.source == "luma":
        return within(image, _dark(image, mask.below), soft=True, owned=True)
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
    soft = softness(values) >= _SOFT
    scaled = _scaled(values, image.height, image.width, soft)
    return within(image, scaled, soft, owned=scaled is not values)


def _of_picture(picture: Image) -> Array:
    """An image's alpha where it is not constant, else its luma."""
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


def softness(values: Array) -> float:
    """Mean width of the edge in pixels: the area between inside and outside, divided by the length of the edge."""
    unit = of_white(values)
    low, high = OUTSIDE * FULL / unit, INSIDE * FULL / unit
    between = sum(np.count_nonzero((values[band] > low) & (values[band] < high)) for band in bands(values))
    return float(between / max(length_of_edge(values, FULL // 2 / unit), 1.0))


_shrinking = threading.Lock()
"""Held while a soft mask is reduced, at 16 bits: it may be many times as large as its photo."""


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
    half = FULL // 2 / of_white(scaled)
    hard = np.empty((height, width), np.uint8)
    for band in bands(scaled):
        np.multiply(scaled[band] > half, np.uint8(255), out=hard[band])
    return hard


def _dark(image: Image, below: float) -> Array:
    """How much every pixel belongs to a region darker than `below`, h×w uint16 of the whole picture."""
    scale = min(1.0, _LUMA_SIDE / max(image.height, image.width))
    rows, columns = max(1, round(image.height * scale)), max(1, round(image.width * scale))
    rgb = colour.to_rgb(image)
    red, green, blue = opacity.area_means(rgb, rows, columns)
    guide: Any = 0.299 * red + 0.587 * green + 0.114 * blue
    blur = max(_LUMA_BLUR * min(rows, columns), 0.5)
    level: Any = cv2.GaussianBlur(guide, (0, 0), blur)
    cover = np.clip((below * (1.0 + _LUMA_REACH) - level) / (below * _LUMA_REACH), 0.0, 1.0)
    return fit_soft(rgb.pixels, guide, cover, math.ceil(2.0 * blur))
