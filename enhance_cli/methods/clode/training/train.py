"""Training of CLODE's networks: data without references, the solver, the losses, with a reason for every number.

The denoisers learn from single noisy images, brightened as in production (ZS-N2N). The estimators learn the
exposure to reach at each time: the equation is solved in logits from 0 to a random time, and the loss covers every
step on the way, so that every time has a meaning. The loop, the degradations and the export are those of
`enhance_cli.training`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from enhance_cli.methods.clode import network
from enhance_cli.methods.clode.training import losses
from enhance_cli.methods.clode.training.data import Album, Codes, Picture, tones
from enhance_cli.methods.clode.training.recipe import DenoiserRecipe, EstimatorRecipe, Recipe, shifted
from enhance_cli.training import loop
from enhance_cli.training.dataset import Pair
from enhance_cli.training.degradations import generator
from enhance_cli.training.export import Exported, Trained, export, read_configuration, read_weights
from enhance_cli.training.options import TrainOptions
from enhance_cli.training.sheet import write_sheet

OUTPUT = {"estimator": "rate", "denoiser": "noise"}


def train(
    options: TrainOptions, log: Callable[[str], None] = lambda sentence: None, recipe: Recipe | None = None
) -> Trained:
    """Train the networks from a folder of photos and export them.

    The folder may hold `unpaired_dark/`, `paired_lowlight/low/`, `exposure/sice512/` and `clean/`, as
    docs/training.md says, or the photos themselves, which then count as clean. References are used only for
    validation.

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
    album = Album.read(options.data, recipe, log)
    exported: dict[str, Exported] = {}
    figures: dict[str, Mapping[str, float]] = {}
    trained: dict[str, nn.Module] = {}
    for stem in recipe.parts:
        log(f"Training {stem}.")
        part, kind = stem.split("-")
        if part == "denoiser":
            module = _train_denoiser(stem, album, options, recipe, log)
            validate = _denoiser_figures(album)
        else:
            module = _train_estimator(stem, album, options, recipe, log)
            validate = _estimator_figures(album, recipe)
        trained[stem] = module.cpu().eval()
        with torch.no_grad():
            figures[stem] = dict(validate(trained[stem]))
        exported[stem] = deliver(trained[stem], options.out, part, kind)
    sheet = options.out / "validation.png"
    estimator = trained.get("estimator-lite", trained.get("estimator-full"))
    if estimator is not None:
        write_sheet(sheet, [_row(estimator, name, picture) for name, picture in album.examples])
        log(f"Wrote {sheet}.")
    return Trained(exported, figures, [sheet])


def deliver(module: nn.Module, out: Path, part: str, kind: str) -> Exported:
    """Write the files of one network."""
    random = generator(0, 1)

    def sample(height: int, width: int, time: float) -> dict[str, Picture]:
        inputs: dict[str, Picture] = {"image": random.random((1, 3, height, width), np.float32)}
        if part == "estimator":
            inputs["time"] = np.array([time], np.float32)
        return inputs

    free = {2: "height", 3: "width"}
    with warnings.catch_warnings():
        # Normalisation and reflect padding read sizes during tracing; the samples below have several sizes.
        warnings.simplefilter("ignore")
        return export(
            module,
            out,
            f"{part}-{kind}",
            identity=f"clode/{part}-{kind}-1",
            configuration={"part": part, "kind": kind},
            samples=[sample(32, 48, 1.0), sample(57, 33, -2.0), sample(5, 3, 0.0)],
            outputs=(OUTPUT[part],),
            dynamic_axes={"image": free, OUTPUT[part]: free},
        )


# --- the estimators ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Solution:
    """A solve from 0 to a time: lists of one entry per step."""

    times: Sequence[float]
    states: Sequence[Tensor]
    shifts: Sequence[Tensor]
    rates: Sequence[Tensor]


