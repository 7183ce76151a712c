"""Facts about metadata: EXIF, XMP and ICC come through every format that can hold them, damage comes through none."""

from __future__ import annotations

import contextlib
import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms, IptcImagePlugin

from enhance_cli.errors import CorruptPicture
from enhance_cli.imaging import codecs
from enhance_cli.imaging.codecs import avif, webp
from enhance_cli.imaging.codecs.jpeg import segments
from enhance_cli.imaging.codecs.png import chunks
from enhance_cli.imaging.codecs.png.chunks import chunk as png_chunk
from enhance_cli.imaging.metadata import iptc_of, orient, photoshop_resource, strip, upright_exif, upright_xmp, xmp_guid
from enhance_cli.types import Density, Image, JpegCoding, Metadata
from tests.pictures import noise

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<?xpacket begin=""?><x:xmpmeta xmlns:x="adobe:ns:meta/"><note>light</note></x:xmpmeta><?xpacket end="w"?>'

IPTC = b"\x1c\x02\x50\x00\x0cAda Lovelace" + b"\x1c\x02\x19\x00\x05night"
"""A by-line and a keyword, 27 bytes: an odd number, which Photoshop pads."""


def profile(size):
    """A profile of any size: a sound header, then bytes that do not compress."""
    filler = np.random.default_rng(3).bytes(max(size - len(SRGB), 0))
    return SRGB + filler


def exif_of(orientation=1, order="<", thumbnail=None, after=b""):
    """Make, orientation and a sub-directory with an exposure time; IFD1 with a thumbnail if wanted."""
    head = b"II*\0" if order == "<" else b"MM\0*"
    make = b"Light & Shade\0"
    entries = 3
    first = 8
    values = first + 2 + 12 * entries + 4
    sub = values + len(make)
    blob = head + struct.pack(order + "I", first) + struct.pack(order + "H", entries)
    blob += struct.pack(order + "HHII", 0x010F, 2, len(make), values)
    blob += struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    blob += struct.pack(order + "HHII", 0x8769, 4, 1, sub)
    rational = sub + 2 + 12 + 4
    second = rational + 8 if thumbnail is not None else 0
    blob += struct.pack(order + "I", second) + make
    blob += struct.pack(order + "HHHIII", 1, 0x829A, 5, 1, rational, 0) + struct.pack(order + "II", 1, 125)
    if thumbnail is not None:
        start = second + 2 + 24 + 4
        blob += struct.pack(order + "HHHIIHHIII", 2, 0x0201, 4, 1, start, 0x0202, 4, 1, len(thumbnail), 0)
        blob += thumbnail + after
    return blob


def picture(format_name, rng, depth=np.uint8, **meta):
    pixels = noise(24, 32, 3, dtype=depth, seed=rng)
    return Image(pixels, metadata=Metadata(format=format_name, **meta))


# --- orientation -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_read_and_reset(orientation, order):
    assert upright_exif(b"Exif\0\0" + exif_of(orientation, order)) == (orientation, exif_of(1, order))


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_senseless_orientations_are_reset_too(orientation):
    assert upright_exif(exif_of(orientation)) == (1, exif_of(1))


@pytest.mark.parametrize("damage", [b"", b"II", b"not exif at all", b"\0" * 40, b"XX*\0\x08\0\0\0"])
def test_what_is_no_exif_is_dropped(damage):
    assert upright_exif(damage) == (1, None)
    assert upright_exif(None) == (1, None)


def test_damaged_directories_are_passed_on():
    whole = exif_of(6, thumbnail=b"\xff\xd8thumb")
    for cut in range(8, len(whole)):
        orientation, exif = upright_exif(whole[:cut])
        assert orientation in (1, 6)
        assert exif is not None
    for place in range(4, len(whole)):
        damaged = whole[:place] + b"\xff" + whole[place + 1 :]
        assert upright_exif(damaged)[0] in range(1, 9)


def test_a_directory_that_links_to_itself_ends():
    loop = bytearray(exif_of(3, thumbnail=b"\xff\xd8"))
    link = 8 + 2 + 36
    struct.pack_into("<I", loop, link, 8)
    assert upright_exif(bytes(loop))[0] == 3


