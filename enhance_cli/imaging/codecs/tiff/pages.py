"""The directories of a TIFF: which of its pages is the image, what kind it is, and what its description promises."""

from __future__ import annotations

import json
import math
import re
import struct
from typing import NamedTuple

_TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_WANTED = (254, 255, 256, 257, 258, 259, 262, 270, 277, 284, 330, 338, 339)
_MOST_PAGES, _MOST_VALUES = 10_000, 4096

READ = "enhance reads grey, RGB and RGBA of 8 and 16 bits, 8-bit CMYK and Lab, palettes, and floats of 0 to 1"
_COLOURS = {
    0: ("grey", 1),
    1: ("grey", 1),
    2: ("RGB", 3),
    3: ("palette", 1),
    4: ("mask", 1),
    5: ("CMYK", 4),
    6: ("YCbCr", 3),
    8: ("Lab", 3),
    9: ("Lab", 3),
    10: ("Lab", 3),
    32803: ("undeveloped sensor", 1),
    34892: ("undeveloped sensor", 3),
    32844: ("LogL", 1),
    32845: ("LogLuv", 3),
}
"""Photometric interpretation: what it is called, and how many channels it has without extra ones."""

_COMPRESSIONS = {
    2: "CCITT",
    3: "CCITT",
    4: "CCITT",
    6: "old JPEG",
    7: "JPEG",
    9: "JBIG",
    10: "JBIG",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34661: "JBIG",
    34676: "SGI LogLuv",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "JPEG",
    34925: "LZMA",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
"""Compressions that not every decoder knows."""

_PLAIN_COMPRESSIONS = (1, 5, 8, 32773, 32946)  # none, LZW, deflate, PackBits: what reads TIFF reads them
_OF_EIGHT_BITS = (2, 3, 4, 7, 34925, 50000)  # which Pillow reads, and OpenCV not at 16 bits
_RAW_COMPRESSIONS = (32767, 32769, 32770, 34713, 65000, 65535)  # of Sony, Epson, Samsung, Nikon, Kodak, Pentax

_IMAGEJ_STACK = (
    *("images", "channels", "slices", "frames", "hyperstack"),
    *("mode", "loop", "min", "max", "finterval", "fps"),
)
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


class Page(NamedTuple):
    """One directory."""

    offset: int
    tags: dict[int, tuple[int, ...]]
    """Those that matter here and hold whole numbers."""

    def value(self, tag: int, default: int = 0) -> int:
        """The first number of a tag."""
        return self.tags.get(tag, (default,))[0]

    @property
    def is_smaller_copy(self) -> bool:
        """Whether it says that it is a reduced version of another page."""
        return bool(self.value(254) & 1) or self.value(255) == 2

    @property
    def is_mask(self) -> bool:
        """Whether it says that it is another page's transparency mask."""
        return bool(self.value(254) & 4)

    @property
    def is_float(self) -> bool:
        """Whether its samples are floating-point numbers of 32 or 64 bits."""
        return self.value(339, 1) == 3 and set(self.tags.get(258, ())) in ({32}, {64})


class Layout(NamedTuple):
    """The pages of a file."""

    picture: Page
    """The first that is no smaller copy of another."""

    first: bool
    """Whether that is the file's first page."""

    others: int
    """Further pages that are images of their own, or masks."""

    copies: int
    """Smaller copies of pages."""


def layout(data: bytes) -> Layout | None:
    """Find the pages of a TIFF or BigTIFF, those in sub-directories too; None where no directory can be read."""
    pages = _pages(data)
    if not pages:
        return None
    full = [page for page in pages if not page.is_smaller_copy and not page.is_mask]
    picture = full[0] if full else pages[0]
    rest = [page for page in pages if page is not picture]
    copies = sum(page.is_smaller_copy for page in rest)
    others = max(len(rest) - copies, _promised(picture) - 1)
    return Layout(picture, picture is pages[0], others, copies)


def is_developed(data: bytes) -> bool:
    """Whether a file holds a full page of an ordinary kind, and none of a sensor's own data."""
    pages = _pages(data)
    full = [page for page in pages if not page.is_smaller_copy and not page.is_mask]
    is_sensor = any(page.value(262) > 32000 or page.value(259, 1) in _RAW_COMPRESSIONS for page in pages)
    return not is_sensor and any(page.value(262, -1) in _COLOURS and page.value(256) for page in full)


def beginning_with(data: bytes, page: Page) -> bytes:
    """The same file with that page as its first."""
    order = "<" if data[:2] == b"II" else ">"
    if data[2:4] in (b"+\0", b"\0+"):
        return data[:8] + struct.pack(order + "Q", page.offset) + data[16:]
    return data[:4] + struct.pack(order + "I", page.offset) + data[8:]


def unread_coding(page: Page, magic: bytes) -> str | None:
    """How a page that no decoder read is coded, where that may be why: the end of a sentence as for `refusal`.

    Args:
        page: the page.
        magic: the first four bytes of the file.
    """
    number = page.value(259, 1)
    bits = max(page.tags.get(258, (1,)))
    if number not in _PLAIN_COMPRESSIONS and (bits > 8 or number not in _OF_EIGHT_BITS):
        name = _COMPRESSIONS.get(number, f"kind {number}")
        return f"of {bits} bits in {name} compression, which is damaged or not read"
    return "of the large kind (BigTIFF) in big-endian order, which is not read" if magic == b"MM\0+" else None


def refusal(page: Page) -> str | None:
    """What a page is, where that is no kind that is read: the end of a sentence that begins with `is a TIFF`."""
    bits, form = page.tags.get(258, (1,)), page.value(339, 1)
    channels, photometric = page.value(277, 1), page.value(262, 1)
    colours, base = _COLOURS.get(photometric, (f"photometric kind {photometric}", channels))
    depth = max(bits)
    if form in (5, 6):
        return "of complex numbers"
    if form == 2:
        return f"of signed {depth}-bit integers"
    if form == 3 and not page.is_float:
        return f"of {'half-precision ' * (depth == 16)}floating-point numbers of {depth} bits"
    if depth > 16 and form != 3:
        return f"of {depth}-bit integers"
    if photometric not in _COLOURS or photometric > 32000:
        return f"of {colours} data"
    if channels > base + 1 and (photometric < 2 or depth > 8 or channels > 6):
        return f"of {_NUMBERS[channels] if channels < len(_NUMBERS) else channels} bands"
    if channels < base:
        return f"of {colours} with only {_NUMBERS[channels]} of its channels"
    if depth > 8 and channels > 1 and page.value(284, 1) == 2:
        return f"of {depth}-bit {colours} in separate planes"
    if form == 3 and (photometric > 2 or (photometric < 2 and channels > 1)):
        return f"of {colours} in floating point" + " with alpha" * (channels > base)
    if depth == 16 and (photometric > 2 or (photometric < 2 and channels > 1)):
        return f"of 16-bit {colours}" + " with alpha" * (channels > base)
    if len(set(bits)) > 1 or depth not in (1, 2, 4, 8, 12, 16, 32, 64) or (channels > 1 and depth in (1, 2, 4, 12)):
        return f"of {colours} with {' and '.join(str(item) for item in sorted(set(bits)))} bits per sample"
    if depth == 12 and photometric > 1:
        return f"of 12-bit {colours}"
    return None


# --- descriptions ------------------------------------------------------------------------------------------


def true_description(text: str, height: int, width: int, channels: int) -> str | None:
    """An image description fit for the one page that is written; None where it tells of a whole stack.

    Args:
        text: the description.
        height: of the page, upright.
        width: of the page, upright.
        channels: of the page, alpha included.
    """
    if text.startswith("ImageJ="):
        return "\n".join(line for line in text.split("\n") if line.partition("=")[0] not in _IMAGEJ_STACK)
    if "<OME" in text[:2000]:
        sizes = {name: int(size) for name, size in re.findall(r"\bSize([XYZCT])=\"(\d{1,9})\"", text)}
        whole = (sizes.get("Y"), sizes.get("X"), sizes.get("Z"), sizes.get("T")) == (height, width, 1, 1)
        one = text.count("<Pixels") + text.count(":Pixels ") == 1 and sizes.get("C") == channels
        return text if whole and one and re.search(r"\bType=\"uint(8|16)\"", text) else None
    if text.startswith('{"shape":'):
        try:
            shape = json.loads(text)["shape"]
        except (ValueError, KeyError, RecursionError):
            return None
        return text if shape == ([height, width] if channels == 1 else [height, width, channels]) else None
    return text


def _promised(page: Page) -> int:
    """How many pages a description promises: large stacks have one directory, and the others' pixels behind its own."""
    text = bytes(page.tags.get(270, ())).decode("latin-1")
    if text.startswith("ImageJ=") and (found := re.search(r"^images=(\d{1,9})\s*$", text, re.MULTILINE)):
        return int(found[1])
    if text.startswith('{"shape":') and '"truncated": true' in text:
        counts = [int(number) for number in re.findall(r"\d{1,9}", text.partition("]")[0])]
        one = page.value(256, 1) * page.value(257, 1) * page.value(277, 1)
        return math.prod(counts) // max(one, 1)
    return 1


# --- directories -------------------------------------------------------------------------------------------


def _pages(data: bytes) -> list[Page]:
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return []
    big = data[2:4] in (b"+\0", b"\0+")
    found: dict[int, Page] = {}
    try:
        waiting = [struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0]]
        while waiting and len(found) < _MOST_PAGES:
            offset = waiting.pop(0)
            if offset == 0 or offset in found:
                continue
            tags, following = _directory(data, offset, order, big)
            found[offset] = Page(offset, tags)
            waiting = [following, *waiting, *(tags.get(330, ()))]
    except struct.error:
        pass  # what could be read counts
    return list(found.values())


