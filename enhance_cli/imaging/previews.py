"""Previews for a screen: small sRGB copies of photos in any format that is read, and their JPEG files."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from enhance_cli.imaging import codecs, colour
from enhance_cli.imaging.view import as_srgb
from enhance_cli.types import Image, JpegCoding, Metadata

if TYPE_CHECKING:
    from enhance_cli.types import Array

_UNDER_TRANSPARENCY = 128
"""The grey on which transparent photos are shown."""


class Preview(NamedTuple):
    """A small copy of a photo."""

    pixels: Array
    """H×W×3 RGB in sRGB, uint8."""

    height: int
    width: int
    """Of the photo itself, upright."""


def preview(data: bytes, longest: int, *, source: str = "", max_pixels: int = codecs.MAX_PIXELS) -> Preview:
    """Decode a file and reduce it to a longer side of `longest` pixels at most; nothing is enlarged.

    Raises:
        PhotographError: it cannot be decoded (see `codecs.decode`).
    """
    image, height, width = _small(data, longest, source, max_pixels)
    image = colour.to_rgb(as_srgb(image))
    if image.pixels.dtype != np.uint8:
        image = colour.to_eight_bit(image)
    pixels, alpha = image.pixels, image.alpha
    if alpha is not None:
        share = alpha[..., None].astype(np.float32) / 255
        pixels = np.rint(pixels * share + _UNDER_TRANSPARENCY * (1 - share)).astype(np.uint8)
    return Preview(reduced(pixels, longest), height, width)


def _small(data: bytes, longest: int, source: str, max_pixels: int) -> tuple[Image, int, int]:
    found = codecs.sniff(data)
    if found is not None and found.small is not None:
        codecs.announced(data, source=source, max_pixels=max_pixels)  # refuses what is too large
        small = found.small(data, longest)
        if small is not None:
            return Image(small.pixels, metadata=Metadata(source, icc=small.icc)), small.height, small.width
    image = codecs.decode(data, source=source, max_pixels=max_pixels)
    return image, image.height, image.width


def reduced(pixels: Array, longest: int) -> Array:
    """An image (H×W×3, uint8) whose longer side has `longest` pixels at most: whole factors by means, the rest by
    linear interpolation, which is several times faster than means alone.
    """
    height, width = pixels.shape[:2]
    scale = max(height, width) / longest
    if scale <= 1:
        return np.ascontiguousarray(pixels)
    whole = int(scale)
    if whole > 1:
        shape = (max(1, width // whole), max(1, height // whole))
        pixels = cv2.resize(pixels, shape, interpolation=cv2.INTER_AREA)
    target = (max(1, round(width / scale)), max(1, round(height / scale)))
    if pixels.shape[1::-1] != target:
        pixels = cv2.resize(pixels, target, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(pixels)


def as_jpeg(pixels: Array, quality: int) -> bytes:
    """A JPEG file of an image (H×W×3 RGB, uint8), without metadata."""
    image = Image(pixels, metadata=Metadata(format="jpeg", jpeg=JpegCoding(quality, "420")))
    return codecs.encode(image, "jpeg")[0]