def test_the_thumbnail_goes():
    with_it = exif_of(6, thumbnail=b"\xff\xd8" + b"old picture" * 9)
    orientation, exif = upright_exif(with_it)
    assert orientation == 6
    assert b"old picture" not in exif
    assert len(exif) < len(with_it) - 90
    read = Pillow.Exif()
    read.load(exif)
    assert read[0x010F] == "Light & Shade"
    assert read.get_ifd(0x8769)[0x829A] == 1 / 125
    assert not read.get_ifd(1)


def test_a_thumbnail_amid_other_data_is_blanked():
    _, exif = upright_exif(exif_of(1, thumbnail=b"\xff\xd8" + b"old picture" * 9, after=b"maker note"))
    assert b"old picture" not in exif
    assert exif.endswith(b"maker note")


@pytest.mark.parametrize(
    "xmp", [b"<a tiff:Orientation='6'/>", b'<a tiff:Orientation="6"/>', b"<tiff:Orientation>6</tiff:Orientation>"]
)
def test_orientation_in_xmp_follows_the_pixels(xmp):
    assert upright_xmp(xmp) == xmp.replace(b"6", b"1")
    assert upright_xmp(upright_xmp(xmp)) == upright_xmp(xmp)
    assert upright_xmp(None) is None


@pytest.mark.parametrize("kinds", [(3, 3), (4, 4), (3, 4)])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("orientation", [1, 3, 5, 8])
def test_sizes_in_exif_turn_with_the_picture(orientation, order, kinds):
    sub = 8 + 2 + 24 + 4
    blob = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, 2)
    blob += struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    blob += struct.pack(order + "HHIII", 0x8769, 4, 1, sub, 0) + struct.pack(order + "H", 2)
    for tag, kind, value in zip((0xA002, 0xA003), kinds, (4000, 3000), strict=True):
        blob += struct.pack(order + "HHI", tag, kind, 1) + struct.pack(order + "HI"[kind - 3], value).ljust(4, b"\0")
    _, exif = upright_exif(blob + bytes(4))
    read = Pillow.Exif()
    read.load(exif)
    sizes = read.get_ifd(0x8769)[0xA002], read.get_ifd(0x8769)[0xA003]
    turned = orientation >= 5 and kinds[0] == kinds[1]
    assert sizes == ((3000, 4000) if turned else (4000, 3000))


def test_thumbnails_in_xmp_go():
    body = b"<x><xmp:Rating>5</xmp:Rating>%s<dc:title>a</dc:title></x>"
    thumbnail = b"<xmp:Thumbnails><rdf:Alt>\n<rdf:li>/9j/4AAQ</rdf:li></rdf:Alt></xmp:Thumbnails>"
    assert upright_xmp(body % thumbnail) == body % b""


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_is_what_exif_means(orientation):
    """A stored image's first row and column lie where EXIF's table says they do."""
    stored = np.arange(6).reshape(2, 3)
    top_left = orient(stored, orientation)
    expected = {
        1: [[0, 1, 2], [3, 4, 5]],
        2: [[2, 1, 0], [5, 4, 3]],
        3: [[5, 4, 3], [2, 1, 0]],
        4: [[3, 4, 5], [0, 1, 2]],
        5: [[0, 3], [1, 4], [2, 5]],
        6: [[3, 0], [4, 1], [5, 2]],
        7: [[5, 2], [4, 1], [3, 0]],
        8: [[2, 5], [1, 4], [0, 3]],
    }
    assert top_left.tolist() == expected[orientation]


# --- strip -------------------------------------------------------------------------------------------------

PLACE = {1: "N", 2: (48.0, 51.0, 29.6), 3: "E", 4: (2.0, 17.0, 40.2), 6: 35.25, 29: "2024:05:06"}


def exif_with_place(**details):
    exif = Pillow.Exif()
    exif[0x010F] = "Light & Shade"
    exif[0x0132] = "2024:05:06 20:15:00"
    exif.get_ifd(0x8769)[0x829A] = 1 / 125
    exif.get_ifd(0x8825).update(PLACE)
    exif[0x8825] = exif.get_ifd(0x8825)
    exif[0x8769] = exif.get_ifd(0x8769)
    return exif.tobytes(**details)[6:]


XMP_WITH_PLACE = (
    b"<rdf:Description exif:GPSLatitude='48,51.4933N'\nexif:GPSLongitude=\"2,17.67E\" drone-dji:GpsLatitude='48.858' "
    b"tiff:Make='Light'><exif:GPSTimeStamp>2024-05-06T18:15:00Z</exif:GPSTimeStamp><exif:GPSDestBearing/>"
    b"<exif:GPSAreaInformation xml:lang='x'>\n<a>Champ</a></exif:GPSAreaInformation><dc:title>GPS: a title</dc:title>"
)