def solve(estimator: nn.Module, image: Tensor, end: float, steps: int, *, heun: bool = False) -> Solution:
    """Integrate the logit shift from 0 to a time in equal steps, by Euler or Heun."""
    step = end / steps
    shift, state = torch.zeros_like(image), image
    times, states, shifts, rates = [], [], [], []
    for index in range(steps):
        time = torch.full((1,), index * step, dtype=image.dtype, device=image.device)
        rate = estimator(state, time)[0]
        rates.append(rate)
        if heun:
            ahead = shifted(image, shift + step * rate)
            rate = 0.5 * (rate + estimator(ahead, time + step)[0])
        shift = shift + step * rate
        state = shifted(image, shift)
        times.append((index + 1) * step)
        states.append(state)
        shifts.append(shift)
    return Solution(times, states, shifts, rates)


def draw_time(random: np.random.Generator) -> float:
    """End time of a training solve: the paper's T in four of ten draws; else earlier, later, or below 0."""
    kind = random.random()
    if kind < 0.4:
        return 3.0
    if kind < 0.5:
        return float(random.uniform(1.0, 3.0))
    if kind < 0.7:
        return float(random.uniform(3.5, 5.0))
    return -float(random.uniform(1.0, 3.0))


def estimator_loss(
    estimator: nn.Module, album: Album, recipe: EstimatorRecipe, seed: int, iteration: int, device: str = "cpu"
) -> Tensor:
    """The loss of one iteration; the images depend on the seed and the iteration's number alone."""
    random = generator(seed, iteration)
    side = int(random.choice(recipe.sides))
    image = album.batch(random, recipe.batch - 1, side)
    flat, bright = tones(random, side)
    image = torch.cat([image, torch.from_numpy(flat)[None]]).to(device)
    end = draw_time(random)
    solution = solve(estimator, image, end, recipe.steps)
    return solution_loss(solution, image, torch.from_numpy(bright)[None].to(device), recipe)


def solution_loss(solution: Solution, image: Tensor, bright: Tensor, recipe: EstimatorRecipe) -> Tensor:
    """The losses of one solve; the last image of the batch is a synthetic two-tone image."""
    output, end = solution.states[-1], solution.times[-1]
    photographs, real = image[:-1], output[:-1]
    before = photographs.mean(dim=(1, 2, 3))
    means = [state[:-1].mean(dim=(1, 2, 3)) for state in solution.states]
    goal = recipe.goal
    reached = [
        losses.exposure(state[:-1], goal.means(before, time), pool=None)
        for time, state in zip(solution.times, solution.states, strict=True)
    ]
    # The end counts as much as all steps before it together.
    total = recipe.mean_exposure * 0.5 * (reached[-1] + torch.stack(reached).mean())
    total = total + recipe.spatial * losses.spatial_consistency(real, photographs)
    total = total + recipe.chromaticity * losses.chromaticity(real, photographs)
    total = total + recipe.local_exposure * losses.exposure(real, goal.means(before, end))
    total = total + recipe.variation * losses.variation(solution.rates)
    total = total + recipe.channels * losses.channel_deviation(solution.shifts[-1])
    total = total + recipe.unevenness * losses.unevenness(solution.shifts[-1][:-1])
    ordered = [before, *means] if end > 0 else [*means[::-1], before]
    total = total + recipe.order * losses.brightness_order(ordered, step=0.002)
    return total + recipe.two_tone * losses.two_tone(solution.shifts[-1][-1:], bright)


def tone_loss(estimator: nn.Module, album: Album, recipe: EstimatorRecipe, seed: int, iteration: int) -> Tensor:
    """Distance of the rates from those of the simplest solution: a single shift per image that follows the goal.

    Without a solve: each image is used as that shift leaves it at a random time.
    """
    device = next(estimator.parameters()).device
    random = generator(seed, iteration)
    count, side = 2 * recipe.batch, int(random.choice(recipe.sides)) // 8 * 4
    flat, _ = tones(random, side)
    image = torch.cat([album.batch(random, count - 1, side), torch.from_numpy(flat)[None]]).to(device)
    time = torch.from_numpy(random.uniform(-3.0, 5.0, count).astype(np.float32)).to(device)
    near = 0.1
    before, after = (recipe.goal.shift(image, time + offset) for offset in (-near, near))
    wanted = ((after - before) / (2.0 * near)).clamp(-0.95, 0.95)  # within the range of tanh
    state = shifted(image, recipe.goal.shift(image, time)[:, None, None, None])
    difference: Tensor = estimator(state, time)[0] - wanted[:, None, None, None]
    return 10.0 * difference.square().mean()


