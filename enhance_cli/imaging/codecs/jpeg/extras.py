"""What a JPEG holds besides its image, found by its structure, and what the enhanced file keeps of it.

After the end marker there may be a motion photo's video, an HDR gain map, a depth map, a stereo partner, previews, or
Samsung's own trailer; three directories list them: the container in XMP (Google), the index of the Multi-Picture
Format, and Samsung's at the very end. Kept is what stays true when the image's tones change. Dropped is a gain map,
which says how the old tones become brighter ones, a preview, which shows the old image, and a C2PA signature, which
signs the old bytes. All directories are then updated. Unknown data is kept unchanged.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from enhance_cli.errors import CorruptPicture
from enhance_cli.imaging import xmp
from enhance_cli.imaging.codecs.jpeg import mpf
from enhance_cli.imaging.codecs.jpeg.segments import JpegHeader, read_header
from enhance_cli.imaging.codecs.lost import DEPTH, DROPPED, GAIN_MAP, SIGNATURE
from enhance_cli.imaging.metadata import Carried, xmp_guid
from enhance_cli.types import Trailer

_PREVIEW, _STEREO, _VIDEO, _PICTURE = "a preview", "a stereo partner", "a motion video", "a further image"
_PREVIEWS_DROPPED = "a preview of the old image inside was left out"
_SEVERAL = {_PICTURE: "further images", _STEREO: "further images of a stereo view", DEPTH: "depth maps"}

_MARKER = rb"\xff[^\x00\xff\xd0-\xd7]"
_DEPTH_ITEMS = ("depth", "confidence")
_SAMSUNG_VIDEO = 0x0A30


@dataclass(slots=True)
class _Part:
    """A range of the data after the image."""

    start: int
    end: int
    what: str
    item: int | None = None
    """Its number in the container's directory."""

    entry: int | None = None
    """Its number in the index of the Multi-Picture Format."""


class Survey(NamedTuple):
    """What to do with a JPEG's extras."""

    carried: Carried
    """The metadata blocks, with XMP limited to claims that stay true."""

    trailer: Trailer | None
    notes: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    """What cannot be kept, each worded for a message."""


def survey(data: bytes, header: JpegHeader, carried: Carried, *, turned: bool) -> Survey:
    """Examine everything in a JPEG besides its image.

    Args:
        data: the whole file.
        header: as read from it.
        carried: its blocks, upright already.
        turned: whether the pixels are turned, so that a depth map no longer fits them.
    """
    end = picture_end(data, header.scan)
    tail = data[end:] if end is not None else b""
    claims = xmp.read(carried.xmp)
    if not tail and claims == xmp.Claims() and not (header.mpf_index or header.signed or header.layered):
        return Survey(carried, None)
    end = end or len(data)
    private = _samsung_start(tail)
    parts = _parts(tail, header, claims, end)
    dropped, notes = [], []
    for part in parts:
        if part.start < private and (part.what in (GAIN_MAP, _PREVIEW) or (part.what == DEPTH and turned)):
            dropped.append(part)
    kept = [part for part in parts if part not in dropped]
    rest = _without(tail, dropped)
    lost = {part.what for part in dropped if part.what != _PREVIEW}
    if claims.depth and turned:
        lost.add(DEPTH)
    if header.signed:
        lost.add(SIGNATURE)
    notes += [DROPPED[what] for what in sorted(lost)]
    if any(part.what == _PREVIEW for part in dropped):
        notes.append(_PREVIEWS_DROPPED)
    if header.mpf_index and not any(part.entry for part in parts):
        notes.append("its index of further images was left out: none of them is there")
    if header.layered:
        lost.add("a JPEG XT layer")
        notes.append("its JPEG XT layer was left out: it belongs to the old tones")
    trailer = None
    if rest.strip(b"\0\xff"):
        trailer = Trailer(rest, _index(header, kept, dropped), _holds(kept, rest, tail))
    carried = _true(carried, claims, dropped, kept, tail=len(tail), turned=turned, signed=header.signed)
    return Survey(carried, trailer, tuple(notes), tuple(sorted(lost)))


# --- where things are --------------------------------------------------------------------------------------