def test_strip_gps_leaves_nothing_of_the_place_and_all_else():
    metadata = Metadata(exif=exif_with_place(), xmp=XMP_WITH_PLACE, iptc=IPTC, icc=SRGB, density=Density(300, 300))
    stripped = strip(metadata, "gps")
    read = Pillow.Exif()
    read.load(stripped.exif)
    assert read[0x010F] == "Light & Shade"
    assert read[0x0132] == "2024:05:06 20:15:00"
    assert read.get_ifd(0x8769)[0x829A] == 1 / 125
    assert 0x8825 not in read
    assert not read.get_ifd(0x8825)
    assert len(stripped.exif) == len(metadata.exif)
    assert b"2024:05:06\0" not in stripped.exif
    assert struct.pack("<II", 51, 1) in metadata.exif
    assert struct.pack("<II", 51, 1) not in stripped.exif
    assert stripped.xmp == b"<rdf:Description tiff:Make='Light'><dc:title>GPS: a title</dc:title>"
    assert (stripped.iptc, stripped.icc, stripped.density) == (IPTC, SRGB, Density(300, 300))
    assert strip(stripped, "gps") == stripped


@pytest.mark.parametrize(
    "piece", [b"<a:gps>", b"<a:gps ", b" a:gps=", b" a:gps='", b"<xmp:Thumbnails>", b" ", b"a", b"<a:"]
)
def test_hostile_xmp_takes_no_time(piece):
    xmp = piece * (4_000_000 // len(piece))
    started = time.process_time()
    upright_xmp(xmp)
    strip(Metadata(xmp=xmp), "gps")
    assert time.process_time() - started < 5  # a fifth of a second here


def test_strip_all_leaves_what_is_the_pictures():
    coding = JpegCoding(90, "420")
    metadata = Metadata(
        source="a.jpg", exif=exif_of(), xmp=XMP, iptc=IPTC, icc=SRGB, density=Density(1, 2), jpeg=coding, notes=("a",)
    )
    stripped = strip(metadata, "all")
    assert (stripped.exif, stripped.xmp, stripped.iptc) == (None, None, None)
    kept = Metadata(source="a.jpg", icc=SRGB, density=Density(1, 2), jpeg=coding, notes=("a",))
    assert stripped == kept


def test_strip_gps_without_a_place_changes_nothing():
    metadata = Metadata(exif=exif_of(), xmp=XMP)
    assert strip(metadata, "gps") == metadata
    assert strip(Metadata(), "gps") == Metadata()


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "tiff", "avif"])
def test_a_stripped_place_is_in_no_file(name, rng):
    image = picture(name, rng, exif=exif_with_place(), xmp=XMP_WITH_PLACE)
    with_it = codecs.decode(codecs.encode(image, name)[0]).metadata
    assert gps_of(with_it.exif)
    stripped = image.replace(metadata=strip(with_it, "gps"))
    data, _ = codecs.encode(stripped, name)
    again = codecs.decode(data).metadata
    assert not gps_of(again.exif)
    assert b"GPSL" not in again.xmp
    assert b"48,51" not in data


def gps_of(exif):
    read = Pillow.Exif()
    read.load(exif)
    return read.get_ifd(0x8825)


def test_damage_keeps_no_place():
    """Wherever EXIF is cut or hit: it is dropped, or no reader finds the place in it."""
    whole = exif_with_place()
    for cut in range(len(whole)):
        assert_no_place(strip(Metadata(exif=whole[:cut]), "gps").exif)
    for place in range(len(whole)):
        assert_no_place(strip(Metadata(exif=whole[:place] + b"\xff" + whole[place + 1 :]), "gps").exif)
    assert strip(Metadata(xmp="<exif:GPSLatitude>".encode("utf-16")), "gps").xmp is None


def assert_no_place(exif):
    if exif is None:
        return
    with contextlib.suppress(Exception):
        assert not {2, 4} & set(gps_of(exif))


