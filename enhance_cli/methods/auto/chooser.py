"""Chooses what to do with a photo, from a small copy of it and of what each method makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from enhance_cli.exposure import Wanted
from enhance_cli.methods.auto import AutoControls, guard, words
from enhance_cli.methods.auto.candidates import CANDIDATES, OPTIONS, aimed, tried
from enhance_cli.methods.auto.decision import Decision
from enhance_cli.methods.auto.features import features
from enhance_cli.methods.auto.measure import flatness, luma_of, measure
from enhance_cli.methods.auto.scores import Scores

if TYPE_CHECKING:
    from enhance_cli.types import Array, Enhancer

RESTRAINT = 2.5
"""Decibels that a change must be expected to gain before a photo is touched. weights/auto/card.md has the curve
between good photos that are left alone and faulty ones that are not."""

SURE = 3.5
"""Decibels that a change must be expected to gain before it may move a photo by more than `guard.GENTLE`.
Cross-validated, fewer good photos come out below 28 dB, and dark and bright frames lose 0.05 dB (the card)."""

NOTHING = 0
"""The place of doing nothing in `OPTIONS`."""


def choose(
    small: Array,
    wanted: Wanted,
    controls: AutoControls,
    opened: Callable[[str], Enhancer],
    scores: Scores,
    hint: str = "",
) -> Decision:
    """Measure, try every method, choose by the scores of their results, and guard.

    Args:
        small: H×W×3 uint8, sRGB, its longest side `measure.SIDE` or less.
        wanted: what the predictor of exposure would have of the photo.
        controls: `methods`, `min_certainty`, `strength`.
        opened: gives the Enhancer of a method.
        scores: the network that scores options.
        hint: what moved `wanted` from the prediction, in words; empty if nothing did.
    """
    if min(small.shape[:2]) < 2:
        return Decision("", reason="too small to analyse")
    drawing = words.not_a_photo(flatness(small))
    if drawing is not None:
        return Decision("", reason=drawing.text, quantities=drawing.quantities)
    seen = measure(small)
    look = words.finding(seen)
    candidates = {name: CANDIDATES[name] for name in controls.methods}
    if hint:
        candidates = {name: aimed(candidate, wanted.luma) for name, candidate in candidates.items()}
    results = {name: tried(candidate, small, opened(name)) for name, candidate in candidates.items()}
    scored = scores.of(features(small, seen, wanted, results))
    scored[NOTHING] += RESTRAINT
    best, other = _first_two(scored)
    method, amount = OPTIONS[best]
    certainty = scores.certainty(scored[best] - scored[other])
    reason = f"{look.text}; similar photos have a mean of about {wanted.luma:.2f}{hint}"
    quantities = {**{name: seen[name] for name in look.names}, "expected mean": wanted.luma}

    def left_alone(instead: str, told: str = "") -> Decision:
        return Decision("", reason=reason, quantities=quantities, runner_up=instead, certainty=certainty, guard=told)

    if best == NOTHING:
        return left_alone(OPTIONS[other][0])
    if certainty < controls.min_certainty:
        return left_alone(method)
    limited = ""
    if scored[best] - scored[NOTHING] + RESTRAINT < SURE:
        amount, limited = guard.gentle(small, results[method], amount)
    amount, told = _held(small, results[method], amount, controls.strength)
    if amount == 0.0:
        return left_alone(method, told)
    mean = seen["mean"] + amount * (float(luma_of(results[method]).mean()) / 255.0 - seen["mean"])
    return Decision(
        method,
        candidates[method].controls,
        amount,
        reason=reason,
        quantities={**quantities, "mean after": mean},
        runner_up=OPTIONS[other][0] or "left alone",
        certainty=certainty,
        guard=told or limited,
    )


def _first_two(scored: Mapping[int, float]) -> tuple[int, int]:
    """The places of the best option and of the best one of another method."""
    ranked = sorted(scored, key=lambda place: -scored[place])
    return ranked[0], next(place for place in ranked if OPTIONS[place][0] != OPTIONS[ranked[0]][0])


def _held(small: Array, result: Array, amount: float, strength: float) -> tuple[float, str]:
    """`guard.held` of an amount at `--strength`, which multiplies it later."""
    if strength == 0.0:
        return amount, ""
    kept, told = guard.held(small, result, amount * strength)
    return kept / strength, told
