"""Auto: looks at each photo, then leaves it alone or applies the method that is expected to suit it best.

This file holds only what `--help` needs: the controls and the declaration.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from enhance_cli.controls import Controls, Listed, knob
from enhance_cli.types import Method

HALO = 144
"""Pixels of context around a window: that of the method that looks furthest."""

CHOICES = ("clahe-adaptive", "clode", "irle", "retinex")
"""The methods to choose from: those that need neither a mask nor several exposures."""


def parse_methods(value: Any) -> tuple[str, ...]:
    """Read `clahe-adaptive,retinex`, or take a sequence of names."""
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"it is a list of methods such as {CHOICES[0]},{CHOICES[-1]}, not {value!r}.")
    chosen = tuple(name.strip() for name in names)
    for name in chosen:
        if name not in CHOICES:
            raise ValueError(f"auto chooses among {', '.join(CHOICES)}, not {name!r}.")
    if not chosen:
        raise ValueError("name at least one method.")
    return tuple(name for name in CHOICES if name in chosen)


def _as_path(value: Any) -> Path:
    return Path(value)


@dataclass(frozen=True)
class AutoControls(Controls):
    """The knobs of `auto`."""

    strength: float = knob(
        1.0, "How far to go: 0 changes nothing, 1 is as chosen, up to 1.5 is stronger.", minimum=0.0, maximum=1.5
    )
    shift: float = knob(
        0.0,
        "Brighten (above 0) or darken all photos alike, by this many stops at mid grey; black and white stay. With a "
        "shift no photo is left alone.",
        minimum=-2.0,
        maximum=2.0,
        metavar="EV",
    )
    methods: tuple[str, ...] = knob(
        CHOICES,
        "Choose among these methods only, such as clahe-adaptive,retinex.",
        parse=parse_methods,
        metavar="NAME,NAME,...",
        report=list,
        show=",".join,
    )
    min_certainty: float = knob(
        0.0, "Leave photos alone whose choice is less certain than this, 0 to 1.", minimum=0.0, maximum=1.0
    )
    together: Literal["burst", "folder", "none"] = knob(
        "burst",
        "Photos that get one verdict and one amount: those of a burst or series, by their names or the times at which "
        "they were taken; those of a folder; or none.",
        choices=("burst", "folder", "none"),
    )
    only_changed: bool = knob(
        False, "Write no copies of photos that are left alone; they have a line in the report all the same."
    )
    decide: Path | None = knob(
        None,
        "Only look: write a decision for each photo to this file (JSON lines, the least certain first), and no photo. "
        "Every argument is an INPUT; `enhance apply FILE OUTPUT` then does what the file says.",
        parse=_as_path,
        metavar="FILE",
        report=str,
        decides_pixels=False,
    )
    decisions: Listed | None = knob(
        None,
        "Do what this file of --decide says, for the photos that it names; see `enhance apply`.",
        parse=Listed.parse,
        metavar="FILE",
        report=lambda listed: listed.path or None,
    )

    @property
    def writes_copies(self) -> bool:
        """Unless `--only-changed` is given."""
        return not self.only_changed

    @property
    def looks_only(self) -> Path | None:
        """`--decide`."""
        return self.decide

    def with_decisions(self, decisions: Listed) -> AutoControls:
        """The same with `--decisions` of the run itself."""
        return dataclasses.replace(self, decisions=decisions)

    @property
    def looks_together(self) -> bool:
        """Unless each photo is decided on alone, or all are decided on already."""
        return self.together != "none" and self.decisions is None

    @property
    def listed(self) -> Listed | None:
        """`--decisions`."""
        return self.decisions


METHOD = Method(
    name="auto",
    summary="Chooses the method that suits each photo, or leaves the photo alone, and says why.",
    paper="none; a choice among the other methods",
    controls=AutoControls,
    enhancer="enhance_cli.methods.auto.enhancer:Auto",
    plan="enhance_cli.methods.auto.plan:AutoPlan",
    halo=HALO,
    copies=True,
    uses=CHOICES,
    shares=("exposure",),
    weights=("chooser",),
)
