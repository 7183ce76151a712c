"""The index of further images in a JPEG (Multi-Picture Format, CIPA DC-007): read, thinned out and placed.

The index is a TIFF structure in an APP2 segment. It gives the first image and each further one an entry of 16 bytes:
attributes, length, offset from the structure's own beginning, and the numbers of two entries that depend on it.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from typing import NamedTuple

PREFIX = b"MPF\0"

_NUMBER_TAG, _ENTRIES_TAG, _NAMES_TAG = 0xB001, 0xB002, 0xB003
_ENTRY = 16
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}

PREVIEWS = range(0x010000, 0x020000)
STEREO = (0x020002, 0x020003)
GAIN_MAP = 0x050000


class Entry(NamedTuple):
    """An image that the index names."""

    kind: int
    """Its type code: one of the constants above, 0x030000 for the first image, 0 for anything."""

    length: int
    offset: int
    """From the beginning of the index, 0 for the first image."""


class _Index(NamedTuple):
    order: str
    number_at: int | None
    entries_at: int
    size_at: int
    """Of the count in the directory's entry for the entries."""

    names_at: tuple[int, int] | None
    """The count of the unique names, and the names themselves."""

    entries: tuple[Entry, ...]


def entries(index: bytes) -> tuple[Entry, ...]:
    """The images of an index, the first one first; none where it is damaged."""
    found = _read(index)
    return found.entries if found is not None else ()


def relocated(index: bytes, starts: dict[int, int]) -> bytes:
    """The index of those images alone that stay.

    Args:
        index: as in the file.
        starts: for each entry that stays, by number from 0, where it begins behind the first image's end; that of
            the first image itself is of no account.

    Returns:
        An index of the same length whose offsets count from the first image's end; see `placed`.
    """
    found = _read(index)
    assert found is not None
    kept = sorted(starts)
    order, result = found.order, bytearray(index)
    place = found.entries_at
    for new, old in enumerate(kept):
        raw = bytearray(index[place + _ENTRY * old : place + _ENTRY * (old + 1)])
        dependants = (_renumbered(number, kept) for number in struct.unpack_from(order + "HH", raw, 12))
        struct.pack_into(order + "IHH", raw, 8, starts[old] if new else 0, *dependants)
        result[place + _ENTRY * new : place + _ENTRY * (new + 1)] = raw
    for number in range(len(kept), len(found.entries)):
        result[place + _ENTRY * number : place + _ENTRY * (number + 1)] = bytes(_ENTRY)
    struct.pack_into(order + "I", result, found.size_at, _ENTRY * len(kept))
    if found.number_at is not None:
        struct.pack_into(order + "I", result, found.number_at, len(kept))
    if found.names_at is not None:
        count, names = found.names_at
        for new, old in enumerate(kept):
            result[names + 33 * new : names + 33 * (new + 1)] = index[names + 33 * old : names + 33 * (old + 1)]
        struct.pack_into(order + "I", result, count, 33 * len(kept))
    return bytes(result)


def _renumbered(number: int, kept: Collection[int]) -> int:
    """The number, from 1, of an entry once others have gone; 0 where itself has."""
    return sorted(kept).index(number - 1) + 1 if number - 1 in kept else 0


def placed(index: bytes, first_length: int, at: int) -> bytes:
    """A `relocated` index for a file whose first image has that length and whose index begins `at` that offset."""
    found = _read(index)
    assert found is not None
    result = bytearray(index)
    struct.pack_into(found.order + "I", result, found.entries_at + 4, first_length)
    for number, entry in enumerate(found.entries[1:], start=1):
        place = found.entries_at + _ENTRY * number + 8
        struct.pack_into(found.order + "I", result, place, first_length + entry.offset - at)
    return bytes(result)


def _read(index: bytes) -> _Index | None:
    order = _ORDERS.get(index[:4])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(order + "I", index, 4)
        (count,) = struct.unpack_from(order + "H", index, start)
        places = {}
        for number in range(count):
            at = start + 2 + 12 * number
            tag, _, size, value = struct.unpack_from(order + "HHII", index, at)
            places[tag] = (at, size, value)
        at, size, place = places[_ENTRIES_TAG]
        rows = [struct.unpack_from(order + "III", index, place + _ENTRY * row) for row in range(size // _ENTRY)]
        if place + size > len(index) or len(rows) < 1:
            return None
    except (struct.error, KeyError):
        return None
    names = None
    if _NAMES_TAG in places:
        row, length, value = places[_NAMES_TAG]
        if length == 33 * len(rows) and value + length <= len(index):
            names = (row + 4, value)
    number_at = places[_NUMBER_TAG][0] + 8 if _NUMBER_TAG in places else None
    found = (Entry(kind & 0xFFFFFF, length, offset) for kind, length, offset in rows)
    return _Index(order, number_at, place, at + 4, names, tuple(found))
