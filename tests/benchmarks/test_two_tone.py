"""The two-tone images and the score of halos."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from benchmarks.lib.two_tone import two_tone_flatness, two_tone_pictures


def test_nine_pictures_of_two_tones():
    pictures = two_tone_pictures(200, 300)
    assert len({picture.name for picture in pictures}) == 9
    for picture in pictures:
        assert picture.pixels.shape == (200, 300, 3)
        assert picture.pixels.dtype == np.uint8
        assert len(np.unique(picture.pixels)) == 2


@pytest.mark.parametrize("picture", two_tone_pictures(), ids=lambda picture: picture.name)
def test_a_tone_curve_is_flat_and_a_local_mean_is_not(picture):
    levels = picture.pixels / 255.0
    assert two_tone_flatness(picture.pixels, levels**0.4) < 0.001
    neighbourhood = cv2.GaussianBlur(levels, (0, 0), 20)
    assert two_tone_flatness(picture.pixels, np.clip(levels - 0.5 * neighbourhood + 0.3, 0, 1)) > 0.1


def test_noise_near_the_edge_is_forgiven_and_far_from_it_is_not():
    picture = two_tone_pictures()[0].pixels
    middle = picture.shape[1] // 2
    soft = cv2.blur(picture, (7, 7))
    assert two_tone_flatness(picture, soft) < 0.01
    stained = picture.copy()
    stained[:, middle + 40 : middle + 60] -= 30
    assert two_tone_flatness(picture, stained) == pytest.approx(30 / 133, rel=0.05)


def test_a_lost_step_is_infinitely_uneven():
    picture = two_tone_pictures()[0].pixels
    assert two_tone_flatness(picture, np.full_like(picture, 100)) == math.inf


def test_other_pictures_are_refused():
    ramp = np.tile(np.arange(256, dtype=np.uint8), (200, 1))
    with pytest.raises(ValueError, match="two tones"):
        two_tone_flatness(ramp, ramp)
    flat = np.zeros((200, 200), np.uint8)
    with pytest.raises(ValueError, match="two tones"):
        two_tone_flatness(flat, flat)
    picture = two_tone_pictures()[0].pixels
    with pytest.raises(ValueError, match="size"):
        two_tone_flatness(picture, picture[:100])
