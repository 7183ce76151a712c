"""Content besides the image: kept complete or dropped with a note, and never claimed once it is gone."""

from __future__ import annotations

import io
import json
import re
import shutil
import struct
import subprocess
import time
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from typer.testing import CliRunner

from enhance_cli.cli.app import build
from enhance_cli.errors import CorruptPicture, UnsupportedFormat
from enhance_cli.imaging import codecs, marks, metadata, xmp
from enhance_cli.imaging.codecs.jpeg import mpf
from enhance_cli.imaging.codecs.jpeg.segments import read_header
from enhance_cli.types import Image
from tests.pictures import ramps

VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + b"\0\0\x10\0mdat" + bytes(range(256)) * 16
HDRGM = "xmlns:hdrgm='http://ns.adobe.com/hdr-gain-map/1.0/' hdrgm:Version='1.0'"
CAMERA = "xmlns:GCamera='http://ns.google.com/photos/1.0/camera/' "
ISO = (0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4))


def jpeg(*segments: tuple[int, bytes], size: tuple[int, int] = (48, 64), **details: object) -> bytes:
    packed = io.BytesIO()
    Pillow.fromarray(ramps(*size)).save(packed, "JPEG", quality=90, **details)
    data = packed.getvalue()
    head = 4 + int.from_bytes(data[4:6], "big")
    added = b"".join(bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body for marker, body in segments)
    return data[:head] + added + data[head:]


def packet(attributes: str = "", inner: str = "") -> bytes:
    return (
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
        f"<rdf:Description rdf:about='' {attributes}>{inner}</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def xmp_segment(attributes: str = "", inner: str = "") -> tuple[int, bytes]:
    return 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet(attributes, inner)


def container(*items: tuple[str, str, int]) -> str:
    """A directory of the primary image and (type, meaning, length) of what follows."""
    rows = "".join(
        f"<rdf:li rdf:parseType='Resource'><C:Item I:Mime='{mime}' I:Semantic='{meaning}' I:Length='{length}'/>"
        "</rdf:li>"
        for mime, meaning, length in (("image/jpeg", "Primary", 0), *items)
    )
    return (
        "<C:Directory xmlns:C='http://ns.google.com/photos/1.0/container/' "
        f"xmlns:I='http://ns.google.com/photos/1.0/container/item/'><rdf:Seq>{rows}</rdf:Seq></C:Directory>"
    )


def indexed(primary: bytes, *further: tuple[int, bytes], order: str = "<", behind: bytes = b"") -> bytes:
    """A JPEG with an index (MPF) and further images of the given types."""
    count = 1 + len(further)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, 3)
    rows = struct.pack(order + "HHI4s", 0xB000, 7, 4, b"0100")
    rows += struct.pack(order + "HHII", 0xB001, 4, 1, count) + struct.pack(order + "HHII", 0xB002, 7, 16 * count, 50)
    body = b"MPF\0" + head + rows + bytes(4) + bytes(16 * count)
    first = 4 + int.from_bytes(primary[4:6], "big")
    whole = primary[:first] + b"\xff\xe2" + struct.pack(">H", len(body) + 2) + body + primary[first:]
    entries = struct.pack(order + "IIIHH", 0x20030000, len(whole), 0, 2 if further else 0, 0)
    place = len(whole)
    for kind, picture in further:
        entries += struct.pack(order + "IIIHH", kind, len(picture), place - (first + 8), 0, 0)
        place += len(picture)
    at = first + 8 + 50
    whole = whole[:at] + entries + whole[at + len(entries) :]
    return whole + b"".join(picture for _, picture in further) + behind


def samsung(video: bytes) -> bytes:
    """Samsung's trailer: blocks, and a directory that counts backwards."""
    block = struct.pack("<HHI", 0, 0x0A30, 16) + b"MotionPhoto_Data" + video
    directory = b"SEFH" + struct.pack("<II", 107, 1) + struct.pack("<HHII", 0, 0x0A30, len(block), len(block))
    return block + directory + struct.pack("<I", len(directory)) + b"SEFT"


def again(data: bytes, planes: bool = True) -> tuple[bytes, Image]:
    """The file decoded and encoded, brightened as a method would."""
    image = codecs.decode(data, source="a.jpg", planes=planes)
    brighter = np.minimum(image.pixels.astype(np.uint16) + 20, 255).astype(np.uint8)
    coded, notes = codecs.encode(image.replace(pixels=brighter), image.metadata.format)
    return coded, image.replace(metadata=replace(image.metadata, notes=image.metadata.notes + notes))


