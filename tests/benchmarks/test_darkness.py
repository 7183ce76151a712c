"""Good photos made dark: light, noise and its seed."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.lib.darkness import darkened
from enhance_cli.quality.pictures import luma


def linear(codes: np.ndarray) -> np.ndarray:
    encoded = codes / 255.0
    return np.where(encoded > 0.04045, ((encoded + 0.055) / 1.055) ** 2.4, encoded / 12.92)


@pytest.mark.parametrize("stops", [0.0, 2.0, 3.5])
def test_light_falls_by_the_stops_and_noise_is_that_of_a_sensor(stops):
    # In luma, as the JPEG halves the resolution of chroma; three independent channels have 0.669 of one's noise there.
    dark = linear(luma(darkened(np.full((256, 256, 3), 188, np.uint8), stops, "a", quality=100)))
    light = linear(np.array(188)) * 2.0**-stops
    assert dark.mean() == pytest.approx(light, rel=0.02)
    assert dark.std() == pytest.approx(0.669 * np.sqrt(0.001 * light + 0.002**2), rel=0.1)


def test_noise_depends_on_the_seed_alone():
    grey = np.full((32, 32, 3), 128, np.uint8)
    assert np.array_equal(darkened(grey, 2.0, "a"), darkened(grey, 2.0, "a"))
    assert not np.array_equal(darkened(grey, 2.0, "a"), darkened(grey, 2.0, "b"))
