"""WebP through Pillow: lossy or lossless, as its source was."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from enhance_cli.errors import CorruptPicture
from enhance_cli.imaging.codecs.codec import Codec
from enhance_cli.imaging.codecs.lost import DROPPED, SIGNATURE
from enhance_cli.types import JpegCoding

if TYPE_CHECKING:
    from enhance_cli.imaging.codecs.codec import Encoded, Held
    from enhance_cli.types import Image

DEFAULT_QUALITY = 90


class WebpFile:
    """A WebP, of which only the header is read at first: libwebp allocates the canvas when a file is merely opened."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data, self.name = data, name
        self.header = read_header(data)
        self.height, self.width = self.header.size
        self.depth = 8

    def read(self, notes: list[str]) -> Held:
        """Decode the first frame."""
        from PIL.WebPImagePlugin import WebPImageFile

        from enhance_cli.imaging.codecs.pillow import PillowFile

        held = PillowFile(WebPImageFile(io.BytesIO(self.data)), self.name).read(notes)
        if self.header.signed:
            notes.append(DROPPED[SIGNATURE])
            held = held._replace(lost=(*held.lost, SIGNATURE))
        return held._replace(coding=JpegCoding(DEFAULT_QUALITY, "420") if self.header.lossy else None)


def _encode(image: Image, *, quality: int | None) -> Encoded:
    from enhance_cli.imaging.codecs import pillow

    source = image.metadata.jpeg
    details: dict[str, Any] = {"lossless": True, "quality": 60, "exact": True}  # `exact` keeps hidden colours too
    if not CODEC.is_lossless(image.metadata, quality):
        details = {"quality": quality or (source.quality if source else DEFAULT_QUALITY), "method": 4}
    return pillow.encode_with_blocks(image, "WEBP", **details)


# --- header ------------------------------------------------------------------------------------------------


class WebpHeader(NamedTuple):
    """What a WebP's chunks say before its pixels."""

    size: tuple[int, int]
    """Height and width."""

    lossy: bool
    signed: bool = False
    """Whether a C2PA signature is there."""


def read_header(data: bytes) -> WebpHeader:
    """Size of the canvas and kind of coding: libwebp allocates the canvas when a file is merely opened.

    Raises:
        CorruptPicture: no chunk with a size is there.
    """
    return _webp_picture(data)._replace(signed=_has_chunk(data, b"C2PA"))


def _has_chunk(data: bytes, name: bytes) -> bool:
    position = 12
    while position + 8 <= len(data):
        if data[position : position + 4] == name:
            return True
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        position += 8 + size + size % 2
    return False


def _webp_picture(data: bytes) -> WebpHeader:
    canvas: tuple[int, int] | None = None
    position = 12
    while position + 18 <= len(data):
        name, body = data[position : position + 4], position + 8
        if name == b"VP8X":
            width = int.from_bytes(data[body + 4 : body + 7], "little") + 1
            height = int.from_bytes(data[body + 7 : body + 10], "little") + 1
            canvas = (height, width)
        elif name == b"ANMF":  # a frame: its own chunks follow 16 bytes of place and time
            position = body + 16
            continue
        elif name == b"VP8 ":
            width, height = struct.unpack_from("<HH", data, body + 6)
            return WebpHeader(canvas or (height & 0x3FFF, width & 0x3FFF), lossy=True)
        elif name == b"VP8L":
            bits = int.from_bytes(data[body + 1 : body + 5], "little")
            return WebpHeader(canvas or ((bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1), lossy=False)
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        position = body + size + size % 2
    if canvas is None:
        raise CorruptPicture("its WebP data ends before the image begins")
    return WebpHeader(canvas, lossy=True)


CODEC = Codec(
    "webp",
    (".webp",),
    sniff=lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP",
    open=WebpFile,
    encode=_encode,
    alpha=True,
    coding="either",
    longest_side=16383,
    in_browsers=True,
)