def further_pictures(data: bytes) -> list[bytes]:
    """What the index of a JPEG names, where it says that it is."""
    header = read_header(data)
    found = mpf.entries(header.mpf_index)
    for entry in found[:1]:
        assert data[entry.length - 2 : entry.length] == b"\xff\xd9"
    return [data[header.mpf_at + entry.offset :][: entry.length] for entry in found[1:]]


# --- motion photos -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("progressive", [False, True])
def test_the_video_of_a_motion_photo_is_kept_where_its_length_says(progressive: bool) -> None:
    claims = xmp_segment(CAMERA + "GCamera:MotionPhoto='1'", container(("video/mp4", "MotionPhoto", len(VIDEO))))
    coded, image = again(jpeg(claims, progressive=progressive) + VIDEO)
    assert coded.endswith(b"\xff\xd9" + VIDEO)
    assert image.metadata.lost == ()
    assert "a motion video" in " ".join(image.metadata.notes)
    assert xmp.read(read_header(coded).carried.xmp).items[1].length == len(VIDEO)


def test_the_older_kind_of_motion_photo_keeps_its_offset_though_a_gain_map_goes() -> None:
    claims = CAMERA + f"GCamera:MicroVideo='1' GCamera:MicroVideoOffset='{len(VIDEO)}' {HDRGM}"
    coded, _ = again(indexed(jpeg(xmp_segment(claims)), (0, jpeg(xmp_segment(HDRGM))), behind=VIDEO))
    told = xmp.read(read_header(coded).carried.xmp)
    assert coded[-told.video_from_end :] == VIDEO
    assert not told.gain_map
    assert coded.endswith(b"\xff\xd9" + VIDEO)


def test_an_offset_counts_no_longer_what_was_dropped_behind_the_video() -> None:
    gain = jpeg(xmp_segment(HDRGM))
    claims = CAMERA + f"GCamera:MicroVideo='1' GCamera:MicroVideoOffset='{len(VIDEO) + len(gain)}' {HDRGM}"
    start = indexed(jpeg(xmp_segment(claims)), (0x050000, b"\xff\xd8\xff" + bytes(len(VIDEO) - 3)))
    data = start[: -len(VIDEO)] + VIDEO + gain
    header = read_header(data)
    entry = data.index(struct.pack("<II", 0x050000, len(VIDEO)))
    moved = struct.pack("<III", 0x050000, len(gain), len(data) - len(gain) - header.mpf_at)
    coded, _ = again(data[:entry] + moved + data[entry + 12 :])
    told = xmp.read(read_header(coded).carried.xmp)
    assert coded[-told.video_from_end :] == VIDEO


def test_samsungs_trailer_stays_whole() -> None:
    trailer = samsung(VIDEO)
    coded, image = again(jpeg() + trailer)
    assert coded.endswith(b"\xff\xd9" + trailer)
    assert "a motion video" in " ".join(image.metadata.notes)


def test_samsungs_trailer_stays_whole_behind_a_gain_map() -> None:
    coded, image = again(indexed(jpeg(xmp_segment(HDRGM)), (0, jpeg(xmp_segment(HDRGM))), behind=samsung(VIDEO)))
    assert coded.endswith(b"\xff\xd9" + samsung(VIDEO))
    assert image.metadata.lost == ("a gain map",)


@pytest.mark.parametrize("behind", [b"whatever this is", b"\xff\xd8 no picture", jpeg(), b"\0" * 9 + b"x"])
def test_what_is_not_known_is_kept(behind: bytes) -> None:
    coded, image = again(jpeg() + behind)
    assert coded.endswith(b"\xff\xd9" + behind)
    assert image.metadata.lost == ()


@pytest.mark.parametrize("behind", [b"\0" * 500, b"\xff" * 7])
def test_padding_is_nothing(behind: bytes) -> None:
    coded, image = again(jpeg() + behind)
    assert coded.endswith(b"\xff\xd9")
    assert not image.metadata.notes


def test_a_format_without_room_for_a_video_no_longer_claims_it() -> None:
    claims = xmp_segment(CAMERA + "GCamera:MotionPhoto='1'", container(("video/mp4", "MotionPhoto", len(VIDEO))))
    image = codecs.decode(jpeg(claims) + VIDEO)
    coded, notes = codecs.encode(image, "png")
    assert "png cannot hold a motion video: left out" in notes
    assert xmp.read(codecs.decode(coded).metadata.xmp) == xmp.Claims()


