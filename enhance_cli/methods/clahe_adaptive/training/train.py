"""Training of the clahe-adaptive estimator: data mixture, loss and schedule, with a reason for every number.

Pairs of a degraded and a good image, both as luma, go through the same kernels as in production; the loss
compares the images, and its gradient reaches the clip limits through the tile curves. The loop, the
degradations and the export are those of `enhance_cli.training`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from enhance_cli.errors import UsageError
from enhance_cli.methods.clahe_adaptive import kernels_cuda as kernels
from enhance_cli.methods.clahe_adaptive import structure
from enhance_cli.methods.clahe_adaptive.adapt import Seen
from enhance_cli.methods.clahe_adaptive.counts import Counts
from enhance_cli.methods.clahe_adaptive.network import OUTPUTS, Dimensions, Estimator, limits
from enhance_cli.methods.clahe_adaptive.statistics import THUMBNAIL
from enhance_cli.methods.clahe_adaptive.tiles import fit_grid, tile_geometry
from enhance_cli.methods.clahe_adaptive.training.empty import as_it_is, in_the_dark, nothing, under_a_sky
from enhance_cli.training import loop
from enhance_cli.training.dataset import Pair, Sources, by_exposure, put_aside, put_pairs_aside, read_photographs
from enhance_cli.training.degradations import compress_shift, generator, tone_curve
from enhance_cli.training.export import Exported, export
from enhance_cli.training.options import TrainOptions
from enhance_cli.training.sheet import write_sheet

Codes = NDArray[np.uint8]
Item = TypeVar("Item")

IDENTITY = "clahe-adaptive/estimator-2"
STEM = "estimator"
DYNAMIC_AXES: Mapping[str, Mapping[int, str]] = {
    "tiles": {2: "rows", 3: "columns"},
    "tile_factor": {2: "rows", 3: "columns"},
}
HELD_OUT_EVERY = 8
"""The last of every eight clean photos, stacks and pairs, in order of name, is held out for validation."""

HELD_OUT_SEED = 77
"""Seed of the fixed validation pairs, independent of the seeds of runs."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Every number of the training, with its reason. Measurements are in `weights/clahe_adaptive/card.md`."""

    dimensions: Dimensions = field(default_factory=Dimensions)

    long_side: int = 512
    """Photos are shrunk to this; tiles of an 8×8 grid then hold the few thousand pixels of real use."""

    crop: float = 0.7
    """Share of draws cropped to between half and all of each side: more histograms from the same photos."""

    window: int = 224
    """Side of the random window in which the loss is computed: a fifth of the cost of the whole image, while
    histograms and thumbnail are those of the whole image."""

    schedule: loop.Schedule = field(
        default_factory=lambda: loop.Schedule(
            iterations=6_000,  # four minutes of one idle core
            learning_rate=3e-3,  # at the paper's 1e-4 the limits collapse to one value for all images
            validate_every=3_000,
            checkpoint_every=1_000,
        )
    )

    compress_shift: float = 0.32
    """Share of draws: the paper's own degradation of clean photos, which validation measures too."""

    tone_curve: float = 0.17
    """Share of draws: clean photos with a wrong exposure; compression alone teaches limits of 0.25."""

    stacks: float = 0.27
    """Share of draws: real frames of exposure stacks against the best exposed one; limits of 2 to 4 are best here."""

    lowlight: float = 0.15
    """Share of draws: real dark frames with noise, which need limits above 10."""

    good: float = 0.04
    """Share of draws: clean photos as they are, to be left so."""

    skies: float = 0.09
    """Share of draws: lit scenes below an empty sky, which keeps its tone; without them night skies come up grey."""

    dark: float = 0.05
    """Share of draws: clean photos darkened with noise, everything in them to be brightened."""

    nothing: float = 0.03
    """Share of draws: black frames, walls and flat tones, to be left alone."""

    grid_8x8: float = 0.2
    """Share of draws with the default grid of users."""

    grid_1x1: float = 0.15
    """Share of draws with one tile; all others draw rows and columns from 1 to `largest_grid`, as in the paper."""

    largest_grid: int = 16

    log_error: float = 0.5
    """Weight of log10(mean squared error), that is of the mean PSNR: easy images, where a strong limit does
    most harm, count as much as hopeless ones, which would dominate a sum of squared errors."""

    error_floor: float = 1e-3
    """Added to the mean squared error, so that little is gained beyond a PSNR of 30 dB."""

    structure: float = 0.4
    """Weight of 1 - SSIM, which responds to amplified noise and hardly to errors in brightness."""

    pull: float = 1e-4
    """Weight of the mean limit: above the largest bin a limit has no gradient, so it must not drift there."""


