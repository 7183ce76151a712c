"""JPEG, whose luma and chroma are read and written as stored where luma alone changes; phones' extras stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enhance_cli.imaging.codecs.codec import BLOCKS, Codec

if TYPE_CHECKING:
    from enhance_cli.imaging.codecs.codec import Check, Encoded, Small
    from enhance_cli.imaging.codecs.jpeg.on_card import CardDecoder
    from enhance_cli.types import Image

XMP_LIMIT = 65_502
"""Maximum bytes of the standard XMP packet in a JPEG, without its header."""


def _decode(data: bytes, *, source: str, planes: bool, check: Check, card: CardDecoder | None = None) -> Image:
    from enhance_cli.imaging.codecs.jpeg.reading import decode

    return decode(data, source=source, planes=planes, check=check, card=card)


def _small(data: bytes, longest: int) -> Small | None:
    from enhance_cli.imaging.codecs.jpeg.scaled import decode_scaled

    return decode_scaled(data, longest)


def _encode(image: Image, *, quality: int | None) -> Encoded:
    from enhance_cli.imaging.codecs.jpeg.writing import encode

    return encode(image, quality=quality)


CODEC = Codec(
    "jpeg",
    (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    sniff=lambda data: data.startswith(b"\xff\xd8\xff"),
    decode=_decode,
    small=_small,
    encode=_encode,
    aliases=("jpg",),
    carries=tuple(BLOCKS),
    xmp_limit=XMP_LIMIT,
    planes=True,
    trailer=True,
    in_browsers=True,
)
