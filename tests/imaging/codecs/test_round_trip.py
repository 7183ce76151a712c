"""Every kind of metadata through every format: what the table says is carried comes back, all else is noted."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms

from enhance_cli.imaging import codecs
from enhance_cli.imaging.metadata import xmp_guid
from enhance_cli.types import Density, Image, Metadata

EXTENSION = b"<x:xmpmeta>" + b"a long history " * 9000 + b"</x:xmpmeta>"


def exif_block() -> bytes:
    exif = Pillow.Exif()
    exif[0x010F] = "Light & Shade"
    exif.get_ifd(0x8769)[0x829A] = 1 / 125
    exif[0x8769] = exif.get_ifd(0x8769)
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.6)})
    exif[0x8825] = exif.get_ifd(0x8825)
    return exif.tobytes()[6:]


KINDS = {
    "colour profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    "EXIF": exif_block(),
    "XMP": b"<?xpacket?><x:xmpmeta>" + xmp_guid(EXTENSION) + b"</x:xmpmeta>",
    "extended XMP": EXTENSION,
    "IPTC": b"\x1c\x02\x19\x00\x05night",
    "density": Density(300, 240),
}


def left_out(notes):
    """The kinds that the notes say could not be held."""
    sentences = [note.partition(" cannot hold ")[2].removesuffix(": left out") for note in notes]
    return {kind for sentence in sentences for kind in sentence.split(" and ")}


def test_every_kind_is_here():
    assert list(KINDS) == list(codecs.BLOCKS)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("name", codecs.writable_formats())
def test_all_kinds_at_once_twice(name, depth):
    """Read, written, read, written and read again; every kind is kept, or named in a note."""
    if not codecs.is_installed(name):
        pytest.skip("its codec is not here")
    pixels = np.random.default_rng(0).integers(0, np.iinfo(depth).max, (24, 32, 3), depth)
    metadata = Metadata(**{codecs.BLOCKS[kind]: value for kind, value in KINDS.items()})
    data, notes = codecs.encode(Image(pixels, metadata=metadata), name)
    once = codecs.decode(data)
    again = codecs.decode(codecs.encode(once, name)[0])
    assert once.metadata.notes == again.metadata.notes == ()
    told = left_out(notes)
    for kind, value in KINDS.items():
        one, two = (getattr(image.metadata, codecs.BLOCKS[kind]) for image in (once, again))
        if kind not in codecs.FORMATS[name].carries:
            assert one is two is None
            assert kind in told
        elif kind == "density":
            assert one[:2] == pytest.approx(value[:2], abs=0.02)
            assert two[:2] == pytest.approx(one[:2], abs=0.03)
        else:
            assert one == two == value
            assert kind not in told


@pytest.mark.parametrize("target", codecs.writable_formats())
@pytest.mark.parametrize("source", codecs.writable_formats())
def test_from_every_format_to_every_other(source, target):
    if not (codecs.is_installed(source) and codecs.is_installed(target)):
        pytest.skip("its codec is not here")
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    carried = codecs.FORMATS[source].carries
    metadata = Metadata(**{codecs.BLOCKS[kind]: value for kind, value in KINDS.items() if kind in carried})
    first = codecs.decode(codecs.encode(Image(pixels, metadata=metadata), source)[0])
    data, notes = codecs.encode(first, target)
    second = codecs.decode(data).metadata
    for kind in carried:
        kept = getattr(second, codecs.BLOCKS[kind]) is not None
        assert kept == (kind not in left_out(notes))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "tiff"])
def test_nothing_turns_twice(name, orientation):
    """An image with an orientation, written and read again, lies as Pillow shows the first."""
    exif = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0) + bytes(4)
    y, x = np.mgrid[:24, :32]
    pixels = np.stack((7 * x, 9 * y, 0 * x), axis=2).astype(np.uint8)
    first = codecs.decode(codecs.encode(Image(pixels, metadata=Metadata(exif=exif)), name)[0])
    again = codecs.decode(codecs.encode(first, name)[0])
    turned = orientation >= 5 and name != "tiff"  # whose writer stores pixels upright, whatever EXIF says
    assert first.pixels.shape == again.pixels.shape == ((32, 24, 3) if turned else (24, 32, 3))
    assert np.abs(first.pixels.astype(int) - again.pixels).mean() < 4


def test_the_document_shows_the_table():
    import importlib.util

    root = Path(__file__).parents[3]
    spec = importlib.util.spec_from_file_location("generate", root / "docs" / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert generate.format_table() in (root / "docs" / "formats.md").read_text(encoding="utf-8"), "run `make docs`"