def test_stripping_takes_the_video_along() -> None:
    claims = xmp_segment(CAMERA + "GCamera:MotionPhoto='1'", container(("video/mp4", "MotionPhoto", len(VIDEO))))
    bare = metadata.strip(codecs.decode(jpeg(claims) + VIDEO).metadata, "gps")
    assert bare.trailer is None
    assert bare.lost == ("a motion video",)
    assert xmp.read(bare.xmp) == xmp.Claims()


# --- gain maps and further images ------------------------------------------------------------------------


def gain_maps() -> dict[str, bytes]:
    gain, marked = jpeg(size=(16, 24)), jpeg(xmp_segment(HDRGM), size=(16, 24))
    listed = container(("image/jpeg", "GainMap", len(gain)))
    return {
        "container": jpeg(xmp_segment(HDRGM, listed)) + gain,
        "index": indexed(jpeg(xmp_segment(HDRGM)), (0, marked)),
        "both": indexed(jpeg(xmp_segment(HDRGM, container(("image/jpeg", "GainMap", len(marked))))), (0, marked)),
        "iso": jpeg(ISO) + gain,
        "iso with index": indexed(jpeg(ISO), (0, jpeg(ISO, size=(16, 24)))),
        "typed": indexed(jpeg(), (0x050000, gain), order=">"),
    }


@pytest.mark.parametrize("kind", gain_maps())
def test_a_gain_map_goes_with_all_that_claims_it(kind: str) -> None:
    coded, image = again(gain_maps()[kind])
    assert image.metadata.lost == ("a gain map",)
    assert "gain map" in " ".join(image.metadata.notes)
    for claim in (b"hdrgm", b"hdr-gain-map", b"GainMap", b"container", b"MPF\0", b"21496"):
        assert claim not in coded
    assert coded.endswith(b"\xff\xd9")
    assert coded.count(b"\xff\xd9") == 1


def test_a_gain_map_goes_and_the_video_behind_it_stays() -> None:
    gain = jpeg(xmp_segment(HDRGM), size=(16, 24))
    listed = container(("image/jpeg", "GainMap", len(gain)), ("video/mp4", "MotionPhoto", len(VIDEO)))
    attributes = f"{HDRGM} {CAMERA} GCamera:MotionPhoto='1'"
    coded, image = again(indexed(jpeg(xmp_segment(attributes, listed)), (0, gain), behind=VIDEO))
    told = xmp.read(read_header(coded).carried.xmp)
    assert [item.semantic for item in told.items] == ["Primary", "MotionPhoto"]
    assert told.motion
    assert not told.gain_map
    assert coded.endswith(b"\xff\xd9" + VIDEO)
    assert image.metadata.lost == ("a gain map",)
    assert b"MPF\0" not in coded


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_stereo_partner_stays_and_a_preview_goes(order: str) -> None:
    partner = jpeg(size=(32, 40))
    data = indexed(jpeg(), (0x010002, jpeg(size=(24, 32))), (0x020002, partner), order=order, behind=b"tail")
    coded, image = again(data)
    assert further_pictures(coded) == [partner]
    assert coded.endswith(b"tail")
    assert image.metadata.lost == ()
    assert "preview" in " ".join(image.metadata.notes)
    assert further_pictures(again(coded)[0]) == [partner]


def test_a_depth_map_stays_with_an_upright_picture_and_goes_with_a_turned_one() -> None:
    depth = jpeg(size=(16, 24))
    claims = container(("image/jpeg", "Depth", len(depth)))
    coded, image = again(jpeg(xmp_segment("", claims)) + depth)
    assert coded.endswith(b"\xff\xd9" + depth)
    assert image.metadata.lost == ()
    coded, image = again(
        jpeg(xmp_segment("xmlns:tiff='http://ns.adobe.com/tiff/1.0/' tiff:Orientation='6'", claims)) + depth
    )
    assert image.metadata.lost == ("a depth map",)
    assert b"Depth" not in coded
    assert coded.endswith(b"\xff\xd9")


