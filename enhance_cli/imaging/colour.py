"""Between the pixel layouts of this package: planes and RGB, grey and RGB, 16 and 8 bit, arrays and Images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from enhance_cli.errors import UsageError
from enhance_cli.types import Image, Metadata

if TYPE_CHECKING:
    from enhance_cli.types import Array


def merge_planes(image: Image) -> Image:
    """Luma and subsampled chroma to H×W×3 RGB, BT.601 full range.

    Chroma is interpolated between its samples' centres, as libjpeg does it; other images come back as they are.
    """
    if image.chroma is None:
        return image
    rgb = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _BAND):  # in bands: the chroma of a whole large image would be held three times
        rgb[top : top + _BAND] = _merged(image, top, min(top + _BAND, image.height))
    return image.replace(pixels=rgb, chroma=None)


_BAND = 512
"""Rows of an image that are converted at once: a multiple of the rows that a sample of chroma may stand for."""


def _merged(image: Image, top: int, bottom: int) -> Array:
    """Some rows of `merge_planes`."""
    import cv2

    assert image.chroma is not None
    height, width = image.height, image.width
    planes: list[Any] = [image.pixels[top:bottom]]
    for plane in (image.chroma[1], image.chroma[0]):  # OpenCV orders Y, Cr, Cb
        rows, columns = pixels_per_sample(height, plane.shape[0]), pixels_per_sample(width, plane.shape[1])
        first = max(top // rows - 1, 0)  # with the samples before and after, which are interpolated with
        plane = plane[first : -(-bottom // rows) + 1]
        if rows > 1 or columns > 1:
            plane = cv2.resize(plane, None, fx=columns, fy=rows, interpolation=cv2.INTER_LINEAR)
        planes.append(plane[top - first * rows : bottom - first * rows, :width])
    rgb: Any = cv2.cvtColor(cv2.merge(planes), cv2.COLOR_YCrCb2RGB)
    return rgb  # type: ignore[no-any-return]


def pixels_per_sample(length: int, samples: int) -> int:
    """Pixels for a sample of chroma: 1, 2 or 4, also where the last sample stands for fewer."""
    return 1 << (-(-length // samples) - 1).bit_length()


def to_rgb(image: Image) -> Image:
    """Any layout to H×W×3 RGB of the same depth; grey is replicated."""
    if image.chroma is not None:
        return merge_planes(image)
    if image.pixels.ndim == 2:
        return image.replace(pixels=np.repeat(image.pixels[..., None], 3, axis=2))
    return image


def grey_as_rgb(image: Image) -> tuple[Image, tuple[str, ...]]:
    """A grey image for an encoder that takes none like it, and what is to be noted of that."""
    notes: tuple[str, ...] = ("its grey is written as RGB, as its encoder takes no grey with alpha",)
    if (image.metadata.icc or b"")[16:20] == b"GRAY":
        image = image.replace(metadata=replace(image.metadata, icc=None))
        notes += ("a colour profile of grey does not fit RGB and was left out",)
    return to_rgb(image), notes


def grey_like(rgb: Array) -> Array:
    """H×W×3 back to H×W for a grey image: the mean of the channels, rounded, which removes any cast."""
    grey: Array = np.rint(rgb.mean(axis=2, dtype=np.float32)).astype(rgb.dtype)
    return grey


def is_neutral(rgb: Array) -> bool:
    """Whether every pixel of H×W×3 is grey: a black-and-white photo that is stored in colour."""

    def grey(pixels: Array) -> bool:
        return bool((pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all())

    # Of a photo in colour a few pixels tell enough, mostly.
    return grey(rgb[::101, ::103]) and all(grey(rgb[top : top + _BAND]) for top in range(0, len(rgb), _BAND))


def make_neutral(rgb: Array) -> None:
    """Replace the three channels of H×W×3 by what `grey_like` gives, in place."""
    for top in range(0, len(rgb), _BAND):
        band = rgb[top : top + _BAND]
        band[...] = grey_like(band)[..., None]


def interleaved(image: Image) -> Array:
    """H×W, H×W×2 (grey and alpha), H×W×3 or H×W×4, contiguous."""
    pixels = image.pixels if image.alpha is None else np.dstack((image.pixels, image.alpha))
    return np.ascontiguousarray(pixels)


def to_eight_bit(image: Image) -> Image:
    """16-bit samples to 8 bit, rounded to nearest; 8-bit images as they are."""
    if image.pixels.dtype == np.uint8:
        return image

    def reduced(plane: Array | None) -> Array | None:
        return None if plane is None else ((plane.astype(np.uint32) + 128) // 257).astype(np.uint8)

    return image.replace(pixels=reduced(image.pixels), alpha=reduced(image.alpha))


def from_array(array: Any) -> Image:
    """Take an image from Python.

    Args:
        array: H×W, H×W×1, H×W×3 (RGB) or H×W×4 (RGBA); uint8, uint16, or floating point in 0..1, which is
            worked on at 16 bits.

    Raises:
        UsageError: another shape or dtype, an empty image, or floats outside 0..1.
    """
    pixels = np.asarray(array)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)) or pixels.size == 0:
        raise UsageError(f"An image is an array of H×W, H×W×3 or H×W×4 values, not {pixels.shape}.")
    if np.issubdtype(pixels.dtype, np.floating):
        if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1):
            raise UsageError("A floating-point image holds values from 0 to 1.")
        pixels = np.rint(pixels * 65535.0).astype(np.uint16)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise UsageError(f"An image holds uint8, uint16 or floating-point values, not {pixels.dtype}.")
    alpha = None
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels, alpha = pixels[..., :3], np.ascontiguousarray(pixels[..., 3])
    return Image(
        np.require(pixels, requirements=("C_CONTIGUOUS", "WRITEABLE")),
        alpha=alpha,
        metadata=Metadata(bit_depth=16 if pixels.dtype == np.uint16 else 8),
    )
