"""Metadata of an image, whatever its format: EXIF, XMP, IPTC, colour profile and density.

Their bytes are passed through unchanged, except for what would no longer be true of the output: the orientation and,
once pixels have been rotated, the sizes that EXIF repeats; and thumbnails, which would still show the old image. The
modules of the formats know where the blocks are in a file.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from enhance_cli.imaging import xmp
from enhance_cli.types import Density, Metadata

if TYPE_CHECKING:
    from enhance_cli.types import Array

EXIF_LEFT_OUT = "its EXIF is damaged and was left out"
EXIF_PREFIX = b"Exif\0\0"

_ORIENTATION_TAG = 0x0112
_THUMBNAIL_OFFSET_TAG, _THUMBNAIL_LENGTH_TAG = 0x0201, 0x0202
EXIF_DIRECTORY_TAG, _GPS_DIRECTORY_TAG = 0x8769, 0x8825
BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_FIELD_SIZES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of a field by its TIFF type; 1 for the others."""

_WIDTH_TAG, _HEIGHT_TAG = 0xA002, 0xA003
_XMP_THUMBNAILS = re.compile(rb"<((?:xmp|xap):Thumbnails)>")
_IPTC_RESOURCE = 0x0404


class Carried(NamedTuple):
    """The metadata blocks of a file; fields are named as in `types.Metadata`."""

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    xmp_extension: bytes | None = None
    iptc: bytes | None = None
    density: Density | None = None

    def upright(self, notes: list[str], *, xmp_turns: bool = True) -> tuple[int, Carried]:
        """The orientation that is to be applied to the pixels, and the blocks fit for an image that is upright.

        Where EXIF does not tell the orientation, XMP does. Blocks damaged beyond use are left out, with a note.

        Args:
            notes: what the user should know is added to them.
            xmp_turns: False for formats that tell the orientation themselves, so that XMP only repeats it.
        """
        orientation, exif = upright_exif(self.exif, otherwise=orientation_of_xmp(self.xmp) if xmp_turns else 1)
        if self.exif and exif is None:
            notes.append(EXIF_LEFT_OUT)
        density = self.density
        if density is not None and orientation >= 5:
            density = Density(density.down, density.across, density.unit)
        icc, packet = valid_icc(self.icc, notes), upright_xmp(self.xmp)
        return orientation, self._replace(icc=icc, exif=exif, xmp=packet, density=density)


# --- EXIF --------------------------------------------------------------------------------------------------


def upright_exif(exif: bytes | None, otherwise: int = 1) -> tuple[int, bytes | None]:
    r"""Read the orientation and make EXIF fit for an image that is upright and enhanced.

    Args:
        exif: the TIFF structure, with or without the `Exif\0\0` prefix.
        otherwise: the orientation where this tells none.

    Returns:
        The orientation (1..8), and the EXIF without prefix, whose
        orientation reads 1, whose width and height are those of the image turned by it, and whose thumbnail
        is gone. Bytes that are no TIFF structure give (`otherwise`, None).
    """
    if exif is None:
        return otherwise, None
    if exif.startswith(EXIF_PREFIX):
        exif = exif[len(EXIF_PREFIX) :]
    order = BYTE_ORDERS.get(exif[:4])
    if order is None:
        return otherwise, None
    upright = bytearray(exif)
    orientation, details = 0, 0
    try:
        for tag, kind, place in directory(exif, order, offset(exif, order, 4)):
            if tag == _ORIENTATION_TAG and kind in (3, 4):
                layout = order + ("H" if kind == 3 else "I")
                (orientation,) = struct.unpack_from(layout, exif, place)
                struct.pack_into(layout, upright, place, 1)
            elif tag == EXIF_DIRECTORY_TAG:
                details = offset(exif, order, place)
        orientation = orientation if 1 <= orientation <= 8 else otherwise
        if details and 5 <= orientation <= 8:
            _swap_sizes(upright, order, details)
        _drop_thumbnail(upright, order)
    except struct.error:
        pass  # a damaged directory is no reason to fail: what could be read counts
    return (orientation if 1 <= orientation <= 8 else otherwise), bytes(upright)


def orientation_of_xmp(packet: bytes | None) -> int:
    """The orientation that XMP tells, 1 where it tells none."""
    orientation = xmp.read(packet).orientation or 1
    return orientation if 1 <= orientation <= 8 else 1


