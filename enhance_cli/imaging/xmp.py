"""Reads what XMP says about its file, and removes what is no longer true.

The packet is parsed by expat, and edits cut out bytes at the offsets that it reports, so that everything else stays
byte for byte, including padding and order. The statements of interest concern other parts of a file: a container's
directory of further images and motion video (Google), an HDR gain map (Adobe, Apple), depth (GDepth), and the
orientation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from enhance_cli.imaging.xmp_tree import Element

_LARGEST = 2**25  # of a packet that is parsed; the depth map in an extension takes some megabytes

_TIFF = "http://ns.adobe.com/tiff/1.0/"
_GAIN_MAPS = ("http://ns.adobe.com/hdr-gain-map/1.0/", "http://ns.apple.com/HDRGainMap/1.0/")
_DEPTH = "http://ns.google.com/photos/1.0/depthmap/"
_NOTE = "http://ns.adobe.com/xmp/note/"
_AUXILIARY = "http://ns.apple.com/pixeldatainfo/1.0/"
_TERMS = "http://purl.org/dc/terms/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_WORTH_PARSING = (
    *(b"Orientation", b"HasExtendedXMP", b"provenance"),
    *(b"/container/", b"/camera/", b"depthmap", b"hdr-gain-map", b"HDRGainMap"),
)


class Item(NamedTuple):
    """One entry of a container's directory (Google's Motion Photo, Ultra HDR and Dynamic Depth specifications)."""

    semantic: str
    """`Primary`, `GainMap`, `MotionPhoto`, `Depth` ...; of Dynamic Depth the end of its address, such as `depthmap`."""

    mime: str
    length: int
    padding: int


@dataclass(frozen=True, slots=True)
class Claims:
    """What a packet says of its file."""

    orientation: int | None = None
    items: tuple[Item, ...] = ()
    gain_map: bool = False
    """The image has, or is, a gain map."""

    motion: bool = False
    video_from_end: int = 0
    """The older way of a motion photo: how many bytes from the file's end its video begins."""

    depth: bool = False
    extended: bool = False
    """There is more, outside of the packet."""

    auxiliary: str = ""
    """What Apple says that an auxiliary image is."""


def read(xmp: bytes | None) -> Claims:
    """The claims of a packet; none where it is no well-formed XML."""
    root = _parsed(xmp)
    if root is None:
        return Claims()
    values: dict[tuple[str, str], str] = {}
    camera: dict[str, str] = {}
    namespaces: set[str] = set()
    for name, value in _properties(root):
        values.setdefault(name, value)
        namespaces.add(name[0])
        if name[0].endswith("/camera/"):
            camera.setdefault(name[1], value)
    auxiliary = values.get((_AUXILIARY, "AuxiliaryImageType"), "")
    return Claims(
        orientation=_number(values.get((_TIFF, "Orientation"), "")) or None,
        items=tuple(_item(entry) for entry in _entries(root)),
        gain_map=any(namespace in namespaces for namespace in _GAIN_MAPS) or "hdrgainmap" in auxiliary,
        motion=any(_is_motion(name) for name in camera),
        video_from_end=_number(camera.get("MicroVideoOffset", "")),
        depth=_DEPTH in namespaces,
        extended=(_NOTE, "HasExtendedXMP") in values,
        auxiliary=auxiliary,
    )


def edited(
    xmp: bytes,
    *,
    upright: bool = False,
    drop_items: Collection[int] = (),
    drop_gain_map: bool = False,
    drop_motion: bool = False,
    drop_depth: bool = False,
    drop_provenance: bool = False,
    video_from_end: int | None = None,
    extension: bytes | None = None,
) -> bytes | None:
    """The packet without claims that are no longer true; all else stays byte for byte.

    Args:
        xmp: the packet.
        upright: the orientation is to read 1.
        drop_items: entries of the container's directory by number; if the primary alone stays, the directory goes.
        drop_gain_map: drop what is said of a gain map.
        drop_motion: drop what is said of a motion video.
        drop_depth: drop what is said of a depth map (GDepth).
        drop_provenance: drop the link to a C2PA manifest.
        video_from_end: the new distance of a motion video from the file's end, where one is told.
        extension: the new name (GUID) of the packet's extension; empty if it has gone.

    Returns:
        The edited packet; None where it cannot be parsed.
    """
    if xmp.startswith((b"\xff\xfe", b"\xfe\xff")):
        xmp = xmp.decode("utf-16", "replace").encode()
    root = _parsed(xmp)
    if root is None:
        return None
    cuts: dict[tuple[int, int], bytes] = {}

    def gone(name: tuple[str, str]) -> bool:
        namespace, local = name
        return (
            (drop_gain_map and namespace in _GAIN_MAPS)
            or (drop_depth and namespace == _DEPTH)
            or (drop_motion and namespace.endswith("/camera/") and _is_motion(local))
            or (drop_provenance and name == (_TERMS, "provenance"))
            or (extension == b"" and name == (_NOTE, "HasExtendedXMP"))
        )

    def change(name: tuple[str, str], value: str, start: int, end: int) -> None:
        if upright and name == (_TIFF, "Orientation") and _number(value) in range(2, 9):
            cuts[start, end] = b"1"
        elif video_from_end is not None and name[1] == "MicroVideoOffset":
            cuts[start, end] = b"%d" % video_from_end
        elif extension and name == (_NOTE, "HasExtendedXMP"):
            cuts[start, end] = extension
        elif name[1] == "Length" and _is_item(name[0]) and (start, end) in primary:
            cuts[start, end] = b"0"

    # The primary image's length is that of the file's first part, which is coded anew; 0 says: up to its end.
    primary = {place for entry in _entries(root) if _item(entry).semantic == "Primary" for place in _places(xmp, entry)}
    for element in root.below():
        if gone(element.name):
            cuts[element.start, element.end] = b""
            continue
        for attribute in element.attributes:
            space, local = attribute.name
            if gone(attribute.name) or (space == "xmlns" and _unused(local, drop_gain_map, drop_depth)):
                cuts[attribute.start, attribute.end] = b""
            else:
                change(attribute.name, attribute.value, *attribute.inner)
        if not element.children and element.text.strip():
            change(element.name, element.text, *_text_place(xmp, element))
    _cut_items(root, drop_items, cuts)
    return _cut(xmp, cuts)


