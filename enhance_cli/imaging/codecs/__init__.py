"""The table of formats, and the two verbs of this room: `decode` bytes into an Image, `encode` it again.

The content decides what a file is, never its suffix. Codec modules are imported when their format first
turns up, so a folder of JPEGs never loads Pillow or OpenCV.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from enhance_cli.errors import CorruptPicture, PictureTooLarge, UnsupportedFormat
from enhance_cli.imaging import metadata, xmp
from enhance_cli.imaging.codecs.tiff import pages as tiff_pages
from enhance_cli.types import Image

MAX_PIXELS = 300_000_000
"""The default of `--max-pixels`."""


BLOCKS = {
    "colour profile": "icc",
    "EXIF": "exif",
    "XMP": "xmp",
    "extended XMP": "xmp_extension",
    "IPTC": "iptc",
    "density": "density",
}
"""What a picture may carry besides pixels, and the field of `types.Metadata` that holds it."""

_ALL_OF_A_FILE = ("colour profile", "EXIF", "XMP", "IPTC", "density")


RAW_SUFFIXES = (
    *(".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".raf", ".rw2", ".orf", ".pef", ".srw"),
    *(".3fr", ".erf", ".iiq", ".mef", ".mos", ".mrw", ".rwl", ".x3f"),
)


@dataclass(frozen=True, slots=True)
class Format:
    """One picture format: how its files are named, and what it can carry."""

    name: str
    suffixes: tuple[str, ...]
    """Lower case, the usual one first."""

    sixteen_bit: bool = False
    alpha: bool = False
    carries: tuple[str, ...] = ("colour profile", "EXIF", "XMP")
    """What it holds beside pixels, among the names of `BLOCKS`."""

    written_as: str | None = None
    """The format that pictures of this one are written in, where it has no writer worth using."""

    extra: str | None = None
    """The extra of the package that reads and writes it; None where nothing more is needed."""

    refusal: str | None = None
    """Why it is not read, for the one sentence about it; such a format is known so that no picture is passed over."""

    @property
    def writable(self) -> bool:
        """Whether it may be asked for with `--format`."""
        return self.written_as is None and self.refusal is None


FORMATS: dict[str, Format] = {
    item.name: item
    for item in (
        Format("jpeg", (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), carries=tuple(BLOCKS)),
        Format("png", (".png", ".apng"), sixteen_bit=True, alpha=True, carries=_ALL_OF_A_FILE),
        Format("webp", (".webp",), alpha=True),
        Format("tiff", (".tif", ".tiff"), sixteen_bit=True, alpha=True, carries=_ALL_OF_A_FILE),
        Format("bmp", (".bmp", ".dib"), carries=("density",)),
        Format("avif", (".avif", ".avifs"), alpha=True),
        Format("heif", (".heic", ".heif", ".hif"), alpha=True, extra="heif"),
        Format("gif", (".gif",), written_as="png"),
        Format("ppm", (".ppm", ".pgm", ".pbm", ".pnm"), written_as="png"),
        Format("jp2", (".jp2", ".j2k", ".jpf", ".jpx"), written_as="png"),
        Format("psd", (".psd",), written_as="png"),
        Format("jxl", (".jxl",), alpha=True, extra="jxl"),
        Format("raw", RAW_SUFFIXES, written_as="tiff", extra="raw"),
        Format("exr", (".exr",), refusal="is OpenEXR, light in floating point"),
        Format("hdr", (".hdr", ".rgbe"), refusal="is Radiance HDR, light in floating point"),
    )
}
_BY_SUFFIX = {suffix: item for item in FORMATS.values() for suffix in item.suffixes}
_ALIASES = {"jpg": "jpeg", "tif": "tiff", "heic": "heif"}
_EXTRA_MODULES = {"heif": "pillow_heif", "jxl": "pylibjxl", "raw": "rawpy"}


def format_named(name: str) -> Format:
    """The writable format a user means by `jpg`, `.jpeg`, `PNG`, `webp`, `tif` ...

    Raises:
        ValueError: no such format, or one that is only read.
    """
    wanted = name.lower().lstrip(".")
    found = FORMATS.get(_ALIASES.get(wanted, wanted))
    if found is None or not found.writable:
        raise ValueError(f"a format is one of {', '.join(writable_formats())}, not {name!r}.")
    return found


def writable_formats() -> tuple[str, ...]:
    """The names that `--format` takes."""
    return tuple(item.name for item in FORMATS.values() if item.writable)


def is_installed(format_name: str) -> bool:
    """Whether what a format needs beside the package is there."""
    extra = FORMATS[format_name].extra
    return extra is None or find_spec(_EXTRA_MODULES[extra]) is not None


def format_of_suffix(path: Path) -> Format | None:
    """The format that a file's name announces, or None."""
    return _BY_SUFFIX.get(path.suffix.lower())


