"""The pixels and tags of an image as TIFF.

The writer is here because OpenCV leaves all metadata out and Pillow knows no 16-bit colour.
"""

from __future__ import annotations

import io
import zlib
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow
from PIL import TiffImagePlugin

from enhance_cli.imaging import colour
from enhance_cli.imaging.codecs import pillow
from enhance_cli.imaging.codecs.failures import FAILURES
from enhance_cli.imaging.codecs.tiff import tags
from enhance_cli.imaging.metadata import EXIF_LEFT_OUT

if TYPE_CHECKING:
    from enhance_cli.imaging.codecs.codec import Encoded
    from enhance_cli.types import Array, Image, Metadata

_STRIP_BYTES = 2**20


def encode(image: Image, *, quality: int | None) -> Encoded:
    """Deflate with horizontal differences, at either depth, with EXIF in directories of its own.

    `quality` has no meaning here.
    """
    pillow.silence()
    notes: tuple[str, ...] = ()
    if image.alpha is not None and image.pixels.ndim == 2 and image.pixels.dtype == np.uint16:
        image, notes = colour.grey_as_rgb(image)
    samples = colour.interleaved(image).reshape(image.height, image.width, -1)
    rows = max(1, _STRIP_BYTES // (samples.shape[1] * samples.shape[2] * samples.itemsize))
    strips = [_strip(samples[top : top + rows]) for top in range(0, image.height, rows)]
    packed = io.BytesIO()
    try:
        _image_directory(samples, rows, strips, image.metadata).save(packed)
    except FAILURES:
        packed = io.BytesIO()
        _image_directory(samples, rows, strips, replace(image.metadata, exif=None)).save(packed)
        notes += (EXIF_LEFT_OUT,)
    for strip in strips:
        packed.write(strip)
    return packed.getvalue(), notes


def _image_directory(
    samples: Array, rows: int, strips: list[bytes], meta: Metadata
) -> TiffImagePlugin.ImageFileDirectory_v2:
    """The directory of an image whose strips follow it immediately."""
    height, width, channels = samples.shape
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    _put_exif(directory, meta.exif)
    starts = np.cumsum([0, *(len(strip) for strip in strips[:-1])])
    shorts: dict[int, Any] = {
        258: (8 * samples.itemsize,) * channels,
        259: 8,  # deflate
        262: 1 if channels < 3 else 2,  # grey or RGB
        274: 1,  # upright
        277: channels,
        284: 1,  # interleaved
        317: 2,  # horizontal differences
        339: (1,) * channels,  # unsigned integers
    }
    if channels in (2, 4):
        shorts[338] = 2  # alpha, not multiplied into the colours
    longs: dict[int, Any] = {
        256: width,
        257: height,
        273: tuple(int(start) for start in starts),  # Pillow adds the directory's own length
        278: rows,
        279: tuple(len(strip) for strip in strips),
    }
    blocks: dict[int, Any] = {tags.ICC_TAG: (7, meta.icc), tags.XMP_TAG: (1, meta.xmp), tags.IPTC_TAG: (7, meta.iptc)}
    if meta.density is not None:
        across, down = (Fraction(value).limit_denominator(10_000) for value in meta.density[:2])
        unit = 2 if meta.density.unit == "inch" else 1
        blocks |= {tags.DENSITY_TAGS[0]: (5, across), tags.DENSITY_TAGS[1]: (5, down), tags.DENSITY_UNIT_TAG: (3, unit)}
    for tag, kind, value in (
        *((tag, 3, value) for tag, value in shorts.items()),
        *((tag, 4, value) for tag, value in longs.items()),
        *((tag, kind, value) for tag, (kind, value) in blocks.items() if value),
    ):
        directory.tagtype[tag] = kind
        directory[tag] = value
    return directory


def _strip(samples: Array) -> bytes:
    differences = samples.astype(samples.dtype.newbyteorder("<"))
    differences[:, 1:] -= samples[:, :-1]
    return zlib.compress(differences.data, 6)


def _put_exif(directory: TiffImagePlugin.ImageFileDirectory_v2, block: bytes | None) -> None:
    if block is None:
        return
    exif = Pillow.Exif()
    exif.load(block)
    for tag in (*tags.EXIF_TAGS, *tags.DENSITY_TAGS, tags.DENSITY_UNIT_TAG):
        if tag in exif:
            directory[tag] = exif[tag]
    for tag in (tags.EXIF_IFD, tags.GPS_IFD):
        entries = dict(exif.get_ifd(tag))
        if tags.INTEROP_IFD in entries:
            entries[tags.INTEROP_IFD] = exif.get_ifd(tags.INTEROP_IFD)
        if entries:
            directory.tagtype[tag] = 4
            directory[tag] = entries
