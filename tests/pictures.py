"""Scenes that tests draw, and what is in the images that they find."""

from __future__ import annotations

import numpy as np


def scene(height=96, width=128, seed=0):
    """A dim image with a gradient, an edge and some noise, BGR."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(10, 90, width)[None, :, None] * np.array([0.8, 1.0, 1.1])
    picture = np.repeat(ramp, height, axis=0)
    picture[height // 3 : height // 2, width // 4 : width // 2] += 60
    return np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255).astype(np.uint8)
