"""The curve that takes a veil away: when it does anything, and what it then does."""

from __future__ import annotations

import numpy as np
import pytest

from enhance_cli.exposure import Wanted
from enhance_cli.exposure.features import chroma_of, luma_of
from enhance_cli.exposure.tones import LEAST_CHROMA, clearing, faded, part_of
from enhance_cli.imaging.finish import UNCHANGED, finished

WANTED = Wanted(luma=0.45, black=0.05, contrast=0.22, chroma=0.08, doubt=0.05)


def flat(rng, low=0.35, high=0.6):
    """A picture between two tones, with a little colour: 3×40×40."""
    grey = rng.uniform(low, high, (40, 40)).astype(np.float32)
    return np.stack([grey + np.float32(0.02), grey, grey - np.float32(0.02)])


def test_a_veil_is_taken_away_and_the_mean_stays(rng):
    source = flat(rng)
    tones = clearing(source, source, WANTED)
    before, after = luma_of(source), luma_of(finished(source, source, tones))
    assert after.std() > 1.5 * before.std()
    assert np.percentile(after, 2) < np.percentile(before, 2) - 0.05
    assert after.mean() == pytest.approx(before.mean(), abs=0.01)
    assert tones.chroma > 1.0


@pytest.mark.parametrize("gain", [0.9, 2.5])
def test_what_was_dark_or_is_darkened_keeps_its_tones(rng, gain):
    light = flat(rng)
    assert clearing(light, light / np.float32(gain), WANTED) is UNCHANGED


def test_contrast_needs_no_curve_and_is_never_taken(rng):
    source = flat(rng, 0.05, 0.95)
    assert clearing(source, source, WANTED) is UNCHANGED


def test_shade_that_was_lit_is_kept(rng):
    """Half of the photo lies before a bright sky: what is flat there has been lit on purpose."""
    source = flat(rng)
    source[:, :20] *= np.float32(0.2)
    light = source.copy()
    light[:, :20] *= np.float32(1.5)
    assert clearing(light, source, WANTED._replace(contrast=0.4)) is UNCHANGED


def test_colour_of_a_photo_brightened_by_stops_comes_down_to_the_wanted(rng):
    """Noise of a dark photo is colour as well: it may have twice as much as its bright counterpart."""
    light = flat(rng)
    light[0] += np.float32(0.12)
    wanted = WANTED._replace(chroma=0.041)

    def chroma(light):
        return chroma_of(light, luma_of(light)).mean()

    tones = faded(light, light / np.float32(16.0), wanted)
    after = finished(light, light / np.float32(16.0), tones)
    assert chroma(light) > 1.5 * wanted.chroma
    assert chroma(after) == pytest.approx(1.3 * wanted.chroma, rel=0.1)
    assert luma_of(after).mean() == pytest.approx(luma_of(light).mean(), abs=0.005)
    assert faded(light, light / np.float32(2.0), wanted) is UNCHANGED, "brightened little, it is colour"
    assert faded(light, light / np.float32(16.0), WANTED._replace(chroma=0.5)) is UNCHANGED, "none is given"
    assert faded(light, light / np.float32(16.0), WANTED._replace(chroma=0.0)).chroma == LEAST_CHROMA[1]


def test_transparent_pixels_do_not_count(rng):
    source = flat(rng)
    more = np.concatenate([source, np.zeros_like(source)], axis=2)
    weights = np.concatenate([np.ones((40, 40)), np.zeros((40, 40))], axis=1).astype(np.float32)
    expected, found = clearing(source, source, WANTED), clearing(more, more, WANTED, weights)
    np.testing.assert_allclose(found.gains, expected.gains, atol=1e-4)
    assert found.chroma == pytest.approx(expected.chroma, abs=1e-4)


def test_a_part_lies_between_nothing_and_all(rng):
    source = flat(rng)
    tones = clearing(source, source, WANTED)
    half = part_of(tones, 0.5)
    np.testing.assert_allclose(half.gains, 0.5 * (1.0 + tones.gains), atol=1e-6)
    assert half.chroma == pytest.approx(0.5 * (1.0 + tones.chroma))
    assert part_of(tones, 0.0) is UNCHANGED
    assert part_of(UNCHANGED, 1.0) is UNCHANGED
