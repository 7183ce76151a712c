"""What the networks of local reach in each area, beside their global twins, the Concat baselines and the ablations.

    python benchmarks/local.py DATA RUNS [--parts deepupe deepupe-concat ...] [--sets lol under synthetic]

DATA is a folder with `test/` (see enhance_cli/quality/sets.py), RUNS one with the weights that `enhance train local`
left (`<part>.safetensors`). The networks run in torch on whole pictures, and nothing is locked: what is measured is
what was learned. Masks are the paper's circles, of 2/7 of the shorter side and a transition of .22 of that, at a place
drawn for each picture with at least 60 % of the disc inside it. Printed is a JSON line per part with, for each set:

    area A     PSNR and SSIM against the reference, and the input's PSNR; a global twin lights the whole picture
    area C     PSNR against the input, median
    full       PSNR against the reference over all of the picture under a full mask
    hue        median hue change under a full mask, degrees

and, for each part: `two_tone`, the flatness of nine pictures under a full mask (median and worst); `fall_off`, the
least and median Spearman correlation of luma with the distance to a disc on flat pictures; `bend`, the median over
photographs of the largest second difference of the rings' mean luma in area B, as a multiple of that of the reference
blended into the input by the fall-off.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from enhance_cli.quality.sets import pairs
from enhance_cli.quality.two_tone import two_tone_flatness, two_tone_pictures
from numpy.typing import NDArray

from enhance_cli.methods.local import masks, training
from enhance_cli.quality.blind import hue_change
from enhance_cli.quality.pictures import luma, read_rgb
from enhance_cli.quality.reference import ssim_map
from enhance_cli.training import degradations

Codes = NDArray[np.uint8]
Plane = NDArray[np.float32]
Row = dict[str, Any]

RIM = 5
"""Pixels at each border that SSIM's windows do not reach."""


class Task(NamedTuple):
    """A photograph, what it is to become, and a mask of 2×H×W."""

    image: Codes
    reference: Codes
    mask: Plane


def disc(height: int, width: int, random: np.random.Generator) -> Plane:
    """The paper's circle, at a place where at least 60 % of it lie inside the picture."""
    shorter = min(height, width)
    radius = 2.0 / 7.0 * shorter
    y, x = np.mgrid[:height, :width]
    while True:
        at = random.uniform(0.0, 1.0, 2) * (height, width)
        inside = np.hypot(y - at[0], x - at[1]) < radius
        if inside.sum() >= 0.6 * math.pi * radius**2:
            cover = inside.astype(np.float32)
            return np.stack([cover, masks.fall_off(cover, masks.OF_RADIUS * radius)])


def tasks(data: Path, name: str) -> Iterator[Task]:
    """The pairs of a set with a disc each; `synthetic` darkens the good photographs of `test/clean`."""
    for index, pair in enumerate(pairs(data, "clean" if name == "synthetic" else name)):
        reference = read_rgb(pair.reference)
        if name == "synthetic":
            picture = reference.astype(np.float32) / np.float32(255.0)
            image = degradations.lowlight(picture, degradations.generator(11, index))
        else:
            image = read_rgb(pair.input)
        yield Task(image, reference, disc(*image.shape[:2], degradations.generator(12, index)))


def light(module: torch.nn.Module, image: Codes, mask: Plane) -> Codes:
    """The network's picture in 8 bits."""
    tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float()[None] / 255.0
    output = training.lit(module, tensor, torch.from_numpy(mask)[None])
    return (output[0].numpy().transpose(1, 2, 0) * 255.0).round().astype(np.uint8)


def area_psnr(output: Codes, reference: Codes, area: NDArray[np.bool_]) -> float:
    """PSNR over an area; at most 99."""
    error = float(((output[area].astype(np.float64) - reference[area]) ** 2).mean())
    return 10.0 * math.log10(255.0**2 / max(error, 1e-5))


def area_ssim(output: Codes, reference: Codes, area: NDArray[np.bool_]) -> float:
    """The mean of SSIM's map over the windows that have their middle in an area."""
    return float(ssim_map(output, reference)[area[RIM:-RIM, RIM:-RIM]].mean())


