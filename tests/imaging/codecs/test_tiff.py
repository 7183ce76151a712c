"""TIFF of every depth, mode, order, orientation and number of pages."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms

from enhance_cli.errors import CorruptPicture, UnsupportedFormat
from enhance_cli.imaging import codecs
from enhance_cli.types import Image
from tests.imaging.codecs.layouts import (
    assert_as_pillow,
    assert_fit_for_rendering,
    assert_same,
    samples,
    saved,
)


def test_tall_tiffs_have_several_strips():
    image = Image(np.random.default_rng(1).integers(0, 65536, (1500, 400, 3), np.uint16))
    data, _ = codecs.encode(image, "tiff")
    assert_same(codecs.decode(data), image)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_tiff_of_every_mode(mode, compression):
    picture = Pillow.fromarray(samples("rgba"))
    picture = picture.convert("RGB").convert(mode) if mode in ("1", "P") else picture.convert(mode)
    data = saved(picture, "TIFF", compression=compression)
    image = codecs.decode(data)
    assert_as_pillow(image, data)
    assert (image.pixels.ndim == 2) == (mode in ("1", "L", "LA"))


def tiff_file(pixels, order="<", **tags):
    """An uncompressed TIFF of any order, depth and tags; tags by number, `t274=6`."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    values = {
        256: (4, [pixels.shape[1]]), 257: (4, [pixels.shape[0]]), 258: (3, [8 * pixels.itemsize] * channels),
        259: (3, [1]), 262: (3, [2 if channels > 2 else 1]), 273: (4, [0]), 277: (3, [channels]),
        278: (4, [pixels.shape[0]]), 279: (4, [pixels.nbytes]),
    }  # fmt: skip
    if channels in (2, 4):
        values[338] = (3, [2])
    values |= {int(name[1:]): (3, list(np.atleast_1d(value))) for name, value in tags.items()}
    place = 8 + 2 + 12 * len(values) + 4
    tail = b""
    values[273] = (4, [place + sum(2 * len(v) for k, v in values.values() if k == 3 and len(v) > 2)])
    directory = struct.pack(order + "H", len(values))
    for tag, (kind, numbers) in sorted(values.items()):
        packed = struct.pack(order + ("H" if kind == 3 else "I") * len(numbers), *(int(n) for n in numbers))
        directory += struct.pack(order + "HHI", tag, kind, len(numbers))
        directory += packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack(order + "I", place + len(tail))
        tail += packed if len(packed) > 4 else b""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return head + directory + b"\0" * 4 + tail + pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("layout", ["grey", "rgb", "rgba"])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_tiff_of_either_byte_order(order, layout, depth):
    pixels = samples(layout, depth)
    image = codecs.decode(tiff_file(pixels, order))
    whole = image.pixels if image.alpha is None else np.dstack((image.pixels, image.alpha))
    assert image.pixels.dtype == depth
    assert np.array_equal(whole, pixels)
    assert_fit_for_rendering(image)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_tiff_is_turned_once(orientation, depth):
    pixels = samples("rgb", depth)
    image = codecs.decode(tiff_file(pixels, t274=orientation))
    steps = {
        1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1], 5: pixels.swapaxes(0, 1),
        6: pixels[::-1].swapaxes(0, 1), 7: pixels[::-1, ::-1].swapaxes(0, 1), 8: pixels[:, ::-1].swapaxes(0, 1),
    }  # fmt: skip
    assert np.array_equal(image.pixels, steps[orientation])
    again = codecs.decode(codecs.encode(image, "tiff")[0])
    assert np.array_equal(again.pixels, image.pixels)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_tiff_of_senseless_orientation(orientation, depth):
    pixels = samples("rgb", depth)
    assert np.array_equal(codecs.decode(tiff_file(pixels, t274=orientation)).pixels, pixels)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_tiff_whose_white_is_zero(depth):
    pixels = samples("grey", depth)
    assert np.array_equal(codecs.decode(tiff_file(pixels, t262=0)).pixels, np.iinfo(depth).max - pixels)


