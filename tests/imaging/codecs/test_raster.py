"""Facts about the formats beside JPEG: every kind of samples comes out right, and goes back in."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms, ImageOps

from enhance_cli.errors import CorruptPicture, PictureTooLarge, UnsupportedFormat
from enhance_cli.imaging import codecs
from enhance_cli.imaging.codecs.png.chunks import chunk as png_chunk
from enhance_cli.types import Image, JpegCoding, Metadata

LAYOUTS = {"grey": (), "grey and alpha": (2,), "rgb": (3,), "rgba": (4,)}


def samples(layout, depth=np.uint8, height=21, width=34, seed=5):
    shape = (height, width, *LAYOUTS[layout])
    return np.random.default_rng(seed).integers(0, np.iinfo(depth).max, shape, depth, endpoint=True)


def image_of(layout, depth=np.uint8, **meta):
    whole = samples(layout, depth)
    metadata = Metadata(bit_depth=8 * whole.itemsize, **meta)
    if layout in ("grey", "rgb"):
        return Image(whole, metadata=metadata)
    colours = whole[..., 0] if layout == "grey and alpha" else whole[..., :3]
    return Image(np.ascontiguousarray(colours), alpha=np.ascontiguousarray(whole[..., -1]), metadata=metadata)


def saved(picture, format_name, **details):
    packed = io.BytesIO()
    picture.save(packed, format_name, **details)
    return packed.getvalue()


def assert_same(image, other):
    assert image.pixels.dtype == other.pixels.dtype
    assert np.array_equal(image.pixels, other.pixels)
    assert (image.alpha is None) == (other.alpha is None)
    if image.alpha is not None:
        assert np.array_equal(image.alpha, other.alpha)


def assert_as_pillow(image, data):
    """The same colours, and the same alpha, as Pillow's own reading, upright."""
    with Pillow.open(io.BytesIO(data)) as opened:
        upright = ImageOps.exif_transpose(opened)
        assert np.array_equal(
            colours_of(image), np.array(upright.convert("RGBA" if image.alpha is not None else "RGB"))
        )
    assert_fit_for_rendering(image)


def colours_of(image):
    pixels = image.pixels if image.pixels.ndim == 3 else np.repeat(image.pixels[..., None], 3, axis=2)
    return pixels if image.alpha is None else np.dstack((pixels, image.alpha))


def assert_fit_for_rendering(image):
    for plane in (image.pixels, *(() if image.alpha is None else (image.alpha,))):
        assert plane.flags.c_contiguous
        assert plane.flags.writeable
        assert plane.dtype in (np.uint8, np.uint16)


# --- what is lossless comes back ---------------------------------------------------------------------------


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
    assert (image.metadata.bit_depth, image.metadata.notes) == (8, ("its 10 bits a sample were read as 8",))
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


def test_tall_tiffs_have_several_strips():
    image = Image(np.random.default_rng(1).integers(0, 65536, (1500, 400, 3), np.uint16))
    data, _ = codecs.encode(image, "tiff")
    assert_same(codecs.decode(data), image)


# --- PNG ---------------------------------------------------------------------------------------------------


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


# --- TIFF --------------------------------------------------------------------------------------------------


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


def test_opencv_reads_the_sixteen_bit_files_we_write():
    image = image_of("rgba", np.uint16)
    for format_name in ("png", "tiff"):
        data, _ = codecs.encode(image, format_name)
        read = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(read[..., [2, 1, 0, 3]], colours_of(image))


# --- the others --------------------------------------------------------------------------------------------


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
