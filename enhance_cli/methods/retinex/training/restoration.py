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
from enhance_cli.methods.retinex.formulas_torch import bright_channel, kept_white, luma_statistics, thinned
from enhance_cli.methods.retinex.formulas_torch import candidates as candidates_of
from enhance_cli.methods.retinex.training import faults, losses
from enhance_cli.methods.retinex.training.data import (
    Album,
    Codes,
    Picture,
    codes_of,
    draw_kind,
    floats,
    shrunk,
    tensor,
)
from enhance_cli.methods.retinex.training.first_stage import FirstStage, illumination, picture_of
from enhance_cli.methods.retinex.training.recipe import RestorationRecipe
from enhance_cli.quality.reference import psnr, ssim
from enhance_cli.training import loop
from enhance_cli.training.degradations import generator
from enhance_cli.training.options import TrainOptions
from enhance_cli.training.two_tone import two_tones

TWO_TONE_PICTURES = 64
"""Synthetic images of two tones, half with noise; half as many of one tone join them."""


@dataclass(frozen=True, slots=True)
class Noisy:
    """A photo as the first stage leaves it, at its own size, and what it should look like in that light."""

    image: Codes
    light: Codes
    """L of the image, H×W."""

    target: Codes
    scaled: bool = False
    """Whether the target is another frame, whose crop is to be brought to the mean of this one."""

    bright: Codes | None = None


