"""What `retinex` decides for an image: the curves of both illuminations, and the biases that score each candidate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypedDict

from enhance_cli.exposure import TargetReport
from enhance_cli.methods.retinex import METHOD
from enhance_cli.plan import Plan
from enhance_cli.plan_values import Shaped
from enhance_cli.report_fields import Length, NotNegative, Positive, Share

if TYPE_CHECKING:
    from enhance_cli.types import Array

CANDIDATES = ("brightened", "input", "darkened")
"""What the images that are fused are called, unless they are frames of a stack."""


Illumination = dict[Literal["mean", "p05", "median", "p95"], Share]
"""Statistics of a map of illumination."""


class Candidate(TypedDict):
    """One of the images that were fused."""

    name: str
    """`brightened`, `input` or `darkened`, or the file name of a frame."""

    weight: Share
    """Its mean weight; those of all sum to 1."""

    wins: Share
    """The share of the image where it weighs most."""


class RetinexReport(TypedDict):
    """Maps, weights and candidates are judged on the 64x64 pixels that the networks look at. A stack (`--fuse`) has one
    line, whose `source` is its first exposure and `frames` the others; `exposure.before` is that of the first.
    """

    illumination: Illumination | None
    """Mean and percentiles of the map of illumination; null where frames were fused."""

    inverse_illumination: Illumination | None
    """The same for the map of the negative."""

    grid: Annotated[list[Positive], Length(3, 3)] | None
    """[rows, columns, tones] of the grids that hold the maps; null where frames were fused."""

    candidates: Annotated[list[Candidate], Length(2)]
    """What was fused: brightened, input and darkened, or the frames of a stack."""

    model: Literal["paper", "full"]
    """Which network found the illumination; with `--fuse` none did."""

    target: TargetReport | None
    """The brightness aimed for; null with `--target none`, with `--under` or `--over` alone, and with `--fuse`."""

    under: NotNegative
    """Exponent of the illumination: `--under`, or what the target made of it."""

    over: NotNegative
    """Exponent of that of the negative: `--over`, or what the target made of it."""

    noise_energy: NotNegative
    """Mean square of what the restoration adds, white being 1, as applied (`--denoise`): of at most 16 patches of 32x32
    pixels, spread over the image."""


@dataclass(frozen=True, kw_only=True)
class RetinexPlan(Plan):
    """Everything that `render` needs, and everything the report says."""

    method: ClassVar[str] = METHOD.name
    arrays: ClassVar[Mapping[str, tuple[Shaped, ...]]] = {
        name: (Shaped("float32", ("rows", "columns", "bins", 2), least=2, or_empty=True),)
        for name in ("forward", "inverse")
    } | {
        "tones": (Shaped("float32", ("nodes",), least=2, or_empty=True),),
        "biases": (Shaped("float32", ("candidates", "hidden")),),
        "illuminations": (Shaped("float64", (2, 4)), Shaped("float64", (0, 4), or_empty=True)),
        "shares": (Shaped("float64", ("candidates", 2)),),
    }

    height: int
    width: int
    forward: Array
    """rows×columns×bins×2 float32: the curve (k, o) of the illumination, see `formulas.illumination`; empty where
    frames are fused."""

    inverse: Array
    """The same for the negative."""

    under: float
    over: float
    tones: Array
    """The curve of luma after the fusion, as `imaging.finish.Tones.gains`; empty if tones and colours stay."""

    chroma: float
    """How much colour follows that curve, as `imaging.finish.Tones.chroma`."""

    target: float | None
    """Mean luma that was aimed for; None without one."""

    predicted: bool
    """Whether the target was predicted."""

    denoise: float
    model: Literal["paper", "full"]
    """Which network found the illumination."""

    biases: Array
    """candidates×h float32: biases of the fusion's first layer, which include each candidate's statistics."""

    candidates: tuple[str, ...]
    illuminations: Array
    """2×4, or empty: mean and 5, 50, 95 % percentiles of both illuminations."""

    shares: Array
    """candidates×2: mean weight, and share of the image where it weighs most."""

    noise_energy: float
    """Mean square of what the restoration adds, white being 1, over some patches of the image."""

    @classmethod
    def fault_in(cls, values: Mapping[str, Any]) -> str:
        """Grids come in pairs, and there is a candidate for each row of the biases."""
        forward, inverse = values["forward"].size > 0, values["inverse"].size > 0
        if forward != inverse:
            return "it has a curve for the photo or for its negative alone"
        count = len(values["biases"])
        if count != len(values["candidates"]) or (forward and count != len(CANDIDATES)):
            return "its biases are of other candidates"
        return ""

    @property
    def grids(self) -> tuple[Array, Array] | None:
        """Both grids; None where frames are fused."""
        return (self.forward, self.inverse) if self.forward.size else None

    @property
    def exposures(self) -> int:
        """As many as there are candidates, where frames are fused."""
        return 1 if self.grids else len(self.candidates)

    @property
    def leaves_all(self) -> bool:
        """Whether nothing is asked for: the output is the input."""
        return self.grids is not None and self.under == self.over == self.denoise == 0.0

    def describe(self) -> RetinexReport:
        """Both illuminations, what each candidate gives, and the noise that goes."""
        illumination, inverse = map(_spread, self.illuminations) if len(self.illuminations) else (None, None)
        return {
            "illumination": illumination,
            "inverse_illumination": inverse,
            "grid": list(self.forward.shape[:3]) if self.grids else None,
            "candidates": [
                {"name": name, "weight": weight, "wins": wins}
                for name, (weight, wins) in zip(self.candidates, map(_rounded, self.shares), strict=True)
            ],
            "model": self.model,
            "target": None if self.target is None else {"luma": round(self.target, 4), "predicted": self.predicted},
            "under": round(self.under, 5),
            "over": round(self.over, 5),
            "noise_energy": float(f"{self.noise_energy:.4g}"),
        }


def _spread(row: Array) -> Illumination:
    mean, low, median, high = _rounded(row)
    return {"mean": mean, "p05": low, "median": median, "p95": high}


def _rounded(row: Array) -> list[float]:
    return [round(float(value), 5) for value in row]