@dataclass(frozen=True, slots=True)
class Trained:
    """The results of a training."""

    exported: Exported
    figures: Mapping[str, float]
    """The last validation; see `validate`."""

    card: Path
    sheet: Path
    journal: Path


def train(
    options: TrainOptions, log: Callable[[str], None] = lambda sentence: None, recipe: Recipe | None = None
) -> Trained:
    """Train the estimator from a folder of photos and export it.

    The folder holds `clean/` (or the photos themselves) and, where there are any, `exposure/sice512/` and
    `paired_lowlight/{low,high}/`, as docs/training.md says; a kind that is absent leaves the mixture.

    Args:
        options: where the photos are, where the results go, seed and device.
        log: receives progress messages.
        recipe: the numbers; None takes those of the shipped weights.

    Raises:
        UsageError: a part is named, no photos, one that cannot be decoded, or a checkpoint of another schedule.
    """
    options.parts_of(())
    recipe = recipe or Recipe()
    torch.set_num_threads(options.threads)
    schedule = recipe.schedule.lasting(options.iterations)
    mixture = Mixture.read(options.data, recipe, log)
    estimator = build(recipe, options.seed).to(options.device)

    trained = loop.train(
        estimator,
        lambda iteration: loss(estimator, mixture.draw(options.seed, iteration), recipe),
        lambda network: validate(cast(Estimator, network), mixture.held_out),
        schedule,
        options.out,
        resume=options.resume,
        log=log,
    )
    return _deliver(cast(Estimator, trained.cpu()), mixture, options, schedule, log)


# --- data --------------------------------------------------------------------------------------------------


class Box(NamedTuple):
    """A part of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def slices(self) -> tuple[slice, slice]:
        """Slices that cut it out of an array."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


@dataclass(frozen=True, slots=True)
class Draw:
    """One training example: degraded and reference luma, H×W uint8, the grid, and the window of the loss."""

    degraded: Codes
    reference: Codes
    rows: int
    columns: int
    window: Box