def photos_of(album: Album, stage: FirstStage, seed: int) -> dict[str, list[Noisy]]:
    """The training data of stage 2 by kind. Stage 1 is fixed by then, so it is applied to every photo once."""
    made: dict[str, list[Noisy]] = {"lowlight": [], "stacks": [], "noisy": [], "two tones": []}
    for pair in album.lowlight[::3]:  # scenes come several times
        made["lowlight"].append(Noisy(*corrected(stage, pair.degraded), pair.reference, scaled=True))
    for pair in album.stacks[::8]:  # spread over scenes and exposures
        made["stacks"].append(Noisy(*corrected(stage, pair.degraded), pair.reference, scaled=True))
    for index, photograph in enumerate(album.clean[::4]):
        before, _ = good = corrected(stage, photograph)
        if index % 4 == 0:
            noisy = codes_of(faults.camera_noise(floats(photograph), generator(seed, 4, index)))
            good = corrected(stage, noisy)
        made["noisy"].append(Noisy(*good, before))
    for index in range(TWO_TONE_PICTURES):
        random = generator(seed, 5, index)
        tones, bright = two_tones(random, 160)
        flat = codes_of(tones)
        grains = codes_of(faults.camera_noise(tones, random)) if index % 2 else flat
        made["two tones"].append(Noisy(*corrected(stage, grains), corrected(stage, flat)[0], bright=codes_of(bright)))
    for index in range(TWO_TONE_PICTURES // 2):
        random = generator(seed, 6, index)
        # From black on, and more dark ones: letterboxes and night skies are flat, and their light is the least.
        level = 255.0 * (index / max(TWO_TONE_PICTURES // 2 - 1, 1)) ** 2
        colour = random.uniform(0.6, 1.0, 3) if index % 2 and level < 255.0 else np.ones(3)
        flat = np.broadcast_to(np.rint(level * colour), (160, 160, 3)).astype(np.uint8)
        left, light = corrected(stage, flat)
        made["two tones"].append(Noisy(left, light, left, bright=np.zeros_like(light)))
    return {kind: found for kind, found in made.items() if found}


def train_restoration(
    stage: FirstStage,
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
    stage.eval()
    log("Enhancing the photos that restoration learns from.")
    photos = photos_of(album, stage.cpu(), options.seed)
    for number, recipe in enumerate(phases, start=1):
        log(f"Training restoration, phase {number} of {len(phases)}.")

        def loss(iteration: int, recipe: RestorationRecipe = recipe, number: int = number) -> Tensor:
            return restoration_loss(module, photos, recipe, (options.seed, number), iteration, options.device)

        loop.train(
            module,
            loss,
            lambda restoration: restoration_figures(stage, restoration, album),
            recipe.schedule.lasting(options.iterations),
            options.out / f"restoration-{number}",
            resume=options.resume,
            log=log,
        )
    return module


def restoration_loss(
    module: nn.Module,
    photos: Mapping[str, Sequence[Noisy]],
    recipe: RestorationRecipe,
    seed: tuple[int, int],
    iteration: int,
    device: str = "cpu",
) -> Tensor:
    """The loss of one batch of crops, a function of the seed (and the phase) and the number alone."""
    random = generator(*seed, iteration)
    shares = {"lowlight": recipe.lowlight, "noisy": recipe.noisy, "two tones": recipe.two_tones}
    shares["stacks"] = max(0.0, 1.0 - sum(shares.values()))
    shares = {kind: share for kind, share in shares.items() if kind in photos}
    kinds = [draw_kind(random, shares) for _ in range(recipe.batch)]
    kinds.sort(key=lambda kind: kind == "two tones")
    crops = [crop_of(photos[kind][int(random.integers(len(photos[kind])))], random, recipe.side) for kind in kinds]
    image, light, target = (tensor([crop[part] for crop in crops]).to(device) for part in range(3))
    noise = module(torch.cat([image, light], dim=1))[0]
    output = image + noise
    total = losses.root_huber(output, target) + recipe.similarity * losses.dissimilarity(output, target)
    colour = target if recipe.colour_of_target else image
    total = total + recipe.chroma * losses.chroma(output, colour) + recipe.variation * losses.total_variation(output)
    synthetic = kinds.count("two tones")
    if synthetic:
        bright = tensor([crop[3] for crop in crops[-synthetic:]]).to(device)
        total = total + recipe.flatness * synthetic * losses.two_tone(output[-synthetic:], bright)
        still = (output[-synthetic:] - target[-synthetic:]).abs().mean()
        total = total + recipe.stillness * synthetic / recipe.batch * still
    return total


def crop_of(photo: Noisy, random: np.random.Generator, side: int) -> tuple[Picture, Picture, Picture, Picture]:
    """The same random square of the image, its light, its target and its tones, turned and mirrored alike."""
    height, width = photo.light.shape
    rows, columns = (min(side, size) for size in (height, width))
    # Even places: production packs 2×2 blocks of whole images, and JPEG's blocks start at even pixels.
    top, left = (2 * int(random.integers((size - part) // 2 + 1)) for size, part in ((height, rows), (width, columns)))
    turns, mirrored = int(random.integers(4)), random.random() < 0.5

    def one(codes: Codes) -> Picture:
        piece = np.rot90(floats(codes[top : top + rows, left : left + columns]), turns)
        return np.ascontiguousarray(piece[:, ::-1] if mirrored else piece)

    image, light, target = one(photo.image), one(photo.light), one(photo.target)
    if photo.scaled:
        # Brightness is up to stage 1, so errors in it must not count in the loss of stage 2.
        target = np.clip(target * np.clip(image.mean() / max(float(target.mean()), 1e-3), 0.5, 2.0), 0.0, 1.0)
    return image, light, target, one(photo.bright) if photo.bright is not None else np.zeros_like(light)


@torch.no_grad()
def corrected(stage: FirstStage, photograph: Codes) -> tuple[Codes, Codes]:
    """The output of stage 1 for a photo at its own size, and L."""
    image = tensor([floats(photograph)])
    small = tensor([floats(shrunk(photograph, PROXY))])
    grid, grid_of_negative = stage.illumination(small)

    def candidates(picture: Tensor) -> tuple[Tensor, Tensor]:
        light = illumination(grid, bright_channel(picture))
        of_negative = illumination(grid_of_negative, bright_channel(1.0 - picture))
        return torch.cat(candidates_of(picture, light, of_negative)), light

    statistics = luma_statistics(thinned(candidates(small)[0]))
    parts, light = candidates(image)
    weights = torch.softmax(stage.fusion(parts, statistics)[0], dim=0)
    output = kept_white((weights * parts).sum(dim=0, keepdim=True), image)
    return picture_of(output), codes_of(light[0, 0].numpy())


@torch.no_grad()
def enhanced(stage: FirstStage, restoration: nn.Module, photograph: Codes) -> Codes:
    """The whole method on a photo, for validation; production has its own kernels."""
    before, light = corrected(stage, photograph)
    height, width = light.shape
    image = tensor([np.dstack([floats(before), floats(light)])])
    padded = functional.pad(image, (0, width % 2, 0, height % 2), mode="replicate")
    noise = restoration(padded)[0][:, :, :height, :width]
    return picture_of(image[:, :3] + noise)


def restoration_figures(stage: FirstStage, module: nn.Module, album: Album) -> dict[str, float]:
    """PSNR and SSIM of centre crops of held-out images at native resolution."""
    figures = {}
    for kind, pairs in album.held_out.items():
        ratios, likenesses = [], []
        for pair in pairs[:6]:
            output = enhanced(stage, module, pair.degraded)
            ratios.append(psnr(output, pair.reference))
            likenesses.append(ssim(output, pair.reference))
        figures[kind], figures[f"{kind} SSIM"] = float(np.mean(ratios)), float(np.mean(likenesses))
    return figures
