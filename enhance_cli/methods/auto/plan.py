"""What `auto` decides for an image: the verdict with its reason, and the plan of the method that carries it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypedDict

from enhance_cli import methods
from enhance_cli.errors import UsageError
from enhance_cli.methods.auto import METHOD
from enhance_cli.plan import Plan
from enhance_cli.plan_values import Shaped
from enhance_cli.report_fields import NotNegative, Share

if TYPE_CHECKING:
    from enhance_cli.types import Array


class Quantity(TypedDict):
    """A quantity that decided."""

    name: str
    """What was measured, as docs/auto.md lists it."""

    value: float
    """Its value."""


class AutoReport(TypedDict):
    """The verdict on a photo, and why."""

    verdict: Literal["enhanced", "left alone"]
    """`left alone`: the output is a copy of the source, byte for byte, unless options ask for something else."""

    method: str | None
    """The method that was applied; null if the photo was left alone."""

    options: list[str]
    """The method's options, as on the command line; those that are not listed have their defaults."""

    amount: NotNegative
    """How much of the method's change was applied, including `--strength` and the guard; 0 if it was left alone."""

    reason: str
    """Why, in words."""

    quantities: list[Quantity]
    """The quantities on which the reason is based."""

    runner_up: str | None
    """The second-best choice; null if there was none."""

    certainty: Share
    """How often such a choice is better than the runner-up: 0.5 is a toss-up."""

    guard: str
    """What the guard did, in words, or that little was expected of the change; empty if all of it was applied."""

    shift: float
    """`--shift`: stops at mid grey by which this photo, like all others, was brightened."""

    plan: dict[str, Any]
    """The method's own plan, as in its reports; empty if the photo was left alone."""


@dataclass(frozen=True, kw_only=True)
class AutoPlan(Plan):
    """The verdict, and the packed plan of the method chosen."""

    method: ClassVar[str] = METHOD.name
    arrays: ClassVar[Mapping[str, tuple[Shaped, ...]]] = {"inner": (Shaped("uint8", ("bytes",), or_empty=True),)}

    height: int
    width: int
    chosen: str
    """The method, empty where the photo is left alone."""

    options: tuple[str, ...]
    """The method's options, for the report."""

    inner: Array
    """uint8, the bytes of the method's plan; empty where the photo is left alone."""

    amount: float
    shift: float
    reason: str
    names: tuple[str, ...]
    values: tuple[float, ...]
    """The quantities that decided."""

    runner_up: str
    certainty: float
    guard: str

    @property
    def unchanged(self) -> bool:
        """Whether the output is the source, byte for byte."""
        return not self.chosen and self.shift == 0.0

    @property
    def halo(self) -> int:
        """Those of the method chosen."""
        return methods.get(self.chosen).halo if self.chosen else 0

    def opened(self) -> Plan | None:
        """The plan of the method; None where the photo is left alone.

        Raises:
            UsageError: the bytes are not one.
        """
        return methods.plan_kind(methods.get(self.chosen)).from_bytes(self.inner.tobytes()) if self.chosen else None

    @classmethod
    def fault_in(cls, values: Mapping[str, Any]) -> str:
        """Check the method and its plan."""
        if len(values["names"]) != len(values["values"]):
            return "its quantities have other names than values"
        if not values["chosen"]:
            return "it holds a plan of no method" if values["inner"].size else ""
        try:
            kind = methods.plan_kind(methods.get(values["chosen"]))
            inner = None if issubclass(kind, cls) else kind.from_bytes(values["inner"].tobytes())
        except UsageError as error:
            return str(error).rstrip(".")
        if inner is None or inner.size != (values["height"], values["width"]):
            return f"its plan of {values['chosen']} is of another kind or size"
        return ""

    def describe(self) -> AutoReport:
        """The verdict, and why."""
        inner = self.opened()
        return {
            "verdict": "enhanced" if self.chosen else "left alone",
            "method": self.chosen or None,
            "options": list(self.options),
            "amount": round(self.amount, 4),
            "reason": self.reason,
            "quantities": [
                {"name": name, "value": round(value, 4)} for name, value in zip(self.names, self.values, strict=True)
            ],
            "runner_up": self.runner_up or None,
            "certainty": round(self.certainty, 4),
            "guard": self.guard,
            "shift": self.shift,
            "plan": {} if inner is None else dict(inner.describe()),
        }
