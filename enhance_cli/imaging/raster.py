"""Every format but ordinary JPEG: Pillow for most of it, OpenCV where samples have 16 bits.

Pillow squeezes 16-bit RGB into 8 bits without a word, so depth is read from the file itself and 16-bit
pictures go through OpenCV. Pillow's file classes are opened directly: its own limit on pixels, a global of the
whole process, is not touched, and nothing but the format that was sniffed is tried.
"""

from __future__ import annotations

import importlib
import io
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageCms, TiffImagePlugin

from enhance_cli.errors import CorruptPicture, PictureTooLarge, UnsupportedFormat
from enhance_cli.imaging.metadata import (
    PngParts,
    orient,
    png_chunk,
    png_with_metadata,
    read_avif_header,
    read_png,
    read_webp_header,
    upright_exif,
    upright_xmp,
    valid_icc,
)
from enhance_cli.types import Image, JpegCoding, Metadata

if TYPE_CHECKING:
    from enhance_cli.types import Array

DEFAULT_WEBP_QUALITY = 90
DEFAULT_AVIF_QUALITY = 85
DEFAULT_HEIF_QUALITY = 85

_FILE_CLASSES = {
    "jpeg": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "png": ("PIL.PngImagePlugin", "PngImageFile"),
    "webp": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "tiff": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "bmp": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "avif": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "heif": ("pillow_heif", "HeifImageFile"),
    "gif": ("PIL.GifImagePlugin", "GifImageFile"),
    "ppm": ("PIL.PpmImagePlugin", "PpmImageFile"),
    "jp2": ("PIL.Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "psd": ("PIL.PsdImagePlugin", "PsdImageFile"),
}
_LONGEST_SIDE = {"webp": 16383, "avif": 65536, "heif": 16384, "bmp": 2**31 - 1}
_AVIF_PIXELS = 2**28  # libavif's own limit

_EXIF_LEFT_OUT = "its EXIF is damaged and was left out"

# What decoders raise on hostile bytes, found by fuzzing; wide, and therefore only around their own calls.
_FAILURES = (
    OSError,
    ValueError,
    SyntaxError,
    LookupError,
    EOFError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    BufferError,
    struct.error,
    zlib.error,
)


# --- reading -----------------------------------------------------------------------------------------------


def decode(data: bytes, format_name: str, *, source: str, check: Callable[[int, int], None]) -> Image:
    """Decode any format of this room, upright, first frame.

    Args:
        data: the whole file.
        format_name: what `codecs.sniff` found; any key of `codecs.FORMATS` but `jpeg`.
        source: the path, for metadata and messages.
        check: called once with (height, width) from the header, before decoding; may raise.

    Returns:
        uint8 or uint16, contiguous and writable; H×W or H×W×3, with `alpha` where the file has any.

    Raises:
        CorruptPicture: truncated or damaged data.
        PictureTooLarge: more pixels than the decoder itself, or the machine's memory, allows.
        UnsupportedFormat: a kind of samples that is not read (floating point, 32-bit integers).
    """
    _silence_pillow()
    name = source or "the picture"
    notes: list[str] = []
    png = read_png(data) if format_name == "png" else None
    webp = read_webp_header(data) if format_name == "webp" else None
    if png is not None:
        check(png.height, png.width)
    elif webp is not None:
        check(*webp.size)
    avif = read_avif_header(data) if format_name == "avif" else None
    if avif is not None and avif.largest[0] * avif.largest[1] > _AVIF_PIXELS:
        raise PictureTooLarge(
            f"{name} has {avif.largest[1]}x{avif.largest[0]} pixels, more than the {_AVIF_PIXELS:,} "
            "that the AVIF decoder reads; convert it to another format."
        )
    with _decoding(format_name, name):
        opened = _open(png.bare if png else data, format_name)
    if png is None and webp is None:
        check(opened.height, opened.width)
    with opened, _decoding(format_name, name):
        carried = _Carried.of_png(png) if png else _Carried.of_pillow(opened)
        orientation, exif = upright_exif(carried.exif)
        if carried.exif and exif is None:
            notes.append(_EXIF_LEFT_OUT)
        if _has_further_frames(opened, png):
            notes.append("only the first of its frames or pages was enhanced")
        pixels, alpha = _samples(opened, data, png, name, notes)
        if opened.mode in ("CMYK", "LAB"):
            carried.icc = None  # it described the colours that have been converted
        if format_name == "tiff":
            orientation = 1  # both decoders have turned the pixels already
    depth = avif.depth if avif else opened.info.get("bit_depth", 8)
    if depth > 8 and pixels.dtype == np.uint8:
        notes.append(f"its {depth} bits a sample were read as 8")
    _note_colour_tags(png.cicp if png else avif.cicp if avif else None, carried.icc, notes)
    coding = None
    if webp is not None and webp.lossy:
        coding = JpegCoding(DEFAULT_WEBP_QUALITY, "420")
    elif avif is not None:
        coding = JpegCoding(DEFAULT_AVIF_QUALITY, avif.subsampling)  # type: ignore[arg-type]
    metadata = Metadata(
        source=source,
        format=format_name,
        bit_depth=16 if pixels.dtype == np.uint16 else 8,
        icc=valid_icc(carried.icc, notes),
        exif=exif,
        xmp=upright_xmp(carried.xmp, orientation),
        jpeg=coding,
        notes=tuple(notes),
    )
    return Image(
        orient(pixels, orientation),
        alpha=None if alpha is None else orient(alpha, orientation),
        metadata=metadata,
    )


def decode_jpeg(data: bytes, notes: list[str]) -> Array:
    """The RGB pixels, H×W×3 uint8, of a JPEG that libjpeg-turbo's binding refuses; CMYK through its profile.

    Raises:
        CorruptPicture: the data is truncated or damaged.
    """
    _silence_pillow()
    with _decoding("jpeg", "the picture"), _open(data, "jpeg") as opened:
        return _eight_bit_samples(opened, notes)[0]


def _silence_pillow() -> None:
    """What Pillow thinks of a file's metadata is not for the user's terminal.

    Set anew each time, because filters come and go with `warnings.catch_warnings`; that itself is not for
    threads. Setting a filter that is already in front changes nothing.
    """
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.|enhance_cli\.imaging\.raster")


@contextmanager
def _decoding(format_name: str, name: str) -> Iterator[None]:
    """Turn a decoder's failure into one of ours."""
    try:
        yield
    except Pillow.DecompressionBombError as error:
        raise PictureTooLarge(f"{name} announces more pixels than its decoder takes.") from error
    except MemoryError as error:
        raise PictureTooLarge(f"{name} needs more memory than there is.") from error
    except _FAILURES as error:
        reason = " ".join(str(error).split())
        why = f" ({reason})" if reason and "<" not in reason else ""  # no addresses of objects
        raise CorruptPicture(f"its {format_name} data is truncated, damaged or of an unknown kind{why}") from error


def _open(data: bytes, format_name: str) -> Pillow.Image:
    module, name = _FILE_CLASSES[format_name]
    opened: Pillow.Image = getattr(importlib.import_module(module), name)(io.BytesIO(data))
    return opened


@dataclass(slots=True)
class _Carried:
    """Metadata as the file holds it."""

    icc: bytes | None
    exif: bytes | None
    xmp: bytes | None

    @classmethod
    def of_png(cls, png: PngParts) -> _Carried:
        return cls(png.icc, png.exif, png.xmp)

    @classmethod
    def of_pillow(cls, opened: Pillow.Image) -> _Carried:
        xmp = opened.info.get("xmp")
        exif = _tiff_exif(opened) if isinstance(opened, TiffImagePlugin.TiffImageFile) else opened.info.get("exif")
        return cls(opened.info.get("icc_profile"), exif, xmp.encode() if isinstance(xmp, str) else xmp)


_TIFF_EXIF_TAGS = (
    *(0x010E, 0x010F, 0x0110, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132),  # description, make ... date
    *(0x013B, 0x4746, 0x4749, 0x8298, 0x83BB, 0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F),  # artist ... subject
)
_EXIF_IFD, _GPS_IFD, _INTEROP_IFD = 0x8769, 0x8825, 0xA005


def _tiff_exif(opened: Pillow.Image) -> bytes | None:
    """The tags of a TIFF that describe the photograph, not the file, as an EXIF block."""
    try:
        exif = opened.getexif()
        kept = Pillow.Exif()
        for tag in _TIFF_EXIF_TAGS:
            if tag in exif:
                kept[tag] = exif[tag]
        for directory in (_EXIF_IFD, _GPS_IFD):
            entries = exif.get_ifd(directory)
            if entries:
                kept.get_ifd(directory).update(entries)
                kept[directory] = kept.get_ifd(directory)
        return kept.tobytes() if len(kept) else None
    except _FAILURES:
        return None  # a damaged tag is no reason to lose the picture


def _has_further_frames(opened: Pillow.Image, png: PngParts | None) -> bool:
    """Whether there is more than one frame or page, found without walking through all of them."""
    if png is not None:
        return png.animated
    if isinstance(opened, TiffImagePlugin.TiffImageFile):
        return bool(opened.tag_v2.next)
    return opened.format != "PSD" and bool(getattr(opened, "is_animated", False))  # a PSD's frames are its layers


def _note_colour_tags(cicp: tuple[int, int] | None, icc: bytes | None, notes: list[str]) -> None:
    """Say so where colours are tagged by numbers that no output carries."""
    if cicp is None or icc:
        return
    primaries, transfer = cicp
    if transfer in (16, 18):
        notes.append("it is a high dynamic range picture, taken as an ordinary one; its colour tag is lost")
    elif primaries not in (1, 2):
        notes.append(f"its colour tag (CICP primaries {primaries}) is lost: colours will look paler")


# --- samples -----------------------------------------------------------------------------------------------


def _samples(
    opened: Pillow.Image, data: bytes, png: PngParts | None, name: str, notes: list[str]
) -> tuple[Array, Array | None]:
    """Colours and alpha at the depth of the file."""
    if png is not None:
        return _sixteen_bit_png(png) if png.depth == 16 else _eight_bit_samples(opened, notes)
    if isinstance(opened, TiffImagePlugin.TiffImageFile):
        return _tiff_samples(opened, data, name, notes)
    if opened.format == "PPM" and (largest := _ppm_largest(data)) > 255:
        wide = _opencv_samples(data).astype(np.uint32)
        return ((wide * 65535 + largest // 2) // largest).astype(np.uint16), None
    if opened.format == "PSD" and data[22:24] != b"\0\x08" and data[22:24] != b"\0\x01":
        raise UnsupportedFormat(f"{name} is a Photoshop file of more than 8 bits a sample; save it as 16-bit TIFF.")
    if opened.format == "JPEG2000":
        return _jpeg2000_samples(opened, data, notes)
    if opened.mode in ("F", "I"):
        raise UnsupportedFormat(_odd_samples(name))
    return _eight_bit_samples(opened, notes)


def _odd_samples(name: str) -> str:
    return f"{name} holds 32-bit or floating-point samples; enhance reads 8 and 16-bit integers."


def _eight_bit_samples(opened: Pillow.Image, notes: list[str]) -> tuple[Array, Array | None]:
    mode = opened.mode
    if mode == "CMYK":
        return _rgb_from_cmyk(opened, notes), None
    if mode == "LAB":
        return _rgb_from_lab(opened, notes), None
    grey = mode in ("1", "L", "LA", "La")
    palette_alpha = opened.palette is not None and opened.palette.mode == "RGBA"
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in opened.info or palette_alpha:
        samples = np.array(opened if mode == "RGBA" else _to_rgba(opened))
        colours = samples[..., 0] if grey else samples[..., :3]
        return np.ascontiguousarray(colours), np.ascontiguousarray(samples[..., 3])
    converted = opened if mode in ("L", "RGB") else opened.convert("L" if grey else "RGB")
    return np.array(converted), None  # a copy: Pillow's own buffer is read-only, and methods render in place


def _to_rgba(opened: Pillow.Image) -> Pillow.Image:
    if opened.mode == "La":  # premultiplied; Pillow knows the way back only to LA
        return opened.convert("LA").convert("RGBA")
    return opened.convert("RGBA")


def _rgb_from_cmyk(opened: Pillow.Image, notes: list[str]) -> Array:
    profile = opened.info.get("icc_profile")
    if profile:
        try:
            converted = ImageCms.profileToProfile(
                opened,
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                outputMode="RGB",
            )
            notes.append("converted from CMYK to sRGB through its colour profile")
            return np.array(converted)
        except (ImageCms.PyCMSError, OSError):
            pass  # no profile, or not one of CMYK
    notes.append("converted from CMYK to RGB without a colour profile: colours are approximate")
    return np.array(opened.convert("RGB"))


def _rgb_from_lab(opened: Pillow.Image, notes: list[str]) -> Array:
    converted = ImageCms.profileToProfile(
        opened, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    notes.append("converted from Lab to sRGB")
    return np.array(converted)


def _opencv_samples(data: bytes) -> Array:
    """16-bit samples, H×W or H×W×3 RGB or H×W×4 RGBA.

    Raises:
        ValueError: OpenCV cannot decode it, or not at 16 bits.
    """
    import cv2

    try:
        samples: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ValueError(error.err) from error
    if samples is None or samples.dtype != np.uint16:
        raise ValueError("its 16-bit samples cannot be decoded")
    if samples.ndim == 3:
        samples = samples[..., (2, 1, 0) if samples.shape[2] == 3 else (2, 1, 0, 3)]
    return np.ascontiguousarray(samples)


def _sixteen_bit_png(png: PngParts) -> tuple[Array, Array | None]:
    samples = _opencv_samples(png.bare)
    colours = samples[..., :3] if samples.ndim == 3 else samples
    alpha = samples[..., 3] if samples.ndim == 3 and samples.shape[2] == 4 else None
    if png.colour_type in (0, 4) and colours.ndim == 3:
        colours = colours[..., 0]
    if png.transparent is not None:
        key = np.array(png.transparent, np.uint16)
        hidden = (colours == key).all(axis=2) if colours.ndim == 3 else colours == key[0]
        alpha = np.where(hidden, 0, 65535).astype(np.uint16)
    return np.ascontiguousarray(colours), None if alpha is None else np.ascontiguousarray(alpha)


def _tiff_samples(
    opened: TiffImagePlugin.TiffImageFile, data: bytes, name: str, notes: list[str]
) -> tuple[Array, Array | None]:
    tags = opened.tag_v2
    depth = max(tags.get(258, (1,)))
    if depth > 16 or max(tags.get(339, (1,))) > 1:
        raise UnsupportedFormat(_odd_samples(name))
    extra = tags.get(338, ())
    if depth <= 8:
        if extra and extra[0] == 0 and len(opened.getbands()) == 3:
            notes.append("an extra channel of unknown meaning was left out")
        return _eight_bit_samples(opened, notes)
    photometric, channels, separate = tags.get(262, 1), tags.get(277, 1), tags.get(284, 1) == 2
    if depth != 16 or photometric not in (0, 1, 2) or channels not in (1, 3, 4) or (separate and channels > 1):
        kind = "in separate planes" if separate else f"of {channels} channels"
        raise UnsupportedFormat(
            f"{name} is a {depth}-bit TIFF {kind}, photometric kind {photometric}; "
            "enhance reads 16-bit grey, RGB and RGBA with interleaved channels."
        )
    samples = _opencv_samples(data)
    expected = (opened.height, opened.width) if channels == 1 else (opened.height, opened.width, channels)
    if samples.shape != expected:
        raise ValueError("its pixels do not fit its header")
    if photometric == 0:
        return 65535 - samples, None  # OpenCV leaves white as zero
    if channels != 4:
        return samples, None
    colours, alpha = np.ascontiguousarray(samples[..., :3]), np.ascontiguousarray(samples[..., 3])
    if extra and extra[0] == 0:
        notes.append("an extra channel of unknown meaning was left out")
        return colours, None
    if extra and extra[0] == 1:  # colours were multiplied by alpha
        wide = colours.astype(np.uint64) * 65535 // np.maximum(alpha, 1)[..., None]
        colours = np.minimum(wide, 65535).astype(np.uint16)
    return colours, alpha


def _ppm_largest(data: bytes) -> int:
    """The largest value of a PGM or PPM, 0 for the other kinds: the third number of its header."""
    if data[:2] not in (b"P2", b"P3", b"P5", b"P6"):
        return 0
    numbers: list[bytes] = []
    for line in data[2:4096].split(b"\n"):
        numbers += line.partition(b"#")[0].split()[: 3 - len(numbers)]
        if len(numbers) == 3:
            return int(numbers[2])
    return 0


def _jpeg2000_samples(opened: Pillow.Image, data: bytes, notes: list[str]) -> tuple[Array, Array | None]:
    if opened.mode in ("I;16", "I"):  # Pillow has spread grey to the whole 16 bits
        return np.array(opened).astype(np.uint16), None
    place = data.find(b"\xff\x51")  # the segment that tells sizes; the depth follows 40 bytes later
    depth = (data[place + 40] & 0x7F) + 1 if 0 <= place < len(data) - 40 else 8
    if depth > 8:
        notes.append(f"its {depth} bits a sample were read as 8")
    return _eight_bit_samples(opened, notes)


# --- writing -----------------------------------------------------------------------------------------------


def encode(image: Image, format_name: str, *, quality: int | None = None) -> tuple[bytes, tuple[str, ...]]:
    """Encode grey or RGB, with or without alpha, with its metadata.

    Args:
        image: no JPEG planes; 16 bits only for PNG and TIFF.
        format_name: `png`, `tiff`, `webp`, `avif`, `heif` or `bmp`.
        quality: of a lossy coding, 1..100; None means the default, or lossless WebP where the source was.

    Returns:
        The file, and a note for whatever it cannot hold.

    Raises:
        UnsupportedFormat: a side is longer than the format allows, or its encoder is not installed.
    """
    _silence_pillow()
    longest = _LONGEST_SIDE.get(format_name)
    if longest is not None and max(image.height, image.width) > longest:
        raise UnsupportedFormat(
            f"{image.metadata.source or 'The picture'} of {image.width}x{image.height} pixels is too long for "
            f"{format_name} (at most {longest} a side); give --format png."
        )
    if format_name == "png":
        meta = image.metadata
        return png_with_metadata(_bare_png(image), exif=meta.exif, xmp=meta.xmp, icc=meta.icc), ()
    if format_name == "tiff":
        return _encode_tiff(image)
    if format_name == "heif":
        return _encode_heif(image, quality), ()
    try:
        return _encode_pillow(image, format_name, quality), ()
    except _FAILURES:
        if image.metadata.exif is None:
            raise
        # The AVIF writer takes EXIF apart, and stumbles where it is damaged.
        stripped = image.replace(metadata=replace(image.metadata, exif=None))
        return _encode_pillow(stripped, format_name, quality), (_EXIF_LEFT_OUT,)


def _interleaved(image: Image) -> Array:
    """H×W, H×W×2 (grey and alpha), H×W×3 or H×W×4, contiguous."""
    pixels = image.pixels if image.alpha is None else np.dstack((image.pixels, image.alpha))
    return np.ascontiguousarray(pixels)


def _bare_png(image: Image) -> bytes:
    import cv2

    samples = _interleaved(image)
    if samples.ndim == 3 and samples.shape[2] == 2:
        return _grey_alpha_png(samples)
    if samples.ndim == 3:
        samples = cv2.cvtColor(samples, cv2.COLOR_RGB2BGR if samples.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    done, coded = cv2.imencode(".png", samples)
    if not done:
        raise ValueError("OpenCV cannot encode PNG")
    return coded.tobytes()


def _grey_alpha_png(samples: Array) -> bytes:
    """H×W×2 grey and alpha, which neither OpenCV (no such layout) nor Pillow (8 bits only) writes at 16 bits."""
    height, width, _ = samples.shape
    rows = samples.astype(samples.dtype.newbyteorder(">")).view(np.uint8).reshape(height, -1)
    filtered = np.empty((height, 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = 2  # every row as its difference from the one above
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8 * samples.itemsize, 4, 0, 0, 0)
    body = zlib.compress(filtered.data, 6)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")


def _encode_pillow(image: Image, format_name: str, quality: int | None) -> bytes:
    meta = image.metadata
    details: dict[str, Any] = {}
    if format_name == "webp":
        if quality is None and meta.jpeg is None:
            details = {"lossless": True, "quality": 60, "exact": True}  # colours under full transparency stay too
        else:
            details = {"quality": quality or (meta.jpeg.quality if meta.jpeg else DEFAULT_WEBP_QUALITY), "method": 4}
    elif format_name == "avif":
        details = {"quality": quality or DEFAULT_AVIF_QUALITY, "speed": 8}  # 6, the default, takes seven times as long
        if image.pixels.ndim == 3 and meta.jpeg is not None and meta.jpeg.subsampling in ("444", "422", "420"):
            details["subsampling"] = ":".join(meta.jpeg.subsampling)
    if format_name != "bmp":
        named = (("icc_profile", meta.icc), ("exif", meta.exif), ("xmp", meta.xmp))
        details |= {name: value for name, value in named if value}
    packed = io.BytesIO()
    Pillow.fromarray(_interleaved(image)).save(packed, format_name.upper(), **details)
    return packed.getvalue()


def _encode_heif(image: Image, quality: int | None) -> bytes:
    import pillow_heif

    if not pillow_heif.libheif_info()["encoders"]:
        raise UnsupportedFormat("The installed pillow-heif has no HEIC encoder; give --format jpeg or avif.")
    meta = image.metadata
    if image.alpha is not None and image.pixels.ndim == 2:  # libheif has no grey with alpha
        image = image.replace(pixels=np.repeat(image.pixels[..., None], 3, axis=2))
    packed = io.BytesIO()
    picture = Pillow.fromarray(_interleaved(image))
    if meta.icc:
        picture.info["icc_profile"] = meta.icc
    wanted = quality or DEFAULT_HEIF_QUALITY
    # x265's own preset takes eight times as long, for 5 dB above what is 57 dB already.
    fast = {"preset": "ultrafast"}
    pillow_heif.from_pillow(picture).save(packed, quality=wanted, exif=meta.exif, xmp=meta.xmp, enc_params=fast)
    return packed.getvalue()


_STRIP_BYTES = 2**20


def _encode_tiff(image: Image) -> tuple[bytes, tuple[str, ...]]:
    """Deflate with horizontal differences, at either depth, with EXIF in directories of its own.

    Written here because OpenCV leaves all metadata out and Pillow knows no 16-bit colour.
    """
    notes: tuple[str, ...] = ()
    if image.alpha is not None and image.pixels.ndim == 2 and image.pixels.dtype == np.uint16:
        image = image.replace(pixels=np.repeat(image.pixels[..., None], 3, axis=2))
        notes = ("16-bit grey with alpha is written as RGB with alpha, which more programs read",)
    samples = _interleaved(image).reshape(image.height, image.width, -1)
    rows = max(1, _STRIP_BYTES // (samples.shape[1] * samples.shape[2] * samples.itemsize))
    strips = [_tiff_strip(samples[top : top + rows]) for top in range(0, image.height, rows)]
    packed = io.BytesIO()
    try:
        _tiff_directory(samples, rows, strips, image.metadata).save(packed)
    except _FAILURES:
        packed = io.BytesIO()
        _tiff_directory(samples, rows, strips, replace(image.metadata, exif=None)).save(packed)
        notes += (_EXIF_LEFT_OUT,)
    for strip in strips:
        packed.write(strip)
    return packed.getvalue(), notes


def _tiff_directory(
    samples: Array, rows: int, strips: list[bytes], meta: Metadata
) -> TiffImagePlugin.ImageFileDirectory_v2:
    """The directory of a picture whose strips follow it immediately."""
    height, width, channels = samples.shape
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    _put_exif(directory, meta.exif)
    starts = np.cumsum([0, *(len(strip) for strip in strips[:-1])])
    shorts: dict[int, Any] = {
        258: (8 * samples.itemsize,) * channels,
        259: 8,  # deflate
        262: 1 if channels < 3 else 2,  # grey or RGB
        274: 1,  # upright
        277: channels,
        284: 1,  # interleaved
        317: 2,  # horizontal differences
        339: (1,) * channels,  # unsigned integers
    }
    if channels in (2, 4):
        shorts[338] = 2  # alpha, not multiplied into the colours
    longs: dict[int, Any] = {
        256: width,
        257: height,
        273: tuple(int(start) for start in starts),  # Pillow adds the directory's own length
        278: rows,
        279: tuple(len(strip) for strip in strips),
    }
    blocks = {34675: (7, meta.icc), 700: (1, meta.xmp)}
    for tag, kind, value in (
        *((tag, 3, value) for tag, value in shorts.items()),
        *((tag, 4, value) for tag, value in longs.items()),
        *((tag, kind, value) for tag, (kind, value) in blocks.items() if value),
    ):
        directory.tagtype[tag] = kind
        directory[tag] = value
    return directory


def _tiff_strip(samples: Array) -> bytes:
    differences = samples.astype(samples.dtype.newbyteorder("<"))
    differences[:, 1:] -= samples[:, :-1]
    return zlib.compress(differences.data, 6)


def _put_exif(directory: TiffImagePlugin.ImageFileDirectory_v2, block: bytes | None) -> None:
    if block is None:
        return
    exif = Pillow.Exif()
    exif.load(block)
    for tag in _TIFF_EXIF_TAGS:
        if tag in exif:
            directory[tag] = exif[tag]
    for tag in (_EXIF_IFD, _GPS_IFD):
        entries = dict(exif.get_ifd(tag))
        if _INTEROP_IFD in entries:
            entries[_INTEROP_IFD] = exif.get_ifd(_INTEROP_IFD)
        if entries:
            directory.tagtype[tag] = 4
            directory[tag] = entries