# --- through the formats -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 65518, 65519, 65520, 200_000, 1_500_000])
@pytest.mark.parametrize("planes", [True, False])
def test_jpeg_keeps_every_byte(size, planes, rng):
    meta = {"exif": exif_of(), "xmp": XMP, "icc": profile(size), "jpeg": JpegCoding(90, "420")}
    data, notes = codecs.encode(picture("jpeg", rng, **meta), "jpeg")
    assert notes == ()
    first = codecs.decode(data, planes=planes)
    again = codecs.decode(codecs.encode(first, "jpeg")[0], planes=planes).metadata
    assert (again.exif, again.xmp, again.icc) == (meta["exif"], meta["xmp"], meta["icc"])
    with Pillow.open(io.BytesIO(data)) as opened:
        assert opened.info["icc_profile"] == meta["icc"]
        assert opened.info["xmp"] == XMP
        assert opened.getexif()[0x010F] == "Light & Shade"


@pytest.mark.parametrize("size", [0, 200_000, 1_500_000])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_png_keeps_every_byte(size, depth, rng):
    meta = {"exif": exif_of(), "xmp": XMP, "icc": profile(size)}
    data, notes = codecs.encode(picture("png", rng, depth, **meta), "png")
    again = codecs.decode(data).metadata
    assert notes == ()
    assert (again.exif, again.xmp, again.icc) == (meta["exif"], meta["xmp"], meta["icc"])


@pytest.mark.parametrize("coding", [None, JpegCoding(80, "420")])
def test_webp_keeps_every_byte(coding, rng):
    meta = {"exif": exif_of(), "xmp": XMP, "icc": profile(100_000), "jpeg": coding}
    data, notes = codecs.encode(picture("webp", rng, **meta), "webp")
    again = codecs.decode(data).metadata
    assert notes == ()
    assert (again.exif, again.xmp, again.icc) == (meta["exif"], meta["xmp"], meta["icc"])


@pytest.mark.parametrize("name", ["avif", "heif"])
def test_avif_and_heif_keep_what_matters(name, rng):
    if name == "heif":
        pytest.importorskip("pillow_heif")
    data, notes = codecs.encode(picture(name, rng, exif=exif_of(), xmp=XMP, icc=SRGB), name)
    again = codecs.decode(data).metadata
    assert notes == ()
    assert (again.xmp, again.icc) == (XMP, SRGB)
    assert_same_exif(again.exif)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("order", "<>")
def test_tiff_keeps_the_tags(depth, order, rng):
    data, notes = codecs.encode(picture("tiff", rng, depth, exif=exif_of(1, order), xmp=XMP, icc=SRGB), "tiff")
    again = codecs.decode(data)
    assert notes == ()
    assert again.pixels.dtype == depth
    assert (again.metadata.xmp, again.metadata.icc) == (XMP, SRGB)
    assert_same_exif(again.metadata.exif)
    third = codecs.decode(codecs.encode(again, "tiff")[0])
    assert_same_exif(third.metadata.exif)


# --- IPTC and density --------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("name", ["jpeg", "png", "tiff"])
def test_iptc_is_kept(name, depth, rng):
    if (name, depth) == ("jpeg", np.uint16):
        pytest.skip("a JPEG has 8 bits")
    data, notes = codecs.encode(picture(name, rng, depth, iptc=IPTC), name)
    assert notes == ()
    first = codecs.decode(data)
    assert first.metadata.iptc == IPTC
    assert codecs.decode(codecs.encode(first, name)[0]).metadata.iptc == IPTC
    with Pillow.open(io.BytesIO(data)) as opened:
        if name != "png":
            assert IptcImagePlugin.getiptcinfo(opened) == {(2, 80): b"Ada Lovelace", (2, 25): b"night"}
        else:
            kind, length, digits = opened.info["Raw profile type iptc"].split(None, 2)
            assert bytes.fromhex(digits) == photoshop_resource(IPTC)
            assert (kind, int(length)) == ("iptc", len(photoshop_resource(IPTC)))


@pytest.mark.parametrize("name", ["webp", "avif"])
def test_formats_without_iptc_say_so(name, rng):
    _, notes = codecs.encode(picture(name, rng, iptc=IPTC, density=Density(300, 300)), name)
    assert notes == (f"{name} cannot hold IPTC and density: left out",)


def test_iptc_is_found_among_other_resources():
    other = b"8BIM" + struct.pack(">H", 0x03ED) + b"\x05Name?" + struct.pack(">I", 5) + b"12345\0"
    assert iptc_of(other + photoshop_resource(IPTC)) == IPTC
    assert iptc_of(IPTC) == IPTC
    for nothing in (b"", b"8BIM", other, other[:9], b"8BPS" + bytes(30), photoshop_resource(b"")):
        assert iptc_of(nothing) is None


