"""Rendering in place: every tile sees the picture as it was."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from enhance_cli.imaging.tiles import tiles
from enhance_cli.pipeline.originals import Originals


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize(("height", "width", "side", "halo"), [(70, 90, 16, 5), (64, 33, 16, 16), (17, 16, 16, 3)])
def test_tiles_see_no_pixel_that_was_rendered(rng, threads, height, width, side, halo):
    before = rng.integers(0, 250, (height, width, 3), np.uint8)
    pixels = before.copy()
    pieces = list(tiles(height, width, side, side, halo))
    originals = Originals(pixels, pieces, halo)

    def render(tile):
        window = originals.outer(tile)
        assert np.array_equal(window, before[tile.outer])
        pixels[tile.inner] = window[tile.inner_of_outer] + np.uint8(5)
        originals.done(tile)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(render, pieces))
    assert np.array_equal(pixels, before + np.uint8(5))
    assert not originals._copies  # all of them were let go


def test_few_copies_are_held_at_a_time():
    pixels = np.zeros((2000, 2000), np.uint8)
    pieces = list(tiles(2000, 2000, 100, 100, 4))
    originals = Originals(pixels, pieces, 4)
    most = 0
    for tile in pieces:
        originals.outer(tile)
        most = max(most, sum(copy.nbytes for copy in originals._copies.values()))
        originals.done(tile)
    assert most < 0.03 * pixels.nbytes
