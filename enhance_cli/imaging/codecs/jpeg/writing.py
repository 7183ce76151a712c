"""Encoding JPEG through libjpeg-turbo, from RGB or from the planes that a file stored.

What its binding does not write (progressive files, Huffman tables of their own) goes through Pillow.
"""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import simplejpeg

from enhance_cli.errors import UnsupportedFormat
from enhance_cli.imaging import colour
from enhance_cli.imaging.codecs.jpeg.quality import DEFAULT_QUALITY
from enhance_cli.imaging.codecs.jpeg.segments import with_metadata
from enhance_cli.types import Image, JpegCoding

if TYPE_CHECKING:
    from enhance_cli.imaging.codecs.codec import Encoded
    from enhance_cli.types import Array

_LARGEST_SIDE = 65500  # libjpeg's own limit; the format's is 35 more
_PILLOW_SUBSAMPLINGS = ("444", "422", "420")


def encode(image: Image, *, quality: int | None) -> Encoded:
    """Encode 8-bit grey, RGB or planes; quality and subsampling follow the source unless given.

    Returns:
        The file, and a note for each block of metadata that it cannot hold.

    Raises:
        UnsupportedFormat: a side is longer than a JPEG's may be.
    """
    if max(image.height, image.width) > _LARGEST_SIDE:
        raise UnsupportedFormat(
            f"{image.metadata.source or 'The image'} of {image.width}x{image.height} pixels is too long for a "
            f"JPEG (at most {_LARGEST_SIDE} a side); give --format png."
        )
    coding = image.metadata.jpeg or JpegCoding(DEFAULT_QUALITY, "444")
    quality = quality or coding.quality
    pixels = image.pixels
    if image.chroma is not None:
        cb, cr = (np.ascontiguousarray(plane) for plane in image.chroma)
        coded = simplejpeg.encode_jpeg_yuv_planes(_within_whole_blocks(pixels, cb.shape), cb, cr, quality=quality)
    elif pixels.ndim == 2:
        coded = simplejpeg.encode_jpeg_yuv_planes(_rows_together(pixels), None, None, quality=quality)
    else:
        coded = simplejpeg.encode_jpeg(
            _rows_together(pixels), quality=quality, colorspace="RGB", colorsubsampling=coding.subsampling
        )
    notes: tuple[str, ...] = ()
    if coding.progressive or coding.optimised:
        coded, notes = _recoded(image, replace(coding, quality=quality), coded)
    whole, further = with_metadata(coded, image.metadata)
    return whole, notes + further


def _rows_together(pixels: Array) -> Array:
    """The same samples, those of a row side by side and the rows in order, as the binding takes them."""
    row = pixels[:1]
    return pixels if row.flags.c_contiguous and pixels.strides[0] >= row.nbytes else np.ascontiguousarray(pixels)


def _within_whole_blocks(luma: Array, chroma: tuple[int, ...]) -> Array:
    """H×W luma with its edge repeated in the memory beyond it, up to the end of the last chroma samples.

    The encoder reads luma for every chroma sample: up to a row and three columns beyond the image where a side is
    no multiple of the chroma block. It takes the size of the image from the view and the next row from its stride,
    so a view of a larger plane is an image of the right size with memory of ours around it.
    """
    height, width = luma.shape
    below = -height % colour.pixels_per_sample(height, chroma[0])
    beyond = -width % colour.pixels_per_sample(width, chroma[1])
    if below == beyond == 0:
        return _rows_together(luma)
    return np.pad(luma, ((0, below), (0, beyond)), mode="edge")[:height, :width]


def _recoded(image: Image, coding: JpegCoding, plain: bytes) -> Encoded:
    """The same as `plain`, progressive or with Huffman tables of its own, which the binding in use does not write.

    Pillow does, but neither every subsampling nor files of any size: those stay as they are, and a progressive one
    says so.
    """
    pixels = image.height * image.width
    if coding.subsampling in _PILLOW_SUBSAMPLINGS and len(plain) < _pillow_buffer(pixels, coding.quality):
        return _encode_with_pillow(image, coding), ()
    return plain, ("its coding was progressive and is now sequential",) if coding.progressive else ()


def _pillow_buffer(pixels: int, quality: int) -> int:
    """The buffer size that Pillow allocates for a progressive or optimised JPEG; a larger file fails."""
    return max(2**16, pixels * (2 if quality >= 95 else 1))


def _encode_with_pillow(image: Image, coding: JpegCoding) -> bytes:
    """A bare JPEG, progressive or optimised, of 8-bit grey, RGB or planes.

    Chroma is replicated, because the encoder takes the mean of what it will subsample: the stored samples again.
    """
    from PIL import Image as Pillow

    picture = Pillow.fromarray(image.pixels)
    if image.chroma is not None:
        size = (picture.width, picture.height)
        across, down = {"444": (1, 1), "422": (2, 1), "420": (2, 2)}[coding.subsampling]
        planes = (plane.repeat(down, axis=0).repeat(across, axis=1) for plane in image.chroma)
        picture = Pillow.merge("YCbCr", [picture, *(Pillow.fromarray(plane).crop((0, 0, *size)) for plane in planes)])
    packed = io.BytesIO()
    way = {"progressive": True} if coding.progressive else {"optimize": True}
    picture.save(packed, "JPEG", quality=coding.quality, subsampling=":".join(coding.subsampling), **way)
    return packed.getvalue()
