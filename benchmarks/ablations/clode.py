"""What clode's settings cost and change: proxies, solvers, colour, noise, the monotony of time.

    python -m benchmarks.ablations.clode DATA [--parts proxies solvers ...] [--photos 12] [--model lite] [--jobs 2]

Printed is a JSON line for each row of:

    proxies    each proxy against `--proxy full`: median and least PSNR between outputs, quality against references
    solvers    Euler on light with 1, 5, 10, 20 and 30 steps (the paper's Table 4), the others, with and without g
    steps      the logit solvers by step: distance to dopri5 at 1e-7, and evaluations
    colours    by channel, blended, as a ratio: quality, change of hue to the input (auto and T = 3)
    noise      shares of g: quality, and what auto chose
    monotony   share of dark photos whose mean luma rises over T = -1, 0, 1, 2, 3, 4
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.lib.bench import Bench, Picture, Row, run
from benchmarks.lib.program import spread
from benchmarks.lib.sets import samples
from enhance_cli.quality.blind import hue_change
from enhance_cli.quality.reference import psnr, ssim


def dark(bench: Bench) -> list[Picture]:
    """Photos without references, and the inputs of lol and under."""
    found = samples(bench.data, "dark", 2 * bench.asked.photos)
    return [one.pixels for one in found] + [one for one, _ in bench.pairs("lol") + bench.pairs("under")]


def judged(bench: Bench, found: Sequence[tuple[Picture, Picture]], **controls: Any) -> Row:
    """Mean quality over pairs."""

    def judge(pair: tuple[Picture, Picture]) -> tuple[float, float, int]:
        result = bench.enhance(pair[0], **controls)
        return psnr(result.array, pair[1]), ssim(result.array, pair[1]), result.report["plan"]["evaluations"]

    columns = zip(*bench.each(judge, found), strict=True)
    return dict(zip(("psnr", "ssim", "evaluations"), map(statistics.fmean, columns), strict=True))


def proxies(bench: Bench) -> Iterator[Row]:
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
                "to_full_median": statistics.median(between),
                "to_full_least": round(min(between), 2),
                "psnr": statistics.fmean(one for one, _ in quality),
                "ssim": statistics.fmean(two for _, two in quality),
            }


def solvers(bench: Bench) -> Iterator[Row]:
    rows: list[Row] = [{"solver": "euler", "steps": steps} for steps in (1, 5, 10, 20, 30)]
    rows += [{"solver": "dopri5", "tol": 1e-5}, {"solver": "dopri5", "tol": 1e-3}, {"solver": "rk4", "steps": 3}]
    rows += [{"solver": solver, "steps": 6} for solver in ("logit-euler", "logit-heun")]
    for name in ("lol", "under"):
        found = bench.pairs(name)
        for row in rows:
            for share in (0, 1):
                yield {"set": name, **row, "denoise": share, **judged(bench, found, denoise=share, **row)}


def steps(bench: Bench) -> Iterator[Row]:
    pictures = spread(dark(bench), bench.asked.photos)
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


def colours(bench: Bench) -> Iterator[Row]:
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
                    "psnr": statistics.fmean(one for one, _ in quality),
                    "ssim": statistics.fmean(two for _, two in quality),
                    "hue_change": statistics.median(seen) if seen else None,
                }


def noise(bench: Bench) -> Iterator[Row]:
    for name in ("lol", "under"):
        found = bench.pairs(name)
        for share in (0, 0.5, 1, "auto"):
            row: Row = {"set": name, "denoise": share, **judged(bench, found, denoise=share)}
            if share == "auto":
                plans = [bench.enhance(pair[0]).report["plan"] for pair in found]
                row["chosen"] = [plan["denoise"] for plan in plans]
                row["added_noise"] = [plan["added_noise"] for plan in plans]
            yield row


def monotony(bench: Bench) -> Iterator[Row]:
    def means(picture: Picture) -> list[float]:
        results = bench.method.enhance_variants(picture, model=bench.asked.model, time=(-1, 0, 1, 2, 3, 4), denoise=0)
        return [result.report["exposure"]["after"]["mean"] for result in results]

    rising = bench.each(means, dark(bench))
    strict = [all(np.diff(row) > 0) for row in rising]
    at_three = statistics.median(row[4] for row in rising)
    yield {"photographs": len(strict), "rising": statistics.fmean(strict), "mean_at_3": round(at_three, 3)}


PARTS = {part.__name__: part for part in (proxies, solvers, steps, colours, noise, monotony)}


if __name__ == "__main__":
    run("clode", __doc__, PARTS)
