"""Measures of common complaints: grey highlights, veils, black shade, oversaturated skin, noise amplified in the dark.

They complement PSNR and SSIM, which hardly respond to these faults. Each takes the photo before and after, or an
output and its reference, and gives None if the photo has nothing to judge: no clipped sky, no shade, no skin.
Images are H×W×3 RGB or H×W grey, uint8, uint16 or floating point in 0..1 (`pictures.levels`); figures are in 8-bit
levels, in L* (0..100), in degrees, or shares in 0..1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from enhance_cli.quality.lab import hue_turns, lab
from enhance_cli.quality.pictures import LUMA, Levels, Picture, level_pair

CLIPPED, BRIGHT = 252.0, 240.0
"""Level from which a pixel counts as clipped (all channels), and luma above which a new contour counts."""

LEAST_AREA = 256
"""Minimum pixels of an area: figures of smaller ones would be random."""

_BLOCK = 16
"""Side of the blocks that are classified as flat, dark and empty."""

_SHADE, _LIT, _PART = 40.0, 100.0, 0.15
"""Luma below which a pixel is in the shade, luma above which it is in the light, and the least share of either."""

_FLARE, _LEAST_GAIN = 0.01, 1.0
"""Linear light added before logarithms, so that noise in black counts little; and the stops by which the reference must
be brighter in the shade, because shares of less would be random."""

_DARK, _FLAT, _LIFTED = 30.0, 1.5, 40.0
"""Mean luma of a dark block at most; the deviation of its 4×4 means at most; and the luma that it should not reach."""


class Highlights(NamedTuple):
    """The effect on clipped areas."""

    level: float
    """Median luma of the area, in levels: 255 where white stayed white."""

    contours: float
    """Share of the bright area where an edge appeared: a step of more than 6 levels where there was at most 1."""


class Veil(NamedTuple):
    """The tones of an output relative to its reference."""

    black_point: float
    """2nd percentile of L*, minus the reference's."""

    contrast: float
    """Standard deviation of L*, divided by the reference's."""

    chroma: float
    """Mean C*ab, divided by the reference's."""


class Shade(NamedTuple):
    """The light of a photo with deep shade beside bright parts, relative to its reference."""

    regained: float
    """Stops gained in the shade, as a share of the stops that the reference gains: 1 is as bright as the reference."""

    bright: float
    """Mean absolute difference of the luma of the bright part from the reference's, in levels."""


class Skin(NamedTuple):
    """The effect on skin-like colours."""

    turn: float
    """Median change of hue angle, in degrees 0..180."""

    chroma: float
    """Mean C*ab, divided by that before."""

    luma: float
    """Median luma in 0..1."""


class EmptyDark(NamedTuple):
    """The effect on dark blocks that show nothing but noise."""

    noise: float
    """Median standard deviation of luma within a block, divided by that before."""

    lifted: float
    """Share of the pixels whose luma rose above 40."""


Found = Highlights | Shade | Skin | EmptyDark


def highlights(before: Picture, after: Picture) -> Highlights | None:
    """Whether clipped areas stayed white, without contours.

    Raises:
        ValueError: the sizes differ, or an array is not an image.
    """
    old, new = level_pair(before, after)
    clipped = old.min(axis=2) >= CLIPPED
    if np.count_nonzero(clipped) < LEAST_AREA:
        return None
    grey, result = _luma(old), _luma(new)
    edges = 0
    for axis in (0, 1):
        bright = np.minimum(*_neighbours(grey, axis)) > BRIGHT
        smooth = np.abs(np.diff(grey, axis=axis)) <= 1.0
        edges += int(np.count_nonzero(bright & smooth & (np.abs(np.diff(result, axis=axis)) > 6.0)))
    return Highlights(float(np.median(result[clipped])), edges / max(1, int(np.count_nonzero(grey > BRIGHT))))


def veil(output: Picture, reference: Picture) -> Veil:
    """How much black, contrast and colour differ from the reference's.

    Raises:
        ValueError: the sizes differ, or an array is not an image.
    """
    (first, chroma), (wanted, of_wanted) = (_tones(each) for each in level_pair(output, reference))
    return Veil(
        float(np.percentile(first, 2.0) - np.percentile(wanted, 2.0)),
        float(first.std() / max(float(wanted.std()), 1e-3)),
        float(chroma.mean() / max(float(of_wanted.mean()), 1e-3)),
    )


def shade(before: Picture, after: Picture, reference: Picture) -> Shade | None:
    """How much light the shade regained, and how far the bright part is from the reference.

    The shade is where luma is below 40, the bright part where it is above 100; a photo without 15 % of each, or whose
    reference is less than a stop brighter in the shade, is not judged. Stops are base-2 logarithms of the linear light
    of the luma plus 1 % of white, averaged over the shade.

    Raises:
        ValueError: the sizes differ, or an array is not an image.
    """
    (old, new), (_, wanted) = level_pair(before, after), level_pair(before, reference)
    grey, result, target = _luma(old), _luma(new), _luma(wanted)
    dark, bright = grey < _SHADE, grey > _LIT
    if min(dark.mean(), bright.mean()) < _PART:
        return None
    start, given, goal = (_stops(each[dark]) for each in (grey, result, target))
    if goal - start < _LEAST_GAIN:
        return None
    return Shade((given - start) / (goal - start), float(np.abs(result - target)[bright].mean()))


