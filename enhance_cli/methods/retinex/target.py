"""`--target`: how much to brighten and to darken for a result of a given mean luma.

Both exponents change together: under (1 + t) and over (1 - t), -1 <= t <= 1. The result becomes brighter as t grows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from enhance_cli.exposure import TONES_KEPT
from enhance_cli.exposure.high_key import high_key
from enhance_cli.exposure.tones import clearing, faded
from enhance_cli.imaging import opacity
from enhance_cli.imaging.finish import LEAST, clipped, luma, skin_likeness, smoothstep
from enhance_cli.methods.retinex import MOST, formulas

if TYPE_CHECKING:
    from enhance_cli.exposure import Wanted
    from enhance_cli.imaging.finish import Tones
    from enhance_cli.methods.retinex.arrays import FusionWeights
    from enhance_cli.types import Array

_STEPS = 7
"""Of the bisection: t to one 128th of its range."""

_NEAR = 0.005
"""A mean this close to the target has reached it."""

_TRUST = 0.5
"""How far a photo that is brighter than predicted moves to the predicted mean, but for its share of kept highlights.

On held-out scenes of the training folder, bright frames gain 0.4 dB against the fused stack and 0.5 against the best
frame, and good photos lose 0.15; all the way, bright frames gain no more, and good photos lose 0.6. Photos darker than
predicted gain nothing, so they stay as the networks leave them."""

_LOWEST = -0.6
"""The least t of a predicted mean: what lies beside large highlights shall not be dark because they cannot be."""


_FACE, _FACES = 0.58, (0.15, 0.25)
"""Mean luma below which light skin shall not be darkened; the share of the photo from which this counts, and wholly.

A portrait that is over-exposed would end dusky. Sand and wood look like skin: ten over-exposed frames of training with
much of them lose 1.1 dB against the best frame and 0.6 against the fused stack; nine frames in ten have less."""

_LIGHT_SKIN = ((0.55, 0.7), (0.08, 0.15), (0.45, 0.55))
"""Ranges of luma, of least and of most saturation 1 - B / R, over which colours like skin's are light skin, or not."""

_TONES = 0.02
"""Least share of a photo that is not clipped, for what is left of its tones to be kept."""

_HALVINGS = 6
"""Of the bisections for these."""


@dataclass(frozen=True, slots=True)
class FirstStage:
    """The first stage for one downscaled image."""

    light: Array
    """3×h×w in 0..1."""

    grids: tuple[Array, Array]
    """Illumination of the image and of its negative."""

    fusion: Callable[[Sequence[Array]], FusionWeights]
    """Fusion-Net for candidates."""

    opacities: Array | None
    """h×w; None if all pixels count alike."""

    _made: dict[tuple[float, float], Array] = field(default_factory=dict)
    """Results by their exponents: most photos are asked for the same one several times."""

    def mean(self, powers: tuple[float, float]) -> float:
        """Mean luma of the result with these exponents."""
        return self.mean_luma(self.result(powers))

    def result(self, powers: tuple[float, float]) -> Array:
        """The result with these exponents, 3×h×w."""
        if powers not in self._made:
            self._made[powers] = self._render(powers)
        return self._made[powers]

    def _render(self, powers: tuple[float, float]) -> Array:
        scored = formulas.candidates(self.light, self.grids, formulas.scored_powers(powers))
        shares = formulas.weights(scored, self.fusion(scored))
        return formulas.fused(formulas.candidates(self.light, self.grids, powers), shares, self.light)

    def mean_luma(self, light: Array) -> float:
        """Mean BT.601 luma of an image 3×h×w."""
        return float(opacity.mean(luma(light), self.opacities))


def powers_of(stage: FirstStage, predicted: float) -> tuple[float, float]:
    """The exponents for a photo of which a mean luma was predicted; 0 and 0 for one that is high-key.

    The networks were taught by over-exposed frames, and would make a white room grey.
    """
    share = 1.0 - high_key(stage.light, stage.opacities)
    if share == 0.0:
        return 0.0, 0.0
    under, over = lit_skin(stage, lit_tones(stage, darkened(stage, predicted)))
    return share * under, share * over


def lit_tones(stage: FirstStage, powers: tuple[float, float]) -> tuple[float, float]:
    """These exponents, the second so much smaller that what is not clipped keeps `TONES_KEPT` of its mean luma."""
    tonal = 1.0 - clipped(stage.light)
    if opacity.mean(tonal, stage.opacities) < _TONES:
        return powers
    least = TONES_KEPT * _mean(stage, luma(stage.light), tonal)
    return _lit(stage, powers, tonal, lambda found: least)


