"""How bright a photo should be, and with what black point, contrast and colour: one predictor for all methods.

It sees a copy of 64×64 pixels. A photo that is good as it is should stay as bright as it is: night dark, snow bright.
So what it has learned from most are good photos that were darkened, brightened and veiled by known amounts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypedDict

from enhance_cli.report_fields import Share

TONES_KEPT = 0.58
"""Share of the mean luma of what is not clipped, to which a photo is darkened at most.

What is clipped stays white, so a mean can only be reached by the rest: faces and clothes before a white sky would end
in the dark. On 367 bright frames of training, `retinex` gains 0.03 dB against the best frames and 0.04 against fused
stacks; by 0.65 it would lose 0.14 against the best. By less than this, people look dusky."""


class Wanted(NamedTuple):
    """What the predictor would have of a photo: statistics of luma and colour, each in 0..1."""

    luma: float
    """Mean BT.601 luma."""

    black: float
    """The 2nd percentile of luma."""

    contrast: float
    """The standard deviation of luma."""

    chroma: float
    """Mean length of (0.564 (B - Y), 0.713 (R - Y)), the chroma of BT.601."""

    doubt: float
    """The mean error that the predictor expects of its `luma`."""


class TargetReport(TypedDict):
    """The brightness that a method aimed for."""

    luma: Share
    """Mean luma."""

    predicted: bool
    """Whether it was predicted from what the photo shows; false where `--target` gave it."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose weights they are, as `engines.weights` asks."""

    name: str = "exposure"
    weights: tuple[str, ...] = ("predictor",)


OWNER = Owner()
