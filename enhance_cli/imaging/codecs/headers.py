"""What the headers of WebP and AVIF say before anything is decoded, read by hand as their decoders do not tell."""

from __future__ import annotations

import struct
from typing import Literal, NamedTuple

from enhance_cli.errors import CorruptPicture
from enhance_cli.imaging.profiles import Cicp


class WebpHeader(NamedTuple):
    """What a WebP's chunks say before its pixels."""

    size: tuple[int, int]
    """Height and width."""

    lossy: bool
    signed: bool = False
    """Whether a C2PA signature is there."""


def read_webp(data: bytes) -> WebpHeader:
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
        raise CorruptPicture("its WebP data ends before the picture begins")
    return WebpHeader(canvas, lossy=True)


class AvifHeader(NamedTuple):
    """What the boxes of an AVIF say of its coding."""

    depth: int
    subsampling: Literal["444", "422", "420"]
    """Of the chroma: `444`, `422` or `420`."""

    cicp: Cicp | None

    largest: tuple[int, int]
    """Height and width of the largest picture announced; zeros where none is."""


def read_avif(data: bytes) -> AvifHeader:
    """Find the coding of an AVIF's first item; what is not found has the commonest value."""
    depth, largest = 8, (0, 0)
    cicp: Cicp | None = None
    subsampling: Literal["444", "422", "420"] = "420"
    place = data.find(b"av1C")
    if place >= 0 and place + 7 <= len(data):
        flags = data[place + 6]  # tier, high bit depth, twelve bits, monochrome, subsampling in x and in y, ...
        depth = (12 if flags & 0x20 else 10) if flags & 0x40 else 8
        subsampling = "444" if flags & 0x0C == 0 else "422" if flags & 0x0C == 0x08 else "420"
    place = data.find(b"colrnclx")
    if place >= 0 and place + 12 <= len(data):
        cicp = Cicp(*struct.unpack_from(">HH", data, place + 8))
    place = data.find(b"ispe")
    while place >= 0 and place + 16 <= len(data):
        width, height = struct.unpack_from(">II", data, place + 8)
        largest = max(largest, (height, width), key=lambda size: size[0] * size[1])
        place = data.find(b"ispe", place + 4, 2**20)
    return AvifHeader(depth, subsampling, cicp, largest)
