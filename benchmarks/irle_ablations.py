"""The ablations of irle: short trainings of equal length with the same draws.

    python benchmarks/irle_ablations.py DATA OUT [--first 300] [--second 300] [--only NAME ...]

DATA is a folder such as `enhance train irle` takes. Stage 1 (L-Net and R-Net) is trained anew without each of its
losses, for `--first` iterations; stage 2 with the lite network's size and half the batch, for `--second`. Printed is a
JSON line per variant with the figures of half of the held-out pairs (PSNR, SSIM in hundredths, both mean-matched too)
and the seconds of training. A training that was interrupted is taken up.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from enhance_cli.methods.irle.training import train as training
from enhance_cli.methods.irle.training.data import Album, Draws
from enhance_cli.training import loop
from enhance_cli.training.options import TrainOptions

FIRST = training.StageOneRecipe(
    loop.Schedule(iterations=300, learning_rate=1e-3, averaging=0.98, warm_up=30, validate_every=10_000),
    Draws(batch=2, side=256, simulated=0.1, resampled=0.0),
)
STAGE_ONE = {
    "stage 1: all losses": FIRST,
    "stage 1: without pseudo ground truth": replace(FIRST, reference=0.0),
    "stage 1: spatial pair loss instead of SISC": replace(FIRST, sisc=0.0, spatial_pair=1.0),
    "stage 1: without IAP": replace(FIRST, iap=0.0),
}

SECOND = training.DenoiserRecipe(
    loop.Schedule(iterations=300, learning_rate=1e-3, averaging=0.98, warm_up=30, validate_every=10_000),
    training.LITE,
    Draws(batch=4),
)
STAGE_TWO = {
    "stage 2: blind, GAFM": SECOND,
    "stage 2: blind, gain concatenated": replace(SECOND, configuration={**training.LITE, "gain": 0}),
    "stage 2: blind, GAFM, without the pixel's own share": replace(
        SECOND, configuration={**training.LITE, "share": False}
    ),
    "stage 2: purely internal (single shots, blind-spot loss)": replace(
        SECOND, configuration={**training.LITE, "share": False}, internal=True
    ),
    "stage 2: seeing network, GAFM": replace(
        SECOND, configuration={"kind": "seeing", "widths": [32, 64], "blocks": [1, 3], "gain": 8, "fold": 2}
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*STAGE_ONE, *STAGE_TWO]
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--first", type=int, default=300)
    parser.add_argument("--second", type=int, default=300)
    parser.add_argument("--only", nargs="*", default=names, choices=names)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    album = Album.read(arguments.data, print)
    pairs = album.held_out[1::2]
    report("stage 1: the curve alone", training.denoiser_figures(None, pairs), 0.0)
    for name in arguments.only:
        iterations = arguments.first if name in STAGE_ONE else arguments.second
        options = TrainOptions(arguments.data, arguments.out, iterations=iterations, resume=True)
        stem, began = f"variant-{names.index(name)}", time.process_time()
        if name in STAGE_ONE:
            first = training.train_stage_one(stem, album, options, STAGE_ONE[name], lambda sentence: None)
            spent = time.process_time() - began
            report(name, training.stage_one_figures(first, pairs), spent)
        else:
            second = training.train_denoiser(stem, album, options, STAGE_TWO[name], lambda sentence: None)
            spent = time.process_time() - began
            report(name, training.denoiser_figures(second, pairs), spent)


def report(name: str, figures: Mapping[str, float], seconds: float) -> None:
    row: dict[str, Any] = {"variant": name}
    row |= {key: round(value, 2) for key, value in figures.items()}
    print(json.dumps(row | {"seconds": round(seconds)}), flush=True)


if __name__ == "__main__":
    main()