def _directory(data: bytes, offset: int, order: str, big: bool) -> tuple[dict[int, tuple[int, ...]], int]:
    """The wanted tags of a directory, and where the next one is."""
    head, entry, inline = ("Q", 20, 8) if big else ("H", 12, 4)
    (count,) = struct.unpack_from(order + head, data, offset)
    start = offset + struct.calcsize("=" + head)
    if start + entry * count > len(data):
        raise struct.error("this directory is cut short")  # the kind of image is unknown
    tags: dict[int, tuple[int, ...]] = {}
    for at in range(start, start + entry * count, entry):
        tag, kind = struct.unpack_from(order + "HH", data, at)
        if tag not in _WANTED or kind not in _TYPES:
            continue
        (number,) = struct.unpack_from(order + ("Q" if big else "I"), data, at + 4)
        number = min(number, _MOST_VALUES)
        value = at + 4 + inline
        layout_of = f"{order}{number}{_TYPES[kind]}"
        if struct.calcsize(layout_of) > inline:
            (value,) = struct.unpack_from(order + ("Q" if big else "I"), data, value)
        if number:
            tags[tag] = struct.unpack_from(layout_of, data, value)
    end = start + entry * count
    following = struct.unpack_from(order + ("Q" if big else "I"), data, end)[0] if end + inline <= len(data) else 0
    return tags, following
