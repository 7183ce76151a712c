"""What `clode` decides for a picture: how its light shifts, to what time, and how much noise goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from enhance_cli.methods.clode import METHOD
from enhance_cli.plan_values import Shaped
from enhance_cli.types import Plan

if TYPE_CHECKING:
    from enhance_cli.types import Array


@dataclass(frozen=True, kw_only=True)
class ClodePlan(Plan):
    """Everything that `render` needs, and everything the report says."""

    method: ClassVar[str] = METHOD.name
    arrays: ClassVar[Mapping[str, tuple[Shaped, ...]]] = {
        "grid": (Shaped("float32", ("rows", "columns", "bins", 3), least=2, or_empty=True),),
        "shift": (Shaped("float32", (3, "height", "width"), or_empty=True),),
        "trajectory": (Shaped("float64", ("points", 2)),),
    }

    height: int
    width: int
    grid: Array
    """rows×columns×bins×3 float32: the shift over place and root of luma; empty where there is none."""

    shift: Array
    """3×height×width float32 where the networks saw every pixel; else empty."""

    colour: Literal["channel", "ratio", "blend"]
    strength: float
    """Share of the estimated noise that `render` removes."""

    added_noise: float
    """What the shift would add to the picture's noise, as a share of white."""

    model: Literal["full", "lite"]
    time: float
    solver: str
    evaluations: int
    steps: int
    proxy: tuple[int, int]
    trajectory: Array
    """n×2: time and mean luma of the proxy."""

    gain_stops: tuple[float | None, float | None, float | None]
    """Mean gain of linear light in dark, mid and bright parts of the input."""

    def describe(self) -> dict[str, Any]:
        """The time used, what the solve cost, and what it did to the light."""
        return {
            "time": self.time,
            "solver": self.solver,
            "evaluations": self.evaluations,
            "steps": self.steps,
            "proxy": list(self.proxy),
            "model": self.model,
            "trajectory": [[round(float(time), 4), round(float(mean), 5)] for time, mean in self.trajectory],
            "gain_stops": dict(zip(("dark", "mid", "bright"), self.gain_stops, strict=True)),
            "denoise": self.strength,
            "added_noise": round(self.added_noise, 5),
        }