_COLOURLESS = 2.0
"""Mean CIELAB chroma below which a face has no colour that could change, as in black and white."""


def skin(before: Picture, after: Picture, where: NDArray[np.bool_] | None = None) -> Skin | None:
    """The effect on skin; None where there is hardly any, or it has no colour.

    Args:
        before: the photo.
        after: its result.
        where: H×W, the skin; skin-like colours (`skin_like`) if left out.

    Raises:
        ValueError: the sizes differ, or an array is not an image.
    """
    old, new = level_pair(before, after)
    if old.shape[2] == 1:
        return None
    place = skin_like(before) if where is None else where
    if np.count_nonzero(place) < LEAST_AREA:
        return None
    first, second = lab(old[place]), lab(new[place])
    chroma, its_chroma = (np.hypot(each[:, 1], each[:, 2]).mean() for each in (first, second))
    if chroma < _COLOURLESS:
        return None
    return Skin(
        float(np.rad2deg(np.median(hue_turns(first, second)))),
        float(its_chroma / chroma),
        float(np.median(_luma(new)[place])) / 255.0,
    )


def skin_like(picture: Picture) -> NDArray[np.bool_]:
    """Pixels with the colours of skin of any complexion: Cb 77 to 127, Cr 133 to 173, luma 40 to 250; H×W.

    The box of Chai and Ngan, "Face segmentation using skin-color map in videophone applications", 1999. Wood and sand
    lie in it too, so that a figure read from it is about colours like skin's, not about faces.

    Raises:
        ValueError: the array is not an image.
    """
    levels, _ = level_pair(picture, picture)
    if levels.shape[2] == 1:
        return np.zeros(levels.shape[:2], bool)
    grey = _luma(levels)
    blue = 128.0 + 0.564 * (levels[..., 2] - grey)
    red = 128.0 + 0.713 * (levels[..., 0] - grey)
    found: NDArray[np.bool_] = (
        (blue >= 77.0) & (blue <= 127.0) & (red >= 133.0) & (red <= 173.0) & (grey >= 40.0) & (grey <= 250.0)
    )
    return found


def empty_dark(before: Picture, after: Picture, where: NDArray[np.bool_] | None = None) -> EmptyDark | None:
    """The effect on blocks of 16×16 pixels that are dark and show no structure, such as a night sky.

    Args:
        before: the photo.
        after: its result.
        where: H×W, areas known to be empty: every block inside them is measured. If left out, blocks are found.

    Raises:
        ValueError: the sizes differ, or an array is not an image.
    """
    old, new = (_luma(each) for each in level_pair(before, after))
    rows, columns = (side // _BLOCK * _BLOCK for side in old.shape)
    if not rows or not columns:
        return None
    blocks, results = (_in_blocks(each[:rows, :columns]) for each in (old, new))
    if where is None:
        means = blocks.reshape(-1, 4, _BLOCK // 4, 4, _BLOCK // 4).mean(axis=(2, 4)).reshape(len(blocks), -1)
        empty = (means.mean(axis=1) < _DARK) & (means.std(axis=1) < _FLAT)
    else:
        empty = _in_blocks(where[:rows, :columns]).all(axis=(1, 2))
    if np.count_nonzero(empty) * _BLOCK**2 < LEAST_AREA:
        return None
    noise = float(np.median(blocks[empty].std(axis=(1, 2))))
    # A block of one tone has no noise to compare with; half a level stands for rounding noise.
    after_noise = float(np.median(results[empty].std(axis=(1, 2))))
    return EmptyDark(max(after_noise, 0.5) / max(noise, 0.5), float(np.mean(results[empty] > _LIFTED)))


def _tones(samples: Levels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """L* and C*ab of H×W×C levels."""
    colours = lab(np.repeat(samples, 3, axis=2) if samples.shape[2] == 1 else samples)
    return colours[..., 0], np.hypot(colours[..., 1], colours[..., 2])


def _stops(grey: Levels) -> float:
    """Mean base-2 logarithm of the linear light of sRGB-encoded levels, with some flare."""
    encoded = grey / 255.0
    linear = np.where(encoded > 0.04045, ((encoded + 0.055) / 1.055) ** 2.4, encoded / 12.92)
    return float(np.log2(linear + _FLARE).mean())


def _luma(samples: Levels) -> Levels:
    return samples @ LUMA if samples.shape[2] == 3 else samples[..., 0]


def _neighbours(grey: Levels, axis: int) -> tuple[Levels, Levels]:
    return (grey[:-1], grey[1:]) if axis == 0 else (grey[:, :-1], grey[:, 1:])


def _in_blocks(grey: NDArray[Any]) -> NDArray[Any]:
    """N×16×16."""
    rows, columns = grey.shape
    split = grey.reshape(rows // _BLOCK, _BLOCK, columns // _BLOCK, _BLOCK).swapaxes(1, 2)
    return split.reshape(-1, _BLOCK, _BLOCK)
