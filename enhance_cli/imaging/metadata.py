"""What a picture carries besides pixels, and where it sits in JPEG, PNG, WebP and AVIF files.

EXIF, XMP and ICC bytes are passed through, never reinterpreted. Two places in EXIF are rewritten: the
orientation, once it has been applied to the pixels, and the link to the thumbnail, which would still show the
picture as it was. Pixels are none of this module's business.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from enhance_cli.errors import CorruptPicture

if TYPE_CHECKING:
    from enhance_cli.types import Array

_ORIENTATION_TAG = 0x0112
_THUMBNAIL_OFFSET_TAG, _THUMBNAIL_LENGTH_TAG = 0x0201, 0x0202
_EXIF_PREFIX = b"Exif\0\0"
_XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
_ICC_PREFIX = b"ICC_PROFILE\0"
_SEGMENT_LIMIT = 65533  # a JPEG segment counts its own two length bytes
_PROFILE_LIMIT = 64 * 2**20  # a compressed chunk may swell to gigabytes; no profile or XMP is this large
_PNG_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_PNG_XMP = b"XML:com.adobe.xmp"


# --- EXIF --------------------------------------------------------------------------------------------------


def upright_exif(exif: bytes | None) -> tuple[int, bytes | None]:
    r"""Read the orientation and make EXIF fit for a picture that is upright and enhanced.

    Args:
        exif: the TIFF structure, with or without the `Exif\0\0` prefix.

    Returns:
        The orientation (1..8; 1 where it is absent or senseless), and the EXIF without prefix, whose
        orientation reads 1 and whose thumbnail is gone. Bytes that are no TIFF structure give (1, None).
    """
    if exif is None:
        return 1, None
    if exif.startswith(_EXIF_PREFIX):
        exif = exif[len(_EXIF_PREFIX) :]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1, None
    upright = bytearray(exif)
    orientation = 1
    try:
        for tag, kind, place in _directory(exif, order, _offset(exif, order, 4)):
            if tag == _ORIENTATION_TAG and kind in (3, 4):
                layout = order + ("H" if kind == 3 else "I")
                (orientation,) = struct.unpack_from(layout, exif, place)
                struct.pack_into(layout, upright, place, 1)
                break
        _drop_thumbnail(upright, order)
    except struct.error:
        pass  # damaged directories never fail a picture: what could be read counts
    return (orientation if 1 <= orientation <= 8 else 1), bytes(upright)


def upright_xmp(xmp: bytes | None, orientation: int) -> bytes | None:
    """XMP whose own copy of the orientation, if any, reads 1 after the pixels were turned; same length."""
    if xmp is None or orientation == 1:
        return xmp
    return re.sub(rb"(tiff:Orientation\s*(?:=\s*[\"']|>)\s*)[2-8]", rb"\g<1>1", xmp)


def _offset(data: bytes | bytearray, order: str, place: int) -> int:
    return int(struct.unpack_from(order + "I", data, place)[0])


def _directory(data: bytes | bytearray, order: str, start: int) -> Iterator[tuple[int, int, int]]:
    """(tag, field type, place of the value) for each entry of the directory at `start`."""
    (count,) = struct.unpack_from(order + "H", data, start)
    for index in range(count):
        tag, kind = struct.unpack_from(order + "HH", data, start + 2 + 12 * index)
        yield tag, kind, start + 10 + 12 * index


def _drop_thumbnail(exif: bytearray, order: str) -> None:
    """Unlink IFD1 and remove its JPEG: cut off where it ends the data, blanked where something follows."""
    first = _offset(exif, order, 4)
    (count,) = struct.unpack_from(order + "H", exif, first)
    link = first + 2 + 12 * count
    second = _offset(exif, order, link)
    if second == 0:
        return
    struct.pack_into(order + "I", exif, link, 0)
    places = {tag: _offset(exif, order, place) for tag, _, place in _directory(exif, order, second)}
    start, length = places.get(_THUMBNAIL_OFFSET_TAG, 0), places.get(_THUMBNAIL_LENGTH_TAG, 0)
    end = start + length
    if exif[start : start + 2] != b"\xff\xd8" or end > len(exif) or start < link + 4:
        return
    if not any(exif[end:]):
        del exif[start:]
    else:
        exif[start:end] = bytes(length)


def valid_icc(icc: bytes | None, notes: list[str]) -> bytes | None:
    """The colour profile, or None with a note where it is none."""
    if not icc:
        return None
    if len(icc) < 132 or icc[36:40] != b"acsp":
        notes.append("its colour profile is damaged and was left out")
        return None
    return icc


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
    process: int
    """The frame's marker byte: 0xC0 baseline, 0xC1 extended, 0xC2 progressive, 0xC3 lossless ..."""

    sampling: tuple[tuple[int, int], ...]
    """Horizontal and vertical sampling factors per component."""

    component_ids: tuple[int, ...]
    jfif: bool
    adobe_transform: int | None
    luma_table: tuple[int, ...] | None
    """The first component's quantisation table in zigzag order."""

    exif: bytes | None
    xmp: bytes | None
    icc: bytes | None
    further_pictures: bool
    """Whether an index of further pictures (MPF: stereo, preview, gain map) is there."""


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
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if length < 2:
            raise CorruptPicture("its JPEG segments are damaged")
        end = position + 2 + length
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
    exif = xmp = adobe = None
    tables: dict[int, tuple[int, ...]] = {}
    icc_parts: dict[int, bytes] = {}
    process = icc_count = 0
    jfif = further = False
    for marker, start, end in jpeg_segments(data):
        body = data[start + 4 : end]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame, process = body, marker
        elif marker == 0xDB:
            tables.update(_quantisation_tables(body))
        elif marker == 0xE0 and body.startswith(b"JFIF\0") and len(body) >= 14:
            jfif = True
        elif marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
            adobe = body[11]
        elif marker == 0xE1 and body.startswith(_EXIF_PREFIX) and exif is None:
            exif = body[len(_EXIF_PREFIX) :]
        elif marker == 0xE1 and body.startswith(_XMP_PREFIX) and xmp is None:
            xmp = body[len(_XMP_PREFIX) :]
        elif marker == 0xE2 and body.startswith(_ICC_PREFIX) and len(body) > 14:
            icc_parts[body[12]], icc_count = body[14:], body[13]
        elif marker == 0xE2 and body.startswith(b"MPF\0"):
            further = True
    if frame is None or len(frame) < 6 or len(frame) < 6 + 3 * frame[5]:
        raise CorruptPicture("its JPEG frame header is missing or damaged")
    components = [frame[6 + 3 * index : 9 + 3 * index] for index in range(frame[5])]
    return JpegHeader(
        height=int.from_bytes(frame[1:3], "big"),
        width=int.from_bytes(frame[3:5], "big"),
        precision=frame[0],
        process=process,
        sampling=tuple((item[1] >> 4, item[1] & 15) for item in components),
        component_ids=tuple(item[0] for item in components),
        jfif=jfif,
        adobe_transform=adobe,
        luma_table=tables.get(components[0][2]) if components else None,
        exif=exif,
        xmp=xmp,
        # A profile with a part missing is worse than none, so it is handed on as what it is: no profile.
        icc=b"".join(icc_parts[index] for index in sorted(icc_parts)) if len(icc_parts) == icc_count else b"?",
        further_pictures=further,
    )


