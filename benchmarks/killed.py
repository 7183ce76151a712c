"""Kill a run again and again, let the last one end, and look whether anything was lost, half or done twice.

    python benchmarks/killed.py [--photographs 300] [--kills 10] [--method clahe-adaptive] [--jobs 2] [--seed 0]

One run to the end, in another folder, says how every output must look, byte for byte. Then runs of the same command
are killed (kill -9) at random moments, and a last one is left alone. Printed is a JSON object of what was seen;
the exit code is 1 if any of these does not hold:

    whole      every output in place, after every kill, has the bytes that it must have
    complete   in the end all outputs are there, and the report's last line of each says done
    again      per kill at most the photographs in flight (--jobs) were done again
    clean      in the end there is nothing else in the output folder but the report
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def make_photographs(folder: Path, count: int) -> None:
    """Distinct files of a third of a megapixel: JPEG mostly, some PNG and WebP."""
    import cv2
    import numpy as np

    folder.mkdir()
    rng = np.random.default_rng(0)
    smooth = cv2.resize(rng.integers(0, 120, (9, 12, 3), dtype=np.uint8), (640, 480), interpolation=cv2.INTER_CUBIC)
    for number in range(count):
        picture = np.roll(smooth, 7 * number, axis=1) // 2 + rng.integers(0, 20, (480, 640, 1), dtype=np.uint8)
        suffix = {3: "png", 7: "webp"}.get(number % 10, "jpg")
        cv2.imwrite(str(folder / f"{number:04d}.{suffix}"), picture)


def bytes_by_name(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but the report."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".jsonl"}


def timed(command: list[str]) -> float:
    """Wall time of a process."""
    started = time.monotonic()
    subprocess.run(command, check=True)
    return time.monotonic() - started


def killed_runs(folder: Path, photographs: int, kills: int, method: str, jobs: int, seed: int) -> dict[str, Any]:
    """Do it, and say what was seen."""
    source, expected, target = folder / "in", folder / "expected", folder / "out"
    make_photographs(source, photographs)
    command = [sys.executable, "-m", "enhance_cli", method, "--device", "cpu", "--jobs", str(jobs), "--quiet"]
    subprocess.run([*command, str(source), str(expected)], check=True)
    start = timed([*command, str(source / "0000.jpg"), str(folder / "one")])
    whole = timed([*command, str(source), str(folder / "timed")])
    wanted = bytes_by_name(expected)
    rng = random.Random(seed)
    moments, in_place, not_whole, left_over = [], [], 0, 0
    for _ in range(kills):
        running = subprocess.Popen([*command, str(source), str(target)])
        # Mostly while photographs are under way; a part of the kills falls into the start.
        moments.append(rng.uniform(0.7 * start, 1.2 * start + 1.4 * (whole - start) / kills))
        time.sleep(moments[-1])
        running.send_signal(signal.SIGKILL)
        running.wait()
        there = bytes_by_name(target) if target.exists() else {}
        staged = [name for name in there if name.startswith(".enhance-")]
        left_over += len(staged)
        finished = {name: data for name, data in there.items() if name not in staged}
        not_whole += sum(data != wanted.get(name) for name, data in finished.items())
        in_place.append(len(finished))
    subprocess.run([*command, str(source), str(target)], check=True)
    there = bytes_by_name(target)
    lines = [json.loads(line) for line in (target / "enhance-report.jsonl").read_bytes().splitlines()]
    last = {Path(line["output"]).name: line["status"] for line in lines}
    return {
        "photographs": photographs,
        "kills": kills,
        "moments_s": [round(moment, 2) for moment in moments],
        "in_place_after_each": in_place,
        "staged_left_by_kills": left_over,
        "done_again": len(lines) - photographs,
        "whole": not_whole == 0 and all(there.get(name) == data for name, data in wanted.items()),
        "complete": set(there) >= set(wanted) and last == dict.fromkeys(wanted, "done"),
        "again": len(lines) - photographs <= kills * jobs,
        "clean": set(there) == set(wanted),
    }


def main() -> None:
    """Kill, look, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=int, default=300)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--method", default="clahe-adaptive")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seen = killed_runs(Path(folder), **vars(options))
    print(json.dumps(seen))
    sys.exit(0 if all(seen[name] for name in ("whole", "complete", "again", "clean")) else 1)


if __name__ == "__main__":
    main()
