"""The mark of a picture that enhance made: an entry of its XMP's history (XMP specification, part 2, ResourceEvent).

    <xmpMM:History><rdf:Seq>
      <rdf:li stEvt:action="edited" stEvt:softwareAgent="enhance 1.0"
              stEvt:parameters="enhance:method=clode; enhance:settings=3f0c7e1d92ab4c55; enhance:weights=clode-full-3"/>

It holds no time, so that the same input gives the same bytes. Every other byte of the XMP stays: places are found by
a real parser, whatever prefixes the XMP uses, and a self-contained element is put in there. XMP that cannot be read
(damaged, UTF-16, with a DOCTYPE) is left as it is, without a mark.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pyexpat import ExpatError, ParserCreate
from typing import NamedTuple
from xml.sax.saxutils import quoteattr

JPEG_LIMIT = 65_502
"""Bytes of the one XMP packet that a JPEG holds beside its header."""

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XMP_MM = "http://ns.adobe.com/xap/1.0/mm/"
_EVENT = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
_DEEPEST, _MOST_NAMESPACES, _MOST_ELEMENTS = 64, 500, 50_000
"""Elements within elements, and prefixes and elements in all; no XMP has as many, and a hostile one costs no time."""

MOST_ENTRIES = 20
"""Of ours in a history: the oldest go, so that a photograph that is enhanced again and again keeps a small XMP."""

_NAME = "enhance"
_KEYS = ("method", "settings", "weights", "role")
_PACKET = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
    b'<rdf:RDF xmlns:rdf="%s">\n%s</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end="w"?>'
)


@dataclass(frozen=True, slots=True)
class Mark:
    """What made a picture."""

    method: str
    settings: str = ""
    """The digest of the settings (`pipeline.journal.settings_digest`)."""

    weights: str = ""
    """The id of the weights; empty where there were none."""

    version: str = ""
    """Of enhance."""

    role: str = ""
    """Empty for the photograph itself, `illustration` for a picture that was drawn beside it."""


def with_mark(xmp: bytes | None, mark: Mark, *, limit: int | None = None) -> bytes | None:
    """XMP with one entry more in its history; as it was where it cannot be read, or where there is no room.

    Args:
        xmp: a packet, with or without its wrapper; None for a picture that has none.
        mark: what to enter.
        limit: the most bytes that it may take. Padding before the packet's end is used up before the mark is left out.
    """
    if not xmp:
        made = _PACKET % (_RDF.encode(), _description(None, mark))
        return made if limit is None or len(made) <= limit else xmp
    found = _read(xmp)
    if found is None or found.place is None:
        return xmp
    place = found.place
    if place.kind == "seq":
        added = _entry(mark)
    elif place.kind == "rdf":
        added = _description(found.about, mark)
    else:
        return xmp
    ours = [event for event in found.events if event.is_ours]
    start, end, tag = place.start, place.start, xmp[place.start : place.end]
    if place.self_closing:
        name = tag[1:].split(None, 1)[0].rstrip(b"/>")
        added, end = tag[:-2] + b">" + added + b"</" + name + b">", place.end
    kept, position = [], 0
    for event in ours[: 1 - MOST_ENTRIES] if len(ours) >= MOST_ENTRIES else ():
        kept.append(xmp[position : event.start])
        position = event.end
    marked = b"".join((*kept, xmp[position:start], added, xmp[end:]))
    if limit is not None and len(marked) > limit:
        marked = _without_padding(marked, len(marked) - limit)
        if len(marked) > limit:
            return xmp
    return marked


def mark_of(xmp: bytes | None) -> Mark | None:
    """The latest mark in XMP, in whichever of RDF's spellings another program wrote it back; None without one."""
    found = _read(xmp) if xmp else None
    for event in reversed(found.events) if found else ():
        _, version = (*event.properties.get("softwareAgent", "").split(None, 1), "", "")[:2]
        parts = [part.strip().partition("=") for part in event.properties.get("parameters", "").split(";")]
        values = {name.removeprefix(f"{_NAME}:"): value for name, _, value in parts if name.startswith(f"{_NAME}:")}
        if event.is_ours and values.get("method"):
            return Mark(version=version, **{key: values.get(key, "") for key in _KEYS})
    return None


