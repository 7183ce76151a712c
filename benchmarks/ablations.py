"""What settings that users can choose are worth, by distances of outputs to references and to that of one setting.

    python -m benchmarks.ablations DATA [--parts solvers ...] [--photos 12] [--store FILE]

DATA is a folder with `test/` as for benchmarks.quality. Printed is a JSON line for each row of the parts:

    grids                               (clahe-adaptive) PSNR, SSIM and hues by setting
    proxies solvers steps colours       (clode) the same, evaluations of the network, and distances to the exact output

Other settings: `python -m benchmarks.quality DATA --methods --row "METHOD CONTROL=VALUE ..."`.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import enhance_cli  # noqa: F401 # isort: skip  # before OpenCV: it chooses where compiled kernels are cached

import cv2
import numpy as np

from benchmarks.lib import program
from benchmarks.lib.figures import likeness
from benchmarks.lib.program import Asked, Row, each
from benchmarks.lib.sets import Sample, samples
from benchmarks.quality import opened
from enhance_cli.quality.blind import hue_change
from enhance_cli.quality.pictures import Picture
from enhance_cli.quality.reference import psnr


class Table(NamedTuple):
    """What is compared."""

    method: str
    rows: Sequence[Row]
    """Controls."""

    sets: tuple[str, ...] = ("lol", "under")
    base: Row | None = None
    """Controls of the output from which distances are measured."""


LITE = {"model": "lite"}
BARE = {**LITE, "denoise": 0}
SOLVERS: list[Row] = [
    *({"solver": "euler", "steps": steps} for steps in (1, 5, 10, 20, 30)),  # the paper's Table 4
    *({"solver": "dopri5", "tol": tolerance} for tolerance in (1e-5, 1e-3)),
    {"solver": "rk4", "steps": 3},
    *({"solver": solver, "steps": 6} for solver in ("logit-euler", "logit-heun")),
]
BY_STEP = ("logit-euler", "logit-heun", "logit-rk4", "euler", "midpoint", "rk4")

TABLES = {
    "grids": Table("clahe-adaptive", [{"grid": grid} for grid in ("1x1", "2x2", "4x4", "8x8", "16x16")]),
    "proxies": Table(
        "clode", [{"proxy": size, **BARE} for size in ("256", "384", "512", "full")], base={"proxy": "full", **BARE}
    ),
    "solvers": Table("clode", [{**LITE, **row, "denoise": share} for row in SOLVERS for share in (0, 1)]),
    "steps": Table(
        "clode",
        [{"solver": solver, "steps": steps, **BARE} for solver in BY_STEP for steps in (2, 3, 4, 6, 12)],
        base={"solver": "dopri5", "tol": 1e-7, **BARE},
    ),
    "colours": Table(
        "clode",
        [{"colour": colour, "time": time, **LITE} for colour in ("channel", "blend", "ratio") for time in (3, "auto")],
        sets=("lol", "under", "over"),
    ),
}


def compared(table: Table, asked: Asked) -> Iterator[Row]:
    """A row for each setting and set."""

    def enhanced(sample: Sample, controls: Row) -> Any:
        return opened(table.method).enhance(sample.pixels, **controls)

    for name in table.sets:
        found = samples(asked.data, name, asked.photos or 12)
        base = table.base
        exact = (
            each(lambda sample, c=base: enhanced(sample, c).array, found, asked.jobs) if base else [None] * len(found)
        )
        for controls in table.rows:
            results = each(lambda sample, c=controls: enhanced(sample, c), found, asked.jobs)
            rows = [judged(*one) for one in zip(found, results, exact, strict=True)]
            about = " ".join(f"{key}={value}" for key, value in controls.items())
            yield {"method": table.method, "case": about, "set": name, "photos": len(rows), **summary(rows)}


def judged(sample: Sample, result: Any, exact: Picture | None) -> Row:
    """The figures of one photo."""
    output, evaluations = result.array, result.report["plan"].get("evaluations")
    row = likeness(output, sample.reference) | {"hue": hue_change(sample.pixels, output), "evaluations": evaluations}
    if exact is not None:
        apart = np.abs(output.astype(int) - exact)
        row |= {"levels_off": int(apart.max()), "to_base": min(psnr(output, exact), 99.0)}
    return row


WORST = {"hue": max, "levels_off": max, "to_base": min}


def summary(rows: Sequence[Row]) -> Row:
    """Medians of hue and of distances, with the worst; means of everything else."""
    found: Row = {}
    for name in rows[0] if rows else ():
        if values := [row[name] for row in rows if row[name] is not None]:
            worst = WORST.get(name)
            found[name] = [statistics.median(values), worst(values)] if worst else statistics.fmean(values)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts."""
    parser = program.parser(__doc__, list(TABLES))
    parser.add_argument("data", type=Path, help="folder with test/")
    asked = parser.parse_args(arguments)
    cv2.setNumThreads(1)  # the pool has the cores
    program.run(asked, {name: partial(compared, table) for name, table in TABLES.items()})


if __name__ == "__main__":
    main()