@dataclass(frozen=True, slots=True)
class Mixture:
    """The photos in memory, and how often each kind of pair is drawn."""

    clean: Sequence[Codes]
    stacks: Sequence[Pair]
    lowlight: Sequence[Pair]
    held_out: Mapping[str, Sequence[Pair]]
    """Held-out pairs by kind of fault: `compressed`, `under`, `over`, `lowlight`, `clean`."""

    recipe: Recipe

    @classmethod
    def read(cls, data: Path, recipe: Recipe, log: loop.Log) -> Mixture:
        """Read the folders of `train`, and hold out every eighth photo, stack and pair.

        Raises:
            UsageError: there is a single photo, and so none to validate with.
        """
        side = recipe.long_side
        sources = Sources.read(data, side, luma=True)
        pictures = sources.clean or read_photographs(data, side, luma=True)  # faults are made of them: some must be
        clean, clean_aside = put_aside(list(pictures.items()), HELD_OUT_EVERY, lambda item: item[0])
        stacks, stacks_aside = put_pairs_aside(sources.stacks, HELD_OUT_EVERY)
        dark, dark_aside = put_pairs_aside(sources.lowlight, HELD_OUT_EVERY)
        held_out = {
            "compressed": [_compressed(name, luma, index) for index, (name, luma) in enumerate(clean_aside)],
            **by_exposure(stacks_aside),
            "lowlight": dark_aside,
            "clean": [Pair(name, luma, luma) for name, luma in clean_aside],
        }
        log(
            f"Training on {len(clean)} clean photographs, {len(stacks)} stack frames and {len(dark)} dark pairs; "
            f"{', '.join(f'{len(pairs)} {kind}' for kind, pairs in held_out.items())} held out."
        )
        kept = {kind: pairs for kind, pairs in held_out.items() if pairs}
        if not kept:
            raise UsageError(f"{data} holds a single photo; training needs at least two, since one is held out.")
        return cls([luma for _, luma in clean], stacks, dark, kept, recipe)

    def draw(self, seed: int, iteration: int) -> Draw:
        """The example of one iteration: it depends on the seed and the iteration's number alone."""
        random = generator(seed, iteration)
        recipe = self.recipe
        weights = np.array(
            [
                recipe.compress_shift,
                recipe.tone_curve,
                recipe.stacks if self.stacks else 0.0,
                recipe.lowlight if self.lowlight else 0.0,
                recipe.good,
                recipe.skies,
                recipe.dark,
                recipe.nothing,
            ]
        )
        kind = int(random.choice(len(weights), p=weights / weights.sum()))
        if kind < 2:
            reference = self.clean[int(random.integers(len(self.clean)))]
            degrade = (compress_shift, tone_curve)[kind]
            degraded = degrade(reference.astype(np.float32) / 255.0, random)
        elif kind > 3:
            picture = self.clean[int(random.integers(len(self.clean)))].astype(np.float32) / 255.0
            degraded, reference = (as_it_is, under_a_sky, in_the_dark, nothing)[kind - 4](picture, random)
        else:
            pairs = (self.stacks, self.lowlight)[kind - 2]
            pair = pairs[int(random.integers(len(pairs)))]
            degraded, reference = pair.degraded, pair.reference
        if random.random() < recipe.crop:
            height, width = (max(1, int(side * random.uniform(0.5, 1.0))) for side in degraded.shape)
            part = _anywhere(random, degraded.shape, height, width).slices()
            degraded, reference = degraded[part], reference[part]
        if random.random() < 0.5:
            degraded, reference = degraded[:, ::-1], reference[:, ::-1]
        degraded = np.ascontiguousarray(degraded)
        rows, columns = _fitted(degraded, *self._grid(random))
        height, width = (min(side, recipe.window) for side in degraded.shape)
        return Draw(degraded, reference, rows, columns, _anywhere(random, degraded.shape, height, width))

    def _grid(self, random: np.random.Generator) -> tuple[int, int]:
        recipe, share = self.recipe, random.random()
        if share < recipe.grid_8x8:
            return 8, 8
        if share < recipe.grid_8x8 + recipe.grid_1x1:
            return 1, 1
        rows, columns = random.integers(1, recipe.largest_grid + 1, 2)
        return int(rows), int(columns)


def _anywhere(random: np.random.Generator, shape: tuple[int, ...], height: int, width: int) -> Box:
    """A box of the given size at a random position within an image."""
    top = int(random.integers(0, shape[0] - height + 1))
    return Box(top, int(random.integers(0, shape[1] - width + 1)), height, width)


def _fitted(luma: Codes, rows: int, columns: int) -> tuple[int, int]:
    return fit_grid(luma.shape[0], luma.shape[1], rows, columns)


def _compressed(name: str, luma: Codes, index: int) -> Pair:
    """A fixed validation pair; draws that change nothing are repeated, as the identity would be perfect there."""
    picture = luma.astype(np.float32) / 255.0
    for attempt in range(100):
        degraded = compress_shift(picture, generator(HELD_OUT_SEED, index, attempt))
        if np.abs(degraded.astype(np.int16) - luma).max() > 3:
            break
    return Pair(name, degraded, luma)


# --- loss and validation -----------------------------------------------------------------------------------


