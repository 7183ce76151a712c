"""TIFF, at 8 and 16 bits: Pillow and OpenCV know its pixels; its directories are read, and its files written, here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enhance_cli.imaging.codecs.codec import Codec

if TYPE_CHECKING:
    from enhance_cli.imaging.codecs.codec import Encoded, PictureFile
    from enhance_cli.types import Image


def is_tiff(data: bytes) -> bool:
    """Whether a file is a TIFF or BigTIFF of any kind, camera raw among them."""
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def is_camera_raw(data: bytes) -> bool:
    """Whether a TIFF is a camera's raw file, whose first image is a small preview.

    So is that of editors and scanners that keep the full image in a sub-directory: those say that it is developed.
    """
    from enhance_cli.imaging import metadata
    from enhance_cli.imaging.codecs.tiff import pages

    tags = metadata.first_directory(data)
    is_preview = tags.get(_NEW_SUBFILE_TYPE) == 1 and _SUB_DIRECTORIES in tags
    return data[8:10] == b"CR" or _DNG_VERSION in tags or (is_preview and not pages.is_developed(data))


_NEW_SUBFILE_TYPE, _SUB_DIRECTORIES, _DNG_VERSION = 0x00FE, 0x014A, 0xC612


def _open(data: bytes, name: str) -> PictureFile:
    from enhance_cli.imaging.codecs.tiff.reading import TiffFile

    return TiffFile(data, name)


def _encode(image: Image, *, quality: int | None) -> Encoded:
    from enhance_cli.imaging.codecs.tiff.writing import encode

    return encode(image, quality=quality)


CODEC = Codec(
    "tiff",
    (".tif", ".tiff"),
    sniff=lambda data: is_tiff(data) and not is_camera_raw(data),
    open=_open,
    encode=_encode,
    aliases=("tif",),
    sixteen_bit=True,
    alpha=True,
    coding="lossless",
    carries=("colour profile", "EXIF", "XMP", "IPTC", "density"),
    turned_by_decoder=True,  # where its tag is absent, too
)
