"""PNG of every depth, mode and kind of transparency."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow

from enhance_cli.imaging import codecs
from enhance_cli.imaging.codecs.png.chunks import chunk as png_chunk
from tests.imaging.codecs.layouts import (
    assert_as_pillow,
    samples,
    saved,
)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA"])
def test_png_of_every_mode(mode):
    picture = Pillow.fromarray(samples("rgba"))
    picture = picture.convert("RGB").convert(mode) if mode in ("1", "P") else picture.convert(mode)
    data = saved(picture.convert("RGBA") if mode == "PA" else picture, "PNG")
    image = codecs.decode(data)
    assert_as_pillow(image, data)
    assert (image.pixels.ndim == 2) == (mode in ("1", "L", "LA"))


@pytest.mark.parametrize(
    ("mode", "transparency"),
    [("1", 0), ("1", 255), ("L", 16), ("RGB", (1, 2, 3)), ("P", 3), ("P", bytes(range(0, 256, 2)))],
)
def test_png_with_a_transparent_colour(mode, transparency):
    rgb = samples("rgb") // 16
    rgb[:4, :4] = (1, 2, 3)
    picture = Pillow.fromarray(rgb).convert(mode)
    data = saved(picture, "PNG", transparency=transparency)
    image = codecs.decode(data)
    assert image.alpha is not None
    assert image.pixels.ndim == (2 if mode in ("1", "L") else 3)
    assert_as_pillow(image, data)


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("mode", ["L", "P"])
def test_png_of_few_bits(bits, mode):
    codes = samples("grey") % 2**bits
    packed = np.zeros((codes.shape[0], -(-codes.shape[1] * bits // 8) * 8 // bits), np.uint8)
    packed[:, : codes.shape[1]] = codes
    rows = packed.reshape(codes.shape[0], -1, 8 // bits)
    bytes_of = (rows << (8 - bits - bits * np.arange(8 // bits, dtype=np.uint8))).sum(axis=2).astype(np.uint8)
    palette = np.random.default_rng(0).integers(0, 256, (2**bits, 3), np.uint8)
    extra = [png_chunk(b"PLTE", palette.tobytes())] if mode == "P" else []
    data = png_file(codes.shape, bits, 3 if mode == "P" else 0, bytes_of, *extra)
    expected = palette[codes] if mode == "P" else codes * (255 // (2**bits - 1))
    assert np.array_equal(codecs.decode(data).pixels, expected)


def png_file(shape, depth, colour_type, rows, *chunks):
    header = struct.pack(">IIBBBBB", shape[1], shape[0], depth, colour_type, 0, 0, 0)
    body = b"".join(b"\0" + row.tobytes() for row in rows)
    middle = b"".join(chunks) + png_chunk(b"IDAT", zlib.compress(body))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + middle + png_chunk(b"IEND", b"")


@pytest.mark.parametrize("colour_type", [0, 2])
def test_sixteen_bit_png_with_a_transparent_colour(colour_type):
    pixels = samples("rgb" if colour_type else "grey", np.uint16)
    key = np.atleast_1d(pixels[3, 4])
    pixels[5, 6] = pixels[3, 4]
    chunk = png_chunk(b"tRNS", key.astype(">u2").tobytes())
    image = codecs.decode(png_file(pixels.shape, 16, colour_type, pixels.astype(">u2"), chunk))
    assert np.array_equal(image.pixels, pixels)
    assert [tuple(place) for place in np.argwhere(image.alpha == 0)] == [(3, 4), (5, 6)]
    assert set(np.unique(image.alpha)) == {0, 65535}