def test_signatures_go() -> None:
    box = b"JP\0\x01\0\0\0\x01\0\0\0\x3cjumb" + bytes(52)
    coded, image = again(jpeg((0xEB, box)))
    assert image.metadata.lost == ("a C2PA signature",)
    assert b"jumb" not in coded


def test_a_broken_index_and_broken_xmp_cost_nothing() -> None:
    for index in (b"MPF\0", b"MPF\0II*\0" + b"\xff" * 30, b"MPF\0MM\0*\0\0\0\x08\0\x01\xb0\x02" + b"\xff" * 9):
        coded, image = again(jpeg((0xE2, index)))
        assert b"MPF\0" not in coded
        assert image.metadata.lost == ()
    bad = b"http://ns.adobe.com/xap/1.0/\0<x hdrgm='http://ns.adobe.com/hdr-gain-map/1.0/'><y></x>"
    again(jpeg((0xE1, bad)))


# --- XMP ---------------------------------------------------------------------------------------------------


def test_an_edit_keeps_every_other_byte() -> None:
    before = (
        b"<?xpacket begin='\xef\xbb\xbf'?>\n"
        + packet(
            f"{HDRGM} xmlns:dc='d' dc:a=\"x > y &amp; 'z'\"",
            "\n <!-- & -->  <dc:b>\xc3\xa9</dc:b><hdrgm:Max><rdf:Seq/></hdrgm:Max>\n",
        )
        + b"\n   <?xpacket end='w'?>"
    )
    after = xmp.edited(before, drop_gain_map=True)
    assert after == before.replace(f" {HDRGM}".encode(), b"").replace(b"<hdrgm:Max><rdf:Seq/></hdrgm:Max>", b"")


def test_names_are_told_by_namespace_not_by_prefix() -> None:
    other = packet("xmlns:q='http://ns.adobe.com/tiff/1.0/'", "<q:Orientation> 8 </q:Orientation>")
    assert xmp.read(other).orientation == 8
    fake = packet("xmlns:tiff='urn:other' tiff:Orientation='6'")
    assert xmp.read(fake).orientation is None


def test_a_packet_of_endless_elements_costs_no_time() -> None:
    rows = b"<a/>" * 300_000
    names = b" ".join(b'xmlns:n%d="u%d"' % (number, number) for number in range(20_000))
    for inside in (b"<tiff:Orientation>6</tiff:Orientation>" + rows, b"<b %s>" % names + rows[:80_000] + b"</b>"):
        packet = b'<x xmlns:tiff="http://ns.adobe.com/tiff/1.0/">%s</x>' % inside
        start = time.process_time()
        assert xmp.read(packet) == xmp.Claims()
        assert marks.with_mark(packet, marks.Mark("clode")) == packet
        assert time.process_time() - start < 10  # half a second here; minutes where each element is sought anew


def test_a_hostile_packet_is_left_alone() -> None:
    bomb = b"<!DOCTYPE x [<!ENTITY a 'aaaa'>]><x Orientation='&a;'/>"
    deep = b"<Orientation>" * 5000 + b"</Orientation>" * 5000
    for hostile in (bomb, deep, b"<a Orientation", b"\0" * 20 + b"Orientation"):
        assert xmp.read(hostile) == xmp.Claims()
        assert xmp.edited(hostile, upright=True) is None


# --- orientation -------------------------------------------------------------------------------------------

ORIENTED = "xmlns:tiff='http://ns.adobe.com/tiff/1.0/' tiff:Orientation='%d'"


def with_xmp(format_name: str, depth: int, orientation: int, exif: bytes | None = None) -> bytes:
    pixels = ramps() if depth == 8 else ramps().astype(np.uint16) * 257
    meta = codecs.decode(jpeg()).metadata
    image = Image(pixels, metadata=meta.__class__(format=format_name, xmp=packet(ORIENTED % orientation), exif=exif))
    return codecs.encode(image, format_name)[0]


@pytest.mark.parametrize(
    ("format_name", "depth"), [("jpeg", 8), ("png", 8), ("png", 16), ("webp", 8), ("tiff", 8), ("tiff", 16)]
)
def test_orientation_told_by_xmp_alone_turns_once(format_name: str, depth: int) -> None:
    data = with_xmp(format_name, depth, 6)
    if format_name == "tiff":  # our own always have the tag
        data = without_tag(data, 274)
    image = codecs.decode(data)
    assert (image.height, image.width) == (64, 48)
    assert xmp.read(image.metadata.xmp).orientation == 1
    twice = codecs.decode(codecs.encode(image, format_name)[0])
    assert (twice.height, twice.width) == (64, 48)