def judged(module: torch.nn.Module, found: list[Task], *, whole: bool) -> Row:
    """One set's figures; a global twin (`whole`) sees a full mask whatever the task's is."""
    rows = []
    for task in found:
        full = np.ones_like(task.mask)
        everywhere = light(module, task.image, full)
        output = everywhere if whole else light(module, task.image, task.mask)
        inside, outside = task.mask[0] > 0.5, task.mask[1] <= 0.0
        rows.append(
            {
                "psnr": area_psnr(output, task.reference, inside),
                "ssim": area_ssim(output, task.reference, inside),
                "input": area_psnr(task.image, task.reference, inside),
                "unchanged": area_psnr(output, task.image, outside),
                "full": area_psnr(everywhere, task.reference, np.ones_like(inside)),
                "hue": hue_change(task.image, everywhere),
            }
        )

    def mean(name: str) -> float:
        return statistics.fmean(row[name] for row in rows)

    figures: Row = {"A": f"{mean('psnr'):.2f}/{mean('ssim'):.3f}", "input": round(mean("input"), 2)}
    if not whole:
        figures["C"] = round(statistics.median(row["unchanged"] for row in rows), 1)
    hues = [row["hue"] for row in rows if row["hue"] is not None]
    return figures | {"full": round(mean("full"), 2), "hue": round(statistics.median(hues), 1) if hues else None}


def flatness(module: torch.nn.Module) -> list[float]:
    """The two-tone test under a full mask."""
    found = two_tone_pictures()
    return [
        two_tone_flatness(one.pixels, light(module, one.pixels, np.ones((2, *one.pixels.shape[:2]), np.float32)))
        for one in found
    ]


def rings(picture: Codes, mask: Plane, count: int = 24) -> NDArray[np.float64]:
    """Mean luma of rings of equal fall-off, from area C to area A."""
    values, share = luma(picture), mask[1]
    edges = np.linspace(0.0, 1.0, count + 1)
    parts = [share <= 0.0] + [(share > a) & (share <= b) & (mask[0] < 0.5) for a, b in pairwise(edges)]
    return np.array([values[part].mean() for part in (*parts, mask[0] > 0.5) if part.any()])


def falls(module: torch.nn.Module) -> list[float]:
    """Spearman's correlation of the rings' luma with their order, on flat pictures."""
    found = []
    for index, tone in enumerate((8, 15, 25, 40, 60, 90)):
        flat = np.full((256, 320, 3), tone, np.uint8)
        mask = disc(256, 320, degradations.generator(13, index))
        series = rings(light(module, flat, mask), mask)
        order = np.argsort(np.argsort(series, kind="stable"), kind="stable")
        found.append(float(np.corrcoef(order, np.arange(len(series)))[0, 1]))
    return found


def bend(module: torch.nn.Module, found: list[Task]) -> float:
    """How much more sharply the light turns within area B than in the blended reference; median."""
    ratios = []
    for task in found:
        share = task.mask[1][..., None]
        blended = np.rint(task.image * (1.0 - share) + task.reference * share).astype(np.uint8)
        ours, theirs = (
            np.abs(np.diff(rings(picture, task.mask) - rings(task.image, task.mask), 2)).max()
            for picture in (light(module, task.image, task.mask), blended)
        )
        ratios.append(float(ours / max(theirs, 1e-9)))
    return statistics.median(ratios)


def main() -> None:
    """Print a line per part."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--parts", nargs="+", default=training.PARTS, choices=training.PARTS)
    parser.add_argument("--sets", nargs="+", default=["lol", "under", "synthetic"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sets = {name: list(tasks(arguments.data, name)) for name in arguments.sets}
    for part in arguments.parts:
        if not training.weights_of(arguments.runs, part).exists():
            continue
        module = training.load(arguments.runs, part)
        whole = part.endswith("-global")
        row: Row = {"part": part, "parameters": sum(value.numel() for value in module.parameters())}
        row |= {name: judged(module, found, whole=whole) for name, found in sets.items()}
        uneven = flatness(module)
        row["two_tone"] = {"median": round(statistics.median(uneven), 3), "worst": round(max(uneven), 3)}
        if not whole:
            correlations = falls(module)
            row["fall_off"] = [round(min(correlations), 3), round(statistics.median(correlations), 3)]
            row["bend"] = {name: round(bend(module, found), 2) for name, found in sets.items()}
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
