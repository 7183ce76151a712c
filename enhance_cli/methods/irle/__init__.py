"""IRLE: internally referenced low-light enhancement, learned from dark photos alone.

This file holds only what `--help` needs: the controls and the declaration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from enhance_cli.controls import Controls, auto_or_number, knob
from enhance_cli.types import Method

HALO = 144
"""Pixels of context around a window: the largest receptive field of a denoiser and its gain map to each side."""


@dataclass(frozen=True)
class IrleControls(Controls):
    """The knobs of `irle`."""

    exposure: float | Literal["auto"] = knob(
        "auto",
        "Mean of all samples to reach, 0.05 to 0.95, less where a tenth would clip; auto predicts it from the photo; "
        "brighter photos keep their exposure.",
        parse=auto_or_number(0.05, 0.95),
        metavar="auto|MEAN",
    )
    denoise: float = knob(
        1.0, "Share of the noise that stage 2 removes, 0 to 1; 0 is the same as --stage 1.", minimum=0.0, maximum=1.0
    )
    white_balance: float | Literal["auto"] = knob(
        "auto",
        "Share of the estimated colour cast to remove, 0 to 1; auto removes half in dark photos, none in bright ones.",
        parse=auto_or_number(0.0, 1.0),
        metavar="auto|SHARE",
    )
    max_gain: float = knob(
        64.0, "Largest gain of any pixel, as a factor; lower keeps deep shadows dark.", minimum=1.0, maximum=1000.0
    )
    model: Literal["auto", "full", "lite"] = knob(
        "auto",
        "Size of the denoiser: full is the paper's, lite is made for CPUs, auto is full on CUDA and lite on a CPU.",
        choices=("auto", "full", "lite"),
    )
    stage: Literal["2", "1", "reference"] = knob(
        "2",
        "Where to stop: 1 after the tone curve, 2 after denoising; reference shows the smooth pseudo ground truth.",
        parse=str,
        choices=("2", "1", "reference"),
    )
    adapt: int = knob(
        0,
        "Steps of tuning the denoiser on each photo before it is used; needs torch and takes about 0.5 s a step.",
        parse=int,
        minimum=0,
        maximum=10_000,
        metavar="N",
    )
    maps: bool = knob(False, "Also write <name>_maps.png, the illumination and the gain (32 levels a stop).")

    def holds(self, height: int, width: int) -> int:
        """A block in the denoiser, which are smaller in large images (`enhancer.BLOCK`)."""
        if self.stage != "2" or self.denoise == 0.0:
            return 0
        side = 736 if height * width > 32_000_000 else 1248
        channels = 90 if self.model == "full" else 85
        return 4 * channels * min(side, height + 64) * min(side, width + 64)


METHOD = Method(
    name="irle",
    summary="Very dark photos: a tone curve that keeps hue, and a denoiser that is told the gain.",
    paper="IRLE: internally referenced low-light enhancement",
    controls=IrleControls,
    enhancer="enhance_cli.methods.irle.enhancer:Irle",
    plan="enhance_cli.methods.irle.plan:IrlePlan",
    halo=HALO,
    illustrations=("maps",),
    weights=("denoiser-lite", "denoiser-full"),
)
