"""Training of retinex's networks: real pairs and simulated degradations, with a reason for every number.

Illumination-Net and Fusion-Net are trained first and together, on downscaled images: the tones of an image show how
much light it lacks. Then the large illumination is, with a fusion of its own. Then Restoration-Net is trained at native
resolution, on the outputs of the first two, now fixed, for noisy photos. The loop, the data sets and the export are
those of `enhance_cli.training`.
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
from enhance_cli.methods.retinex.training.mending import Mending, mending_figures, train_full, train_mending
from enhance_cli.methods.retinex.training.recipe import Recipe
from enhance_cli.methods.retinex.training.restoration import enhanced, mended, restoration_figures, train_restoration
from enhance_cli.training.dataset import Pair
from enhance_cli.training.degradations import generator
from enhance_cli.training.export import Exported, Trained, export
from enhance_cli.training.options import TrainOptions
from enhance_cli.training.sheet import write_sheet


def train(
    options: TrainOptions, log: Callable[[str], None] = lambda sentence: None, recipe: Recipe | None = None
) -> Trained:
    """Train all five networks from a folder of photos and export them.

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
    assert isinstance(mending, Mending)
    log("Training the large illumination.")
    full = train_full(mending, album, options, recipe.full, log)
    figures["mending-full"] = mending_figures(full, album)
    restoration = train_restoration(mending, album, options, recipe.restoration, recipe.restoration_width, log)
    figures["restoration"] = restoration_figures(mending, restoration, album)
    exported = deliver(mending, full, restoration, options.out)
    sheet = options.out / "validation.png"
    write_sheet(sheet, [_row(mending, restoration, pair) for pair in album.examples])
    log(f"Wrote {sheet}.")
    return Trained(exported, figures, [sheet])


def deliver(mending: Mending, full: Mending, restoration: network.Restoration, out: Path) -> dict[str, Exported]:
    """Write the files of the five networks."""
    random = generator(0, 1)

    def sample(count: int, channels: int, height: int, width: int) -> Picture:
        return random.random((count, channels, height, width), np.float32)

    side = PROXY
    picture = {0: "count", 2: "height", 3: "width"}
    statistics = len(LUMA_QUANTILES) + 1
    fusion, illumination = mending.fusion, mending.illumination
    assert isinstance(illumination, network.Illumination)
    large = full.illumination
    assert isinstance(large, network.SceneIllumination)
    proxies = [{"image": sample(1, 3, side, side)}, {"image": sample(1, 3, side, side) ** 4}]

    def fusion_file(name: str, fusion: network.Fusion) -> Exported:
        return export(
            fusion.cpu(),
            out,
            name,
            identity=f"retinex/{name}-1",
            configuration={"part": "fusion", "width": fusion.first.out_features},
            samples=[
                {"image": sample(count, 3, 9, 13), "statistics": random.random((count, statistics), np.float32)}
                for count in (1, 3)
            ],
            outputs=fusion.outputs,
            dynamic_axes={"image": picture, "statistics": {0: "count"}, "score": picture},
        )

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
                samples=proxies,
                outputs=illumination.outputs,
                dynamic_axes={},
            ),
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
            **{name: fusion_file(name, one) for name, one in (("fusion", fusion), ("fusion-full", full.fusion))},
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


def _row(mending: Mending, restoration: nn.Module, pair: Pair) -> list[tuple[str, Any]]:
    before, light = mended(mending, pair.degraded)
    return [
        (pair.name, pair.degraded),
        ("illumination", light),
        ("mended", before),
        ("restored", enhanced(mending, restoration, pair.degraded)),
        ("reference", pair.reference),
    ]
