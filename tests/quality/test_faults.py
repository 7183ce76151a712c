"""Figures of grey highlights, veils, shade, skin and lifted noise, on images whose faults are known."""

from __future__ import annotations

import numpy as np
import pytest

from enhance_cli.quality import faults

SKIN = np.array([200, 150, 120], np.uint8)


def sky(level: int = 255) -> np.ndarray:
    """A clipped sky over a grey field."""
    picture = np.full((64, 80, 3), 90, np.uint8)
    picture[:40] = level
    return picture


def test_white_that_stays_white_has_no_contours():
    assert faults.highlights(sky(), sky()) == (255.0, 0.0)


def test_a_grey_sky_is_told_by_its_level():
    after = sky(214)
    assert faults.highlights(sky(), after).level == pytest.approx(214.0)


def test_a_step_in_what_was_smooth_is_a_contour():
    after = sky()
    after[:, 30:] = np.minimum(after[:, 30:], 240)
    found = faults.highlights(sky(), after)
    assert found.contours == pytest.approx(40 / (40 * 80))  # one step in each of forty rows


def test_an_edge_that_was_there_is_no_contour():
    before = sky()
    before[:40, :30] = 245
    assert faults.highlights(before, before).contours == 0.0


def test_a_photo_without_clipped_areas_has_no_highlights():
    assert faults.highlights(sky(200), sky(200)) is None


def test_a_veil_lifts_black_and_takes_contrast_and_chroma(rng):
    reference = rng.integers(0, 256, (40, 50, 3), np.uint8)
    assert faults.veil(reference, reference) == pytest.approx((0.0, 1.0, 1.0))
    found = faults.veil((60 + reference * 0.6).astype(np.uint8), reference)
    assert found.black_point > 10.0
    assert 0.4 < found.contrast < 0.7
    assert 0.3 < found.chroma < 0.8


def backlit(shade: int, light: int = 180) -> np.ndarray:
    """A lower half in the shade below a bright one."""
    picture = np.full((40, 50, 3), light, np.uint8)
    picture[20:] = shade
    return picture


def test_shade_is_regained_in_stops():
    before, reference = backlit(20), backlit(100)
    assert faults.shade(before, before, reference) == (0.0, 0.0)
    assert faults.shade(before, reference, reference) == (1.0, 0.0)
    halfway = faults.shade(before, backlit(55, 170), reference)  # 55 is midway between 20 and 100 in log light
    assert halfway.regained == pytest.approx(0.5, abs=0.02)
    assert halfway.bright == pytest.approx(10.0)
    assert faults.shade(before, backlit(150), reference).regained > 1.2


@pytest.mark.parametrize(
    ("before", "reference"), [(backlit(60), backlit(100)), (backlit(20, 90), backlit(100)), (backlit(20), backlit(20))]
)
def test_without_shade_light_or_a_brighter_reference_there_is_nothing_to_regain(before, reference):
    assert faults.shade(before, before, reference) is None


def test_skin_of_every_complexion_is_like_skin():
    for tone in ((255, 220, 190), (224, 172, 138), (198, 134, 96), (141, 85, 54), (90, 56, 40)):
        assert faults.skin_like(np.full((4, 4, 3), tone, np.uint8)).all(), tone
    for tone in ((90, 140, 220), (70, 140, 60), (128, 128, 128), (255, 255, 255)):
        assert not faults.skin_like(np.full((4, 4, 3), tone, np.uint8)).any(), tone


def test_skin_that_turns_brown_is_told_by_hue_chroma_and_luma():
    before = np.full((32, 32, 3), SKIN)
    same = faults.skin(before, before)
    assert same.turn == pytest.approx(0.0, abs=1e-3)
    assert same.chroma == pytest.approx(1.0)
    brown = faults.skin(before, np.full((32, 32, 3), (150, 60, 30), np.uint8))
    assert brown.chroma == pytest.approx(1.87, abs=0.01)
    assert brown.turn == pytest.approx(12.0, abs=0.1)
    assert brown.luma < 0.35 < same.luma
    assert faults.skin(np.full((32, 32, 3), 90, np.uint8), before) is None
    assert faults.skin(before, before, np.zeros((32, 32), bool)) is None
    grey = np.full((32, 32, 3), 150, np.uint8)
    assert faults.skin(grey, before, np.ones((32, 32), bool)) is None, "a face in black and white has no colour"


def test_noise_that_is_lifted_out_of_the_dark(rng):
    dark = np.clip(rng.normal(12.0, 2.0, (64, 64, 1)).repeat(3, axis=2), 0, 255)
    before = dark.astype(np.uint8)
    assert faults.empty_dark(before, before).noise == pytest.approx(1.0)
    lifted = faults.empty_dark(before, (before * 5).clip(0, 255).astype(np.uint8))
    assert lifted.noise == pytest.approx(5.0, rel=0.1)
    assert lifted.lifted > 0.8


def test_areas_known_to_be_empty_are_judged_whatever_they_hold(rng):
    texture = rng.integers(0, 60, (64, 64), np.uint8)
    where = np.zeros((64, 64), bool)
    assert faults.empty_dark(texture, texture, where) is None
    where[:32] = True
    after = texture.copy()
    after[32:] = 255  # outside
    assert faults.empty_dark(texture, after, where).noise == 1.0


def test_dark_texture_is_not_empty():
    y, x = np.mgrid[:64, :64]
    texture = (15 + 10 * np.sin(x / 3.0) * np.cos(y / 3.0)).astype(np.uint8)
    assert faults.empty_dark(texture, texture) is None