def _quantisation_tables(body: bytes) -> Iterator[tuple[int, tuple[int, ...]]]:
    """(number, 64 values in zigzag order) of each table in a quantisation segment."""
    position = 0
    while position < len(body):
        wide, number = body[position] >> 4, body[position] & 15
        size = 128 if wide else 64
        values = body[position + 1 : position + 1 + size]
        if len(values) < size:
            return
        yield number, struct.unpack(">64H", values) if wide else tuple(values)
        position += 1 + size


def jpeg_with_metadata(
    data: bytes, *, exif: bytes | None, xmp: bytes | None, icc: bytes | None
) -> tuple[bytes, tuple[str, ...]]:
    """Put metadata segments behind a JPEG's JFIF header.

    Returns:
        The JPEG, and a note for each block that is too long for its kind of segment and was left out.
    """
    added, notes = [], []
    for name, prefix, block in (("EXIF", _EXIF_PREFIX, exif), ("XMP", _XMP_PREFIX, xmp)):
        if block is not None and len(prefix) + len(block) <= _SEGMENT_LIMIT:
            added.append(_segment(0xE1, prefix + block))
        elif block is not None:
            notes.append(f"{name} of {len(block):,} bytes does not fit into a JPEG and was left out")
    if icc is not None:
        room = _SEGMENT_LIMIT - len(_ICC_PREFIX) - 2
        parts = [icc[start : start + room] for start in range(0, len(icc), room)]
        if len(parts) <= 255:
            added += [
                _segment(0xE2, _ICC_PREFIX + bytes([number, len(parts)]) + part)
                for number, part in enumerate(parts, start=1)
            ]
        else:
            notes.append(f"a colour profile of {len(icc):,} bytes does not fit into a JPEG and was left out")
    if not added:
        return data, tuple(notes)
    head = 2
    if data[2:4] == b"\xff\xe0":
        head = 4 + int.from_bytes(data[4:6], "big")
    whole = memoryview(data)
    return b"".join((whole[:head], *added, whole[head:])), tuple(notes)


