"""PNG, at 8 and 16 bits: Pillow and OpenCV know its pixels, its chunks are read and written here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enhance_cli.imaging.codecs.codec import Codec

if TYPE_CHECKING:
    from enhance_cli.imaging.codecs.codec import Encoded, PictureFile
    from enhance_cli.types import Image


def _open(data: bytes, name: str) -> PictureFile:
    from enhance_cli.imaging.codecs.png.reading import PngFile

    return PngFile(data, name)


def _encode(image: Image, *, quality: int | None) -> Encoded:
    from enhance_cli.imaging.codecs.png.writing import encode

    return encode(image, quality=quality)


CODEC = Codec(
    "png",
    (".png", ".apng"),
    sniff=lambda data: data.startswith(b"\x89PNG\r\n\x1a\n"),
    open=_open,
    encode=_encode,
    sixteen_bit=True,
    alpha=True,
    coding="lossless",
    carries=("colour profile", "EXIF", "XMP", "IPTC", "density"),
    in_browsers=True,
)
