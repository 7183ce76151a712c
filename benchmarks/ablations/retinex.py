"""The paper's ablations of retinex and what its pairs are made of; and why the restoration is not run by ONNX Runtime.

    python -m benchmarks.ablations.retinex DATA --parts engines
    python -m benchmarks.ablations.retinex DATA --parts variants --runs OUT [--iterations 600] [--only NAME ...]

Printed is a JSON line for each row of:

    engines    the restoration of a 1024x1024 tile: ONNX Runtime against the cascade, one thread
    variants   short trainings of equal length with the same draws, from DATA/train as `enhance train retinex` takes it:
               for each variant the first stage (illumination and fusion) is trained anew. Figures are PSNR and SSIM of
               held-out scenes, made small as in training: `lowlight`, `under`, `over`, `backlit`, and their mean
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from statistics import fmean

import numpy as np
import torch

from benchmarks.lib.bench import Bench, Row, run
from benchmarks.lib.timing import warm
from enhance_cli.methods.retinex.training import data as training_data
from enhance_cli.methods.retinex.training import train as training
from enhance_cli.training.options import TrainOptions


def engines(bench: Bench) -> Iterator[Row]:
    """Why the restoration is not run by ONNX Runtime, as the other methods' networks are."""
    from enhance_cli.engines import weights
    from enhance_cli.engines.cpu import CpuEngine
    from enhance_cli.imaging.blocks import Region
    from enhance_cli.methods.retinex import METHOD, kernels_cpu
    from enhance_cli.methods.retinex.arrays import FusionWeights, RestorationWeights

    run, _ = CpuEngine(1).network(METHOD, "restoration")
    rng = np.random.default_rng(0)
    given = rng.random((1, 4, 1024, 1024)).astype(np.float32)
    yield {"case": "restoration, ONNX Runtime", **warm(lambda: run(image=given), 5)}
    network = RestorationWeights.of(weights.read_arrays(weights.find(METHOD, "restoration", "safetensors")))
    tensors = weights.read_arrays(weights.find(METHOD, "fusion", "safetensors"))
    names = ("first.weight", "second.weight", "second.bias")
    first, second, second_bias = (tensors[name] for name in names)
    biases = np.tile(tensors["first.bias"], (3, 1))
    fusion = FusionWeights(first, biases, second, second_bias, tensors["third.weight"].reshape(-1))
    grids = tuple(np.zeros((1, 1, 12, 2), np.float32) for _ in range(2))
    picture = rng.integers(0, 256, (1024, 1024, 3)).astype(np.uint8)
    region = Region(1024, 1024, 0, 0, 0, 0, 1024, 1024)
    for label, restoration in (("all but the restoration", None), ("all in one cascade", network)):
        call = lambda it=restoration: kernels_cpu.render([picture], region, grids, (1.0, 1.0), fusion, it)  # noqa: E731
        yield {"case": label, **warm(call, 5)}


SHIPPED = training.Recipe().mending
PAPER = replace(SHIPPED, distance="huber", similarity=1.0, smoothness=0.002)
BARE = replace(PAPER, similarity=0.0, smoothness=0.0)
TWO_TONES = SHIPPED.two_tones
REAL = replace(SHIPPED, stacks=0.75 * (1.0 - TWO_TONES), lowlight=0.25 * (1.0 - TWO_TONES), exposure=0.0, backlight=0.0)

VARIANTS = {
    "Huber alone": BARE,
    "+ SSIM": replace(BARE, similarity=1.0),
    "+ illumination smoothness (the paper's loss)": PAPER,
    "MSE instead of Huber": replace(PAPER, distance="squared"),
    "half width": replace(PAPER, hidden=12, fusion_width=8),
    "double width": replace(PAPER, hidden=48, fusion_width=32),
    "shipped loss": SHIPPED,
    "shipped loss, a curve for the whole picture": replace(SHIPPED, scales=()),
    "shipped loss, real pairs alone": REAL,
}


def variants(bench: Bench) -> Iterator[Row]:
    """Train each variant and judge it."""
    torch.set_num_threads(1)
    training_data.HELD_OUT_EVERY = 8  # more to judge by than a training for use would spare
    recipe = training.Recipe()
    iterations, names = bench.asked.iterations or 600, bench.asked.only or list(VARIANTS)
    options = TrainOptions(bench.data / "train", bench.asked.runs, iterations=iterations)
    album = training_data.Album.read(bench.data / "train", recipe, lambda sentence: None)
    for name in names:
        own = replace(options, out=bench.asked.runs / f"variant-{list(VARIANTS).index(name)}", resume=True)
        numbers = replace(VARIANTS[name], schedule=replace(VARIANTS[name].schedule, validate_every=iterations))
        module = training.train_mending(album, own, numbers, lambda sentence: None)
        with torch.no_grad():
            figures = training.mending_figures(module, album)
        parameters = sum(value.numel() for value in module.parameters())
        ratios = [value for key, value in figures.items() if not key.endswith("SSIM")]
        likenesses = [value for key, value in figures.items() if key.endswith("SSIM")]
        means = {"mean": fmean(ratios), "mean SSIM": fmean(likenesses)}
        yield {"case": name, "parameters": parameters, **figures, **means}


PARTS = {"engines": engines, "variants": variants}


if __name__ == "__main__":
    run("retinex", __doc__, PARTS)
