"""PNG, WebP, TIFF, BMP and CMYK JPEG: Pillow for headers, metadata and 8 bits, OpenCV for 16 bits.

Pillow squeezes 16-bit RGB into 8 bits without a word, so depth is read from the file itself and 16-bit
pictures go through OpenCV both ways.
"""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageCms, TiffImagePlugin

from enhance_cli.errors import CorruptPicture, UnsupportedFormat
from enhance_cli.imaging.metadata import orient, png_with_metadata, upright_exif
from enhance_cli.types import Image, JpegCoding, Metadata

if TYPE_CHECKING:
    from enhance_cli.types import Array

Pillow.MAX_IMAGE_PIXELS = None  # `check` is asked before any pixel is decoded, for every format alike

DEFAULT_WEBP_QUALITY = 90
_ICC_TAG, _XMP_TAG = 34675, 700


def decode(data: bytes, format_name: str, *, source: str, check: Callable[[int, int], None]) -> Image:
    """Decode any format of this room, upright, first frame.

    Args:
        data: the whole file.
        format_name: what `codecs.sniff` found.
        source: the path, for metadata and messages.
        check: called with (height, width) from the header, before decoding; may raise.

    Raises:
        CorruptPicture: truncated or damaged data.
        UnsupportedFormat: a kind of samples that is not read (floating point, 32-bit integers).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of damaged metadata; pixels are what counts here
            opened = Pillow.open(io.BytesIO(data), formats=(format_name.upper(), "MPO"))
            check(opened.height, opened.width)
            notes = []
            if getattr(opened, "n_frames", 1) > 1:
                notes.append(f"first of {opened.n_frames} frames only")  # type: ignore[attr-defined]
            orientation, exif = upright_exif(_exif_bytes(opened))
            depth = _bit_depth(opened, data)
            if depth == 16:
                pixels, alpha = _decode_sixteen(data, opened)
            elif depth == 8:
                pixels, alpha = _decode_eight(opened, notes)
            else:
                raise UnsupportedFormat(
                    f"{source or 'the picture'} holds {opened.mode} samples; enhance reads 8 and 16-bit integers."
                )
    except (OSError, ValueError, SyntaxError, IndexError, struct.error, EOFError, TypeError) as error:
        raise CorruptPicture(f"its {format_name} data is truncated or damaged ({error})") from error
    icc = opened.info.get("icc_profile") if opened.mode not in ("CMYK",) else None
    xmp = opened.info.get("xmp") or opened.info.get("XML:com.adobe.xmp")
    lossy_webp = format_name == "webp" and b"VP8 " in data[:64]
    metadata = Metadata(
        source=source,
        format=format_name,
        bit_depth=16 if depth == 16 else 8,
        icc=icc or None,
        exif=exif,
        xmp=xmp.encode() if isinstance(xmp, str) else xmp,
        jpeg=JpegCoding(DEFAULT_WEBP_QUALITY, "420") if lossy_webp else None,
        notes=tuple(notes),
    )
    return Image(
        orient(pixels, orientation),
        alpha=None if alpha is None else orient(alpha, orientation),
        metadata=metadata,
    )


def _exif_bytes(opened: Pillow.Image) -> bytes | None:
    """EXIF as the file holds it; a TIFF's own tags count only for their orientation."""
    raw = opened.info.get("exif")
    if raw:
        return bytes(raw)
    if isinstance(opened, TiffImagePlugin.TiffImageFile):
        exif = opened.getexif()
        kept = Pillow.Exif()
        for tag in (0x010F, 0x0110, 0x0112, 0x0131, 0x0132, 0x013B, 0x8298):  # make, model ... copyright
            if tag in exif:
                kept[tag] = exif[tag]
        for directory in (0x8769, 0x8825):  # the EXIF and GPS directories
            entries = exif.get_ifd(directory)
            if entries:
                kept.get_ifd(directory).update(entries)
        return kept.tobytes() if len(kept) else None
    return None


def _bit_depth(opened: Pillow.Image, data: bytes) -> int:
    """8 or 16, or 0 for samples that are not read here."""
    if isinstance(opened, TiffImagePlugin.TiffImageFile):
        bits = opened.tag_v2.get(258, (1,))
        sample_format = opened.tag_v2.get(339, (1,))
        if max(sample_format) > 2 or max(bits) > 16:
            return 0
        return 16 if max(bits) > 8 else 8
    if opened.format == "PNG":
        return 16 if data[24] == 16 else 8  # IHDR's bit depth
    return 0 if opened.mode in ("F", "I") else 8


def _decode_eight(opened: Pillow.Image, notes: list[str]) -> tuple[Array, Array | None]:
    mode = opened.mode
    if mode == "CMYK":
        return _rgb_from_cmyk(opened, notes), None
    if mode == "P" or "transparency" in opened.info:
        has_alpha = "transparency" in opened.info or (opened.palette is not None and opened.palette.mode == "RGBA")
        opened = opened.convert("RGBA" if has_alpha else "RGB")
    elif mode == "1":
        opened = opened.convert("L")
    elif mode not in ("L", "LA", "RGB", "RGBA"):
        opened = opened.convert("RGBA" if "A" in mode or mode == "PA" else "RGB")
    samples = np.array(opened)  # a copy: Pillow's own buffer is read-only, and methods render in place
    if opened.mode in ("LA", "RGBA"):
        colours = samples[..., 0] if opened.mode == "LA" else samples[..., :3]
        return np.ascontiguousarray(colours), np.ascontiguousarray(samples[..., -1])
    return samples, None


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
            notes.append("converted from CMYK to sRGB through its profile")
            return np.array(converted)
        except ImageCms.PyCMSError:
            pass
    notes.append("converted from CMYK to RGB without a profile: colours are approximate")
    return np.array(opened.convert("RGB"))