def _segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body


# --- PNG chunks --------------------------------------------------------------------------------------------


class PngParts(NamedTuple):
    """A PNG taken apart: what its chunks say, and the file without all that is not pixels."""

    height: int
    width: int
    depth: int
    """Bits of a sample: 1, 2, 4, 8 or 16."""

    colour_type: int
    """0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGB with alpha."""

    transparent: tuple[int, ...] | None
    """The one transparent colour (tRNS) of a grey or RGB picture."""

    bare: bytes
    """The file with only IHDR, PLTE, tRNS, IDAT and IEND, each whole, so that no decoder stumbles over the others."""

    icc: bytes | None
    exif: bytes | None
    xmp: bytes | None
    animated: bool
    cicp: tuple[int, int] | None
    """Colour primaries and transfer function by their ITU-T H.273 numbers, where a cICP chunk names them."""


def read_png(data: bytes) -> PngParts:
    """Take a PNG apart.

    Damaged metadata is dropped; what follows the end chunk is ignored.

    Raises:
        CorruptPicture: the header is no header, or a chunk that holds pixels is cut short or fails its checksum.
    """
    if data[12:16] != b"IHDR" or len(data) < 33:
        raise CorruptPicture("its PNG header is damaged")
    width, height, depth, colour_type = struct.unpack_from(">IIBB", data, 16)
    whole = memoryview(data)
    kept = [whole[:8]]
    icc = exif = xmp = None
    cicp: tuple[int, int] | None = None
    transparent: tuple[int, ...] | None = None
    animated = False
    position = 8
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        name = data[position + 4 : position + 8]
        end = position + 12 + length
        if end > len(data):
            if name in _PNG_PIXELS:
                raise CorruptPicture(f"its PNG data ends within {name.decode()}")
            break
        sound = zlib.crc32(whole[position + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big")
        if name in _PNG_PIXELS:
            if not sound:
                raise CorruptPicture(f"its PNG data is damaged (the checksum of {name.decode()} is wrong)")
            if name == b"tRNS" and colour_type in (0, 2):
                samples = 1 if colour_type == 0 else 3
                if length >= 2 * samples:
                    transparent = struct.unpack_from(f">{samples}H", data, position + 8)
            kept.append(whole[position:end])
            if name == b"IEND":
                break
        elif sound and length < _PROFILE_LIMIT:
            body = data[position + 8 : end - 4]
            if name == b"iCCP":
                icc = _inflated(body.partition(b"\0")[2][1:]) or b"?"
            elif name == b"eXIf":
                exif = body
            elif name == b"iTXt" and body.startswith(_PNG_XMP + b"\0"):
                xmp = _international_text(body)
            elif name == b"acTL":
                animated = length >= 4 and int.from_bytes(body[:4], "big") > 1
            elif name == b"cICP" and length >= 2:
                cicp = (body[0], body[1])
        position = end
    if bytes(kept[-1][4:8]) != b"IEND":
        # Never the tail as it is: OpenCV allocates whatever length a chunk that is cut short announces.
        kept.append(memoryview(png_chunk(b"IEND", b"")))
    return PngParts(height, width, depth, colour_type, transparent, b"".join(kept), icc, exif, xmp, animated, cicp)


def _inflated(packed: bytes) -> bytes | None:
    """Unpack zlib data of bounded size; a missing checksum at its end is forgiven."""
    try:
        return zlib.decompressobj().decompress(packed, _PROFILE_LIMIT)
    except zlib.error:
        return None


def _international_text(body: bytes) -> bytes | None:
    """The text of an iTXt chunk: keyword, compressed?, method, language, translated keyword, text."""
    compressed, rest = body[len(_PNG_XMP) + 1 : len(_PNG_XMP) + 2], body[len(_PNG_XMP) + 3 :]
    text = rest.split(b"\0", 2)[-1]
    return _inflated(text) if compressed == b"\1" else text


def png_with_metadata(data: bytes, *, exif: bytes | None, xmp: bytes | None, icc: bytes | None) -> bytes:
    """Put iCCP, eXIf and XMP (iTXt) chunks behind a PNG's IHDR."""
    added = b""
    if icc is not None:
        added += png_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))
    if exif is not None:
        added += png_chunk(b"eXIf", exif)
    if xmp is not None:
        added += png_chunk(b"iTXt", _PNG_XMP + b"\0\0\0\0\0" + xmp)
    head = 8 + 12 + 13  # signature and IHDR
    return data[:head] + added + data[head:]


