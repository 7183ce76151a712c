"""Colour spaces that a file names by numbers, as ICC profiles, which every format carries.

AVIF and HEIF name theirs by the numbers of ITU-T H.273, PNG so or by its gAMA and cHRM chunks. The profiles are of
version 4: a matrix (primaries adapted to D50 by Bradford's method, ICC.1:2010 annex E) and one curve.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np


class Cicp(NamedTuple):
    """Colour primaries and transfer function by their numbers of ITU-T H.273."""

    primaries: int
    transfer: int


_D50 = np.array((0.9642, 1.0, 0.8249))
_BRADFORD = np.array(((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296)))

Matrix = np.ndarray[tuple[int, int], np.dtype[np.float64]]

Chromaticities = tuple[float, float, float, float, float, float, float, float]
"""x and y of white, red, green and blue."""

_D65 = (0.3127, 0.329)
BT709: Chromaticities = (*_D65, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_PRIMARIES: dict[int, Chromaticities] = {
    1: BT709,
    4: (0.31, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06),
    6: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    7: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    9: (*_D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    12: (*_D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
}
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_BT709_CURVE = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
_CURVES: dict[int, tuple[float, ...]] = {
    **dict.fromkeys((1, 6, 14, 15), _BT709_CURVE),
    4: (2.2,),
    5: (2.8,),
    8: (1.0,),
    13: SRGB_CURVE,
}
"""The gamma alone, or gamma, a, b, c and d of ICC's parametric curve of type 3."""

_HIGH_DYNAMIC_RANGE = (16, 18)  # PQ and HLG
_AS_SRGB = (1, 2, 6, 13, 14, 15)  # transfer functions that viewers do not tell from sRGB's


def icc_of_cicp(cicp: Cicp | None, notes: list[str]) -> bytes | None:
    """The profile of a colour space named by numbers; None for sRGB, and with a note where there is no such profile."""
    if cicp is None:
        return None
    if cicp.transfer in _HIGH_DYNAMIC_RANGE:
        notes.append("it is a high dynamic range image, taken as an ordinary one; its colour tag is lost")
        return None
    if cicp.primaries in (1, 2) and cicp.transfer in _AS_SRGB:
        return None
    chromaticities = _PRIMARIES.get(1 if cicp.primaries == 2 else cicp.primaries)
    curve = _CURVES.get(13 if cicp.transfer == 2 else cicp.transfer)
    if chromaticities is None or curve is None:
        notes.append(
            f"its colour tag (primaries {cicp.primaries}, transfer {cicp.transfer}) is unknown and was left out"
        )
        return None
    return icc_profile(f"CICP {cicp.primaries}/{cicp.transfer}", chromaticities, curve)


def icc_profile(name: str, chromaticities: Chromaticities, curve: tuple[float, ...]) -> bytes | None:
    """A display profile of version 4, or None where the chromaticities span no colour space.

    Args:
        name: its description, in ASCII.
        chromaticities: of white and the primaries.
        curve: the gamma, or gamma, a, b, c and d of: (a x + b)^gamma above d, c x below.
    """
    adapted = primaries_to_d50(chromaticities)
    if adapted is None:
        return None
    adaptation = _adaptation(_xyz(*chromaticities[:2]))
    red, green, blue = adapted.T
    kind = 0 if len(curve) == 1 else 3
    trc = b"para" + bytes(4) + struct.pack(">HH", kind, 0) + _fixed(*curve)
    tags = {
        b"desc": _text(name),
        b"cprt": _text("No copyright, use freely"),
        b"wtpt": b"XYZ " + bytes(4) + _fixed(*_D50),
        b"chad": b"sf32" + bytes(4) + _fixed(*adaptation.ravel()),
        b"rXYZ": b"XYZ " + bytes(4) + _fixed(*red),
        b"gXYZ": b"XYZ " + bytes(4) + _fixed(*green),
        b"bXYZ": b"XYZ " + bytes(4) + _fixed(*blue),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), trc),
    }
    return assembled(tags)


def primaries_to_d50(chromaticities: Chromaticities) -> Matrix | None:
    """XYZ of red, green and blue in columns, adapted to D50, or None where they span no colour space."""
    white_x, white_y, *primaries = chromaticities
    if white_y <= 0 or min(primaries[1::2]) <= 0:
        return None
    white = _xyz(white_x, white_y)
    columns = np.stack([_xyz(*primaries[index : index + 2]) for index in (0, 2, 4)], axis=1)
    if abs(np.linalg.det(columns)) < 1e-6:
        return None
    adapted: Matrix = _adaptation(white) @ (columns * np.linalg.solve(columns, white))
    return adapted


def _adaptation(white: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Matrix:
    matrix: Matrix = np.linalg.inv(_BRADFORD) @ np.diag(_BRADFORD @ _D50 / (_BRADFORD @ white)) @ _BRADFORD
    return matrix


def _xyz(x: float, y: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array((x / y, 1.0, (1 - x - y) / y))


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(float(value) * 65536) for value in values))


def _text(text: str) -> bytes:
    """One English text as a multi-localised string."""
    coded = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(coded), 28) + coded


def assembled(tags: dict[bytes, bytes]) -> bytes:
    """Header, table and data of a profile, every tag on a multiple of four bytes."""
    place = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        table += struct.pack(">4sII", tag, place + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(
        ">I4xI4s4s4s6H4s24xI12s",
        *(place + len(body), 0x04300000, b"mntr", b"RGB ", b"XYZ "),
        *(2024, 1, 1, 0, 0, 0, b"acsp"),  # a date that does not change, so that the same image gives the same bytes
        *(0, _fixed(*_D50)),
    )
    return header.ljust(128, b"\0") + table + body
