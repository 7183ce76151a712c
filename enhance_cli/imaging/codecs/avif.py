"""AVIF through Pillow; depth, subsampling and colour tag are read from its boxes here."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from enhance_cli.errors import PictureTooLarge
from enhance_cli.imaging.codecs.boxes import brands
from enhance_cli.imaging.codecs.codec import Codec
from enhance_cli.types import JpegCoding

if TYPE_CHECKING:
    from enhance_cli.imaging.codecs.codec import Encoded, Held
    from enhance_cli.imaging.profiles import Cicp
    from enhance_cli.types import Image

DEFAULT_QUALITY = 85

_LARGEST = 2**28  # pixels; libavif's own limit
_BRANDS = (b"avif", b"avis")
_SPEED = 8  # 6, the default, takes seven times as long


class AvifFile:
    """An AVIF, whose depth, subsampling and colour tag Pillow does not report."""

    def __init__(self, data: bytes, name: str) -> None:
        from PIL.AvifImagePlugin import AvifImageFile

        from enhance_cli.imaging.codecs.pillow import PillowFile

        self.header = read_header(data)
        height, width = self.header.largest
        if height * width > _LARGEST:
            raise PictureTooLarge(
                f"{name} has {width}x{height} pixels, more than the {_LARGEST:,} "
                "that the AVIF decoder reads; convert it to another format."
            )
        self.file = PillowFile(AvifImageFile(io.BytesIO(data)), name)
        self.height, self.width, self.depth = self.file.height, self.file.width, self.file.depth

    def read(self, notes: list[str]) -> Held:
        """Decode the first frame, at 8 bits."""
        from enhance_cli.imaging import profiles

        held = self.file.read(notes)
        if self.header.depth > 8:  # OpenCV reads more, but takes video range for full range in grey images
            notes.append(f"its {self.header.depth} bits per sample were read as 8")
        icc = held.carried.icc or profiles.icc_of_cicp(self.header.cicp, notes)
        coding = JpegCoding(DEFAULT_QUALITY, self.header.subsampling)
        return held._replace(carried=held.carried._replace(icc=icc), coding=coding)


def _encode(image: Image, *, quality: int | None) -> Encoded:
    from enhance_cli.imaging.codecs import pillow

    details: dict[str, Any] = {"quality": quality or DEFAULT_QUALITY, "speed": _SPEED}
    source = image.metadata.jpeg
    if image.pixels.ndim == 3 and source is not None and source.subsampling in ("444", "422", "420"):
        details["subsampling"] = ":".join(source.subsampling)
    return pillow.encode_with_blocks(image, "AVIF", **details)


class AvifHeader(NamedTuple):
    """What the boxes of an AVIF say about its coding."""

    depth: int
    subsampling: Literal["444", "422", "420"]
    """Of the chroma: `444`, `422` or `420`."""

    cicp: Cicp | None

    largest: tuple[int, int]
    """Height and width of the largest image announced; zeros where none is."""


def read_header(data: bytes) -> AvifHeader:
    """Find the coding of an AVIF's first item; anything not found gets the most common value."""
    from enhance_cli.imaging.profiles import Cicp

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


CODEC = Codec(
    "avif",
    (".avif", ".avifs"),
    sniff=lambda data: any(brand in _BRANDS for brand in brands(data)),
    open=AvifFile,
    encode=_encode,
    alpha=True,
    longest_side=65536,
    turned_by_decoder=True,
    boxes=True,
    in_browsers=True,
)
