"""What the networks of local reach in each area, beside their global twins, which learn to light whole images alone,
and those that learn without the smooth loss.

They run in torch on whole photos, and nothing is locked: what is measured is what was learned. Masks are the paper's
circles, of 2/7 of the shorter side and a transition of 0.22 of that, at a place drawn for each photo with at least 60 %
of the disc inside it. For lol, under and `synthetic` (photos of clean darkened): `A` (PSNR and SSIM against the
reference in the lit area; a global twin lights everything), `input` (PSNR of the input there), `C` (PSNR against the
input outside, median), `full` (PSNR against the reference under a full mask), `hue` (its median change, degrees). For
each network: `two_tone` under a full mask; `fall_off`, the least and median Spearman correlation of luma with the
distance to a disc on flat photos; `bend`, the median over photos of the largest second difference of the rings' mean
luma in the transition, as a multiple of that of the reference blended into the input by the fall-off.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.lib.program import Asked, Row
from benchmarks.lib.sets import samples
from benchmarks.lib.two_tone import two_tone_flatness, two_tone_pictures
from enhance_cli.methods.local import masks
from enhance_cli.methods.local.training import train as training
from enhance_cli.quality.blind import hue_change
from enhance_cli.quality.pictures import luma
from enhance_cli.quality.reference import ssim_map
from enhance_cli.training import degradations
from enhance_cli.training.options import TrainOptions

Codes = NDArray[np.uint8]
Plane = NDArray[np.float32]

RIM = 5
"""Pixels at each border that SSIM's windows do not reach."""

VARIANTS = {
    f"{backbone}{about}": (backbone, recipe)
    for backbone in training.PARTS
    for about, recipe in {
        "": training.Recipe(),
        "-global": training.Recipe(whole=1.0),
        "-no-smooth": training.Recipe(transition=0.0),
    }.items()
}
"""Backbone and recipe of each network that is measured."""


def trained(asked: Asked, name: str) -> torch.nn.Module:
    """The network of a variant, trained if --runs does not hold it."""
    backbone, recipe = VARIANTS[name]
    recipe = replace(recipe, schedule=recipe.schedule.lasting(asked.iterations))
    options = TrainOptions(asked.data / "train", asked.runs, resume=True)
    module = training.fresh(backbone, options.seed)
    album = training.Album.read(options.data, recipe, lambda sentence: None)
    training.fit(module, backbone, album, options, recipe, lambda sentence: None, name)
    return module.eval()


class Task(NamedTuple):
    """A photo, what it is to become, and a mask of 2×H×W."""

    image: Codes
    reference: Codes
    mask: Plane


def disc(height: int, width: int, random: np.random.Generator) -> Plane:
    """The paper's circle, at a place where at least 60 % of it lie inside the photo."""
    radius = 2.0 / 7.0 * min(height, width)
    y, x = np.mgrid[:height, :width]
    while True:
        at = random.uniform(0.0, 1.0, 2) * (height, width)
        inside = np.hypot(y - at[0], x - at[1]) < radius
        if inside.sum() >= 0.6 * math.pi * radius**2:
            cover = inside.astype(np.float32)
            return np.stack([cover, masks.fall_off(cover, masks.OF_RADIUS * radius)])


def tasks(asked: Asked, name: str) -> Iterator[Task]:
    """The pairs of a set with a disc each; `synthetic` darkens the good photos of `clean`."""
    for index, sample in enumerate(samples(asked.data, "clean" if name == "synthetic" else name, asked.photos)):
        image = sample.pixels
        if name == "synthetic":
            light = sample.reference.astype(np.float32) / np.float32(255.0)
            image = degradations.lowlight(light, degradations.generator(11, index))
        yield Task(image, sample.reference, disc(*image.shape[:2], degradations.generator(12, index)))


def lit(module: torch.nn.Module, image: Codes, mask: Plane | None = None) -> Codes:
    """The network's output in 8 bits, under a full mask if there is none."""
    tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float()[None] / 255.0
    mask = np.ones((2, *image.shape[:2]), np.float32) if mask is None else mask
    output = training.lit(module, tensor, torch.from_numpy(mask)[None])
    return (output[0].numpy().transpose(1, 2, 0) * 255.0).round().astype(np.uint8)


