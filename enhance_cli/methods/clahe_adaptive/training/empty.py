"""Pairs whose degraded photo holds much that should be left alone: skies by night and day, dark frames, flat surfaces.

Every function takes luma in 0..1 (H×W float32) of a good photo and a random generator, and returns the degraded luma
and what should become of it, both H×W uint8. The reference has no noise, so that amplifying it costs twice.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from enhance_cli.training.degradations import DISPLAY_GAMMA, smooth_field
from enhance_cli.training.two_tone import two_tones

Codes = NDArray[np.uint8]
Luma = NDArray[np.float32]

REGAINED = 0.7
"""Share of the missing stops that a reference has more than its dark photo: brightened, though not to daylight."""


def as_it_is(picture: Luma, _random: np.random.Generator) -> tuple[Codes, Codes]:
    """A good photo, to be left alone."""
    return _codes(picture), _codes(picture)


def under_a_sky(picture: Luma, random: np.random.Generator) -> tuple[Codes, Codes]:
    """An underexposed scene below an empty sky, black with six of ten and bright with the others.

    The sky keeps its tone, the scene regains light. Skylines are steps, as of towers, or smooth.
    """
    height, width = picture.shape
    night = random.random() < 0.6
    steps = random.uniform(0.1, 0.75, int(random.integers(2, 12))).astype(np.float32)
    kind = cv2.INTER_NEAREST if random.random() < 0.6 else cv2.INTER_CUBIC
    skyline = cv2.resize(steps[None], (width, 1), interpolation=kind)[0]
    sky = np.arange(height, dtype=np.float32)[:, None] / height < skyline
    tone = random.uniform(0.004, 0.09) if night else random.uniform(0.5, 0.97)
    tones = tone + smooth_field(random, height, width, -0.2, 0.2) * np.float32(min(tone, 0.3))
    stops = random.uniform(0.0, 2.0) if night else random.uniform(0.3, 3.0)
    lamps = (
        random.uniform(1.0, 4.0) if night and random.random() < 0.6 else 1.0
    )  # all but the brightest lies in the dark
    frames = (
        np.where(sky, tones, _exposed(picture ** np.float32(1 + part * (lamps - 1)), part * stops)).astype(np.float32)
        for part in (1.0, 1.0 - REGAINED)
    )
    degraded, reference = frames
    return _photographed(degraded, random), _codes(reference)


def in_the_dark(picture: Luma, random: np.random.Generator) -> tuple[Codes, Codes]:
    """A photo 1 to 5 stops too dark, with shot and read noise."""
    stops = random.uniform(1.0, 5.0)
    return _photographed(_exposed(picture, stops), random), _codes(_exposed(picture, (1 - REGAINED) * stops))


def nothing(picture: Luma, random: np.random.Generator) -> tuple[Codes, Codes]:
    """A black frame, a wall or a sky, or two flat tones: all to be kept, without their noise."""
    height, width = picture.shape
    kind = random.random()
    if kind < 0.3:
        tones = np.ascontiguousarray(two_tones(random, min(height, width, 320))[0][..., 0])
    else:
        tone = random.uniform(0.0, 0.12) if kind < 0.75 else random.uniform(0.2, 0.95)
        tones = tone * (1.0 + smooth_field(random, height, width, -0.3, 0.3))
    return _photographed(np.asarray(tones, np.float32), random), _codes(tones)


def _exposed(picture: Luma, stops: float) -> Luma:
    """Darkened in linear light, encoded again."""
    return np.asarray(picture * np.float32(2.0 ** (-stops / DISPLAY_GAMMA)), np.float32)


def _photographed(tones: Luma, random: np.random.Generator) -> Codes:
    """With shot and read noise in linear light, correlated in half of the draws, and in two of three as a JPEG."""
    light = np.clip(tones, 0.0, 1.0) ** np.float32(DISPLAY_GAMMA)
    shot, read = 10.0 ** random.uniform(-3.6, -2.7), 10.0 ** random.uniform(-3.4, -2.5)
    noise = random.standard_normal(light.shape, np.float32) * np.sqrt(light * np.float32(shot) + np.float32(read**2))
    if random.random() < 0.5:
        noise = cv2.blur(noise, (3, 3)) * np.float32(1.5)
    codes = _codes(np.maximum(light + noise, 0.0) ** np.float32(1.0 / DISPLAY_GAMMA))
    if random.random() < 1 / 3:
        return codes
    _, packed = cv2.imencode(".jpg", codes, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(60, 99))])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)


def _codes(tones: NDArray[np.floating]) -> Codes:
    return np.asarray(np.rint(np.clip(tones, 0.0, 1.0) * 255.0), np.uint8)
