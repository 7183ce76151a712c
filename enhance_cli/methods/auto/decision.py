"""A decision as a value, and as a line of a decisions file."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from enhance_cli.errors import UsageError
from enhance_cli.methods.auto import CHOICES

LEFT_ALONE, ENHANCE = "left alone", "enhance"


@dataclass(frozen=True)
class Decision:
    """What to do with a photo, and why."""

    method: str
    """Empty for leaving it alone."""

    controls: Mapping[str, Any] = field(default_factory=dict)
    """Of the method, those that are not its defaults."""

    amount: float = 0.0
    """The share of the method's change; 0 for leaving it alone."""

    reason: str = ""
    quantities: Mapping[str, float] = field(default_factory=dict)
    runner_up: str = ""
    certainty: float = 1.0
    guard: str = ""
    luma: float = 0.0
    """Mean luma of the photo."""

    place: str = field(default="", compare=False)
    """The file and the line that it was read from, for messages; empty for one of this run."""

    def to_json(self) -> dict[str, Any]:
        """Its part of a line."""
        return {
            "verdict": ENHANCE if self.method else LEFT_ALONE,
            "certainty": round(self.certainty, 3),
            "method": self.method or None,
            "controls": dict(self.controls),
            "amount": round(self.amount, 3),
            "reason": self.reason,
            "runner_up": self.runner_up or None,
            "guard": self.guard,
            "luma": round(self.luma, 4),
            "quantities": {name: round(value, 4) for name, value in self.quantities.items()},
        }

    @classmethod
    def from_json(cls, line: Mapping[str, Any], place: str) -> Decision:
        """Read a line, perhaps edited by hand.

        Args:
            line: an object of a decisions file.
            place: the file and the line's number, for messages.

        Raises:
            UsageError: the line says something that cannot be done.
        """
        verdict, method, controls = line.get("verdict"), line.get("method"), line.get("controls") or {}
        if verdict not in (ENHANCE, LEFT_ALONE):
            raise UsageError(f"{place}: the verdict is {ENHANCE!r} or {LEFT_ALONE!r}, not {verdict!r}.")
        if verdict == ENHANCE and method not in CHOICES:
            raise UsageError(f"{place}: there is no method {method!r} to choose; there are {', '.join(CHOICES)}.")
        if not isinstance(controls, dict):
            raise UsageError(f'{place}: controls are an object such as {{"time": 3}}, not {controls!r}.')
        numbers = {}
        for name, default, most in (("amount", 1.0, 1.5), ("certainty", 1.0, 1.0)):
            value = line.get(name, default)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= most:
                raise UsageError(f"{place}: the {name} is a number from 0 to {most:g}, not {value!r}.")
            numbers[name] = float(value)
        quantities = line.get("quantities")
        kept = quantities if isinstance(quantities, dict) else {}
        texts = {name: str(line.get(name) or "") for name in ("reason", "runner_up", "guard")}
        enhances = verdict == ENHANCE and numbers["amount"] > 0.0
        return cls(
            str(method) if enhances else "",
            controls if enhances else {},
            numbers["amount"] if enhances else 0.0,
            quantities={str(name): float(value) for name, value in kept.items() if _is_number(value)},
            certainty=numbers["certainty"],
            luma=float(line["luma"]) if _is_number(line.get("luma")) else 0.0,
            place=place,
            **texts,
        )


def _is_number(value: Any) -> bool:
    """Whether it is one that reports can hold: neither infinite nor beyond what a float is."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