def for_picture_alone(xmp: bytes | None, *, extended: bool = False) -> bytes | None:
    """The packet for a file that holds its image and nothing else: all claims to further parts are gone.

    Args:
        xmp: the packet.
        extended: keep what is said of an extension, and of the depth map that is in it.
    """
    claims = read(xmp)
    if xmp is None or claims == Claims():
        return xmp
    drop = range(len(claims.items))
    name = None if extended else b""
    return edited(xmp, drop_items=drop, drop_gain_map=True, drop_motion=True, drop_depth=not extended, extension=name)


def _cut_items(root: Element, drop: Collection[int], cuts: dict[tuple[int, int], bytes]) -> None:
    entries = list(_entries(root))
    if not drop:
        return
    rest = [entry for number, entry in enumerate(entries) if number not in drop]
    if all(_item(entry).semantic == "Primary" for entry in rest):
        cuts.update({(item.start, item.end): b"" for item in root.below() if _is_directory(item)})
    else:
        cuts.update({(entries[number].start, entries[number].end): b"" for number in drop if number < len(entries)})


def _cut(xmp: bytes, cuts: dict[tuple[int, int], bytes]) -> bytes:
    kept, position = [], 0
    for (start, end), instead in sorted(cuts.items(), key=lambda item: (item[0][0], -item[0][1])):
        if start < position:
            continue  # within what is cut already
        kept += [xmp[position:start], instead]
        position = end
    return b"".join((*kept, xmp[position:]))


def _unused(namespace: str, gain_map: bool, depth: bool) -> bool:
    return (gain_map and namespace in _GAIN_MAPS) or (depth and namespace == _DEPTH)


def _is_motion(name: str) -> bool:
    return name.startswith(("MotionPhoto", "MicroVideo"))


def _number(text: str) -> int:
    """The whole number that a text is, 0 where it is none."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


# --- the container's directory -----------------------------------------------------------------------------


def _is_directory(element: Element) -> bool:
    namespace, local = element.name
    return local == "Directory" and "ns.google.com/photos" in namespace and namespace.endswith("/container/")


def _is_item(namespace: str) -> bool:
    return "ns.google.com/photos" in namespace and namespace.endswith("/item/")


def _entries(root: Element) -> Iterator[Element]:
    """The entries of a container's directory, in order."""
    for element in root.below():
        if _is_directory(element):
            yield from (below for below in element.below() if below.name == (_RDF, "li"))
            return


def _item(entry: Element) -> Item:
    values = {name[1]: value for name, value in _properties(entry) if _is_item(name[0])}
    address = values.get("DataURI", "").rpartition("/")[2]
    semantic = values.get("Semantic") or ("Primary" if address == "primary_image" else address)
    length, padding = _number(values.get("Length", "")), _number(values.get("Padding", ""))
    return Item(semantic.strip(), values.get("Mime", "").strip(), length, padding)


def _properties(root: Element) -> Iterator[tuple[tuple[str, str], str]]:
    """Name and text of each property, be it an attribute or an element."""
    for element in root.below():
        yield element.name, element.text.strip()
        yield from ((attribute.name, attribute.value) for attribute in element.attributes)


def _places(xmp: bytes, entry: Element) -> Iterator[tuple[int, int]]:
    """Where the values of an entry lie."""
    for element in entry.below():
        yield from (attribute.inner for attribute in element.attributes)
        yield _text_place(xmp, element)


def _text_place(xmp: bytes, element: Element) -> tuple[int, int]:
    return element.inner, xmp.find(b"<", element.inner)


# --- parsing -----------------------------------------------------------------------------------------------


def _parsed(xmp: bytes | None) -> Element | None:
    """The root of a packet; None where there is nothing to be learned, or no well-formed XML."""
    if not xmp or len(xmp) > _LARGEST:
        return None
    if xmp.startswith((b"\xff\xfe", b"\xfe\xff")):
        xmp = xmp.decode("utf-16", "replace").encode()
    if not any(mark in xmp for mark in _WORTH_PARSING):
        return None
    start = xmp.find(b"<")
    end = xmp.rfind(b">") + 1
    if start < 0:
        return None
    from enhance_cli.imaging.xmp_tree import tree_of

    return tree_of(xmp[:end], start)
