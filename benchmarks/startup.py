"""How long a start takes, in whole processes: help, and one small JPEG with the kernels already compiled.

    python benchmarks/startup.py [--rounds 15] [--photograph PHOTO.jpg]

Every round runs each case once, in turn, so that a busy moment of the machine touches all alike. A JSON line per case:
median, fastest, and the ratio of medians to that of the bare interpreter.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import simplejpeg

SIZE = (480, 640)

# What somebody would write by hand: CLAHE on luma with OpenCV, one file.
OPENCV = """
import sys, cv2
planes = cv2.cvtColor(cv2.imread(sys.argv[1]), cv2.COLOR_BGR2YCrCb)
planes[..., 0] = cv2.createCLAHE(2.0, (8, 8)).apply(planes[..., 0])
cv2.imwrite(sys.argv[2], cv2.cvtColor(planes, cv2.COLOR_YCrCb2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
"""


def small_jpeg(photograph: Path | None) -> bytes:
    """640x480, quality 90, 4:2:0: a given photograph shrunk, or a gradient with noise."""
    height, width = SIZE
    if photograph is not None:
        import cv2

        picture = cv2.resize(cv2.imread(str(photograph)), (width, height), interpolation=cv2.INTER_AREA)[..., ::-1]
    else:
        y, x = np.mgrid[:height, :width]
        smooth = np.stack((x * 0.25, y * 0.3, (x + y) * 0.15), axis=2)
        picture = (smooth + np.random.default_rng(0).normal(20, 6, (height, width, 3))).clip(0, 255).astype(np.uint8)
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality=90, colorsubsampling="420"))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--photograph", type=Path, help="instead of a synthetic picture")
    parser.add_argument("--method", default="clahe-adaptive")
    options = parser.parse_args()

    enhance = [sys.executable, "-m", "enhance_cli"]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.jpg", Path(folder) / "out.jpg"
        source.write_bytes(small_jpeg(options.photograph))
        one = [*enhance, options.method, "--device", "cpu", "--overwrite", "--quiet", str(source), str(target)]
        cases = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "enhance --help": [*enhance, "--help"],
            "enhance --version": [*enhance, "--version"],
            f"enhance {options.method} --help": [*enhance, options.method, "--help"],
            f"enhance {options.method}, one 640x480 JPEG": one,
            "opencv script, one 640x480 JPEG": [sys.executable, "-c", OPENCV, str(source), str(target)],
        }
        environment = {**os.environ, "COLUMNS": "80"}
        seconds: dict[str, list[float]] = {name: [] for name in cases}
        for round_number in range(options.rounds + 1):
            for name, command in cases.items():
                started = time.perf_counter()
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
                if round_number > 0:  # the first round compiles kernels and warms the disk
                    seconds[name].append(time.perf_counter() - started)
    bare = statistics.median(seconds["python -c pass"])
    for name, values in seconds.items():
        median = statistics.median(values)
        line = {"benchmark": "startup", "case": name, "rounds": options.rounds}
        line |= {"median_s": round(median, 4), "fastest_s": round(min(values), 4), "ratio": round(median / bare, 2)}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