def lit_skin(stage: FirstStage, powers: tuple[float, float]) -> tuple[float, float]:
    """These exponents, the second so much smaller that light skin, where there is much, keeps a mean luma of 0.58."""
    skin, before = light_skin(stage.light), luma(stage.light)
    area = opacity.mean(skin, stage.opacities)
    share = min(max((area - _FACES[0]) / (_FACES[1] - _FACES[0]), 0.0), 1.0)
    if share == 0.0:
        return powers
    least = min(_FACE, _mean(stage, before, skin))
    return _lit(stage, powers, skin, lambda found: found + share * (least - found))


def _lit(
    stage: FirstStage, powers: tuple[float, float], weights: Array, wanted: Callable[[float], float]
) -> tuple[float, float]:
    """These exponents, the second so much smaller that the weighted mean luma is what is wanted, given what it is."""

    def mean(share: float) -> float:
        return _mean(stage, luma(stage.result((powers[0], share * powers[1]))), weights)

    found = mean(1.0)
    goal = wanted(found)
    if found >= goal:
        return powers
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if mean(middle) > goal else (low, middle)
    return powers[0], low * powers[1]


def _mean(stage: FirstStage, grey: Array, weights: Array) -> float:
    """Mean of h×w, weighted."""
    return float(opacity.mean(weights * grey, stage.opacities) / opacity.mean(weights, stage.opacities))


def light_skin(light: Array) -> Array:
    """How much colours are those of light skin, h×w in 0..1."""
    saturation = (light[0] - light[2]) / np.maximum(light[0], LEAST)
    dark, grey, vivid = _LIGHT_SKIN
    bright = np.clip((luma(light) - dark[0]) / (dark[1] - dark[0]), 0.0, 1.0)
    coloured = np.clip((saturation - grey[0]) / (grey[1] - grey[0]), 0.0, 1.0)
    pale = np.clip((vivid[1] - saturation) / (vivid[1] - vivid[0]), 0.0, 1.0)
    found: Array = skin_likeness(light) * bright * coloured * pale
    return found


def darkened(stage: FirstStage, predicted: float) -> tuple[float, float]:
    """The exponents for a photo of which a mean luma was predicted; 1 and 1 unless photo and result are brighter."""
    found = stage.mean((1.0, 1.0))
    if stage.mean_luma(stage.light) <= predicted or found <= predicted:
        return 1.0, 1.0
    grey = luma(stage.light)
    free = opacity.mean(1.0 - smoothstep(grey, *formulas.HIGHLIGHT), stage.opacities)
    return _bisected(stage, found + _TRUST * float(free) * (predicted - found), (1.0, 1.0), _LOWEST, 0.0)


def toned(stage: FirstStage, powers: tuple[float, float], wanted: Wanted) -> Tones:
    """The curve that takes a veil from the result of these exponents, or colour that is noise."""
    result = stage.result(powers)
    found = clearing(result, stage.light, wanted, stage.opacities)
    return found if found.gains.size else faded(result, stage.light, wanted, stage.opacities)


def powers_for(
    stage: FirstStage, target: float, powers: tuple[float, float]
) -> tuple[tuple[float, float], tuple[str, ...]]:
    """The exponents, from `--under` and `--over`, whose result comes nearest to a mean luma; a note if it is missed."""
    best = _bisected(stage, target, powers, -1.0, 1.0)
    found = stage.mean(best)
    if abs(found - target) <= _NEAR:
        return best, ()
    return best, (f"mean luma reaches {found:.2f}, not the target of {target:g}",)


def _bisected(
    stage: FirstStage, target: float, powers: tuple[float, float], low: float, high: float
) -> tuple[float, float]:
    """The exponents for the t in low..high whose mean is nearest to the target."""

    def at(t: float) -> tuple[float, float]:
        return min(powers[0] * (1.0 + t), MOST), min(powers[1] * (1.0 - t), MOST)

    # The ends of the range, which bisection reaches only nearly.
    for end, beyond in ((low, stage.mean(at(low)) >= target), (high, stage.mean(at(high)) <= target)):
        if beyond:
            return at(end)
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if stage.mean(at(middle)) < target else (low, middle)
    return at(0.5 * (low + high))
