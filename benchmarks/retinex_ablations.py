"""The paper's ablations of retinex, and what its pairs are made of: short trainings of equal length.

    python benchmarks/retinex_ablations.py DATA OUT [--iterations 600] [--only NAME ...]

DATA is a folder such as `enhance train retinex` takes. For every variant the first stage (illumination and fusion) is
trained anew with the same draws; printed is a JSON line with its parameters and the PSNR and SSIM of held-out scenes,
made small as in training: `lowlight`, `under`, `over`, `backlit`, and their mean. A table follows.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import torch

from enhance_cli.methods.retinex.training import data as training_data
from enhance_cli.methods.retinex.training import train as training
from enhance_cli.training.options import TrainOptions

SHIPPED = training.Recipe().mending
PAPER = replace(SHIPPED, distance="huber", similarity=1.0, perceptual=0.1, smoothness=0.002)
BARE = replace(PAPER, similarity=0.0, perceptual=0.0, smoothness=0.0)
TWO_TONES = SHIPPED.two_tones
REAL = replace(SHIPPED, stacks=0.75 * (1.0 - TWO_TONES), lowlight=0.25 * (1.0 - TWO_TONES), exposure=0.0, backlight=0.0)
RETOUCHED = replace(REAL, stacks=0.0, lowlight=0.0, retouched=1.0 - TWO_TONES)
BOTH = replace(REAL, stacks=REAL.stacks / 2.0, lowlight=REAL.lowlight / 2.0, retouched=0.5 * (1.0 - TWO_TONES))

VARIANTS = {
    "Huber alone": BARE,
    "+ SSIM": replace(BARE, similarity=1.0),
    "+ perceptual": replace(BARE, similarity=1.0, perceptual=0.1),
    "+ illumination smoothness (the paper's loss)": PAPER,
    "MSE instead of Huber": replace(PAPER, distance="squared"),
    "half width": replace(PAPER, hidden=12, fusion_width=8),
    "double width": replace(PAPER, hidden=48, fusion_width=32),
    "plain U-Net": replace(PAPER, plain=True, smoothness=0.0),
    "shipped loss": SHIPPED,
    "shipped loss, a curve for the whole picture": replace(SHIPPED, scales=()),
    "shipped loss, real pairs alone": REAL,
    "shipped loss, retouched pictures alone": RETOUCHED,
    "shipped loss, half real pairs, half retouched": BOTH,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--iterations", type=int, default=600)
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    training_data.HELD_OUT_EVERY = 8  # more to judge by than a training for use would spare
    recipe = training.Recipe()
    options = TrainOptions(arguments.data, arguments.out, iterations=arguments.iterations)
    album = training_data.Album.read(arguments.data, recipe, print)
    if any(VARIANTS[name].retouched for name in arguments.only):
        album = album.with_retouched(replace(options, resume=True), recipe.retouch, print)
    rows = []
    for name in arguments.only:
        index = list(VARIANTS).index(name)
        own = replace(options, out=arguments.out / f"variant-{index}", resume=True)
        numbers = VARIANTS[name]
        numbers = replace(numbers, schedule=replace(numbers.schedule, validate_every=arguments.iterations))
        module = training.train_mending(album, own, numbers, lambda sentence: None)
        with torch.no_grad():
            figures = training.mending_figures(module, album)
        parameters = sum(value.numel() for value in module.parameters())
        ratios = [value for key, value in figures.items() if not key.endswith("SSIM")]
        likenesses = [value for key, value in figures.items() if key.endswith("SSIM")]
        row = {"variant": name, "parameters": parameters, **{key: round(value, 3) for key, value in figures.items()}}
        row |= {"mean": round(fmean(ratios), 2), "mean SSIM": round(fmean(likenesses), 3)}
        print(json.dumps(row), flush=True)
        rows.append(row)
    keys = [key for key in rows[0] if key not in ("variant", "parameters") and not key.endswith("SSIM")]
    print("| " + " | ".join(["variant", "parameters", *keys]) + " |")
    print("|" + "---|" * (len(keys) + 2))
    for row in rows:
        cells = [f"{row[key]:.2f}/{row[f'{key} SSIM']:.3f}" for key in keys]
        print("| " + " | ".join([str(row["variant"]), str(row["parameters"]), *cells]) + " |")


if __name__ == "__main__":
    main()
