"""The backlit test: photographs one part of which stands in the shade, with the photograph without it.

A backlit photograph is good in one part and too dark in the other, so one brightness for the whole picture cannot
mend it. Here the light of one part of a good photograph is taken away by a known number of stops, along the edges of
what is in it, so that what was taken can be compared with what an enhancer gives back, and what it does to the part
that nothing was wrong with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from enhance_cli.quality.pictures import Picture, luma

Codes = NDArray[np.uint8]
Shade = NDArray[np.float32]

STOPS = (1.0, 3.5)
"""The least and the most light that is taken, in stops."""

SHAPES = ("left", "right", "bottom", "top", "middle")
"""Where the shade may lie: it is put where the photograph is darkest, since light comes from what is bright."""

GAMMA = 2.2
"""Between sRGB-encoded and linear light, as a plain power: the simulators of training use the same."""


class Backlit(NamedTuple):
    """One test picture."""

    name: str
    """Its photograph, where the shade lies, and the stops."""

    pixels: Codes
    """H×W×3 RGB, what is to be enhanced."""

    original: Codes
    """H×W×3 RGB, the photograph itself."""

    shade: Shade
    """H×W in 0..1: the share of the stops that was taken from each pixel."""

    stops: float


class Recovery(NamedTuple):
    """What an enhancer made of it."""

    regained: float
    """Rise of the shaded part's mean luma as a share of what was taken: 1 is the original, 0 nothing done."""

    moved: float
    """By how many 8-bit levels the mean luma of the part in the light changed, without sign."""


def backlit_pictures(photographs: Mapping[str, Codes], count: int = 20) -> list[Backlit]:
    """Backlit pictures of good photographs: the shade before the light, stops evenly from 1 to 3.5 in mixed order.

    Args:
        photographs: by name, H×W×3 RGB uint8.
        count: how many pictures; photographs are taken again, with their next best shade, when there are fewer.

    Raises:
        ValueError: there are no photographs.
    """
    if not photographs:
        raise ValueError("backlit pictures need photographs to be made of")
    names = sorted(photographs)
    made = []
    for index in range(count):
        name = names[index % len(names)]
        original = photographs[name]
        shape = _shapes_by_light(original)[index // len(names) % len(SHAPES)]
        # Seven and twenty have no common divisor: neighbours in the list are far apart in stops.
        stops = STOPS[0] + (STOPS[1] - STOPS[0]) * (7 * index % count) / max(count - 1, 1)
        shade = shade_along(original, shape_of(shape, *original.shape[:2]))
        pixels = np.rint(255.0 * shaded(original.astype(np.float32) / np.float32(255.0), shade, stops))
        made.append(Backlit(f"{name} {shape} -{stops:.1f} EV", pixels.astype(np.uint8), original, shade, stops))
    return made


def recovery(picture: Backlit, output: Picture) -> Recovery:
    """Judge one output by the means of luma in the shade (more than .9 of the stops) and in the light (below .1).

    Raises:
        ValueError: the sizes differ.
    """
    before, after, original = luma(picture.pixels), luma(output), luma(picture.original)
    if before.shape != after.shape:
        raise ValueError(f"the pictures differ in size: {before.shape} and {after.shape} (height, width)")
    dark, light = picture.shade > 0.9, picture.shade < 0.1
    taken = float(original[dark].mean() - before[dark].mean())
    given = float(after[dark].mean() - before[dark].mean())
    return Recovery(given / max(taken, 1e-6), abs(float(after[light].mean() - before[light].mean())))


def light_behind(photograph: Codes, rough: Shade) -> float:
    """By how many levels the part in the light is brighter than what would stand in the shade."""
    grey = luma(photograph)
    return float(grey[rough < 0.5].mean() - grey[rough >= 0.5].mean())


def _shapes_by_light(photograph: Codes) -> list[str]:
    size = photograph.shape[:2]
    return sorted(SHAPES, key=lambda shape: -light_behind(photograph, shape_of(shape, *size)))


def shape_of(shape: str, height: int, width: int) -> Shade:
    """A rough place of the shade, H×W, 0 or 1: a half of the picture, or a figure in the middle of it."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y, x = (y + 0.5) / height - 0.5, (x + 0.5) / width - 0.5
    inside = {
        "left": x + 0.2 * y < 0.0,
        "right": x - 0.15 * y > 0.0,
        "bottom": y + 0.1 * np.sin(2.0 * math.pi * x) > 0.0,
        "top": y + 0.15 * x < 0.0,
        "middle": (x / 0.28) ** 2 + ((y - 0.12) / 0.42) ** 2 < 1.0,
    }[shape]
    return np.asarray(inside, np.float32)


def shade_along(photograph: Codes, rough: Shade, steps: int = 4) -> Shade:
    """A rough shade drawn to the edges of the photograph, as light ends at the outlines of things.

    A guided filter (He, Sun, Tang, 2013) of the rough place by the photograph's luma, over a tenth of the shorter
    side, and then steeper, so that little is left half in the shade.

    Args:
        photograph: H×W×3 RGB.
        rough: H×W in 0..1.
        steps: how steep.

    Returns:
        H×W float32 in 0..1.
    """
    guide = (luma(photograph) / 255.0).astype(np.float32)
    side = 2 * max(2, min(guide.shape) // 20) + 1

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.blur(values, (side, side)), np.float32)

    of_guide, of_rough = mean(guide), mean(rough)
    slope = (mean(guide * rough) - of_guide * of_rough) / (mean(guide * guide) - of_guide**2 + np.float32(1e-3))
    followed = mean(slope) * guide + mean(of_rough - slope * of_guide)
    return np.asarray(np.clip(0.5 + steps * (followed - 0.5), 0.0, 1.0), np.float32)


def shaded(picture: NDArray[np.float32], shade: Shade, stops: float) -> NDArray[np.float32]:
    """Take light away, in linear light: H×W×3 in 0..1, by `stops` times the shade."""
    gain = np.exp2(np.float32(-stops) * shade)[..., None]
    return np.asarray(picture * gain ** np.float32(1.0 / GAMMA), np.float32)