def upright_xmp(packet: bytes | None) -> bytes | None:
    """XMP whose own copy of the orientation, if any, reads 1, as the pixels are upright, and without thumbnails."""
    if packet is None:
        return None
    packet = _without_elements(packet, _XMP_THUMBNAILS) or packet
    edited = xmp.edited(packet, upright=True)
    if edited is not None:
        return edited
    return re.sub(rb"(tiff:Orientation\s*(?:=\s*[\"']|>)\s*)[2-8]", rb"\g<1>1", packet)


def xmp_guid(extension: bytes) -> bytes:
    """The name by which XMP knows its extension: the MD5 in capital hexadecimals."""
    return hashlib.md5(extension, usedforsecurity=False).hexdigest().upper().encode()


def _without_elements(xmp: bytes, start_tag: re.Pattern[bytes]) -> bytes | None:
    """XMP without the elements whose start tag matches, their name being its first group; None where one has no end.

    Takes linear time, whatever the bytes.
    """
    kept, position = [], 0
    while found := start_tag.search(xmp, position):
        kept.append(xmp[position : found.start()])
        position = found.end()
        if not found[0].endswith(b"/>"):
            end_tag = b"</%s>" % found[1]
            end = xmp.find(end_tag, position)
            if end < 0:
                return None
            position = end + len(end_tag)
    return b"".join((*kept, xmp[position:]))


def offset(data: bytes | bytearray, order: str, place: int) -> int:
    """The unsigned 32-bit number at a place: in TIFF structures mostly where something else begins."""
    return int(struct.unpack_from(order + "I", data, place)[0])


def first_directory(data: bytes) -> dict[int, int]:
    """Each tag of the first directory of a TIFF structure, with its value where that is one number, else 0."""
    order = BYTE_ORDERS.get(data[:4])
    tags: dict[int, int] = {}
    if order is None:
        return tags
    try:
        for tag, kind, place in directory(data, order, offset(data, order, 4)):
            (count,) = struct.unpack_from(order + "I", data, place - 4)
            layout = {3: "H", 4: "I"}.get(kind) if count == 1 else None
            tags[tag] = struct.unpack_from(order + layout, data, place)[0] if layout else 0
    except struct.error:
        pass  # what could be read counts
    return tags


def directory(data: bytes | bytearray, order: str, start: int) -> Iterator[tuple[int, int, int]]:
    """(tag, field type, place of the value) for each entry of the directory at `start`."""
    (count,) = struct.unpack_from(order + "H", data, start)
    for index in range(count):
        tag, kind = struct.unpack_from(order + "HH", data, start + 2 + 12 * index)
        yield tag, kind, start + 10 + 12 * index


def _swap_sizes(exif: bytearray, order: str, start: int) -> None:
    """Exchange the width and the height that EXIF repeats."""
    places = {tag: (kind, place) for tag, kind, place in directory(exif, order, start)}
    (kind, across), (other, down) = places.get(_WIDTH_TAG, (0, 0)), places.get(_HEIGHT_TAG, (0, 0))
    if kind == other and kind in (3, 4):
        exif[across : across + 4], exif[down : down + 4] = exif[down : down + 4], exif[across : across + 4]


def _drop_thumbnail(exif: bytearray, order: str) -> None:
    """Unlink IFD1 and remove its JPEG: cut off where it ends the data, blanked where something follows."""
    first = offset(exif, order, 4)
    (count,) = struct.unpack_from(order + "H", exif, first)
    link = first + 2 + 12 * count
    second = offset(exif, order, link)
    if second == 0:
        return
    struct.pack_into(order + "I", exif, link, 0)
    places = {tag: offset(exif, order, place) for tag, _, place in directory(exif, order, second)}
    start, length = places.get(_THUMBNAIL_OFFSET_TAG, 0), places.get(_THUMBNAIL_LENGTH_TAG, 0)
    end = start + length
    if exif[start : start + 2] != b"\xff\xd8" or end > len(exif) or start < link + 4:
        return
    if not any(exif[end:]):
        del exif[start:]
    else:
        exif[start:end] = bytes(length)


# --- stripping private data --------------------------------------------------------------------------------


