"""Controls compared over test sets, by their distance to the references and to the output of a base."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks.lib.figures import likeness
from benchmarks.lib.program import Asked, Row, each, spread
from benchmarks.lib.sets import Sample, samples
from benchmarks.quality import opened
from enhance_cli.quality.blind import hue_change
from enhance_cli.quality.pictures import Picture
from enhance_cli.quality.reference import psnr


class Table(NamedTuple):
    """What is compared."""

    rows: Sequence[Row]
    """Controls."""

    sets: tuple[str, ...] = ("lol", "under")
    """`dark` has no references, so only distances to the base count there."""

    base: Row | None = None
    """Controls of an output from which distances are measured: levels of 255 and decibels, median and worst."""


BARE = {"denoise": 0}
SOLVERS: list[Row] = [
    *({"solver": "euler", "steps": steps} for steps in (1, 5, 10, 20, 30)),  # the paper's Table 4
    *({"solver": "dopri5", "tol": tolerance} for tolerance in (1e-5, 1e-3)),
    {"solver": "rk4", "steps": 3},
    *({"solver": solver, "steps": 6} for solver in ("logit-euler", "logit-heun")),
]
BY_STEP = ("logit-euler", "logit-heun", "logit-rk4", "euler", "midpoint", "rk4")

CLODE = {
    "proxies": Table(
        [{"proxy": size, **BARE} for size in ("256", "384", "512", "full")], base={"proxy": "full", **BARE}
    ),
    "solvers": Table([{**row, "denoise": share} for row in SOLVERS for share in (0, 1)]),
    "steps": Table(
        [{"solver": solver, "steps": steps, **BARE} for solver in BY_STEP for steps in (2, 3, 4, 6, 12)],
        sets=("dark",),
        base={"solver": "dopri5", "tol": 1e-7, **BARE},
    ),
    "colours": Table(
        [{"colour": colour, "time": time} for colour in ("channel", "blend", "ratio") for time in (3, "auto")],
        sets=("lol", "under", "over"),
    ),
    "noise": Table([{"denoise": share} for share in (0, 0.5, 1, "auto")]),
}


def enhanced(asked: Asked, picture: Picture, **controls: Any) -> Any:
    """A Result of the method asked for, by the model asked for."""
    return opened(asked.method).enhance(picture, model=asked.model, **controls)


def photos(asked: Asked, name: str) -> list[Sample]:
    """A set, 12 photos of it unless --photos says otherwise; `dark` includes the inputs of lol and under."""
    most = asked.photos or 12
    if name != "dark":
        return samples(asked.data, name, most)
    found = [sample for part in ("dark", "lol", "under") for sample in samples(asked.data, part, most)]
    return [one._replace(reference=one.pixels) for one in spread(found, 2 * most)]


def compared(table: Table, asked: Asked) -> Iterator[Row]:
    """A row for each setting and set."""
    for name in table.sets:
        found = photos(asked, name)
        base = table.base and (lambda sample: enhanced(asked, sample.pixels, **table.base).array)
        exact = each(base, found, asked.jobs) if base else [None] * len(found)
        for controls in table.rows:
            results = each(lambda sample, c=controls: enhanced(asked, sample.pixels, **c), found, asked.jobs)
            rows = [judged(*one) for one in zip(found, results, exact, strict=True)]
            about = " ".join(f"{key}={value}" for key, value in controls.items())
            yield {"set": name, "case": about, "photos": len(rows), **summary(rows)}


def judged(sample: Sample, result: Any, exact: Picture | None) -> Row:
    """The figures of one photo."""
    plan, output = result.report["plan"], result.array
    row: Row = {name: plan[name] for name in ("evaluations", "denoise", "added_noise") if plan.get(name) is not None}
    if sample.pixels is not sample.reference:
        row |= likeness(output, sample.reference) | {"hue": hue_change(sample.pixels, output)}
    if exact is not None:
        apart = np.abs(output.astype(int) - exact)
        row |= {"levels_off": int(apart.max()), "to_base": min(psnr(output, exact), 99.0)}
    return row


WORST = {"hue": max, "levels_off": max, "to_base": min}


def summary(rows: Sequence[Row]) -> Row:
    """Medians of hue and of distances, with the worst; means of everything else."""
    found: Row = {}
    for name in rows[0]:
        values = [row[name] for row in rows if row[name] is not None]
        if name in WORST:
            found[name] = [statistics.median(values), WORST[name](values)] if values else None
        else:
            found[name] = statistics.fmean(values)
    return found


def monotony(asked: Asked) -> Iterator[Row]:
    """One solve for all times."""

    def means(sample: Sample) -> list[float]:
        vary = partial(opened(asked.method).enhance_variants, model=asked.model, time=(-1, 0, 1, 2, 3, 4), **BARE)
        return [result.report["exposure"]["after"]["mean"] for result in vary(sample.pixels)]

    rising = each(means, photos(asked, "dark"), asked.jobs)
    share = statistics.fmean(bool((np.diff(row) > 0).all()) for row in rising)
    yield {"photos": len(rising), "rising": share, "mean_at_3": statistics.median(row[4] for row in rising)}
