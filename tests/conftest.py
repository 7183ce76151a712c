"""Tiny synthetic images, the same on every machine, and the seeds of every test."""

from __future__ import annotations

import signal

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray

Codes = NDArray[np.uint8]

# A shell that starts the tests in the background has Ctrl-C ignored in them and in all that they start, and then a run
# that is interrupted rightly goes on.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No example fails for being slow. Fixtures that are not made anew for each example are values that no test changes.
settings.register_profile(
    "enhance", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("enhance")


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that starts the same for every test."""
    return np.random.default_rng(1)


@pytest.fixture
def gradient() -> Codes:
    """96×128×3: luma rises to the right, colour turns downwards."""
    y, x = np.mgrid[:96, :128]
    return np.stack((x * 2, (x + y), 255 - y * 2), axis=2).clip(0, 255).astype(np.uint8)


@pytest.fixture
def noise(rng: np.random.Generator) -> Codes:
    """64×80×3 of even noise."""
    return rng.integers(0, 256, (64, 80, 3), np.uint8)


@pytest.fixture
def night(rng: np.random.Generator) -> Codes:
    """120×160×3: a dark scene with noise, a brighter building and two lamps."""
    y, x = np.mgrid[:120, :160]
    light = 12.0 + 10.0 * y / 120 + 40.0 * ((x > 50) & (x < 110) & (y > 40))
    for lamp_y, lamp_x in ((30, 30), (50, 130)):
        light += 220.0 * np.exp(-((y - lamp_y) ** 2 + (x - lamp_x) ** 2) / 40.0)
    tinted = light[..., None] * np.array([1.0, 0.9, 0.75]) + rng.normal(0, 3, (120, 160, 3))
    return tinted.round().clip(0, 255).astype(np.uint8)
