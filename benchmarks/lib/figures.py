"""The figures of a set: the measures of one output, and the aggregates over the set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, median
from typing import Any, NamedTuple

import cv2
import numpy as np

from benchmarks.lib.fusion import mef_ssim
from benchmarks.lib.sets import PAIRED, Sample
from benchmarks.lib.two_tone import two_tone_flatness
from enhance_cli.quality import faults
from enhance_cli.quality.blind import hue_change, loe
from enhance_cli.quality.evaluate import PSNR_CAP
from enhance_cli.quality.pictures import Picture, luma
from enhance_cli.quality.reference import delta_e_2000, mean_matched, psnr, ssim

Row = dict[str, Any]


class Measure(NamedTuple):
    """What is measured on a set."""

    photo: Callable[[Sample, Picture], Row]
    """The figures of a sample and what was made of it; None for a figure that it does not have."""

    figures: Mapping[str, tuple[str, Callable[[Sequence[float]], float]]]
    """The set's figures: of which figure of the photos, and how they become one."""


def likeness(output: Picture, reference: Picture) -> Row:
    """PSNR and SSIM, plain and with the output scaled to the reference's mean."""
    matched = mean_matched(output, reference)
    return {
        "psnr": min(psnr(output, reference), PSNR_CAP),
        "ssim": ssim(output, reference),
        "psnr_matched": min(psnr(matched, reference), PSNR_CAP),
        "ssim_matched": ssim(matched, reference),
    }


def pair(sample: Sample, output: Picture) -> Row:
    """Similarity to the reference, tones relative to it, and changes of the input's order of lightness and hues.

    Hues change by `hue` degrees, and by `hue_blurred` with both photos blurred, because a noisy pixel has mostly the
    hue of its noise.
    """
    blurred = (cv2.GaussianBlur(codes, (0, 0), 2.0) for codes in (sample.pixels, output))
    hues = {"hue": hue_change(sample.pixels, output), "hue_blurred": hue_change(*blurred)}
    tones = faults.veil(output, sample.reference)._asdict() | {"delta_e": delta_e_2000(output, sample.reference)}
    return likeness(output, sample.reference) | tones | {"loe": loe(output, sample.pixels)} | hues


def skin(sample: Sample, output: Picture) -> Row:
    """Skin in the marked boxes, less what is clipped and has no hue."""
    place = sample.made & (sample.pixels.min(axis=2) < faults.CLIPPED)
    was, found = (faults.skin(sample.pixels, codes, place) for codes in (sample.pixels, output))
    dark = was is not None and found is not None and was.luma > 0.6 and found.luma < 0.35
    return {**fields(found, faults.Skin), "darkened": float(dark)}


def fields(found: Any, kind: Any) -> Row:
    """The fields of a measure; None each if there was nothing to measure."""
    return dict.fromkeys(kind._fields) if found is None else found._asdict()


def portrait(sample: Sample, outputs: Picture) -> Row:
    """Leakage of light from the mask, and light inside it, from two outputs: with the mask and with everything lit.

    `spilt` is the rise of luma, in levels, of the background up to 8 pixels from the mask; `inside` is the rise of the
    person 12 pixels or more from the mask's edge, as a share of the rise when everything is lit.
    """
    person = (sample.made >= 128).astype(np.uint8)
    outside, depth = (cv2.distanceTransform(part, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for part in (1 - person, person))
    before, masked, everything = (luma(codes) for codes in (sample.pixels, *outputs))
    near, deep = (outside > 0) & (outside <= 8) & (sample.made == 0), depth >= 12
    gain = float((everything - before)[deep].mean()) if deep.any() else 0.0
    return {
        "spilt": float((masked - before)[near].mean()) if near.any() else None,
        "inside": float((masked - before)[deep].mean()) / gain if gain >= 1.0 else None,
    }


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
ON_PAIRS = {
    **{name: (name, fmean) for name in ("psnr", "ssim", "psnr_matched", "ssim_matched", "delta_e", "loe")},
    **{name: (name, median) for name in faults.Veil._fields},
}

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
    "shade": Measure(
        lambda sample, output: fields(faults.shade(sample.pixels, output, sample.reference), faults.Shade),
        {"regained": ("regained", median), "bright": ("bright", median)},
    ),
    "highlights": Measure(
        lambda sample, output: fields(faults.highlights(sample.pixels, output), faults.Highlights),
        {
            "white": ("level", median),
            "white_least": ("level", min),
            "contours": ("contours", median),
            "contours_worst": ("contours", max),
            "grey": ("level", count(lambda level: level < 250.0)),
            "contoured": ("contours", count(lambda share: share >= 0.001)),
        },
    ),
    "skin": Measure(
        skin,
        {
            "turn": ("turn", median),
            "turn_worst": ("turn", max),
            "chroma": ("chroma", median),
            "chroma_worst": ("chroma", max),
            "darkened": ("darkened", sum),
        },
    ),
    "empty-dark": Measure(
        lambda sample, output: fields(faults.empty_dark(sample.pixels, output, sample.made), faults.EmptyDark),
        {
            "noise": ("noise", median),
            "noise_worst": ("noise", max),
            "lifted": ("lifted", median),
            "lifted_worst": ("lifted", max),
        },
    ),
    "portraits": Measure(
        portrait, {"spilt": ("spilt", median), "inside": ("inside", median), "inside_least": ("inside", min)}
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
