"""Facts about luma: the fixed-point weights, histograms by banks, planes of an interleaved image."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from enhance_cli.imaging.luma import flat_rows, luma, luma_histogram, rgb_luma_histogram, split_ycbcr
from tests.pictures import noise


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(1, 1), (7, 1), (1, 131), (60, 67)])
def test_luma_is_the_fixed_point_sum(shape, depth):
    rgb = noise(*shape, 3, dtype=depth, seed=7)
    expected = (rgb.astype(np.int64) @ [4899, 9617, 1868] + 8192) >> 14
    assert luma(rgb).dtype == depth
    assert np.array_equal(luma(rgb), expected)


def test_luma_of_grey_is_grey_at_either_end():
    assert (luma(np.full((3, 4, 3), 255, np.uint8)) == 255).all()
    assert (luma(np.full((3, 4, 3), 65535, np.uint16)) == 65535).all()


def test_luma_is_that_of_opencv_but_for_ties():
    rgb = noise(100, 120, 3, seed=7)
    difference = np.abs(luma(rgb).astype(int) - cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.005


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (31, 67)])
def test_histograms_count_every_pixel_once(shape, depth):
    rgb = noise(*shape, 3, dtype=depth, seed=7)
    plane = luma(rgb)
    codes = (plane.astype(int) + 128) // 257 if depth == np.uint16 else plane
    expected = np.bincount(codes.ravel(), minlength=256)
    for counts in (luma_histogram(plane), rgb_luma_histogram(rgb)):
        assert counts.dtype == np.int64
        assert np.array_equal(counts, expected)


def test_a_window_of_a_picture_is_measured_where_it_lies():
    rgb = noise(50, 60, 3, seed=7)
    window = rgb[5:30, 7:44]
    assert flat_rows(window)[1] == 180
    assert np.shares_memory(flat_rows(window)[0], rgb)
    assert np.array_equal(luma(window), luma(rgb)[5:30, 7:44])
    assert np.array_equal(rgb_luma_histogram(window), luma_histogram(luma(window)))


@pytest.mark.parametrize("shape", [(1, 9), (1, 9, 3), (1, 1), (1, 1, 3), (9, 1), (9, 1, 3)])
def test_pictures_of_one_row_or_column_may_have_any_stride_along_it(shape):
    for picture in (
        noise(*shape, seed=7).swapaxes(0, 1).copy().swapaxes(0, 1),  # one that was turned, as numpy leaves it
        noise(*shape, seed=7)[..., ::-1][..., ::-1],
    ):
        line, _ = flat_rows(picture, writable=True)
        assert np.shares_memory(line, picture)
        assert np.array_equal(line, picture.ravel())


def test_other_layouts_are_copied():
    rgb = noise(3, 20, 30, seed=7).transpose(1, 2, 0)
    assert np.array_equal(luma(rgb), luma(np.ascontiguousarray(rgb)))
    assert np.array_equal(luma(rgb[::-1]), luma(rgb)[::-1])
    assert np.array_equal(luma_histogram(luma(rgb)[:, ::2]), luma_histogram(luma(rgb)[:, ::2].copy()))


def test_floating_point_is_refused():
    with pytest.raises(TypeError, match="float64"):
        luma(np.zeros((2, 2, 3)))


@pytest.mark.parametrize("shape", [(1, 1), (8, 12), (9, 13), (2, 131)])
@pytest.mark.parametrize(("fy", "fx"), [(1, 1), (2, 2), (1, 2), (2, 1), (1, 4)])
def test_planes_are_the_top_left_samples_of_their_blocks(shape, fy, fx):
    interleaved = noise(*shape, 3, seed=7)
    y, cb, cr = split_ycbcr(interleaved, fy, fx)
    assert np.array_equal(y, interleaved[..., 0])
    assert np.array_equal(cb, interleaved[::fy, ::fx, 1])
    assert np.array_equal(cr, interleaved[::fy, ::fx, 2])
    assert all(plane.flags.c_contiguous for plane in (y, cb, cr))