def area_psnr(output: Codes, reference: Codes, area: NDArray[np.bool_]) -> float:
    """PSNR over an area; at most 98.1."""
    error = float(((output[area].astype(np.float64) - reference[area]) ** 2).mean())
    return 10.0 * math.log10(255.0**2 / max(error, 1e-5))


def judged(module: torch.nn.Module, found: list[Task], *, whole: bool) -> Row:
    """One set's figures; a global twin (`whole`) sees a full mask whatever the task's is."""
    rows: list[Row] = []
    for task in found:
        everywhere = lit(module, task.image)
        output = everywhere if whole else lit(module, task.image, task.mask)
        inside, outside = task.mask[0] > 0.5, task.mask[1] <= 0.0
        row: Row = {"psnr": area_psnr(output, task.reference, inside)}
        row["ssim"] = float(ssim_map(output, task.reference)[inside[RIM:-RIM, RIM:-RIM]].mean())
        row["input"] = area_psnr(task.image, task.reference, inside)
        row["unchanged"] = area_psnr(output, task.image, outside)
        row["full"] = area_psnr(everywhere, task.reference, np.ones_like(inside))
        row["hue"] = hue_change(task.image, everywhere)
        rows.append(row)
    mean = {name: statistics.fmean(row[name] for row in rows) for name in ("psnr", "ssim", "input", "full")}
    hues = [row["hue"] for row in rows if row["hue"] is not None]
    figures: Row = {"A": f"{mean['psnr']:.2f}/{mean['ssim']:.3f}", "input": mean["input"], "full": mean["full"]}
    if not whole:
        figures["C"] = statistics.median(row["unchanged"] for row in rows)
    return figures | {"hue": statistics.median(hues) if hues else None}


def rings(picture: Codes, mask: Plane, count: int = 24) -> NDArray[np.float64]:
    """Mean luma of rings of equal fall-off, from area C to area A."""
    values, share = luma(picture), mask[1]
    edges = np.linspace(0.0, 1.0, count + 1)
    parts = [share <= 0.0] + [(share > a) & (share <= b) & (mask[0] < 0.5) for a, b in pairwise(edges)]
    return np.array([values[part].mean() for part in (*parts, mask[0] > 0.5) if part.any()])


def falls(module: torch.nn.Module) -> list[float]:
    """Spearman's correlation of the rings' luma with their order, on flat photos."""
    found = []
    for index, tone in enumerate((8, 15, 25, 40, 60, 90)):
        flat = np.full((256, 320, 3), tone, np.uint8)
        mask = disc(256, 320, degradations.generator(13, index))
        series = rings(lit(module, flat, mask), mask)
        order = np.argsort(np.argsort(series, kind="stable"), kind="stable")
        found.append(float(np.corrcoef(order, np.arange(len(series)))[0, 1]))
    return found


def bend(module: torch.nn.Module, found: list[Task]) -> float:
    """How much more sharply the light turns within area B than in the blended reference; median."""
    turns = []
    for task in found:
        share = task.mask[1][..., None]
        blended = np.rint(task.image * (1.0 - share) + task.reference * share).astype(np.uint8)
        ours, theirs = (
            np.abs(np.diff(rings(picture, task.mask) - rings(task.image, task.mask), 2)).max()
            for picture in (lit(module, task.image, task.mask), blended)
        )
        turns.append(float(ours / max(theirs, 1e-9)))
    return statistics.median(turns)


def areas(asked: Asked) -> Iterator[Row]:
    """A row for each network; --cases names some."""
    torch.set_num_threads(1)
    sets = {name: list(tasks(asked, name)) for name in ("lol", "under", "synthetic")}
    for variant in asked.cases or VARIANTS:
        module, whole = trained(asked, variant), variant.endswith("-global")
        row: Row = {"case": variant, "parameters": sum(value.numel() for value in module.parameters())}
        row |= {name: judged(module, found, whole=whole) for name, found in sets.items()}
        uneven = [two_tone_flatness(one.pixels, lit(module, one.pixels)) for one in two_tone_pictures()]
        row["two_tone"] = {"median": statistics.median(uneven), "worst": max(uneven)}
        if not whole:
            correlations = falls(module)
            row["fall_off"] = [min(correlations), statistics.median(correlations)]
            row["bend"] = {name: bend(module, found) for name, found in sets.items()}
        yield row