def picture_end(data: bytes, scan: int) -> int | None:
    """The end of the image whose first scan begins there, including its end marker; None if there is none."""
    first = data.find(b"\xff\xd9", scan)
    if first < 0 or first + 2 == len(data):
        return None if first < 0 else len(data)  # usually nothing follows
    position, marker_code = scan, re.compile(_MARKER)
    while found := marker_code.search(data, position):
        marker = data[found.end() - 1]
        if marker == 0xD9:
            return found.end()
        position = found.end()
        if marker != 0x01:
            length = int.from_bytes(data[position : position + 2], "big")
            if length < 2:
                return None
            position += length
    return None


def _parts(tail: bytes, header: JpegHeader, claims: xmp.Claims, end: int) -> list[_Part]:
    """Everything that is listed in a directory and exists, in order."""
    found: dict[int, _Part] = {}
    for number, entry in enumerate(mpf.entries(header.mpf_index)[1:], start=1):
        start = header.mpf_at + entry.offset - end
        if entry.length > 4 and _is_picture(tail, start) and start + entry.length <= len(tail):
            kind = _kind_of_entry(entry.kind)
            found[start] = _Part(start, start + entry.length, kind, entry=number)
    for number, start, item in _placed_items(tail, claims.items):
        part = found.setdefault(start, _Part(start, start + item.length, _PICTURE))
        part.item, part.what = number, _kind_of_item(item) or part.what
    if 0 < claims.video_from_end <= len(tail):
        start = len(tail) - claims.video_from_end
        found.setdefault(start, _Part(start, len(tail), _VIDEO))
    unnamed = _chained(tail, found)
    for part in found.values():
        if part.what in (_PICTURE, _STEREO, _PREVIEW):
            part.what = _kind_by_content(tail[part.start : part.end]) or part.what
    promised = claims.gain_map or header.gain_map or any(item.semantic == "GainMap" for item in claims.items)
    if promised and not any(part.what == GAIN_MAP for part in found.values()) and unnamed is not None:
        found[unnamed.start] = unnamed
    return sorted(found.values(), key=lambda part: part.start)


def _placed_items(tail: bytes, items: tuple[xmp.Item, ...]) -> Iterator[tuple[int, int, xmp.Item]]:
    """Number, beginning and entry of each item of a container that is there.

    They follow each other, so their places count from the image's end. Where something else lies between, they
    count from the file's end, as a motion photo's video does.
    """
    first = 1 if items and items[0].semantic == "Primary" else 0
    ahead = items[0].padding if first else 0
    behind = len(tail) - sum(item.length + item.padding for item in items[first:])
    for number, item in enumerate(items[first:], start=first):
        for start in (ahead, behind):
            if item.length > 4 and 0 <= start <= len(tail) - item.length and _looks_like(tail, start, item.mime):
                yield number, start, item
                break
        ahead += item.length + item.padding
        behind += item.length + item.padding


def _looks_like(tail: bytes, start: int, mime: str) -> bool:
    if mime.startswith("image/jp"):
        return _is_picture(tail, start)
    return tail[start + 4 : start + 8] == b"ftyp" if mime.startswith(("video/", "image/hei", "image/avif")) else True


def _is_picture(tail: bytes, start: int) -> bool:
    return start >= 0 and tail[start : start + 3] == b"\xff\xd8\xff"


def _chained(tail: bytes, found: dict[int, _Part]) -> _Part | None:
    """The first JPEG after the image, or after another such JPEG, that no directory lists."""
    position = 0
    while _is_picture(tail, position):
        part = found.get(position)
        try:
            end = part.end if part is not None else _end_of_further(tail, position)
        except CorruptPicture:
            return None
        if part is None:
            return _Part(position, end, GAIN_MAP)
        position = end
    return None


def _end_of_further(tail: bytes, start: int) -> int:
    picture = tail[start:]
    end = picture_end(picture, read_header(picture).scan)
    return start + end if end is not None else len(tail)


def _samsung_start(tail: bytes) -> int:
    """Where Samsung's trailer begins, whose directory counts backwards from itself; the tail's end where none is."""
    return min((start for start, _ in _samsung_blocks(tail)), default=len(tail))


