"""Training of retinex's networks: real pairs and simulated degradations, with a reason for every number.

The large illumination and the fusion are trained first and together, on downscaled images, and the paper's
illumination with that fusion. Then the restoration is trained at native resolution, on what the large illumination
and the fusion, now fixed, make of noisy photos. The loop, the data sets and the export are those of
`enhance_cli.training`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from enhance_cli.methods.retinex import network
from enhance_cli.methods.retinex.formulas import LUMA_QUANTILES, PROXY
from enhance_cli.methods.retinex.training.data import Album, Picture
from enhance_cli.methods.retinex.training.first_stage import FirstStage, first_stage_figures, train_illuminations
from enhance_cli.methods.retinex.training.recipe import Recipe
from enhance_cli.methods.retinex.training.restoration import (
    corrected,
    enhanced,
    restoration_figures,
    train_restoration,
)
from enhance_cli.training.dataset import Pair
from enhance_cli.training.degradations import generator
from enhance_cli.training.export import Exported, Trained, export
from enhance_cli.training.options import TrainOptions
from enhance_cli.training.sheet import write_sheet


def train(
    options: TrainOptions, log: Callable[[str], None] = lambda sentence: None, recipe: Recipe | None = None
) -> Trained:
    """Train all four networks from a folder of photos and export them.

    The folder may hold `exposure/sice512/` (stacks), `paired_lowlight/low` and `high`, and `clean/`, as
    docs/training.md says, or the photos themselves, which then count as clean.

    Args:
        options: where the photos are, where the results go, seed and device. `iterations` are those of each
            network, and of each phase of the restoration.
        log: receives progress messages.
        recipe: the numbers; None takes those of the shipped weights.

    Raises:
        UsageError: a part is named, no photos, one that cannot be decoded, or a checkpoint of another schedule.
    """
    options.parts_of(())
    recipe = recipe or Recipe()
    torch.set_num_threads(options.threads)
    album = Album.read(options.data, recipe, log)
    full, paper = train_illuminations(album, options, recipe.illumination, log)
    restoration = train_restoration(full, album, options, recipe.restoration, recipe.restoration_width, log)
    figures = {
        "illumination-full": first_stage_figures(full, album),
        "illumination": first_stage_figures(paper, album),
        "restoration": restoration_figures(full, restoration, album),
    }
    exported = deliver(full, paper, restoration, options.out)
    sheet = options.out / "validation.png"
    write_sheet(sheet, [_row(full, restoration, pair) for pair in album.examples])
    log(f"Wrote {sheet}.")
    return Trained(exported, figures, [sheet])


def deliver(full: FirstStage, paper: FirstStage, restoration: network.Restoration, out: Path) -> dict[str, Exported]:
    """Write the files of the four networks."""
    random = generator(0, 1)

    def sample(count: int, channels: int, height: int, width: int) -> Picture:
        return random.random((count, channels, height, width), np.float32)

    picture = {0: "count", 2: "height", 3: "width"}
    statistics = len(LUMA_QUANTILES) + 1
    small, large, fusion = paper.illumination, full.illumination, full.fusion
    assert isinstance(small, network.Illumination)
    assert isinstance(large, network.SceneIllumination)
    proxies = [{"image": sample(1, 3, PROXY, PROXY)}, {"image": sample(1, 3, PROXY, PROXY) ** 4}]
    with warnings.catch_warnings():
        # Shapes are asked for while networks are traced; the samples have several.
        warnings.simplefilter("ignore")
        return {
            "illumination-full": export(
                large.cpu(),
                out,
                "illumination-full",
                identity="retinex/illumination-full-1",
                configuration={"part": "scene illumination", "widths": list(large.widths), "bins": large.bins},
                samples=proxies,
                outputs=large.outputs,
                dynamic_axes={},
            ),
            "illumination": export(
                small.cpu(),
                out,
                "illumination",
                identity="retinex/illumination-2",
                configuration={
                    "part": "illumination",
                    "hidden": small.context.out_features,
                    "bins": small.bins,
                    "scales": list(small.scales),
                    "pack": small.pack,
                },
                samples=proxies,
                outputs=small.outputs,
                dynamic_axes={},
            ),
            "fusion": export(
                fusion.cpu(),
                out,
                "fusion",
                identity="retinex/fusion-2",
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
                identity="retinex/restoration-2",
                configuration={"part": "restoration", "width": restoration.convs[0].out_channels},
                samples=[{"image": sample(1, 4, 24, 30)}, {"image": sample(2, 4, 2, 4)}],
                outputs=restoration.outputs,
                dynamic_axes={"image": picture, "noise": picture},
            ),
        }


def _row(stage: FirstStage, restoration: nn.Module, pair: Pair) -> list[tuple[str, Any]]:
    before, light = corrected(stage, pair.degraded)
    return [
        (pair.name, pair.degraded),
        ("illumination", light),
        ("corrected", before),
        ("restored", enhanced(stage, restoration, pair.degraded)),
        ("reference", pair.reference),
    ]
