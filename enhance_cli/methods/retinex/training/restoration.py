"""The second stage of retinex in training: restoration at native resolution, on what the fixed first stage gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from enhance_cli.methods.retinex import network
from enhance_cli.methods.retinex.formulas import PROXY
from enhance_cli.methods.retinex.formulas_torch import bright_channel, luma_statistics, thinned
from enhance_cli.methods.retinex.formulas_torch import candidates as candidates_of
from enhance_cli.methods.retinex.training import faults, losses
from enhance_cli.methods.retinex.training.data import Album, Codes, Picture, codes_of, draw_kind, floats, shrunk, tensor
from enhance_cli.methods.retinex.training.mending import Mending, illumination, picture_of
from enhance_cli.methods.retinex.training.recipe import RestorationRecipe
from enhance_cli.quality.reference import psnr, ssim
from enhance_cli.training import loop
from enhance_cli.training.degradations import generator
from enhance_cli.training.options import TrainOptions
from enhance_cli.training.two_tone import two_tones

TWO_TONE_PICTURES = 64
"""Synthetic images of two tones that stage 2 learns from, half with noise; half as many of one tone join them."""


Photos = Mapping[str, Sequence["Worn"]]
"""By kind."""


@dataclass(frozen=True, slots=True)
class Worn:
    """A photo as stage 1 leaves it, at its own size, and what it should look like in that light."""

    mended: Codes
    light: Codes
    """L of the image, H×W."""

    target: Codes
    scaled: bool = False
    """Whether the target is another frame, whose crop is to be brought to the mended one's mean luma."""

    bright: Codes | None = None