def _samsung_blocks(tail: bytes) -> Iterator[tuple[int, int]]:
    """Beginning and type of each block of Samsung's trailer."""
    if tail[-4:] != b"SEFT":
        return
    directory = len(tail) - 8 - int.from_bytes(tail[-8:-4], "little")
    if directory < 0 or tail[directory : directory + 4] != b"SEFH":
        return
    count = int.from_bytes(tail[directory + 8 : directory + 12], "little")
    for at in range(directory + 12, min(directory + 12 + 12 * count, len(tail) - 8), 12):
        start = directory - int.from_bytes(tail[at + 4 : at + 8], "little")
        if start >= 0:
            yield start, int.from_bytes(tail[at + 2 : at + 4], "little")


# --- what things are ---------------------------------------------------------------------------------------


def _kind_of_entry(kind: int) -> str:
    if kind == mpf.GAIN_MAP:
        return GAIN_MAP
    if kind in mpf.PREVIEWS:
        return _PREVIEW
    return _STEREO if kind in mpf.STEREO else _PICTURE


def _kind_of_item(item: xmp.Item) -> str | None:
    semantic = item.semantic.lower()
    if semantic == "gainmap":
        return GAIN_MAP
    if any(word in semantic for word in _DEPTH_ITEMS):
        return DEPTH
    return _VIDEO if item.mime.startswith("video/") or semantic == "motionphoto" else None


def _kind_by_content(picture: bytes) -> str | None:
    """The kind of a further image, from its own metadata."""
    try:
        header = read_header(picture)
    except CorruptPicture:
        return None
    claims = xmp.read(header.carried.xmp)
    if header.gain_map or claims.gain_map:
        return GAIN_MAP
    return DEPTH if any(word in claims.auxiliary for word in ("depth", "disparity")) else None


def _holds(kept: list[_Part], rest: bytes, tail: bytes) -> str:
    """What is kept, in words."""
    counts = Counter(part.what for part in kept)
    if not counts[_VIDEO] and any(kind == _SAMSUNG_VIDEO for _, kind in _samsung_blocks(tail)):
        counts[_VIDEO] = 1
    words = [what if count == 1 else f"{count} {_SEVERAL.get(what, what)}" for what, count in counts.items() if count]
    return " and ".join(words) or f"what follows the image ({len(rest):,} bytes of no known kind)"


# --- what is written ---------------------------------------------------------------------------------------


def _without(tail: bytes, dropped: list[_Part]) -> bytes:
    rest, position = [], 0
    for part in dropped:
        if part.end > position:
            rest.append(tail[position : max(part.start, position)])
            position = part.end
    return b"".join((*rest, tail[position:]))


def _before(position: int, dropped: list[_Part]) -> int:
    """Where a position of the tail lies once parts are dropped."""
    return position - sum(min(part.end, position) - part.start for part in dropped if part.start < position)


def _index(header: JpegHeader, kept: list[_Part], dropped: list[_Part]) -> bytes | None:
    """The index of the images that stay, as `mpf.placed` takes it; None where there are none."""
    starts = {part.entry: _before(part.start, dropped) for part in kept if part.entry is not None}
    return mpf.relocated(header.mpf_index, {0: 0, **starts}) if starts else None


def _true(
    carried: Carried,
    claims: xmp.Claims,
    dropped: list[_Part],
    kept: list[_Part],
    *,
    tail: int,
    turned: bool,
    signed: bool,
) -> Carried:
    """The blocks without what XMP no longer may claim."""
    if carried.xmp is None:
        return carried
    extension = carried.xmp_extension
    name = b"" if claims.extended and extension is None else None  # a part of it is missing
    no_depth = claims.depth and (turned or name == b"")
    if extension is not None and no_depth:
        extension = xmp.edited(extension, drop_depth=True)
        name = b"" if extension is None else xmp_guid(extension)
    gone = {part.item for part in dropped if part.item is not None}
    gone |= {number for number, item in enumerate(claims.items) if item.semantic == "GainMap"}
    video = None
    if claims.video_from_end:
        start = tail - claims.video_from_end
        video = claims.video_from_end - sum(part.end - part.start for part in dropped if part.start >= start)
    edited = xmp.edited(
        carried.xmp,
        drop_items=gone,
        drop_gain_map=True,
        drop_depth=no_depth,
        drop_provenance=signed,
        video_from_end=video,
        extension=name,
    )
    return carried if edited is None else carried._replace(xmp=edited, xmp_extension=extension)
