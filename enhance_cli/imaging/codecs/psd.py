"""Photoshop files of 8 bits, whose merged image is read and written as PNG."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from enhance_cli.errors import UnsupportedFormat
from enhance_cli.imaging.codecs.codec import Codec

if TYPE_CHECKING:
    from enhance_cli.imaging.codecs.codec import PictureFile
    from enhance_cli.imaging.metadata import Carried

_EXIF, _XMP, _IPTC = 0x0422, 0x0424, 0x0404  # numbers of resources


def _open(data: bytes, name: str) -> PictureFile:
    if int.from_bytes(data[22:24], "big") in (16, 32):
        raise UnsupportedFormat(f"{name} is a Photoshop file of more than 8 bits per sample; save it as 16-bit TIFF.")
    from PIL.PsdImagePlugin import PsdImageFile

    from enhance_cli.imaging.codecs import pillow

    opened = PsdImageFile(io.BytesIO(data))

    def carried(notes: list[str]) -> Carried:
        resources = {number: body for number, _, body in opened.resources}
        found = pillow.blocks(opened)
        return found._replace(exif=resources.get(_EXIF), xmp=resources.get(_XMP), iptc=resources.get(_IPTC))

    return pillow.PillowFile(opened, name, frames=False, carried=carried)  # what it takes for frames are layers


CODEC = Codec("psd", (".psd",), sniff=lambda data: data[:6] == b"8BPS\0\x01", open=_open, written_as="png")
