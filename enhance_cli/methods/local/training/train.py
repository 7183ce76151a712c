"""Training of the networks of `local`: pairs, masks, region-aware losses, with a reason for every number.

An image and a better exposed version of it become a local task by a mask: the better version is the reference in area
A, the image itself in area C, and between them the light is to fall off evenly. The first part of a training brightens
whole images, which teaches exposure; then masks are drawn. The loop, the degradations and the export are those of
`enhance_cli.training`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from enhance_cli.methods.local import network
from enhance_cli.methods.local.network_layers import LOW
from enhance_cli.methods.local.training import losses, sampler
from enhance_cli.training import degradations, loop
from enhance_cli.training.dataset import Pair, Sources, by_exposure, put_pairs_aside
from enhance_cli.training.degradations import generator
from enhance_cli.training.export import Exported, Trained, export
from enhance_cli.training.options import TrainOptions
from enhance_cli.training.sheet import write_sheet
from enhance_cli.training.two_tone import two_tones

Codes = NDArray[np.uint8]
Picture = NDArray[np.float32]

HELD_OUT_EVERY = 8
"""The last of every eight dark pairs and stacks, in order of name, is held out for validation."""

TONES = ((0.01, 0.3), (0.15, 0.65))
"""Dark tones and steps of the synthetic images; see `two_tones`."""

PARTS = tuple(network.BACKBONES)
"""What `--part` takes."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Every number of a training, with its reason."""

    schedule: loop.Schedule = field(
        default_factory=lambda: loop.Schedule(
            iterations=1000,
            learning_rate=3e-3,  # narrow networks: 3e-4, the paper's, is for a million parameters
            averaging=0.99,
            journal_every=50,
            validate_every=400,
            checkpoint_every=100,
        )
    )
    side: int = LOW
    """Images of the size that the estimators see: smaller ones train as well per minute."""

    batch: int = 8
    """Images of one step, two of them synthetic tones: batch statistics need about as many."""

    whole: float = 0.2
    """Share of the steps, at the start, that light whole images."""

    frozen: float = 0.1
    """Share of the steps, at the end, in which the normalisation keeps its running statistics."""

    low: float = 0.35
    """Share of real dark pairs; stacks and simulated darkness share the rest."""

    stacks: float = 0.35
    clean: float = 0.25
    as_it_is: float = 0.05
    """Share of good photos that are their own reference, so that the network leaves well-exposed photos unchanged."""

    lit: float = 1.0  # alpha of the paper
    transition: float = 1e-4  # beta: its weights reach 1e4, so this is 1 in flat places
    unchanged: float = 1.0  # gamma

    gradient: float = 0.02  # the paper's weights are for sums
    angle: Mapping[str, float] = field(default_factory=lambda: {"deepupe": 0.2, "star": 1.0})
    tones: float = 1.0
    """Of the flat tones of two synthetic images: without them backbones equalise neighbourhoods (papers.md, T1)."""

    read_side: int = 400
    """Photos are shrunk to this once."""


def train(
    options: TrainOptions, log: Callable[[str], None] = lambda sentence: None, recipe: Recipe | None = None
) -> Trained:
    """Train networks from a folder of photos and export them.

    The folder may hold `paired_lowlight/low` and `high`, `exposure/sice512` and `clean/`, as docs/training.md says,
    or the photos themselves, which then count as clean.

    Args:
        options: where the photos are, where the results go, seed, device, and which of `PARTS`; none takes all.
        log: receives progress messages.
        recipe: the numbers; None takes those of the shipped weights.

    Raises:
        UsageError: no photos, one that cannot be decoded, an unknown part, or a checkpoint of another schedule.
    """
    recipe = recipe or Recipe()
    recipe = replace(recipe, schedule=recipe.schedule.lasting(options.iterations))
    parts = options.parts_of(PARTS)
    torch.set_num_threads(options.threads)
    album = Album.read(options.data, recipe, log)
    exported: dict[str, Exported] = {}
    figures: dict[str, Mapping[str, float]] = {}
    sheets = []
    for part in parts:
        log(f"Training {part}.")
        module = fresh(part, options.seed).to(options.device)
        fit(module, part, album, options, recipe, log)
        module.cpu().eval()
        with torch.no_grad():
            figures[part] = album.figures(module)
        exported[part] = deliver(module, options.out, part)
        sheets.append(options.out / f"{part}.png")
        write_sheet(sheets[-1], album.sheet(module), height=200)
        log(f"Wrote {sheets[-1]}.")
    return Trained(exported, figures, sheets)


def fresh(backbone: str, seed: int) -> network.Localised:
    """A newly initialised network, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return network.assemble(backbone)


def fit(module: nn.Module, backbone: str, album: Album, options: TrainOptions, recipe: Recipe, log: loop.Log) -> None:
    """Train one network by the losses of its backbone; log and checkpoint go into a folder of its name."""
    frozen_from = round((1.0 - recipe.frozen) * recipe.schedule.iterations)

    def loss(iteration: int) -> Tensor:
        if iteration >= frozen_from:
            freeze_statistics(module)
        batch = album.batch(options.seed, iteration)
        return batch_loss(module, batch.to(options.device), backbone, recipe)

    folder = options.out / backbone
    loop.train(module, loss, album.figures, recipe.schedule, folder, resume=options.resume, log=log)


def freeze_statistics(module: nn.Module) -> None:
    """Let batch normalisation use, and keep, its running statistics."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.eval()


