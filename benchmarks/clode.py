"""What clode's settings cost and change: proxies, solvers, colour, noise, the knob's monotony, and time.

    python benchmarks/clode.py DATA [--parts proxies solvers ...] [--pictures 12] [--model lite] [--jobs 2]

DATA is a folder with `test/` (see enhance_cli/quality/sets.py). Printed is a JSON line per row of:

    proxies    each proxy against `--proxy full`: median and least PSNR between outputs, quality against references
    solvers    Euler on light with 1, 5, 10, 20 and 30 steps (the paper's Table 4), the others, with and without g
    steps      the logit solvers by step: distance to dopri5 at 1e-7, and evaluations
    colours    by channel, blended, as a ratio: quality, hue change to input (auto and T = 3)
    noise      shares of g: quality, and what auto chose
    monotony   share of dark photographs whose mean luma rises over T = -1, 0, 1, 2, 3, 4
    harm       good photographs at auto: PSNR between output and input
    seconds    a 12-megapixel JPEG, warm: each stage, a photograph alone, of two at once, and its processor time
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import cv2
import numpy as np
from bench import Bench, Picture, Row, run, spread
from enhance_cli.quality.sets import pairs

from enhance_cli.imaging import codecs
from enhance_cli.quality.blind import hue_change
from enhance_cli.quality.pictures import read_rgb
from enhance_cli.quality.reference import psnr, ssim
from enhance_cli.types import Image


class ClodeBench(Bench):
    """With what is asked of `clode` alone."""

    def dark(self) -> list[Picture]:
        """Photographs without references, and the inputs of lol and under."""
        folder = self.data / "test" / "unpaired_dark"
        files = spread(sorted(path for path in folder.rglob("*") if codecs.format_of_suffix(path)), 2 * self.count)
        return [read_rgb(path) for path in files] + [one for one, _ in self.pairs("lol") + self.pairs("under")]

    def judged(self, found: Sequence[tuple[Picture, Picture]], **controls: Any) -> Row:
        """Mean quality over pairs."""

        def judge(pair: tuple[Picture, Picture]) -> tuple[float, float, int]:
            result = self.enhance(pair[0], **controls)
            return psnr(result.array, pair[1]), ssim(result.array, pair[1]), result.report["plan"]["evaluations"]

        ratios, similarities, evaluations = zip(*self.each(judge, found), strict=True)
        return {
            "psnr": round(statistics.fmean(ratios), 2),
            "ssim": round(statistics.fmean(similarities), 3),
            "evaluations": round(statistics.fmean(evaluations), 1),
        }


def proxies(bench: ClodeBench) -> Iterator[Row]:
    for name in ("lol", "under"):
        found = bench.pairs(name)
        full = bench.each(lambda pair: bench.enhance(pair[0], proxy="full", denoise=0).array, found)
        for size in ("256", "384", "512", "full"):
            small = bench.each(lambda pair, size=size: bench.enhance(pair[0], proxy=size, denoise=0).array, found)
            between = [min(psnr(a, b), 99.0) for a, b in zip(small, full, strict=True)]
            quality = [(psnr(a, b), ssim(a, b)) for a, (_, b) in zip(small, found, strict=True)]
            yield {
                "set": name,
                "proxy": size,
                "to_full_median": round(statistics.median(between), 2),
                "to_full_least": round(min(between), 2),
                "psnr": round(statistics.fmean(one for one, _ in quality), 2),
                "ssim": round(statistics.fmean(two for _, two in quality), 4),
            }


def solvers(bench: ClodeBench) -> Iterator[Row]:
    rows: list[Row] = [{"solver": "euler", "steps": steps} for steps in (1, 5, 10, 20, 30)]
    rows += [{"solver": "dopri5", "tol": 1e-5}, {"solver": "dopri5", "tol": 1e-3}, {"solver": "rk4", "steps": 3}]
    rows += [{"solver": solver, "steps": 6} for solver in ("logit-euler", "logit-heun")]
    for name in ("lol", "under"):
        found = bench.pairs(name)
        for row in rows:
            for share in (0, 1):
                yield {"set": name, **row, "denoise": share, **bench.judged(found, denoise=share, **row)}


def steps(bench: ClodeBench) -> Iterator[Row]:
    pictures = spread(bench.dark(), bench.count)
    exact = [bench.enhance(picture, denoise=0, solver="dopri5", tol=1e-7).array for picture in pictures]
    for solver in ("logit-euler", "logit-heun", "logit-rk4", "euler", "midpoint", "rk4"):
        for count in (2, 3, 4, 6, 12):
            results = [bench.enhance(picture, denoise=0, solver=solver, steps=count) for picture in pictures]
            apart = [
                np.abs(result.array.astype(int) - truth).max() for result, truth in zip(results, exact, strict=True)
            ]
            yield {
                "solver": solver,
                "steps": count,
                "evaluations": results[0].report["plan"]["evaluations"],
                "levels_off_median": float(np.median(apart)),
                "levels_off_worst": int(np.max(apart)),
            }


def colours(bench: ClodeBench) -> Iterator[Row]:
    for name in ("lol", "under", "over"):
        found = bench.pairs(name)
        for colour in ("channel", "blend", "ratio"):
            for when in (3, "auto"):
                controls = {"colour": colour, "time": when}
                outputs = bench.each(lambda pair, c=controls: bench.enhance(pair[0], **c).array, found)
                turns = [hue_change(pair[0], out) for pair, out in zip(found, outputs, strict=True)]
                seen = [turn for turn in turns if turn is not None]
                quality = [(psnr(out, pair[1]), ssim(out, pair[1])) for pair, out in zip(found, outputs, strict=True)]
                yield {
                    "set": name,
                    **controls,
                    "psnr": round(statistics.fmean(one for one, _ in quality), 2),
                    "ssim": round(statistics.fmean(two for _, two in quality), 3),
                    "hue_change": round(statistics.median(seen), 2) if seen else None,
                }


def noise(bench: ClodeBench) -> Iterator[Row]:
    for name in ("lol", "under"):
        found = bench.pairs(name)
        for share in (0, 0.5, 1, "auto"):
            row: Row = {"set": name, "denoise": share, **bench.judged(found, denoise=share)}
            if share == "auto":
                plans = [bench.enhance(pair[0]).report["plan"] for pair in found]
                row["chosen"] = [plan["denoise"] for plan in plans]
                row["added_noise"] = [plan["added_noise"] for plan in plans]
            yield row


def monotony(bench: ClodeBench) -> Iterator[Row]:
    def means(picture: Picture) -> list[float]:
        results = bench.method.enhance_variants(picture, model=bench.model, time=(-1, 0, 1, 2, 3, 4), denoise=0)
        return [result.report["exposure"]["after"]["mean"] for result in results]

    rising = bench.each(means, bench.dark())
    strict = [all(np.diff(row) > 0) for row in rising]
    at_three = statistics.median(row[4] for row in rising)
    yield {"photographs": len(strict), "rising": round(statistics.fmean(strict), 3), "mean_at_3": round(at_three, 3)}


def harm(bench: ClodeBench) -> Iterator[Row]:
    found = [read_rgb(pair.input) for pair in pairs(bench.data, "clean")]

    def measure(picture: Picture) -> tuple[float, float]:
        result = bench.enhance(picture, time="auto")
        return min(psnr(result.array, picture), 99.0), result.report["exposure"]["before"]["mean"]

    ratios, means = zip(*bench.each(measure, found), strict=True)
    kept = sum(ratio == 99.0 for ratio in ratios)
    yield {"photographs": len(found), "median_psnr": round(statistics.median(ratios), 2), "unchanged": kept}
    yield {"mean_luma_quartiles": [round(float(q), 3) for q in np.quantile(means, (0.25, 0.5, 0.75))]}


def seconds(bench: ClodeBench) -> Iterator[Row]:
    dark = max(bench.dark(), key=lambda picture: picture.size)
    large = cv2.resize(dark, (4000, 3000), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(0).normal(0, 3, large.shape)
    large = np.clip(large + grain, 0, 255).astype(np.uint8)
    coded, _ = codecs.encode(Image(large), "jpeg", quality=92)

    def one(**controls: Any) -> dict[str, float]:
        marks = [time.perf_counter()]
        image = codecs.decode(coded, source="large.jpg")
        marks.append(time.perf_counter())
        result = bench.enhance(image, **controls)
        marks.append(time.perf_counter())
        assert result.image is not None
        codecs.encode(result.image, "jpeg")
        marks.append(time.perf_counter())
        ms = result.report["ms"]
        return {
            "decode": marks[1] - marks[0],
            "estimate": ms["estimate"] / 1e3,
            "render": ms["render"] / 1e3,
            "encode": marks[3] - marks[2],
            "all": marks[3] - marks[0],
            "denoise": result.report["plan"]["denoise"],
        }

    for label, controls in (("default", {}), ("denoise 0", {"denoise": 0}), ("denoise 1", {"denoise": 1})):
        one(**controls)
        alone = min((one(**controls) for _ in range(3)), key=lambda row: row["all"])
        began, used = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _, c=controls: one(**c), range(6)))
        together = (time.perf_counter() - began) / 6
        processor = (time.process_time() - used) / 6
        stages = {name: round(value, 3) for name, value in alone.items()}
        yield {"setting": label, **stages, "two_at_once": round(together, 3), "processor": round(processor, 3)}
    crop = np.ascontiguousarray(large[:256, :384])
    started = time.perf_counter()
    bench.method.enhance(crop, model="full", proxy="full", denoise=1)
    taken = (time.perf_counter() - started) * 12e6 / (256 * 384)
    yield {"setting": "full model, every pixel, extrapolated from 384x256, one core", "all": round(taken, 1)}


PARTS = {part.__name__: part for part in (proxies, solvers, steps, colours, noise, monotony, harm, seconds)}


if __name__ == "__main__":
    run(__doc__, PARTS, partial(ClodeBench, "clode"), pictures=12)
