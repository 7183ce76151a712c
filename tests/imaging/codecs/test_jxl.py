"""JPEG XL: round trips with EXIF, XMP and profile; reduced depth and damage are reported."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from PIL import ImageCms

from enhance_cli.errors import CorruptPicture, PhotographError, PictureTooLarge
from enhance_cli.imaging import codecs
from enhance_cli.types import Image, JpegCoding, Metadata

pytest.importorskip("pylibjxl")

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
EXIF = b"II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0\x04\0\0\0Box\0\0\0\0\0"


def samples(*shape):
    return np.random.default_rng(7).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("grey", [True, False])
@pytest.mark.parametrize("alpha", [True, False])
def test_lossless_gives_back_what_it_got(grey, alpha):
    image = Image(samples(21, 34) if grey else samples(21, 34, 3), alpha=samples(21, 34) if alpha else None)
    data, notes = codecs.encode(image, "jxl")
    again = codecs.decode(data)
    assert again.metadata.format == "jxl"
    if grey and alpha:
        assert "grey is written as RGB" in notes[0]
        assert np.array_equal(again.pixels[..., 1], image.pixels)
    else:
        assert notes == ()
        assert np.array_equal(again.pixels, image.pixels)
    if alpha:
        assert np.array_equal(again.alpha, image.alpha)
    else:
        assert again.alpha is None
    for plane in (again.pixels, *(() if again.alpha is None else (again.alpha,))):
        assert plane.flags.c_contiguous
        assert plane.flags.writeable


@pytest.mark.parametrize("shape", [(24, 32, 3), (24, 32)])
def test_blocks_are_kept(shape):
    meta = Metadata(exif=EXIF, xmp=b"<x:xmpmeta/>", icc=SRGB, iptc=b"\x1c\x02\x19\0\1a")
    data, notes = codecs.encode(Image(samples(*shape), metadata=meta), "jxl")
    again = codecs.decode(data).metadata
    assert (again.exif, again.xmp, again.icc) == (meta.exif, meta.xmp, meta.icc)
    assert notes[0] == "jxl cannot hold IPTC: left out"


def test_a_profile_that_the_encoder_refuses_is_noted():
    nonsense = bytes(36) + b"acsp" + bytes(200)
    data, notes = codecs.encode(Image(samples(24, 32, 3), metadata=Metadata(icc=nonsense)), "jxl")
    assert notes == ("its colour profile was refused by the JPEG XL encoder and left out",)
    assert codecs.decode(data).pixels.shape == (24, 32, 3)


def test_what_was_lossy_stays_lossy_at_the_quality_asked():
    y, x = np.mgrid[:64, :96]
    rgb = np.stack((2 * x, 3 * y, x + y), axis=2).astype(np.uint8)
    image = Image(rgb, metadata=Metadata(jpeg=JpegCoding(90, "444")))
    sizes = [len(codecs.encode(image, "jxl", quality=quality)[0]) for quality in (None, 20, 60)]
    assert sizes[0] > sizes[2] > sizes[1]
    again = codecs.decode(codecs.encode(image, "jxl")[0])
    assert np.abs(again.pixels.astype(int) - rgb).mean() < 3
    assert again.metadata.jpeg is not None


def test_more_than_eight_bits_are_told():
    import pylibjxl

    data = codecs.encode(Image(samples(8, 8, 3)), "jxl")[0]
    probed = pylibjxl.probe(data) | {"bits_per_sample": 16}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pylibjxl, "probe", lambda data: probed)
        assert codecs.decode(data).metadata.notes == ("its 16 bits per sample were read as 8",)


def test_the_header_counts():
    with pytest.raises(PictureTooLarge, match="34x21"):
        codecs.decode(codecs.encode(Image(samples(21, 34, 3)), "jxl")[0], max_pixels=700)


def test_damage_raises_only_our_errors():
    whole = codecs.encode(Image(samples(21, 34, 3), metadata=Metadata(exif=EXIF, icc=SRGB)), "jxl")[0]
    with pytest.raises(CorruptPicture):
        codecs.decode(whole[: len(whole) // 2])
    rng = np.random.default_rng(4)
    for _ in range(60):
        data = bytearray(whole)
        for place in rng.integers(2, len(whole), 4):
            data[place] = rng.integers(0, 256)
        with contextlib.suppress(PhotographError):
            codecs.decode(bytes(data), source="a", max_pixels=10**6)
