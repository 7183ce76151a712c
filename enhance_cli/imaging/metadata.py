"""What a picture carries besides pixels: EXIF orientation, and where ICC, EXIF and XMP sit in JPEG and PNG.

The bytes are passed through, never reinterpreted; only the orientation tag is rewritten, once it has been
applied to the pixels.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from enhance_cli.errors import CorruptPicture

if TYPE_CHECKING:
    from enhance_cli.types import Array

_ORIENTATION_TAG = 0x0112
_EXIF_PREFIX = b"Exif\0\0"
_XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
_ICC_PREFIX = b"ICC_PROFILE\0"
_SEGMENT_LIMIT = 65533  # a JPEG segment counts its own two length bytes


# --- EXIF orientation --------------------------------------------------------------------------------------


def upright_exif(exif: bytes | None) -> tuple[int, bytes | None]:
    """Read the orientation (1..8, 1 where absent or senseless) and return EXIF that says 1."""
    if exif is None:
        return 1, None
    if exif.startswith(_EXIF_PREFIX):
        exif = exif[len(_EXIF_PREFIX) :]
    place = _orientation_place(exif)
    if place is None:
        return 1, exif
    order, offset = place
    (orientation,) = struct.unpack_from(order + "H", exif, offset)
    patched = bytearray(exif)
    struct.pack_into(order + "H", patched, offset, 1)
    return (orientation if 1 <= orientation <= 8 else 1), bytes(patched)


def _orientation_place(exif: bytes) -> tuple[str, int] | None:
    """Byte order and offset of the orientation's value in IFD0, or None."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return None
    try:
        (ifd,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, ifd)
        for index in range(count):
            entry = ifd + 2 + 12 * index
            tag, kind = struct.unpack_from(order + "HH", exif, entry)
            if tag == _ORIENTATION_TAG and kind == 3 and entry + 10 <= len(exif):
                return order, entry + 8
    except struct.error:
        return None
    return None


def orient(plane: Array, orientation: int) -> Array:
    """Turn pixels (H×W or H×W×C) upright; the result is C-contiguous."""
    import numpy as np

    if orientation in (5, 6, 7, 8):
        plane = plane.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        plane = plane[:, ::-1]
    if orientation in (3, 4, 7, 8):
        plane = plane[::-1]
    return np.ascontiguousarray(plane)


# --- JPEG segments -----------------------------------------------------------------------------------------


