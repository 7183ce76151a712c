"""The table of formats, and the two verbs of this room: `decode` bytes into an Image, `encode` it again.

The content decides what a file is, never its suffix. Codec modules are imported when their format first
turns up, so a folder of JPEGs never loads Pillow or OpenCV.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from enhance_cli.errors import CorruptPicture, PictureTooLarge, UnsupportedFormat
from enhance_cli.types import Image

MAX_PIXELS = 300_000_000
"""The default of `--max-pixels`."""


@dataclass(frozen=True, slots=True)
class Format:
    """One picture format: how its files are named, and what it can carry."""

    name: str
    suffixes: tuple[str, ...]
    """Lower case, the usual one first."""

    sixteen_bit: bool
    alpha: bool


FORMATS: dict[str, Format] = {
    item.name: item
    for item in (
        Format("jpeg", (".jpg", ".jpeg", ".jpe", ".jfif"), sixteen_bit=False, alpha=False),
        Format("png", (".png",), sixteen_bit=True, alpha=True),
        Format("webp", (".webp",), sixteen_bit=False, alpha=True),
        Format("tiff", (".tif", ".tiff"), sixteen_bit=True, alpha=True),
        Format("bmp", (".bmp", ".dib"), sixteen_bit=False, alpha=False),
    )
}
_BY_SUFFIX = {suffix: item for item in FORMATS.values() for suffix in item.suffixes}
_ALIASES = {"jpg": "jpeg", "tif": "tiff"}


def format_named(name: str) -> Format:
    """The format a user means by `jpg`, `jpeg`, `png`, `webp`, `tif`, `tiff` or `bmp`.

    Raises:
        ValueError: no such format.
    """
    wanted = name.lower().lstrip(".")
    found = FORMATS.get(_ALIASES.get(wanted, wanted))
    if found is None:
        raise ValueError(f"a format is one of {', '.join(FORMATS)}, not {name!r}.")
    return found


def format_of_suffix(path: Path) -> Format | None:
    """The format that a file's name announces, or None."""
    return _BY_SUFFIX.get(path.suffix.lower())


def sniff(data: bytes) -> Format | None:
    """The format that a file's first bytes announce, or None."""
    if data.startswith(b"\xff\xd8\xff"):
        return FORMATS["jpeg"]
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return FORMATS["png"]
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return FORMATS["webp"]
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return FORMATS["tiff"]
    if data[:2] == b"BM":
        return FORMATS["bmp"]
    return None


def decode(
    data: bytes,
    *,
    source: str = "",
    planes: bool = False,
    max_pixels: int = MAX_PIXELS,
    admit: Callable[[int, int], None] = lambda height, width: None,
) -> Image:
    """Decode a whole file, upright and with its metadata.

    Args:
        data: the file's bytes.
        source: its path, for messages and metadata.
        planes: the caller changes luma only and accepts a JPEG's own planes (`Image.chroma`).
        max_pixels: refuse more than this before decoding.
        admit: called with (height, width) before decoding; may wait for memory.

    Raises:
        UnsupportedFormat: the bytes are of no format this room reads.
        CorruptPicture: they are truncated or damaged.
        PictureTooLarge: the header announces more than `max_pixels`.
    """
    name = source or "the picture"
    if not data:
        raise CorruptPicture(f"{name} is empty (0 bytes).")
    found = sniff(data)
    if found is None:
        raise UnsupportedFormat(f"{name} is no picture that enhance reads ({', '.join(FORMATS)}).")

    def check(height: int, width: int) -> None:
        if height < 1 or width < 1:
            raise CorruptPicture(f"its header announces {width}x{height} pixels")
        if height * width > max_pixels:
            raise PictureTooLarge(
                f"{name} has {width}x{height} pixels, more than the {max_pixels:,} allowed; "
                "raise --max-pixels to read it."
            )
        admit(height, width)

    try:
        if found.name == "jpeg":
            from enhance_cli.imaging import jpeg
            from enhance_cli.imaging.metadata import read_jpeg_header

            header = read_jpeg_header(data)
            if header.precision != 8:
                raise UnsupportedFormat(f"{name} is a {header.precision}-bit JPEG; only 8-bit ones are read.")
            if len(header.sampling) in (1, 3):
                check(header.height, header.width)
                return jpeg.decode(data, source=source, planes=planes)
        from enhance_cli.imaging import raster

        return raster.decode(data, found.name, source=source, check=check)
    except CorruptPicture as error:
        raise CorruptPicture(f"{name} cannot be decoded: {error}.") from error


def encode(image: Image, format_name: str, *, quality: int | None = None) -> tuple[bytes, tuple[str, ...]]:
    """Encode in a format of the table, reducing to what it can carry.

    Args:
        image: any picture of this package.
        format_name: a key of `FORMATS`.
        quality: 1..100 for JPEG and lossy WebP; None follows the source.

    Returns:
        The file's bytes, and a sentence for everything that the format could not carry.
    """
    from enhance_cli.imaging import colour

    wanted = FORMATS[format_name]
    notes = []
    if wanted.name != "jpeg" and image.chroma is not None:
        image = colour.merge_planes(image)
    if image.alpha is not None and not wanted.alpha:
        image = image.replace(alpha=None)
        notes.append(f"{wanted.name} has no transparency: the alpha channel was dropped")
    if image.pixels.dtype.itemsize > 1 and not wanted.sixteen_bit:
        image = colour.to_eight_bit(image)
        notes.append(f"{wanted.name} holds 8 bits a channel: reduced from 16")
    if wanted.name == "jpeg":
        from enhance_cli.imaging import jpeg

        return jpeg.encode(image, quality=quality), tuple(notes)
    from enhance_cli.imaging import raster

    return raster.encode(image, wanted.name, quality=quality), tuple(notes)
