"""Retinex: under- and over-exposure mended together, by illumination maps of the picture and of its negative.

This file holds only what `--help` needs: the controls and the declaration.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from enhance_cli.controls import Controls, knob
from enhance_cli.errors import UsageError
from enhance_cli.types import Method

HALO = 24
"""Pixels of context around a window: 8 for the restoration network, 16 for the filter of `--denoise`."""


def parse_fuse(value: Any) -> str | int:
    """Read a number of frames, `folder`, `all`, or a regular expression with a group."""
    text = str(value).strip()
    if text.lower() in ("folder", "all"):
        return text.lower()
    if re.fullmatch(r"[+-]?\d+", text):
        if int(text) < 2:
            raise ValueError(f"a stack has two frames or more, not {text}.")
        return int(text)
    try:
        groups = re.compile(text).groups
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}.") from None
    if groups == 0:
        raise ValueError(f"it is a number of frames, folder, all, or a pattern with a group as (.+)_e, not {text!r}.")
    return text


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
    fuse: str | int | None = knob(
        None,
        "Make one picture of several exposures of a scene: of every N in turn; of each folder; of all; or of those "
        "whose names have the same in the group of a regular expression, such as '(.+)_e[0-9]'. Frames must fit on "
        "each other; --under and --over do not apply.",
        parse=parse_fuse,
        metavar="N|folder|all|REGEX",
    )
    maps: bool = knob(False, "Also write <name>_maps.png: both illuminations, and the weight of every candidate.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fuse is not None and not self.under == self.over == 1.0:
            raise UsageError("--under and --over are for single photographs; --fuse takes the exposures as they are.")

    @property
    def stacks(self) -> str | int | None:
        """`--fuse`."""
        return self.fuse


METHOD = Method(
    name="retinex",
    summary="Dark and blown parts mended together: illumination of the picture and its negative, fused, denoised.",
    paper="Fast Enhancement for Non-Uniform Illumination Images using Light-weight CNNs (NUI-Net)",
    controls=RetinexControls,
    enhancer="enhance_cli.methods.retinex.enhancer:Retinex",
    plan="enhance_cli.methods.retinex.plan:RetinexPlan",
    halo=HALO,
    fuses=True,
    illustrations=("maps",),
    weights=("illumination", "fusion", "restoration"),
)