def _train_estimator(stem: str, album: Album, options: TrainOptions, recipe: Recipe, log: loop.Log) -> nn.Module:
    kind = stem.split("-")[1]
    numbers = recipe.estimator_lite if kind == "lite" else recipe.estimator_full
    module = _fresh("estimator", kind, options.seed)
    if isinstance(module, network.FullEstimator):
        prior = options.out / "denoiser-full.safetensors"
        if prior.exists():
            read_weights(module.denoiser, prior)
        # g is trained on noise alone: trained here, it would only blur the estimator's input.
        module.denoiser.requires_grad_(False)
    module = module.to(options.device)

    def loss(iteration: int) -> Tensor:
        if iteration < numbers.plain:
            return tone_loss(module, album, numbers, options.seed, iteration)
        return estimator_loss(module, album, numbers, options.seed, iteration, options.device)

    return loop.train(
        module,
        loss,
        _estimator_figures(album, recipe),
        numbers.schedule.lasting(options.iterations),
        options.out / stem,
        resume=options.resume,
        log=log,
    )


def _estimator_figures(album: Album, recipe: Recipe) -> Callable[[nn.Module], Mapping[str, float]]:
    return lambda module: estimator_figures(module, album.held_out)


def estimator_figures(module: nn.Module, held_out: Mapping[str, Sequence[Pair]], side: int = 96) -> dict[str, float]:
    """PSNR at T = 3 (lowlight, under) or T = -2 (over) of downscaled held-out pairs, and the means reached there."""
    device = next(module.parameters()).device
    figures = {}
    for kind, pairs in held_out.items():
        ratios, means = [], []
        for pair in pairs[:40]:
            image, reference = (_small(codes, side).to(device) for codes in (pair.degraded, pair.reference))
            output = solve(module, image, -2.0 if kind == "over" else 3.0, 6).states[-1]
            error = float(((output - reference) ** 2).mean())
            ratios.append(10.0 * math.log10(1.0 / max(error, 1e-9)))
            means.append(float(output.mean()))
        figures[f"{kind} psnr"] = float(np.mean(ratios))
        figures[f"{kind} mean"] = float(np.mean(means))
    return figures


def _small(codes: Codes, side: int) -> Tensor:
    height, width = codes.shape[:2]
    scale = side / max(height, width)
    size = (max(3, round(width * scale)), max(3, round(height * scale)))
    shrunk = np.asarray(cv2.resize(codes, size, interpolation=cv2.INTER_AREA), np.float32) / np.float32(255.0)
    return torch.from_numpy(np.ascontiguousarray(shrunk.transpose(2, 0, 1)))[None]


# --- the denoisers -----------------------------------------------------------------------------------------


def brightened(image: Tensor) -> Tensor:
    """Noisy images as g sees them in production: with one shift that brings their mean to 0.5.

    The shift is 0 to 3.5 logits, as much as T = 3 to 4 can reach.
    """
    mean = image.mean(dim=(1, 2, 3), keepdim=True).clamp(1e-3, 0.999)
    return shifted(image, (-torch.logit(mean)).clamp(0.0, 3.5))


def denoiser_loss(
    denoiser: nn.Module,
    album: Album,
    recipe: DenoiserRecipe,
    seed: int,
    iteration: int,
    device: str = "cpu",
    teacher: nn.Module | None = None,
) -> Tensor:
    """ZS-N2N on crops of brightened noisy photos, or the distance to a teacher's noise there.

    The crops depend on the seed and the iteration's number alone.
    """
    random = generator(seed, iteration, 1)
    image = brightened(album.batch(random, recipe.batch - 1, recipe.side, native=True))
    # Flat tones with white noise in every batch: they are rare in photos, but remaining noise is most visible there.
    flat = tones(random, recipe.side)[0] + random.normal(0.0, random.uniform(0.01, 0.1), (3, *image.shape[2:]))
    image = torch.cat([image, torch.from_numpy(flat.clip(0.0, 1.0).astype(np.float32))[None]]).to(device)
    if teacher is not None:
        with torch.no_grad():
            wanted = teacher(image)[0]
        difference: Tensor = denoiser(image)[0] - wanted
        return difference.square().mean()
    return losses.noise_removal(lambda picture: denoiser(picture)[0], image)


