"""The simulated faults that retinex is trained on: in range, repeatable, and what they are called."""

from __future__ import annotations

import numpy as np
import pytest

from enhance_cli.methods.retinex.training import faults
from enhance_cli.quality.backlit import shade_along
from tests.pictures import codes, soft


@pytest.mark.parametrize("fault", [faults.backlight, faults.wrong_exposure, faults.veil, faults.camera_noise])
def test_faults_follow_from_their_generator_and_stay_in_range(fault) -> None:
    picture = codes(soft(48, 60, (5, 6), seed=1)).astype(np.float32) / 255.0
    one, two = (fault(picture, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one, two)
    assert one.shape == picture.shape
    assert one.dtype == np.float32
    assert one.min() >= 0.0
    assert one.max() <= 1.0
    assert not np.array_equal(one, picture)


def test_backlight_takes_light_from_a_part_only() -> None:
    picture = np.full((64, 64, 3), 0.6, np.float32)
    for seed in range(8):
        dark = faults.backlight(picture, np.random.default_rng(seed))
        assert dark.min() < 0.6 * 2.0 ** (-0.6 / 2.2)
        assert dark.max() >= 0.6 - 1e-6


def test_a_veil_raises_the_black_point_and_takes_contrast() -> None:
    picture = codes(soft(48, 60, (5, 6), seed=1)).astype(np.float32) / 255.0
    for seed in range(9):
        veiled = faults.veil(picture, np.random.default_rng(seed))
        assert np.percentile(veiled, 1) > np.percentile(picture, 1)
        assert veiled.std() < 1.02 * picture.std()


def test_empty_dark_parts_stay_as_they_are_while_the_rest_gets_its_light_back() -> None:
    picture = np.full((64, 64, 3), 0.7, np.float32)
    picture[:, 36:] = 0.3
    for seed in range(8):
        image, target = faults.empty_dark(picture, np.random.default_rng(seed))
        empty = image.max(axis=2) < 0.16
        assert 0.02 < empty.mean() < 0.98
        assert np.abs(image - target)[empty].max() < 0.1
        assert (target >= image - 1e-6).all()


def test_noise_grows_with_light() -> None:
    spreads = []
    for level in (0.1, 0.8):
        flat = np.full((64, 64, 3), level, np.float32)
        noisy = np.mean([faults.camera_noise(flat, np.random.default_rng(i)).std() for i in range(12)])
        spreads.append(noisy * level**1.2)  # back in linear light
    assert spreads[1] > spreads[0]


def test_shade_follows_the_edges_of_the_photograph() -> None:
    photograph = np.full((80, 80, 3), 220, np.uint8)
    photograph[:, 41:] = 40
    rough = np.zeros((80, 80), np.float32)
    rough[:, 40:] = 1.0
    shade = shade_along(photograph, rough)
    assert shade[:, 41:].min() > 0.99
    assert shade[:, :41].max() < 0.01  # the rough place began a pixel before the edge