def strip(metadata: Metadata, which: Literal["gps", "all"]) -> Metadata:
    """The metadata without the place where an image was taken, or without anything about who, where, when and how.

    Args:
        metadata: of a decoded image.
        which: `gps` removes the GPS directory of EXIF and the GPS properties of XMP, bytes and all, and drops a block
            whole where its structure is too damaged for that; `all` removes EXIF, XMP and IPTC. Colour profile and
            density stay: they are about the image, and without its profile colours would change.
    """
    if metadata.trailer is not None:  # a video may contain its location too, and is not searched
        metadata = replace(
            metadata,
            trailer=None,
            xmp=xmp.for_picture_alone(metadata.xmp, extended=True),
            lost=(*metadata.lost, metadata.trailer.holds),
            notes=(*metadata.notes, f"{metadata.trailer.holds} was left out because of --strip"),
        )
    if which == "all":
        return replace(metadata, exif=None, xmp=None, xmp_extension=None, iptc=None)
    exif = None if metadata.exif is None else _exif_without_gps(metadata.exif)
    packet = None if metadata.xmp is None else _xmp_without_gps(metadata.xmp)
    extension = None if metadata.xmp_extension is None else _xmp_without_gps(metadata.xmp_extension)
    if packet is None:
        extension = None
    elif metadata.xmp_extension is not None:
        packet = packet.replace(xmp_guid(metadata.xmp_extension), xmp_guid(extension or b""))
    return replace(metadata, exif=exif, xmp=packet, xmp_extension=extension)


def _exif_without_gps(exif: bytes) -> bytes | None:
    order = BYTE_ORDERS.get(exif[:4])
    if order is None:
        return None
    bare = bytearray(exif)
    try:
        first = offset(exif, order, 4)
        places = {tag: place for tag, _, place in directory(exif, order, first)}
        _remove_gps(bare, order, first)
        if EXIF_DIRECTORY_TAG in places:  # it does not belong here, but readers find it
            _remove_gps(bare, order, offset(exif, order, places[EXIF_DIRECTORY_TAG]))
    except struct.error:
        return None
    return bytes(bare)


def _remove_gps(exif: bytearray, order: str, start: int) -> None:
    """Take the link to a GPS directory out of the directory at `start`, and blank what it led to."""
    entries = list(directory(exif, order, start))
    end = start + 2 + 12 * len(entries) + 4
    for tag, _, place in reversed(entries):
        if tag != _GPS_DIRECTORY_TAG:
            continue
        _blank_directory(exif, order, offset(exif, order, place))
        exif[place - 8 : end] = exif[place + 4 : end] + bytes(12)
        (count,) = struct.unpack_from(order + "H", exif, start)
        struct.pack_into(order + "H", exif, start, count - 1)


def _blank_directory(exif: bytearray, order: str, start: int) -> None:
    entries = list(directory(exif, order, start))
    for _, kind, place in entries:
        size = _FIELD_SIZES.get(kind, 1) * offset(exif, order, place - 4)
        if size > 4:
            _blank(exif, offset(exif, order, place), size)
    _blank(exif, start, 2 + 12 * len(entries) + 4)


def _blank(exif: bytearray, start: int, size: int) -> None:
    if start + size > len(exif):
        raise struct.error("a field ends behind the end")
    exif[start : start + size] = bytes(size)


_XMP_PLACE = rb"[\w.-]+:(?i:gps[\w.-]*|latitude|longitude)"
_XMP_PLACE_ATTRIBUTE = re.compile(rb"\s%s\s*=\s*(?:\"[^\"]*\"|'[^']*')" % _XMP_PLACE)
_XMP_PLACE_ELEMENT = re.compile(rb"<(%s)(?=[\s/>])[^<>]*>" % _XMP_PLACE)


def _xmp_without_gps(xmp: bytes) -> bytes | None:
    if b"\0" in xmp:  # not UTF-8, so nothing would be found in it
        return None
    return _without_elements(_XMP_PLACE_ATTRIBUTE.sub(b"", xmp), _XMP_PLACE_ELEMENT)


# --- IPTC --------------------------------------------------------------------------------------------------


def iptc_of(resources: bytes) -> bytes | None:
    """The IPTC records among Photoshop's image resources, or among none: bytes that begin with a record are one."""
    if resources[:1] == b"\x1c":
        return resources
    position = 0
    while resources[position : position + 4] == b"8BIM" and position + 12 <= len(resources):
        number = int.from_bytes(resources[position + 4 : position + 6], "big")
        name = 1 + resources[position + 6]
        body = position + 6 + name + name % 2 + 4
        size = int.from_bytes(resources[body - 4 : body], "big")
        if number == _IPTC_RESOURCE:
            return resources[body : body + size] or None
        position = body + size + size % 2
    return None


def photoshop_resource(iptc: bytes) -> bytes:
    """IPTC records as the one Photoshop image resource that holds them."""
    return struct.pack(">4sHHI", b"8BIM", _IPTC_RESOURCE, 0, len(iptc)) + iptc + bytes(len(iptc) % 2)


# --- colour profile and turning ----------------------------------------------------------------------------


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
