"""Facts about layouts: what is converted, what is left, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from enhance_cli.errors import UsageError
from enhance_cli.imaging import colour
from enhance_cli.types import Image


def test_grey_is_replicated(rng):
    grey = rng.integers(0, 256, (5, 7), np.uint8)
    rgb = colour.to_rgb(Image(grey)).pixels
    assert rgb.shape == (5, 7, 3)
    assert all(np.array_equal(rgb[..., channel], grey) for channel in range(3))
    assert np.array_equal(colour.grey_like(rgb), grey)


def test_grey_like_rounds_the_mean():
    rgb = np.array([[[0, 0, 1], [0, 1, 1], [255, 255, 254]]], np.uint8)
    assert colour.grey_like(rgb).tolist() == [[0, 1, 255]]


def test_one_coloured_pixel_is_enough_for_colour(rng):
    rgb = np.repeat(rng.integers(0, 256, (700, 50, 1), np.uint8), 3, axis=2)
    assert colour.is_neutral(rgb)
    for place in ((0, 0), (699, 49), (512, 3)):
        for channel in range(3):
            tinted = rgb.copy()
            tinted[(*place, channel)] ^= 1
            assert not colour.is_neutral(tinted)
            colour.make_neutral(tinted)
            assert colour.is_neutral(tinted)


def test_sixteen_bits_are_rounded_to_eight():
    codes = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    reduced = colour.to_eight_bit(Image(codes, alpha=codes))
    expected = np.rint(codes / 257.0).astype(np.uint8)
    assert np.array_equal(reduced.pixels, expected)
    assert np.array_equal(reduced.alpha, expected)
    assert colour.to_eight_bit(reduced) is reduced


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (33, 47), (32, 48), (7, 6)])
@pytest.mark.parametrize("factors", [(1, 1), (1, 2), (2, 2), (2, 1), (1, 4)])
def test_flat_chroma_stays_flat_over_odd_sizes(size, factors):
    chroma = [np.full((-(-size[0] // factors[0]), -(-size[1] // factors[1])), value, np.uint8) for value in (100, 150)]
    merged = colour.merge_planes(Image(np.full(size, 90, np.uint8), chroma=tuple(chroma)))
    assert merged.chroma is None
    assert merged.pixels.shape == (*size, 3)
    assert len(np.unique(merged.pixels.reshape(-1, 3), axis=0)) == 1


def test_chroma_lies_where_its_samples_are():
    cb = np.array([[100, 200]], np.uint8)  # 4:1:1 over six columns: the second sample begins at the fifth
    merged = colour.merge_planes(Image(np.full((1, 6), 128, np.uint8), chroma=(cb, np.full((1, 2), 128, np.uint8))))
    blue = merged.pixels[0, :, 2].astype(int)
    assert (np.diff(blue) >= 0).all()
    assert blue[1] < 100
    assert blue[5] > 200


def test_alpha_is_split_from_an_array(rng):
    rgba = rng.integers(0, 256, (4, 5, 4), np.uint8)
    image = colour.from_array(rgba)
    assert np.array_equal(image.pixels, rgba[..., :3])
    assert np.array_equal(image.alpha, rgba[..., 3])
    assert image.pixels.flags.c_contiguous


def test_floats_become_sixteen_bits():
    image = colour.from_array(np.array([[0.0, 0.5, 1.0]]))
    assert image.pixels.tolist() == [[0, 32768, 65535]]
    assert image.metadata.bit_depth == 16


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3,), np.uint8),
        np.zeros((3, 3, 2), np.uint8),
        np.zeros((0, 3), np.uint8),
        np.zeros((3, 3), np.int32),
        np.array([[np.nan]]),
        np.array([[1.5]]),
        np.array([[-0.1]]),
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)
def test_other_arrays_are_refused(array):
    with pytest.raises(UsageError):
        colour.from_array(array)


def test_a_read_only_array_is_copied():
    fixed = np.zeros((3, 3), np.uint8)
    fixed.flags.writeable = False
    assert colour.from_array(fixed).pixels.flags.writeable
