"""What clode's settings cost and change: proxies, solvers, colour, noise, the monotony of time.

    python -m benchmarks.ablations.clode DATA [--parts proxies solvers ...] [--photos 12] [--model lite] [--jobs 2]

Printed is a JSON line for each setting and set: PSNR and SSIM to the references (means), change of hue to the input
(median), evaluations of the network, and what was decided of noise; with `levels_off`, in levels of 255, and `to_base`,
in decibels (median and least), where outputs are compared with a base:

    proxies    each proxy, without denoising; the base is `--proxy full`
    solvers    Euler on light with 1, 5, 10, 20 and 30 steps (the paper's Table 4), the others, with and without g
    steps      solvers by their steps, without denoising, on dark photos; the base is dopri5 at 1e-7
    colours    by channel, blended, as a ratio (T = 3 and auto)
    noise      shares of g
    monotony   share of dark photos whose mean luma rises over T = -1, 0, 1, 2, 3, 4
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.lib.bench import Bench, Part, Picture, Row, run
from benchmarks.lib.figures import likeness
from benchmarks.lib.program import spread
from benchmarks.lib.sets import samples
from enhance_cli.quality.blind import hue_change
from enhance_cli.quality.reference import psnr

BARE = {"denoise": 0}
SOLVERS: list[Row] = [
    *({"solver": "euler", "steps": steps} for steps in (1, 5, 10, 20, 30)),
    *({"solver": "dopri5", "tol": tolerance} for tolerance in (1e-5, 1e-3)),
    {"solver": "rk4", "steps": 3},
    *({"solver": solver, "steps": 6} for solver in ("logit-euler", "logit-heun")),
]
BY_STEP = ("logit-euler", "logit-heun", "logit-rk4", "euler", "midpoint", "rk4")


def compared(settings: Sequence[Row], sets: Sequence[str] = ("lol", "under"), base: Row | None = None) -> Part:
    """A part that runs settings over sets; `dark` has no references, so only distances to the base count there."""

    def part(bench: Bench) -> Iterator[Row]:
        for name in sets:
            found = dark(bench) if name == "dark" else bench.pairs(name)
            exact = (
                bench.each(lambda pair: bench.enhance(pair[0], **base).array, found) if base else [None] * len(found)
            )
            for controls in settings:
                results = bench.each(lambda pair, c=controls: bench.enhance(pair[0], **c), found)
                rows = [judged(*one) for one in zip(found, results, exact, strict=True)]
                about = " ".join(f"{key}={value}" for key, value in controls.items())
                yield {"set": name, "case": about, "photos": len(rows), **summary(rows)}

    return part


def judged(pair: tuple[Picture, Picture], result: Any, exact: Picture | None) -> Row:
    """The figures of one photo."""
    plan, output = result.report["plan"], result.array
    row: Row = {name: plan[name] for name in ("evaluations", "denoise", "added_noise") if plan.get(name) is not None}
    if pair[0] is not pair[1]:
        row |= likeness(output, pair[1]) | {"hue": hue_change(pair[0], output)}
    if exact is not None:
        apart = np.abs(output.astype(int) - exact)
        row |= {"levels_off": int(apart.max()), "to_base": min(psnr(output, exact), 99.0)}
    return row


def summary(rows: Sequence[Row]) -> Row:
    """Medians of hue and of distances, with the worst; means of everything else."""
    found: Row = {}
    for name in rows[0]:
        values = [row[name] for row in rows if row[name] is not None]
        if name in ("hue", "levels_off", "to_base"):
            worst = min if name == "to_base" else max
            found[name] = [statistics.median(values), worst(values)] if values else None
        else:
            found[name] = statistics.fmean(values)
    return found


def dark(bench: Bench) -> list[tuple[Picture, Picture]]:
    """Photos without references, and the inputs of lol and under; each twice, as it has no reference."""
    found = [one.pixels for one in samples(bench.data, "dark", bench.asked.photos)]
    found += [one for one, _ in bench.pairs("lol") + bench.pairs("under")]
    return [(one, one) for one in spread(found, 2 * bench.asked.photos)]


def monotony(bench: Bench) -> Iterator[Row]:
    """One solve for all times."""

    def means(pair: tuple[Picture, Picture]) -> list[float]:
        times = (-1, 0, 1, 2, 3, 4)
        results = bench.method.enhance_variants(pair[0], model=bench.asked.model, time=times, **BARE)
        return [result.report["exposure"]["after"]["mean"] for result in results]

    rising = bench.each(means, dark(bench))
    share = statistics.fmean(bool((np.diff(row) > 0).all()) for row in rising)
    yield {"photos": len(rising), "rising": share, "mean_at_3": statistics.median(row[4] for row in rising)}


PARTS: dict[str, Part] = {
    "proxies": compared(
        [{"proxy": size, **BARE} for size in ("256", "384", "512", "full")], base={"proxy": "full", **BARE}
    ),
    "solvers": compared([{**row, "denoise": share} for row in SOLVERS for share in (0, 1)]),
    "steps": compared(
        [{"solver": solver, "steps": steps, **BARE} for solver in BY_STEP for steps in (2, 3, 4, 6, 12)],
        sets=("dark",),
        base={"solver": "dopri5", "tol": 1e-7, **BARE},
    ),
    "colours": compared(
        [{"colour": colour, "time": time} for colour in ("channel", "blend", "ratio") for time in (3, "auto")],
        sets=("lol", "under", "over"),
    ),
    "noise": compared([{"denoise": share} for share in (0, 0.5, 1, "auto")]),
    "monotony": monotony,
}


if __name__ == "__main__":
    run("clode", __doc__, PARTS)
