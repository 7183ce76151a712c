"""Peak memory of whole runs: many large photographs, one of 200 megapixels, few and many small ones.

    python benchmarks/memory.py [--folder DIR] [--only large huge small]

A JSON line per case, with the peak of the process (its maximum resident set) and the bound that it must stay under:

    large   200 JPEGs of 24 megapixels at the default budget: the budget and 300 MB for code, tables and buffers
    huge    one JPEG of 200 megapixels, each method: its decoded size times 2.5 and 300 MB
    small   2,000 JPEGs of a third of a megapixel: the peak of 200 of them and 20 MB

The exit code is 1 if a bound is not kept.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

MEGA = 10**6


def photograph(path: Path, height: int, width: int) -> None:
    """Soft colours with noise, written in bands so that making it takes little memory itself."""
    import cv2
    import numpy as np
    import simplejpeg

    rng = np.random.default_rng(0)
    soft = rng.integers(0, 140, (25, 50, 3), dtype=np.uint8)
    picture = cv2.resize(soft, (width, height), interpolation=cv2.INTER_CUBIC)
    for top in range(0, height, 500):
        band = picture[top : top + 500]
        band += rng.integers(0, 12, (*band.shape[:2], 1), dtype=np.uint8)
    path.write_bytes(simplejpeg.encode_jpeg(picture, quality=90, colorsubsampling="420"))


def linked(photo: Path, folder: Path, count: int) -> Path:
    """A folder with so many names for one file."""
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:04d}.jpg").hardlink_to(photo)
    return folder


def peak_of(*arguments: object) -> float:
    """Megabytes that a run held at most."""
    command = [sys.executable, "-m", "enhance_cli", *map(str, arguments), "--device", "cpu", "--quiet"]
    process = os.spawnv(os.P_NOWAIT, sys.executable, command)
    _, status, usage = os.wait4(process, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(command)} ended with {status}")
    return usage.ru_maxrss * 1024 / MEGA


def told(case: str, peak: float, bound: float, **details: object) -> bool:
    """Print a line; whether the bound was kept."""
    kept = peak <= bound
    print(json.dumps({"case": case, **details, "peak_mb": round(peak), "bound_mb": round(bound), "kept": kept}))
    sys.stdout.flush()
    return kept


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where pictures are made, such as a folder in memory")
    parser.add_argument("--only", nargs="+", choices=("large", "huge", "small"), default=["large", "huge", "small"])
    options = parser.parse_args()
    from enhance_cli.pipeline.memory import default_budget

    kept = []
    with tempfile.TemporaryDirectory(dir=options.folder) as text:
        folder = Path(text)
        if "small" in options.only:
            photograph(folder / "small.jpg", 480, 640)
            few, many = (linked(folder / "small.jpg", folder / str(count), count) for count in (200, 2000))
            first = peak_of("clahe-adaptive", few, folder / "few")
            peak = peak_of("clahe-adaptive", many, folder / "many")
            kept.append(told("small", peak, first + 20, of_200=round(first)))
        if "huge" in options.only:
            photograph(folder / "huge.jpg", 10_000, 20_000)
            for arguments in (["clahe-adaptive"], ["clahe-adaptive", "--chroma", "scale"], ["clode", "--time", "2"]):
                peak = peak_of(*arguments, "--overwrite", "--report", "none", folder / "huge.jpg", folder / "huge-out")
                kept.append(told("huge", peak, 2.5 * 600 + 300, command=" ".join(arguments)))
            (folder / "huge.jpg").unlink()
        if "large" in options.only:
            photograph(folder / "large.jpg", 4000, 6000)
            inputs = linked(folder / "large.jpg", folder / "in", 200)
            bound = default_budget() / MEGA + 300
            kept.append(told("large", peak_of("clahe-adaptive", inputs, folder / "out"), bound))
            bound = 300 + 300
            narrow = peak_of("clahe-adaptive", "--memory", "300M", "--jobs", 8, "--overwrite", inputs, folder / "out")
            kept.append(told("large", narrow, bound, command="--memory 300M --jobs 8"))
    sys.exit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()
