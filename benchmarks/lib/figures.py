"""The figures of a set: what is measured of one output, and means or medians over the set."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from benchmarks.lib.backlit import recovery
from benchmarks.lib.sets import PAIRED, Sample, white
from benchmarks.lib.two_tone import two_tone_flatness
from enhance_cli.quality.blind import hue_change, loe
from enhance_cli.quality.evaluate import PSNR_CAP
from enhance_cli.quality.lab import lab
from enhance_cli.quality.pictures import Picture, luma
from enhance_cli.quality.reference import mean_matched, psnr, ssim

Row = dict[str, Any]


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
    """Likeness to the reference, and what happened to the input's order of lightness and its hues."""
    return likeness(output, sample.reference) | {"loe": loe(output, sample.pixels)} | hues(sample.pixels, output)


def hues(before: Picture, after: Picture) -> Row:
    """Change of hue in degrees; and of both pictures blurred, as a noisy pixel has mostly the hue of its noise."""
    blurred = (cv2.GaussianBlur(codes, (0, 0), 2.0) for codes in (before, after))
    return {"hue": hue_change(before, after), "hue_blurred": hue_change(*blurred)}


def shade(sample: Sample, output: Picture) -> Row:
    """What came back of the light that was taken, and what the rest became."""
    return recovery(sample.made, output)._asdict()


def clipped(sample: Sample, output: Picture) -> Row:
    """What white becomes, 0..1, and the mean chroma as a multiple of the input's."""
    chroma = [
        float(np.hypot(*np.moveaxis(lab(codes.astype(np.float64)), 2, 0)[1:]).mean())
        for codes in (sample.pixels, output)
    ]
    return {
        "white": float(luma(output)[white(sample.pixels)].mean()) / 255.0,
        "chroma": chroma[1] / max(chroma[0], 1e-9),
    }


def flatness(sample: Sample, output: Picture) -> Row:
    """Unevenness of a flat tone as a share of the step between the tones."""
    return {"uneven": two_tone_flatness(sample.pixels, output)}


def light(sample: Sample, output: Picture) -> Row:
    """Mean luma before and after, 0..1."""
    return {"before": float(luma(sample.pixels).mean()) / 255.0, "after": float(luma(output).mean()) / 255.0}


MEASURES: dict[str, Callable[[Sample, Picture], Row]] = {
    **dict.fromkeys((*PAIRED, "clean"), pair),
    "two-tone": flatness,
    "backlit": shade,
    "clipped": clipped,
    "dark": light,
}


def summary(name: str, rows: Sequence[Row]) -> Row:
    """The figures of a set from those of its photos; a figure that no photo has is None."""

    def over(figure: str, kind: Callable[[Any], float]) -> float | None:
        values = [row[figure] for row in rows if row[figure] is not None]
        return kind(values) if values else None

    def share(holds: Callable[[Row], bool]) -> int:
        return sum(holds(row) for row in rows)

    median, mean = statistics.median, statistics.fmean
    hue = {"hue": ("hue", median), "hue_worst": ("hue", max), "hue_blurred": ("hue_blurred", median)}
    match name:
        case "clean":
            wanted = {"ssim_matched": ("ssim_matched", median), "ssim_matched_least": ("ssim_matched", min)}
            wanted |= {"psnr": ("psnr", median), **hue}
            counts = {"unchanged": share(lambda row: row["psnr"] >= PSNR_CAP)}
        case "two-tone":
            wanted, counts = {"median": ("uneven", median), "worst": ("uneven", max)}, {}
        case "backlit":
            wanted = {"regained": ("regained", median), "moved": ("moved", median)}
            counts = {
                "regained_half": share(lambda row: row["regained"] >= 0.5),
                "moved_below_8": share(lambda row: row["moved"] < 8.0),
            }
        case "clipped":
            wanted = {"white_least": ("white", min), "chroma": ("chroma", median), "chroma_worst": ("chroma", max)}
            counts = {"chroma_above_1.5": share(lambda row: row["chroma"] > 1.5)}
        case "dark":
            wanted, counts = {"before": ("before", mean), "after": ("after", mean)}, {}
        case _:
            figures = ("psnr", "ssim", "psnr_matched", "ssim_matched", "loe")
            wanted, counts = {figure: (figure, mean) for figure in figures} | hue, {}
    return {"photos": len(rows), **{key: over(*how) for key, how in wanted.items()}, **counts}