# --- writing -----------------------------------------------------------------------------------------------


def _entry(mark: Mark) -> bytes:
    """The list item; it declares its own prefixes, and so fits into any XMP."""
    values = [(key, getattr(mark, key)) for key in _KEYS]
    parameters = "; ".join(f"{_NAME}:{key}={value.replace(';', ',')}" for key, value in values if value)
    agent = f"{_NAME} {mark.version}".strip()
    text = (
        f'<rdf:li xmlns:rdf="{_RDF}" xmlns:stEvt="{_EVENT}" stEvt:action="edited" '
        f"stEvt:softwareAgent={quoteattr(agent)} stEvt:parameters={quoteattr(parameters)}/>"
    )
    return text.encode("ascii", "xmlcharrefreplace")


def _description(about: str | None, mark: Mark) -> bytes:
    """A description of the same resource that holds nothing but a history."""
    head = f'<rdf:Description xmlns:rdf="{_RDF}" xmlns:xmpMM="{_XMP_MM}" rdf:about={quoteattr(about or "")}>'
    head += "<xmpMM:History><rdf:Seq>"
    tail = b"</rdf:Seq></xmpMM:History></rdf:Description>\n"
    return head.encode("ascii", "xmlcharrefreplace") + _entry(mark) + tail


def _without_padding(xmp: bytes, wanted: int) -> bytes:
    """XMP with up to `wanted` bytes fewer of the white space before the packet's end."""
    end = xmp.rfind(b"<?xpacket")
    if end <= 0:
        return xmp
    body = len(xmp[:end].rstrip(b" \t\r\n"))
    return xmp[: max(body, end - wanted)] + xmp[end:]


# --- reading -----------------------------------------------------------------------------------------------


class _Place(NamedTuple):
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
class _Event:
    """An entry of the history."""

    start: int
    end: int
    properties: dict[str, str] = field(default_factory=dict)

    @property
    def is_ours(self) -> bool:
        return self.properties.get("softwareAgent", "").split(None, 1)[:1] == [_NAME]


@dataclass(slots=True)
class _Found:
    place: _Place | None = None
    about: str | None = None
    events: list[_Event] = field(default_factory=list)


def _read(xmp: bytes) -> _Found | None:
    """Walk through XMP; None where it is none or is damaged before the end of its rdf:RDF."""
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
        self.found = _Found()
        self.complete = False
        self.text: list[str] = []
        self._seq: _Place | None = None
        self._rdf = self._history = -1
        """Depth of the elements of these names, -1 outside of them."""

        self._had_history = False
        self._count = 0

    def refuse(self, *_: object) -> None:
        """No XMP has a document type, and entities are a way to blow up."""
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
        elif self._rdf >= 0 and depth == self._rdf + 1:  # a node that describes the picture
            about = attributes.get((_RDF, "about"), attributes.get(("", "about")))
            self.found.about = self.found.about or about
            self._had_history = self._had_history or (_XMP_MM, "History") in attributes
        elif self._rdf >= 0 and depth == self._rdf + 2 and element.name == (_XMP_MM, "History"):
            self._history, self._had_history = depth, True
        elif self._history >= 0 and depth == self._history + 2 and element.name == (_RDF, "li"):
            self.found.events.append(_Event(index, index))
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

    def _place(self, kind: str, element: _Element, end_tag: int) -> _Place:
        end = _tag_end(self._data, element.start)
        if self._data[end - 2 : end] == b"/>":
            return _Place(kind, element.start, end, self_closing=True)
        return _Place(kind, end_tag, end_tag, self_closing=False)

    def _note(self, properties: dict[str, str]) -> None:
        self.found.events[-1].properties.update(properties)


def _resolve(name: str, spaces: dict[str, str], *, of_attribute: bool = False) -> tuple[str, str]:
    prefix, colon, local = name.rpartition(":")
    if not colon:
        return ("" if of_attribute else spaces.get("", "")), name
    return spaces.get(prefix, prefix), local


def _tag_end(data: bytes, start: int) -> int:
    """Where the tag that begins at `start` is over; a > within quotes is none."""
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
