"""Formats other than JPEG: every kind of sample is read and written correctly."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms

from enhance_cli.errors import PictureTooLarge, UnsupportedFormat
from enhance_cli.imaging import codecs
from enhance_cli.types import Image, JpegCoding
from tests.imaging.codecs.layouts import (
    LAYOUTS,
    assert_as_pillow,
    assert_fit_for_rendering,
    assert_same,
    colours_of,
    image_of,
    samples,
    saved,
)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("format_name", ["png", "tiff"])
def test_lossless_formats_give_back_what_they_got(format_name, depth, layout):
    image = image_of(layout, depth)
    data, notes = codecs.encode(image, format_name)
    again = codecs.decode(data)
    assert again.metadata.bit_depth == image.metadata.bit_depth
    assert_fit_for_rendering(again)
    if (format_name, depth, layout) == ("tiff", np.uint16, "grey and alpha"):
        assert "grey is written as RGB" in notes[0]
        assert np.array_equal(colours_of(again), colours_of(image))
    else:
        assert notes == ()
        assert_same(again, image)
    if depth == np.uint8:
        assert_as_pillow(again, data)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_lossless_webp_gives_back_what_it_got(layout):
    image = image_of(layout)
    again = codecs.decode(codecs.encode(image, "webp")[0])
    assert np.array_equal(colours_of(again), colours_of(image))
    assert again.metadata.jpeg is None


def test_lossy_webp_stays_lossy():
    image = image_of("rgb", format="webp", jpeg=JpegCoding(80, "420"))
    again = codecs.decode(codecs.encode(image, "webp")[0])
    assert again.metadata.jpeg is not None
    assert not np.array_equal(again.pixels, image.pixels)


def test_a_large_profile_does_not_hide_that_webp_is_lossy():
    noise = Pillow.fromarray(samples("rgb"))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert codecs.decode(saved(noise, "WEBP", icc_profile=profile)).metadata.jpeg is not None
    assert codecs.decode(saved(noise, "WEBP", lossless=True, icc_profile=profile)).metadata.jpeg is None


@pytest.mark.parametrize("layout", ["grey", "rgb"])
def test_bmp_gives_back_what_it_got(layout):
    image = image_of(layout)
    assert_same(codecs.decode(codecs.encode(image, "bmp")[0]), image)


@pytest.mark.parametrize("format_name", ["bmp", "jpeg"])
def test_what_a_format_cannot_hold_is_noted(format_name):
    _, notes = codecs.encode(image_of("rgba", np.uint16), format_name)
    assert any("alpha channel was dropped" in note for note in notes)
    assert any("reduced from 16" in note for note in notes)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("format_name", ["avif", "heif"])
def test_avif_and_heif_keep_layout_and_colours(format_name, layout):
    if format_name == "heif":
        pytest.importorskip("pillow_heif")
    y, x = np.mgrid[:64, :96].astype(np.uint8)
    ramp = Image(2 * x if layout.startswith("grey") else np.stack((2 * x, 128 + y, 200 - x), axis=2))
    if "a" in layout.split() or layout in ("rgba", "grey and alpha"):
        ramp = ramp.replace(alpha=(3 * y).astype(np.uint8))
    again = codecs.decode(codecs.encode(ramp, format_name)[0])
    assert (again.alpha is None) == (ramp.alpha is None)
    assert np.abs(colours_of(again).astype(int) - colours_of(ramp)).mean() < 3
    assert again.metadata.format == format_name
    assert_fit_for_rendering(again)


def test_avif_of_more_than_eight_bits_says_that_they_are_eight():
    y, x = np.mgrid[:64, :128]
    samples = ((x * 64 + y) * 1023 // (128 * 64 - 1)).astype(np.uint16)
    coded = cv2.imencode(".avif", np.dstack([samples] * 3), [cv2.IMWRITE_AVIF_DEPTH, 10])[1].tobytes()
    image = codecs.decode(coded)
    assert (image.metadata.bit_depth, image.metadata.notes) == (8, ("its 10 bits per sample were read as 8",))
    assert np.abs(image.pixels[..., 1] / 255 - samples / 1023).mean() < 0.01


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("format_name", ["png", "tiff"])
def test_the_depth_is_known_before_anything_is_decoded(format_name, depth):
    asked = []
    data = codecs.encode(image_of("rgb", depth), format_name)[0]
    codecs.decode(data, admit=lambda height, width, bits: asked.append(bits))
    assert asked == [8 * np.dtype(depth).itemsize]


def test_heif_of_more_than_eight_bits_keeps_them():
    pillow_heif = pytest.importorskip("pillow_heif")
    y, x = np.mgrid[:64, :128]
    grey = ((x * 64 + y) * 65535 // (128 * 64 - 1)).astype(np.uint16)
    samples = np.stack((grey, grey, grey), axis=2)
    packed = io.BytesIO()
    pillow_heif.from_bytes(mode="RGB;16", size=(128, 64), data=samples.tobytes()).save(packed, quality=95)
    image = codecs.decode(packed.getvalue())
    assert (image.metadata.bit_depth, image.metadata.notes) == (16, ())
    assert len(np.unique(image.pixels)) > 500
    assert np.abs(image.pixels / 65535 - samples / 65535).mean() < 0.01
    assert_fit_for_rendering(image)


def test_a_sixteen_bit_gradient_keeps_every_step():
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    for format_name in ("png", "tiff"):
        for pixels in (ramp, np.stack((ramp, ramp.T, ramp[::-1]), axis=2)):
            again = codecs.decode(codecs.encode(Image(np.ascontiguousarray(pixels)), format_name)[0])
            assert np.array_equal(again.pixels, pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_name", ["PNG", "WEBP", "AVIF"])
def test_orientation_is_applied_once(format_name, orientation):
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    details = {"WEBP": {"lossless": True}, "AVIF": {"quality": 95}}.get(format_name, {})
    y, x = np.mgrid[:21, :34]
    data = saved(
        Pillow.fromarray(np.stack((7 * x, 12 * y, 0 * x), axis=2).astype(np.uint8)), format_name, exif=exif, **details
    )
    image = codecs.decode(data)
    assert_as_pillow(image, data)
    again = codecs.decode(codecs.encode(image, format_name.lower())[0])
    assert again.pixels.shape == image.pixels.shape


def test_animations_give_their_first_frame_and_a_note():
    frames = [Pillow.fromarray(samples("rgb", seed=seed)) for seed in (1, 2, 3)]
    for format_name in ("PNG", "WEBP", "GIF"):
        details = {"lossless": True} if format_name == "WEBP" else {}
        data = saved(frames[0], format_name, save_all=True, append_images=frames[1:], **details)
        image = codecs.decode(data)
        assert image.metadata.notes == ("only the first of its frames or pages was enhanced",)
        if format_name != "GIF":
            assert np.array_equal(image.pixels, np.array(frames[0]))


def test_opencv_reads_the_sixteen_bit_files_we_write():
    image = image_of("rgba", np.uint16)
    for format_name in ("png", "tiff"):
        data, _ = codecs.encode(image, format_name)
        read = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(read[..., [2, 1, 0, 3]], colours_of(image))


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_ppm_family(mode):
    data = saved(Pillow.fromarray(samples("rgb")).convert(mode), "PPM")
    image = codecs.decode(data)
    assert image.metadata.format == "ppm"
    assert_as_pillow(image, data)


@pytest.mark.parametrize("largest", [65535, 4095, 511])
@pytest.mark.parametrize("layout", ["grey", "rgb"])
def test_ppm_of_sixteen_bits(largest, layout):
    codes = samples(layout, np.uint16) & np.uint16(largest)
    kind = b"P5" if layout == "grey" else b"P6"
    data = kind + b"\n# light\n%d %d\n%d\n" % (codes.shape[1], codes.shape[0], largest) + codes.astype(">u2").tobytes()
    image = codecs.decode(data)
    assert np.array_equal(image.pixels, np.rint(codes * (65535 / largest)))


def test_gif_with_transparency():
    picture = Pillow.fromarray(samples("rgb")).quantize(16)
    data = saved(picture, "GIF", transparency=3)
    image = codecs.decode(data)
    assert image.alpha is not None
    assert_as_pillow(image, data)


def test_jpeg2000():
    data = saved(Pillow.fromarray(samples("rgb")), "JPEG2000")
    image = codecs.decode(data)
    assert np.array_equal(image.pixels, samples("rgb"))
    grey = Pillow.fromarray(samples("grey", np.uint16))
    assert np.array_equal(codecs.decode(saved(grey, "JPEG2000")).pixels, samples("grey", np.uint16))


@pytest.mark.parametrize("name", ["gif", "ppm", "jp2", "psd"])
def test_formats_without_a_writer_are_written_as_png(name):
    image = image_of("rgba", np.uint16)
    data, notes = codecs.encode(image, name)
    assert codecs.FORMATS[name].written_as == "png"
    assert codecs.sniff(data).name == "png"
    assert notes == ()
    assert_same(codecs.decode(data), image)


def test_sizes_beyond_a_format_are_refused_in_a_sentence():
    with pytest.raises(UnsupportedFormat, match=r"20000x1 pixels is too long for webp .* --format png\."):
        codecs.encode(Image(np.zeros((1, 20000), np.uint8)), "webp")


def test_a_frame_larger_than_pillow_allows_is_our_error():
    data = bytearray(saved(Pillow.fromarray(samples("grey")), "GIF"))
    data[6:10] = b"\xff\xff\xff\xff"
    with pytest.raises(PictureTooLarge):
        codecs.decode(bytes(data))


def test_pillow_keeps_its_own_limit():
    codecs.decode(codecs.encode(image_of("rgb"), "png")[0])
    assert Pillow.MAX_IMAGE_PIXELS is not None
