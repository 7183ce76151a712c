"""IRLE: internally referenced low-light enhancement, learned from dark photographs alone.

This file holds only what `--help` needs: the controls and the declaration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from enhance_cli.controls import Controls, knob
from enhance_cli.types import Method

HALO = 144
"""Pixels of context around a window: no denoiser looks further, its gain map included."""


@dataclass(frozen=True)
class IrleControls(Controls):
    """The knobs of `irle`."""

    exposure: float = knob(
        0.47,
        "Mean to reach, over all samples; less where a tenth would turn white. Brighter pictures keep their light.",
        minimum=0.05,
        maximum=0.95,
    )
    denoise: float = knob(1.0, "Share of the noise that stage 2 removes; 0 gives stage 1.", minimum=0.0, maximum=1.0)
    white_balance: float = knob(
        0.5, "Share of the estimated cast of light that is taken away.", minimum=0.0, maximum=1.0
    )
    max_gain: float = knob(
        64.0, "Bound of the gain of any pixel, as a factor: lower keeps the darkest dark.", minimum=1.0, maximum=1000.0
    )
    model: Literal["auto", "full", "lite"] = knob(
        "auto",
        "The denoiser: full has the paper's size; lite is made for CPUs; auto is full on CUDA.",
        choices=("auto", "full", "lite"),
    )
    stage: Literal["2", "1", "reference"] = knob(
        "2",
        "How far to go: reference is the smooth pseudo ground truth, 1 the tone curve with the noise it lifts, 2 all.",
        parse=str,
        choices=("2", "1", "reference"),
    )
    adapt: int = knob(
        0,
        "Steps of tuning the denoiser on this very picture before it is used; needs torch, and half a second each.",
        parse=int,
        minimum=0,
        maximum=10_000,
        metavar="N",
    )
    maps: bool = knob(False, "Also write <name>_maps.png: the illumination, and the gain, a stop to 32 levels.")

    def holds(self, height: int, width: int) -> int:
        """A block in the denoiser, which are smaller in large pictures (`enhancer.BLOCK`)."""
        if self.stage != "2" or self.denoise == 0.0:
            return 0
        side = 736 if height * width > 32_000_000 else 1248
        channels = 90 if self.model == "full" else 85
        return 4 * channels * min(side, height + 64) * min(side, width + 64)


METHOD = Method(
    name="irle",
    summary="The darkest pictures: a hue-keeping tone curve and a denoiser that knows the gain, taught by themselves.",
    paper="IRLE: internally referenced low-light enhancement",
    controls=IrleControls,
    enhancer="enhance_cli.methods.irle.enhancer:Irle",
    plan="enhance_cli.methods.irle.plan:IrlePlan",
    halo=HALO,
    illustrations=("maps",),
    weights=("denoiser-lite", "denoiser-full"),
)