def test_iptc_in_several_segments_of_a_jpeg(rng):
    plain = codecs.encode(picture("jpeg", rng), "jpeg")[0]
    resource = photoshop_resource(IPTC)
    parts = b"".join(
        b"\xff\xed" + struct.pack(">H", 2 + 14 + len(part)) + b"Photoshop 3.0\0" + part
        for part in (resource[:20], resource[20:])
    )
    assert codecs.decode(plain[:2] + parts + plain[2:]).metadata.iptc == IPTC


def test_iptc_in_a_tiff_as_numbers():
    padded = IPTC + b"\0"
    for order in "<>":
        words = struct.unpack(f"{order}7I", padded)
        assert len(words) == 7
        data = tiff_of(np.zeros((4, 4), np.uint8), order, [(33723, 4, words)])
        metadata = codecs.decode(data).metadata
        assert (metadata.iptc, metadata.density) == (padded, None)


def tiff_of(pixels, order, extra):
    """An uncompressed grey TIFF with more tags, as (number, kind 3 or 4, values)."""
    height, width = pixels.shape
    entries = [(256, 4, (width,)), (257, 4, (height,)), (258, 3, (8,)), (259, 3, (1,)), (262, 3, (1,)), (273, 4, (0,)),
               (277, 3, (1,)), (278, 4, (height,)), (279, 4, (pixels.nbytes,)), *extra]  # fmt: skip
    place = 8 + 2 + 12 * len(entries) + 4
    tail = pixels.tobytes()
    entries[5] = (273, 4, (place,))
    directory = struct.pack(order + "H", len(entries))
    for tag, kind, values in sorted(entries):
        packed = struct.pack(f"{order}{len(values)}{'H' if kind == 3 else 'I'}", *values)
        directory += struct.pack(order + "HHI", tag, kind, len(values))
        directory += packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack(order + "I", place + len(tail))
        tail += packed if len(packed) > 4 else b""
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8) + directory + bytes(4) + tail


def test_exif_and_xmp_in_raw_profiles_of_a_png_are_read():
    def profile_of(kind, body):
        return b"Raw profile type %s\0\n%s\n%8d\n%s\n" % (kind, kind, len(body), body.hex("\n", 36).encode())

    exif = png_chunk(b"tEXt", profile_of(b"APP1", b"Exif\0\0" + exif_of(6)))
    xmp = png_chunk(b"tEXt", profile_of(b"xmp", XMP))
    broken = png_chunk(b"tEXt", b"Raw profile type iptc\0\niptc\n  4\nxyzw\n")
    image = codecs.decode(png_of(exif, xmp, broken))
    assert image.pixels.shape == (2, 1)
    assert (image.metadata.exif, image.metadata.xmp, image.metadata.iptc) == (exif_of(1), XMP, None)


@pytest.mark.parametrize("density", [(300, 300), (72, 144), (72.0, 72.0), (299.72, 299.72), (11.3, 1200)])
@pytest.mark.parametrize("name", ["jpeg", "png", "tiff", "bmp"])
def test_density_is_kept(name, density, rng):
    data, notes = codecs.encode(picture(name, rng, density=Density(*density)), name)
    assert notes == ()
    first = codecs.decode(data).metadata.density
    assert first.unit == "inch"
    precision = 0.5 if name == "jpeg" else 0.02
    assert np.abs(np.subtract(first[:2], density)).max() <= precision
    again = codecs.decode(codecs.encode(picture(name, rng, density=first), name)[0]).metadata.density
    assert again == pytest.approx(first) if name != "bmp" else np.allclose(again[:2], first[:2], atol=0.03)
    with Pillow.open(io.BytesIO(data)) as opened:
        assert np.abs(np.subtract(opened.info["dpi"], density)).max() <= precision


def test_density_in_centimetres_stays_whole(rng):
    data = bytearray(codecs.encode(picture("jpeg", rng), "jpeg")[0])
    data[13:18] = struct.pack(">BHH", 2, 118, 118)
    again, _ = codecs.encode(codecs.decode(bytes(data)), "jpeg")
    assert again[13:18] == data[13:18]


@pytest.mark.parametrize("name", ["jpeg", "png", "tiff"])
def test_the_shape_of_a_pixel_is_kept(name, rng):
    density = Density(16, 11, "none")
    data, _ = codecs.encode(picture(name, rng, density=density), name)
    assert codecs.decode(data).metadata.density == density
    with Pillow.open(io.BytesIO(data)) as opened:
        assert "dpi" not in opened.info


