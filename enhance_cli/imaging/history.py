"""The history in an image's XMP: its entries, and where one more can be put in.

Positions are found by a real parser, whatever prefixes the XMP uses. Separate from `marks`, because an image without
XMP needs no parser.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pyexpat import ExpatError, ParserCreate
from typing import NamedTuple

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XMP_MM = "http://ns.adobe.com/xap/1.0/mm/"
_EVENT = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
_DEEPEST, _MOST_NAMESPACES, _MOST_ELEMENTS = 64, 500, 50_000
"""Limits on nesting and on the number of prefixes and elements; real XMP has fewer, malicious XMP is refused early."""

NAME = "enhance"
"""The software agent of our own entries."""


class Place(NamedTuple):
    """Where something can be put in: before an end tag, or in place of a tag that closes itself."""

    kind: str
    """`seq`, an existing history's list; `rdf`, the end of rdf:RDF; `none`, a history that holds no list."""

    start: int
    end: int
    self_closing: bool


class _Element(NamedTuple):
    name: tuple[str, str]
    """Namespace and local name."""

    start: int
    spaces: dict[str, str]
    attributes: dict[tuple[str, str], str]


@dataclass(slots=True)
class Event:
    """An entry of the history."""

    start: int
    end: int
    properties: dict[str, str] = field(default_factory=dict)

    @property
    def is_ours(self) -> bool:
        """Whether enhance made it."""
        return self.properties.get("softwareAgent", "").split(None, 1)[:1] == [NAME]


@dataclass(slots=True)
class Found:
    """The relevant parts of a document."""

    place: Place | None = None
    about: str | None = None
    events: list[Event] = field(default_factory=list)


def read(xmp: bytes) -> Found | None:
    """Parse XMP; None if it is not XMP or is damaged before the end of its rdf:RDF."""
    body = xmp.rstrip(b"\0")
    if b"\0" in body:  # UTF-16 or UTF-32, where offsets and what is put in would be others
        return None
    walk = _Walk(body)
    try:
        parser = ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = lambda name, values: walk.start(parser.CurrentByteIndex, name, values)
        parser.EndElementHandler = lambda name: walk.end(parser.CurrentByteIndex)
        parser.CharacterDataHandler = walk.text.append
        parser.StartDoctypeDeclHandler = walk.refuse
        parser.Parse(body, True)
    except (ExpatError, LookupError, ValueError):
        # What follows the packet's end is often padding of another kind; what was cut off before is no packet.
        return walk.found if walk.complete else None
    return walk.found if walk.complete else None


class _Walk:
    """Notes what matters of a document while the parser goes through it."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._open: list[_Element] = []
        self.found = Found()
        self.complete = False
        self.text: list[str] = []
        self._seq: Place | None = None
        self._rdf = self._history = -1
        """Depth of the elements of these names, -1 outside of them."""

        self._had_history = False
        self._count = 0

    def refuse(self, *_: object) -> None:
        """Refuse document types: XMP has none, and entities can expand without limit."""
        raise ValueError

    def start(self, index: int, name: str, values: dict[str, str]) -> None:
        """An element begins."""
        spaces = self._open[-1].spaces if self._open else {}
        declared = {key[6:]: value for key, value in values.items() if key == "xmlns" or key.startswith("xmlns:")}
        if declared:
            spaces = {**spaces, **declared}
        attributes = {
            _resolve(key, spaces, of_attribute=True): value
            for key, value in values.items()
            if not key.startswith("xmlns")
        }
        element = _Element(_resolve(name, spaces), index, spaces, attributes)
        self._open.append(element)
        depth = len(self._open) - 1
        self._count += 1
        if depth > _DEEPEST or len(spaces) > _MOST_NAMESPACES or self._count > _MOST_ELEMENTS:
            raise ValueError
        self.text.clear()
        if element.name == (_RDF, "RDF") and self._rdf < 0 and not self.complete:
            self._rdf = depth
        elif self._rdf >= 0 and depth == self._rdf + 1:  # a node that describes the image
            about = attributes.get((_RDF, "about"), attributes.get(("", "about")))
            self.found.about = self.found.about or about
            self._had_history = self._had_history or (_XMP_MM, "History") in attributes
        elif self._rdf >= 0 and depth == self._rdf + 2 and element.name == (_XMP_MM, "History"):
            self._history, self._had_history = depth, True
        elif self._history >= 0 and depth == self._history + 2 and element.name == (_RDF, "li"):
            self.found.events.append(Event(index, index))
        if self._history >= 0 and self.found.events and depth >= self._history + 2:
            self._note({local: value for (space, local), value in attributes.items() if space == _EVENT})

    def end(self, index: int) -> None:
        """An element ends, with an end tag at `index` unless its start tag closed it."""
        element = self._open.pop()
        depth = len(self._open)
        if self._history >= 0 and depth > self._history + 2 and element.name[0] == _EVENT and self.found.events:
            self._note({element.name[1]: "".join(self.text)})
        elif self._history >= 0 and depth == self._history + 2 and element.name == (_RDF, "li"):
            place = self._place("li", element, index)
            self.found.events[-1].end = place.end if place.self_closing else _tag_end(self._data, index)
        elif self._history >= 0 and depth == self._history + 1:
            if element.name[0] == _RDF and element.name[1] in ("Seq", "Bag", "Alt") and self._seq is None:
                self._seq = self._place("seq", element, index)
        elif depth == self._history:
            self._history = -1
        elif depth == self._rdf:
            self._rdf, self.complete = -1, True
            self.found.place = self._seq or self._place("none" if self._had_history else "rdf", element, index)
        self.text.clear()

    def _place(self, kind: str, element: _Element, end_tag: int) -> Place:
        end = _tag_end(self._data, element.start)
        if self._data[end - 2 : end] == b"/>":
            return Place(kind, element.start, end, self_closing=True)
        return Place(kind, end_tag, end_tag, self_closing=False)

    def _note(self, properties: dict[str, str]) -> None:
        self.found.events[-1].properties.update(properties)


def _resolve(name: str, spaces: dict[str, str], *, of_attribute: bool = False) -> tuple[str, str]:
    prefix, colon, local = name.rpartition(":")
    if not colon:
        return ("" if of_attribute else spaces.get("", "")), name
    return spaces.get(prefix, prefix), local


def _tag_end(data: bytes, start: int) -> int:
    """Where the tag that begins at `start` ends; a > within quotes does not end it."""
    quote = 0
    for position in range(start, len(data)):
        byte = data[position]
        if quote:
            quote = 0 if byte == quote else quote
        elif byte in b"\"'":
            quote = byte
        elif byte == ord(">"):
            return position + 1
    return len(data)
