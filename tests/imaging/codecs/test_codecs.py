"""Facts about the two verbs: the content decides, the header is checked first, only our errors come out."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from enhance_cli.errors import CorruptPicture, PhotographError, PictureTooLarge, UnsupportedFormat
from enhance_cli.imaging import codecs
from enhance_cli.imaging.codecs import table
from enhance_cli.imaging.codecs.png.chunks import chunk as png_chunk
from enhance_cli.imaging.metadata import strip
from enhance_cli.types import Density, Image, JpegCoding, Metadata

FUZZED = ("jpeg", "png", "webp", "tiff", "bmp", "avif", "gif", "ppm", "jp2")


def small(format_name, depth=np.uint8, progressive=False):
    """A file of a format, with all metadata it can hold."""
    y, x = np.mgrid[:20, :28]
    pixels = (np.stack((9 * x, 12 * y, 3 * (x + y)), axis=2) * (257 if depth == np.uint16 else 1)).astype(depth)
    packed = io.BytesIO()
    if format_name in ("gif", "ppm", "jp2"):
        Pillow.fromarray(pixels.astype(np.uint8)).save(
            packed, {"jp2": "JPEG2000"}.get(format_name, format_name.upper())
        )
        return packed.getvalue()
    exif = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + b"\0\0\0\0"
    metadata = Metadata(
        exif=exif,
        xmp=b"<x:xmpmeta exif:GPSLatitude='1'/>",
        icc=bytes(36) + b"acsp" + bytes(200),
        iptc=b"\x1c\x02\x19\x00\x05night",
        density=Density(300, 300),
        jpeg=JpegCoding(90, "420", progressive=progressive),
    )
    return codecs.encode(Image(pixels, metadata=metadata), format_name)[0]


# --- names -------------------------------------------------------------------------------------------------


def test_every_format_is_recognised_by_its_content():
    for name in FUZZED:
        assert codecs.sniff(small(name)).name == name


def test_suffixes_are_of_one_format_each():
    suffixes = [suffix for item in codecs.FORMATS.values() for suffix in item.suffixes]
    assert len(suffixes) == len(set(suffixes))
    assert codecs.format_of_suffix(Path("a/B.JPG")).name == "jpeg"
    assert codecs.format_of_suffix(Path("a.txt")) is None


def test_formats_by_name():
    assert codecs.format_named("JPG").name == "jpeg"
    assert codecs.format_named(".heic").name == "heif"
    for name in ("gif", "psd", "exr", ""):
        with pytest.raises(ValueError, match="a format is one of jpeg, png"):
            codecs.format_named(name)
    assert all(codecs.format_named(name).name == name for name in codecs.writable_formats())


@pytest.mark.parametrize("name", FUZZED)
def test_the_suffix_does_not_count(name):
    assert codecs.decode(small(name), source="a.xyz").metadata.format == name


# --- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "kind", "sentence"),
    [
        (b"", CorruptPicture, "a.jpg is empty (0 bytes)."),
        (b"\0" * 5000, UnsupportedFormat, "a.jpg is not an image that enhance can read"),
        (
            b"BMW is a maker of cars, and this is a text.",
            UnsupportedFormat,
            "a.jpg is not an image that enhance can read",
        ),
        (b"P.S. see you soon", UnsupportedFormat, "a.jpg is not an image that enhance can read"),
        ("Ünïcode text\n".encode() * 50, UnsupportedFormat, "a.jpg is not an image that enhance can read"),
        (b"\xff\xd8\xff", CorruptPicture, "a.jpg cannot be decoded: its JPEG data ends before the image begins."),
        (b"\x89PNG\r\n\x1a\n", CorruptPicture, "a.jpg cannot be decoded: its PNG header is damaged."),
        (b"RIFF\0\0\0\0WEBP", CorruptPicture, "a.jpg cannot be decoded: its WebP data ends before the image begins."),
    ],
)
def test_what_is_no_picture_is_refused_in_a_sentence(data, kind, sentence):
    with pytest.raises(kind) as raised:
        codecs.decode(data, source="a.jpg")
    assert str(raised.value).startswith(sentence)


@pytest.mark.parametrize("name", FUZZED)
def test_a_file_cut_short_is_refused_or_whole(name):
    """Wherever it is cut; only bytes that are no pixels may be missing from an image that is read."""
    data = small(name)
    whole = codecs.decode(data)
    lengths = range(1, len(data), max(1, len(data) // 60))
    read = 0
    for length in lengths:
        image, said = decoded_or_said(data[:length])
        assert said.startswith("a ")
        assert "0x" not in said
        if image is not None:
            assert np.array_equal(image.pixels, whole.pixels)
            read += 1
    assert read < len(lengths) / 4, (read, len(lengths))


def decoded_or_said(data, **details):
    """The image, or None and what was said; any other error passes through and fails the test."""
    try:
        return codecs.decode(data, source="a", **details), "a is a picture"
    except PhotographError as error:
        return None, str(error)


@pytest.mark.parametrize("name", [*FUZZED, "heif"])
def test_the_header_is_checked_before_anything_is_decoded(name):
    if name == "heif":
        pytest.importorskip("pillow_heif")
    asked = []

    class NoRoomError(Exception):
        pass

    def admit(height, width, depth):
        asked.append((height, width))
        raise NoRoomError

    data = small(name)
    with pytest.raises(NoRoomError):
        codecs.decode(data, admit=admit)
    assert [sorted(size) for size in asked] == [[20, 28]]
    with pytest.raises(PictureTooLarge, match=r"^a has \d+x\d+ pixels, more than the 559 allowed; raise --max-pixels"):
        codecs.decode(data, source="a", max_pixels=559)
    image = codecs.decode(data, max_pixels=560, admit=lambda *announced: asked.append(announced))
    assert sorted(asked[1]) == sorted((image.metadata.bit_depth, 20, 28))
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("beginning", "suffix", "named"),
    [(b"\x76\x2f\x31\x01\x02\0\0\0", ".exr", "OpenEXR"), (b"#?RADIANCE\n", ".hdr", "Radiance HDR")],
)
def test_formats_that_are_not_read_are_known(beginning, suffix, named):
    assert codecs.format_of_suffix(Path("a" + suffix)) is codecs.sniff(beginning)
    sentence = (
        rf"^a{suffix} is {named}, light in floating point, which enhance does not read; save it as 16-bit TIFF\.$"
    )
    with pytest.raises(UnsupportedFormat, match=sentence):
        codecs.decode(beginning, source="a" + suffix)
    with pytest.raises(ValueError, match="a format is one of"):
        codecs.format_named(suffix)


def bomb_png():
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(bytes(10**6)))


def bomb_jpeg():
    data = bytearray(small("jpeg"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = b"\xff\xdc\xff\xdc"
    return bytes(data)


def bomb_webp():
    chunk = b"VP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff\xff\xff" + b"\xff\xff\x00"
    return b"RIFF" + struct.pack("<I", 100) + b"WEBP" + chunk + bytes(40)


@pytest.mark.parametrize("bomb", [bomb_png, bomb_jpeg, bomb_webp])
def test_bombs_are_refused_by_their_headers(bomb):
    with pytest.raises(PictureTooLarge):
        codecs.decode(bomb(), source="bomb")


def test_a_missing_extra_is_named(monkeypatch):
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
    monkeypatch.setattr(table, "find_spec", lambda name: None)
    assert not codecs.is_installed("heif")
    with pytest.raises(UnsupportedFormat, match=r"^a\.heic needs .* pip install 'enhance-cli\[heif\]'\.$"):
        codecs.decode(heic, source="a.heic")
    with pytest.raises(UnsupportedFormat, match=r"enhance-cli\[heif\]"):
        codecs.encode(Image(np.zeros((4, 4), np.uint8)), "heif")


# --- hostile bytes -----------------------------------------------------------------------------------------

changes = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=12)


@settings(max_examples=60, derandomize=True, suppress_health_check=list(HealthCheck))
@pytest.mark.parametrize("name", [*FUZZED, "png 16", "tiff 16", "jpeg progressive", "heif", "jxl"])
@given(changes=changes, cut=st.floats(0.3, 1))
def test_damaged_files_raise_only_our_errors(name, changes, cut):
    name, _, kind = name.partition(" ")
    if not codecs.is_installed(name):
        pytest.skip("its codec is not here")
    data = bytearray(small(name, np.uint16 if kind == "16" else np.uint8, kind == "progressive"))
    for place, value in changes:
        # Half of the damage in the first bytes, where the structure is.
        index = int(place * 2 * len(data)) if place < 0.5 else int((place - 0.5) * 2 * min(200, len(data)))
        data[index] = value
    decode_or_refuse(bytes(data[: int(len(data) * cut) + 1]))


@settings(max_examples=150, derandomize=True)
@given(
    start=st.sampled_from([small(name)[:size] for name in FUZZED for size in (4, 12, 24, 40, 100)]),
    rest=st.binary(max_size=300),
)
def test_good_beginnings_with_nonsense_raise_only_our_errors(start, rest):
    decode_or_refuse(start + rest)


def decode_or_refuse(data):
    for planes in (False, True):
        image, said = decoded_or_said(data, planes=planes, max_pixels=10**6)
        assert said.startswith("a ")
        if image is not None:
            stripped = image.replace(metadata=strip(image.metadata, "gps"))
            codecs.encode(stripped, codecs.FORMATS[image.metadata.format].written_as or "png")


# --- imports -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("planes", [True, False])
def test_a_jpeg_loads_neither_pillow_nor_opencv(tmp_path, planes):
    (tmp_path / "a.jpg").write_bytes(simplejpeg.encode_jpeg(np.zeros((16, 16, 3), np.uint8), 90, "RGB", "420"))
    program = (
        "import sys, json; from pathlib import Path; from enhance_cli.imaging import codecs;"
        f"image = codecs.decode(Path('a.jpg').read_bytes(), planes={planes});"
        "codecs.encode(image, 'jpeg');"
        "print(json.dumps([name for name in ('PIL', 'cv2', 'torch') if name in sys.modules]))"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=True, timeout=120)
    assert json.loads(ran.stdout) == []