def test_density_turns_with_the_picture(rng):
    image = picture("png", rng, exif=exif_of(6), density=Density(72, 144))
    turned = codecs.decode(codecs.encode(image, "png")[0]).metadata.density
    assert turned == pytest.approx(Density(144, 72), abs=0.02)


EXTENSION = b"<x:xmpmeta><GDepth:Data>" + b"depth map " * 20_000 + b"</GDepth:Data></x:xmpmeta>"


def xmp_naming(extension):
    return b"<rdf:Description xmpNote:HasExtendedXMP='" + xmp_guid(extension) + b"'/>"


def test_extended_xmp_is_kept_by_jpeg_and_told_by_others(rng):
    image = picture("jpeg", rng, xmp=xmp_naming(EXTENSION), xmp_extension=EXTENSION)
    data, notes = codecs.encode(image, "jpeg")
    assert notes == ()
    assert data.count(b"http://ns.adobe.com/xmp/extension/") == 4
    again = codecs.decode(data)
    assert (again.metadata.xmp, again.metadata.xmp_extension) == (image.metadata.xmp, EXTENSION)
    assert codecs.encode(again, "png")[1] == ("png cannot hold extended XMP: left out",)


def test_an_extension_with_a_part_missing_is_left_out(rng):
    image = picture("jpeg", rng, xmp=xmp_naming(EXTENSION), xmp_extension=EXTENSION)
    data = codecs.encode(image, "jpeg")[0]
    place = data.index(b"http://ns.adobe.com/xmp/extension/")
    damaged = data[:place] + b"gone" + data[place + 4 :]
    metadata = codecs.decode(damaged).metadata
    assert (metadata.xmp, metadata.xmp_extension) == (image.metadata.xmp, None)


def test_a_place_in_extended_xmp_is_stripped_and_the_name_follows(rng):
    extension = b"<x exif:GPSLatitude='48,51N'/>"
    stripped = strip(Metadata(xmp=xmp_naming(extension), xmp_extension=extension), "gps")
    assert (stripped.xmp, stripped.xmp_extension) == (xmp_naming(b"<x/>"), b"<x/>")
    again = codecs.decode(codecs.encode(picture("jpeg", rng).replace(metadata=stripped), "jpeg")[0]).metadata
    assert again.xmp_extension == b"<x/>"


def test_bmp_says_what_it_cannot_hold(rng):
    _, notes = codecs.encode(picture("bmp", rng, exif=exif_of(), icc=SRGB), "bmp")
    assert notes == ("bmp cannot hold colour profile and EXIF: left out",)


def test_blocks_too_long_for_a_jpeg_are_noted(rng):
    _, notes = codecs.encode(picture("jpeg", rng, exif=exif_of() + b"\0" * 66_000, xmp=b"x" * 66_000), "jpeg")
    assert len(notes) == 2
    assert all("does not fit" in note for note in notes)
    assert "profile" in segments.with_metadata(b"\xff\xd8", Metadata(icc=b"x" * 2**24))[1][0]


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "tiff", "avif"])
def test_broken_exif_fails_no_output(name, rng):
    broken = b"II*\0\x08\0\0\0\xff\xff" + rng.bytes(200)
    data, _ = codecs.encode(picture(name, rng, exif=broken), name)
    assert codecs.decode(data).pixels.shape == (24, 32, 3)


def assert_same_exif(block):
    read = Pillow.Exif()
    read.load(block)
    assert read[0x010F] == "Light & Shade"
    assert read.get_ifd(0x8769)[0x829A] == 1 / 125
    assert read.get(0x0112, 1) == 1


# --- damage ------------------------------------------------------------------------------------------------


def test_a_profile_with_a_part_missing_is_dropped_with_a_note(rng):
    data, _ = codecs.encode(picture("jpeg", rng, icc=profile(150_000)), "jpeg")
    place = data.index(b"ICC_PROFILE\0\2")
    damaged = data[:place] + b"ICC_FORGOTTEN" + data[place + 13 :]
    metadata = codecs.decode(damaged).metadata
    assert metadata.icc is None
    assert metadata.notes == ("its colour profile is damaged and was left out",)


