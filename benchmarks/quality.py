"""Measures every method on test photos: similarity to references, hues, halos, harm to good photos, shade, white.

    python -m benchmarks.quality DATA [--methods clode ...] [--cases lite ...] [--sets lol under ...] [--photos 5]
                                 [--row "clahe-adaptive grid=8x8 strength=0.5"] [--out DIR] [--store FILE]

DATA is a folder with `test/` (see benchmarks/lib/sets.py). The program prints a JSON line for each baseline and each
case of each method (enhance_cli/methods/*/cases.py) on each set; benchmarks/lib/figures.py defines the measures. A row
that the --store file already has for the same commit is not measured again. Stacks are fused by methods that can fuse
and by OpenCV's Mertens, without the best frame, with which the results are compared.

`--out` receives a contact sheet of each set: input | every case that is shown | reference.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

import enhance_cli
from benchmarks.lib import baselines, figures, program, results
from benchmarks.lib.program import Asked, Row
from benchmarks.lib.sets import SETS, Sample, samples
from enhance_cli.methods.auto.candidates import CANDIDATES
from enhance_cli.methods.cases import EVERYWHERE, PAIRED, Case
from enhance_cli.quality.pictures import Picture
from enhance_cli.quality.reference import psnr
from enhance_cli.training.sheet import write_sheet

SHEET_ROWS = 8
HEIGHT = 213
"""Height of the photos on a sheet, in pixels."""


class Contender(NamedTuple):
    """Who is judged."""

    method: str
    case: Case
    output: Callable[[Sample], Picture]


@cache
def opened(name: str) -> Any:
    """A method with one thread a photo: several photos are worked on at once instead."""
    return enhance_cli.open(name, device="cpu", threads=1)


def contenders(asked: Asked) -> list[Contender]:
    """The baselines, the cases of the methods asked for, and the rows asked for; what is shown comes first."""
    plain = Case("", {}, EVERYWHERE, shown=True)
    found = [
        Contender(name, plain, lambda sample, make=make: make(sample.pixels))
        for name, make in baselines.BASELINES.items()
    ]
    found.append(Contender("OpenCV Mertens", Case("", {}, ("stacks",)), lambda sample: baselines.mertens(sample.made)))
    if "auto" in asked.methods:
        found.append(Contender("best per photo", Case("", {}, PAIRED, sees_reference=True), best_per_photo))
    ours = [(name, case) for name in asked.methods for case in program.chosen(asked, name)]
    ours = sorted(ours, key=lambda one: not one[1].shown) + list(map(parsed, asked.row))
    return [*found, *(Contender(*one, partial(enhanced, *one)) for one in ours)]


def best_per_photo(sample: Sample) -> Picture:
    """Whichever is closest to the reference of the photo and the results that `auto` chooses among: an upper bound."""
    made = [enhanced(name, Case("", one.controls, PAIRED), sample) for name, one in CANDIDATES.items()]
    return max((sample.pixels, *made), key=lambda output: psnr(output, sample.reference))


def once(one: Contender) -> Callable[[Sample], Picture]:
    """Its outputs; of a photo that lies in several sets, such as a frame of a stack, only one is made."""
    made: dict[tuple[int, tuple[int, ...]], Picture] = {}

    def output(sample: Sample) -> Picture:
        if one.case.sees_reference or sample.made is not None:
            return one.output(sample)
        key = hash(sample.pixels.tobytes()), sample.pixels.shape
        if key not in made:
            made[key] = one.output(sample)
        return made[key]

    return output


def enhanced(name: str, case: Case, sample: Sample) -> Picture:
    """What a method makes of a sample; of a portrait two images, by its mask and by the case's own mask."""
    if isinstance(sample.made, list):
        return opened(name).fuse(sample.made, **case.controls).array
    more = {"reference": sample.reference} if case.sees_reference else {}
    if "mask" in case.controls and sample.made is not None:
        both = ({**case.controls, "mask": sample.made}, case.controls)
        return np.stack([opened(name).enhance(sample.pixels, **controls).array for controls in both])
    return opened(name).enhance(sample.pixels, **case.controls, **more).array


def parsed(text: str) -> tuple[str, Case]:
    """`clahe-adaptive grid=1x1 strength=0.5`: a method, and its controls as JSON or else as plain text."""
    name, *assignments = text.split()
    controls: dict[str, Any] = {}
    for assignment in assignments:
        control, equals, value = assignment.partition("=")
        if not equals:
            sys.exit(f"--row {text!r}: {assignment!r} is not CONTROL=VALUE")
        try:
            controls[control.replace("-", "_")] = json.loads(value)
        except json.JSONDecodeError:
            controls[control.replace("-", "_")] = value
    sets = tuple(name for name in SETS if name != "stacks")
    return name, Case(" ".join(assignments), controls, sets, shown=True, sees_reference=controls.get("time") == "best")


def of_sets(asked: Asked) -> Iterator[Row]:
    """A row for each contender and set, and a sheet for each set."""
    commit = results.origin()["commit"]
    stored = results.read(asked.store) if asked.store else ()
    known = {results.key(row) for row in stored if row["commit"] == commit}
    sets = {name: found for name in asked.sets if (found := samples(asked.data, name, asked.photos))}
    everyone = contenders(asked)
    for one in everyone:
        output = once(one)
        for name in (name for name in one.case.sets if name in sets):
            about = {"method": one.method, "case": one.case.name, "set": name}
            if results.key({"part": "sets", **about}) in known:
                continue
            measure = figures.MEASURES[name]
            work = lambda sample, output=output, measure=measure: measure.photo(sample, output(sample))  # noqa: E731
            yield about | figures.summary(measure, program.each(work, sets[name], asked.jobs))
    for name, found in sets.items() if asked.out else ():
        drawn = [one for one in everyone if one.case.shown and name in one.case.sets]
        rows = [list(cells(sample, drawn)) for sample in program.spread(found, SHEET_ROWS)]
        write_sheet(asked.out / f"{name}.png", rows, HEIGHT)


def cells(sample: Sample, drawn: Sequence[Contender]) -> Iterator[tuple[str, Picture]]:
    """A row of a sheet: labels and photos."""
    yield sample.name, sample.pixels
    judged = sample.reference is not sample.pixels
    for one in drawn:
        output = one.output(sample)
        yield f"{one.method} {one.case.name}" + (f" {psnr(output, sample.reference):.1f} dB" if judged else ""), output
    if judged:
        yield "reference", sample.reference


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure."""
    parser = program.parser(__doc__, ["sets"])
    parser.add_argument("data", type=Path, help="folder with test/")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--row", action="append", default=[], metavar="'METHOD CONTROL=VALUE ...'")
    parser.add_argument("--out", type=Path, help="folder for sheets")
    asked = parser.parse_args(arguments)
    if not (asked.data / "test").is_dir():
        parser.error(f"{asked.data} has no folder test")
    cv2.setNumThreads(1)  # the pool has the cores
    program.run(asked, {"sets": of_sets})


if __name__ == "__main__":
    main()
