"""What a picture carries besides pixels, whatever the file: EXIF, XMP and colour profile, made fit for the output.

EXIF, XMP and ICC bytes are passed through, never reinterpreted. Two places in EXIF are rewritten: the
orientation, once it has been applied to the pixels, and the link to the thumbnail, which would still show the
picture as it was. Where the blocks sit in a file is the business of the formats' own modules.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from enhance_cli.types import Array

EXIF_LEFT_OUT = "its EXIF is damaged and was left out"
EXIF_PREFIX = b"Exif\0\0"

_ORIENTATION_TAG = 0x0112
_THUMBNAIL_OFFSET_TAG, _THUMBNAIL_LENGTH_TAG = 0x0201, 0x0202


@dataclass(frozen=True, slots=True)
class Carried:
    """The blocks that a file holds beside its pixels."""

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None

    def upright(self, notes: list[str]) -> tuple[int, Carried]:
        """The orientation that is to be applied to the pixels, and the blocks fit for a picture that is upright.

        Blocks that are damaged beyond use are left out, with a note.
        """
        orientation, exif = upright_exif(self.exif)
        if self.exif and exif is None:
            notes.append(EXIF_LEFT_OUT)
        return orientation, Carried(valid_icc(self.icc, notes), exif, upright_xmp(self.xmp))


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
    if exif.startswith(EXIF_PREFIX):
        exif = exif[len(EXIF_PREFIX) :]
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


def upright_xmp(xmp: bytes | None) -> bytes | None:
    """XMP whose own copy of the orientation, if any, reads 1, as the pixels are upright; same length."""
    return xmp and re.sub(rb"(tiff:Orientation\s*(?:=\s*[\"']|>)\s*)[2-8]", rb"\g<1>1", xmp)


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