def build(recipe: Recipe, seed: int) -> Estimator:
    """A newly initialised network, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Estimator(recipe.dimensions)


def seen_of(luma: Tensor, rows: int, columns: int) -> Seen:
    """What is known of H×W luma before the network runs, as in production."""
    noise_grid = structure.noise_grid(*luma.shape)
    counts = Counts(
        kernels.tile_histograms(luma, rows, columns).cpu().numpy(),
        None,
        lambda: kernels.thumbnail(luma, THUMBNAIL).cpu().numpy(),
        lambda: kernels.diagonal_counts(luma, *noise_grid).cpu().numpy(),
    )
    return Seen.of(counts, structure.noise_deviations(counts.diagonals()), *luma.shape)


def predict(
    network: Estimator, luma: Tensor, rows: int, columns: int, window: Box | None = None
) -> tuple[Tensor, Tensor]:
    """Clip limits (rows×columns) and the enhanced luma of a window before rounding (h×w in 0..255)."""
    seen = seen_of(luma, rows, columns)
    inputs, of_whole = seen.inputs(), seen.inputs_of_whole()

    def tensor(array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(luma.device)

    maps = network.maps(tensor(inputs["thumbnail"]))
    outputs, photo = (
        network.heads(maps, tensor(each["statistics"]), tensor(each["tiles"])) for each in (inputs, of_whole)
    )
    clip_limits = limits(outputs, rows, columns)
    height, width = luma.shape
    tile_height, tile_width = tile_geometry(height, width, rows, columns)
    curves = kernels.photo_curves(
        tensor(seen.histograms),
        tensor(seen.shares),
        clip_limits,
        tensor(structure.local_shares(seen.histograms, seen.shares)),
        tensor(np.asarray(seen.whole.histogram, np.float32)),
        tensor(seen.whole.shares),
        limits(photo, 1, 1),
        photo[3],
        tensor(structure.dark_bound(seen.whole.histogram, seen.whole.shares)),
        photo[4].clamp(min=seen.night),
        tile_height * tile_width,
    )
    window = window or Box(0, 0, height, width)
    return clip_limits, kernels.blend_curves(luma[window.slices()], curves, height, width, window.top, window.left)


def loss(network: Estimator, draw: Draw, recipe: Recipe) -> Tensor:
    """The loss of one example: log MSE, 1 - SSIM, and the penalty on the limits."""
    device = next(network.parameters()).device
    degraded = torch.from_numpy(draw.degraded).to(device)
    clip_limits, enhanced = predict(network, degraded, draw.rows, draw.columns, draw.window)
    seen = np.ascontiguousarray(draw.reference[draw.window.slices()])
    reference = torch.from_numpy(seen).to(device).to(torch.float32) / 255.0
    enhanced = enhanced / 255.0
    error = torch.log10(functional.mse_loss(enhanced, reference) + recipe.error_floor)
    structure = 1.0 - similarity(enhanced, reference)
    return recipe.log_error * error + recipe.structure * structure + recipe.pull * clip_limits.mean()


def similarity(first: Tensor, second: Tensor, window: int = 8, step: int = 4) -> Tensor:
    """Mean SSIM of two H×W images in 0..1 over square windows: a cheap, differentiable stand-in for the metric.

    Square windows at every fourth pixel instead of a Gaussian at every one: the gradient points the same way.
    """

    def mean(picture: Tensor) -> Tensor:
        return functional.avg_pool2d(picture[None, None], window, step)

    window = min(window, *first.shape)
    first_mean, second_mean = mean(first), mean(second)
    first_variance = mean(first * first) - first_mean**2
    second_variance = mean(second * second) - second_mean**2
    covariance = mean(first * second) - first_mean * second_mean
    brightness = (2 * first_mean * second_mean + 1e-4) / (first_mean**2 + second_mean**2 + 1e-4)
    contrast = (2 * covariance + 9e-4) / (first_variance + second_variance + 9e-4)
    return (brightness * contrast).mean()


def validate(network: Estimator, held_out: Mapping[str, Sequence[Pair]]) -> dict[str, float]:
    """Mean PSNR of luma by kind of fault, at 8×8 and 1×1, and the variation of the limits.

    Returns:
        `<kind> 8x8` and `<kind> 1x1` in decibels (at most 60 per image); `spread`, the standard deviation of the mean
        limit over the compressed images; `variation`, the median over real frames of the coefficient of variation of
        an image's limits.
    """
    device = next(network.parameters()).device
    figures: dict[str, float] = {}
    means: list[float] = []
    variations: list[float] = []
    for kind, pairs in held_out.items():
        for grid in (8, 1):
            ratios = []
            for pair in pairs:
                rows, columns = _fitted(pair.degraded, grid, grid)
                clip_limits, enhanced = predict(network, torch.from_numpy(pair.degraded).to(device), rows, columns)
                rounded = enhanced.round().clamp(0, 255).cpu().numpy()
                error = float(np.mean((rounded - pair.reference) ** 2))
                ratios.append(min(60.0, 10.0 * np.log10(255.0**2 / max(error, 1e-9))))
                if grid == 8 and kind == "compressed":
                    means.append(float(clip_limits.mean()))
                elif grid == 8:
                    variations.append(float(clip_limits.std(correction=0) / clip_limits.mean()))
            figures[f"{kind} {grid}x{grid}"] = float(np.mean(ratios))
    figures["spread"] = float(np.std(means))
    figures["variation"] = float(np.median(variations))
    return figures


# --- delivery ----------------------------------------------------------------------------------------------


def _deliver(
    network: Estimator, mixture: Mixture, options: TrainOptions, schedule: loop.Schedule, log: loop.Log
) -> Trained:
    """Export the weights with their card, and draw the validation sheet."""
    with torch.no_grad():
        figures = validate(network, mixture.held_out)
    pairs = [pairs[0] for pairs in mixture.held_out.values()]
    exported = export(
        network,
        options.out,
        STEM,
        identity=IDENTITY,
        configuration=network.dimensions.to_json(),
        samples=[
            _inputs(pair.degraded, rows, columns) for pair in pairs for rows, columns in ((8, 8), (1, 1), (3, 16))
        ],
        outputs=OUTPUTS,
        dynamic_axes=DYNAMIC_AXES,
    )
    sheet = options.out / "validation.png"
    write_sheet(sheet, [_row(network, kind, pair) for kind, pairs in mixture.held_out.items() for pair in pairs[:2]])
    card = options.out / "card.md"
    card.write_text(_card(network, mixture, exported, figures, options, schedule), encoding="utf-8")
    log(f"Wrote {exported.safetensors}, {exported.onnx}, {exported.manifest}, {card} and {sheet}.")
    return Trained(exported, figures, card, sheet, options.out / loop.JOURNAL)


def _inputs(luma: Codes, rows: int, columns: int) -> dict[str, NDArray[np.float32]]:
    return seen_of(torch.from_numpy(luma), *_fitted(luma, rows, columns)).inputs()


def _row(network: Estimator, kind: str, pair: Pair) -> list[tuple[str, Codes]]:
    row = [(f"{kind}: input", pair.degraded)]
    for grid in (8, 1):
        rows, columns = _fitted(pair.degraded, grid, grid)
        with torch.no_grad():
            clip_limits, enhanced = predict(network, torch.from_numpy(pair.degraded), rows, columns)
        label = f"{rows}x{columns}, limits {clip_limits.min():.2f} to {clip_limits.max():.2f}"
        row.append((label, enhanced.round().clamp(0, 255).to(torch.uint8).numpy()))
    return [*row, ("reference", pair.reference)]


def _card(
    network: Estimator,
    mixture: Mixture,
    exported: Exported,
    figures: Mapping[str, float],
    options: TrainOptions,
    schedule: loop.Schedule,
) -> str:
    parameters = sum(parameter.numel() for parameter in network.parameters())
    counts = ", ".join(f"{len(pairs)} {kind}" for kind, pairs in mixture.held_out.items())
    lines = [
        f"# {IDENTITY}",
        "",
        f"The clip-limit estimator of `enhance clahe-adaptive`, {parameters} parameters, after the paper IA-CLAHE",
        "(a small CNN predicts a clip limit per tile, trained through differentiable CLAHE).",
        "",
        f"- Date: {datetime.now(UTC):%Y-%m-%d}",
        f"- Command: `enhance train clahe-adaptive DATA --seed {options.seed} --iterations {schedule.iterations}`"
        f" with {options.threads} thread(s) on {options.device}",
        f"- Data: {len(mixture.clean)} clean photographs, {len(mixture.stacks)} frames of exposure stacks,"
        f" {len(mixture.lowlight)} dark pairs; held out: {counts}",
        f"- ONNX against the network: {exported.parity:.1e} at most, relative",
        *(f"- sha256 of {STEM}.{kind}: `{digest}`" for kind, digest in sorted(exported.sha256.items())),
        "",
        "## Held-out pictures of the training folder, PSNR of luma in decibels",
        "",
        "| kind | 8x8 | 1x1 |",
        "|---|---|---|",
        *(f"| {kind} | {figures[f'{kind} 8x8']:.2f} | {figures[f'{kind} 1x1']:.2f} |" for kind in mixture.held_out),
        "",
        f"Deviation of the mean limit over the compressed pictures {figures['spread']:.2f}; limits within a picture"
        f" vary by {figures['variation']:.2f} of their mean (median).",
    ]
    return "\n".join(lines) + "\n"
