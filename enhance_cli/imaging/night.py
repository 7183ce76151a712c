"""Where a photo of a night scene is empty: dark, without structure, so that light would only show noise there.

A night sky and the shade of an underexposed day have the same tones. What tells them apart is where light comes from:
at night from lamps, which are coloured and low, while the upper part of the scene is dark. Five measures of a small
copy must agree; each was set on the training photos (43 dark ones, the frames of brackets, LOL):

    lit      98th percentile of luma        where nothing is lit, the whole photo may be underexposed
    above    mean luma of the upper quarter, divided by that of the photo
    tinted   mean chroma, divided by mean luma, of the bright part
    warm     mean R - B by mean luma, of     windows of a dark room by day are as small and bright as lamps, but cooler
             the bright part                 than most of them
    lamps    the largest luma                a lamp is white at any exposure; without one a photo may be underexposed

Brackets of daylight interiors with a dark ceiling agree in the first two; most of them do not in the others.

Two more signs are seen in single pixels only (`_Sampled`). A photo whose lamps clip and whose dark is noisy all the
same was taken with little light: by day shade beside clipped lights is clean, and a dark room that was underexposed has
no lights. This stands in for colour, so that cool lamps and white facades count. And a photo that has no light at all
in much of its area, but for points, is a night even where all of it is dark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from enhance_cli.imaging import opacity
from enhance_cli.imaging.area import extremes
from enhance_cli.imaging.finish import luma, smoothstep

if TYPE_CHECKING:
    from enhance_cli.types import Array

LIT = (0.2, 0.35)
"""98th percentile of luma from which a photo has lit parts, and from which it certainly does."""

ABOVE = (0.75, 1.1)
"""Light of the upper quarter, by that of the photo, up to which it is dark above, and from which it is not."""

TINTED = (0.07, 0.11)
"""Chroma of the bright part, by its luma, up to which its light is daylight, and from which it is lamps'."""

WARM, COOL = (0.02, 0.12), 0.35
"""R - B of the bright part, by its luma, up to which its light may be daylight through windows, and from which it is
that of warm lamps; and how much cool light counts as night."""

LAMPS = (0.8, 0.95)
"""Largest luma from which a photo shows lamps, and from which it certainly does."""

DARK = (0.07, 0.12)
"""Luma of a pixel of the small copy up to which it is dark, and from which it is not: 18 and 31 of 255."""

FLAT = (0.008, 0.016)
"""Deviation of luma among the dark pixels around one, up to which there is no structure, and from which there is:
2 and 4 levels of 255."""

NOISE, GRAIN = (0.6 / 255.0, 1.0 / 255.0), (0.1, 0.18)
"""Standard deviation of a pixel in flat dark parts, and the same by their luma, from which noise may be that of a
night, and from which it is: where lamps clip, a photo was not underexposed, and by day its shade is then clean."""

POINTS = (0.48, 0.6)
"""The brightest thousandth of single pixels from which small lights show in a photo that is black otherwise."""

BOTTOM = (1.5 / 255.0, 3.0 / 255.0)
"""Luma above the darkest hundredth of single pixels up to which an area has no light at all, and from which it has."""

MUCH, FEW = (0.1, 0.3), (0.1, 0.18)
"""Share of such areas in a photo with small lights from which they are its night, and from which they certainly are;
and 98th percentile of luma up to which the lights are small, and from which they may be windows of a dark room."""

APART = 2
"""Distance in pixels between the samples compared: adjacent ones have been smoothed by the camera and by JPEG."""

WHITE = (1.2, 1.5)
"""Deviation between pixels far apart, by that between near ones, up to which it is noise, and from which it is texture:
1.0 to 1.15 in the skies of night photos, 1.4 to 5 in foliage, stone and cloth."""

MEAN_OF_NORMAL = 0.7979
"""Mean of the absolute value of a centred normal variable, in standard deviations."""

AROUND = 5
"""Side of the square of pixels of the small copy that is around one: a twelfth of a copy of 64."""

SAMPLES = 256
"""Rows and columns of pixels, at least half of them, in which noise is looked at."""


