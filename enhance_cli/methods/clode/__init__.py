"""CLODE: low-light enhancement as a neural ODE, whose integration time is the user's exposure control.

This file holds only what `--help` needs: the controls and the declaration.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from enhance_cli.controls import Controls, PictureFolder, auto_or_number, knob
from enhance_cli.errors import UsageError
from enhance_cli.types import Method, SourceName

HALO = 8
"""Pixels of context around a window: no denoiser looks further."""

LOWEST_TIME, HIGHEST_TIME = -3.0, 6.0
"""The range of `--time`: the networks' outputs are bounded, so times beyond the trained range are safe."""

TRAINED_TIMES = (-3.0, 5.0)
"""The range of times in training; the report has a note for times outside of it."""

Times = tuple[float, ...] | Literal["auto", "best"]


def parse_time(value: Any) -> Times:
    """Read `3`, `1,2,3,4`, `auto` or `best`; or take a number or a sequence of numbers."""
    if isinstance(value, str) and value.strip().lower() in ("auto", "best"):
        return "auto" if value.strip().lower() == "auto" else "best"
    try:
        parts = value.split(",") if isinstance(value, str) else value if isinstance(value, Sequence) else [value]
        times = tuple(float(part) for part in parts)
    except (ValueError, TypeError):
        raise ValueError(f"a time is a number, a list such as 1,2,3, auto or best, not {value!r}.") from None
    if not times or not all(LOWEST_TIME <= time <= HIGHEST_TIME for time in times):  # also refuses NaN
        raise ValueError(f"times lie between {LOWEST_TIME:g} and {HIGHEST_TIME:g}, not {value!r}.")
    if len(set(times)) != len(times):
        raise ValueError(f"{value!r} names a time twice.")
    return times


def _report_time(times: Times) -> Any:
    return times if isinstance(times, str) else times[0] if len(times) == 1 else list(times)


def parse_proxy(value: Any) -> str:
    """Read a size as text or number; the choices are checked by the knob."""
    return str(value).strip().lower()


@dataclass(frozen=True)
class References(PictureFolder):
    """References for `--time best`: a folder of files matched by stem, or one array from Python."""

    pixels: Any = None

    @classmethod
    def parse(cls, value: Any) -> References:
        """List a folder, or take an array."""
        if isinstance(value, References):
            return value
        if not isinstance(value, str | Path):
            return cls("", pixels=value)
        return cls(str(value), cls.listed(value))


@dataclass(frozen=True)
class ClodeControls(Controls):
    """The knobs of `clode`."""

    time: Times = knob(
        (3.0,),
        "Exposure time, -3 to 6: above 0 brightens, below 0 darkens, 0 keeps the exposure; a list such as 1,2,3 writes "
        "one photo per time, as <name>_t<T>; auto finds the time that reaches --target; best finds the time that comes "
        "closest to --reference.",
        parse=parse_time,
        metavar="T|T,T,...|auto|best",
        report=_report_time,
    )
    target: float | Literal["auto"] = knob(
        "auto",
        "Mean luma that --time auto aims for, 0.05 to 0.95; auto predicts it from what the photo shows.",
        parse=auto_or_number(0.05, 0.95),
        metavar="auto|LUMA",
    )
    dead_band: float = knob(
        0.08,
        "With --time auto, keep photos whose mean luma is within this distance of --target.",
        minimum=0.0,
        maximum=1.0,
    )
    reference: References | None = knob(
        None,
        "With --time best: a folder with a reference of the same file name (any suffix) for every input.",
        parse=References.parse,
        metavar="DIR",
        report=lambda references: references.path,
    )
    denoise: float | Literal["auto"] = knob(
        "auto",
        "Share of the estimated noise to remove, 0 to 1; auto decides by how visible the gain makes the noise.",
        parse=auto_or_number(0.0, 1.0),
        metavar="auto|SHARE",
    )
    model: Literal["auto", "full", "lite"] = knob(
        "auto",
        "Size of the networks: full is the paper's, lite is made for CPUs, auto is full on CUDA and lite on a CPU.",
        choices=("auto", "full", "lite"),
    )
    proxy: str = knob(
        "256",
        "Longer side in pixels of the copy that the networks see; full is all pixels, as in the paper, and slow.",
        parse=parse_proxy,
        choices=("256", "384", "512", "full"),
    )
    colour: Literal["channel", "ratio", "blend"] = knob(
        "blend",
        "Apply the curve to each channel, as one ratio to all three, or as a blend of both.",
        choices=("channel", "ratio", "blend"),
    )
    solver: str = knob(
        "logit-heun",
        "Solver of the differential equation: in logits (logit-*), or in pixel values as in the paper.",
        choices=("logit-heun", "logit-rk4", "logit-euler", "dopri5", "rk4", "midpoint", "euler"),
    )
    steps: int = knob(
        6, "Steps of a fixed-step solver for three units of time (its step is 3/STEPS).", minimum=1, maximum=1000
    )
    tol: float = knob(1e-5, "Absolute and relative tolerance of dopri5.", minimum=1e-9, maximum=0.1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.time == "best" and self.reference is None:
            raise UsageError(
                "--time best needs --reference, a folder with a reference of the same file name for every input."
            )
        if self.time != "best" and self.reference is not None:
            raise UsageError("--reference needs --time best.")

    @property
    def looks_for_names(self) -> bool:
        """Whether names decide which reference a photo gets: they do with a folder."""
        return self.reference is not None and self.reference.pixels is None

    def companions(self, source: SourceName) -> Mapping[str, Path]:
        """The reference of this photo."""
        if self.reference is None or self.reference.pixels is not None:
            return {}
        try:
            return {"reference": Path(self.reference.for_source(source))}
        except ValueError as error:
            raise UsageError(f"--reference: {error}") from None

    def variants(self) -> tuple[tuple[str, Controls], ...]:
        """One variant for each time of a list."""
        if isinstance(self.time, str) or len(self.time) == 1:
            return super().variants()
        return tuple((f"_t{time:g}", dataclasses.replace(self, time=(time,))) for time in self.time)


METHOD = Method(
    name="clode",
    summary="Exposure as a continuous control: a neural ODE brightens or darkens for as long as --time says.",
    paper="CLODE: continuous exposure learning for low-light image enhancement using neural ODEs",
    controls=ClodeControls,
    enhancer="enhance_cli.methods.clode.enhancer:Clode",
    plan="enhance_cli.methods.clode.plan:ClodePlan",
    halo=HALO,
    weights=("estimator-full", "estimator-lite", "denoiser-full", "denoiser-lite"),
    half=("denoiser-full", "denoiser-lite"),
    shares=("exposure",),
)
