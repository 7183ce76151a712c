"""How a photo was taken, as its EXIF says: when, in what light, and what the photographer or the camera chose."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from enhance_cli.imaging.metadata import BYTE_ORDERS, EXIF_DIRECTORY_TAG, directory, offset

_TAKEN, _FRACTION = 0x9003, 0x9291
_TIME, _APERTURE, _SPEED = 0x829A, 0x829D, 0x8827
_BRIGHTNESS, _BIAS, _FLASH = 0x9203, 0x9204, 0x9209
_EXPOSURE_MODE, _SCENE = 0xA402, 0xA406
_BRACKETED, _NIGHT = 2, 3

_LAYOUTS = {3: "H", 4: "I", 5: "II", 9: "i", 10: "ii"}
"""Numbers of a field by its TIFF type; a rational is two."""

APEX_TO_EV = 5.0
"""Exposure value at ISO 100 of the brightness value 0: Sv of APEX is 5 there."""


@dataclass(frozen=True)
class Shooting:
    """What EXIF says of an exposure; None where it does not say."""

    light: float | None = None
    """Light of the scene as the exposure value at ISO 100: about 15 in the sun, 7 in a bright room, 0 by night.

    From the brightness value, else from aperture, time and sensitivity, without the exposure's bias.
    """

    bias: float | None = None
    """Exposure compensation in stops; None for a frame of a bracket, whose bias is no wish."""

    flash: bool | None = None
    """Whether the flash fired."""

    night: bool = False
    """Whether the camera was set to, or recognised, a night scene."""


def shooting(exif: bytes | None) -> Shooting:
    """Read EXIF; what is damaged counts as not said."""
    order, inner = _inner(exif)
    if exif is None or order is None:
        return Shooting()
    seen = {tag: _number(exif, order, kind, place) for tag, kind, place in inner}
    bias = seen.get(_BIAS)
    told = bias is not None and abs(bias) <= 8.0 and seen.get(_EXPOSURE_MODE) != _BRACKETED
    flash = seen.get(_FLASH)
    return Shooting(
        _light(seen),
        bias if told else None,
        None if flash is None else bool(int(flash) & 1),
        seen.get(_SCENE) == _NIGHT,
    )


def taken(exif: bytes | None) -> float | None:
    """Seconds, from an arbitrary start, at which a photo was taken by its own clock; None where EXIF does not say.

    From DateTimeOriginal, with SubSecTimeOriginal as its fraction.
    """
    order, inner = _inner(exif)
    if exif is None or order is None:
        return None
    try:
        texts = {tag: _text(exif, order, place) for tag, kind, place in inner if kind == 2}
        moment = datetime.strptime(texts[_TAKEN], "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
        fraction = texts.get(_FRACTION, "").strip()
        return moment + (float(f"0.{fraction}") if fraction.isdigit() else 0.0)
    except (struct.error, KeyError, ValueError):
        return None


def _light(seen: dict[int, float | None]) -> float | None:
    brightness = seen.get(_BRIGHTNESS)
    if brightness is not None and -12.0 <= brightness <= 15.0:
        return brightness + APEX_TO_EV
    time, aperture, speed = (seen.get(tag) for tag in (_TIME, _APERTURE, _SPEED))
    if not (time and aperture and speed) or min(time, aperture, speed) <= 0.0:
        return None
    return math.log2(aperture * aperture / time) - math.log2(speed / 100.0) + (seen.get(_BIAS) or 0.0)


def _inner(exif: bytes | None) -> tuple[str | None, list[tuple[int, int, int]]]:
    """The byte order of EXIF, None if there is none, and its directory of the exposure: tag, type, place."""
    order = BYTE_ORDERS.get((exif or b"")[:4])
    if exif is None or order is None:
        return None, []
    try:
        root = {tag: place for tag, _, place in directory(exif, order, offset(exif, order, 4))}
        if EXIF_DIRECTORY_TAG not in root:
            return order, []
        return order, list(directory(exif, order, offset(exif, order, root[EXIF_DIRECTORY_TAG])))
    except struct.error:
        return order, []


def _number(exif: bytes, order: str, kind: int, place: int) -> float | None:
    """The first number of a field; None if it has none, or one without a meaning."""
    layout = _LAYOUTS.get(kind)
    if layout is None:
        return None
    try:
        start = offset(exif, order, place) if len(layout) == 2 else place
        values: tuple[Any, ...] = struct.unpack_from(order + layout, exif, start)
    except struct.error:
        return None
    if len(values) == 1:
        return float(values[0])
    return values[0] / values[1] if values[1] else None


def _text(exif: bytes, order: str, place: int) -> str:
    """The text of a field: within its entry if it has four bytes or less, else where that points."""
    (count,) = struct.unpack_from(order + "I", exif, place - 4)
    start = place if count <= 4 else offset(exif, order, place)
    return exif[start : start + count].split(b"\0")[0].decode("ascii", "replace")
