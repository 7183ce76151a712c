"""The first stage of retinex in training: both of its networks, the formulas between them, loss and validation."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from enhance_cli.imaging.finish_torch import kept_highlights
from enhance_cli.methods.retinex.formulas import PROXY
from enhance_cli.methods.retinex.formulas_torch import (
    bright_channel,
    candidates,
    illuminated,
    luma_statistics,
    thinned,
)
from enhance_cli.methods.retinex.network import Fusion, Illumination, SceneIllumination
from enhance_cli.methods.retinex.training import losses
from enhance_cli.methods.retinex.training.data import Album, Codes, Drawn, codes_of, floats, shrunk, tensor
from enhance_cli.methods.retinex.training.recipe import FullRecipe, MendingRecipe
from enhance_cli.quality.reference import psnr, ssim
from enhance_cli.training import loop
from enhance_cli.training.degradations import generator
from enhance_cli.training.options import TrainOptions


class Mending(nn.Module):
    """Both networks of the first stage and the formulas between them: from an image to the corrected image.

    Args:
        illumination: either of the two.
        fusion: the other network.
        highlight: the range of luma over which highlights are kept, as they are when a photo is enhanced; None to
            leave them, as the paper's illumination was trained.
    """

    def __init__(
        self,
        illumination: Illumination | SceneIllumination,
        fusion: Fusion,
        highlight: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        self.illumination, self.fusion, self.highlight = illumination, fusion, highlight

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
        mended = sum(weights[:, i : i + 1] * part for i, part in enumerate(parts.chunk(3)))
        assert isinstance(mended, Tensor)
        if self.highlight is not None:
            mended = kept_highlights(mended, seen, self.highlight)
        return mended, weights, light, light_of_negative


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


def train_mending(album: Album, options: TrainOptions, recipe: MendingRecipe, log: loop.Log) -> nn.Module:
    """Train illumination and fusion."""
    module = fresh_mending(recipe, options.seed).to(options.device)
    return _trained(module, lambda random: album.small(random, recipe), album, options, recipe, "mending", log)


def fresh_mending(recipe: MendingRecipe, seed: int) -> nn.Module:
    """Freshly initialised networks, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        first = Illumination(hidden=recipe.hidden, scales=recipe.scales)
        return Mending(first, Fusion(recipe.fusion_width))


def train_full(mending: Mending, album: Album, options: TrainOptions, recipe: FullRecipe, log: loop.Log) -> Mending:
    """Train the large illumination, and a copy of the first stage's fusion with it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        large = SceneIllumination(recipe.widths)
    module = Mending(large, copy.deepcopy(mending.fusion), recipe.highlight).to(options.device)
    _trained(module, lambda random: album.scene(random, recipe), album, options, recipe, "mending-full", log)
    return module


def _trained(
    module: nn.Module,
    draw: Callable[[np.random.Generator], Drawn],
    album: Album,
    options: TrainOptions,
    recipe: MendingRecipe | FullRecipe,
    folder: str,
    log: loop.Log,
) -> nn.Module:
    """Train a first stage on what `draw` gives, with checkpoints in a folder of the output."""
    return loop.train(
        module,
        lambda iteration: mending_loss(module, draw, recipe, options.seed, iteration, options.device),
        lambda trained: mending_figures(trained, album),
        recipe.schedule.lasting(options.iterations),
        options.out / folder,
        resume=options.resume,
        log=log,
    )


def mending_loss(
    module: nn.Module,
    draw: Callable[[np.random.Generator], Drawn],
    recipe: MendingRecipe | FullRecipe,
    seed: int,
    iteration: int,
    device: str = "cpu",
) -> Tensor:
    """The loss of one batch, a function of seed and number alone."""
    random = generator(seed, iteration)
    drawn = sorted((draw(random) for _ in range(recipe.batch)), key=lambda one: one.bright is not None)
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
                output = picture_of(module(tensor([floats(image)]))[0])
            ratios.append(psnr(output, target))
            likenesses.append(ssim(output, target))
        figures[kind], figures[f"{kind} SSIM"] = float(np.mean(ratios)), float(np.mean(likenesses))
    return figures


def picture_of(output: Tensor) -> Codes:
    """The first image of a batch."""
    return codes_of(output[0].detach().cpu().numpy().transpose(1, 2, 0))
