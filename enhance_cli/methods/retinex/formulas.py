"""The formulas of retinex and their constants, on NumPy arrays of light in 0..1, as used by `estimate`.

`formulas_torch` has them for training and the CUDA kernels, `kernels_cpu` row by row; both are tested against this
module and take their constants from it.

With b the largest channel of a pixel I and b' that of its negative (the paper's eq. 2 and 3; docs/papers.md, R2):

    L = b + (1 - b) sigmoid(k u + o),  u = sqrt(b)      illumination, never below b; (k, o) from a bilateral grid
    I_U = I / L^under                                   the image under full light
    Q   = 1 - (n + e) / (L' + e)                        the same for the negative n = 1 - I
    I_O = Y + min(1, SATURATION (L' + e)) (Q - Y)       with limited saturation; Y the luma of Q
    R   = sum over candidates of softmax(score) times candidate
    T   = t(R), a curve of the whole photo              black point, contrast and colour (`imaging.finish`)
    out = T + w max(0, I - T)                           highlights; w rises from 0 to 1 over HIGHLIGHT

The paper's I_O is Q with e = 0: clipped white stays white, and its surroundings glow and turn violet. Three bounds
prevent this. The offset e = OFFSET L' (1 - L') darkens white a little. n is first scaled by
b' / (b' + TOE (1 - L')): where all channels are within some hundredths of white, their differences are artefacts of
clipping, not detail. And the differences between channels, which are unreliable near clipping, grow by SATURATION at
most, not by the whole gain 1 / (L' + e). All three have no effect where L' = 1, where there is nothing to correct.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from enhance_cli.imaging import bilateral_grid, night, opacity
from enhance_cli.imaging.finish import UNCHANGED, Tones, finished

if TYPE_CHECKING:
    from enhance_cli.methods.retinex.arrays import FusionWeights
    from enhance_cli.types import Array

PROXY = 64
"""Side of the square of area means that the networks see; the size at which they were trained."""

LEAST = 1e-3
"""Lower bound of the illumination: the largest gain is 1000."""

LEAST_OF_NEGATIVE = 0.1
"""Lower bound of the negative's illumination: the largest gain of nearly white pixels is 10."""

OFFSET = 0.1
"""Of the reverse quotient: clipped white comes out as 1 / (1 + OFFSET (1 - L')), never below 0.909."""

TOE = 0.02
"""Of the reverse quotient: the distance from white below which differences between channels are attenuated."""

SATURATION = 1.2
"""Of the reverse quotient: the largest factor on differences between channels."""

HIGHLIGHT = (0.86, 0.985)
"""Range of luma over which a darkened highlight rolls back to the input (`imaging.finish`), as other methods'.

From 0.84 on, over-exposed frames lose another 0.3 dB; from 0.88 on they gain 0.2, but new contours show on 0.3 % of the
bright area."""

RESTORED = 0.15
"""Distance from white over which the output of the restoration fades out: noise is not visible there, but steps in a
bright sky would be."""

NEARLY_WHITE = 1e-6
"""Lower bound of a divisor, smaller than one level of 16 bits: it only matters for white, where 0 stays 0."""

DARKEST, OCTAVES = 0.02, 2.8
"""The networks' logarithmic scale for light l, from -1 to 1: log2(l + DARKEST) / OCTAVES + 1."""

LARGEST_EMPTY = 2.0
"""Largest gain of what is empty in a night scene (`imaging.night`): its noise may grow to twice what it was."""

LUMA = (0.299, 0.587, 0.114)
"""BT.601."""

LUMA_QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
"""Quantiles of a candidate's luma; with the mean they are the eight statistics that `Fusion` gets of an image."""


def illumination(grid: Array, channel: Array) -> Array:
    """The illumination of a channel b, h×w in 0..1, by a grid rows×columns×bins×2 of (k, o); float32 h×w."""
    tone = np.sqrt(channel)
    nodes = grid.repeat(2 if grid.shape[0] == 1 else 1, axis=0).repeat(2 if grid.shape[1] == 1 else 1, axis=1)
    found = bilateral_grid.slice_grid(nodes, tone)
    exponent = np.clip(-(found[..., 0] * tone + found[..., 1]), -80.0, 80.0)
    light: Array = channel + (1.0 - channel) / (1.0 + np.exp(exponent))
    return light


