"""IRLE: internally referenced low-light enhancement, learned from dark photographs alone.

This file holds only what `--help` needs: the controls and the declaration.
"""

from dataclasses import dataclass

from enhance_cli.types import Controls, Method, knob


@dataclass(frozen=True)
class IrleControls(Controls):
    """The knobs of `irle`."""

    exposure: float = knob(0.47, "Mean to reach, 0..1.", minimum=0.05, maximum=0.95)


METHOD = Method(
    name="irle",
    summary="For the darkest pictures: a global tone curve and a denoiser that knows the gain, learned from dark "
    "photographs alone.",
    paper="IRLE: internally referenced low-light enhancement",
    controls=IrleControls,
    enhancer="enhance_cli.methods.irle.enhancer:Irle",
)
