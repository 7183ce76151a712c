"""Training of retinex's networks: real pairs and simulated degradations, with a reason for every number.

Illumination-Net and Fusion-Net are trained first and together, on downscaled images: the tones of an image show how
much light it lacks. Then Restoration-Net is trained at native resolution, on the outputs of the first two, now fixed,
for noisy photos. The loop, the data sets and the export are those of `enhance_cli.training`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from enhance_cli.methods.retinex import network
from enhance_cli.methods.retinex.formulas import LUMA_QUANTILES, PROXY
from enhance_cli.methods.retinex.formulas_torch import bright_channel, luma_statistics, thinned
from enhance_cli.methods.retinex.formulas_torch import candidates as candidates_of
from enhance_cli.methods.retinex.training import faults, losses
from enhance_cli.methods.retinex.training.data import Album, Codes, Picture, codes_of, draw_kind, floats, shrunk
from enhance_cli.methods.retinex.training.mending import Mending, illumination
from enhance_cli.methods.retinex.training.recipe import MendingRecipe, Recipe, RestorationRecipe
from enhance_cli.quality.reference import psnr, ssim
from enhance_cli.training import loop
from enhance_cli.training.dataset import Pair
from enhance_cli.training.degradations import generator
from enhance_cli.training.export import Exported, Trained, export
from enhance_cli.training.options import TrainOptions
from enhance_cli.training.sheet import write_sheet
from enhance_cli.training.two_tone import two_tones

TWO_TONE_PICTURES = 64
"""Synthetic images of two tones that stage 2 learns from, half with noise; half as many of one tone join them."""


def train(
    options: TrainOptions, log: Callable[[str], None] = lambda sentence: None, recipe: Recipe | None = None
) -> Trained:
    """Train all three networks from a folder of photos and export them.

    The folder may hold `exposure/sice512/` (stacks), `paired_lowlight/low` and `high`, and `clean/`, as
    docs/training.md says, or the photos themselves, which then count as clean.

    Args:
        options: where the photos are, where the results go, seed and device. `iterations` are those of each
            stage.
        log: receives progress messages.
        recipe: the numbers; None takes those of the shipped weights.

    Raises:
        UsageError: a part is named, no photos, one that cannot be decoded, or a checkpoint of another schedule.
    """
    options.parts_of(())
    recipe = recipe or Recipe()
    torch.set_num_threads(options.threads)
    album = Album.read(options.data, recipe, log)
    log("Training illumination and fusion.")
    mending = train_mending(album, options, recipe.mending, log)
    figures = {"mending": mending_figures(mending, album)}
    log("Training restoration.")
    restoration = train_restoration(mending, album, options, recipe.restoration, log)
    figures["restoration"] = restoration_figures(mending, restoration, album)
    assert isinstance(mending, Mending)
    exported = deliver(mending, restoration, options.out)
    sheet = options.out / "validation.png"
    write_sheet(sheet, [_row(mending, restoration, pair) for pair in album.examples])
    log(f"Wrote {sheet}.")
    return Trained(exported, figures, [sheet])


def deliver(mending: Mending, restoration: network.Restoration, out: Path) -> dict[str, Exported]:
    """Write the files of the three networks."""
    random = generator(0, 1)

    def sample(count: int, channels: int, height: int, width: int) -> Picture:
        return random.random((count, channels, height, width), np.float32)

    side = PROXY
    picture = {0: "count", 2: "height", 3: "width"}
    statistics = len(LUMA_QUANTILES) + 1
    fusion, illumination = mending.fusion, mending.illumination
    with warnings.catch_warnings():
        # Shapes are asked for while networks are traced; the samples have several.
        warnings.simplefilter("ignore")
        return {
            "illumination": export(
                illumination.cpu(),
                out,
                "illumination",
                identity="retinex/illumination-1",
                configuration={
                    "part": "illumination",
                    "hidden": illumination.context.out_features,
                    "bins": illumination.bins,
                    "scales": list(illumination.scales),
                    "pack": illumination.pack,
                },
                samples=[{"image": sample(1, 3, side, side)}, {"image": sample(1, 3, side, side) ** 4}],
                outputs=illumination.outputs,
                dynamic_axes={},
            ),
            "fusion": export(
                fusion.cpu(),
                out,
                "fusion",
                identity="retinex/fusion-1",
                configuration={"part": "fusion", "width": fusion.first.out_features},
                samples=[
                    {"image": sample(count, 3, 9, 13), "statistics": random.random((count, statistics), np.float32)}
                    for count in (1, 3)
                ],
                outputs=fusion.outputs,
                dynamic_axes={"image": picture, "statistics": {0: "count"}, "score": picture},
            ),
            "restoration": export(
                restoration.cpu(),
                out,
                "restoration",
                identity="retinex/restoration-1",
                configuration={"part": "restoration", "width": restoration.convs[0].out_channels},
                samples=[{"image": sample(1, 4, 24, 30)}, {"image": sample(2, 4, 2, 4)}],
                outputs=restoration.outputs,
                dynamic_axes={"image": picture, "noise": picture},
            ),
        }


def tensor(pictures: Sequence[Picture]) -> Tensor:
    """H×W×3 images, or H×W maps, as N×C×H×W."""
    stacked = np.stack([one if one.ndim == 3 else one[..., None] for one in pictures])
    return torch.from_numpy(np.ascontiguousarray(stacked.transpose(0, 3, 1, 2)))


# --- stage 1 -----------------------------------------------------------------------------------------------


def train_mending(album: Album, options: TrainOptions, recipe: MendingRecipe, log: loop.Log) -> nn.Module:
    """Train illumination and fusion."""
    module = fresh_mending(recipe, options.seed).to(options.device)
    return loop.train(
        module,
        lambda iteration: mending_loss(module, album, recipe, options.seed, iteration, options.device),
        lambda trained: mending_figures(trained, album),
        recipe.schedule.lasting(options.iterations),
        options.out / "mending",
        resume=options.resume,
        log=log,
    )


def fresh_mending(recipe: MendingRecipe, seed: int) -> nn.Module:
    """Freshly initialised networks, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        first = network.Illumination(hidden=recipe.hidden, scales=recipe.scales)
        return Mending(first, network.Fusion(recipe.fusion_width))


