"""Every file of the robustness set comes out right, or is refused in a sentence; nothing else."""

from __future__ import annotations

import csv
import io
import warnings
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageOps

from benchmarks.lib.sets import DATA
from enhance_cli.errors import CorruptPicture, PhotographError, PictureTooLarge, UnsupportedFormat
from enhance_cli.imaging import codecs, colour

FOLDER = DATA / "robustness"

REFUSED = {
    "libheif__github_48.heic": CorruptPicture,
    "libheif__uncompressed_comp_Y16U16V16_420.heic": CorruptPicture,
    "libheif__uncompressed_tile_RGxB_tiled.heic": CorruptPicture,
    "libvips__17000x17000.avif": PictureTooLarge,
    "libvips__sample.exr": UnsupportedFormat,
    "libvips__sample.hdr": UnsupportedFormat,
    "pillow__broken.png": CorruptPicture,
    "pillow__broken_data_stream.png": CorruptPicture,
    "pillow__crash-0c7e0e8e11ce787078f00b5b0ca409a167f070e0.tif": CorruptPicture,
    "pillow__crash-2020-10-test.tif": CorruptPicture,
    "pillow__decompression_bomb.gif": PictureTooLarge,
    "pillow__truncated_image.png": CorruptPicture,
    "pillow__truncated_jpeg.jpg": CorruptPicture,
    "pillow_heif__corrupted.heic": CorruptPicture,
    "pillow_heif__empty.heic": CorruptPicture,
    "sharp__65536-uint32-limit.png": PictureTooLarge,
    "sharp__truncated.jpg": CorruptPicture,
    "sharp__truncated.png": CorruptPicture,
}
SIXTEEN_BIT = {
    "pillow_heif__RGBA_10__128x128.heif",
    "pillow_heif__RGB_12__29x100.heif",
    "pillow_heif__RGB_16__128x128.png",
    "sharp__16-bit-grey-alpha.png",
    "sharp__Flag_of_the_Netherlands-16bit.png",
}
CONVERTED = {"sharp__Channel_digital_image_CMYK_color.jpg"}


def listed():
    if not FOLDER.exists():
        return []
    with (FOLDER / "LIST.csv").open(newline="") as rows:
        return [row["file"] for row in csv.DictReader(rows)]


pytestmark = pytest.mark.data


@pytest.mark.skipif(not FOLDER.exists(), reason="the robustness set is not here")
def test_the_set_is_complete():
    assert set(REFUSED) | SIXTEEN_BIT | CONVERTED <= set(listed())


@pytest.mark.parametrize("name", listed())
def test_decoded_or_refused(name):
    data = (FOLDER / name).read_bytes()
    found = codecs.sniff(data)
    if found is not None and not codecs.is_installed(found.name):
        with pytest.raises(UnsupportedFormat, match=r"pip install"):
            codecs.decode(data, source=name)
        return
    if name in REFUSED:
        with pytest.raises(PhotographError) as raised:
            codecs.decode(data, source=name)
        assert type(raised.value) is REFUSED[name]
        said = str(raised.value)
        assert said.startswith(name + " ")
        assert said.endswith(".")
        assert "<" not in said
        return
    announced = []
    image = codecs.decode(data, source=name, admit=lambda *size: announced.append(size))
    assert [depth for _, _, depth in announced] == [image.metadata.bit_depth]
    assert (image.pixels.dtype == np.uint16) == (name in SIXTEEN_BIT)
    assert_as_pillow(image, data, name)
    for plane in (image.pixels, *(() if image.alpha is None else (image.alpha,))):
        assert plane.flags.c_contiguous
        assert plane.flags.writeable
    if image.metadata.format == "jpeg":
        planes = codecs.decode(data, source=name, planes=True)
        merged = colour.merge_planes(planes).pixels
        assert np.abs(merged.astype(int) - image.pixels).mean() < 0.6
    if image.metadata.format in ("heif", "avif") and image.height * image.width > 500_000:
        return  # their encoders take seconds; smaller ones are written below
    coded, _ = codecs.encode(image, image.metadata.format)
    assert codecs.decode(coded).pixels.shape == image.pixels.shape


def assert_as_pillow(image, data, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if find_spec("pillow_heif"):
            import pillow_heif

            pillow_heif.register_heif_opener()
        with Pillow.open(io.BytesIO(data)) as opened:
            upright = ImageOps.exif_transpose(opened)
            expected = np.array(upright.convert("RGB" if image.alpha is None else "RGBA"))
    rgb = colour.to_rgb(colour.to_eight_bit(image)) if image.pixels.dtype == np.uint16 else colour.to_rgb(image)
    whole = rgb.pixels if rgb.alpha is None else np.dstack((rgb.pixels, rgb.alpha))
    assert whole.shape == expected.shape
    if name in CONVERTED:
        return  # through its profile, which Pillow's own conversion ignores
    difference = np.abs(whole.astype(int) - expected)
    if name in SIXTEEN_BIT and name.endswith("heif"):  # colours are converted at the depth that is asked for
        assert difference.max() <= 4
        assert difference.mean() < 1.5
    else:
        assert difference.max() <= (1 if name in SIXTEEN_BIT else 0)  # Pillow cuts 16 bits off where we round
