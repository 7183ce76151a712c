"""Facts about tiles: together they are the image, and none sees beyond its border."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from enhance_cli.imaging.tiles import tiles

side = st.integers(1, 60)


@given(height=side, width=side, tile_height=side, tile_width=side, halo=st.integers(0, 80))
def test_every_pixel_is_covered_once(height, width, tile_height, tile_width, halo):
    covered = np.zeros((height, width), int)
    for tile in tiles(height, width, tile_height, tile_width, halo):
        covered[tile.inner] += 1
        assert 0 < tile.bottom - tile.top <= tile_height
        assert 0 < tile.right - tile.left <= tile_width
        assert 0 <= tile.outer_top <= tile.top < tile.bottom <= tile.outer_bottom <= height
        assert 0 <= tile.outer_left <= tile.left < tile.right <= tile.outer_right <= width
        assert tile.top - tile.outer_top == min(halo, tile.top)
        assert tile.outer_bottom - tile.bottom == min(halo, height - tile.bottom)
        assert tile.left - tile.outer_left == min(halo, tile.left)
        assert tile.outer_right - tile.right == min(halo, width - tile.right)
    assert (covered == 1).all()


@given(height=side, width=side, tile_height=side, tile_width=side, halo=st.integers(0, 9))
def test_the_inner_rectangle_is_found_in_the_outer_one(height, width, tile_height, tile_width, halo):
    picture = np.arange(height * width).reshape(height, width)
    for tile in tiles(height, width, tile_height, tile_width, halo):
        assert np.array_equal(picture[tile.outer][tile.inner_of_outer], picture[tile.inner])


def test_tiles_come_row_by_row():
    corners = [(tile.top, tile.left) for tile in tiles(5, 5, 3, 3)]
    assert corners == [(0, 0), (0, 3), (3, 0), (3, 3)]
