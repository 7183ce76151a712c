"""Chooses what to do with a photo, from a small copy of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from enhance_cli.exposure import Wanted
from enhance_cli.methods.auto import AutoControls, guard, rules, words
from enhance_cli.methods.auto.candidates import CANDIDATES, aimed, tried
from enhance_cli.methods.auto.decision import Decision
from enhance_cli.methods.auto.measure import flatness, measure

if TYPE_CHECKING:
    from enhance_cli.types import Array, Enhancer


def choose(
    small: Array, wanted: Wanted, controls: AutoControls, opened: Callable[[str], Enhancer], hint: str = ""
) -> Decision:
    """Measure, choose, try what was chosen, and guard.

    Args:
        small: H×W×3 uint8, sRGB, its longest side `measure.SIDE` or less.
        wanted: what the predictor of exposure would have of the photo.
        controls: `methods`, `min_certainty`, `strength`.
        opened: gives the Enhancer of a method.
        hint: what moved `wanted` from the prediction, in words; empty if nothing did.
    """
    if min(small.shape[:2]) < 2:
        return Decision("", reason="too small to judge")
    seen = measure(small)
    drawing = words.not_a_photo(flatness(small))
    if drawing is not None:
        return Decision("", reason=drawing.text, quantities=drawing.quantities)
    look = words.finding(seen)
    quantities = {**{name: seen[name] for name in look.names}, "expected mean": wanted.luma}
    names = [
        name
        for name in rules.order(look.kind, seen, wanted)
        if name == rules.LEFT_ALONE or CANDIDATES[name].method in controls.methods
    ]
    best, other = [*names, rules.LEFT_ALONE][:2]
    certainty = _certainty(seen["mean"], wanted)
    reason = f"{look.text}; photos like it have a mean of about {wanted.luma:.2f}{hint}"

    def left_alone(instead: str, told: str = "") -> Decision:
        return Decision("", reason=reason, quantities=quantities, runner_up=instead, certainty=certainty, guard=told)

    if best == rules.LEFT_ALONE:
        return left_alone(other)
    if certainty < controls.min_certainty:
        return left_alone(best)
    candidate = aimed(CANDIDATES[best], wanted.luma) if hint else CANDIDATES[best]
    amount, told = _held(small, tried(candidate, small, opened(candidate.method)), 1.0, controls.strength)
    if amount == 0.0:
        return left_alone(best, told)
    return Decision(
        candidate.method,
        candidate.controls,
        amount,
        reason=reason,
        quantities=quantities,
        runner_up=other or "left alone",
        certainty=certainty,
        guard=told,
    )


def _certainty(mean: float, wanted: Wanted) -> float:
    """How clearly a photo's mean luma lies on its side of the bound between leaving alone and not: 0.5 at the bound."""
    bound = max(rules.NEAR, wanted.doubt)
    return 0.5 + 0.49 * min(1.0, abs(abs(wanted.luma - mean) - bound) / (2.0 * bound))


def _held(small: Array, result: Array, amount: float, strength: float) -> tuple[float, str]:
    """`guard.held` of an amount at `--strength`, which multiplies it later."""
    if strength == 0.0:
        return amount, ""
    kept, told = guard.held(small, result, amount * strength)
    return kept / strength, told