def test_sixteen_bit_tiff_with_alpha_multiplied_in():
    straight = samples("rgba", np.uint16)
    straight[..., 3] |= 0x8000
    multiplied = straight.astype(np.uint64)
    multiplied[..., :3] = multiplied[..., :3] * multiplied[..., 3:] // 65535
    image = codecs.decode(tiff_file(multiplied.astype(np.uint16), t338=1))
    assert np.abs(image.pixels.astype(int) - straight[..., :3]).max() <= 2
    assert np.array_equal(image.alpha, straight[..., 3])


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_an_unknown_extra_channel_is_noted(depth):
    pixels = samples("rgba", depth)
    image = codecs.decode(tiff_file(pixels, t338=0))
    assert np.array_equal(image.pixels, pixels[..., :3])
    assert "extra channel" in image.metadata.notes[0]


@pytest.mark.parametrize(
    ("pixels", "tags"),
    [
        (np.full((4, 5, 3), 2, np.float32), {"t339": (3, 3, 3)}),
        (np.full((4, 5), 2, np.float32), {"t339": 3}),
        (np.zeros((4, 5), np.uint32), {}),
        (np.full((4, 5), -1, np.float64), {"t339": 3}),
        (np.zeros((4, 5), np.int16), {"t339": 2}),
        (np.zeros((4, 5, 4), np.uint16), {"t262": 5}),
        (np.zeros((4, 5, 2), np.uint16), {}),
        (np.zeros((4, 5, 3), np.uint16), {"t284": 2}),
    ],
    ids=["float rgb", "float", "uint32", "double", "signed", "cmyk 16", "grey and alpha 16", "planar 16"],
)
def test_other_tiffs_are_refused_in_a_sentence(pixels, tags):
    with pytest.raises((UnsupportedFormat, CorruptPicture), match=r"^a\.tif ") as raised:
        codecs.decode(tiff_file(pixels, **tags), source="a.tif")
    assert str(raised.value).endswith(".")


def test_tiff_of_many_pages_gives_the_first_and_a_note():
    pages = [Pillow.fromarray(samples("rgb", seed=seed)) for seed in (1, 2, 3)]
    image = codecs.decode(saved(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert np.array_equal(image.pixels, np.array(pages[0]))
    assert image.metadata.notes == ("only the first of its frames or pages was enhanced",)


def test_pages_that_lead_in_a_circle_end():
    data = bytearray(tiff_file(samples("rgb")))
    (count,) = struct.unpack_from("<H", data, 8)
    struct.pack_into("<I", data, 10 + 12 * count, 8)
    assert np.array_equal(codecs.decode(bytes(data)).pixels, samples("rgb"))


@pytest.mark.parametrize("mode", ["CMYK", "LAB", "YCbCr"])
def test_tiff_in_other_colours_is_converted_with_a_note(mode):
    y, x = np.mgrid[:32, :48]
    rgb = Pillow.fromarray(np.stack((60 + 2 * x, 100 + y, 120 - x), axis=2).astype(np.uint8))
    if mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        converted = ImageCms.profileToProfile(rgb, *profiles, outputMode="LAB")
    else:
        converted = rgb.convert(mode)
    image = codecs.decode(saved(converted, "TIFF"))
    assert np.abs(image.pixels.astype(int) - np.array(rgb)).mean() < 3
    assert image.metadata.icc is None
    if mode != "YCbCr":
        assert "converted from" in image.metadata.notes[0]


def test_a_damaged_file_prints_nothing(capfd):
    """libtiff writes to descriptor 2 itself, a line for each bad tag, beside our own sentence."""
    data = bytearray(saved(Pillow.fromarray(samples("rgb")), "TIFF", compression="tiff_lzw"))
    data[10:200] = bytes(range(66, 256))
    with pytest.raises(CorruptPicture):
        codecs.decode(bytes(data))
    assert capfd.readouterr().err == ""
