"""The first stage of retinex in training: both of its networks, the formulas between them, loss and validation."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from enhance_cli.methods.retinex.formulas import PROXY
from enhance_cli.methods.retinex.formulas_torch import (
    bright_channel,
    candidates,
    illuminated,
    kept_white,
    luma_statistics,
    thinned,
)
from enhance_cli.methods.retinex.network import Fusion, Illumination, SceneIllumination
from enhance_cli.methods.retinex.training import losses
from enhance_cli.methods.retinex.training.data import Album, Codes, codes_of, floats, shrunk, tensor
from enhance_cli.methods.retinex.training.recipe import IlluminationRecipe
from enhance_cli.quality.reference import psnr, ssim
from enhance_cli.training import loop
from enhance_cli.training.degradations import generator
from enhance_cli.training.options import TrainOptions


class FirstStage(nn.Module):
    """Both networks of the first stage and the formulas between them: from an image to the corrected image."""

    def __init__(self, illumination: Illumination | SceneIllumination, fusion: Fusion) -> None:
        super().__init__()
        self.illumination, self.fusion = illumination, fusion

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Correct N×3×PROXY×PROXY; the result is every second pixel of every second row, which is enough for training.

        Returns:
            Corrected image, weights of its three candidates, L and L'; sides of PROXY / 2.
        """
        grid, grid_of_negative = self.illumination(image)
        seen = thinned(image)
        light = illumination(grid, bright_channel(seen))
        light_of_negative = illumination(grid_of_negative, bright_channel(1.0 - seen))
        parts = torch.cat(candidates(seen, light, light_of_negative))
        scores = torch.cat(self.fusion(parts, luma_statistics(parts))[0].chunk(3), dim=1)
        weights = torch.softmax(scores, dim=1)
        fused = sum(weights[:, i : i + 1] * part for i, part in enumerate(parts.chunk(3)))
        assert isinstance(fused, Tensor)
        return kept_white(fused, seen), weights, light, light_of_negative


def illumination(grid: Tensor, channel: Tensor) -> Tensor:
    """L = b + (1 - b) sigmoid(k u + o), never below the channel b; (k, o) by place and tone u = sqrt(b).

    Args:
        grid: N×rows×columns×bins×2, as `Illumination` gives it.
        channel: b, N×1×H×W in 0..1, at any size.

    Returns:
        N×1×H×W.
    """
    _, _, height, width = channel.shape
    _, rows, columns, bins, _ = grid.shape
    tone = torch.sqrt(channel.clamp(min=0.0))
    field = grid.permute(0, 4, 3, 1, 2)
    if rows > 1:
        field = _hats(height, rows, grid) @ field
    if columns > 1:
        field = field @ _hats(width, columns, grid).T
    field = field.expand(-1, -1, -1, height, width)
    at = tone * (bins - 1)
    below = at.detach().floor().clamp(0, bins - 2)
    share = at - below
    low = below.long()[:, None].expand(-1, 2, -1, -1, -1)
    found = torch.gather(field, 2, low) * (1.0 - share[:, None]) + torch.gather(field, 2, low + 1) * share[:, None]
    return illuminated(channel, tone, found[:, 0], found[:, 1])


def _hats(pixels: int, nodes: int, like: Tensor) -> Tensor:
    """How much each node counts at each pixel's centre, pixels×nodes: linear interpolation as a matrix."""
    at = (torch.arange(pixels, dtype=like.dtype, device=like.device) + 0.5) * ((nodes - 1) / pixels)
    node = torch.arange(nodes, dtype=like.dtype, device=like.device)
    return (1.0 - (at[:, None] - node).abs()).clamp(min=0.0)


def train_illuminations(
    album: Album, options: TrainOptions, recipe: IlluminationRecipe, log: loop.Log
) -> tuple[FirstStage, FirstStage]:
    """Train the large illumination with the fusion, then the paper's with the same fusion."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        paper = Illumination(hidden=recipe.hidden, scales=recipe.scales)
        full = SceneIllumination(recipe.widths)
        fusion = Fusion(recipe.fusion_width)

    def trained(network: FirstStage, schedule: loop.Schedule, name: str) -> FirstStage:
        log(f"Training {name}.")
        network.to(options.device)
        loop.train(
            network,
            lambda iteration: first_stage_loss(network, album, recipe, options.seed, iteration, options.device),
            lambda validated: first_stage_figures(validated, album),
            schedule.lasting(options.iterations),
            options.out / name,
            resume=options.resume,
            log=log,
        )
        return network

    large = trained(FirstStage(full, fusion), recipe.full, "illumination-full")
    fusion.requires_grad_(False)
    return large, trained(FirstStage(paper, fusion), recipe.paper, "illumination")


def first_stage_loss(
    module: nn.Module,
    album: Album,
    recipe: IlluminationRecipe,
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
        corrected = output[:photographs]
        target = thinned(tensor([one.target for one in drawn[:photographs]])).to(device)
        total = total + losses.root_huber(corrected, target)
        total = total + recipe.similarity * losses.dissimilarity(corrected, target)
    total = total + recipe.smoothness * (
        losses.illumination_smoothness(light, image) + losses.illumination_smoothness(light_of_negative, image)
    )
    if photographs < recipe.batch:
        bright = tensor([one.bright for one in drawn[photographs:] if one.bright is not None]).to(device)
        flatness = losses.two_tone(output[photographs:], thinned(bright))
        total = total + recipe.flatness * (recipe.batch - photographs) * flatness
    return total


def first_stage_figures(module: nn.Module, album: Album) -> dict[str, float]:
    """PSNR and SSIM of held-out images of every kind, made small."""
    figures = {}
    for kind, pairs in album.held_out.items():
        ratios, likenesses = [], []
        for pair in pairs[:48]:
            image, target = (shrunk(codes, PROXY) for codes in (pair.degraded, pair.reference))
            target = np.ascontiguousarray(target[::2, ::2])
            with torch.no_grad():
                output = picture_of(module(tensor([floats(image)]))[0])
            ratios.append(psnr(output, target))
            likenesses.append(ssim(output, target))
        figures[kind], figures[f"{kind} SSIM"] = float(np.mean(ratios)), float(np.mean(likenesses))
    return figures


def picture_of(output: Tensor) -> Codes:
    """The first image of a batch."""
    return codes_of(output[0].detach().cpu().numpy().transpose(1, 2, 0))
