"""Degradations: reproducible draw by draw, 8-bit, and each in the direction that its name says."""

from __future__ import annotations

import numpy as np
import pytest

from enhance_cli.training import degradations
from enhance_cli.training.degradations import generator
from tests.pictures import slope

ALL = [
    degradations.compress_shift,
    degradations.tone_curve,
    degradations.lowlight,
    degradations.overexpose,
    degradations.nonuniform,
]


@pytest.fixture
def photograph() -> np.ndarray:
    return slope()


@pytest.mark.parametrize("degrade", ALL)
@pytest.mark.parametrize("channels", ["rgb", "luma"])
def test_a_draw_depends_on_seed_and_index_alone(degrade, channels: str, photograph: np.ndarray) -> None:
    picture = photograph if channels == "rgb" else photograph[..., 0].copy()
    before = picture.copy()
    for index in range(12):
        first = degrade(picture, generator(5, index))
        second = degrade(picture, generator(5, index))
        assert first.dtype == np.uint8
        assert first.shape == picture.shape
        np.testing.assert_array_equal(first, second)
    assert not np.array_equal(degrade(picture, generator(5, 0)), degrade(picture, generator(6, 0)))
    np.testing.assert_array_equal(picture, before)


def test_compression_narrows_and_never_clips(photograph: np.ndarray) -> None:
    for index in range(40):
        narrowed = degradations.compress_shift(photograph, generator(1, index)) / 255.0
        assert narrowed.std() <= photograph.std() + 0.02
        assert (narrowed >= 1).mean() < 0.1


def test_one_compression_in_ten_changes_next_to_nothing(photograph: np.ndarray) -> None:
    draws = [degradations.compress_shift(photograph, generator(2, index)) / 255.0 for index in range(300)]
    unchanged = sum(abs(draw - photograph).mean() < 0.012 for draw in draws)
    assert 10 <= unchanged <= 60


def test_lowlight_is_darker_and_overexposure_brighter(photograph: np.ndarray) -> None:
    for index in range(20):
        assert degradations.lowlight(photograph, generator(3, index)).mean() / 255 < photograph.mean()
        assert degradations.overexpose(photograph, generator(3, index)).mean() / 255 > photograph.mean()


def test_uneven_exposure_varies_over_the_picture() -> None:
    grey = np.full((80, 80), 0.4, np.float32)
    spreads = [float(degradations.nonuniform(grey, generator(4, index)).std()) for index in range(10)]
    assert min(spreads) > 5