def png_chunk(name: bytes, body: bytes) -> bytes:
    """One chunk: length, name, body, checksum."""
    return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")


# --- WebP and AVIF -----------------------------------------------------------------------------------------


class WebpHeader(NamedTuple):
    """What a WebP's chunks say before its pixels."""

    size: tuple[int, int]
    """Height and width."""

    lossy: bool


def read_webp_header(data: bytes) -> WebpHeader:
    """Size of the canvas and kind of coding: libwebp allocates the canvas when a file is merely opened.

    Raises:
        CorruptPicture: no chunk with a size is there.
    """
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
    subsampling: str
    """Of the chroma: `444`, `422` or `420`."""

    cicp: tuple[int, int] | None
    """Colour primaries and transfer function, as in `PngParts`."""

    largest: tuple[int, int]
    """Height and width of the largest picture announced; zeros where none is."""


def read_avif_header(data: bytes) -> AvifHeader:
    """Find the coding of an AVIF's first item; what is not found has the commonest value."""
    depth, subsampling, cicp, largest = 8, "420", None, (0, 0)
    place = data.find(b"av1C")
    if place >= 0 and place + 7 <= len(data):
        flags = data[place + 6]  # tier, high bit depth, twelve bits, monochrome, subsampling in x and in y, ...
        depth = (12 if flags & 0x20 else 10) if flags & 0x40 else 8
        subsampling = {0x00: "444", 0x08: "422"}.get(flags & 0x0C, "420")
    place = data.find(b"colrnclx")
    if place >= 0 and place + 12 <= len(data):
        cicp = struct.unpack_from(">HH", data, place + 8)
    place = data.find(b"ispe")
    while place >= 0 and place + 16 <= len(data):
        width, height = struct.unpack_from(">II", data, place + 8)
        largest = max(largest, (height, width), key=lambda size: size[0] * size[1])
        place = data.find(b"ispe", place + 4, 2**20)
    return AvifHeader(depth, subsampling, cicp, largest)