def sniff(data: bytes) -> Format | None:
    """The format that a file's first bytes announce, or None."""
    for name, recognised in _SIGNATURES.items():
        if recognised(data):
            return FORMATS[name]
    return None


_AVIF_BRANDS = (b"avif", b"avis")
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1", b"mif2")
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # sizes; "BM" alone begins many a text


def _brands(data: bytes) -> list[bytes]:
    """The kinds that an ISO media file says it is, the principal one first."""
    if data[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(data[:4], "big"), 256)
    return [data[8:12], *(data[start : start + 4] for start in range(16, end, 4))]


_RAW_BEGINNINGS = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM")
_NEW_SUBFILE_TYPE, _SUB_DIRECTORIES, _DNG_VERSION = 0x00FE, 0x014A, 0xC612


def _is_raw(data: bytes) -> bool:
    """Whether a file is a camera's raw one; many are TIFFs, whose first picture is a small preview.

    So are TIFFs of editors and scanners that keep the full picture in a sub-directory: those say that it is developed.
    """
    if data.startswith(_RAW_BEGINNINGS) or data[4:12] == b"ftypcrx " or data[6:14] == b"HEAPCCDR":
        return True
    if not _is_tiff(data):
        return False
    tags = metadata.first_directory(data)
    is_preview = tags.get(_NEW_SUBFILE_TYPE) == 1 and _SUB_DIRECTORIES in tags
    return data[8:10] == b"CR" or _DNG_VERSION in tags or (is_preview and not tiff_pages.is_developed(data))


def _is_tiff(data: bytes) -> bool:
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def _is_heif(data: bytes) -> bool:
    return any(brand in _HEIF_BRANDS for brand in _brands(data))


_SIGNATURES: dict[str, Callable[[bytes], bool]] = {
    "jpeg": lambda data: data.startswith(b"\xff\xd8\xff"),
    "png": lambda data: data.startswith(b"\x89PNG\r\n\x1a\n"),
    "webp": lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP",
    "raw": _is_raw,
    "tiff": _is_tiff,
    "bmp": lambda data: data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADERS,
    "avif": lambda data: any(brand in _AVIF_BRANDS for brand in _brands(data)),
    "heif": _is_heif,
    "gif": lambda data: data[:6] in (b"GIF87a", b"GIF89a"),
    "ppm": lambda data: data[:1] == b"P" and data[1:2] in b"123456" and data[2:3] in b" \t\r\n#" and len(data) > 3,
    "jp2": lambda data: data[:12] == b"\0\0\0\x0cjP  \r\n\x87\n" or data[:4] == b"\xff\x4f\xff\x51",
    "jxl": lambda data: data[:2] == b"\xff\x0a" or data[:12] == b"\0\0\0\x0cJXL \r\n\x87\n",
    "exr": lambda data: data[:4] == b"\x76\x2f\x31\x01",
    "hdr": lambda data: data.startswith((b"#?RADIANCE", b"#?RGBE")),
    "psd": lambda data: data[:6] == b"8BPS\0\x01",
}