def deliver(module: network.Localised, out: Path, backbone: str) -> Exported:
    """Write the files of a network."""
    random = generator(0, 1)

    def sample(kind: str) -> dict[str, Picture]:
        image = random.random((1, 3, LOW, LOW), np.float32)
        return {"image": image, "mask": sampler.draw(random, LOW, kind)[None]}

    estimator = network.estimator(module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sizes are asked for while they are traced; they are fixed here
        return export(
            estimator,
            out,
            backbone,
            identity=f"local/{backbone}-1",
            configuration={"backbone": backbone},
            samples=[sample(kind) for kind in ("circle", "full", "empty", "blob")],
            outputs=estimator.outputs,
            dynamic_axes={},
        )


# --- data --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step learns from."""

    image: Tensor
    """N×3×side×side."""

    reference: Tensor
    """The same, well lit everywhere; of synthetic tones the image itself."""

    mask: Tensor
    """N×2×side×side."""

    bright: Tensor
    """K×1×side×side: where the last K images, two flat tones each, are bright."""

    def to(self, device: str) -> Batch:
        """The batch on a device."""
        return Batch(*(tensor.to(device) for tensor in (self.image, self.reference, self.mask, self.bright)))


@dataclass(frozen=True, slots=True)
class Album:
    """The photos in memory by kind, and those held out."""

    low: Sequence[Pair]
    stacks: Sequence[Pair]
    clean: Sequence[Codes]
    held_out: Mapping[str, Sequence[Pair]]
    recipe: Recipe

    @classmethod
    def read(cls, data: Path, recipe: Recipe, log: loop.Log) -> Album:
        """Read the data that is present, and hold out every eighth scene.

        Frames of a stack that are brighter than its reference are left out: light is only ever added.
        """
        sources = Sources.read(data, recipe.read_side)
        low, low_aside = put_pairs_aside(sources.lowlight, HELD_OUT_EVERY)
        stacks, stacks_aside = put_pairs_aside(by_exposure(sources.stacks)["under"], HELD_OUT_EVERY)
        held_out, clean = {"low": low_aside, "under": stacks_aside}, list(sources.clean.values())
        log(
            f"Training on {len(low)} dark pairs, {len(stacks)} dark frames of stacks and {len(clean)} clean pictures; "
            f"{', '.join(f'{len(pairs)} {kind}' for kind, pairs in held_out.items())} held out."
        )
        return cls(low, stacks, clean, {kind: pairs for kind, pairs in held_out.items() if pairs}, recipe)

    def batch(self, seed: int, iteration: int) -> Batch:
        """The batch of one step, a function of seed and number alone."""
        recipe, random = self.recipe, generator(seed, iteration)
        whole = iteration < recipe.whole * recipe.schedule.iterations
        images, references, masks, brights = [], [], [], []
        for index in range(recipe.batch):
            mask = sampler.draw(random, recipe.side)
            if index < recipe.batch - 2:
                image, reference = self.pair(random)
            else:
                image, bright = two_tones(random, recipe.side, *TONES)
                reference = image
                brights.append(bright[None])
                if index == recipe.batch - 1:
                    mask = np.ones_like(mask)
            images.append(image)
            references.append(reference)
            masks.append(np.ones_like(mask) if whole else mask)
        return Batch(
            _tensor(images), _tensor(references), torch.from_numpy(np.stack(masks)), torch.from_numpy(np.stack(brights))
        )

    def pair(self, random: np.random.Generator) -> tuple[Picture, Picture]:
        """An image and its reference, both side×side×3 in 0..1."""
        recipe = self.recipe
        shares = np.array(
            [
                recipe.low * bool(self.low),
                recipe.stacks * bool(self.stacks),
                recipe.clean * bool(self.clean),
                recipe.as_it_is * bool(self.clean),
            ]
        )
        kind = int(random.choice(4, p=shares / shares.sum()))
        if kind < 2:
            pairs = (self.low, self.stacks)[kind]
            found = pairs[int(random.integers(len(pairs)))]
            image, reference = _cut((found.degraded, found.reference), random, recipe.side)
            return image, reference
        codes = self.clean[int(random.integers(len(self.clean)))]
        reference = _cut((codes,), random, recipe.side)[0]
        if kind == 3:
            return reference, reference
        return degradations.lowlight(reference, random).astype(np.float32) / np.float32(255.0), reference

    def figures(self, module: nn.Module) -> dict[str, float]:
        """PSNR in area A against the reference and in area C against the input, on the held-out pairs."""
        figures: dict[str, float] = {}
        outside: list[float] = []
        for kind, pairs in self.held_out.items():
            inside = []
            for index, pair in enumerate(pairs[:24]):
                image, reference, mask = self.task(pair, index)
                output = lit(module, image, mask)
                parts = losses.areas(mask)
                inside.append(decibels(output, reference, parts.lit))
                outside.append(decibels(output, image, parts.unchanged))
            figures[f"{kind} A"] = float(np.mean(inside))
        if outside:
            figures["C"] = float(np.median(outside))
        return figures

    def task(self, pair: Pair, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """A held-out pair at 192×192 with the mask for its index: image, reference, mask."""
        side = 192
        image, reference = (_scaled(codes, side) for codes in (pair.degraded, pair.reference))
        mask = sampler.draw(generator(0, 7, index), side, ("circle", "box", "blob")[index % 3])
        return _tensor([image]), _tensor([reference]), torch.from_numpy(mask[None])

    def sheet(self, module: nn.Module) -> list[list[tuple[str, Codes]]]:
        """Input, mask, output and reference of some held-out pairs, and two-tone images under a full mask."""
        rows = []
        for kind, pairs in self.held_out.items():
            for index, pair in enumerate(pairs[:5]):
                image, reference, mask = self.task(pair, index)
                cells = {
                    pair.name: image,
                    "fall-off": mask[:, 1:].expand(-1, 3, -1, -1),
                    kind: lit(module, image, mask),
                }
                full = torch.ones_like(mask)
                cells |= {"full mask": lit(module, image, full), "reference": reference}
                rows.append([(label, _codes(cell)) for label, cell in cells.items()])
        for index in range(3):
            image = _tensor([two_tones(generator(0, 9, index), 192, *TONES)[0]])
            mask = torch.from_numpy(sampler.draw(generator(0, 9, index), 192, "circle")[None])
            cells = {"tones": image, "fall-off": mask[:, 1:].expand(-1, 3, -1, -1), "circle": lit(module, image, mask)}
            cells["full mask"] = lit(module, image, torch.ones_like(mask))
            rows.append([(label, _codes(cell)) for label, cell in cells.items()])
        return rows


def lit(module: nn.Module, image: Tensor, mask: Tensor) -> Tensor:
    """The output of a network in eight bits, as 0..1."""
    with torch.no_grad():
        output: Tensor = module(image, mask)[0]
    return (output.clamp(0.0, 1.0) * 255.0).round() / 255.0


def decibels(output: Tensor, reference: Tensor, area: Tensor) -> float:
    """PSNR over an area; at most 99."""
    error = float(losses.squared(output, reference, area))
    return min(99.0, -10.0 * math.log10(max(error, 1e-10)))


def _cut(pictures: Sequence[Codes], random: np.random.Generator, side: int) -> tuple[Picture, ...]:
    """One random crop of several images, half to all of each side, at side×side, half of them mirrored, in 0..1."""
    height, width = pictures[0].shape[:2]
    share = random.uniform(0.5, 1.0)
    rows, columns = max(1, round(height * share)), max(1, round(width * share))
    top, left = int(random.integers(height - rows + 1)), int(random.integers(width - columns + 1))
    mirrored = random.random() < 0.5
    cuts = [_scaled(picture[top : top + rows, left : left + columns], side) for picture in pictures]
    return tuple(np.ascontiguousarray(cut[:, ::-1]) if mirrored else cut for cut in cuts)


def _scaled(codes: Codes, side: int) -> Picture:
    return np.asarray(cv2.resize(codes, (side, side), interpolation=cv2.INTER_AREA), np.float32) / np.float32(255.0)


def _tensor(pictures: Sequence[Picture]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.stack(pictures).transpose(0, 3, 1, 2)))


def _codes(picture: Tensor) -> Codes:
    codes: Codes = (picture[0].clamp(0.0, 1.0) * 255.0).round().to(torch.uint8).numpy().transpose(1, 2, 0)
    return codes


# --- the loss ----------------------------------------------------------------------------------------------


def batch_loss(module: nn.Module, batch: Batch, backbone: str, recipe: Recipe) -> Tensor:
    """L_A + 1e-4 L_B + L_C, each a mean over its own area, and the flatness of the synthetic tones."""
    output, light = module(batch.image, batch.mask)
    parts = losses.areas(batch.mask)
    count = len(batch.bright)
    real = parts.lit[:-count]
    photographs, references = output[:-count], batch.reference[:-count]
    if backbone == "deepupe":
        lit_loss = losses.distance(photographs, references, real, floor=0.02)
        lit_loss = lit_loss + recipe.gradient * losses.gradient_smooth(light[:-count], batch.image[:-count], real)
    else:
        lit_loss = losses.absolute(photographs, references, real)
    lit_loss = lit_loss + recipe.angle[backbone] * losses.colour_angle(photographs, references, real)
    total = recipe.lit * lit_loss
    if recipe.transition and bool(parts.transition.any()):
        # Of the output with both backbones. The paper takes the illumination where there is one, but light that is even
        # in S falls as 1 / S: on very dark images nearly all of it at the border of A.
        total = total + recipe.transition * losses.second_order_smooth(output, batch.image, parts.transition)
    total = total + recipe.unchanged * losses.distance(output, batch.image, parts.unchanged, floor=0.002)
    return total + recipe.tones * losses.flatness(output[-count:], batch.bright, parts.lit[-count:])
