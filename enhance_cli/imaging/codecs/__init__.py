"""Image files: `decode` bytes to an Image, `encode` it again; `table` holds one `Codec` for each format.

The content decides the format of a file, never its suffix. Decoders are imported when their format first occurs, so a
folder of JPEGs never loads Pillow or OpenCV.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from enhance_cli.errors import CorruptPicture, PictureTooLarge, UnsupportedFormat
from enhance_cli.imaging.codecs.codec import BLOCKS, Codec
from enhance_cli.imaging.codecs.table import (
    FORMATS,
    format_named,
    format_of_suffix,
    is_installed,
    sniff,
    writable_formats,
)

if TYPE_CHECKING:
    from enhance_cli.imaging.codecs.jpeg.on_card import CardDecoder
    from enhance_cli.types import Image

__all__ = (
    "BLOCKS",
    "FORMATS",
    "MAX_PIXELS",
    "Codec",
    "announced",
    "decode",
    "encode",
    "format_named",
    "format_of_suffix",
    "is_installed",
    "sniff",
    "writable_formats",
)

MAX_PIXELS = 300_000_000
"""The default of `--max-pixels`."""


def decode(
    data: bytes,
    *,
    source: str = "",
    planes: bool = False,
    max_pixels: int = MAX_PIXELS,
    admit: Callable[[int, int, int], None] = lambda height, width, depth: None,
    card: CardDecoder | None = None,
) -> Image:
    """Decode a whole file, upright and with its metadata.

    Args:
        data: the file's bytes.
        source: its path, for messages and metadata.
        planes: the caller changes luma only and accepts a JPEG's own planes (`Image.chroma`).
        max_pixels: refuse more than this before decoding.
        admit: called with (height, width, bits per sample) before decoding; may wait for memory.
        card: decodes what it can of the formats with a decoder of their own (`--codec gpu`), not as planes.

    Raises:
        UnsupportedFormat: the bytes are not in a format that enhance reads.
        CorruptPicture: they are truncated or damaged.
        PictureTooLarge: the header announces more than `max_pixels`.
    """
    name = source or "the image"
    if not data:
        raise CorruptPicture(f"{name} is empty (0 bytes).")
    found = sniff(data)
    if found is None:
        readable = ", ".join(item.name for item in FORMATS.values() if item.readable)
        raise UnsupportedFormat(f"{name} is not an image that enhance can read ({readable}).")
    if found.refusal is not None:
        raise UnsupportedFormat(f"{name} {found.refusal}, which enhance does not read; save it as 16-bit TIFF.")

    def check(height: int, width: int, depth: int) -> None:
        if height < 1 or width < 1:
            raise CorruptPicture(f"its header announces {width}x{height} pixels")
        if height * width > max_pixels:
            raise PictureTooLarge(
                f"{name} has {width}x{height} pixels, more than the {max_pixels:,} allowed; "
                "raise --max-pixels to read it."
            )
        admit(height, width, depth)

    _require_extra(found, name)
    try:
        if found.decode is not None:
            return found.decode(data, source=source, planes=planes, check=check, card=card)
        from enhance_cli.imaging.codecs import reading

        return reading.decode(found, data, source=source, check=check)
    except CorruptPicture as error:
        raise CorruptPicture(f"{name} cannot be decoded: {error}.") from error


class _Told(Exception):
    """Ends decoding once the header has been read."""

    def __init__(self, height: int, width: int, depth: int) -> None:
        super().__init__()
        self.size = height, width, depth


def announced(data: bytes, *, source: str = "", max_pixels: int = MAX_PIXELS) -> tuple[int, int, int]:
    """Height, width and bits per sample from a file's header, without decoding it; raises as `decode`."""

    def tell(height: int, width: int, depth: int) -> None:
        raise _Told(height, width, depth)

    try:
        image = decode(data, source=source, max_pixels=max_pixels, admit=tell)
    except _Told as told:
        return told.size
    return image.height, image.width, image.metadata.bit_depth


def _require_extra(wanted: Codec, name: str) -> None:
    if not is_installed(wanted.name):
        raise UnsupportedFormat(
            f"{name} needs a codec for {wanted.name} that is not installed; "
            f"install it with: pip install 'enhance-cli[{wanted.extra}]'."
        )


def encode(image: Image, format_name: str, *, quality: int | None = None) -> tuple[bytes, tuple[str, ...]]:
    """Encode in a format of the table, reduced to what it can hold.

    Args:
        image: any image of this package.
        format_name: a key of `FORMATS` that is written, or is written as another.
        quality: 1..100 for JPEG and lossy WebP; None follows the source.

    Returns:
        The file's bytes, and a note for everything that the format could not carry.

    Raises:
        UnsupportedFormat: a side is longer than the format allows, or its codec is not installed.
    """
    from enhance_cli.imaging import colour, xmp

    wanted = FORMATS[FORMATS[format_name].written_as or format_name]
    assert wanted.encode is not None
    _require_extra(wanted, image.metadata.source or "the image")
    meta = image.metadata
    notes: list[str] = []
    if image.chroma is not None and not wanted.planes:
        image = colour.merge_planes(image)
    if image.alpha is not None and not (wanted.alpha and wanted.is_lossless(meta, quality)):
        from enhance_cli.imaging import opacity

        image = opacity.with_hidden_filled(image)  # else the blocks of lossy coding spread hidden colours
    if image.alpha is not None and not wanted.alpha:
        image = image.replace(alpha=None)
        notes.append(f"{wanted.name} has no transparency: the alpha channel was dropped")
    if image.pixels.dtype.itemsize > 1 and not wanted.sixteen_bit:
        image = colour.to_eight_bit(image)
        notes.append(f"{wanted.name} is written with 8 bits per channel: reduced from 16")
    lost = [name for name, field in BLOCKS.items() if getattr(meta, field) and name not in wanted.carries]
    if lost:
        notes.append(f"{wanted.name} cannot hold {' and '.join(lost)}: left out")
    if not wanted.trailer and (meta.trailer is not None or meta.xmp_extension is not None):
        if meta.trailer is not None:
            notes.append(f"{wanted.name} cannot hold {meta.trailer.holds}: left out")
        image = image.replace(metadata=replace(meta, xmp=xmp.for_picture_alone(meta.xmp), trailer=None))
    if wanted.longest_side is not None and max(image.height, image.width) > wanted.longest_side:
        raise UnsupportedFormat(
            f"{meta.source or 'The image'} of {image.width}x{image.height} pixels is too long for "
            f"{wanted.name} (at most {wanted.longest_side} a side); give --format png."
        )
    coded, further = wanted.encode(image, quality=quality)
    return coded, (*notes, *further)
