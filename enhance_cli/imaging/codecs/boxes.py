"""What HEIF, AVIF and JPEG XL hold besides their image, from their boxes (ISO 14496-12, 23008-12, 18181-2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from enhance_cli.imaging.codecs.lost import DEPTH, FURTHER, GAIN_MAP, SEQUENCE, SIGNATURE

_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_PICTURES = (b"hvc1", b"av01", b"avc1", b"vvc1", b"j2k1", b"jpeg", b"unci", b"grid", b"iden", b"iovl")

_MOST = 100_000  # of boxes; no real file has as many


def brands(data: bytes) -> list[bytes]:
    """The brands of an ISO media file, the major brand first; empty if it is not such a file."""
    if data[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(data[:4], "big"), 256)
    return [data[8:12], *(data[start : start + 4] for start in range(16, end, 4))]


class _Box(NamedTuple):
    kind: bytes
    start: int
    end: int


def held(data: bytes) -> tuple[str, ...]:
    """What an ISO media file holds that is lost when its image is written anew, each with its article."""
    found: dict[str, None] = {}
    try:
        for box in _boxes(data, 0, len(data)):
            if box.kind == b"meta":
                found |= dict.fromkeys(_items(data, box))
            elif box.kind == b"mpvd":
                found["a motion video"] = None
            elif box.kind == b"sefd":
                found["Samsung's own data"] = None
            elif box.kind == b"moov":
                found[SEQUENCE] = None
            elif (box.kind == b"uuid" and data[box.start : box.start + 16] == _C2PA) or box.kind == b"jumb":
                found[SIGNATURE] = None
            elif box.kind == b"jhgm":
                found[GAIN_MAP] = None
    except (IndexError, RecursionError):
        pass  # damaged boxes: what could be read counts
    return tuple(found)


def _boxes(data: bytes, start: int, end: int) -> Iterator[_Box]:
    for _ in range(_MOST):
        if start + 8 > end:
            return
        size, kind, head = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        elif size == 0:
            size = end - start
        if size < head or start + size > end:
            return
        yield _Box(kind, start + head, start + size)
        start += size


def _items(data: bytes, meta: _Box) -> Iterator[str]:
    """The kinds of items in a file besides its primary image."""
    inside = {box.kind: box for box in _boxes(data, meta.start + 4, meta.end)}
    kinds, hidden = _item_kinds(data, inside.get(b"iinf"))
    references = list(_references(data, inside.get(b"iref")))
    roles = _roles(data, inside.get(b"iprp"))
    box = inside.get(b"pitm")
    primary = 0 if box is None else _number(data, box.start + 4, 2 if data[box.start] == 0 else 4)
    belonging = {origin for kind, origin, _ in references if kind in (b"thmb", b"auxl")}
    belonging |= {target for kind, _, targets in references if kind == b"dimg" for target in targets}
    gain_maps = {item for item, kind in kinds.items() if kind == b"tmap"}
    further = 0
    for kind, origin, _ in references:
        if kind == b"auxl":
            role = roles.get(origin, "")
            if "gainmap" in role:
                gain_maps.add(origin)
            elif not role.endswith(("alpha", ":auxid:1")):
                yield DEPTH if "depth" in role or role.endswith(":auxid:2") else "an auxiliary image"
    for item, kind in kinds.items():
        further += kind in _PICTURES and item != primary and item not in belonging and item not in hidden
    if gain_maps:
        yield GAIN_MAP
    if further:
        yield FURTHER if further == 1 else f"{further} further images"


def _item_kinds(data: bytes, box: _Box | None) -> tuple[dict[int, bytes], set[int]]:
    """The type of each item, and which are hidden."""
    kinds: dict[int, bytes] = {}
    hidden: set[int] = set()
    if box is None:
        return kinds, hidden
    for entry in _boxes(data, box.start + (6 if data[box.start] == 0 else 8), box.end):
        version = data[entry.start]
        if entry.kind == b"infe" and version >= 2:
            wide = 2 if version == 2 else 4
            item = _number(data, entry.start + 4, wide)
            kinds[item] = data[entry.start + 6 + wide : entry.start + 10 + wide]
            if data[entry.start + 3] & 1:
                hidden.add(item)
    return kinds, hidden


def _references(data: bytes, box: _Box | None) -> Iterator[tuple[bytes, int, list[int]]]:
    """Kind, origin and targets of each reference between items."""
    if box is None:
        return
    wide = 2 if data[box.start] == 0 else 4
    for entry in _boxes(data, box.start + 4, box.end):
        count = _number(data, entry.start + wide, 2)
        first = entry.start + wide + 2
        targets = [_number(data, at, wide) for at in range(first, min(first + wide * count, entry.end), wide)]
        yield entry.kind, _number(data, entry.start, wide), targets


def _roles(data: bytes, box: _Box | None) -> dict[int, str]:
    """What each auxiliary image is, in the words of its property."""
    if box is None:
        return {}
    inside = list(_boxes(data, box.start, box.end))
    container = next((item for item in inside if item.kind == b"ipco"), None)
    if container is None:
        return {}
    named = {}
    for number, item in enumerate(_boxes(data, container.start, container.end), start=1):
        if item.kind == b"auxC":
            named[number] = data[item.start + 4 : item.end].partition(b"\0")[0].decode("ascii", "replace").lower()
    roles = {}
    for item in inside:
        if item.kind == b"ipma":
            for owner, number in _associations(data, item):
                if number in named:
                    roles[owner] = named[number]
    return roles


def _associations(data: bytes, box: _Box) -> Iterator[tuple[int, int]]:
    """Item and number of each property that it has."""
    wide_item, wide_number = (2 if data[box.start] == 0 else 4), (2 if data[box.start + 3] & 1 else 1)
    at = box.start + 8
    for _ in range(_number(data, box.start + 4, 4)):
        if at + wide_item >= box.end:
            return
        item, count = _number(data, at, wide_item), data[at + wide_item]
        at += wide_item + 1
        for _ in range(count):
            yield item, _number(data, at, wide_number) & (0x7FFF if wide_number == 2 else 0x7F)
            at += wide_number


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")
