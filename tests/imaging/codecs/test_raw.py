"""Facts about camera raw files, on a small DNG made here: told from TIFFs, developed at 16 bits, upright, with EXIF."""

from __future__ import annotations

import contextlib
import struct

import numpy as np
import pytest
from PIL import Image as Pillow

from enhance_cli.errors import CorruptPicture, PhotographError, PictureTooLarge
from enhance_cli.imaging import codecs

pytest.importorskip("rawpy")

LAYOUTS = {1: "B", 2: "B", 3: "H", 4: "I", 5: "I", 10: "i"}
"""How the values of a field are packed, by TIFF type."""


def dng(samples, orientation=1):
    """A DNG of one plane of RGGB samples, 16 bits, uncompressed."""
    height, width = samples.shape
    unity = [value for row in np.eye(3, dtype=int) for entry in row for value in (int(entry), 1)]
    tags = {
        254: (4, [0]), 256: (4, [width]), 257: (4, [height]), 258: (3, [16]), 259: (3, [1]), 262: (3, [32803]),
        271: (2, b"Light & Shade\0"), 272: (2, b"Box 1\0"), 273: (4, [0]), 274: (3, [orientation]), 277: (3, [1]),
        278: (4, [height]), 279: (4, [samples.nbytes]), 33421: (3, [2, 2]), 33422: (1, bytes([0, 1, 1, 2])),
        50706: (1, bytes([1, 4, 0, 0])), 50708: (2, b"Light Box 1\0"), 50717: (4, [65535]), 50721: (10, unity),
        50728: (5, [1, 1] * 3), 50778: (3, [21]),
    }  # fmt: skip

    def packed(kind, values):
        return values if isinstance(values, bytes) else struct.pack(f"<{len(values)}{LAYOUTS[kind]}", *values)

    place = 8 + 2 + 12 * len(tags) + 4
    long = sum(-(-len(body) // 2) * 2 for body in (packed(*field) for field in tags.values()) if len(body) > 4)
    tags[273] = (4, [place + long])
    directory, tail = struct.pack("<H", len(tags)), b""
    for tag, (kind, values) in tags.items():
        body = packed(kind, values)
        directory += struct.pack("<HHI", tag, kind, len(values) // (2 if kind in (5, 10) else 1))
        directory += body.ljust(4, b"\0") if len(body) <= 4 else struct.pack("<I", place + len(tail))
        tail += body + bytes(len(body) % 2) if len(body) > 4 else b""
    return b"II*\0" + struct.pack("<I", 8) + directory + bytes(4) + tail + samples.astype("<u2").tobytes()


def ramp(height=96, width=128):
    y, x = np.mgrid[:height, :width]
    return (x * 300 + y * 100).astype(np.uint16)


def test_a_raw_file_is_developed_at_sixteen_bits():
    image = codecs.decode(dng(ramp()))
    assert (image.metadata.format, image.metadata.bit_depth) == ("raw", 16)
    assert image.pixels.shape == (96, 128, 3)
    assert image.pixels.dtype == np.uint16
    assert len(np.unique(image.pixels)) > 1000
    assert image.pixels.flags.c_contiguous
    assert image.pixels.flags.writeable
    assert image.metadata.notes == ("developed from camera raw: the camera's white balance, sRGB, 16 bits",)
    assert np.all(np.diff(image.pixels[48, 8:-8, 1].astype(int)) >= 0)


def test_light_is_left_to_the_methods():
    """No brightening of LibRaw's own: a dark file stays dark."""
    assert codecs.decode(dng(ramp() // 16)).pixels.mean() < codecs.decode(dng(ramp())).pixels.mean() / 2


def test_a_raw_file_is_turned_once_and_keeps_its_exif():
    image = codecs.decode(dng(ramp(), orientation=6))
    assert image.pixels.shape == (128, 96, 3)
    read = Pillow.Exif()
    read.load(image.metadata.exif)
    assert (read[0x010F], read[0x0110], read.get(0x0112, 1)) == ("Light & Shade", "Box 1", 1)
    again = codecs.decode(codecs.encode(image, "raw")[0])
    assert again.metadata.format == "tiff"
    assert np.array_equal(again.pixels, image.pixels)


def test_the_header_counts():
    with pytest.raises(PictureTooLarge, match="128x96"):
        codecs.decode(dng(ramp()), max_pixels=12_287)


@pytest.mark.parametrize("length", [150, 400, 5000])
def test_a_raw_file_cut_short_is_refused(length):
    with pytest.raises(CorruptPicture):
        codecs.decode(dng(ramp())[:length])


def test_damage_raises_only_our_errors():
    whole = dng(ramp(24, 32))
    rng = np.random.default_rng(4)
    read = 0
    for _ in range(60):
        data = bytearray(whole)
        for place in rng.integers(4, 400, 4):
            data[place] = rng.integers(0, 256)
        with contextlib.suppress(PhotographError):
            codecs.decode(bytes(data), source="a", max_pixels=10**6)
            read += 1
    assert 0 < read < 60


@pytest.mark.parametrize(
    ("beginning", "name"),
    [
        (b"FUJIFILMCCD-RAW 0201", "raw"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "raw"),
        (b"IIRO\x08\0\0\0" + bytes(20), "raw"),
        (b"II*\0\x10\0\0\0CR\x02\0" + bytes(20), "raw"),
        (b"II*\0\x08\0\0\0" + bytes(20), "tiff"),
    ],
)
def test_raw_files_are_told_from_others(beginning, name):
    assert codecs.sniff(beginning).name == name


def test_a_tiff_whose_first_picture_is_a_preview_is_raw():
    entries = struct.pack("<HHII", 254, 4, 1, 1) + struct.pack("<HHII", 330, 4, 1, 99)
    preview = b"II*\0\x08\0\0\0\x02\0" + entries + bytes(4)
    assert codecs.sniff(preview).name == "raw"
    assert codecs.sniff(preview[:10] + struct.pack("<HHII", 254, 4, 1, 0) + preview[22:]).name == "tiff"