def _train_denoiser(stem: str, album: Album, options: TrainOptions, recipe: Recipe, log: loop.Log) -> nn.Module:
    kind = stem.split("-")[1]
    numbers = recipe.denoiser_lite if kind == "lite" else recipe.denoiser_full
    module = _fresh("denoiser", kind, options.seed).to(options.device)
    teacher = _teacher("denoiser-lite", options) if numbers.imitation else None

    def loss(iteration: int) -> Tensor:
        guide = teacher if iteration < numbers.imitation else None
        return denoiser_loss(module, album, numbers, options.seed, iteration, options.device, guide)

    return loop.train(
        module,
        loss,
        _denoiser_figures(album),
        numbers.schedule.lasting(options.iterations),
        options.out / stem,
        resume=options.resume,
        log=log,
    )


def _denoiser_figures(album: Album) -> Callable[[nn.Module], Mapping[str, float]]:
    return lambda module: denoiser_figures(module, album.held_out.get("lowlight", []))


def denoiser_figures(module: nn.Module, pairs: Sequence[Pair]) -> dict[str, float]:
    """Decibels gained on flat grey with noise of 0.05, and on held-out dark images under the best affine light."""
    device = next(module.parameters()).device
    random = generator(0, 2)
    flat = np.full((1, 3, 64, 64), 0.5, np.float32)
    noisy = torch.from_numpy(flat + random.normal(0.0, 0.05, flat.shape).astype(np.float32)).to(device)
    clean = noisy - module(noisy)[0]
    ratio = float((noisy - 0.5).square().mean() / (clean - 0.5).square().mean())
    figures = {"flat gain": 10.0 * math.log10(ratio)}
    gains = []
    for pair in pairs[:16]:
        image, reference = (_whole(codes[:256, :256]).to(device) for codes in (pair.degraded, pair.reference))
        image = brightened(image)
        gains.append(_matched(image - module(image)[0], reference) - _matched(image, reference))
    if gains:
        figures["lowlight gain"] = float(np.mean(gains))
    return figures


def _matched(output: Tensor, reference: Tensor) -> float:
    error = (output * (reference.mean() / output.mean()) - reference).square().mean()
    return 10.0 * math.log10(1.0 / max(float(error), 1e-9))


def _whole(codes: Codes) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(codes.transpose(2, 0, 1)).astype(np.float32) / np.float32(255.0))[None]


# --- delivery ----------------------------------------------------------------------------------------------


def _fresh(part: str, kind: str, seed: int) -> nn.Module:
    """A newly initialised network, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return network.build({"part": part, "kind": kind})


def _teacher(stem: str, options: TrainOptions) -> nn.Module | None:
    """A network that this run has exported before; None if it has not."""
    path = options.out / f"{stem}.safetensors"
    if not path.exists():
        return None
    module = network.build(read_configuration(path))
    read_weights(module, path)
    return module.to(options.device).eval()


def _row(estimator: nn.Module, name: str, picture: Codes) -> list[tuple[str, Codes]]:
    """Input and the states at a few times, for the downscaled image."""
    image = _small(picture, 160)
    cells: list[tuple[str, Any]] = [(name, image)]
    for time in (-2.0, 1.0, 3.0, 4.0):
        with torch.no_grad():
            cells.append((f"T = {time:g}", solve(estimator, image, time, 4, heun=True).states[-1]))
    return [(label, (cell[0] * 255.0).round().to(torch.uint8).numpy().transpose(1, 2, 0)) for label, cell in cells]
