"""What the networks of local reach in each area, and sheets of what it does.

    python -m benchmarks.ablations.local DATA --parts areas --runs RUNS [--only NAME ...]
    python -m benchmarks.ablations.local DATA --parts portraits shapes degrees variants --out OUT [--runs RUNS]

RUNS keeps the trainings of the networks and of their variants, from DATA/train as `enhance train local` takes it; what
is there is not trained again. Printed is a JSON line for each row of:

    areas      the networks beside their global twins, which learn to light whole pictures alone, and those that learn
               without the smooth loss. They run in torch on whole photos, and nothing is locked: what is measured is
               what was learned. Masks are the paper's circles, of 2/7 of the shorter side and a transition of .22 of
               that, at a place drawn for each photo with at least
               60 % of the disc inside it. For lol, under and `synthetic` (photos of clean darkened):
               `A` (PSNR and SSIM against the reference in the lit area; a global twin lights everything), `input` (PSNR
               of the input there), `C` (PSNR against the input outside, median), `full` (PSNR against the reference
               under a full mask), `hue` (its median change, degrees). For each network: `two_tone` under a full
               mask; `fall_off`, the least and median Spearman correlation of luma with the distance to a disc on
               flat photos; `bend`, the median over photos of the largest second difference of the rings' mean luma in
               the transition, as a multiple of that of the reference blended into the input by the fall-off

and nothing for the sheets, a photo in each row: input, regions, output.

    portraits  DATA/portraits/image two stops down, masks of DATA/portraits/mask
    shapes     strokes, text, tiny, full, empty and other masks that training never showed
    degrees    the same light from .8 to 1.3
    variants   a disc of light by each trained network of a backbone, nothing locked, and below each output the stops
               that it gained, black for none and white for the most
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.lib import sheets
from benchmarks.lib.bench import Bench, Part, Row, run
from benchmarks.lib.two_tone import two_tone_flatness, two_tone_pictures
from enhance_cli.methods.local import masks
from enhance_cli.methods.local.overlay import draw_regions
from enhance_cli.methods.local.training import train as training
from enhance_cli.quality.blind import hue_change
from enhance_cli.quality.pictures import luma, read_rgb
from enhance_cli.quality.reference import ssim_map
from enhance_cli.training import degradations
from enhance_cli.training.options import TrainOptions
from enhance_cli.types import Image, Metadata

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


def trained(bench: Bench, name: str) -> torch.nn.Module:
    """The network of a variant, trained if RUNS does not hold it."""
    torch.set_num_threads(1)
    backbone, recipe = VARIANTS[name]
    recipe = replace(recipe, schedule=recipe.schedule.lasting(bench.asked.iterations))
    options = TrainOptions(bench.data / "train", bench.asked.runs, resume=True)
    module = training.fresh(backbone, options.seed)
    album = training.Album.read(options.data, recipe, lambda sentence: None)
    training.fit(module, backbone, album, options, recipe, lambda sentence: None, name)
    return module.eval()


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


def tasks(bench: Bench, name: str) -> Iterator[Task]:
    """The pairs of a set with a disc each; `synthetic` darkens the good photos of `clean`."""
    for index, (image, reference) in enumerate(bench.pairs("clean" if name == "synthetic" else name)):
        if name == "synthetic":
            picture = reference.astype(np.float32) / np.float32(255.0)
            image = degradations.lowlight(picture, degradations.generator(11, index))
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


# --- sheets ----------------------------------------------------------------------------------------------------

HEIGHT = 300
"""Of a row of a sheet, in pixels."""


def darker(picture: Codes, stops: float = 2.0) -> Codes:
    """A picture with less light, by a gamma of 2.2."""
    light = (picture / 255.0) ** 2.2 * 2.0**-stops
    return np.rint(255.0 * light ** (1 / 2.2)).astype(np.uint8)


Cells = list[tuple[str, Codes]]


def row(bench: Bench, picture: Codes, label: str, source: str = "", **controls: Any) -> Cells:
    """Input, regions, output."""
    result = bench.method.enhance(Image(picture, metadata=Metadata(source=source)), **controls)
    regions = draw_regions(Image(picture), result.plan.fall_off, (result.plan.top, result.plan.left))
    return [(label, picture), ("", regions), ("", result.array)]


def unpaired(bench: Bench, first: int, count: int) -> list[tuple[str, Codes]]:
    """Some dark photos of training, which have no reference."""
    paths = sorted((bench.data / "train" / "unpaired_dark").glob("*.jpg"))
    return [(path.stem, read_rgb(path)) for path in paths[first :: max(len(paths) // count, 1)]]


def portraits(bench: Bench, **controls: Any) -> Iterator[Cells]:
    """Soft mattes, then hard masks: as the defaults have them, and eroded."""
    folder = bench.data / "portraits"
    for path in sorted((folder / "image").glob("p3m_*")):
        yield row(bench, darker(read_rgb(path)), path.stem, path.name, mask=folder / "mask", **controls)
    for path in sorted((folder / "image").glob("vikram_*"))[:6]:
        dark = darker(read_rgb(path))
        yield row(bench, dark, path.stem, path.name, mask=folder / "mask", **controls)
        eroded = {"transition": "3%", "transition_mode": "erode"}
        yield row(bench, dark, "erode 3%", path.name, mask=folder / "mask", **eroded, **controls)


def shapes(bench: Bench, **controls: Any) -> Iterator[Cells]:
    """Strokes, text, tiny, full, empty and more."""
    for _, picture in unpaired(bench, 5, 3):
        for label, mask in drawn(*picture.shape[:2]):
            yield row(bench, picture, label, mask=mask, **controls)


def drawn(height: int, width: int) -> Iterator[tuple[str, Any]]:
    """Labels and masks."""
    random = np.random.default_rng(1)
    side = min(height, width)
    strokes, text = np.zeros((2, height, width), np.uint8)
    for _ in range(4):
        steps = random.integers(-side // 5, side // 4, (6, 2))
        line = (np.cumsum(steps, axis=0) + np.array((width // 4, height // 3))).astype(np.int32)
        cv2.polylines(strokes, [line], False, (255,), max(2, side // 50), cv2.LINE_AA)
    place = (width // 10, int(height * 0.65))
    cv2.putText(text, "LIGHT", place, cv2.FONT_HERSHEY_DUPLEX, width / 230, (255,), max(2, width // 50), cv2.LINE_AA)
    yield "strokes", strokes
    yield "text", text
    yield "tiny", "circle:50%,50%,2%"
    yield "full", "rect:0,0,100%,100%"
    yield "empty", np.zeros((height, width), np.uint8)
    yield "a gradient", np.repeat(np.linspace(0, 1, width)[None], height, axis=0)
    yield "luma<0.2", "luma<0.2"
    yield "two", "circle:25%,50%,15%+rect:60%,30%,25%,40%"


def degrees(bench: Bench, **controls: Any) -> Iterator[Cells]:
    """The same light from .8 to 1.3."""
    for label, picture in unpaired(bench, 3, 4):
        cells = [(label, picture)]
        for degree in (0.8, 0.9, 1.0, 1.1, 1.2, 1.3):
            result = bench.method.enhance(picture, mask="circle:50%,50%,30%", degree=degree, **controls)
            cells.append((f"{degree:g}", result.array))
        yield cells


def variants(bench: Bench, backbone: str) -> Iterator[Cells]:
    """Each trained network of a backbone beside the shipped one, on dark photos and on a flat tone."""
    modules = {name: trained(bench, name) for name in (backbone, f"{backbone}-no-smooth")}
    flat = ("flat", np.full((300, 400, 3), 25, np.uint8))
    for index, (label, picture) in enumerate((*unpaired(bench, 7, 3), flat)):
        scale = HEIGHT / min(picture.shape[:2])
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        mask = disc(*small.shape[:2], degradations.generator(5, index))
        outputs = [light(module, small, mask) for module in modules.values()]
        gains = [np.log2((luma(one) + 2.0) / (luma(small) + 2.0)) for one in outputs]
        most = max(float(np.quantile(gain, 0.99)) for gain in gains)
        shades = [np.rint(255.0 * np.clip(gain / max(most, 0.1), 0.0, 1.0)).astype(np.uint8) for gain in gains]
        yield [(label, small), *zip(modules, outputs, strict=True)]
        fall_off = np.rint(255.0 * mask[1]).astype(np.uint8)
        yield [("", np.repeat(shade[..., None], 3, axis=2)) for shade in (fall_off, *shades)]


def areas(bench: Bench) -> Iterator[Row]:
    """A row for each variant."""
    sets = {name: list(tasks(bench, name)) for name in ("lol", "under", "synthetic")}
    for name in bench.asked.only or VARIANTS:
        module, whole = trained(bench, name), name.endswith("-global")
        row: Row = {"case": name, "parameters": sum(value.numel() for value in module.parameters())}
        row |= {kind: judged(module, found, whole=whole) for kind, found in sets.items()}
        uneven = flatness(module)
        row["two_tone"] = {"median": statistics.median(uneven), "worst": max(uneven)}
        if not whole:
            correlations = falls(module)
            row["fall_off"] = [min(correlations), statistics.median(correlations)]
            row["bend"] = {kind: bend(module, found) for kind, found in sets.items()}
        yield row


def sheet(made: Callable[..., Iterator[Cells]]) -> Part:
    """A part that draws a sheet for each backbone."""

    def part(bench: Bench) -> Iterator[Row]:
        for backbone in ("deepupe", "star"):
            sheets.write(bench.asked.out, f"{made.__name__}-{backbone}", list(made(bench, backbone=backbone)), HEIGHT)
        yield from ()

    return part


PARTS = {
    "areas": areas,
    "portraits": sheet(portraits),
    "shapes": sheet(shapes),
    "degrees": sheet(degrees),
    "variants": sheet(variants),
}


if __name__ == "__main__":
    run("local", __doc__, PARTS, photos=100)
