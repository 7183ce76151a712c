"""Facts about the pixel kernels of clahe-adaptive: OpenCV's results, the paper's curves, windows, depths."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enhance_cli.methods.clahe_adaptive import kernels_cpu as kernels
from enhance_cli.methods.clahe_adaptive.tiles import tile_geometry
from tests.pictures import shapes

TINT = np.random.default_rng(5).uniform(-30, 30, (5, 5, 2)).astype(np.float32)


def followed(rgb, curves, *place, **out):
    return kernels.render_rgb_followed(rgb, curves, TINT, 2.0, *place, **out)


def followed_plainly(rgb, curves, *place):
    return kernels.render_rgb_followed(rgb, curves, np.zeros((1, 1, 2), np.float32), 0.5, *place)


RENDERERS = {
    "luma": (kernels.render_luma, ()),
    "rgb": (kernels.render_rgb, (3,)),
    "followed": (followed, (3,)),
}


def uniform_curves(luma, rows, columns, limit, curves=kernels.tile_curves):
    tile_height, tile_width = tile_geometry(*luma.shape, rows, columns)
    histograms = kernels.tile_histograms(luma, rows, columns)
    return curves(histograms, np.full((rows, columns), limit), tile_height * tile_width)


def random_curves(rows, columns, seed=0):
    steps = np.random.default_rng(seed).exponential(1, (rows, columns, 256))
    curves = np.cumsum(steps, axis=-1)
    return (255 * curves / curves[..., -1:]).astype(np.float32)


# --- OpenCV ------------------------------------------------------------------------------------------------

SIDES = st.one_of(st.integers(1, 40), st.sampled_from([97, 128, 199, 256, 331]))
TILES = st.integers(1, 16)
LIMITS = st.sampled_from([0.01, 0.3, 1.0, 2.0, 3.7, 40.0, 256.0])


@given(SIDES, SIDES, TILES, TILES, LIMITS, st.integers(0, 99))
@settings(max_examples=150)
def test_a_uniform_limit_is_opencv_to_one_grey_level(height, width, rows, columns, limit, seed):
    luma = shapes(height, width, seed)
    expected = cv2.createCLAHE(limit, (columns, rows)).apply(luma)
    curves = uniform_curves(luma, rows, columns, limit, kernels.opencv_tile_curves)
    difference = np.abs(kernels.render_luma(luma, curves, height, width).astype(int) - expected)
    assert difference.max() <= 1
    # On tiles of a few pixels one blend in twenty ends on a half, which rounding may take either way.
    if min(tile_geometry(height, width, rows, columns)) >= 8:
        assert np.count_nonzero(difference) <= max(1, 0.01 * luma.size)


@pytest.mark.parametrize(("height", "width"), [(1200, 1600), (1201, 1600), (1009, 1511)])
@pytest.mark.parametrize(("rows", "columns", "limit"), [(8, 8, 2.0), (5, 11, 40.0)])
def test_photograph_sizes_are_opencv_in_all_but_a_thousandth(height, width, rows, columns, limit):
    luma = shapes(height, width)
    expected = cv2.createCLAHE(limit, (columns, rows)).apply(luma)
    curves = uniform_curves(luma, rows, columns, limit, kernels.opencv_tile_curves)
    difference = np.abs(kernels.render_luma(luma, curves, height, width).astype(int) - expected)
    assert difference.max() <= 1
    assert (difference == 0).mean() >= 0.999


def test_integer_limits_truncate_and_are_at_least_one():
    limits = kernels.integer_limits(np.array([[2.0, 0.001, 1.999, 1e9]]), 1000)
    assert limits.dtype == np.int32
    assert limits.tolist() == [[7, 1, 7, 2**31 - 1]]


# --- histograms --------------------------------------------------------------------------------------------


def histograms_the_slow_way(luma, rows, columns):
    height, width = luma.shape
    tile_height, tile_width = tile_geometry(height, width, rows, columns)
    codes = ((luma.astype(int) + 128) // 257 if luma.dtype == np.uint16 else luma).astype(np.uint8)
    bottom, right = tile_height * rows - height, tile_width * columns - width
    padded = cv2.copyMakeBorder(codes, 0, bottom, 0, right, cv2.BORDER_REFLECT_101)
    tiles = padded.reshape(rows, tile_height, columns, tile_width).swapaxes(1, 2)
    return np.array([[np.bincount(tile.ravel(), minlength=256) for tile in row] for row in tiles])


@given(st.integers(1, 40), st.integers(1, 40), TILES, TILES, st.sampled_from([np.uint8, np.uint16]), st.integers(0, 9))
@settings(max_examples=150)
def test_tile_histograms_count_opencv_padding(height, width, rows, columns, depth, seed):
    white = np.iinfo(depth).max
    luma = np.random.default_rng(seed).integers(0, white, (height, width), dtype=depth, endpoint=True)
    expected = histograms_the_slow_way(luma, rows, columns)
    counted = kernels.tile_histograms(luma, rows, columns)
    assert counted.dtype == np.int64
    assert np.array_equal(counted, expected)
    middle = rows // 2
    assert np.array_equal(kernels.tile_histograms(luma, rows, columns, 0, middle), expected[:middle])
    assert np.array_equal(kernels.tile_histograms(luma, rows, columns, middle), expected[middle:])


def test_a_divisible_side_is_padded_too_when_the_other_is_not():
    assert kernels.tile_histograms(shapes(64, 64), 8, 8).sum() == 64 * 64
    assert kernels.tile_histograms(shapes(65, 64), 8, 8).sum() == 72 * 72


# --- the thumbnail -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize(("height", "width"), [(480, 640), (97, 331), (5, 3), (1, 1)])
def test_the_thumbnail_is_the_mean_of_its_bins(height, width, depth):
    luma = shapes(height, width, dtype=depth)
    small = kernels.thumbnail(luma, 32)
    assert small.dtype == np.float32
    for i, j in [(0, 0), (3, 17), (31, 31)]:
        rows = slice(i * height // 32, -(-(i + 1) * height // 32))
        columns = slice(j * width // 32, -(-(j + 1) * width // 32))
        mean = luma[rows, columns].astype(float).mean() / np.iinfo(depth).max
        assert small[i, j] == pytest.approx(mean, abs=1e-6)


# --- curves ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("curves", [kernels.tile_curves, kernels.opencv_tile_curves])
@pytest.mark.parametrize("limit", [0.01, 0.5, 2.0, 40.0, 256.0])
def test_curves_never_fall_and_end_at_white(curves, limit):
    tones = uniform_curves(shapes(300, 400), 4, 6, limit, curves)
    assert tones.dtype == np.float32
    assert tones.min() >= 0
    assert np.diff(tones, axis=-1).min() >= 0
    assert np.allclose(tones[..., -1], 255, atol=1e-3)


@pytest.mark.parametrize("curves", [kernels.tile_curves, kernels.opencv_tile_curves])
def test_a_limit_of_256_is_classic_equalisation_of_each_tile(curves):
    luma = shapes(240, 320)
    classic = 255 * np.cumsum(kernels.tile_histograms(luma, 4, 4), axis=-1) / (60 * 80)
    assert np.abs(uniform_curves(luma, 4, 4, 256.0, curves) - classic).max() <= 0.5


def test_the_real_path_tends_to_the_identity_where_the_integer_path_does_not():
    luma = shapes(128, 128)
    gentle = kernels.render_luma(luma, uniform_curves(luma, 8, 8, 0.01), 128, 128)
    assert np.abs(gentle.astype(int) - luma).max() <= 2
    integer = uniform_curves(luma, 8, 8, 0.01, kernels.opencv_tile_curves)
    assert np.abs(kernels.render_luma(luma, integer, 128, 128).astype(int) - luma).max() > 8


def test_limits_apply_to_their_own_tile():
    luma = shapes(128, 128)
    limits = np.full((2, 2), 0.01)
    limits[1, 0] = 4
    histograms = kernels.tile_histograms(luma, 2, 2)
    curves = kernels.tile_curves(histograms, limits, 64 * 64)
    away = np.abs(curves - np.arange(256)).max(axis=-1)
    assert away[1, 0] > 10
    assert np.count_nonzero(away < 2) == 3


# --- rendering ---------------------------------------------------------------------------------------------


@given(
    st.sampled_from(sorted(RENDERERS)),
    st.sampled_from([np.uint8, np.uint16]),
    st.tuples(st.integers(1, 80), st.integers(1, 80)),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.data(),
)
@settings(max_examples=150)
def test_a_window_is_bit_equal_to_that_part_of_the_whole(renderer, depth, size, grid, data):
    render, channels = RENDERERS[renderer]
    height, width = size
    pixels = shapes(height, width, seed=height, dtype=depth, channels=channels)
    curves = random_curves(*grid, seed=width)
    whole = render(pixels, curves, height, width)
    top = data.draw(st.integers(0, height - 1))
    left = data.draw(st.integers(0, width - 1))
    bottom = data.draw(st.integers(top + 1, height))
    right = data.draw(st.integers(left + 1, width))
    out = np.zeros_like(pixels)
    part = render(pixels[top:bottom, left:right], curves, height, width, top, left, out=out[top:bottom, left:right])
    assert np.array_equal(part, whole[top:bottom, left:right])
    assert np.array_equal(out[top:bottom, left:right], part)
    part[...] = 0
    assert not out.any()


def test_a_row_longer_than_a_chunk_is_rendered_like_its_parts():
    luma = shapes(3, 5000)
    curves = random_curves(1, 1)
    assert np.array_equal(kernels.render_luma(luma, curves, 3, 5000), np.rint(curves[0, 0])[luma])


@pytest.mark.parametrize("renderer", sorted(RENDERERS))
def test_a_picture_can_be_rendered_in_place(renderer):
    render, channels = RENDERERS[renderer]
    pixels = shapes(50, 60, channels=channels)
    expected = render(pixels, random_curves(3, 3), 50, 60)
    assert render(pixels, random_curves(3, 3), 50, 60, out=pixels) is pixels
    assert np.array_equal(pixels, expected)


def test_read_only_and_flipped_pictures_are_rendered():
    luma = shapes(40, 50)
    curves = random_curves(2, 2)
    expected = kernels.render_luma(luma, curves, 40, 50)
    fixed = np.frombuffer(luma.tobytes(), np.uint8).reshape(40, 50)
    assert np.array_equal(kernels.render_luma(fixed, curves, 40, 50), expected)
    flipped = kernels.render_luma(luma[::-1, ::-1], curves, 40, 50)
    assert np.array_equal(flipped, kernels.render_luma(luma[::-1, ::-1].copy(), curves, 40, 50))


def test_what_cannot_be_rendered_is_refused():
    luma = shapes(40, 50)
    curves = random_curves(2, 2)
    with pytest.raises(ValueError, match="the window"):
        kernels.render_luma(luma, curves, 40, 50, out=np.empty((40, 51), np.uint8))
    with pytest.raises(ValueError, match="the window"):
        kernels.render_luma(luma, curves, 40, 50, out=np.empty((40, 50), np.uint16))
    with pytest.raises(ValueError, match="side by side"):
        kernels.render_luma(luma, curves, 40, 50, out=np.empty((50, 40), np.uint8).T)
    with pytest.raises(ValueError, match="reaches out"):
        kernels.render_luma(luma, curves, 40, 50, top=1)
    with pytest.raises(ValueError, match="reaches out"):
        kernels.render_luma(luma, curves, 41, 51, left=-1)
    with pytest.raises(ValueError, match="2×2×255"):
        kernels.render_luma(luma, curves[..., 1:], 40, 50)
    with pytest.raises(TypeError, match="float32"):
        kernels.render_luma(luma.astype(np.float32), curves, 40, 50)


def test_one_tile_is_a_global_curve():
    luma = shapes(100, 130)
    curves = uniform_curves(luma, 1, 1, 3.0)
    assert np.array_equal(kernels.render_luma(luma, curves, 100, 130), np.rint(curves[0, 0])[luma])


@pytest.mark.parametrize("shape", [(1, 1), (1, 17), (17, 1), (64, 80)])
@pytest.mark.parametrize("tone", [0, 1, 127, 255])
def test_a_constant_picture_stays_constant(shape, tone):
    luma = np.full(shape, tone, np.uint8)
    for limit in (0.01, 2.0, 256.0):
        out = kernels.render_luma(luma, uniform_curves(luma, 8, 8, limit), *shape)
        assert np.ptp(out) == 0


def test_curves_beyond_white_are_clipped():
    luma = shapes(20, 20)
    out = kernels.render_luma(luma, np.full((2, 2, 256), 300.0), 20, 20)
    assert (out == 255).all()
    assert not kernels.render_luma(luma, np.full((2, 2, 256), -7.0), 20, 20).any()


# --- colour ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_the_change_of_luma_is_added_to_every_channel(depth):
    rgb = shapes(60, 70, dtype=depth, channels=(3,))
    curves = random_curves(3, 4)
    before = kernels.luma(rgb).astype(int)
    after = kernels.render_luma(kernels.luma(rgb), curves, 60, 70).astype(int)
    expected = np.clip(rgb + (after - before)[..., None], 0, np.iinfo(depth).max)
    assert np.array_equal(kernels.render_rgb(rgb, curves, 60, 70), expected)


# --- 16 bits -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("renderer", sorted(RENDERERS))
def test_sixteen_bits_look_like_eight(renderer):
    render, channels = (followed_plainly, (3,)) if renderer == "followed" else RENDERERS[renderer]
    grey = shapes(211, 300)
    deep_grey = grey.astype(np.uint16) * 257
    assert np.array_equal(kernels.tile_histograms(grey, 6, 7), kernels.tile_histograms(deep_grey, 6, 7))
    curves = uniform_curves(grey, 6, 7, 2.0)
    shallow, deep = (
        render(np.repeat(plane[..., None], 3, axis=-1) if channels else plane, curves, 211, 300)
        for plane in (grey, deep_grey)
    )
    assert np.abs(deep / 257 - shallow).max() <= 1


@pytest.mark.parametrize("render", [kernels.render_rgb, followed])
def test_sixteen_bit_colours_look_like_eight(render):
    # The luma of colours is rounded to 8 bits in one and not in the other, and steep curves magnify that.
    rgb = shapes(211, 300, channels=(3,))
    curves = uniform_curves(kernels.luma(rgb), 6, 7, 2.0)
    deep = render(rgb.astype(np.uint16) * 257, curves, 211, 300) / 257
    assert np.abs(deep - render(rgb, curves, 211, 300)).mean() <= 0.6


def test_a_smooth_sixteen_bit_gradient_keeps_its_levels():
    luma = np.tile(np.linspace(0, 65535, 40_000).astype(np.uint16), (8, 1))
    out = kernels.render_luma(luma, uniform_curves(luma, 1, 1, 2.0), *luma.shape)
    assert len(np.unique(out)) >= 20_000
    assert np.diff(out[0].astype(int)).min() >= 0