def without_tag(data: bytes, wanted: int) -> bytes:
    """A little-endian TIFF without one tag of its first directory."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    rows = [data[start + 2 + 12 * row : start + 14 + 12 * row] for row in range(count)]
    kept = [row for row in rows if struct.unpack_from("<H", row)[0] != wanted]
    directory = struct.pack("<H", len(kept)) + b"".join(kept) + data[start + 2 + 12 * count :][:4]
    return data[:start] + directory.ljust(2 + 12 * count + 4, b"\0") + data[start + 6 + 12 * count :]


def test_exif_wins_over_xmp() -> None:
    tags = Pillow.Exif()
    tags[0x0112] = 1
    exif = tags.tobytes().removeprefix(b"Exif\0\0")
    assert codecs.decode(with_xmp("jpeg", 8, 6, exif)).height == 48


@pytest.mark.parametrize("format_name", ["avif", "heif", "jxl"])
def test_formats_that_turn_themselves_are_not_turned_by_xmp(format_name: str) -> None:
    if not codecs.is_installed(format_name):
        pytest.skip("its extra is not installed")
    image = codecs.decode(with_xmp(format_name, 8, 6))
    assert (image.height, image.width) == (48, 64)


# --- other formats -----------------------------------------------------------------------------------------


def test_frames_and_signatures_of_png_are_told() -> None:
    packed = io.BytesIO()
    pictures = [Pillow.fromarray(ramps()), Pillow.fromarray(255 - ramps())]
    pictures[0].save(packed, "PNG", save_all=True, append_images=pictures[1:])
    assert codecs.decode(packed.getvalue()).metadata.lost == ("further frames",)
    plain = codecs.encode(Image(ramps()), "png")[0]
    box = struct.pack(">I", 4) + b"caBX" + b"jumb" + struct.pack(">I", zlib.crc32(b"caBXjumb"))
    assert codecs.decode(plain[:33] + box + plain[33:]).metadata.lost == ("a C2PA signature",)
    assert codecs.decode(plain + b"secret").metadata.lost == ("6 bytes behind its end",)


def test_apples_png_is_refused_by_what_it_is() -> None:
    plain = codecs.encode(Image(ramps()), "png")[0]
    box = struct.pack(">I", 4) + b"CgBI" + b"\x50\0\x20\x02" + struct.pack(">I", zlib.crc32(b"CgBI\x50\0\x20\x02"))
    with pytest.raises(UnsupportedFormat, match="CgBI"):
        codecs.decode(plain[:8] + box + plain[8:])


def test_frames_of_webp_are_told() -> None:
    packed = io.BytesIO()
    Pillow.fromarray(ramps()).save(packed, "WEBP", save_all=True, append_images=[Pillow.fromarray(255 - ramps())])
    assert codecs.decode(packed.getvalue()).metadata.lost == ("further frames",)


def test_further_pictures_and_videos_of_heif_are_told() -> None:
    heif = pytest.importorskip("pillow_heif")
    file = heif.from_pillow(Pillow.fromarray(ramps()))
    file.add_from_pillow(Pillow.fromarray(255 - ramps()))
    packed = io.BytesIO()
    file.save(packed)
    data = packed.getvalue() + struct.pack(">I", 8 + len(VIDEO)) + b"mpvd" + VIDEO
    lost = codecs.decode(data).metadata.lost
    assert "a motion video" in lost
    assert len(lost) == 2


# --- TIFF --------------------------------------------------------------------------------------------------


def tiff(*pages: tuple[np.ndarray, dict[int, tuple[int, ...]]], description: bytes = b"") -> bytes:
    """A little-endian TIFF of uncompressed pages, each samples and the tags that are not usual."""
    data, link = bytearray(b"II*\0\0\0\0\0"), 4
    for samples, tags in pages:
        channels = 1 if samples.ndim == 2 else samples.shape[2]
        place = len(data)
        data += samples.tobytes()
        all_tags: dict[int, tuple[int, ...]] = {
            256: (samples.shape[1],),
            257: (samples.shape[0],),
            258: (8 * samples.itemsize,) * channels,
            259: (1,),
            262: (2 if channels == 3 else 1,),
            273: (place,),
            277: (channels,),
            278: (samples.shape[0],),
            279: (samples.nbytes,),
            **tags,
        }
        rows = []
        for tag, values in sorted(all_tags.items()):
            packed = struct.pack(f"<{len(values)}I", *values)
            if len(values) > 1:
                packed, at = struct.pack("<I", len(data)), packed
                data += at
            rows.append(struct.pack("<HHI", tag, 4, len(values)) + packed)
        if description:
            rows.insert(sum(tag < 270 for tag in all_tags), struct.pack("<HHII", 270, 2, len(description), len(data)))
            data += description
        data += bytes(len(data) % 2)
        struct.pack_into("<I", data, link, len(data))
        data += struct.pack("<H", len(rows)) + b"".join(rows) + bytes(4)
        link = len(data) - 4
    return bytes(data)


def test_the_full_page_behind_a_thumbnail_is_enhanced() -> None:
    for depth in (np.uint8, np.uint16):
        full = ramps().astype(depth)
        image = codecs.decode(tiff((ramps(12, 16).astype(depth), {254: (1,)}), (full, {})))
        assert (image.pixels == full).all()
        assert "thumbnail" in " ".join(image.metadata.notes)
        assert image.metadata.lost == ()


def test_the_full_page_below_a_thumbnail_is_enhanced() -> None:
    data = bytearray(tiff((ramps(12, 16), {254: (1,), 330: (0,)}), (ramps(), {254: (0,)})))
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    end = first + 2 + 12 * count
    place = next(at for at in range(first + 2, end, 12) if data[at : at + 2] == b"\x4a\x01")
    data[place + 8 : place + 12], data[end : end + 4] = data[end : end + 4], bytes(4)
    image = codecs.decode(bytes(data))
    assert image.metadata.format == "tiff"
    assert (image.pixels == ramps()).all()
    for photometric in (32803, 34892):  # a sensor's own data below a preview is a camera's raw file
        below = data.replace(struct.pack("<HHII", 262, 4, 1, 2), struct.pack("<HHII", 262, 4, 1, photometric))
        assert codecs.sniff(bytes(below)).name == "raw"


@pytest.mark.parametrize("number", [34887, 50001, 50002, 12345])
def test_compressions_that_are_not_read_are_called_by_their_name(number: int) -> None:
    names = {34887: "LERC", 50001: "WebP", 50002: "JPEG XL", 12345: "kind 12345"}
    for samples in (ramps(), ramps().astype(np.uint16)):
        with pytest.raises(UnsupportedFormat, match=f"{8 * samples.itemsize} bits in {names[number]} compression"):
            codecs.decode(tiff((samples, {259: (number,)})))


def test_a_damaged_page_of_a_compression_that_is_read_is_damaged() -> None:
    for number in (5, 7, 8):
        with pytest.raises(CorruptPicture, match="truncated, damaged"):
            codecs.decode(tiff((ramps(), {259: (number,)})))


def test_a_photoshop_file_of_more_bits_is_called_so() -> None:
    for channels in (3, 4):
        header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, channels, 8, 8, 16, 3)
        with pytest.raises(UnsupportedFormat, match="Photoshop file of more than 8 bits"):
            codecs.decode(header + bytes(2000))


def test_further_pages_are_told() -> None:
    pages = [(ramps(), {})] * 3
    assert codecs.decode(tiff(*pages)).metadata.lost == ("2 further pages",)


def test_pages_without_directories_of_their_own_are_told() -> None:
    for description in (b"ImageJ=1.54\nimages=4\n\0", b'{"shape": [4, 48, 64, 3], "truncated": true}\0'):
        data = tiff((ramps(), {}), description=description)
        assert codecs.decode(data).metadata.lost == ("3 further pages",)


@pytest.mark.parametrize(
    ("samples", "tags", "words"),
    [
        (np.zeros((8, 8, 5), np.uint16), {}, "five bands"),
        (np.zeros((8, 8, 5), np.uint8), {}, "five bands"),
        (np.zeros((8, 8, 2), np.uint16), {338: (2,)}, "16-bit grey with alpha"),
        (np.zeros((8, 8, 3), np.uint16), {262: (8,)}, "16-bit Lab"),
        (np.zeros((8, 8, 4), np.uint16), {262: (5,)}, "16-bit CMYK"),
        (np.zeros((8, 8, 3), np.float16), {339: (3, 3, 3)}, "half-precision"),
        (np.zeros((8, 8), np.int16), {339: (2,)}, "signed 16-bit"),
        (np.zeros((8, 8), np.uint32), {}, "32-bit integers"),
        (np.zeros((8, 8), np.complex64), {339: (6,)}, "complex"),
        (np.zeros((8, 8, 3), np.uint16), {284: (2,), 273: (8, 8, 8), 279: (128, 128, 128)}, "separate planes"),
        (np.full((8, 8), 2, np.float32), {339: (3,)}, "floating-point samples from 2 to 2"),
        (np.full((8, 8), np.nan, np.float32), {339: (3,)}, "floating-point samples"),
        (np.zeros((8, 8), np.uint16), {262: (32803,)}, "undeveloped sensor"),
    ],
)
def test_kinds_that_are_not_read_are_called_by_their_name(
    samples: np.ndarray, tags: dict[int, tuple[int, ...]], words: str
) -> None:
    with pytest.raises(UnsupportedFormat, match=words):
        codecs.decode(tiff((samples, tags)))


@pytest.mark.parametrize("depth", [np.float32, np.float64])
def test_floats_of_zero_to_one_are_read(depth: type) -> None:
    wanted = ramps().astype(np.uint16) * 257
    image = codecs.decode(tiff(((wanted / 65535).astype(depth), {339: (3, 3, 3)})))
    assert (image.pixels == wanted).all()
    grey = codecs.decode(tiff(((wanted[..., 0] / 65535).astype(depth), {339: (3,), 262: (0,)})))
    assert (grey.pixels == 65535 - wanted[..., 0]).all()


@pytest.mark.parametrize(
    ("description", "after"),
    [
        (b"ImageJ=1.54\nimages=4\nslices=4\nunit=um\0", "ImageJ=1.54\nunit=um"),
        (b'{"shape": [4, 48, 64]}\0', None),
        (b'{"shape": [48, 64, 3]}\0', '{"shape": [48, 64, 3]}'),
        (b"<?xml?><OME><Image><Pixels SizeX='1' SizeZ=\"4\"/></Image></OME>\0", None),
        (b"a lake\0", "a lake"),
    ],
)
def test_descriptions_promise_no_pages_that_are_gone(description: bytes, after: str | None) -> None:
    image = codecs.decode(tiff((ramps(), {}), description=description))
    written = Pillow.open(io.BytesIO(codecs.encode(image, "tiff")[0]))
    assert written.getexif().get(270) == after


# --- in place ----------------------------------------------------------------------------------------------


def test_in_place_nothing_is_lost_unasked(tmp_path: Path) -> None:
    def run(*arguments: str) -> int:
        return CliRunner().invoke(build(), ["clahe-adaptive", "-q", *arguments, str(tmp_path)]).exit_code

    (tmp_path / "gain.jpg").write_bytes(gain_maps()["both"])
    (tmp_path / "plain.jpg").write_bytes(jpeg())
    assert run("--in-place") == 1
    assert (tmp_path / "gain.jpg").read_bytes() == gain_maps()["both"]
    lines = [json.loads(line) for line in (tmp_path / "enhance-report.jsonl").read_text().splitlines()]
    failed = {Path(line["source"]).name: line["error"] for line in lines if line["status"] == "failed"}
    assert failed.keys() == {"gain.jpg"}
    assert failed["gain.jpg"]["kind"] == "would-lose"
    assert re.search(r"holds a gain map, which enhance cannot keep; give --drop-extras", failed["gain.jpg"]["message"])
    assert run("--in-place", "--drop-extras") == 0
    assert b"hdrgm" not in (tmp_path / "gain.jpg").read_bytes()


# --- an independent reader ---------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="ExifTool is not installed")
def test_exiftool_finds_what_is_kept(tmp_path: Path) -> None:
    partner = jpeg(size=(32, 40))
    claims = xmp_segment(CAMERA + "GCamera:MotionPhoto='1'", container(("video/mp4", "MotionPhoto", len(VIDEO))))
    coded, _ = again(indexed(jpeg(claims), (0x020002, partner), behind=VIDEO))
    (tmp_path / "a.jpg").write_bytes(coded)

    def extracted(tag: str) -> bytes:
        return subprocess.run(["exiftool", "-b", f"-{tag}", tmp_path / "a.jpg"], capture_output=True, check=True).stdout

    assert extracted("Trailer").endswith(partner + VIDEO)
    assert extracted("MPImage2") == partner
