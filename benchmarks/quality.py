"""Judge every method on test photos: likeness to references, hues, halos, harm to good photos, backlight, white.

    python -m benchmarks.quality DATA [--methods clode ...] [--sets lol under ...] [--photos 5]
                                 [--row "clahe-adaptive grid=8x8 strength=0.5"] [--out DIR] [--store FILE]

DATA is a folder with `test/` (benchmarks/lib/sets.py says what is in it). Printed is a JSON line for each case of
each method (enhance_cli/methods/*/cases.py) and each set; benchmarks/lib/figures.py says what is measured. A row that
the file given with --store already has of the same commit is not measured again. The parts:

    sets       the sets of single photos, for the baselines and for every case
    stacks     the exposure stacks fused, by methods that fuse and by OpenCV's Mertens: MEF-SSIM against all frames, and
               PSNR/SSIM against the best frame, which is left out of what is fused
    maps       nothing is printed: `--out` receives photos of `dark` beside what methods draw of their decisions

`--out` receives a sheet of each set: input | every case that is shown | reference.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2

import enhance_cli
from benchmarks.lib import baselines, figures, program, results, sheets
from benchmarks.lib.fusion import mef_ssim
from benchmarks.lib.program import Asked, Row
from benchmarks.lib.sets import SETS, Sample, samples, stacks
from enhance_cli import methods
from enhance_cli.methods.cases import EVERYWHERE
from enhance_cli.quality.pictures import Picture, read_rgb
from enhance_cli.quality.reference import psnr, ssim

SHEET_ROWS = 8


class Contender(NamedTuple):
    """Who is judged."""

    method: str
    case: str
    sets: tuple[str, ...]
    shown: bool
    output: Callable[[Sample], Picture]


@cache
def opened(name: str) -> Any:
    """A method with one thread a photo: several photos are worked on at once instead."""
    return enhance_cli.open(name, device="cpu", threads=1)


def contenders(asked: Asked) -> list[Contender]:
    """The baselines, the cases of the methods asked for, and the rows asked for."""
    found = [
        Contender(name, "", EVERYWHERE, False, lambda sample, enhance=enhance: enhance(sample.pixels))
        for name, enhance in baselines.BASELINES.items()
        if not asked.no_baselines
    ]
    for name in asked.methods:
        for case in program.chosen(asked, name):
            found.append(
                Contender(name, case.name, case.sets, case.shown, ours(name, case.controls, case.sees_reference))
            )
    for name, label, controls in map(parsed, asked.row):
        found.append(Contender(name, label, SETS, True, ours(name, controls, controls.get("time") == "best")))
    return found


def ours(name: str, controls: Any, sees_reference: bool) -> Callable[[Sample], Picture]:
    """What a method makes of a sample."""

    def output(sample: Sample) -> Picture:
        more = {"reference": sample.reference} if sees_reference else {}
        return opened(name).enhance(sample.pixels, **controls, **more).array

    return output


def parsed(text: str) -> tuple[str, str, dict[str, Any]]:
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
    return name, " ".join(assignments), controls


def of_sets(asked: Asked) -> Iterator[Row]:
    """A row for each contender and set; shown contenders first."""
    known = {results.key(row) for row in stored(asked)}
    sets = {name: samples(asked.data, name, asked.photos) for name in asked.sets}
    everyone = contenders(asked)
    for one in sorted(everyone, key=lambda one: bool(one.case) and not one.shown):
        for name in (name for name in one.sets if sets.get(name)):
            about = {"method": one.method, "case": one.case, "set": name}
            if results.key({"part": "sets", **about}) in known:
                continue
            measure = figures.MEASURES[name]
            rows = program.each(lambda sample: measure(sample, one.output(sample)), sets[name], asked.jobs)  # noqa: B023
            yield {**about, **figures.summary(name, rows)}
    for name, found in sets.items():
        of_set([one for one in everyone if one.shown or not asked.methods], name, found, asked)


def stored(asked: Asked) -> list[Row]:
    """What was stored at this commit and is not to be measured again."""
    commit = results.origin()["commit"]
    return [row for row in results.read(asked.store) if row["commit"] == commit] if asked.store else []


def of_set(shown: Sequence[Contender], name: str, found: Sequence[Sample], asked: Asked) -> None:
    """The sheet of a set."""
    if asked.out is None:
        return
    rows = []
    for sample in program.spread(found, SHEET_ROWS):
        row = [(sample.name, sample.pixels)]
        for one in shown:
            output = one.output(sample)
            close = "" if sample.reference is sample.pixels else f" {psnr(output, sample.reference):.1f} dB"
            row.append((f"{one.method} {one.case}{close}", output))
        rows.append(row if sample.reference is sample.pixels else [*row, ("reference", sample.reference)])
    sheets.write(asked.out, name, rows)


def of_stacks(asked: Asked) -> Iterator[Row]:
    """Means over the stacks for each way of fusing."""
    ways: dict[tuple[str, str], Callable[[Sequence[Picture]], Picture]] = {("OpenCV Mertens", ""): baselines.mertens}
    for name in (name for name in asked.methods if methods.get(name).fuses):
        for case in program.chosen(asked, name):
            if "stacks" in case.sets:
                ways[name, case.name] = lambda frames, n=name, c=case: opened(n).fuse(frames, **c.controls).array
    found: dict[tuple[str, str], list[tuple[float, ...]]] = {way: [] for way in ways}
    rows = []
    for name, path, others in program.spread(stacks(asked.data), asked.photos):
        frames, reference = [read_rgb(other) for other in others], read_rgb(path)
        row = [(name, frames[0]), ("", frames[-1])]
        for way, fuse in ways.items():
            fused = fuse(frames)
            found[way].append((mef_ssim(frames, fused), psnr(fused, reference), ssim(fused, reference)))
            row.append((" ".join(way), fused))
        rows.append([*row, ("reference", reference)])
    for (method, case), values in found.items():
        if values:
            means = map(statistics.fmean, zip(*values, strict=True))
            figure = dict(zip(("mef_ssim", "psnr", "ssim"), means, strict=True))
            yield {"method": method, "case": case, "set": "stacks", "photos": len(values), **figure}
    sheets.write(asked.out, "stacks", rows)


def of_maps(asked: Asked) -> Iterator[Row]:
    """Sheets of what methods draw of their decisions, by the command line that users have."""
    if asked.out is None:
        return
    found = samples(asked.data, "dark", asked.photos or 10)
    for name in asked.methods:
        method = methods.get(name)
        given = [f"--{control.replace('_', '-')}={value}" for control, value in method.example]
        for drawing in method.illustrations:
            with tempfile.TemporaryDirectory() as text:
                source, target = Path(text) / "in", Path(text) / "out"
                source.mkdir()
                for index, sample in enumerate(found):
                    scale = min(1.0, 640 / max(sample.pixels.shape[:2]))
                    small = cv2.resize(sample.pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
                    cv2.imwrite(str(source / f"{index:03d}.png"), small[..., ::-1])
                words = [sys.executable, "-m", "enhance_cli", name, "--quiet", f"--{drawing.replace('_', '-')}", *given]
                subprocess.run([*words, str(source), str(target)], check=True)
                rows = [
                    [(sample.name, sample.pixels)]
                    + [("", read_rgb(path)) for path in sorted(target.glob(f"{index:03d}*.png"))]
                    for index, sample in enumerate(found)
                ]
            sheets.write(asked.out, f"maps-{name}-{drawing}", rows)
    yield from ()


PARTS = {"sets": of_sets, "stacks": of_stacks, "maps": of_maps}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts."""
    parser = program.parser(__doc__, list(PARTS), photos=None, rounds=1)
    parser.add_argument("data", type=Path, help="folder with test/")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--row", action="append", default=[], metavar="'METHOD CONTROL=VALUE ...'")
    parser.add_argument("--no-baselines", action="store_true", help="our methods alone")
    asked = parser.parse_args(arguments)
    if not (asked.data / "test").is_dir():
        parser.error(f"{asked.data} has no folder test")
    cv2.setNumThreads(1)  # the pool has the cores
    program.run(asked, PARTS)


if __name__ == "__main__":
    main()
