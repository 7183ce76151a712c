"""The mark of an image that enhance made: an entry of its XMP's history (XMP specification, part 2, ResourceEvent).

    <xmpMM:History><rdf:Seq>
      <rdf:li stEvt:action="edited" stEvt:softwareAgent="enhance 1.0"
              stEvt:parameters="enhance:method=clode; enhance:settings=3f0c7e1d92ab4c55; enhance:weights=clode-full-3"/>

It holds no time, so that the same input gives the same bytes. Every other byte of the XMP stays: places are found by
a real parser, whatever prefixes the XMP uses, and a self-contained element is put in there. XMP that cannot be read
(damaged, UTF-16, with a DOCTYPE) is left as it is, without a mark.
"""

from __future__ import annotations

from dataclasses import dataclass

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XMP_MM = "http://ns.adobe.com/xap/1.0/mm/"
_EVENT = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"

MOST_ENTRIES = 20
"""Maximum number of our entries in a history: the oldest are removed, so that XMP stays small."""

_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
)
_NAME = "enhance"
_KEYS = ("method", "settings", "weights", "role")
_PACKET = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
    b'<rdf:RDF xmlns:rdf="%s">\n%s</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end="w"?>'
)


@dataclass(frozen=True, slots=True)
class Mark:
    """What made an image."""

    method: str
    settings: str = ""
    """The digest of the settings (`pipeline.journal.settings_digest`)."""

    weights: str = ""
    """The id of the weights; empty where there were none."""

    version: str = ""
    """Of enhance."""

    role: str = ""
    """Empty for the photo itself, `illustration` for an illustration of it."""


def with_mark(xmp: bytes | None, mark: Mark, *, limit: int | None = None) -> bytes | None:
    """XMP with one more entry in its history; unchanged if it cannot be read, or if there is no space.

    Args:
        xmp: a packet, with or without its wrapper; None for an image that has none.
        mark: what to enter.
        limit: the most bytes that it may take. Padding before the packet's end is used up before the mark is left out.
    """
    if not xmp:
        made = _PACKET % (_RDF.encode(), _description(None, mark))
        return made if limit is None or len(made) <= limit else xmp
    from enhance_cli.imaging import history

    found = history.read(xmp)
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
    if not xmp:
        return None
    from enhance_cli.imaging import history

    found = history.read(xmp)
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
        f"stEvt:softwareAgent={_quoted(agent)} stEvt:parameters={_quoted(parameters)}/>"
    )
    return text.encode("ascii", "xmlcharrefreplace")


def _description(about: str | None, mark: Mark) -> bytes:
    """A description of the same resource that holds nothing but a history."""
    head = f'<rdf:Description xmlns:rdf="{_RDF}" xmlns:xmpMM="{_XMP_MM}" rdf:about={_quoted(about or "")}>'
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


def _quoted(text: str) -> str:
    """An attribute's value. What `xml.sax.saxutils` does for it costs a start the modules of a network client."""
    return '"' + text.translate(_ESCAPES) + '"'