def scene(light: Array, weights: Array | None = None, grain: float = 0.0, trust: float = 1.0) -> float:
    """How certainly a photo shows a night scene: 0..1.

    Args:
        light: 3×h×w in 0..1, area means of the whole photo.
        weights: opacity h×w; None if all pixels count alike.
        grain: how certainly it has lamps, which may be too small for `light`, and noise in the dark beside them, 0..1.
        trust: how far the colour of lamps alone counts, 0..1.
    """
    grey = luma(light)
    mean = max(opacity.mean(grey, weights), 1e-4)
    upper = slice(0, -(-grey.shape[0] // 4))
    above = float(grey[upper].mean()) / mean
    bright = grey > 0.4 * min(1.0, float(grey.max()) / 0.6)
    chroma = (light.max(axis=0) - light.min(axis=0))[bright]
    level = max(float(grey[bright].mean()), 0.01) if bright.any() else 1.0
    tinted = float(chroma.mean()) / level if bright.any() else 0.0
    warmth = float((light[0] - light[2])[bright].mean()) / level if bright.any() else 0.0
    warm = COOL + (1.0 - COOL) * smoothstep(warmth, *WARM)
    lit = opacity.quantiles(grey, (0.98,), weights)[0]
    lamps = smoothstep(float(grey.max()), *LAMPS)
    by_light = max(trust * float(smoothstep(tinted, *TINTED) * warm * lamps), grain)
    return float(smoothstep(lit, *LIT) * (1.0 - smoothstep(above, *ABOVE)) * by_light)


def empty(light: Array, weights: Array | None = None, pixels: Array | None = None, trust: float = 1.0) -> Array | None:
    """How empty every pixel of a night scene is: h×w float32 in 0..1; None if it is none, or empty nowhere.

    Args:
        light: 3×h×w in 0..1, area means of the whole photo, 64 or so to a side: means over fewer pixels hold noise.
        weights: opacity h×w; None if all pixels count alike.
        pixels: the photo, H×W×3 or H×W, uint8 or uint16; some 65,000 of its pixels tell of small lamps and of noise.
        trust: how far the colour of lamps alone counts, 0..1: less where wrong nights would lose more.
    """
    grey = luma(light)
    dark = 1.0 - smoothstep(grey, *DARK)
    if not dark.any():
        return None
    # Dark pixels are compared with dark ones alone: the sky next to a lamp is as empty as elsewhere.
    counted = np.maximum(_means(dark), 1e-6)
    mean = _means(dark * grey) / counted
    deviation = np.sqrt(np.maximum(_means(dark * grey * grey) / counted - mean * mean, 0.0))
    flat = dark * (1.0 - smoothstep(deviation, *FLAT))
    if weights is not None:
        flat = np.where(weights > 0.0, flat, 0.0)
    if not flat.any():
        return None
    if pixels is None:
        found = scene(light, weights, trust=trust) * flat
    else:
        seen = _sampled(pixels, flat, weights)
        found = scene(light, weights, seen.grain, trust) * flat
        bottom = flat * (1.0 - smoothstep(grey - seen.black, *BOTTOM))
        lit = opacity.quantiles(grey, (0.98,), weights)[0]
        points = (
            smoothstep(seen.peak, *POINTS) * (1.0 - smoothstep(lit, *FEW)) * smoothstep(float(bottom.mean()), *MUCH)
        )
        found = np.maximum(found, float(points) * bottom)
    return np.asarray(found, np.float32) if found.any() else None


class _Sampled(NamedTuple):
    """What single pixels of a photo tell that a small copy does not; light in 0..1."""

    peak: float
    """The brightest thousandth of the largest channel."""

    black: float
    """The darkest hundredth of luma."""

    noise: float
    """Standard deviation of luma in flat dark parts, between pixels `APART`."""

    coarse: float
    """The same between pixels four times as far apart: more than `noise` where they hold texture."""

    tone: float
    """Median luma of flat dark parts."""

    @property
    def grain(self) -> float:
        """How certainly the photo has lamps and, in the dark beside them, the noise of a night, 0..1."""
        white = 1.0 - smoothstep(self.coarse / max(self.noise, 1e-6), *WHITE)
        strong = smoothstep(self.noise, *NOISE) * smoothstep(self.noise / max(self.tone, 1e-6), *GRAIN)
        return float(smoothstep(self.peak, *LAMPS) * white * strong)


def _sampled(pixels: Array, flat: Array, weights: Array | None) -> _Sampled:
    """Measures of single pixels of an image.

    Args:
        pixels: H×W×3 or H×W, uint8 or uint16.
        flat: h×w in 0..1: how dark and flat the image is there.
        weights: opacity h×w; None if all pixels count alike.
    """
    white = np.iinfo(pixels.dtype).max
    height, width = pixels.shape[:2]
    reach = min(4 * APART, height - 1, width - 1)
    row_step, column_step = -(-height // SAMPLES), -(-width // SAMPLES)
    down, across = np.arange(0, height - reach, row_step), np.arange(0, width - reach, column_step)

    def sampled(y: int, x: int) -> Array:
        return pixels[y : y + height - reach : row_step, x : x + width - reach : column_step]

    def at(y: int, x: int) -> Array:
        codes = sampled(y, x)
        return luma(codes.transpose(2, 0, 1).astype(np.float32, "C")) if codes.ndim == 3 else codes.astype(np.float32)

    first = sampled(0, 0)
    grey = at(0, 0)
    cells = np.ix_(down * flat.shape[0] // height, across * flat.shape[1] // width)
    # Both ends of a difference must lie in what is flat, or the edge of a lit facade would pass for texture.
    beyond = np.ix_((down + reach) * flat.shape[0] // height, (across + reach) * flat.shape[1] // width)
    there = np.minimum(flat[cells], flat[beyond]) > 0.5 * flat.max()
    visible = np.ones_like(there) if weights is None or not (weights[cells] > 0.0).any() else weights[cells] > 0.0

    def deviation(step: int) -> float:
        step = min(step, reach)
        apart = np.abs(grey - at(0, step) - at(step, 0) + at(step, step))[there]
        if apart.size == 0:
            return 0.0
        kept = apart[apart <= np.quantile(apart, 0.98)]  # edges and stars are no noise
        return float(kept.mean()) / (2.0 * MEAN_OF_NORMAL) / white

    return _Sampled(
        peak=float(np.quantile((extremes(first)[1] if first.ndim == 3 else first)[visible], 0.999)) / white,
        black=float(np.quantile(grey[visible], 0.01)) / white,
        noise=deviation(APART),
        coarse=deviation(4 * APART),
        tone=float(np.median(grey[there])) / white if there.any() else 1.0,
    )


def spread(pixels: Array, empty: Array) -> float:
    """How far noise reaches above what is empty: of square roots of the largest channel, the 98th percentile less the
    median, 0..1.

    Args:
        pixels: H×W×3 or H×W, uint8 or uint16; some 65,000 of them are looked at.
        empty: h×w in 0..1, from `empty`.
    """
    height, width = pixels.shape[:2]
    down, across = (np.arange(0, side, -(-side // SAMPLES)) for side in (height, width))
    cells = empty[np.ix_(down * empty.shape[0] // height, across * empty.shape[1] // width)]
    seen = pixels[np.ix_(down, across)][cells > 0.5 * empty.max()]
    channel = seen.max(axis=1) if seen.ndim == 2 else seen
    if channel.size == 0:
        return 0.0
    middle, top = np.sqrt(np.quantile(channel, (0.5, 0.98)) / np.iinfo(pixels.dtype).max)
    return float(top - middle)


def reaching(share: Array, nodes: float) -> Array:
    """The largest share among the nodes up to so many below, which need not be whole; the last axis is tone."""
    whole = int(nodes)
    reached = share
    for step in range(1, min(whole + 1, share.shape[-1] - 1) + 1):
        below = np.concatenate([share[..., :1].repeat(step, axis=-1), share[..., :-step]], axis=-1)
        reached = np.maximum(reached, below if step <= whole else (nodes - whole) * below)
    return reached


def _means(field: Array) -> Array:
    """Means over squares of `AROUND` pixels, mirrored at the edges; float64 of the same shape."""
    reach = AROUND // 2
    padded = np.pad(field.astype(np.float64), reach, mode="symmetric")
    height, width = field.shape
    across = np.sum([padded[:, x : x + width] for x in range(AROUND)], axis=0)
    total: Array = np.sum([across[y : y + height] for y in range(AROUND)], axis=0)
    return total / AROUND**2
