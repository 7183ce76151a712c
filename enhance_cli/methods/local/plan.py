"""What `local` decides for an image: which area is brightened, how much, and how the light falls off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypedDict

from enhance_cli.methods.local import METHOD
from enhance_cli.plan import Plan
from enhance_cli.plan_values import Shaped
from enhance_cli.report_fields import NotNegative, Share, Within

if TYPE_CHECKING:
    from enhance_cli.types import Array


Mode = Literal["dilate", "erode", "both", "soft", "drawn"]


class Area(TypedDict):
    """A part of the image."""

    share: Share
    """Share of the image's pixels; the shares of all areas sum to 1."""

    luma_before: Share | None
    """Mean luma of the input; null if the area is empty."""

    luma_after: Share | None
    """Mean luma of the output; null if the area is empty."""


class Transition(TypedDict):
    """How the light falls off in area B."""

    mode: Mode
    """Its position: `dilate`, `erode` or `both`; `soft` for the mask's own softness, `drawn` for `--mask-outer`."""

    fitted: bool
    """Whether the mask's edge was fitted to the photo."""

    width: NotNegative
    """Its width in pixels."""

    gain_stops: list[float]
    """Mean gain in stops of up to 16 rings of the transition, from A outwards."""

    monotony: Annotated[float, Within(-1, 1)] | None
    """Spearman's correlation of the fall-off and these gains; null for fewer than three rings."""


class LocalReport(TypedDict):
    """Area A is brightened, B is the transition and C is unchanged."""

    backbone: Literal["deepupe", "star"]
    """The network that ran."""

    degree: Annotated[float, Within(0.5, 2)]
    """The factor on the illumination; smaller is brighter."""

    locked: bool
    """Whether area C is the input, bit for bit."""

    areas: dict[Literal["A", "B", "C"], Area]
    """The areas and their brightness."""

    transition: Transition
    """How the light falls off."""


@dataclass(frozen=True, kw_only=True)
class LocalPlan(Plan):
    """Everything that `render` needs, and everything the report says."""

    method: ClassVar[str] = METHOD.name
    arrays: ClassVar[Mapping[str, tuple[Shaped, ...]]] = {
        "fall_off": (Shaped("uint16", ("lit rows", "lit columns"), or_empty=True),),
        "field": (
            Shaped("float32", ("rows", "columns", "bins", 12)),
            Shaped("float32", ("rows", "columns", 24)),
        ),
        "guide": (Shaped("float32", ("hidden", 6), or_empty=True),),
        "tail": (Shaped("float32", (3, 37)),),
    }

    height: int
    width: int
    fall_off: Array
    """h×w uint16 at (`top`, `left`): 65535 in A, 0 in C, and outside of it all is C."""

    top: int
    left: int
    field: Array
    """DeepUPE's grid, float32 rows×columns×bins×12, or STAR's curve maps, rows×columns×24."""

    guide: Array
    """float32 H+1×6, see `kernels_cpu.render`; empty for curve maps."""

    tail: Array
    """float32 3×37."""

    backbone: Literal["deepupe", "star"]
    degree: float
    lock: bool
    shares: tuple[float, float, float]
    transition: float
    """Width of area B in pixels."""

    mode: Mode
    """`dilate`, `erode` or `both`; `soft` where it is a mask's own softness, `drawn` where a second mask drew it."""

    fitted: bool = False
    """Whether the mask's edge was fitted to the photo's."""

    luma_before: tuple[float | None, ...] = ()
    """Mean luma of A, B and C, None where there is no such area."""

    luma_after: tuple[float | None, ...] = ()
    fall_off_gain: tuple[float, ...] = ()
    """Mean gain in stops of rings of B, from A outwards."""

    monotony: float | None = None
    """Spearman's correlation between t and the gain over the rings of B."""

    @classmethod
    def fault_in(cls, values: Mapping[str, Any]) -> str:
        """The fall-off lies within the image, and a grid has its guide."""
        fall_off, top, left = values["fall_off"], values["top"], values["left"]
        if fall_off.ndim != 2 or not (
            0 <= top <= values["height"] - fall_off.shape[0] and 0 <= left <= values["width"] - fall_off.shape[1]
        ):
            return "its fall_off reaches beyond the photo"
        if values["guide"].ndim != 2 or (values["field"].ndim == 4 and values["guide"].size == 0):
            return "its guide is missing"
        return ""

    def describe(self) -> LocalReport:
        """The areas, their light, and how it falls off."""
        a, b, c = map(_area, self.shares, self.luma_before, self.luma_after)
        return {
            "backbone": self.backbone,
            "degree": self.degree,
            "locked": self.lock,
            "areas": {"A": a, "B": b, "C": c},
            "transition": {
                "mode": self.mode,
                "fitted": self.fitted,
                "width": round(self.transition, 2),
                "gain_stops": [round(gain, 3) for gain in self.fall_off_gain],
                "monotony": None if self.monotony is None else round(self.monotony, 4),
            },
        }


def _area(share: float, before: float | None, after: float | None) -> Area:
    return {
        "share": round(share, 6),
        "luma_before": None if before is None else round(before, 5),
        "luma_after": None if after is None else round(after, 5),
    }
