"""What `irle` decides for an image: white balance, tone curve, and how much noise is removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypedDict

from enhance_cli.exposure import TargetReport
from enhance_cli.methods.irle import METHOD, tone
from enhance_cli.plan import Plan
from enhance_cli.plan_values import Shaped
from enhance_cli.report_fields import Count, Length, NotNegative, Share, Within

if TYPE_CHECKING:
    from enhance_cli.types import Array

REACH = 16
"""Radius in pixels of the gain's blur, needed as context around a block (`kernels_cpu.log_gain`)."""

NETWORK_HALO = {"lite": 112, "full": 128}
"""Receptive field of each denoiser in pixels to each side, as `network.build` declares it: a multiple of
`blocks.MULTIPLE`."""


Channels = Annotated[list[NotNegative], Length(3, 3)]
"""Factors of R, G and B."""


class Curve(TypedDict):
    """A power of light with a soft shoulder."""

    exponent: Annotated[float, Within(above=0, maximum=1)]
    """Of light in 0..1."""

    factor: NotNegative
    """Of that power."""

    veil: Share
    """Light that is taken away after that, so that black is not grey."""

    black: Share
    """Light up to which the photo shows nothing and stays dark; 0 where there is no such area."""


class IrleReport(TypedDict):
    """What was decided about light and noise."""

    stage: Literal["reference", "1", "2"]
    """As asked for."""

    model: Literal["full", "lite"] | None
    """The denoiser; null where none ran."""

    target: TargetReport
    """What `--exposure` aimed for."""

    cast: Channels
    """The estimated light in R, G and B: 1 is neutral, above 1 the channel is too strong."""

    balance: Channels
    """Factors of R, G and B that were applied."""

    curve: Curve
    """The tone curve, factor x ^ exponent with a soft shoulder; both are 1 where the photo was bright enough."""

    chroma: NotNegative
    """How much more colour than the curve leaves the photo is given."""

    gain_stops: dict[Literal["p01", "median", "p99"], float]
    """Quantiles of the gain over the image, in stops."""

    exposure: dict[Literal["before", "after"], Share]
    """Mean of all samples, R, G and B alike."""

    noise: dict[Literal["before", "brightened", "after"], Share] | None
    """Standard deviation of luma in flat dark patches, as a share of white: of the input, after stage 1, and of the
    output; null where there are no such patches."""

    denoise: Share
    """The share of the noise that was removed; 0 in other stages than the second."""

    adapted: Count
    """Steps of tuning on this photo."""

    halo: Count
    """Pixels around a block of full resolution that were looked at to render it."""


@dataclass(frozen=True, kw_only=True)
class IrlePlan(Plan):
    """Everything that `render` needs, and everything the report says."""

    method: ClassVar[str] = METHOD.name
    arrays: ClassVar[Mapping[str, tuple[Shaped, ...]]] = {
        "reference": (Shaped("float32", ("rows", "columns", 3), or_empty=True),),
        "tuned": (Shaped("float32", ("weights",), or_empty=True),),
        "tones": (Shaped("float32", ("nodes",), least=2, or_empty=True),),
        "empty": (Shaped("float32", ("down", "across", "levels"), least=2, or_empty=True),),
    }

    height: int
    width: int
    stage: Literal["2", "1", "reference"]
    model: Literal["full", "lite"]
    target: float
    """The mean that was aimed for."""

    predicted: bool
    """Whether it was predicted from the photo."""

    balance: tuple[float, float, float]
    """Factors of R, G and B before the curve."""

    tint: tuple[float, float, float]
    """The estimated light of the image; 1 is neutral."""

    exponent: float
    factor: float
    veil: float
    black: float
    max_gain: float
    """Parameters of the tone curve, see `tone.ToneCurve`; exponent and factor are 1 if brightness does not change."""

    chroma: float
    """How much more colour than the curve leaves the photo is given."""

    level: float
    """The final factor: desaturation and hue preservation shift the mean slightly."""

    tones: Array
    """The curve of luma after everything else, as `imaging.finish.Tones.gains`; empty if tones and colours stay."""

    toned_chroma: float
    """How much colour follows that curve, as `imaging.finish.Tones.chroma`."""

    empty: Array
    """How empty a night scene is by place and tone (`empty.Empty.grid`), and so how far it stays dark; else empty."""

    strength: float
    """Share of the noise that is removed; 0 except in stage 2."""

    reference: Array
    """h×w×3 float32, the pseudo ground truth of the proxy; empty except with `--stage reference`."""

    tuned: Array
    """Weights of `--adapt`, flat float32; empty without."""

    adapted: int
    gain_stops: tuple[float, float, float]
    """1 %, 50 % and 99 % quantiles of the proxy's gain, in stops."""

    means: tuple[float, float]
    """Mean of all samples before, and after, as measured on the proxy."""

    noise: tuple[float, float, float] | None = None
    """Deviation of luma in flat dark patches, as a share of white: of the input, brightened, and after; None where
    there are no such patches."""

    @classmethod
    def fault_in(cls, values: Mapping[str, Any]) -> str:
        """Check that a plan of stage `reference` has a reference."""
        missing = values["stage"] == "reference" and values["reference"].size == 0
        return "it has no reference" if missing else ""

    @property
    def curve(self) -> tone.ToneCurve:
        """The tone curve."""
        return tone.ToneCurve(self.exponent, self.factor, self.max_gain, veil=self.veil, black=self.black)

    @property
    def leaves_light(self) -> bool:
        """Whether the curve does nothing."""
        return self.exponent == self.factor == 1.0

    @property
    def context(self) -> int:
        """Pixels around a block that the denoiser looks at; none where it does not run."""
        return NETWORK_HALO[self.model] if self.strength > 0.0 and not self.leaves_light else 0

    def describe(self) -> IrleReport:
        """What was decided about light and noise."""
        low, median, high = (round(value, 3) for value in self.gain_stops)
        before, after = (round(value, 5) for value in self.means)
        noise = None if self.noise is None else [round(value, 5) for value in self.noise]
        return {
            "stage": self.stage,
            "model": self.model if self.strength > 0.0 else None,
            "target": {"luma": round(self.target, 4), "predicted": self.predicted},
            "cast": [round(value, 4) for value in self.tint],
            "balance": [round(value, 4) for value in self.balance],
            "curve": {
                "exponent": round(self.exponent, 4),
                "factor": round(self.factor, 4),
                "veil": round(self.veil, 4),
                "black": round(self.black, 4),
            },
            "chroma": round(self.chroma, 4),
            "gain_stops": {"p01": low, "median": median, "p99": high},
            "exposure": {"before": before, "after": after},
            "noise": None if noise is None else {"before": noise[0], "brightened": noise[1], "after": noise[2]},
            "denoise": self.strength,
            "adapted": self.adapted,
            "halo": self.context + REACH if self.stage != "reference" else 0,
        }
