"""What may be done to a photo: methods with controls, and how one is tried on a small copy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from enhance_cli.types import Image, SketchingEnhancer, Window

if TYPE_CHECKING:
    from enhance_cli.types import Array, Enhancer


@dataclass(frozen=True)
class Candidate:
    """A method with some of its controls."""

    method: str
    controls: Mapping[str, Any] = field(default_factory=dict)
    """As the photo is processed; what is not named has the method's default."""

    tried: Mapping[str, Any] = field(default_factory=dict)
    """Further controls under which it is tried: without what makes no difference on a small copy."""


CANDIDATES = {
    "clahe-adaptive": Candidate("clahe-adaptive", {"grid": "1x1"}),
    "clode": Candidate("clode", {"time": "auto"}, {"denoise": 0.0, "model": "lite", "steps": 3}),
    "irle": Candidate("irle", tried={"stage": "1"}),
    "retinex": Candidate("retinex", tried={"denoise": 0.0}),
}
"""By method, in the order of `CHOICES`. One followed by a gentle `clahe-adaptive` is no gain: the mean over held-out
photos falls by 0.05 dB, as there are more ways to err."""

AMOUNTS = (1.0, 0.5)
"""Shares of a candidate's change to choose between."""

OPTIONS: tuple[tuple[str, float], ...] = (("", 0.0), *((name, amount) for name in CANDIDATES for amount in AMOUNTS))
"""All that may be done to a photo: nothing first, then each method by each amount."""


def aimed(candidate: Candidate, luma: float) -> Candidate:
    """A candidate for another mean luma than the one predicted, where its method takes one."""
    if candidate.controls.get("time") != "auto":
        return candidate
    return replace(candidate, controls={**candidate.controls, "target": round(luma, 3)})


def tried(candidate: Candidate, small: Array, enhancer: Enhancer) -> Array:
    """What a candidate makes of a small copy, H×W×3 uint8 in sRGB."""
    controls = enhancer.method.controls(**{**candidate.controls, **candidate.tried})
    estimate = enhancer.sketch if isinstance(enhancer, SketchingEnhancer) else enhancer.estimate
    plan = estimate(Image(small), controls)
    return enhancer.render(Window(small, 0, 0), plan)


def blended(before: Array, after: Array, amount: float) -> Array:
    """`before + amount (after - before)`, rounded and clipped, in the dtype of `before`; above 1 it goes beyond."""
    if amount == 1.0:
        return after
    white = np.iinfo(before.dtype).max
    mixed: Array = before + np.float32(amount) * (after.astype(np.float32) - before)
    return np.asarray(np.rint(mixed).clip(0, white), before.dtype)