def _decode_sixteen(data: bytes, opened: Pillow.Image) -> tuple[Array, Array | None]:
    import cv2

    samples: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None:
        raise ValueError("OpenCV cannot decode it")
    if samples.dtype != np.uint16:
        raise UnsupportedFormat(f"Its {opened.mode} samples are not 16-bit integers as the header says.")
    if samples.ndim == 2:
        return samples, None
    if samples.shape[2] == 2:
        return np.ascontiguousarray(samples[..., 0]), np.ascontiguousarray(samples[..., 1])
    alpha = np.ascontiguousarray(samples[..., 3]) if samples.shape[2] == 4 else None
    colours = np.ascontiguousarray(samples[..., 2::-1])
    if opened.mode in ("LA", "I;16", "I;16B", "L") or _png_is_grey(data):
        return np.ascontiguousarray(colours[..., 0]), alpha
    return colours, alpha


def _png_is_grey(data: bytes) -> bool:
    return data.startswith(b"\x89PNG") and data[25] in (0, 4)  # IHDR's colour type


def encode(image: Image, format_name: str, *, quality: int | None = None) -> bytes:
    """Encode 8 or 16-bit grey or RGB, with or without alpha, with its metadata.

    Args:
        image: no JPEG planes; 16 bits only for PNG and TIFF.
        format_name: `png`, `webp`, `tiff` or `bmp`.
        quality: for WebP; None means lossless where the source was, else 90.
    """
    if format_name == "png" or image.pixels.dtype == np.uint16:
        coded = _encode_opencv(image, ".png" if format_name == "png" else ".tiff")
        meta = image.metadata
        if format_name == "png":
            return png_with_metadata(coded, exif=meta.exif, xmp=meta.xmp, icc=meta.icc)
        return tiff_with_tags(coded, {_ICC_TAG: (7, meta.icc), _XMP_TAG: (1, meta.xmp)})
    return _encode_pillow(image, format_name, quality)


def _encode_opencv(image: Image, suffix: str) -> bytes:
    import cv2

    pixels = image.pixels
    if pixels.ndim == 3:
        pixels = pixels[..., ::-1]
    if image.alpha is not None:
        colours = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
        pixels = np.dstack((colours, image.alpha))
    done, coded = cv2.imencode(suffix, np.ascontiguousarray(pixels))
    if not done:
        raise ValueError(f"OpenCV cannot encode {suffix}")
    return coded.tobytes()


def _encode_pillow(image: Image, format_name: str, quality: int | None) -> bytes:
    pixels, alpha, meta = image.pixels, image.alpha, image.metadata
    if alpha is not None:
        pixels = np.dstack((pixels, alpha))
    details: dict[str, Any] = {}
    if format_name == "webp":
        if quality is None and meta.format != "jpeg" and meta.jpeg is None:
            details = {"lossless": True, "quality": 60}
        else:
            details = {
                "quality": quality or (meta.jpeg.quality if meta.jpeg else DEFAULT_WEBP_QUALITY),
                "method": 4,
            }
    elif format_name == "tiff":
        details = {"compression": "tiff_lzw"}
    if format_name != "bmp":
        for name, value in (("icc_profile", meta.icc), ("exif", meta.exif)):
            if value:
                details[name] = value
    if format_name == "webp" and meta.xmp:
        details["xmp"] = meta.xmp
    if format_name == "tiff" and meta.xmp:
        details["tiffinfo"] = {_XMP_TAG: meta.xmp}
    packed = io.BytesIO()
    Pillow.fromarray(np.ascontiguousarray(pixels)).save(packed, format_name.upper(), **details)
    return packed.getvalue()


def tiff_with_tags(data: bytes, tags: dict[int, tuple[int, bytes | None]]) -> bytes:
    """Add byte-valued tags to the first directory of a little- or big-endian classic TIFF.

    OpenCV writes 16-bit TIFF without metadata; the directory is written again at the end with the tags in it.

    Args:
        data: the whole TIFF.
        tags: tag number to (field type, value); None values are left out.
    """
    wanted = {tag: (kind, value) for tag, (kind, value) in tags.items() if value}
    if not wanted:
        return data
    order = "<" if data[:2] == b"II" else ">"
    (directory,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, directory)
    entries = {}
    for index in range(count):
        entry = data[directory + 2 + 12 * index : directory + 14 + 12 * index]
        entries[struct.unpack_from(order + "H", entry)[0]] = entry
    following = data[directory + 2 + 12 * count : directory + 6 + 12 * count]
    body = bytearray(data)
    for tag, (kind, value) in wanted.items():
        body += b"\0" * (len(body) % 2)
        padded = value if len(value) > 4 else value.ljust(5, b"\0")  # longer than 4 bytes is stored by offset
        entries[tag] = struct.pack(order + "HHII", tag, kind, len(padded), len(body))
        body += padded
    body += b"\0" * (len(body) % 2)
    place = len(body)
    body += struct.pack(order + "H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries)) + following
    struct.pack_into(order + "I", body, 4, place)
    return bytes(body)
