"""Facts about JPEG: the plane lane is exact, quality and subsampling follow the source, odd files are met."""

from __future__ import annotations

import contextlib
import io
import itertools
import struct

import numpy as np
import pytest
import simplejpeg
from PIL import Image as Pillow
from PIL import ImageCms, ImageOps

from enhance_cli.errors import CorruptPicture, UnsupportedFormat
from enhance_cli.imaging import codecs, colour
from enhance_cli.imaging.codecs.jpeg import reading as jpeg
from enhance_cli.imaging.codecs.jpeg.quality import estimate_quality
from enhance_cli.imaging.codecs.jpeg.segments import read_header as read_jpeg_header
from enhance_cli.types import Image, JpegCoding, Metadata

FACTORS = {"444": (1, 1), "422": (1, 2), "420": (2, 2), "440": (2, 1), "411": (1, 4)}
"""Rows and columns of luma for a sample of chroma."""


def planes_of(height, width, subsampling, seed=0):
    """Luma, Cb and Cr that survive JPEG's rounding: smooth, and away from the ends."""
    rng = np.random.default_rng(seed)
    down, across = FACTORS[subsampling]
    size = (height, width), (-(-height // down), -(-width // across)), (-(-height // down), -(-width // across))
    return [
        (128 + 60 * np.sin(np.add.outer(np.arange(h) / rng.uniform(3, 9), np.arange(w) / rng.uniform(3, 9))))
        .round()
        .astype(np.uint8)
        for h, w in size
    ]


def coded(height, width, subsampling="420", quality=92, seed=0):
    return simplejpeg.encode_jpeg_yuv_planes(*planes_of(height, width, subsampling, seed), quality=quality)


def smooth(height=40, width=56):
    y, x = np.mgrid[:height, :width]
    return np.stack((60 + 3 * x, 200 - 2 * y, 40 + x + y), axis=2).clip(0, 255).astype(np.uint8)


def pillow_jpeg(rgb, mode=None, **details):
    packed = io.BytesIO()
    picture = Pillow.fromarray(rgb)
    (picture.convert(mode) if mode else picture).save(packed, "JPEG", **details)
    return packed.getvalue()


def pillow_pixels(data):
    with Pillow.open(io.BytesIO(data)) as opened:
        return np.array(ImageOps.exif_transpose(opened))


def with_segments(data, *segments):
    added = b"".join(bytes((0xFF, m)) + struct.pack(">H", len(body) + 2) + body for m, body in segments)
    return data[:2] + added + data[2:]


def without_jfif(data):
    assert data[2:4] == b"\xff\xe0"
    return data[:2] + data[4 + int.from_bytes(data[4:6], "big") :]


def exif_block(orientation, kind=3):
    value = struct.pack("<HH", orientation, 0) if kind == 3 else struct.pack("<I", orientation)
    return b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHI", 0x0112, kind, 1) + value + b"\0\0\0\0"


def with_orientation(data, orientation):
    return with_segments(data, (0xE1, b"Exif\0\0" + exif_block(orientation)))


def stored_planes(data):
    """Luma and chroma as a decoder keeps them, by way of Pillow: YCbCr without conversion, chroma replicated."""
    with Pillow.open(io.BytesIO(data)) as opened:
        opened.draft("YCbCr", opened.size)
        return np.array(opened)


# --- the plane lane ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("subsampling", FACTORS)
@pytest.mark.parametrize("size", [(64, 64), (33, 47), (8, 8), (17, 16), (1, 1), (1, 37), (41, 2), (3, 5)])
def test_planes_are_the_stored_ones(size, subsampling):
    """At quality 100 every table is 1, so chroma is stored in an image as it would be in a grey JPEG."""
    planes = planes_of(*size, subsampling)
    data = simplejpeg.encode_jpeg_yuv_planes(*planes, quality=100)
    image = codecs.decode(data, planes=True)
    assert np.array_equal(image.pixels, stored_planes(data)[..., 0])
    for got, plane in zip(image.chroma, planes[1:], strict=True):
        alone = simplejpeg.encode_jpeg_yuv_planes(plane, None, None, quality=100)
        assert np.array_equal(got, simplejpeg.decode_jpeg(alone, "GRAY")[..., 0])


@pytest.mark.parametrize("subsampling", FACTORS)
@pytest.mark.parametrize("quality", [30, 75, 92])
def test_luma_is_the_stored_one_at_any_quality(subsampling, quality):
    data = coded(33, 47, subsampling, quality)
    assert np.array_equal(codecs.decode(data, planes=True).pixels, stored_planes(data)[..., 0])


@pytest.mark.parametrize("subsampling", FACTORS)
@pytest.mark.parametrize("size", [(64, 64), (33, 47), (40, 41)])
def test_planes_coded_again_at_full_quality_come_back(size, subsampling):
    """Quality 100 quantises by 1: what the first decode gave, the second gives, to the rounding of one DCT."""
    first = codecs.decode(coded(*size, subsampling, quality=100), planes=True)
    again, notes = codecs.encode(first, "jpeg")
    second = codecs.decode(again, planes=True)
    assert notes == ()
    assert second.metadata.jpeg == first.metadata.jpeg == JpegCoding(100, subsampling)
    for one, other in zip((first.pixels, *first.chroma), (second.pixels, *second.chroma), strict=True):
        assert one.shape == other.shape
        assert np.abs(one.astype(int) - other).max() <= 1


ODD_SIZES = [*itertools.product(range(1, 10), range(1, 10)), (17, 33), (33, 17), (47, 35), (50, 51), (200, 301)]


def with_junk_around(plane, value):
    """The plane as a view of a larger one, with a value that no encoder may see beyond its ends."""
    larger = np.full((plane.shape[0] + 3, plane.shape[1] + 5), value, np.uint8)
    larger[: plane.shape[0], : plane.shape[1]] = plane
    return larger[: plane.shape[0], : plane.shape[1]]


@pytest.mark.parametrize("subsampling", FACTORS)
def test_what_lies_beyond_the_planes_is_never_coded(subsampling):
    for size in ODD_SIZES:
        files = set()
        for value in (0, 130, 255):
            luma, cb, cr = (with_junk_around(plane, value) for plane in planes_of(*size, subsampling))
            meta = Metadata(format="jpeg", jpeg=JpegCoding(90, subsampling))
            files.add(codecs.encode(Image(luma, chroma=(cb, cr), metadata=meta), "jpeg")[0])
        assert len(files) == 1, size


@pytest.mark.parametrize("subsampling", FACTORS)
def test_the_edge_is_repeated_beyond_planes_that_end_within_a_block(subsampling):
    down, across = FACTORS[subsampling]
    for height, width in ODD_SIZES:
        luma, cb, cr = planes_of(height, width, subsampling)
        meta = Metadata(format="jpeg", jpeg=JpegCoding(90, subsampling))
        data, _ = codecs.encode(Image(luma, chroma=(cb, cr), metadata=meta), "jpeg")
        whole = np.pad(luma, ((0, -height % down), (0, -width % across)), mode="edge")
        expected = simplejpeg.encode_jpeg_yuv_planes(whole, cb, cr, quality=90)
        got = simplejpeg.decode_jpeg(data, "GRAY")[..., 0]
        assert np.array_equal(got, simplejpeg.decode_jpeg(expected, "GRAY")[:height, :width, 0]), (height, width)
        assert pillow_pixels(data).shape[:2] == (height, width)
        assert read_jpeg_header(data)[:2] == (height, width)


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda plane: plane[::-1, ::-1], lambda plane: plane[:, ::2]])
def test_any_layout_of_memory_is_encoded(layout):
    rgb = layout(np.random.default_rng(0).integers(0, 256, (20, 32, 3), np.uint8))
    for pixels in (rgb, rgb[..., 0]):
        assert codecs.encode(Image(pixels), "jpeg") == codecs.encode(Image(np.ascontiguousarray(pixels)), "jpeg")


