"""What `clode` decides for an image: the logit shift, the time, and how much noise is removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, TypedDict

from enhance_cli.exposure import TargetReport
from enhance_cli.methods.clode import METHOD
from enhance_cli.plan import Plan
from enhance_cli.plan_values import Shaped
from enhance_cli.report_fields import Count, Items, NotNegative, Pair, Share

if TYPE_CHECKING:
    from enhance_cli.types import Array


class ClodeReport(TypedDict):
    """A sweep (`--time 1,2,3`) has a line for each of its outputs; `controls.time` is that output's."""

    time: float
    """The exposure time that was used: given, or found by `auto` or `best`."""

    target: TargetReport | None
    """What `--time auto` aimed for; null for other times."""

    solver: str
    """As chosen."""

    evaluations: Count
    """How often the network was evaluated, in the one solve that served this output and its sweep."""

    steps: Count
    """Steps of the solver to this time."""

    proxy: Pair
    """[height, width] in pixels of the reduced image that the network saw."""

    model: Literal["full", "lite"]
    """The networks that ran."""

    trajectory: list[Annotated[list[float], Items((float, Share))]]
    """[time, mean luma] of the reduced image, in order of time, wherever the solve was looked at."""

    gain_stops: dict[Literal["dark", "mid", "bright"], float | None]
    """Mean gain of linear light in stops where the input's luma is below a quarter, between, and above three quarters;
    null where there is no such part."""

    denoise: Share
    """The share of the estimated noise that was removed."""

    added_noise: NotNegative
    """What the gain would have added to the noise, as a share of white."""


@dataclass(frozen=True, kw_only=True)
class ClodePlan(Plan):
    """Everything that `render` needs, and everything the report says."""

    method: ClassVar[str] = METHOD.name
    arrays: ClassVar[Mapping[str, tuple[Shaped, ...]]] = {
        "grid": (Shaped("float32", ("rows", "columns", "bins", 3), least=2, or_empty=True),),
        "shift": (Shaped("float32", (3, "height", "width"), or_empty=True),),
        "tones": (Shaped("float32", ("nodes",), least=2, or_empty=True),),
        "trajectory": (Shaped("float64", ("points", 2)),),
    }

    height: int
    width: int
    grid: Array
    """rows×columns×bins×3 float32: the shift over position and square root of luma; empty if there is none."""

    shift: Array
    """3×height×width float32 if the networks saw every pixel; else empty."""

    tones: Array
    """The curve of luma after the shift, as `imaging.finish.Tones.gains`; empty if tones and colours stay."""

    chroma: float
    """How much colour follows that curve, as `imaging.finish.Tones.chroma`."""

    colour: Literal["channel", "ratio", "blend"]
    strength: float
    """Share of the estimated noise that `render` removes."""

    added_noise: float
    """What the shift would add to the image's noise, as a share of white."""

    model: Literal["full", "lite"]
    time: float
    target: float | None
    """The mean luma that `--time auto` aimed for."""

    predicted: bool
    """Whether it was predicted from the photo."""

    solver: str
    evaluations: int
    steps: int
    proxy: tuple[int, int]
    trajectory: Array
    """n×2: time and mean luma of the proxy."""

    gain_stops: tuple[float | None, float | None, float | None]
    """Mean gain of linear light in dark, mid and bright parts of the input."""

    def describe(self) -> ClodeReport:
        """The time used, the cost of the solve, and the change in light."""
        dark, mid, bright = self.gain_stops
        return {
            "time": self.time,
            "target": None if self.target is None else {"luma": round(self.target, 4), "predicted": self.predicted},
            "solver": self.solver,
            "evaluations": self.evaluations,
            "steps": self.steps,
            "proxy": list(self.proxy),
            "model": self.model,
            "trajectory": [[round(float(time), 4), round(float(mean), 5)] for time, mean in self.trajectory],
            "gain_stops": {"dark": dark, "mid": mid, "bright": bright},
            "denoise": self.strength,
            "added_noise": round(self.added_noise, 5),
        }