def limited(grid: Array, light: Array, empty: Array, spread: float) -> Array:
    """The forward grid with gains of at most `LARGEST_EMPTY` where and at what tones the image is empty.

    With the emptiness E of a node, 0..1, ln L becomes (1 - E) ln L + E ln max(L, 1 / LARGEST_EMPTY), by another o. The
    grid is as smooth in place and tone as before, so that no rim shows, and full resolution costs what it did.

    Args:
        grid: rows×columns×bins×2 of (k, o).
        light: 3×h×w in 0..1, the downscaled image.
        empty: h×w in 0..1.
        spread: how far noise reaches above the tone of what is empty, in square roots of light, 0..1. Nodes within it
            are limited too, or noise would be lifted out of the dark that stays.
    """
    rows, columns, bins, _ = grid.shape
    tone = np.sqrt(light.max(axis=0))
    cells = max(rows - 1, 1), max(columns - 1, 1), bins - 1
    share = bilateral_grid.fit(tone, empty[..., None], *cells)[:rows, :columns, :, 0].clip(0.0, 1.0)
    share = night.reaching(share, spread * (bins - 1))
    node = np.linspace(0.0, 1.0, bins)
    channel = node * node
    k, o = grid[..., 0].astype(np.float64), grid[..., 1].astype(np.float64)
    found = channel + (1.0 - channel) / (1.0 + np.exp(-np.clip(k * node + o, -80.0, 80.0)))
    wanted = found * (np.maximum(found, 1.0 / LARGEST_EMPTY) / found) ** share
    part = ((wanted - channel) / np.maximum(1.0 - channel, LEAST)).clip(1e-6, 1.0 - 1e-6)
    bound = np.where(wanted > found, np.log(part / (1.0 - part)) - k * node, o)
    return np.stack([grid[..., 0], bound.astype(np.float32)], axis=-1)


def candidates(light: Array, grids: tuple[Array, Array], powers: tuple[float, float]) -> list[Array]:
    """I_U, I and I_O of light 3×h×w, with the two illuminations raised to powers."""
    forward = illumination(grids[0], light.max(axis=0)) ** np.float32(powers[0])
    inverse = illumination(grids[1], (1.0 - light).max(axis=0)) ** np.float32(powers[1])
    return [np.minimum(light / np.maximum(forward, LEAST), 1.0), light, _darkened(light, inverse)]


def _darkened(light: Array, inverse: Array) -> Array:
    """I_O of light 3×h×w, given L' h×w already raised to its power."""
    inverse = np.maximum(inverse, LEAST_OF_NEGATIVE)
    offset = OFFSET * inverse * (1.0 - inverse)
    dark = (1.0 - light).max(axis=0)
    trusted = dark / np.maximum(dark + TOE * (1.0 - inverse), NEARLY_WHITE)
    quotient = 1.0 - ((1.0 - light) * trusted + offset) / (inverse + offset)
    luma = np.tensordot(np.array(LUMA, np.float32), quotient, axes=(0, 0))
    kept = np.minimum(SATURATION * (inverse + offset), 1.0)
    darkened: Array = np.clip(luma + kept * (quotient - luma), 0.0, 1.0)
    return darkened


def luma_statistics(light: Array, opacities: Array | None = None) -> Array:
    """Seven quantiles (without interpolation) and the mean of the luma of every second pixel: float32, 8.

    Args:
        light: 3×h×w in 0..1.
        opacities: h×w weights of the pixels; None if all count alike.
    """
    luma = np.tensordot(np.array(LUMA, np.float32), light[:, ::2, ::2], axes=(0, 0))
    if opacities is not None and (seen := opacities[::2, ::2]).any():
        found = opacity.quantiles(luma, LUMA_QUANTILES, seen)
        return np.append(found, opacity.mean(luma, seen)).astype(np.float32)
    luma = np.sort(luma, axis=None)
    places = [round(share * (luma.size - 1)) for share in LUMA_QUANTILES]
    return np.append(luma[places], luma.mean()).astype(np.float32)


def scored_powers(powers: tuple[float, float]) -> tuple[float, float]:
    """The powers at which candidates are scored: at most 1, as trained.

    A candidate that is corrected more would be scored lower, and count less the more is asked for.
    """
    return min(powers[0], 1.0), min(powers[1], 1.0)


def weights(images: Sequence[Array], fusion: FusionWeights) -> Array:
    """The weight of each candidate, 3×h×w, in the fused image: candidates×h×w, summing to 1."""
    scores = []
    for image, bias in zip(images, fusion.biases, strict=True):
        saturation = image.max(axis=0) - image.min(axis=0)
        features = np.concatenate([image, saturation[None]])
        hidden = np.maximum(np.tensordot(fusion.first, features, axes=(1, 0)) + bias[:, None, None], 0.0)
        hidden = np.tensordot(fusion.second, hidden, axes=(1, 0)) + fusion.second_bias[:, None, None]
        scores.append(np.tensordot(fusion.third, np.maximum(hidden, 0.0), axes=(0, 0)))
    powers = np.exp(np.stack(scores) - np.max(scores, axis=0))
    shares: Array = powers / powers.sum(axis=0)
    return shares


def fused(images: Sequence[Array], shares: Array, source: Array | None = None, tones: Tones = UNCHANGED) -> Array:
    """The weighted sum of candidates, with tones and highlights of their source unless frames are fused: 3×h×w."""
    total: Array = np.sum([share * image for share, image in zip(shares, images, strict=True)], axis=0)
    return total if source is None else finished(total, source, tones, HIGHLIGHT)
