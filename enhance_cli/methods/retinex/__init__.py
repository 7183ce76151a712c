"""Retinex: under- and over-exposure fixed together, by illumination maps of the image and of its negative.

This file holds only what `--help` needs: the controls and the declaration.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from enhance_cli.controls import Controls, auto_or_number, knob
from enhance_cli.errors import UsageError
from enhance_cli.types import Method

HALO = 24
"""Pixels of context around a window: 8 for the restoration network, 16 for the filter of `--denoise`."""


MOST = 2.0
"""The largest `--under` and `--over`."""


def parse_target(value: Any) -> float | Literal["auto", "none"]:
    """Read `auto`, `none`, or a mean luma."""
    if isinstance(value, str) and value.strip().lower() == "none":
        return "none"
    try:
        return auto_or_number(0.05, 0.95)(value)
    except ValueError:
        raise ValueError(f"it is auto, none or a number from 0.05 to 0.95, not {value!r}.") from None


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
        raise ValueError(f"{text!r} is not a regular expression: {error}.") from None
    if groups == 0:
        raise ValueError(f"it is a number of frames, folder, all, or a pattern with a group as (.+)_e, not {text!r}.")
    return text


@dataclass(frozen=True)
class RetinexControls(Controls):
    """The knobs of `retinex`."""

    under: float = knob(
        1.0,
        "How much dark areas are brightened: 0 not at all, 1 as trained, 2 much more.",
        minimum=0.0,
        maximum=MOST,
    )
    over: float = knob(
        1.0,
        "How much bright areas are darkened: 0 not at all, 1 as trained, 2 much more.",
        minimum=0.0,
        maximum=MOST,
    )
    target: float | Literal["auto", "none"] = knob(
        "auto",
        "Mean luma to aim for, 0.05 to 0.95, by more or less of --under and --over. auto darkens photos that are "
        "brighter than predicted from what they show, unless --under or --over is given; none leaves it to the "
        "networks.",
        parse=parse_target,
        metavar="auto|none|LUMA",
    )
    denoise: float = knob(
        1.0,
        "How much noise and JPEG artefacts are removed, 0 (none) to 1 (as trained), the finest first.",
        minimum=0.0,
        maximum=1.0,
    )
    fuse: str | int | None = knob(
        None,
        "Fuse several exposures of a scene into one photo: every N in turn, each folder, all, or those whose file "
        "names share what the group of a regular expression matches, such as '(.+)_e[0-9]'; frames must be aligned, "
        "and --under and --over do not apply.",
        parse=parse_fuse,
        metavar="N|folder|all|REGEX",
    )
    model: Literal["paper", "full"] = knob(
        "paper",
        "Which network finds the illumination: the paper's, which sees tones, or one of forty times the parameters, "
        "which sees the scene and aims for what a fused bracket of it would look like; it takes the same time.",
        choices=("paper", "full"),
    )
    maps: bool = knob(False, "Also write <name>_maps.png, both illumination maps and the fusion weights.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fuse is not None and not (self.under == self.over == 1.0 and self.target == "auto"):
            raise UsageError("--under, --over and --target do not apply to --fuse; leave them out.")
        if self.fuse is not None and self.model != "paper":
            raise UsageError("--model does not apply to --fuse, which needs no illumination; leave it out.")

    @property
    def predicts(self) -> bool:
        """Whether the brightness of the photo is predicted."""
        return self.target == "auto" and self.under == self.over == 1.0 and self.fuse is None

    @property
    def stacks(self) -> str | int | None:
        """`--fuse`."""
        return self.fuse


METHOD = Method(
    name="retinex",
    summary="Under- and over-exposure fixed together: illumination of the photo and its negative, fused and denoised.",
    paper="Fast Enhancement for Non-Uniform Illumination Images using Light-weight CNNs (NUI-Net)",
    controls=RetinexControls,
    enhancer="enhance_cli.methods.retinex.enhancer:Retinex",
    plan="enhance_cli.methods.retinex.plan:RetinexPlan",
    halo=HALO,
    fuses=True,
    illustrations=("maps",),
    weights=("illumination", "fusion", "illumination-full", "fusion-full", "restoration"),
    half=("illumination-full",),  # the small one changes results by up to 0.77 of a level
)