class JpegHeader(NamedTuple):
    """What the segments before the first scan say."""

    height: int
    width: int
    precision: int
    sampling: tuple[tuple[int, int], ...]
    """Horizontal and vertical sampling factors per component."""

    component_ids: tuple[int, ...]
    jfif: bool
    adobe_transform: int | None
    luma_table: tuple[int, ...] | None
    """The luma quantisation table in zigzag order."""

    exif: bytes | None
    xmp: bytes | None
    icc: bytes | None
    scan: int
    """Offset of the first start-of-scan marker."""


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, start of the segment, end) up to and including start-of-scan.

    Raises:
        CorruptPicture: the chain of segments breaks before a scan begins.
    """
    position, size = 2, len(data)
    while position + 4 <= size:
        if data[position] != 0xFF:
            raise CorruptPicture("its JPEG segments are damaged")
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:  # stand-alone markers
            position += 2
            continue
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        yield marker, position, end
        if marker == 0xDA:
            return
        position = end
    raise CorruptPicture("its JPEG data ends before the picture begins")


def read_jpeg_header(data: bytes) -> JpegHeader:
    """Read frame, quantisation and metadata segments of a JPEG.

    Raises:
        CorruptPicture: there is no frame header, or the segments are damaged.
    """
    frame: bytes | None = None
    exif = xmp = table = None
    icc_parts: dict[int, bytes] = {}
    jfif, adobe, scan = False, None, 0
    for marker, start, end in jpeg_segments(data):
        body = data[start + 4 : end]
        if marker in (0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF):
            frame = body
        elif marker == 0xDB:
            table = _luma_table(body) or table
        elif marker == 0xE0 and body.startswith(b"JFIF\0"):
            jfif = True
        elif marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
            adobe = body[11]
        elif marker == 0xE1 and body.startswith(_EXIF_PREFIX) and exif is None:
            exif = body[len(_EXIF_PREFIX) :]
        elif marker == 0xE1 and body.startswith(_XMP_PREFIX) and xmp is None:
            xmp = body[len(_XMP_PREFIX) :]
        elif marker == 0xE2 and body.startswith(_ICC_PREFIX) and len(body) > 14:
            icc_parts[body[12]] = body[14:]
        elif marker == 0xDA:
            scan = start
    if frame is None or len(frame) < 6 or len(frame) < 6 + 3 * frame[5]:
        raise CorruptPicture("its JPEG frame header is missing or damaged")
    components = [frame[6 + 3 * index : 9 + 3 * index] for index in range(frame[5])]
    return JpegHeader(
        height=int.from_bytes(frame[1:3], "big"),
        width=int.from_bytes(frame[3:5], "big"),
        precision=frame[0],
        sampling=tuple((item[1] >> 4, item[1] & 15) for item in components),
        component_ids=tuple(item[0] for item in components),
        jfif=jfif,
        adobe_transform=adobe,
        luma_table=table,
        exif=exif,
        xmp=xmp,
        icc=b"".join(icc_parts[index] for index in sorted(icc_parts)) or None,
        scan=scan,
    )


def _luma_table(body: bytes) -> tuple[int, ...] | None:
    """Table 0 of a quantisation segment, which may hold several tables of 8 or 16 bits."""
    position = 0
    while position < len(body):
        wide, name = body[position] >> 4, body[position] & 15
        size = 128 if wide else 64
        values = body[position + 1 : position + 1 + size]
        if len(values) < size:
            return None
        if name == 0:
            return struct.unpack(">64H", values) if wide else tuple(values)
        position += 1 + size
    return None


def jpeg_with_metadata(data: bytes, *, exif: bytes | None, xmp: bytes | None, icc: bytes | None) -> bytes:
    """Put metadata segments behind a JPEG's JFIF header; a block too long for its segment kind is left out."""
    added = []
    if exif is not None and len(_EXIF_PREFIX) + len(exif) <= _SEGMENT_LIMIT:
        added.append(_segment(0xE1, _EXIF_PREFIX + exif))
    if xmp is not None and len(_XMP_PREFIX) + len(xmp) <= _SEGMENT_LIMIT:
        added.append(_segment(0xE1, _XMP_PREFIX + xmp))
    if icc is not None:
        room = _SEGMENT_LIMIT - len(_ICC_PREFIX) - 2
        parts = [icc[start : start + room] for start in range(0, len(icc), room)]
        if len(parts) <= 255:
            added += [
                _segment(0xE2, _ICC_PREFIX + bytes([number, len(parts)]) + part)
                for number, part in enumerate(parts, start=1)
            ]
    if not added:
        return data
    head = 2
    if data[2:4] == b"\xff\xe0":
        head = 4 + int.from_bytes(data[4:6], "big")
    return b"".join((data[:head], *added, data[head:]))


def _segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body


# --- PNG chunks --------------------------------------------------------------------------------------------


def png_with_metadata(data: bytes, *, exif: bytes | None, xmp: bytes | None, icc: bytes | None) -> bytes:
    """Put iCCP, eXIf and XMP (iTXt) chunks behind a PNG's IHDR."""
    added = b""
    if icc is not None:
        added += _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))
    if exif is not None:
        added += _chunk(b"eXIf", exif)
    if xmp is not None:
        added += _chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    head = 8 + 12 + 13  # signature and IHDR
    return data[:head] + added + data[head:]


def _chunk(name: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")
