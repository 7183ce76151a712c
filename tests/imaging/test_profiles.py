"""Facts about colour spaces named by numbers: they become profiles that mean the same, and stay with the pixels."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms

from enhance_cli.imaging import codecs, profiles
from enhance_cli.imaging.codecs.png.chunks import chunk
from enhance_cli.imaging.profiles import Cicp, icc_of_cicp, icc_profile

DISPLAY_P3 = ((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141))
"""The columns, adapted to D50, of the profiles in common use."""


def columns_of(icc):
    opened = ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile
    return np.array([getattr(opened, f"{name}_colorant")[0] for name in ("red", "green", "blue")])


@pytest.mark.parametrize(("primaries", "columns"), [(12, DISPLAY_P3), (1, SRGB)])
def test_primaries_are_adapted_as_in_known_profiles(primaries, columns):
    icc = icc_profile("a", profiles._PRIMARIES[primaries], profiles.SRGB_CURVE)
    assert np.abs(columns_of(icc) - columns).max() < 5e-4


def test_white_stays_white_and_grey_stays_grey():
    icc = ImageCms.ImageCmsProfile(io.BytesIO(icc_of_cicp(Cicp(9, 13), [])))
    grey = Pillow.fromarray(np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2))
    through = np.asarray(ImageCms.profileToProfile(grey, icc, ImageCms.createProfile("sRGB")))
    assert np.abs(through.astype(int) - np.asarray(grey)).max() <= 1


@pytest.mark.parametrize("transfer", [1, 4, 5, 8, 13])
def test_curves_are_those_of_the_numbers(transfer):
    """Grey through the profile against the formula, both to sRGB."""
    code = np.linspace(0, 1, 256)
    light = {
        1: np.where(code < 0.081, code / 4.5, ((code + 0.099) / 1.099) ** (1 / 0.45)),
        4: code**2.2,
        5: code**2.8,
        8: code,
        13: np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4),
    }[transfer]
    expected = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    icc = ImageCms.ImageCmsProfile(io.BytesIO(icc_of_cicp(Cicp(9, transfer), [])))
    grey = Pillow.fromarray(np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2))
    through = np.asarray(ImageCms.profileToProfile(grey, icc, ImageCms.createProfile("sRGB")))[:, 0, 1]
    assert np.abs(through - expected).max() <= 1.5


def test_srgb_needs_no_profile_and_the_unknown_is_noted():
    notes = []
    assert icc_of_cicp(None, notes) is icc_of_cicp(Cicp(1, 13), notes) is icc_of_cicp(Cicp(2, 2), notes) is None
    assert notes == []
    assert icc_of_cicp(Cicp(200, 13), notes) is None
    assert "primaries 200" in notes[-1]
    assert icc_of_cicp(Cicp(9, 16), notes) is None
    assert "high dynamic range" in notes[-1]


@pytest.mark.parametrize(
    "numbers", [(0.3, 0.0, 0.6, 0.3, 0.3, 0.6, 0.1, 0.1), (0.3, 0.3) * 4, (0.3, 0.3, 0.6) + (0.0,) * 5]
)
def test_chromaticities_that_span_nothing_give_no_profile(numbers):
    assert icc_profile("a", numbers, (2.2,)) is None


def png_of(*chunks, colour_type=2):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, colour_type, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0\xff\0\0"[: 2 if colour_type == 0 else 4]))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + pixels + chunk(b"IEND", b"")


def packed(*values):
    return struct.pack(f">{len(values)}I", *(round(value * 100_000) for value in values))


ADOBE_RGB = (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)


@pytest.mark.parametrize("format_name", ["png", "jpeg", "tiff", "webp", "avif"])
def test_a_wide_space_named_by_numbers_stays_in_every_format(format_name):
    for chunks in (
        [chunk(b"cICP", bytes((12, 13, 0, 1)))],
        [chunk(b"gAMA", packed(1 / 2.2)), chunk(b"cHRM", packed(*ADOBE_RGB))],
    ):
        image = codecs.decode(png_of(*chunks))
        assert image.metadata.notes == ()
        again = codecs.decode(codecs.encode(image, format_name)[0])
        assert again.metadata.icc == image.metadata.icc is not None
        ImageCms.ImageCmsProfile(io.BytesIO(again.metadata.icc))


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [chunk(b"sRGB", b"\0"), chunk(b"gAMA", packed(0.9))],
        [chunk(b"gAMA", packed(0.45455))],
        [chunk(b"gAMA", packed(0.45455)), chunk(b"cHRM", packed(*profiles.BT709))],
        [chunk(b"gAMA", packed(0.0))],
        [chunk(b"gAMA", b"\0"), chunk(b"cHRM", b"\0" * 31), chunk(b"cICP", b"\1")],
        [chunk(b"cHRM", b"\0" * 32)],
    ],
)
def test_what_is_srgb_or_senseless_gives_no_profile(chunks):
    assert codecs.decode(png_of(*chunks)).metadata.icc is None


def test_a_gamma_alone_becomes_a_profile():
    icc = codecs.decode(png_of(chunk(b"gAMA", packed(1.0)))).metadata.icc
    assert np.abs(columns_of(icc) - SRGB).max() < 5e-4


def test_grey_gets_no_profile_of_rgb():
    assert codecs.decode(png_of(chunk(b"gAMA", packed(1.0)), colour_type=0)).metadata.icc is None


def test_the_tag_of_an_avif_becomes_a_profile():
    packed_avif = io.BytesIO()
    Pillow.new("RGB", (16, 16), (200, 30, 30)).save(packed_avif, "AVIF")
    data = packed_avif.getvalue()
    place = data.index(b"colrnclx") + 8
    tagged = data[:place] + struct.pack(">HH", 12, 13) + data[place + 4 :]
    assert codecs.decode(data).metadata.icc is None
    icc = codecs.decode(tagged).metadata.icc
    assert np.abs(columns_of(icc) - DISPLAY_P3).max() < 5e-4
