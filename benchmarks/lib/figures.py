"""The figures of a set: what is measured of one output, and what is said of the set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, median
from typing import Any, NamedTuple

import cv2
import numpy as np

from benchmarks.lib.backlit import recovery
from benchmarks.lib.fusion import mef_ssim
from benchmarks.lib.sets import PAIRED, Sample, clipped
from benchmarks.lib.two_tone import two_tone_flatness
from enhance_cli.quality.blind import hue_change, loe
from enhance_cli.quality.evaluate import PSNR_CAP
from enhance_cli.quality.lab import lab
from enhance_cli.quality.pictures import Picture, luma
from enhance_cli.quality.reference import mean_matched, psnr, ssim

Row = dict[str, Any]


class Measure(NamedTuple):
    """What is measured on a set."""

    photo: Callable[[Sample, Picture], Row]
    """The figures of a sample and what was made of it; None for a figure that it does not have."""

    figures: Mapping[str, tuple[str, Callable[[Sequence[float]], float]]]
    """The set's figures: of which figure of the photos, and how they become one."""


def likeness(output: Picture, reference: Picture) -> Row:
    """PSNR and SSIM as they are, and with the output scaled to the reference's mean."""
    matched = mean_matched(output, reference)
    return {
        "psnr": min(psnr(output, reference), PSNR_CAP),
        "ssim": ssim(output, reference),
        "psnr_matched": min(psnr(matched, reference), PSNR_CAP),
        "ssim_matched": ssim(matched, reference),
    }


def pair(sample: Sample, output: Picture) -> Row:
    """Likeness to the reference, and what happened to the input's order of lightness and to its hues.

    Hues turn by `hue` degrees, and by `hue_blurred` with both photos blurred, as a noisy pixel has mostly the hue of
    its noise.
    """
    blurred = (cv2.GaussianBlur(codes, (0, 0), 2.0) for codes in (sample.pixels, output))
    hues = {"hue": hue_change(sample.pixels, output), "hue_blurred": hue_change(*blurred)}
    return likeness(output, sample.reference) | {"loe": loe(output, sample.pixels)} | hues


def highlights(sample: Sample, output: Picture) -> Row:
    """What was clipped to white becomes, 0..1, and the mean chroma as a multiple of the input's."""
    before, after = (
        float(np.hypot(*lab(codes.astype(np.float64)).transpose(2, 0, 1)[1:]).mean())
        for codes in (sample.pixels, output)
    )
    white = float(luma(output)[clipped(sample.pixels)].mean()) / 255.0
    return {"white": white, "chroma": after / max(before, 1e-9)}


def fused(sample: Sample, output: Picture) -> Row:
    """MEF-SSIM against all frames, and PSNR and SSIM against the best one, which was not among them."""
    reference = sample.reference
    return {
        "mef_ssim": mef_ssim(sample.made, output),
        "psnr": psnr(output, reference),
        "ssim": ssim(output, reference),
    }


def count(holds: Callable[[float], bool]) -> Callable[[Sequence[float]], int]:
    """How many photos have a figure that meets a condition."""
    return lambda values: sum(map(holds, values))


HUE = {"hue": ("hue", median), "hue_worst": ("hue", max), "hue_blurred": ("hue_blurred", median)}
ON_PAIRS = {name: (name, fmean) for name in ("psnr", "ssim", "psnr_matched", "ssim_matched", "loe")}

MEASURES = {
    **dict.fromkeys(PAIRED, Measure(pair, {**ON_PAIRS, **HUE})),
    "clean": Measure(
        pair,
        {
            "ssim_matched": ("ssim_matched", median),
            "ssim_matched_least": ("ssim_matched", min),
            "psnr": ("psnr", median),
            **HUE,
            "unchanged": ("psnr", count(lambda decibels: decibels >= PSNR_CAP)),
        },
    ),
    "two-tone": Measure(
        lambda sample, output: {"uneven": two_tone_flatness(sample.pixels, output)},
        {"median": ("uneven", median), "worst": ("uneven", max)},
    ),
    "backlit": Measure(
        lambda sample, output: recovery(sample.made, output)._asdict(),
        {
            "regained": ("regained", median),
            "moved": ("moved", median),
            "regained_half": ("regained", count(lambda share: share >= 0.5)),
            "moved_below_8": ("moved", count(lambda levels: levels < 8.0)),
        },
    ),
    "clipped": Measure(
        highlights,
        {
            "white_least": ("white", min),
            "chroma": ("chroma", median),
            "chroma_worst": ("chroma", max),
            "chroma_above_1.5": ("chroma", count(lambda factor: factor > 1.5)),
        },
    ),
    "stacks": Measure(fused, {name: (name, fmean) for name in ("mef_ssim", "psnr", "ssim")}),
}


def summary(measure: Measure, rows: Sequence[Row]) -> Row:
    """The figures of a set from those of its photos; a figure that no photo has is None."""
    found: Row = {"photos": len(rows)}
    for name, (figure, over) in measure.figures.items():
        values = [row[figure] for row in rows if row[figure] is not None]
        found[name] = over(values) if values else None
    return found