def decode(
    data: bytes,
    *,
    source: str = "",
    planes: bool = False,
    max_pixels: int = MAX_PIXELS,
    admit: Callable[[int, int, int], None] = lambda height, width, depth: None,
) -> Image:
    """Decode a whole file, upright and with its metadata.

    Args:
        data: the file's bytes.
        source: its path, for messages and metadata.
        planes: the caller changes luma only and accepts a JPEG's own planes (`Image.chroma`).
        max_pixels: refuse more than this before decoding.
        admit: called with (height, width, bits of a sample) before decoding; may wait for memory.

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
        readable = ", ".join(item.name for item in FORMATS.values() if item.refusal is None)
        raise UnsupportedFormat(f"{name} is no picture that enhance reads ({readable}).")
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
        if found.name == "jpeg":
            from enhance_cli.imaging.codecs.jpeg import coding as jpeg

            return jpeg.decode(data, source=source, planes=planes, check=check)
        from enhance_cli.imaging.codecs import raster

        return raster.decode(data, found.name, source=source, check=check)
    except CorruptPicture as error:
        raise CorruptPicture(f"{name} cannot be decoded: {error}.") from error


class _Told(Exception):
    """A header has been read."""

    def __init__(self, height: int, width: int, depth: int) -> None:
        super().__init__()
        self.size = height, width, depth


def announced(data: bytes, *, source: str = "", max_pixels: int = MAX_PIXELS) -> tuple[int, int, int]:
    """Height, width and bits of a sample, as a file's header has them, without decoding it; raises as `decode`."""

    def tell(height: int, width: int, depth: int) -> None:
        raise _Told(height, width, depth)

    try:
        image = decode(data, source=source, max_pixels=max_pixels, admit=tell)
    except _Told as told:
        return told.size
    return image.height, image.width, image.metadata.bit_depth


def _require_extra(wanted: Format, name: str) -> None:
    if not is_installed(wanted.name):
        raise UnsupportedFormat(
            f"{name} needs a codec for {wanted.name} that is not installed; "
            f"install it with: pip install 'enhance-cli[{wanted.extra}]'."
        )


def encode(image: Image, format_name: str, *, quality: int | None = None) -> tuple[bytes, tuple[str, ...]]:
    """Encode in a format of the table, reducing to what it can carry.

    Args:
        image: any picture of this package.
        format_name: a key of `FORMATS`.
        quality: 1..100 for JPEG and lossy WebP; None follows the source.

    Returns:
        The file's bytes, and a note for everything that the format could not carry.

    Raises:
        UnsupportedFormat: a side is longer than the format allows, or its codec is not installed.
    """
    from enhance_cli.imaging import colour

    wanted = FORMATS[FORMATS[format_name].written_as or format_name]
    _require_extra(wanted, image.metadata.source or "the picture")
    meta = image.metadata
    notes: list[str] = []
    if wanted.name != "jpeg" and image.chroma is not None:
        image = colour.merge_planes(image)
    lossless = wanted.name in ("png", "tiff") or (wanted.name in ("webp", "jxl") and not (quality or meta.jpeg))
    if image.alpha is not None and not lossless:
        from enhance_cli.imaging import opacity

        image = opacity.with_hidden_filled(image)  # else the blocks of lossy coding spread what nobody sees
    if image.alpha is not None and not wanted.alpha:
        image = image.replace(alpha=None)
        notes.append(f"{wanted.name} has no transparency: the alpha channel was dropped")
    if image.pixels.dtype.itemsize > 1 and not wanted.sixteen_bit:
        image = colour.to_eight_bit(image)
        notes.append(f"{wanted.name} is written with 8 bits a channel: reduced from 16")
    lost = [name for name, field in BLOCKS.items() if getattr(meta, field) and name not in wanted.carries]
    if lost:
        notes.append(f"{wanted.name} cannot hold {' and '.join(lost)}: left out")
    if wanted.name != "jpeg" and (meta.trailer is not None or meta.xmp_extension is not None):
        if meta.trailer is not None:
            notes.append(f"{wanted.name} cannot hold {meta.trailer.holds}: left out")
        image = image.replace(metadata=replace(meta, xmp=xmp.for_picture_alone(meta.xmp), trailer=None))
    if wanted.name == "jpeg":
        from enhance_cli.imaging.codecs.jpeg import coding as jpeg

        coded, further = jpeg.encode(image, quality=quality)
    else:
        from enhance_cli.imaging.codecs import raster

        coded, further = raster.encode(image, wanted.name, quality=quality)
    return coded, (*notes, *further)
