"""Retinex: under- and over-exposure mended together, by illumination maps of the picture and of its negative.

This file holds only what `--help` needs: the controls and the declaration.
"""

from __future__ import annotations

from dataclasses import dataclass

from enhance_cli.types import Controls, Method, knob

HALO = 24
"""Pixels of context around a window: 8 for the restoration network, 16 for the filter of `--denoise`."""


@dataclass(frozen=True)
class RetinexControls(Controls):
    """The knobs of `retinex`."""

    under: float = knob(
        1.0,
        "How much dark parts are brought up: 1 as trained, 0 not at all.",
        minimum=0.0,
        maximum=1.0,
    )
    over: float = knob(
        1.0,
        "How much bright parts are brought down: 1 as trained, 0 not at all.",
        minimum=0.0,
        maximum=1.0,
    )
    denoise: float = knob(
        1.0,
        "How much noise and JPEG artefacts are removed: 1 as trained, 0 none, between only the finer ones.",
        minimum=0.0,
        maximum=1.0,
    )
    maps: bool = knob(False, "Also write <name>_maps.png: both illuminations, and the weight of every candidate.")


METHOD = Method(
    name="retinex",
    summary="Dark and blown parts mended together: illumination of the picture and its negative, fused, denoised.",
    paper="Fast Enhancement for Non-Uniform Illumination Images using Light-weight CNNs (NUI-Net)",
    controls=RetinexControls,
    enhancer="enhance_cli.methods.retinex.enhancer:Retinex",
    channels="rgb",
    halo=HALO,
    illustrations=("maps",),
    weights=("illumination", "fusion", "restoration"),
)