def worn(album: Album, mending: Mending, seed: int, recipe: RestorationRecipe) -> dict[str, list[Worn]]:
    """The training data of a phase by kind. Stage 1 is fixed by then, so it is applied to every photo once."""
    made: dict[str, list[Worn]] = {"lowlight": [], "stacks": [], "noisy": [], "two tones": []}
    for pair in album.lowlight[:: recipe.lowlight_every]:
        made["lowlight"].append(Worn(*mended(mending, pair.degraded), pair.reference, scaled=True))
    for pair in album.stacks[:: recipe.stacks_every]:
        made["stacks"].append(Worn(*mended(mending, pair.degraded), pair.reference, scaled=True))
    for index, photograph in enumerate(album.clean[::4]):
        before, _ = good = mended(mending, photograph)
        if index % recipe.noise_every == 0:
            noisy = codes_of(faults.camera_noise(floats(photograph), generator(seed, 4, index)))
            good = mended(mending, noisy)
        made["noisy"].append(Worn(*good, before))
    for index in range(TWO_TONE_PICTURES):
        random = generator(seed, 5, index)
        tones, bright = two_tones(random, 160)
        flat = codes_of(tones)
        grains = codes_of(faults.camera_noise(tones, random)) if index % 2 else flat
        made["two tones"].append(Worn(*mended(mending, grains), mended(mending, flat)[0], bright=codes_of(bright)))
    for index in range(TWO_TONE_PICTURES // 2):
        random = generator(seed, 6, index)
        # From black on, and more dark ones: letterboxes and night skies are flat, and their light is the least.
        level = 255.0 * (index / max(TWO_TONE_PICTURES // 2 - 1, 1)) ** 2
        colour = random.uniform(0.6, 1.0, 3) if index % 2 and level < 255.0 else np.ones(3)
        flat = np.broadcast_to(np.rint(level * colour), (160, 160, 3)).astype(np.uint8)
        left, light = mended(mending, flat)
        made["two tones"].append(Worn(left, light, left, bright=np.zeros_like(light)))
    return {kind: found for kind, found in made.items() if found}


def train_restoration(
    mending: Mending,
    album: Album,
    options: TrainOptions,
    phases: Sequence[RestorationRecipe],
    width: int,
    log: loop.Log,
) -> network.Restoration:
    """Train the restoration on what the fixed first stage gives, phase by phase."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        module = network.Restoration(width).to(options.device)
    mending.cpu().eval()
    for number, recipe in enumerate(phases, start=1):
        log(f"Training restoration, phase {number} of {len(phases)}.")
        photos = worn(album, mending, options.seed, recipe)

        schedule = recipe.schedule.lasting(options.iterations)
        steps = schedule.iterations

        def loss(
            iteration: int, recipe: RestorationRecipe = recipe, photos: Photos = photos, steps: int = steps
        ) -> Tensor:
            module.slope = recipe.slope_at(iteration, steps)
            return restoration_loss(module, photos, recipe, options.seed, iteration, options.device)

        loop.train(
            module,
            loss,
            lambda trained: restoration_figures(mending, trained, album),
            schedule,
            options.out / f"restoration-{number}",
            resume=options.resume,
            log=log,
        )
    return module


def restoration_loss(
    module: network.Restoration,
    pictures: Photos,
    recipe: RestorationRecipe,
    seed: int,
    iteration: int,
    device: str = "cpu",
) -> Tensor:
    """The loss of one batch of crops, a function of seed and number alone."""
    random = generator(seed, iteration, 1)
    shares = {"lowlight": recipe.lowlight, "noisy": recipe.noisy, "two tones": recipe.two_tones}
    shares["stacks"] = max(0.0, 1.0 - sum(shares.values()))
    shares = {kind: share for kind, share in shares.items() if kind in pictures}
    kinds = [draw_kind(random, shares) for _ in range(recipe.batch)]
    kinds.sort(key=lambda kind: kind == "two tones")
    crops = [crop_of(pictures[kind][int(random.integers(len(pictures[kind])))], random, recipe.side) for kind in kinds]
    image, light, target = (tensor([crop[part] for crop in crops]).to(device) for part in range(3))
    noise, inputs = module.traced(torch.cat([image, light], dim=1))
    output = image + noise
    total = losses.root_huber(output, target) + recipe.similarity * losses.dissimilarity(output, target)
    colour = losses.chroma(output, target if recipe.colour_of_target else image, recipe.colour_pool)
    total = total + recipe.chroma * colour + recipe.variation * losses.total_variation(output)
    total = total + recipe.activity * losses.inactivity(inputs)
    synthetic = kinds.count("two tones")
    if synthetic:
        bright = tensor([crop[3] for crop in crops[-synthetic:]]).to(device)
        total = total + recipe.flatness * synthetic * losses.two_tone(output[-synthetic:], bright)
        still = (output[-synthetic:] - target[-synthetic:]).abs().mean()
        total = total + recipe.stillness * synthetic / recipe.batch * still
    return total


def crop_of(picture: Worn, random: np.random.Generator, side: int) -> tuple[Picture, Picture, Picture, Picture]:
    """The same random square of the mended image, its light, its target and its tones, turned and mirrored alike."""
    height, width = picture.light.shape
    rows, columns = (min(side, size) for size in (height, width))
    # Even places: production packs 2×2 blocks of whole images, and JPEG's blocks start at even pixels.
    top, left = (2 * int(random.integers((size - part) // 2 + 1)) for size, part in ((height, rows), (width, columns)))
    turns, mirrored = int(random.integers(4)), random.random() < 0.5

    def one(codes: Codes) -> Picture:
        piece = np.rot90(floats(codes[top : top + rows, left : left + columns]), turns)
        return np.ascontiguousarray(piece[:, ::-1] if mirrored else piece)

    mended, light, target = one(picture.mended), one(picture.light), one(picture.target)
    if picture.scaled:
        # Brightness is up to stage 1, so errors in it must not count in the loss of stage 2.
        target = np.clip(target * np.clip(mended.mean() / max(float(target.mean()), 1e-3), 0.5, 2.0), 0.0, 1.0)
    return mended, light, target, one(picture.bright) if picture.bright is not None else np.zeros_like(light)


@torch.no_grad()
def mended(mending: Mending, photograph: Codes) -> tuple[Codes, Codes]:
    """The output of stage 1 for a photo at its own size, and L."""
    image = tensor([floats(photograph)])
    small = tensor([floats(shrunk(photograph, PROXY))])
    grid, grid_of_negative = mending.illumination(small)

    def candidates(picture: Tensor) -> tuple[Tensor, Tensor]:
        light = illumination(grid, bright_channel(picture))
        of_negative = illumination(grid_of_negative, bright_channel(1.0 - picture))
        return torch.cat(candidates_of(picture, light, of_negative)), light

    statistics = luma_statistics(thinned(candidates(small)[0]))
    parts, light = candidates(image)
    weights = torch.softmax(mending.fusion(parts, statistics)[0], dim=0)
    output = (weights * parts).sum(dim=0, keepdim=True)
    return picture_of(output), codes_of(light[0, 0].numpy())


@torch.no_grad()
def enhanced(mending: Mending, restoration: nn.Module, photograph: Codes) -> Codes:
    """The whole method on a photo, for validation; production has its own kernels."""
    before, light = mended(mending, photograph)
    height, width = light.shape
    image = tensor([np.dstack([floats(before), floats(light)])])
    padded = functional.pad(image, (0, width % 2, 0, height % 2), mode="replicate")
    noise = restoration(padded)[0][:, :, :height, :width]
    return picture_of(image[:, :3] + noise)


def restoration_figures(mending: nn.Module, module: nn.Module, album: Album) -> dict[str, float]:
    """PSNR and SSIM of centre crops of held-out images at native resolution."""
    assert isinstance(mending, Mending)
    figures = {}
    for kind, pairs in album.held_out.items():
        ratios, likenesses = [], []
        for pair in pairs[:6]:
            output = enhanced(mending, module, pair.degraded)
            ratios.append(psnr(output, pair.reference))
            likenesses.append(ssim(output, pair.reference))
        figures[kind], figures[f"{kind} SSIM"] = float(np.mean(ratios)), float(np.mean(likenesses))
    return figures
