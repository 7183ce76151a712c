"""JPEG as a chain of segments: the header, and metadata taken out and put in. No pixels."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from enhance_cli.errors import CorruptPicture
from enhance_cli.imaging.codecs.jpeg import mpf
from enhance_cli.imaging.metadata import EXIF_PREFIX, Carried, iptc_of, photoshop_resource, xmp_guid
from enhance_cli.types import Density, Metadata

_XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_EXTENSION_PREFIX = b"http://ns.adobe.com/xmp/extension/\0"
_ICC_PREFIX = b"ICC_PROFILE\0"
_PHOTOSHOP_PREFIX = b"Photoshop 3.0\0"
_ISO_GAIN_MAP = b"urn:iso:std:iso:ts:21496:-1\0"
_EXTENSION_HEADER = len(_XMP_EXTENSION_PREFIX) + 32 + 8
_SEGMENT_LIMIT = 65533  # a JPEG segment counts its own two length bytes


_CENTIMETRES = 2.54  # in an inch


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

    huffman_tables: tuple[bytes, ...]
    """Each table before the first scan: how many codes there are of each length, and their symbols."""

    carried: Carried
    scan: int
    """Where the first scan begins."""

    mpf_index: bytes
    """The index of further images (MPF: stereo, preview, gain map), empty where there is none."""

    mpf_at: int
    """Where in the file the index begins, from which it counts."""

    gain_map: bool
    """Whether a segment of ISO 21496-1 says that this has, or is, a gain map."""

    signed: bool
    """Whether C2PA's boxes (JUMBF) are there."""

    layered: bool
    """Whether boxes of JPEG XT are there, which add to the tones of the image."""


def segments_of(data: bytes) -> Iterator[tuple[int, int, int]]:
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
    raise CorruptPicture("its JPEG data ends before the image begins")


def read_header(data: bytes) -> JpegHeader:
    """Read frame, quantisation and metadata segments of a JPEG.

    Raises:
        CorruptPicture: there is no frame header, or the segments are damaged.
    """
    frame: bytes | None = None
    exif = xmp = adobe = density = None
    photoshop = b""
    tables: dict[int, tuple[int, ...]] = {}
    huffman: list[bytes] = []
    extension: dict[int, bytes] = {}
    icc_parts: dict[int, bytes] = {}
    process = icc_count = scan = mpf_at = 0
    mpf_index = b""
    jfif = gain_map = signed = layered = False
    for marker, start, end in segments_of(data):
        body = data[start + 4 : end]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame, process = body, marker
        elif marker == 0xDB:
            tables.update(_quantisation_tables(body))
        elif marker == 0xC4:
            huffman += _huffman_tables(body)
        elif marker == 0xE0 and body.startswith(b"JFIF\0") and len(body) >= 14:
            jfif, density = True, _density_of(body)
        elif marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
            adobe = body[11]
        elif marker == 0xE1 and body.startswith(EXIF_PREFIX) and exif is None:
            exif = body[len(EXIF_PREFIX) :]
        elif marker == 0xE1 and body.startswith(_XMP_PREFIX) and xmp is None:
            xmp = body[len(_XMP_PREFIX) :]
        elif marker == 0xE1 and body.startswith(_XMP_EXTENSION_PREFIX) and len(body) >= _EXTENSION_HEADER:
            offset = int.from_bytes(body[_EXTENSION_HEADER - 4 : _EXTENSION_HEADER], "big")
            extension[offset] = body[_EXTENSION_HEADER:]
        elif marker == 0xE2 and body.startswith(_ICC_PREFIX) and len(body) > 14:
            icc_parts[body[12]], icc_count = body[14:], body[13]
        elif marker == 0xED and body.startswith(_PHOTOSHOP_PREFIX):
            photoshop += body[len(_PHOTOSHOP_PREFIX) :]
        elif marker == 0xE2 and body.startswith(mpf.PREFIX) and not mpf_index:
            mpf_index, mpf_at = body[len(mpf.PREFIX) :], start + 4 + len(mpf.PREFIX)
        elif marker == 0xE2 and body.startswith(_ISO_GAIN_MAP):
            gain_map = True
        elif marker == 0xEB and body.startswith(b"JP"):
            is_jumbf = body[12:16] == b"jumb"
            signed, layered = signed or is_jumbf, layered or not is_jumbf
        elif marker == 0xDA:
            scan = end
    if frame is None or len(frame) < 6 or len(frame) < 6 + 3 * frame[5]:
        raise CorruptPicture("its JPEG frame header is missing or damaged")
    # A profile with a part missing is worse than none, so it is handed on as what it is: no profile.
    whole_extension = b"".join(extension[offset] for offset in sorted(extension))
    if xmp is None or xmp_guid(whole_extension) not in xmp:
        whole_extension = b""  # a part is missing, or it is another's
    icc = b"".join(icc_parts[index] for index in sorted(icc_parts)) if len(icc_parts) == icc_count else b"?"
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
        huffman_tables=tuple(huffman),
        carried=Carried(icc, exif, xmp, whole_extension or None, iptc_of(photoshop), density),
        scan=scan,
        mpf_index=mpf_index,
        mpf_at=mpf_at,
        gain_map=gain_map,
        signed=signed,
        layered=layered,
    )