def mending_loss(
    module: nn.Module,
    album: Album,
    recipe: MendingRecipe,
    seed: int,
    iteration: int,
    device: str = "cpu",
) -> Tensor:
    """The loss of one batch, a function of seed and number alone."""
    random = generator(seed, iteration)
    drawn = sorted((album.small(random, recipe) for _ in range(recipe.batch)), key=lambda one: one.bright is not None)
    photographs = sum(one.bright is None for one in drawn)
    image = tensor([one.image for one in drawn]).to(device)
    output, _, light, light_of_negative = module(image)
    image = thinned(image)
    total = torch.zeros((), device=device)
    if photographs:
        mended = output[:photographs]
        target = thinned(tensor([one.target for one in drawn[:photographs]])).to(device)
        total = total + losses.root_huber(mended, target)
        total = total + recipe.similarity * losses.dissimilarity(mended, target)
    total = total + recipe.smoothness * (
        losses.illumination_smoothness(light, image) + losses.illumination_smoothness(light_of_negative, image)
    )
    if photographs < recipe.batch:
        bright = tensor([one.bright for one in drawn[photographs:] if one.bright is not None]).to(device)
        flatness = losses.two_tone(output[photographs:], thinned(bright))
        total = total + recipe.flatness * (recipe.batch - photographs) * flatness
    return total


def mending_figures(module: nn.Module, album: Album) -> dict[str, float]:
    """PSNR and SSIM of held-out images of every kind, made small."""
    figures = {}
    for kind, pairs in album.held_out.items():
        ratios, likenesses = [], []
        for pair in pairs[:48]:
            image, target = (shrunk(codes, PROXY) for codes in (pair.degraded, pair.reference))
            target = np.ascontiguousarray(target[::2, ::2])
            with torch.no_grad():
                output = _picture(module(tensor([floats(image)]))[0])
            ratios.append(psnr(output, target))
            likenesses.append(ssim(output, target))
        figures[kind], figures[f"{kind} SSIM"] = float(np.mean(ratios)), float(np.mean(likenesses))
    return figures


def _picture(output: Tensor) -> Codes:
    return codes_of(output[0].detach().cpu().numpy().transpose(1, 2, 0))


# --- stage 2 -----------------------------------------------------------------------------------------------


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


def worn(album: Album, mending: Mending, seed: int) -> dict[str, list[Worn]]:
    """The training data of stage 2 by kind. Stage 1 is fixed by then, so it is applied to every photo once."""
    made: dict[str, list[Worn]] = {"lowlight": [], "stacks": [], "noisy": [], "two tones": []}
    for pair in album.lowlight[::3]:  # scenes come several times
        made["lowlight"].append(Worn(*mended(mending, pair.degraded), pair.reference, scaled=True))
    for pair in album.stacks[::8]:  # spread over scenes and exposures
        made["stacks"].append(Worn(*mended(mending, pair.degraded), pair.reference, scaled=True))
    for index, photograph in enumerate(album.clean[::4]):
        before, _ = good = mended(mending, photograph)
        if index % 4 == 0:
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
    mending: nn.Module, album: Album, options: TrainOptions, recipe: RestorationRecipe, log: loop.Log
) -> network.Restoration:
    """Train the restoration on what the fixed first stage gives."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        module = network.Restoration(recipe.width).to(options.device)
    assert isinstance(mending, Mending)
    mending.eval()
    log("Enhancing the photos that restoration learns from.")
    pictures = worn(album, mending.cpu(), options.seed)
    trained = loop.train(
        module,
        lambda iteration: restoration_loss(module, pictures, recipe, options.seed, iteration, options.device),
        lambda network: restoration_figures(mending, network, album),
        recipe.schedule.lasting(options.iterations),
        options.out / "restoration",
        resume=options.resume,
        log=log,
    )
    assert isinstance(trained, network.Restoration)
    return trained


def restoration_loss(
    module: nn.Module,
    pictures: Mapping[str, Sequence[Worn]],
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
    noise = module(torch.cat([image, light], dim=1))[0]
    output = image + noise
    total = losses.root_huber(output, target) + recipe.similarity * losses.dissimilarity(output, target)
    total = total + recipe.chroma * losses.chroma(output, image) + recipe.variation * losses.total_variation(output)
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
    return _picture(output), codes_of(light[0, 0].numpy())


@torch.no_grad()
def enhanced(mending: Mending, restoration: nn.Module, photograph: Codes) -> Codes:
    """The whole method on a photo, for validation; production has its own kernels."""
    before, light = mended(mending, photograph)
    height, width = light.shape
    image = tensor([np.dstack([floats(before), floats(light)])])
    padded = functional.pad(image, (0, width % 2, 0, height % 2), mode="replicate")
    noise = restoration(padded)[0][:, :, :height, :width]
    return _picture(image[:, :3] + noise)


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


# --- delivery ----------------------------------------------------------------------------------------------


def _row(mending: Mending, restoration: nn.Module, pair: Pair) -> list[tuple[str, Any]]:
    before, light = mended(mending, pair.degraded)
    return [
        (pair.name, pair.degraded),
        ("illumination", light),
        ("mended", before),
        ("restored", enhanced(mending, restoration, pair.degraded)),
        ("reference", pair.reference),
    ]
