"""The guard after the choice: bounds on what a result may do to a photo, measured on the small copy.

A result that breaks one is applied half as far, twice at most; then the photo is left alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from enhance_cli.methods.auto.candidates import blended
from enhance_cli.methods.auto.kernels_measure import change, turn
from enhance_cli.methods.auto.measure import BLACK, WHITE, luma_of

if TYPE_CHECKING:
    from enhance_cli.types import Array

HALVINGS = 2
"""How often an amount is halved before the photo is left alone."""

NEWLY_CLIPPED = 0.02
"""Largest share of pixels that may become black or white."""

HUE_TURN = 25.0
"""Largest mean turn of hue in degrees, of pixels that have a colour before and after."""

COLOURED = 24
"""Levels between the channels from which on a pixel has a colour."""

REVERSED = 0.08
"""Largest share of pairs of neighbouring regions whose order of tones may be reversed."""

STEP = 6.0
"""Levels from which on two regions differ in tone."""

NOISE, LIFT = 10.0, 2.0
"""Largest standard deviation of noise in levels that a result may have if its noise has grown by more than that factor.
What is left of noise on a copy as small is seen however small the photo is shown. Of 89 frames of stacks and dark shots
with a reference, no result has more; of 20 dark photos without one, five have."""

GENTLE = 9.0
"""Levels by which a photo may be moved, root mean square, where little is expected of it: 29 dB, so that a good photo
that is touched for nothing still looks as it did."""

CALM = 0.2
"""Share of the darker half that is taken for flat: where the photo as it was varies least."""


class Breach(NamedTuple):
    """A bound that a result breaks."""

    what: str
    """In words, with its figure."""


def breach(before: Array, after: Array) -> Breach | None:
    """The first bound that a result breaks; None if it keeps all.

    Args:
        before: the small copy, H×W×3 uint8.
        after: the result, of the same shape.
    """
    newly = change(before, after, BLACK, WHITE)[0]
    if newly > NEWLY_CLIPPED:
        return Breach(f"it clips another {newly:.0%} of the photo")
    angle = hue_turn(before, after)
    if angle > HUE_TURN:
        return Breach(f"it turns hues by {angle:.0f} degrees")
    grain, lifted = _noise(before, after)
    if lifted > max(NOISE, LIFT * grain):
        return Breach(f"it amplifies noise in dark flat parts from {grain:.1f} to {lifted:.1f} levels")
    turned = _reversed(luma_of(before), luma_of(after))
    if turned > REVERSED:
        return Breach(f"it reverses the order of tones in {turned:.0%} of the photo")
    return None


def hue_turn(before: Array, after: Array) -> float:
    """Mean turn of hue in degrees over coloured pixels, weighted by chroma; 0 if there are hardly any."""
    return turn_of(smoothed(before), smoothed(after))


def smoothed(codes: Array) -> Array:
    """What hues are compared on: means of 5×5 pixels."""
    return np.asarray(cv2.blur(codes, (5, 5)))


def turn_of(before: Array, after: Array) -> float:
    """`hue_turn` of smoothed copies."""
    return float(turn(before, after, COLOURED))


def _noise(before: Array, after: Array) -> tuple[float, float]:
    """Standard deviation of noise in levels, before and after, in the flattest fifth of the darker half.

    Over all channels, it is that of the second difference across both axes (Immerkær 1996), which no gradient passes:
    its weights have a sum of squares of 36. Black and white parts do not count: noise is clipped there before, not
    after.
    """
    kernel = np.outer((1.0, -2.0, 1.0), (1.0, -2.0, 1.0)).astype(np.float32)
    squares = [
        cv2.blur(np.square(cv2.filter2D(codes.astype(np.float32), -1, kernel)).mean(axis=2) / 36.0, (9, 9))
        for codes in (before, after)
    ]
    means = cv2.blur(luma_of(before).astype(np.float32), (9, 9))
    tonal = (means > BLACK) & (means < WHITE)
    if not tonal.any():
        return 0.0, 0.0
    dark = tonal & (means <= np.median(means[tonal]))
    flat = dark & (squares[0] <= np.quantile(squares[0][dark], CALM))
    return float(np.sqrt(squares[0][flat].mean())), float(np.sqrt(squares[1][flat].mean()))


def _reversed(before: Array, after: Array) -> float:
    """Share of pairs of neighbouring regions, of those whose tones differ, that are in another order afterwards."""
    cells = [cv2.resize(luma, (24, 24), interpolation=cv2.INTER_AREA).astype(np.float32) for luma in (before, after)]
    wrong = total = 0
    for first, second in (
        ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
        ((slice(1, None), slice(None)), (slice(None, -1), slice(None))),
    ):
        steps = [cell[first] - cell[second] for cell in cells]
        clear = np.abs(steps[0]) >= STEP
        total += clear.size
        wrong += int((clear & (steps[0] * steps[1] < 0) & (np.abs(steps[1]) >= STEP / 2)).sum())
    return wrong / total


def held(before: Array, after: Array, amount: float) -> tuple[float, str]:
    """The amount of a result that keeps all bounds, 0 if none does; and what the guard did, in words.

    Args:
        before: the small copy, H×W×3 uint8.
        after: the result, wholly applied.
        amount: as chosen.
    """
    return halved(amount, lambda share: breach(before, blended(before, after, share)))


def gentle(before: Array, after: Array, amount: float) -> tuple[float, str]:
    """The amount of a result that moves a photo by `GENTLE` at most; and what was done, in words.

    Args:
        before: the small copy, H×W×3 uint8.
        after: the result, wholly applied.
        amount: as chosen.
    """
    moved = math.sqrt(float(cv2.norm(before, after, cv2.NORM_L2SQR)) / before.size)
    if amount * moved <= GENTLE:
        return amount, ""
    return GENTLE / moved, f"little is expected of it; reduced to {GENTLE / moved:.2g} of its change"


def halved(amount: float, broken: Callable[[float], Breach | None]) -> tuple[float, str]:
    """Halve an amount until nothing is broken: the amount, 0 if it is given up, and what was done, in words."""
    told = ""
    for _ in range(HALVINGS + 1):
        found = broken(amount)
        if found is None:
            return amount, told and f"{told}; reduced to {amount:.2g} of its change"
        told = told or found.what
        amount /= 2.0
    return 0.0, f"{told}, even a quarter of it; left alone"