def _density_of(jfif: bytes) -> Density | None:
    """The density in a JFIF header, None where it says nothing: no unit, and square pixels."""
    unit, across, down = struct.unpack_from(">BHH", jfif, 7)
    if 0 in (across, down) or unit > 2 or (unit == 0 and across == down):
        return None
    if unit == 2:
        return Density(across * _CENTIMETRES, down * _CENTIMETRES)
    return Density(across, down, "inch" if unit == 1 else "none")


def _jfif_density(density: Density) -> bytes:
    """Unit and density as a JFIF header holds them: in centimetres where only they are whole numbers."""
    unit, values = int(density.unit == "inch"), (density.across, density.down)
    per_centimetre = (density.across / _CENTIMETRES, density.down / _CENTIMETRES)
    if unit and _off(per_centimetre) < 1e-3 <= _off(values):
        unit, values = 2, per_centimetre
    return struct.pack(">BHH", unit, *(min(max(round(value), 1), 65535) for value in values))


def _off(values: tuple[float, ...]) -> float:
    """How far the farthest is from a whole number."""
    return max(abs(value - round(value)) for value in values)


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


def _huffman_tables(body: bytes) -> Iterator[bytes]:
    position = 0
    while position + 17 <= len(body):
        end = position + 17 + sum(body[position + 1 : position + 17])
        yield body[position + 1 : end]
        position = end


def with_metadata(data: bytes, meta: Metadata) -> tuple[bytes, tuple[str, ...]]:
    """Put metadata segments behind a JPEG's JFIF header, the density into it, and what follows the image at its end.

    Returns:
        The JPEG, and a note for each block that is too long for its kind of segment and was left out, and for what
        follows the image.
    """
    added, notes = [], []
    resource = None if meta.iptc is None else photoshop_resource(meta.iptc)
    for name, marker, prefix, block in (
        ("EXIF", 0xE1, EXIF_PREFIX, meta.exif),
        ("XMP", 0xE1, _XMP_PREFIX, meta.xmp),
        ("IPTC", 0xED, _PHOTOSHOP_PREFIX, resource),
    ):
        if block is not None and len(prefix) + len(block) <= _SEGMENT_LIMIT:
            added.append(_segment(marker, prefix + block))
        elif block is not None:
            notes.append(f"{name} of {len(block):,} bytes does not fit into a JPEG and was left out")
    if meta.xmp_extension is not None:
        added += _extension_segments(meta.xmp_extension)
    if meta.icc is not None:
        limit = _SEGMENT_LIMIT - len(_ICC_PREFIX) - 2
        parts = [meta.icc[start : start + limit] for start in range(0, len(meta.icc), limit)]
        if len(parts) <= 255:
            added += [
                _segment(0xE2, _ICC_PREFIX + bytes([number, len(parts)]) + part)
                for number, part in enumerate(parts, start=1)
            ]
        else:
            notes.append(f"a colour profile of {len(meta.icc):,} bytes does not fit into a JPEG and was left out")
    head = 2
    jfif = bytearray()
    if data[2:4] == b"\xff\xe0":
        head = 4 + int.from_bytes(data[4:6], "big")
        jfif += data[2:head]
        if meta.density is not None:
            jfif[11:16] = _jfif_density(meta.density)
    tail = b""
    if meta.trailer is not None:
        tail = meta.trailer.data
        notes.append(f"kept as it was: {meta.trailer.holds}")
        if meta.trailer.index is not None:
            at = head + sum(map(len, added)) + 4 + len(mpf.PREFIX)
            first_length = len(data) + sum(map(len, added)) + 4 + len(mpf.PREFIX) + len(meta.trailer.index)
            added.append(_segment(0xE2, mpf.PREFIX + mpf.placed(meta.trailer.index, first_length, at)))
    if not added and not tail and jfif == data[2:head]:
        return data, tuple(notes)
    return b"".join((data[:2], jfif, *added, memoryview(data)[head:], tail)), tuple(notes)


def _extension_segments(extension: bytes) -> Iterator[bytes]:
    """The extension of XMP under its name, its whole length and the offset of each part."""
    limit = _SEGMENT_LIMIT - _EXTENSION_HEADER
    for start in range(0, len(extension), limit):
        header = _XMP_EXTENSION_PREFIX + xmp_guid(extension) + struct.pack(">II", len(extension), start)
        yield _segment(0xE1, header + extension[start : start + limit])


def _segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body
