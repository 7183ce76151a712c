"""What irle does to noise and casts, and what its losses and networks are worth.

    python -m benchmarks.ablations.irle DATA [--parts noise casts] [--photos 13] [--model lite] [--jobs 2]
    python -m benchmarks.ablations.irle DATA --parts variants --runs OUT [--iterations 300] [--only NAME ...]

Printed is a JSON line for each row of:

    noise      lol, stage 1 against stage 2: deviation in flat dark patches, sharpness of busy ones, median shares
    casts      tinted copies of photos: what is left of the cast, by the share of white balance
    variants   short trainings of equal length with the same draws, from DATA/train as `enhance train irle` takes it.
               Stage 1 (L-Net and R-Net) is trained anew without each of its losses; stage 2 with the lite network's
               size and half the batch. Figures are of half of the held-out pairs (PSNR, SSIM in hundredths, both
               mean-matched too). OUT keeps the trainings, and one that was interrupted is taken up
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import torch

from benchmarks.lib.bench import Bench, Picture, Row, run
from enhance_cli.methods.irle.training import train as training
from enhance_cli.methods.irle.training.data import Album, Draws
from enhance_cli.quality.reference import mean_matched
from enhance_cli.training import loop
from enhance_cli.training.options import TrainOptions

PATCH = 32
CASTS = {"warm": (1.2, 1.0, 0.8), "lamp": (1.3, 0.9, 0.5), "sodium": (1.3, 0.7, 0.15), "blue": (0.5, 0.8, 1.3)}


def luma(picture: Picture) -> Picture:
    """BT.601 luma of 8-bit RGB, 0..1."""
    return picture.astype(np.float32) @ np.float32([0.299, 0.587, 0.114]) / np.float32(255.0)


def patches(plane: Picture) -> Picture:
    """n×32×32: the plane's patches."""
    rows, columns = (length // PATCH for length in plane.shape)
    cut = plane[: rows * PATCH, : columns * PATCH].reshape(rows, PATCH, columns, PATCH)
    return cut.transpose(0, 2, 1, 3).reshape(-1, PATCH, PATCH)


def noise(bench: Bench) -> Iterator[Row]:
    """What stage 2 takes from flat dark patches and leaves in busy ones.

    Which patches are flat and dark, or busy, is read off the reference. Noise is the deviation from the best plane;
    sharpness the energy of the difference of Gaussians of 1 and 2 pixels that the reference explains: its projection
    on the reference's own band, so that noise does not count as sharpness.
    """

    def one(pair: tuple[Picture, Picture]) -> Row:
        picture, reference = pair
        truth = luma(reference)
        calm = patches(truth)
        spread = calm.std(axis=(1, 2)) / np.maximum(calm.mean(axis=(1, 2)), 0.02)
        dark = patches(luma(picture)).mean(axis=(1, 2))
        darker = dark <= np.median(dark)
        flat = np.argsort(np.where(darker, spread, np.inf))[:8]
        band = cv2.GaussianBlur(truth, (0, 0), 1.0) - cv2.GaussianBlur(truth, (0, 0), 2.0)
        busy = np.argsort(-patches(band).std(axis=(1, 2)))[:24]
        found: Row = {}
        for name, controls in (("stage 1", {"stage": 1}), ("stage 2", {})):
            plane = luma(mean_matched(bench.enhance(picture, **controls).array, reference))
            y, x = np.mgrid[:PATCH, :PATCH]
            basis = np.stack([np.ones(PATCH * PATCH), y.ravel(), x.ravel()], axis=1)
            rest = patches(plane)[flat].reshape(len(flat), -1).T.astype(np.float64)
            rest -= basis @ np.linalg.lstsq(basis, rest, rcond=None)[0]
            of_it = cv2.GaussianBlur(plane, (0, 0), 1.0) - cv2.GaussianBlur(plane, (0, 0), 2.0)
            seen, wanted = patches(of_it)[busy], patches(band)[busy]
            found[name] = (float(rest.std(axis=0).mean()), float((seen * wanted).sum() / (wanted * wanted).sum()))
        return found

    rows = bench.each(one, bench.pairs("lol"))
    for at, what in enumerate(("noise in flat dark patches", "sharpness of busy patches")):
        values = [[row[stage][at] for row in rows] for stage in ("stage 1", "stage 2")]
        shares = [after / before for before, after in zip(*values, strict=True)]
        yield {
            "case": what,
            "stage 1": statistics.fmean(values[0]),
            "stage 2": statistics.fmean(values[1]),
            "share kept, median": statistics.median(shares),
            "worst": max(shares) if at == 0 else min(shares),
        }


def casts(bench: Bench) -> Iterator[Row]:
    """How much of a cast is left: the chroma of the mean output, over that of no white balance, against no cast."""
    chosen = [one for one, _ in bench.pairs("lol")][:10]
    for name, tint in CASTS.items():
        for share in (0.5, 1.0):

            def one(picture: Picture, tint: tuple[float, ...] = tint, share: float = share) -> tuple[float, bool]:
                tinted = np.rint(np.clip(picture * np.asarray(tint), 0, 255)).astype(np.uint8)
                plain = _ratios(bench.enhance(picture, stage=1, white_balance=share).array)
                left = _ratios(bench.enhance(tinted, stage=1, white_balance=0).array) - _ratios(
                    bench.enhance(picture, stage=1, white_balance=0).array
                )
                result = bench.enhance(tinted, stage=1, white_balance=share)
                noted = any("tinted" in note for note in result.report["notes"])
                after = _ratios(result.array) - plain
                return float(np.linalg.norm(after) / np.linalg.norm(left)), noted

            found = bench.each(one, chosen)
            yield {
                "case": f"{name}, white balance {share}",
                "tint": tint,
                "white_balance": share,
                "cast left, median share": statistics.median(left for left, _ in found),
                "worst": max(left for left, _ in found),
                "with a note": sum(noted for _, noted in found),
                "pictures": len(found),
            }


def _ratios(picture: Picture) -> Picture:
    """Logs of red and blue over green, of the means."""
    red, green, blue = np.log(picture.reshape(-1, 3).mean(axis=0) + 1.0)
    return np.array([red - green, blue - green])


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


def variants(bench: Bench) -> Iterator[Row]:
    """Train each variant and judge it."""
    torch.set_num_threads(1)
    album = Album.read(bench.data / "train", lambda sentence: None)
    found = album.held_out[1::2]
    yield {"case": "stage 1: the curve alone", **training.denoiser_figures(None, found), "processor": 0.0}
    names = [*STAGE_ONE, *STAGE_TWO]
    for name in bench.asked.only or names:
        iterations = bench.asked.iterations or 300
        options = TrainOptions(bench.data / "train", bench.asked.runs, iterations=iterations, resume=True)
        stem, began = f"variant-{names.index(name)}", time.process_time()
        if name in STAGE_ONE:
            first = training.train_stage_one(stem, album, options, STAGE_ONE[name], lambda sentence: None)
            reached = training.stage_one_figures(first, found)
        else:
            second = training.train_denoiser(stem, album, options, STAGE_TWO[name], lambda sentence: None)
            reached = training.denoiser_figures(second, found)
        yield {"case": name, **reached, "processor": time.process_time() - began}


PARTS = {part.__name__: part for part in (noise, casts, variants)}


if __name__ == "__main__":
    run("irle", __doc__, PARTS, photos=13)