def test_a_profile_that_is_none_is_dropped_with_a_note(rng):
    metadata = codecs.decode(codecs.encode(picture("png", rng, icc=b"no profile" * 20), "png")[0]).metadata
    assert metadata.icc is None
    assert "profile is damaged" in metadata.notes[0]


@pytest.mark.parametrize("name", ["tiff", "heif", "jxl"])
def test_a_profile_of_grey_does_not_stay_with_rgb(name, rng):
    if not codecs.is_installed(name):
        pytest.skip("its codec is not here")
    grey = bytearray(SRGB)
    grey[16:20] = b"GRAY"
    pixels, alpha = rng.integers(0, 65536, (2, 24, 32), np.uint16)
    data, notes = codecs.encode(Image(pixels, alpha=alpha, metadata=Metadata(icc=bytes(grey))), name)
    assert "a colour profile of grey does not fit RGB and was left out" in notes
    assert codecs.decode(data).metadata.icc is None


def test_exif_that_is_none_is_dropped_with_a_note(rng):
    for name in ("jpeg", "png", "webp"):
        metadata = codecs.decode(codecs.encode(picture(name, rng, exif=b"no exif"), name)[0]).metadata
        assert metadata.exif is None
        assert metadata.notes == ("its EXIF is damaged and was left out",)


def png_of(*chunks):
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 8, 0, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(b"\0\x10\x20"))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + pixels + png_chunk(b"IEND", b"")


def test_text_and_profile_bombs_in_png_are_passed_over():
    bomb = zlib.compress(b"\0" * 200_000_000, 9)
    data = png_of(png_chunk(b"zTXt", b"Comment\0\0" + bomb), png_chunk(b"iCCP", b"ICC\0\0" + bomb))
    image = codecs.decode(data)
    assert image.pixels.tolist() == [[0x10, 0x20]]
    assert image.metadata.icc is None


def test_a_damaged_text_chunk_costs_nothing():
    text = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)
    assert codecs.decode(png_of(text)).metadata.xmp == XMP
    assert codecs.decode(png_of(text[:-1] + b"?")).metadata.xmp is None


def test_a_chunk_that_announces_gigabytes_reaches_no_decoder():
    whole = png_of()
    place = whole.index(b"IDAT") - 4
    with pytest.raises(CorruptPicture, match="ends within IDAT"):
        codecs.decode(whole[:place] + b"\xff\xff\xff\xf0" + whole[place + 4 :])


def test_a_png_without_its_end_is_read():
    whole = png_of()
    for tail in (b"", b"\0\0\0", b"\xff\xff\xff\xf0tEXtlight"):
        assert codecs.decode(whole[:-12] + tail).pixels.tolist() == [[0x10, 0x20]]


def test_compressed_xmp_is_read():
    text = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0en\0translated\0" + zlib.compress(XMP))
    assert codecs.decode(png_of(text)).metadata.xmp == XMP


def test_png_parts():
    parts = chunks.take_apart(png_of(png_chunk(b"tRNS", b"\0\x10"), png_chunk(b"acTL", struct.pack(">II", 3, 0))))
    assert (parts.height, parts.width, parts.depth, parts.colour_type) == (1, 2, 8, 0)
    assert parts.transparent == (16,)
    assert parts.animated
    assert b"acTL" not in parts.bare


def test_jpeg_header_of_a_picture(rng):
    header = segments.read_header(codecs.encode(picture("jpeg", rng, jpeg=JpegCoding(90, "422")), "jpeg")[0])
    assert (header.height, header.width, header.precision, header.process) == (24, 32, 8, 0xC0)
    assert header.sampling == ((2, 1), (1, 1), (1, 1))
    assert header.jfif
    assert header.adobe_transform is None


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("lossless", [False, True])
def test_webp_header(alpha, lossless, rng):
    pixels = rng.integers(0, 256, (37, 53, 4 if alpha else 3), np.uint8)
    packed = io.BytesIO()
    Pillow.fromarray(pixels).save(packed, "WEBP", lossless=lossless)
    header = webp.read_header(packed.getvalue())
    assert header.size == (37, 53)
    assert header.lossy != lossless


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_avif_header(subsampling, rng):
    packed = io.BytesIO()
    Pillow.fromarray(rng.integers(0, 256, (37, 53, 3), np.uint8)).save(packed, "AVIF", subsampling=subsampling)
    header = avif.read_header(packed.getvalue())
    assert (header.depth, header.subsampling) == (8, subsampling.replace(":", ""))
    assert header.largest == (37, 53)