@pytest.mark.parametrize("subsampling", FACTORS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_lanes_agree_for_every_orientation(orientation, subsampling):
    for size in ((32, 48), (33, 47)):
        data = with_orientation(coded(*size, subsampling), orientation)
        rgb = codecs.decode(data)
        planes = codecs.decode(data, planes=True)
        assert rgb.pixels.shape == (*((size[1], size[0]) if orientation >= 5 else size), 3)
        assert np.array_equal(rgb.pixels, pillow_pixels(data))
        merged = colour.merge_planes(planes)
        tolerance = 40 if subsampling in ("440", "411") else 3  # libjpeg replicates these, we interpolate
        difference = np.abs(merged.pixels.astype(int) - rgb.pixels)
        assert difference.max() <= tolerance
        assert difference.mean() < 5
        for image in (rgb, planes):
            assert struct.unpack_from("<H", image.metadata.exif, 18) == (1,)
            assert_fit_for_rendering(image)


def test_orientation_is_applied_once():
    data = with_orientation(coded(32, 48), 6)
    once = codecs.decode(data, planes=True)
    twice = codecs.decode(codecs.encode(once, "jpeg")[0], planes=True)
    assert once.pixels.shape == twice.pixels.shape == (48, 32)
    assert np.abs(once.pixels.astype(int) - twice.pixels).mean() < 2


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_a_senseless_orientation_means_upright(orientation):
    image = codecs.decode(with_orientation(coded(32, 48), orientation), planes=True)
    assert image.pixels.shape == (32, 48)
    assert struct.unpack_from("<H", image.metadata.exif, 18) == (1,)


@pytest.mark.parametrize("subsampling", ["444", "422", "420"])
def test_the_plane_lane_loses_no_more_than_rgb(subsampling):
    rgb = smooth(120, 160)
    data = simplejpeg.encode_jpeg(rgb, 88, "RGB", subsampling)
    before = pillow_pixels(data).astype(int)

    def loss(planes):
        again, _ = codecs.encode(codecs.decode(data, planes=planes), "jpeg")
        return np.abs(pillow_pixels(again).astype(int) - before).mean()

    assert loss(planes=True) <= loss(planes=False) + 1e-9
    assert loss(planes=True) < 0.5


@pytest.mark.parametrize(
    "details",
    [{"progressive": True}, {"restart_marker_blocks": 3}, {"restart_marker_rows": 1}, {"optimize": True}],
    ids=lambda details: next(iter(details)),
)
def test_other_ways_of_coding(details):
    data = pillow_jpeg(smooth(), quality=90, **details)
    assert np.array_equal(codecs.decode(data).pixels, pillow_pixels(data))
    planes = codecs.decode(data, planes=True)
    assert planes.chroma is not None
    assert np.array_equal(planes.pixels, stored_planes(data)[..., 0])


@pytest.mark.parametrize("way", [{"progressive": True}, {"optimize": True}], ids=["progressive", "optimised"])
@pytest.mark.parametrize("subsampling", ["444", "422", "420"])
@pytest.mark.parametrize("size", [(64, 64), (33, 47), (1, 1)])
@pytest.mark.parametrize("planes", [True, False])
def test_progressive_and_optimised_are_kept(planes, size, subsampling, way):
    rgb = smooth(*size)
    data = pillow_jpeg(rgb, quality=97, subsampling=":".join(subsampling), **way)
    first = codecs.decode(data, planes=planes)
    expected = JpegCoding(97, subsampling, progressive="progressive" in way, optimised="optimize" in way)
    assert first.metadata.jpeg == expected
    again, notes = codecs.encode(first, "jpeg")
    assert notes == ()
    assert codecs.decode(again).metadata.jpeg == expected
    assert read_jpeg_header(again).jfif


@pytest.mark.parametrize("subsampling", ["444", "422", "420"])
@pytest.mark.parametrize("size", [(64, 64), (33, 47), (40, 41)])
def test_planes_coded_progressively_are_those_coded_plainly(size, subsampling):
    """Above quality 96 both encoders use the same transform, so whole blocks are the same, and all of chroma."""
    plain = codecs.decode(coded(*size, subsampling, quality=98), planes=True)
    assert plain.metadata.jpeg == JpegCoding(98, subsampling)
    both = []
    for progressive in (False, True):
        coding = JpegCoding(98, subsampling, progressive=progressive)
        image = plain.replace(metadata=Metadata(jpeg=coding))
        both.append(codecs.decode(codecs.encode(image, "jpeg")[0], planes=True))
    one, other = both
    blocks = tuple(slice(0, side // 16 * 16) for side in size)
    assert np.array_equal(one.pixels[blocks], other.pixels[blocks])
    for first, second in zip(one.chroma, other.chroma, strict=True):
        assert np.array_equal(first, second)


def test_grey_is_coded_progressively_too():
    data = pillow_jpeg(smooth()[..., 0], quality=90, progressive=True)
    again, notes = codecs.encode(codecs.decode(data, planes=True), "jpeg")
    assert notes == ()
    header = read_jpeg_header(again)
    assert (header.process, len(header.sampling)) == (0xC2, 1)


@pytest.mark.parametrize("subsampling", ["440", "411"])
def test_progressive_of_odd_subsampling_says_that_it_is_sequential(subsampling):
    image = Image(smooth(64, 64), metadata=Metadata(jpeg=JpegCoding(90, subsampling, progressive=True)))
    again, notes = codecs.encode(image, "jpeg")
    assert notes == ("its coding was progressive and is now sequential",)
    assert codecs.decode(again).metadata.jpeg == JpegCoding(90, subsampling)


@pytest.mark.parametrize("quality", [94, 100])
def test_progressive_noise_never_fails(quality, capfd):
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    coding = JpegCoding(quality, "444", progressive=True)
    again, notes = codecs.encode(Image(noise, metadata=Metadata(jpeg=coding)), "jpeg")
    assert codecs.decode(again).pixels.shape == noise.shape
    assert "sequential" in notes[0]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("planes", [True, False])
@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_that_lacks_only_its_end_is_read_with_a_note(missing, planes):
    data = coded(33, 47)
    image = codecs.decode(data[:-missing], planes=planes)
    assert image.metadata.notes == ("its end marker is missing, but none of its pixels",)
    whole = codecs.decode(data, planes=planes)
    assert np.array_equal(image.pixels, whole.pixels)
    assert whole.metadata.notes == ()


def test_a_jpeg_that_lacks_any_more_is_refused():
    noisy = np.random.default_rng(2).integers(0, 256, (40, 48, 3), np.uint8)
    for details in ({}, {"progressive": True}, {"restart_marker_blocks": 2}):
        data = pillow_jpeg(noisy, quality=85, **details)
        for missing in range(3 if not details.get("progressive") else 1, len(data) - 700, 7):
            with pytest.raises(CorruptPicture, match=r"truncated or damaged|before the image begins"):
                codecs.decode(data[:-missing])


def test_grey_stays_grey():
    grey = smooth()[..., 0]
    data = pillow_jpeg(grey, quality=90)
    image = codecs.decode(data, planes=True)
    assert image.chroma is None
    assert np.array_equal(image.pixels, pillow_pixels(data))
    assert_fit_for_rendering(image)
    again = codecs.encode(image, "jpeg")[0]
    assert len(read_jpeg_header(again).sampling) == 1


def test_a_jpeg_without_jfif_is_ycbcr():
    data = without_jfif(coded(32, 48))
    image = codecs.decode(data, planes=True)
    assert image.chroma is not None
    assert np.array_equal(codecs.decode(data).pixels, pillow_pixels(data))


def test_adobe_rgb_transform_takes_the_rgb_lane():
    rgb = smooth()
    packed = io.BytesIO()
    Pillow.fromarray(rgb).save(packed, "JPEG", quality=100, keep_rgb=True)
    data = packed.getvalue()
    image = codecs.decode(data, planes=True)
    assert image.chroma is None
    assert np.abs(image.pixels.astype(int) - rgb).max() <= 2
    assert np.array_equal(image.pixels, pillow_pixels(data))


def test_components_named_r_g_b_are_rgb():
    data = bytearray(without_jfif(simplejpeg.encode_jpeg(smooth(), 95, "RGB", "444")))
    frame, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    for index, name in enumerate(b"RGB"):
        data[frame + 10 + 3 * index] = name
        data[scan + 5 + 2 * index] = name
    image = codecs.decode(bytes(data), planes=True)
    assert image.chroma is None
    assert np.array_equal(image.pixels, pillow_pixels(bytes(data)))


def test_segments_of_many_sizes_do_no_harm():
    data = coded(32, 48)
    sizes = (0, 1, 2, 13, 255, 256, 65533)
    padded = with_segments(data, *((marker, b"x" * size) for size in sizes for marker in (0xE1, 0xE2, 0xED, 0xFE)))
    plain, other = (codecs.decode(item, planes=True) for item in (data, padded))
    assert np.array_equal(plain.pixels, other.pixels)
    assert np.array_equal(plain.chroma[0], other.chroma[0])
    assert other.metadata.exif is other.metadata.icc is other.metadata.xmp is None


def test_fill_bytes_between_segments():
    data = coded(32, 48)
    filled = data[:2] + b"\xff\xff" + data[2:]
    assert np.array_equal(codecs.decode(filled, planes=True).pixels, codecs.decode(data, planes=True).pixels)


# --- odd files ---------------------------------------------------------------------------------------------


def resampled(factors):
    """A 4:4:4 stream whose header claims other factors: its size in blocks no longer fits, its layout is odd."""
    data = bytearray(simplejpeg.encode_jpeg(smooth(64, 64), 90, "RGB", "444"))
    frame = data.index(b"\xff\xc0")
    for index, factor in enumerate(factors):
        data[frame + 11 + 3 * index] = factor
    return bytes(data)


@pytest.mark.parametrize(
    "factors",
    [(0x22, 0x22, 0x22), (0x11, 0x22, 0x22), (0x21, 0x11, 0x21), (0x31, 0x11, 0x11), (0x44, 0x11, 0x11), (0, 0, 0)],
)
def test_strange_sampling_is_read_or_refused(factors):
    data = resampled(factors)
    for planes in (True, False):
        try:
            image = codecs.decode(data, planes=planes)
        except CorruptPicture:
            continue
        assert image.pixels.shape == (64, 64, 3)
        assert np.array_equal(image.pixels, pillow_pixels(data))


@pytest.mark.parametrize(
    ("factors", "expected"),
    [
        (((1, 2), (1, 2), (1, 2)), (1, 1)),
        (((2, 2), (1, 2), (1, 2)), (2, 1)),
        (((2, 2), (2, 1), (1, 2)), None),
        (((1, 1), (2, 2), (2, 2)), None),
        (((4, 2), (1, 1), (1, 1)), None),
        (((0, 0), (0, 0), (0, 0)), None),
    ],
)
def test_factors_count_by_their_ratio(factors, expected):
    header = read_jpeg_header(coded(16, 16))._replace(sampling=factors)
    assert jpeg.chroma_factors(header) == expected


def test_arithmetic_coding_is_read_or_refused():
    data = bytearray(coded(16, 16))
    data[data.index(b"\xff\xc0") + 1] = 0xC9
    with contextlib.suppress(CorruptPicture):
        assert codecs.decode(bytes(data)).pixels.shape == (16, 16, 3)


def test_twelve_bits_are_refused_in_a_sentence():
    data = bytearray(coded(16, 16))
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(UnsupportedFormat, match=r"a\.jpg is a JPEG of 12 bits"):
        codecs.decode(bytes(data), source="a.jpg")


def test_two_components_are_refused_in_a_sentence():
    data = bytearray(coded(16, 16))
    data[data.index(b"\xff\xc0") + 9] = 2
    with pytest.raises(UnsupportedFormat, match="2 components"):
        codecs.decode(bytes(data), source="a.jpg")


def test_height_zero_is_refused():
    data = bytearray(coded(16, 16))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 2] = b"\0\0"
    with pytest.raises(CorruptPicture, match="16x0"):
        codecs.decode(bytes(data))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("planes", [True, False])
def test_a_truncated_jpeg_is_refused(share, planes):
    data = pillow_jpeg(np.random.default_rng(1).integers(0, 256, (80, 80, 3), np.uint8))
    with pytest.raises(CorruptPicture, match=r"^a\.jpg cannot be decoded"):
        codecs.decode(data[: int(len(data) * share)], source="a.jpg", planes=planes)


def test_an_unknown_adobe_transform_is_no_failure():
    data = with_segments(without_jfif(coded(32, 48)), (0xEE, b"Adobe\0\x64\0\0\0\0\x07"))
    rgb, planes = codecs.decode(data), codecs.decode(data, planes=True)
    assert np.array_equal(rgb.pixels, pillow_pixels(data))
    assert planes.chroma is not None
    with pytest.raises(CorruptPicture):  # a harmless warning hides no other
        codecs.decode(data[: len(data) // 2])


def test_further_pictures_inside_are_noted():
    data = with_segments(coded(32, 48), (0xE2, b"MPF\0" + b"\0" * 20))
    assert "left out" in " ".join(codecs.decode(data, planes=True).metadata.notes)


# --- CMYK --------------------------------------------------------------------------------------------------


def test_cmyk_without_profile_is_converted_with_a_note():
    data = pillow_jpeg(smooth(), "CMYK", quality=95)
    with Pillow.open(io.BytesIO(data)) as opened:
        assert opened.mode == "CMYK"
        expected = np.array(opened.convert("RGB"))
    image = codecs.decode(data, planes=True)
    assert np.array_equal(image.pixels, expected)
    assert "without a colour profile" in " ".join(image.metadata.notes)
    assert image.metadata.jpeg.quality == 95
    assert_fit_for_rendering(image)


def test_cmyk_with_a_useless_profile_is_converted_without_it():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = pillow_jpeg(smooth(), "CMYK", icc_profile=srgb)
    image = codecs.decode(data)
    assert "without a colour profile" in " ".join(image.metadata.notes)
    assert image.metadata.icc is None


def test_cmyk_turned_by_its_orientation():
    data = pillow_jpeg(smooth(40, 56), "CMYK", exif=b"Exif\0\0" + exif_block(6))
    assert codecs.decode(data).pixels.shape == (56, 40, 3)


# --- quality -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quality", range(1, 101))
def test_quality_is_read_exactly(quality):
    rgb = smooth(16, 16)
    for data in (simplejpeg.encode_jpeg(rgb, quality, "RGB", "420"), pillow_jpeg(rgb, quality=quality)):
        assert estimate_quality(read_jpeg_header(data).luma_table) == quality


def test_quality_without_a_table_is_the_default():
    assert estimate_quality(None) == 95


def test_a_table_of_no_ijg_quality_gets_the_nearest():
    assert 20 <= estimate_quality((30,) * 64) <= 95
    assert estimate_quality((32767,) * 64) == 1


@pytest.mark.parametrize("subsampling", FACTORS)
@pytest.mark.parametrize("planes", [True, False])
def test_quality_and_subsampling_follow_the_source(subsampling, planes):
    data = coded(48, 64, subsampling, quality=83)
    again, _ = codecs.encode(codecs.decode(data, planes=planes), "jpeg")
    assert codecs.decode(again).metadata.jpeg == JpegCoding(83, subsampling)
    again, _ = codecs.encode(codecs.decode(data, planes=planes), "jpeg", quality=40)
    assert codecs.decode(again).metadata.jpeg == JpegCoding(40, subsampling)


@pytest.mark.parametrize(("subsampling", "turned"), [("420", "420"), ("422", "440"), ("440", "422"), ("444", "444")])
@pytest.mark.parametrize("planes", [True, False])
def test_subsampling_turns_with_the_picture(subsampling, turned, planes):
    image = codecs.decode(with_orientation(coded(48, 64, subsampling), 6), planes=planes)
    again, _ = codecs.encode(image, "jpeg")
    assert codecs.decode(again).metadata.jpeg.subsampling == image.metadata.jpeg.subsampling == turned


def test_a_picture_too_long_for_a_jpeg():
    with pytest.raises(UnsupportedFormat, match="give --format png"):
        codecs.encode(Image(np.zeros((1, 65501), np.uint8)), "jpeg")


def test_windows_of_arrays_are_encoded():
    rgb = smooth(41, 57)[1:, 1:]
    image = Image(rgb, metadata=Metadata(jpeg=JpegCoding(100, "444")))
    assert np.abs(codecs.decode(codecs.encode(image, "jpeg")[0]).pixels.astype(int) - rgb).max() <= 3


def assert_fit_for_rendering(image):
    for plane in (image.pixels, *(image.chroma or ()), *(() if image.alpha is None else (image.alpha,))):
        assert plane.flags.c_contiguous
        assert plane.flags.writeable
