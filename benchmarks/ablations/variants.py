"""Variants of networks, losses and data, each trained anew for a short while with the same draws."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from benchmarks.lib.program import Asked, Row
from enhance_cli.methods.clahe_adaptive.training import train as clahe_adaptive
from enhance_cli.methods.irle.training import data as irle_data
from enhance_cli.methods.irle.training import train as irle
from enhance_cli.methods.retinex.training import data as retinex_data
from enhance_cli.methods.retinex.training import train as retinex
from enhance_cli.training import loop
from enhance_cli.training.options import TrainOptions

SCHEDULE = loop.Schedule(iterations=300, learning_rate=1e-3, averaging=0.98, warm_up=30, validate_every=10_000)
FIRST = irle.StageOneRecipe(SCHEDULE, irle_data.Draws(batch=2, side=256, simulated=0.1, resampled=0.0))
SECOND = irle.DenoiserRecipe(SCHEDULE, irle.LITE, irle_data.Draws(batch=4))
WITHOUT_SHARE = replace(SECOND, configuration={**irle.LITE, "share": False})
SEEING = {"kind": "seeing", "widths": [32, 64], "blocks": [1, 3], "gain": 8, "fold": 2}

SHIPPED = retinex.Recipe().mending
PAPER = replace(SHIPPED, distance="huber", similarity=1.0, smoothness=0.002)
BARE = replace(PAPER, similarity=0.0, smoothness=0.0)
REST = 1.0 - SHIPPED.two_tones

VARIANTS: dict[str, dict[str, Any]] = {
    "clahe-adaptive": dict(clahe_adaptive.ABLATIONS),
    "irle": {
        "stage 1: all losses": FIRST,
        "stage 1: without pseudo ground truth": replace(FIRST, reference=0.0),
        "stage 1: spatial pair loss instead of SISC": replace(FIRST, sisc=0.0, spatial_pair=1.0),
        "stage 1: without IAP": replace(FIRST, iap=0.0),
        "stage 2: blind, GAFM": SECOND,
        "stage 2: blind, gain concatenated": replace(SECOND, configuration={**irle.LITE, "gain": 0}),
        "stage 2: blind, GAFM, without the pixel's own share": WITHOUT_SHARE,
        "stage 2: purely internal (single shots, blind-spot loss)": replace(WITHOUT_SHARE, internal=True),
        "stage 2: seeing network, GAFM": replace(SECOND, configuration=SEEING),
        "stage 1: the curve alone": None,
    },
    "retinex": {
        "Huber alone": BARE,
        "+ SSIM": replace(BARE, similarity=1.0),
        "+ illumination smoothness (the paper's loss)": PAPER,
        "MSE instead of Huber": replace(PAPER, distance="squared"),
        "half width": replace(PAPER, hidden=12, fusion_width=8),
        "double width": replace(PAPER, hidden=48, fusion_width=32),
        "shipped loss": SHIPPED,
        "shipped loss, a curve for the whole picture": replace(SHIPPED, scales=()),
        "shipped loss, real pairs alone": replace(
            SHIPPED, stacks=0.75 * REST, lowlight=0.25 * REST, exposure=0.0, backlight=0.0
        ),
    },
}

Training = Callable[[TrainOptions, str, Any], Row]
"""Trains by a recipe into a folder, or under a stem in it, and returns the figures of what is held out."""


def silent(sentence: str) -> None:
    """Say nothing."""


def of_clahe_adaptive(data: Path) -> tuple[int, Training]:
    """PSNR of luma of held-out photos by kind."""

    def train(options: TrainOptions, stem: str, recipe: Any) -> Row:
        return dict(clahe_adaptive.train(replace(options, out=options.out / stem), silent, recipe).figures)

    return 6000, train


def of_irle(data: Path) -> tuple[int, Training]:
    """PSNR and SSIM (in hundredths) of half of the held-out pairs, plain and mean-matched.

    Stage 1 is L-Net and R-Net; stage 2 has the lite network's size and half its batch.
    """
    album = irle_data.Album.read(data, silent)
    found = album.held_out[1::2]

    def train(options: TrainOptions, stem: str, recipe: Any) -> Row:
        if isinstance(recipe, irle.StageOneRecipe):
            return irle.stage_one_figures(irle.train_stage_one(stem, album, options, recipe, silent), found)
        module = recipe and irle.train_denoiser(stem, album, options, recipe, silent)
        return irle.denoiser_figures(module, found)

    return 300, train


def of_retinex(data: Path) -> tuple[int, Training]:
    """PSNR and SSIM of held-out scenes, made small as in training, by kind, and their means; of the first stage."""
    retinex_data.HELD_OUT_EVERY = 8  # more to judge by than a training for use would spare
    album = retinex_data.Album.read(data, retinex.Recipe(), silent)

    def train(options: TrainOptions, stem: str, recipe: Any) -> Row:
        recipe = replace(recipe, schedule=replace(recipe.schedule, validate_every=options.iterations))
        module = retinex.train_mending(album, replace(options, out=options.out / stem), recipe, silent)
        with torch.no_grad():
            figures = retinex.mending_figures(module, album)
        ratios = fmean(value for name, value in figures.items() if not name.endswith("SSIM"))
        likenesses = fmean(value for name, value in figures.items() if name.endswith("SSIM"))
        parameters = sum(value.numel() for value in module.parameters())
        return {"parameters": parameters, **figures, "mean": ratios, "mean SSIM": likenesses}

    return 600, train


TRAININGS = {"clahe-adaptive": of_clahe_adaptive, "irle": of_irle, "retinex": of_retinex}


def trained(asked: Asked) -> Iterator[Row]:
    """Train each variant and judge it."""
    torch.set_num_threads(1)
    iterations, train = TRAININGS[asked.method](asked.data / "train")
    options = TrainOptions(asked.data / "train", asked.runs, iterations=asked.iterations or iterations, resume=True)
    for index, (name, recipe) in enumerate(VARIANTS[asked.method].items()):
        if not asked.cases or name in asked.cases:
            began = time.process_time()
            figures = train(options, f"variant-{index}", recipe)
            yield {"case": name, **figures, "processor": time.process_time() - began}
