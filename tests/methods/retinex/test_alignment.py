"""Frames from the hand: what does not lie on the first frame is told, and nothing else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from enhance_cli.methods.retinex.alignment import frame_notes
from enhance_cli.types import Image, Metadata


@pytest.fixture
def scene(rng):
    """Linear light, 480×640×3: soft shapes, edges and texture, so that it can be shifted by rolling."""
    light = cv2.GaussianBlur(rng.random((480, 640)).astype(np.float32), (0, 0), 3.0, borderType=cv2.BORDER_REFLECT)
    light = (light - light.min()) / (light.max() - light.min())
    light[100:300, 200:400] *= 0.1
    return light[..., None] * np.array([0.5, 0.4, 0.3], np.float32)


def taken(rng, light, stops, across=0, down=0, name="", icc=None):
    moved = np.roll(light * 2.0**stops, (down, across), (0, 1)).clip(0, 1) ** (1 / 2.2)
    codes = (moved * 255 + rng.normal(0.5, 1.5, light.shape)).clip(0, 255).astype(np.uint8)
    return Image(codes, metadata=Metadata(source=name, icc=icc))


@pytest.mark.parametrize("shift", [(6, 3), (-2, 2), (0, -40)])
def test_a_frame_that_lies_elsewhere_is_told_with_the_estimate(rng, scene, shift):
    frames = [taken(rng, scene, -2, name="x/a.jpg"), taken(rng, scene, 2, *shift, name="x/b.jpg")]
    (note,) = frame_notes(frames)
    told = {
        (6, 3): "6 pixels right and 3 down",
        (-2, 2): "2 pixels left and 2 down",
        (0, -40): "40 pixels up",
    }
    assert note == f"frame b.jpg lies about {told[shift]} of a.jpg; fused as it is"


@pytest.mark.parametrize("shift", [(0, 0), (1, 0)])
def test_frames_four_stops_apart_that_fit_give_no_note(rng, scene, shift):
    frames = [taken(rng, scene, -2), taken(rng, scene, 0, *shift), taken(rng, scene, 2)]
    assert frame_notes(frames) == ()


def test_a_few_pixels_are_seen_in_a_large_picture(rng, scene):
    large = cv2.resize(scene, (2560, 1920), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    large *= 1 + 0.2 * cv2.GaussianBlur(rng.standard_normal(large.shape[:2]).astype(np.float32), (0, 0), 1.5)[..., None]
    (note,) = frame_notes([taken(rng, large, -1, name="a"), taken(rng, large, 1, 3, name="b")])
    assert "about 3 pixels right of a" in note


@pytest.mark.parametrize("kind", ["flat", "ramp", "black"])
def test_nothing_is_told_of_frames_without_texture(rng, kind):
    light = np.full((300, 400, 3), 0.0 if kind == "black" else 0.2, np.float32)
    if kind == "ramp":
        light *= np.linspace(0, 5, 400, dtype=np.float32)[None, :, None]
    assert frame_notes([taken(rng, light, stops) for stops in (-2, 0, 2)]) == ()


def test_profiles_that_differ_are_told(rng, scene):
    frames = [taken(rng, scene, -1, name="a.jpg"), taken(rng, scene, 1, name="b.jpg", icc=b"other")]
    assert frame_notes(frames) == ("frame b.jpg has another colour profile than a.jpg; fused as it is",)


def test_frames_too_small_to_tell_are_left_alone(rng):
    assert frame_notes([taken(rng, np.full((9, 9, 3), 0.2, np.float32), stops) for stops in (-1, 1)]) == ()
