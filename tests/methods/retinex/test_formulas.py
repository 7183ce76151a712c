"""Gains that are bounded where a night scene is empty."""

import numpy as np
import pytest

from enhance_cli.methods.retinex import formulas


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A grid that divides by about 0.1 in the dark, light that is dark on the left, and what of it is empty."""
    grid = np.zeros((16, 16, 12, 2), np.float32)
    grid[..., 1] = -2.2
    light = np.full((3, 64, 64), 0.3, np.float32)
    light[:, :, :32] = 0.02
    empty = np.zeros((64, 64), np.float32)
    empty[:32, :32] = 1.0
    return grid, light, empty


def test_what_is_empty_is_hardly_lifted_and_the_rest_as_before() -> None:
    grid, light, empty = scene()
    channel = light.max(axis=0)
    before = formulas.illumination(grid, channel)
    after = formulas.illumination(formulas.limited(grid, light, empty, 0.0), channel)
    assert before[10, 10] < 0.15
    assert after[:24, :24].min() == pytest.approx(1.0 / formulas.LARGEST_EMPTY, abs=0.05)
    np.testing.assert_allclose(after[40:], before[40:], atol=1e-3)
    np.testing.assert_allclose(after[:, 40:], before[:, 40:], atol=1e-3)
    # Smooth in place: no rim between what is limited and what is not.
    assert np.abs(np.diff(after[:, 10])).max() < 0.1


def test_noise_above_the_tone_of_what_is_empty_is_limited_with_it() -> None:
    grid, light, empty = scene()
    light[:, ::2, :32] = 0.12  # something at this tone is not empty
    empty[::2] = 0.0
    speck = np.full((64, 64), 0.08, np.float32)
    near, far = (formulas.illumination(formulas.limited(grid, light, empty, spread), speck) for spread in (0.0, 0.2))
    assert far[10, 10] > 0.45
    assert near[10, 10] < far[10, 10] - 0.1


def test_gains_within_the_bound_stay() -> None:
    grid, light, empty = scene()
    grid[..., 1] = 1.0
    np.testing.assert_array_equal(formulas.limited(grid, light, empty, 0.1), grid)
