"""The tree of an XMP packet with the place of every element and attribute, as expat and the packet's own bytes tell it.

Apart from `xmp`, which most images need no parser for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.parsers import expat

_DEEPEST, _MOST_NAMESPACES, _MOST_ELEMENTS = 100, 500, 50_000
"""Limits that no real packet reaches, so that malicious ones are refused early."""

_TAG = re.compile(rb"<([^\s/>]+)((?:\s+[^\s=]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*)\s*(/?)>")
_ATTRIBUTE = re.compile(rb"\s+([^\s=]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")


class Attribute(NamedTuple):
    """An attribute and where it stands."""

    name: tuple[str, str]
    """Namespace and local name; a declaration of a namespace is (`xmlns`, the namespace)."""

    value: str
    start: int
    end: int
    inner: tuple[int, int]
    """Where its value lies, without quotes."""


@dataclass(slots=True)
class Element:
    """An element and where it stands."""

    name: tuple[str, str]
    start: int
    end: int
    attributes: list[Attribute]
    inner: int
    """Where its content begins."""

    children: list[Element] = field(default_factory=list)
    text: str = ""

    def below(self) -> Iterator[Element]:
        """Itself and all in it."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            yield element
            waiting += reversed(element.children)


def tree_of(xmp: bytes, start: int) -> Element | None:
    """The root of a packet that begins at `start`; None where it is no well-formed XML of UTF-8."""
    try:
        return _Reader(xmp, start).root
    except (expat.ExpatError, ValueError, LookupError):
        return None


class _Reader:
    """Builds the tree of a packet with the place of every element and attribute."""

    def __init__(self, xmp: bytes, skipped: int) -> None:
        self.xmp, self.skipped = xmp, skipped
        self.root: Element | None = None
        self.count = 0
        self.open: list[Element] = []
        self.scopes: list[dict[str, str]] = [{"xml": "http://www.w3.org/XML/1998/namespace", "": ""}]
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.Parse(xmp[skipped:], True)

    def _refuse(self, *_: object) -> None:
        raise ValueError("XMP declares no document type")

    def _start(self, _: str, __: dict[str, str]) -> None:
        start = self.parser.CurrentByteIndex + self.skipped
        tag = _TAG.match(self.xmp, start)
        if tag is None:
            raise ValueError("this start tag is not of UTF-8")
        raw = list(_ATTRIBUTE.finditer(self.xmp, tag.start(2), tag.end(2)))
        scope = self.scopes[-1]
        declared = {item[1].decode()[6:]: _value(item) for item in raw if _declares(item[1].decode())}
        if declared:
            scope = {**scope, **declared}
        self.count += 1
        if len(scope) > _MOST_NAMESPACES or len(self.open) > _DEEPEST or self.count > _MOST_ELEMENTS:
            raise ValueError("no XMP is this deep, or this large")
        self.scopes.append(scope)
        attributes = [_attribute(item, scope) for item in raw]
        element = Element(_resolved(tag[1].decode(), scope), start, tag.end(), attributes, tag.end())
        if self.open:
            self.open[-1].children.append(element)
        else:
            self.root = element
        self.open.append(element)

    def _end(self, _: str) -> None:
        element = self.open.pop()
        self.scopes.pop()
        if self.xmp[element.inner - 2 : element.inner] != b"/>":
            place = self.parser.CurrentByteIndex + self.skipped
            element.end = self.xmp.index(b">", place) + 1

    def _text(self, text: str) -> None:
        if self.open:
            self.open[-1].text += text


def _attribute(found: re.Match[bytes], scope: dict[str, str]) -> Attribute:
    name, value = found[1].decode(), _value(found)
    inner = found.span(2) if found[2] is not None else found.span(3)
    if _declares(name):
        return Attribute(("xmlns", value), value, *found.span(), inner)
    resolved = _resolved(name, scope) if ":" in name else ("", name)
    return Attribute(resolved, value, *found.span(), inner)


def _declares(name: str) -> bool:
    return name == "xmlns" or name.startswith("xmlns:")


def _value(found: re.Match[bytes]) -> str:
    return (found[2] if found[2] is not None else found[3]).decode()


def _resolved(name: str, scope: dict[str, str]) -> tuple[str, str]:
    prefix, colon, local = name.partition(":")
    return (scope[prefix], local) if colon else (scope.get("", ""), name)
