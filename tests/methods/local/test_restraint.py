"""Light is held back where it would show noise, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

import enhance_cli
from enhance_cli.methods.local import enhancer, restraint
from enhance_cli.methods.local.restraint import COUNT, noise, restrained

ALL = "rect:0,0,100%,100%"
HEIGHT, WIDTH = 192, 256


@pytest.fixture(scope="module")
def local():
    with enhance_cli.open("local", device="cpu", threads=1) as method:
        yield method


def photo(deviation, depth=np.uint8):
    """Grey to the left, and to the right nearly black, with noise."""
    pixels = np.full((HEIGHT, WIDTH, 3), 60.0)
    pixels[:, WIDTH // 2 :] = 12.0
    pixels += np.random.default_rng(0).normal(0, deviation, pixels.shape)
    return (np.rint(pixels).clip(0, 255) * (np.iinfo(depth).max // 255)).astype(depth)


def lit(local, monkeypatch, pixels, *, held, **controls):
    with monkeypatch.context() as changed:
        if not held:
            changed.setattr(enhancer, "noise", lambda *_: None)
        return local.enhance(pixels, mask=ALL, **controls).array.astype(float)


@pytest.mark.parametrize("backbone", ["deepupe", "star"])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_noise_is_raised_less(local, monkeypatch, backbone, depth):
    for name, value in (("TIMES", 1.4), ("VISIBLE", 0.0), ("MIDDLE", 0.0)):
        monkeypatch.setattr(restraint, name, value)
    pixels, dark = photo(4.0, depth), np.s_[:, WIDTH * 3 // 4 :]
    before = pixels[dark].astype(float).std()
    free = lit(local, monkeypatch, pixels, held=False, backbone=backbone)
    held = lit(local, monkeypatch, pixels, held=True, backbone=backbone)
    assert held[dark].std() < 1.4 * 1.2 * before < free[dark].std()
    assert held[dark].mean() > pixels[dark].mean()
    # Far from it there is nearly all the light.
    grey = np.s_[:, : WIDTH // 8]
    assert held[grey].mean() > 0.85 * free[grey].mean()


@pytest.mark.parametrize("backbone", ["deepupe", "star"])
def test_without_noise_there_is_all_the_light(local, monkeypatch, backbone):
    pixels = photo(0.0)
    free = lit(local, monkeypatch, pixels, held=False, backbone=backbone)
    assert np.array_equal(lit(local, monkeypatch, pixels, held=True, backbone=backbone), free)


def test_the_degree_still_counts(local, monkeypatch):
    pixels = photo(4.0)
    means = [lit(local, monkeypatch, pixels, held=True, degree=degree).mean() for degree in (0.8, 1.0, 1.3)]
    assert means[0] > 1.1 * means[1] > 1.2 * means[2]


def times_five(pixels, *_):
    return (pixels.astype(np.uint32) * 5).clip(0, 65535).astype(np.uint16)


def test_what_is_measured():
    pixels = photo(4.0)
    found = noise(pixels, np.full((HEIGHT, WIDTH), 65535, np.uint16), (0, 0), 0.4, times_five)
    assert 4 < len(found.places) <= COUNT**2
    dark = found.places[:, 1] > WIDTH // 2
    assert (found.raised[~dark] == 1).all()
    assert np.median(found.raised[dark]) == pytest.approx(5, rel=0.1)
    assert np.median(found.allowed[dark]) == 2.5
    assert (noise(pixels, np.full((HEIGHT, WIDTH), 65535, np.uint16), (0, 0), 0.04, times_five).allowed == 10).all()
    # Of the transition, and of what is not lit, nothing is looked at; nor of parts smaller than a block.
    assert noise(pixels, np.full((HEIGHT, WIDTH), 65534, np.uint16), (0, 0), 0.4, times_five) is None
    assert noise(pixels, np.full((9, 40), 65535, np.uint16), (0, 0), 0.4, times_five) is None
    stripes = np.zeros_like(pixels)
    stripes[:, ::8] = stripes[:, 1::8] = 30  # structure is not noise
    assert noise(stripes, np.full((HEIGHT, WIDTH), 65535, np.uint16), (0, 0), 0.4, times_five) is None


def test_cells_far_from_noise_stay():
    found = noise(photo(4.0), np.full((HEIGHT, WIDTH), 65535, np.uint16), (0, 0), 0.4, times_five)
    for field, none in ((np.ones((12, 12, 8, 12), np.float32), 0.0), (np.ones((24, 24, 24), np.float32), 1.0)):
        changed = restrained(field, found, HEIGHT, WIDTH)
        assert changed.dtype == np.float32
        apart = np.abs(changed - field).reshape(*field.shape[:2], -1).max(axis=2)
        assert apart[:, 0].max() < 0.05 < 0.2 < apart[:, -1].min(), none
