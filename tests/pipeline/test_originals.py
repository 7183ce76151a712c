"""Rendering in place: every tile sees the image as it was."""

from __future__ import annotations

import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from enhance_cli.imaging.tiles import tiles
from enhance_cli.pipeline.originals import Originals


def watched(pixels):
    """The same array, and a function that gives the copies of its parts that are still held."""
    made = []

    class Watched(np.ndarray):
        def copy(self, order="C"):
            copied = super().copy(order)
            made.append(weakref.ref(copied))
            return copied

    return pixels.view(Watched), lambda: [copy for copy in (known() for known in made) if copy is not None]


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize(("height", "width", "side", "halo"), [(70, 90, 16, 5), (64, 33, 16, 16), (17, 16, 16, 3)])
def test_tiles_see_no_pixel_that_was_rendered(rng, threads, height, width, side, halo):
    before = rng.integers(0, 250, (height, width, 3), np.uint8)
    pixels, held = watched(before.copy())
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
    assert not held()  # all of them were let go


def test_few_copies_are_held_at_a_time():
    pixels, held = watched(np.zeros((2000, 2000), np.uint8))
    pieces = list(tiles(2000, 2000, 100, 100, 4))
    originals = Originals(pixels, pieces, 4)
    most = 0
    for tile in pieces:
        originals.outer(tile)
        most = max(most, sum(copy.nbytes for copy in held()))
        originals.done(tile)
    assert 0 < most < 0.03 * pixels.nbytes


def test_several_pictures_of_a_large_photo_are_the_same(tmp_path, night, monkeypatch):
    """One that may not be held twice is decoded anew for each of them."""
    import cv2

    import enhance_cli
    from enhance_cli.pipeline import holding

    cv2.imwrite(str(tmp_path / "a.png"), night[..., ::-1])
    found = []
    for number, limit in enumerate((holding.LARGEST_TWICE, 10)):
        monkeypatch.setattr(holding, "LARGEST_TWICE", limit)
        out = tmp_path / str(number)
        assert enhance_cli.run("clode", [tmp_path / "a.png", f"{out}/"], time="1,2,3", device="cpu").done == 3
        found.append({path.name: path.read_bytes() for path in out.glob("*.png")})
    assert len(found[0]) == 3
    assert found[0] == found[1]
