"""What irle does to noise, sharpness, hue and casts, and what it costs.

    python benchmarks/irle.py DATA [--parts noise hues ...] [--pictures 13] [--model lite] [--jobs 2]

DATA is a folder with `test/` (see enhance_cli/quality/sets.py). Printed is a JSON line per row of:

    noise      lol, stage 1 against stage 2: deviation in flat dark patches, sharpness of busy ones, median shares
    hues       median hue change of each set with --white-balance 0
    casts      tinted copies of photographs: what is left of the cast, by the share of white balance
    adapt      lol: quality of --adapt by steps
    seconds    1 and 12 megapixels on two threads: each stage, wall and processor, and the memory of the process
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import enhance_cli
from enhance_cli.quality.blind import hue_change
from enhance_cli.quality.pictures import read_rgb
from enhance_cli.quality.reference import mean_matched, psnr, ssim
from enhance_cli.quality.sets import pairs

Picture = NDArray[Any]
Row = dict[str, Any]
PATCH = 32
CASTS = {"warm": (1.2, 1.0, 0.8), "lamp": (1.3, 0.9, 0.5), "sodium": (1.3, 0.7, 0.15), "blue": (0.5, 0.8, 1.3)}


class Bench:
    """The photographs and the method."""

    def __init__(self, data: Path, count: int, model: str, jobs: int) -> None:
        self.data, self.count, self.model, self.jobs = data, count, model, jobs
        self.method = enhance_cli.open("irle", device="cpu", threads=1)
        cv2.setNumThreads(1)

    def pairs(self, name: str) -> list[tuple[Picture, Picture]]:
        """At most `count` pairs of a set, evenly spread."""
        found = pairs(self.data, name)
        chosen = np.unique(np.linspace(0, len(found) - 1, self.count).round().astype(int)) if found else []
        return [(read_rgb(found[i].input), read_rgb(found[i].reference)) for i in chosen]

    def enhance(self, picture: Picture, **controls: Any) -> Any:
        """One picture, by the model asked for."""
        return self.method.enhance(picture, **{"model": self.model, **controls})

    def map(self, work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """Several pictures at once."""
        with ThreadPoolExecutor(self.jobs) as pool:
            return list(pool.map(work, items))


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
            told, wanted = patches(of_it)[busy], patches(band)[busy]
            found[name] = (float(rest.std(axis=0).mean()), float((told * wanted).sum() / (wanted * wanted).sum()))
        return found

    rows = bench.map(one, bench.pairs("lol"))
    for at, what in enumerate(("noise in flat dark patches", "sharpness of busy patches")):
        values = [[row[stage][at] for row in rows] for stage in ("stage 1", "stage 2")]
        shares = [after / before for before, after in zip(*values, strict=True)]
        yield {
            "what": what,
            "stage 1": round(statistics.fmean(values[0]), 5),
            "stage 2": round(statistics.fmean(values[1]), 5),
            "share kept, median": round(statistics.median(shares), 3),
            "worst": round(max(shares) if at == 0 else min(shares), 3),
        }


def hues(bench: Bench) -> Iterator[Row]:
    """METHODS 2.9; and of both pictures blurred by 2 pixels, as a noisy pixel has mostly the hue of its noise."""
    for name in ("lol", "under", "over", "clean"):
        found = [one for one, _ in bench.pairs(name)]
        for stage in (1, 2):

            def turn(picture: Picture, stage: int = stage) -> tuple[float | None, float | None]:
                output = bench.enhance(picture, stage=stage, white_balance=0).array
                blurred = (cv2.GaussianBlur(codes, (0, 0), 2.0) for codes in (picture, output))
                return hue_change(picture, output), hue_change(*blurred)

            plain, smooth = zip(*bench.map(turn, found), strict=True)
            yield {
                "set": name,
                "stage": stage,
                "median degrees": round(statistics.median(angle for angle in plain if angle is not None), 2),
                "blurred": round(statistics.median(angle for angle in smooth if angle is not None), 2),
                "pictures": len(found),
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

            found = bench.map(one, chosen)
            yield {
                "cast": name,
                "tint": tint,
                "white_balance": share,
                "cast left, median share": round(statistics.median(left for left, _ in found), 3),
                "worst": round(max(left for left, _ in found), 3),
                "with a note": sum(noted for _, noted in found),
                "pictures": len(found),
            }


def _ratios(picture: Picture) -> Picture:
    """Logs of red and blue over green, of the means."""
    red, green, blue = np.log(picture.reshape(-1, 3).mean(axis=0) + 1.0)
    return np.array([red - green, blue - green])


def adapt(bench: Bench) -> Iterator[Row]:
    """Quality after steps of tuning on the picture."""
    for steps in (0, 50, 200):

        def one(pair: tuple[Picture, Picture], steps: int = steps) -> tuple[float, ...]:
            output = bench.enhance(pair[0], adapt=steps).array
            matched = mean_matched(output, pair[1])
            return psnr(output, pair[1]), ssim(output, pair[1]), psnr(matched, pair[1]), ssim(matched, pair[1])

        figures = [statistics.fmean(column) for column in zip(*bench.map(one, bench.pairs("lol")), strict=True)]
        names = ("psnr", "ssim", "matched psnr", "matched ssim")
        yield {"steps": steps, **{name: round(value, 3) for name, value in zip(names, figures, strict=True)}}


def seconds(bench: Bench) -> Iterator[Row]:
    """Time of one photograph, warm, on two threads; processor time beside wall time, as machines are shared."""
    method = enhance_cli.open("irle", device="cpu", threads=2)
    dark = max((one for one, _ in bench.pairs("lol")), key=lambda picture: picture.size)
    random = np.random.default_rng(0)
    method.enhance(dark, model=bench.model)
    for label, size in (("1 megapixel", (1250, 800)), ("12 megapixels", (4000, 3000))):
        large = cv2.resize(dark, size, interpolation=cv2.INTER_CUBIC)
        large = np.clip(large + random.normal(0, 3, large.shape), 0, 255).astype(np.uint8)
        for stage in (1, 2):
            rows = []
            for _ in range(3):
                began, used = time.perf_counter(), time.process_time()
                ms = method.enhance(large, model=bench.model, stage=stage).report["ms"]
                rows.append((time.perf_counter() - began, time.process_time() - used, ms["estimate"], ms["render"]))
            wall, _, estimate, render = min(rows)
            yield {
                "size": label,
                "stage": stage,
                "wall s": round(wall, 2),
                "processor s": round(min(row[1] for row in rows), 2),
                "estimate s": round(estimate / 1e3, 2),
                "render s": round(render / 1e3, 2),
                "peak MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }


PARTS = {part.__name__: part for part in (noise, hues, casts, adapt, seconds)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with test/")
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=PARTS)
    parser.add_argument("--pictures", type=int, default=13, help="of each set")
    parser.add_argument("--model", default="lite", choices=("lite", "full"))
    parser.add_argument("--jobs", type=int, default=2, help="pictures at once")
    asked = parser.parse_args(arguments)
    if not (asked.data / "test").is_dir():
        parser.error(f"{asked.data} has no folder test")
    bench = Bench(asked.data, asked.pictures, asked.model, asked.jobs)
    for name in asked.parts:
        for row in PARTS[name](bench):
            print(json.dumps({"part": name, "model": asked.model, **row}), flush=True)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
