"""Small images as fixtures, and the seeds of every test."""

from __future__ import annotations

import signal

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray

from tests import pictures

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
    return pictures.gradient()


@pytest.fixture
def noise(rng: np.random.Generator) -> Codes:
    """64×80×3 of even noise."""
    return pictures.noise(64, 80, 3, seed=rng)


@pytest.fixture
def night(rng: np.random.Generator) -> Codes:
    """120×160×3: a dark scene with noise, a brighter building and two lamps."""
    return pictures.night(seed=rng)
