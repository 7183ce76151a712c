"""The mark in XMP: found again in every kind of XMP, and nothing else is touched."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhance_cli.imaging.codecs.jpeg import XMP_LIMIT
from enhance_cli.imaging.marks import MOST_ENTRIES, Mark, mark_of, with_mark

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
MM = "http://ns.adobe.com/xap/1.0/mm/"
EVENT = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
MARK = Mark("clode", "3f0c7e1d92ab4c55", 'full <3> & "more"', "1.0")
OTHER = Mark("retinex", "0123456789abcdef", version="2.0")


def packet(inside, *, rdf="rdf", padding=0):
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        f'<{rdf}:RDF xmlns:{rdf}="{RDF}">{inside}</{rdf}:RDF></x:xmpmeta>{" " * padding}<?xpacket end="w"?>'
    ).encode()


def history(inside, *, mm="xmpMM", rdf="rdf"):
    return (
        f'<{rdf}:Description {rdf}:about="" xmlns:{mm}="{MM}" xmlns:stEvt="{EVENT}">'
        f"<{mm}:History>{inside}</{mm}:History></{rdf}:Description>"
    )


KINDS = {
    "attributes only": packet('<rdf:Description rdf:about="uuid:1" xmlns:d="urn:d" d:a="x > y"/>'),
    "nothing described": packet(""),
    "several descriptions": packet(
        '<rdf:Description rdf:about=""/><rdf:Description rdf:about=""><a xmlns="u"/></rdf:Description>'
    ),
    "other prefixes": packet(history("<r:Seq><r:li stEvt:action='saved'/></r:Seq>", mm="m", rdf="r"), rdf="r"),
    "an empty history": packet(history("<rdf:Seq/>")),
    "a history": packet(
        history("<rdf:Seq><rdf:li rdf:parseType='Resource'><stEvt:action>saved</stEvt:action></rdf:li></rdf:Seq>")
    ),
    "padding": packet('<rdf:Description rdf:about=""/>', padding=2000),
    "no wrapper": f'<rdf:RDF xmlns:rdf="{RDF}"/>'.encode(),
    "NUL behind": packet("") + b"\0\0",
    "a byte order mark": b"\xef\xbb\xbf" + packet(""),
}
UNREADABLE = {
    "no XMP": b"no XMP at all",
    "cut": KINDS["a history"][:-60][:200],
    "UTF-16": packet("").decode().encode("utf-16"),
    "no RDF": b"<x/>",
    "a history without a list": packet(history("")),
    "a document type": b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + packet(""),
    "nested without end": b"<a>" * 5000,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_xmp_takes_marks_and_keeps_the_rest(kind):
    xmp = KINDS[kind]
    assert mark_of(xmp) is None
    once = with_mark(xmp, MARK)
    assert mark_of(once) == MARK
    twice = with_mark(once, OTHER)
    assert mark_of(twice) == OTHER
    assert twice.count(b"<stEvt:action>saved") == xmp.count(b"<stEvt:action>saved")
    tree = ET.fromstring(twice.rstrip(b"\0"))
    assert len(tree.findall(f".//{{{MM}}}History")) == 1
    assert len(tree.findall(f".//{{{MM}}}History/{{{RDF}}}Seq/{{{RDF}}}li")) == 2 + xmp.count(b"saved")
    head = next(size for size in range(len(once)) if xmp[: size + 1] != once[: size + 1])
    tail = next(size for size in range(len(once)) if xmp[len(xmp) - size - 1 :] != once[len(once) - size - 1 :])
    assert head + tail >= len(xmp) - len(b"/")  # but for a tag that had closed itself, one insertion


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_cannot_be_read_stays_as_it_is(kind):
    assert with_mark(UNREADABLE[kind], MARK) == UNREADABLE[kind]
    assert mark_of(UNREADABLE[kind]) is None


def test_without_xmp_a_packet_is_made():
    assert mark_of(with_mark(None, MARK)) == MARK
    assert mark_of(None) is None


@pytest.mark.parametrize(
    "event",
    [
        '<rdf:li stEvt:softwareAgent="enhance 1.0" stEvt:parameters="enhance:method=clode"/>',
        '<rdf:li rdf:parseType="Resource"><stEvt:softwareAgent>enhance 1.0</stEvt:softwareAgent>'
        "<stEvt:parameters>enhance:method=clode</stEvt:parameters></rdf:li>",
        '<rdf:li><rdf:Description stEvt:softwareAgent="enhance 1.0"><stEvt:parameters>enhance:method=clode'
        "</stEvt:parameters></rdf:Description></rdf:li>",
    ],
)
def test_a_mark_that_another_program_wrote_back_is_known(event):
    later = '<rdf:li stEvt:action="saved" stEvt:softwareAgent="Photo Editor 9"/>'
    assert mark_of(packet(history(f"<rdf:Seq>{event}{later}</rdf:Seq>"))) == Mark("clode", version="1.0")


def test_others_entries_are_no_marks():
    for agent, parameters in (("enhance 1.0", "converted"), ("Enhancer 1.0", "enhance:method=x"), ("", "")):
        event = f'<rdf:li stEvt:softwareAgent="{agent}" stEvt:parameters="{parameters}"/>'
        assert mark_of(packet(history(f"<rdf:Seq>{event}</rdf:Seq>"))) is None


@pytest.mark.parametrize("kind", ["padding", "a history", "an empty history", "other prefixes"])
def test_a_history_keeps_the_latest_entries_of_ours(kind):
    marked, sizes = KINDS[kind], []
    for number in range(3 * MOST_ENTRIES):
        marked = with_mark(marked, replace(MARK, settings=f"{number:016}"))
        sizes.append(len(marked))
    assert sizes[-1] == sizes[MOST_ENTRIES - 1]
    digests = re.findall(rb"enhance:settings=(\d+)", marked)
    assert digests == [b"%016d" % number for number in range(2 * MOST_ENTRIES, 3 * MOST_ENTRIES)]
    assert mark_of(marked).settings == f"{3 * MOST_ENTRIES - 1:016}"
    # All else is as it was, entries of others among it.
    entry = rb"<rdf:li xmlns:rdf=[^>]*enhance [^>]*/>"
    assert re.sub(entry, b"", marked) == re.sub(entry, b"", with_mark(KINDS[kind], MARK))


def test_entries_of_ours_that_others_wrote_anew_are_left_out_too():
    written = "<rdf:li rdf:parseType='Resource'><stEvt:softwareAgent>enhance 1</stEvt:softwareAgent></rdf:li >"
    other = "<rdf:li stEvt:softwareAgent='Editor'/>"
    marked = with_mark(packet(history(f"<rdf:Seq>{written * 50}{other}</rdf:Seq>")), MARK)
    assert marked.count(b"softwareAgent>enhance") == MOST_ENTRIES - 1
    assert other.encode() in marked
    ET.fromstring(marked)


def test_the_limit_of_a_jpeg_takes_padding_or_no_mark():
    padded = packet("", padding=XMP_LIMIT - len(packet("")))
    marked = with_mark(padded, MARK, limit=XMP_LIMIT)
    assert len(marked) == len(padded) == XMP_LIMIT
    assert mark_of(marked) == MARK
    full = packet(f"<rdf:Description rdf:about='{'a' * (XMP_LIMIT - 300)}'/>")
    assert with_mark(full, MARK, limit=XMP_LIMIT) == full


@given(st.binary(max_size=400))
def test_any_bytes_are_marked_or_left(data):
    assert mark_of(data) is None
    marked = with_mark(data, MARK)
    assert mark_of(marked) == (None if data else MARK)
    assert marked == data or not data


@given(st.sampled_from(sorted(KINDS)), st.integers(0, 600), st.binary(max_size=5), st.integers(0, 5))
def test_damaged_xmp_is_marked_or_left(kind, place, put_in, removed):
    xmp = KINDS[kind]
    place %= len(xmp)
    xmp = xmp[:place] + put_in + xmp[place + removed :]
    marked = with_mark(xmp, MARK)
    assert mark_of(marked) == MARK or marked == xmp
