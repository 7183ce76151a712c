"""Regions of an image: the valid part of a window, the blocks that cover it, and reading beyond borders."""

from __future__ import annotations

import numpy as np
import pytest

from enhance_cli.imaging.blocks import Region, mirrored, reflected
from enhance_cli.types import Window


def window(top: int, left: int, rows: int, columns: int) -> Window:
    return Window(np.zeros((rows, columns, 3), np.uint8), top, left)


def test_a_whole_image_is_valid():
    assert Region.valid(window(0, 0, 40, 60), 40, 60, 7) == Region(40, 60, 0, 0, 0, 0, 40, 60)


def test_a_window_is_valid_but_for_its_halo_where_the_image_goes_on():
    found = Region.valid(window(10, 0, 20, 30), 100, 60, 7)
    assert found[4:] == (17, 0, 23, 23)
    assert found.shape == (6, 23)
    assert found.within_window == (slice(7, 13), slice(0, 23))


def test_a_window_smaller_than_its_halo_has_no_valid_part():
    found = Region.valid(window(10, 10, 8, 30), 100, 100, 7)
    assert found.empty
    assert found.shape[0] == 0
    assert list(found.blocks(16)) == []


def test_growing_ends_at_the_border():
    region = Region(100, 60, 0, 0, 3, 20, 50, 59)
    assert region.grown(7)[4:] == (0, 13, 57, 60)
    assert region.within(region.grown(7)) == (slice(3, 50), slice(7, 46))


def test_context_goes_beyond_the_border_and_makes_multiples():
    region = Region(100, 60, 0, 0, 0, 20, 50, 60)
    assert region.with_context(30, 8)[4:] == (-8, -10, 80, 68)
    even = region.with_context(30, 8, 16)
    assert even[4:6] == (-8, -10)
    assert even.shape == (96, 80)


@pytest.mark.parametrize("halo", [0, 5])
def test_blocks_of_windows_lie_at_the_same_places_and_cover_the_valid_part_once(halo):
    height, width, side = 83, 120, 32
    whole = set(Region.valid(window(0, 0, height, width), height, width, halo).blocks(side))
    places = {block[4:] for block in whole}
    assert len(places) == 3 * 4
    valid = Region.valid(window(20, 30, 50, 70), height, width, halo)
    covered = np.zeros((height, width), int)
    for block in valid.blocks(side):
        assert block[4:] in places
        covered[block.common(valid).within(Region(height, width, 0, 0, 0, 0, height, width))] += 1
    rows, columns = slice(valid.top, valid.bottom), slice(valid.left, valid.right)
    assert (covered[rows, columns] == 1).all()
    assert covered.sum() == valid.shape[0] * valid.shape[1]


@pytest.mark.parametrize(("border", "mode"), [("reflect", "reflect"), ("edge", "edge")])
def test_reading_beyond_the_border_is_padding(rng, border, mode):
    image = rng.integers(0, 256, (23, 31, 3), np.uint8)
    padded = np.pad(image, ((9, 9), (9, 9), (0, 0)), mode=mode)
    region = Region(23, 31, 0, 0, 0, 12, 23, 31)
    around = region.with_context(4, 9)
    assert np.array_equal(around.read(image, border), padded[0:41, 17:49])
    planes = image.transpose(2, 0, 1)
    found = around.read(planes, border, planes=True)
    assert np.array_equal(found, padded[0:41, 17:49].transpose(2, 0, 1))
    assert found.flags.c_contiguous


@pytest.mark.parametrize("border", ["reflect", "edge"])
def test_a_window_with_its_halo_reads_what_the_image_reads(rng, border):
    image = rng.integers(0, 256, (64, 90), np.uint8)
    for top, left, bottom, right in ((0, 0, 40, 50), (10, 20, 64, 90), (10, 20, 50, 61)):
        part = Window(image[top:bottom, left:right], top, left)
        valid = Region.valid(part, 64, 90, 6)
        whole = valid._replace(window_top=0, window_left=0)
        expected = whole.with_context(6, 6).read(image, border)
        assert np.array_equal(valid.with_context(6, 6).read(part.pixels, border), expected)


@pytest.mark.parametrize("length", [1, 2, 5, 40])
def test_reflections_are_those_of_numpy(length):
    line = np.arange(length)
    assert np.array_equal(reflected(-7, length + 9, length), np.pad(line, (7, 9), mode="reflect"))
    assert np.array_equal(mirrored(-7, length + 9, length), np.pad(line, (7, 9), mode="symmetric"))
