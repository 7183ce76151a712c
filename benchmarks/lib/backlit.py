"""The backlit test: photos with one part in the shade, compared with the photo without shade.

A backlit photo is good in one part and too dark in the other, so one brightness for the whole cannot fix it. Here the
light of one part of a good photo is taken away by a known number of stops, along the edges of what is in it, so that
what was taken can be compared with what an enhancer gives back, and with what it does to the part that was good.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from enhance_cli.quality.backlit import light_behind, shade_along, shaded
from enhance_cli.quality.pictures import Picture, luma

Codes = NDArray[np.uint8]
Shade = NDArray[np.float32]

STOPS = (1.0, 3.5)
"""The least and the most light that is taken, in stops."""

SHAPES = ("left", "right", "bottom", "top", "middle")
"""Where the shade may lie: it is put where the photo is darkest, since light comes from what is bright."""


class Backlit(NamedTuple):
    """One test image."""

    name: str
    """Its photo, where the shade lies, and the stops."""

    pixels: Codes
    """H×W×3 RGB, what is to be enhanced."""

    original: Codes
    """H×W×3 RGB, the photo itself."""

    shade: Shade
    """H×W in 0..1: the share of the stops that was taken from each pixel."""

    stops: float


class Recovery(NamedTuple):
    """How well an enhancer restored it."""

    regained: float
    """Rise of the shaded part's mean luma as a share of what was taken: 1 is the original, 0 nothing done."""

    moved: float
    """By how many 8-bit levels the mean luma of the part in the light changed, without sign."""


def backlit_pictures(photographs: Mapping[str, Codes], count: int = 20) -> list[Backlit]:
    """Backlit images of good photos: the shade before the light, stops evenly from 1 to 3.5 in mixed order.

    Photos are taken again, with their next best shade, when there are fewer than `count`.

    Raises:
        ValueError: there are no photos.
    """
    if not photographs:
        raise ValueError("backlit pictures need photographs to be made of")
    names = sorted(photographs)
    made = []
    for index in range(count):
        name = names[index % len(names)]
        original = photographs[name]
        places = {shape: shape_of(shape, *original.shape[:2]) for shape in SHAPES}
        by_light = sorted(SHAPES, key=lambda shape: -light_behind(original, places[shape]))
        shape = by_light[index // len(names) % len(SHAPES)]
        # Seven and twenty have no common divisor: neighbours in the list are far apart in stops.
        stops = STOPS[0] + (STOPS[1] - STOPS[0]) * (7 * index % count) / max(count - 1, 1)
        shade = shade_along(original, places[shape])
        pixels = np.rint(255.0 * shaded(original.astype(np.float32) / np.float32(255.0), shade, stops))
        made.append(Backlit(f"{name} {shape} -{stops:.1f} EV", pixels.astype(np.uint8), original, shade, stops))
    return made


def recovery(picture: Backlit, output: Picture) -> Recovery:
    """Judge one output by the means of luma in the shade (more than 0.9 of the stops) and in the light (below 0.1).

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


def shape_of(shape: str, height: int, width: int) -> Shade:
    """A rough place of the shade, H×W, 0 or 1: a half of the image, or a figure in the middle of it."""
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
