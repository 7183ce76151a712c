"""White on purpose and over-exposed are told apart."""

from __future__ import annotations

import numpy as np
import pytest

from enhance_cli.exposure.high_key import high_key


def room(rng, *, black=0.1, white=0.93, share=0.85):
    """A white wall with something in front of it: 3×64×64."""
    grey = rng.uniform(0.83, white, (64, 64)).astype(np.float32)
    grey[:, round(64 * share) :] = rng.uniform(black, 0.6, (64, 64 - round(64 * share)))
    return np.stack([grey, grey, grey])


def test_a_white_room_is_high_key(rng):
    assert high_key(room(rng)) == 1.0


@pytest.mark.parametrize("odd", [{"black": 0.45}, {"share": 0.5}])
def test_lifted_black_and_half_a_wall_are_not(rng, odd):
    assert high_key(room(rng, **odd).clip(0, 1)) == 0.0


def test_it_comes_without_a_step(rng):
    found = [high_key(room(np.random.default_rng(3), black=black)) for black in np.linspace(0.1, 0.4, 40)]
    assert max(np.abs(np.diff(found))) < 0.25
    assert found[0] == 1.0
    assert found[-1] == 0.0


def test_transparent_pixels_do_not_count(rng):
    light = room(rng)
    more = np.concatenate([light, np.zeros_like(light)], axis=2)
    weights = np.concatenate([np.ones((64, 64)), np.zeros((64, 64))], axis=1).astype(np.float32)
    assert high_key(more, weights) == high_key(light)
    assert high_key(more) == 0.0
