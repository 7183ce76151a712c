"""Masks that are images: their edge becomes the photo's, and light stays inside it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from enhance_cli.methods.local import LocalControls, Mask, fitting
from enhance_cli.methods.local.fitting import Scale, fit_soft
from enhance_cli.methods.local.kernels_fitting import coefficients
from enhance_cli.methods.local.masks import regions
from enhance_cli.types import Image

HEIGHT, WIDTH = 240, 320
PERSON = np.s_[60:, 120:200]


def photo(height=HEIGHT, width=WIDTH, person=PERSON, noise=3.0):
    """Somebody in a light coat before a dark wall, with some noise."""
    pixels = np.full((height, width, 3), (40, 45, 55), np.float64)
    pixels[person] = (110, 90, 70)
    pixels += np.random.default_rng(0).normal(0, noise, pixels.shape)
    return np.rint(pixels).clip(0, 255).astype(np.uint8)


def mask_of(part=PERSON, height=HEIGHT, width=WIDTH):
    mask = np.zeros((height, width), np.uint8)
    mask[part] = 255
    return mask


def fitted(pixels, mask, **controls):
    """The fall-off over the whole photo in 0..1."""
    found = regions(Image(pixels), LocalControls(mask=mask, **controls))
    t = np.zeros(pixels.shape[:2])
    rows, columns = found.fall_off.shape
    t[found.top : found.top + rows, found.left : found.left + columns] = found.fall_off / 65535
    return t


@pytest.mark.parametrize("beside", [-1, 0, 1, 2])
def test_the_edge_of_a_mask_becomes_the_photos(beside):
    t = fitted(photo(), mask_of(np.s_[60 - beside :, 120 - beside : 200 + beside]))
    rows = t[100:220]
    assert rows[:, :119].max() < 0.15  # the wall, also where the mask covers it
    assert rows[:, 201:].max() < 0.15
    assert rows[:, 122:198].mean(axis=0).min() > 0.6  # the coat, also where the mask leaves it out
    assert beside < 0 or rows[:, 120].mean() > 0.4  # a pixel that the mask leaves out is background


def test_where_the_photo_has_no_edge_light_falls_off_inside():
    t = fitted(np.full((HEIGHT, WIDTH, 3), 60, np.uint8), mask_of())
    assert not t[mask_of() == 0].any()
    row = t[160, 119:160]
    assert (np.diff(row) >= -1e-6).all()
    assert np.diff(row).max() < 0.5
    assert (row[8:] == 1).all()


@pytest.mark.parametrize("thickness", [1, 2, 4, 7])
def test_thin_parts_are_lit(thickness):
    part = np.s_[60:, 120 : 120 + thickness]
    t = fitted(np.full((HEIGHT, WIDTH, 3), 60, np.uint8), mask_of(part))
    assert t[100:220, 120 : 120 + thickness].max(axis=1).min() > 0.6
    assert not t[mask_of(part) == 0].any()


def test_small_holes_are_filled_and_large_ones_are_not():
    mask = mask_of()
    mask[100:103, 150:153] = mask[150:190, 140:180] = 0
    t = fitted(np.full((HEIGHT, WIDTH, 3), 60, np.uint8), mask)
    assert (t[98:105, 148:155] == 1).all()
    assert not t[152:188, 142:178].any()


def test_the_other_side_is_lit_where_a_mask_is_inverted():
    t = fitted(photo(), mask_of(), mask_invert=True)
    assert t[100:220, 122:198].max() < 0.15
    assert t[100:220, :117].min() > 0.9


def test_strips_make_no_difference(monkeypatch):
    pixels, mask = photo(), mask_of()
    parts = []
    for strip in (17, 64, 4096):
        monkeypatch.setattr(fitting, "STRIP", strip)
        parts.append(fitted(pixels, mask))
    assert np.abs(parts[0] - parts[2]).max() < 1e-4
    assert np.abs(parts[1] - parts[2]).max() < 1e-4


def test_coefficients_are_the_least_squares_of_their_windows():
    random = np.random.default_rng(1)
    guide = random.integers(0, 256, (12, 15, 3), np.uint8)
    target = random.integers(0, 256, (12, 15), np.uint8)
    radius, variance = 2, 0.01
    found = coefficients(guide, target, radius, variance, slice(3, 11))
    for y, x in ((3, 0), (5, 7), (10, 14), (10, 6)):
        window = np.s_[max(y - radius, 0) : y + radius + 1, max(x - radius, 0) : x + radius + 1]
        colours, share = guide[window].reshape(-1, 3) / 255, target[window].ravel() / 255
        covariance = np.cov(colours.T, bias=True) + variance * np.eye(3)
        slopes = np.linalg.solve(covariance, ((colours - colours.mean(0)) * (share - share.mean())[:, None]).mean(0))
        expected = (*slopes, share.mean() - slopes @ colours.mean(0))
        np.testing.assert_allclose(found[:, y - 3, x], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_deep_photo_is_fitted_as_a_shallow_one(depth):
    pixels = photo().astype(depth) * (np.iinfo(depth).max // 255)
    assert np.abs(fitted(pixels, mask_of()) - fitted(photo(), mask_of())).max() < 1e-4


@pytest.mark.parametrize("side", [40, 107, 160])
def test_what_is_found_in_a_small_copy_follows_the_large_photo(monkeypatch, side):
    monkeypatch.setattr(fitting, "SIDE", side)
    assert Scale.of(HEIGHT, WIDTH).step == -(-WIDTH // side)
    t = fitted(photo(noise=0.0), mask_of(np.s_[58:, 118:202]))
    assert t[120:200, :120].max() < 0.2
    assert t[120:200, 121:199].min() > 0.5


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 50), (3, 2000), (2000, 3), (7, 5)])
def test_photos_of_any_size(height, width):
    mask = np.zeros((height, width), np.uint8)
    mask[: (height + 1) // 2, : (width + 1) // 2] = 255
    found = regions(Image(np.full((height, width, 3), 60, np.uint8)), LocalControls(mask=mask))
    assert sum(found.shares) == pytest.approx(1)


@pytest.mark.parametrize("mask", ["shape", "soft", "hard"])
def test_where_the_transition_lies_unless_it_is_said(mask):
    given = {"shape": "rect:120,60,80,180", "hard": mask_of()}.get(mask)
    if given is None:
        given = np.clip((np.arange(WIDTH) - 100) / 60.0, 0, 1)[None].repeat(HEIGHT, 0)
    assert LocalControls(mask=given).place == ("dilate" if mask == "shape" else "erode")
    for mode in ("dilate", "erode", "both"):
        assert LocalControls(mask=given, transition_mode=mode).place == mode
    found = regions(Image(photo()), LocalControls(mask=given))
    assert (found.fitted, found.soft) == (mask == "hard", mask == "soft")
    # What is asked for is not fitted but measured from the mask as it is.
    t = fitted(photo(), given, transition_mode="dilate", transition=80)
    assert t.sum() > fitted(photo(), given, transition=0).sum()


def test_a_width_that_is_asked_for_lies_inside_the_fitted_edge():
    t = fitted(photo(), mask_of(np.s_[57:, 117:203]), transition=20)
    assert t[160, :119].max() < 0.1
    assert t[160, 130] == pytest.approx(11 / 21, abs=0.1)
    assert t[160, 150] == 1


def test_a_dark_region_ends_where_the_photos_does():
    pixels = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    pixels[:, :160] = 20
    t = fitted(pixels, "luma<0.2")
    assert t[:, :158].min() > 0.98
    assert t[:, 162:].max() < 0.05


def test_a_soft_fit_of_one_tone_is_what_was_found():
    target = np.clip(np.linspace(-0.5, 1.5, 80), 0, 1).astype(np.float32)[None].repeat(60, 0)
    grey = np.full((60, 80), 0.5, np.float32)
    t = fit_soft(np.full((240, 320, 3), 128, np.uint8), grey, target, 3) / 65535
    assert np.abs(t[::4, ::4] - target).max() < 0.08


def test_what_fitting_holds_of_a_large_photo(monkeypatch):
    monkeypatch.setattr(fitting, "SIDE", 500)
    side = 3000
    image = Image(np.zeros((side, side, 3), np.uint8))
    mask = np.zeros((side, side), np.uint8)
    mask[300:2700, 300:2700] = 255
    controls = LocalControls(mask=Mask("mask.png", source="picture"))
    image = image.replace(companions={"mask": Image(mask)})
    regions(image, controls)
    tracemalloc.start()
    try:
        regions(image, controls)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * side**2 + 12 * 2**20
