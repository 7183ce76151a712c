"""Stress tests of runs: kills at random moments, more pixels than memory.

    python -m benchmarks.reliability [--parts killed memory] [--kills 10] [--store FILE]

The program prints a JSON line for each row of the parts, in which `held` says whether all requirements were met; the
exit code is 1 if a row did not hold.

    killed     a run over --count photos is killed (kill -9) --kills times at random moments, and then completed.
               `whole`: at any time every output in place has the bytes of a run without kills; `complete`: in the end
               all outputs exist and are in the report; `again`: for each kill, at most the photos in flight were
               repeated; `clean`: nothing else is in the folder
    memory     the peak of whole runs. `large`: 200 JPEGs of 24 megapixels within the default budget and 300 MB more,
               and with a budget of 300 MB; `huge`: one JPEG of 200 megapixels by methods that stream within 2.5 times
               its decoded size and 300 MB; `small`: 2,000 JPEGs within 20 MB of 200
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.lib import program, scenes, timing
from benchmarks.lib.program import Asked, Row
from enhance_cli import methods
from enhance_cli.pipeline.memory import default_budget

# --- kills ---------------------------------------------------------------------------------------------------


def make_photos(folder: Path, count: int) -> None:
    """Distinct files of a third of a megapixel: JPEG mostly, some PNG and WebP."""
    folder.mkdir()
    smooth = scenes.soft(480, 640)
    for number in range(count):
        suffix = {3: "png", 7: "webp"}.get(number % 10, "jpg")
        cv2.imwrite(str(folder / f"{number:04d}.{suffix}"), np.roll(smooth, 7 * number, axis=1))


def bytes_by_name(folder: Path) -> dict[str, bytes]:
    """Every file of a folder except the report."""
    return {path.name: path.read_bytes() for path in folder.glob("*") if path.suffix != ".jsonl"}


def killed_runs(folder: Path, *, count: int, kills: int, method: str, jobs: int, seed: int) -> Row:
    """Kill a run repeatedly, let the last one finish, and report the observations."""
    source, target = folder / "in", folder / "out"
    make_photos(source, count)
    command = [*timing.ENHANCE, method, "--device", "cpu", "--jobs", str(jobs), "--quiet"]

    def seconds(photos: Path, out: Path) -> float:
        began = time.monotonic()
        subprocess.run([*command, str(photos), str(out)], check=True)
        return time.monotonic() - began

    seconds(source, folder / "expected")  # which also compiles
    wanted = bytes_by_name(folder / "expected")
    start, whole = seconds(source / "0000.jpg", folder / "one"), seconds(source, folder / "timed")
    rng = random.Random(seed)
    moments, in_place, not_whole, left_over = [], [], 0, 0
    for _ in range(kills):
        running = subprocess.Popen([*command, str(source), str(target)])
        # Mostly while photos are under way; some of the kills come during the start.
        moments.append(rng.uniform(0.7 * start, 1.2 * start + 1.4 * (whole - start) / kills))
        time.sleep(moments[-1])
        running.kill()
        running.wait()
        there = bytes_by_name(target)
        finished = {name: data for name, data in there.items() if not name.startswith(".enhance-")}
        left_over += len(there) - len(finished)
        not_whole += sum(data != wanted.get(name) for name, data in finished.items())
        in_place.append(len(finished))
    seconds(source, target)
    there = bytes_by_name(target)
    lines = [json.loads(line) for line in (target / "enhance-report.jsonl").read_bytes().splitlines()]
    last = {Path(line["output"]).name: line["status"] for line in lines}
    seen = {
        "whole": not_whole == 0 and all(there.get(name) == data for name, data in wanted.items()),
        "complete": set(there) >= set(wanted) and last == dict.fromkeys(wanted, "done"),
        "again": len(lines) - count <= kills * jobs,
        "clean": set(there) == set(wanted),
    }
    figures = {
        "photos": count,
        "kills": kills,
        "moments_s": [round(moment, 2) for moment in moments],
        "in_place_after_each": in_place,
        "staged_left_by_kills": left_over,
        "done_again": len(lines) - count,
    }
    return figures | seen | {"held": all(seen.values())}


def killed(asked: Asked) -> Iterator[Row]:
    """Once for each of --methods; where all are asked for, of clahe-adaptive alone."""
    for name in ["clahe-adaptive"] if asked.methods == list(methods.names()) else asked.methods:
        with tempfile.TemporaryDirectory() as folder:
            how = {"count": asked.count, "kills": asked.kills, "jobs": asked.jobs, "seed": asked.seed}
            yield {"method": name, "case": f"seed {asked.seed}", **killed_runs(Path(folder), method=name, **how)}


# --- memory --------------------------------------------------------------------------------------------------

HUGE = ("clahe-adaptive", "clahe-adaptive --chroma keep", "clode --time 2", "clode --denoise 0")
ANEW = ("--report", "none")


def memory(asked: Asked) -> Iterator[Row]:
    """Peaks of whole runs."""
    for size in asked.kinds:
        with tempfile.TemporaryDirectory() as folder:
            for row in KINDS[size](Path(folder), asked):
                yield {"size": size, **row, "held": row["peak_mb"] <= row["bound_mb"]}


def small(folder: Path, asked: Asked) -> Iterator[Row]:
    """Many small photos take no more memory than a few."""
    data = scenes.jpeg(scenes.soft(480, 640))
    few, many = (scenes.folder(folder / str(count), data, count) for count in (200, 2000))
    first = timing.peak_mb("clahe-adaptive", few, folder / "few")
    peak = timing.peak_mb("clahe-adaptive", many, folder / "many")
    yield {"case": "clahe-adaptive", "of_200_mb": first, "peak_mb": peak, "bound_mb": first + 20}


def huge(folder: Path, asked: Asked) -> Iterator[Row]:
    """One photo of 200 megapixels."""
    (folder / "photo.jpg").write_bytes(scenes.jpeg(scenes.soft(10_000, 20_000)))
    for words in (words for words in HUGE if words.split()[0] in asked.methods):
        peak = timing.peak_mb(*words.split(), *ANEW, folder / "photo.jpg", folder / "out")
        yield {"case": words, "peak_mb": peak, "bound_mb": 2.5 * 600 + 300}


def large(folder: Path, asked: Asked) -> Iterator[Row]:
    """Many large photos stay within the budget."""
    inputs = scenes.folder(folder / "in", scenes.jpeg(scenes.soft(4000, 6000)), asked.photos or 200)
    for words, bound in ((), default_budget() / 1e6 + 300), (("--memory", "300M", "--jobs", 8), 600):
        peak = timing.peak_mb("clahe-adaptive", *ANEW, *words, inputs, folder / "out")
        yield {"case": " ".join(map(str, words)) or "default budget", "peak_mb": peak, "bound_mb": bound}


KINDS = {"small": small, "huge": huge, "large": large}
PARTS = {"killed": killed, "memory": memory}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts."""
    parser = program.parser(__doc__, list(PARTS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=300, help="photos of a run that is killed (300)")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="of runs measured for memory")
    asked = parser.parse_args(arguments)
    return int(not all(row["held"] for row in program.run(asked, PARTS)))


if __name__ == "__main__":
    sys.exit(main())
