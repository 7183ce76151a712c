"""What a 12-megapixel JPEG costs `local`, decode and encode included: masks, backbones, the lock.

    python benchmarks/local_seconds.py DATA [--threads 2] [--rounds 5]

DATA is a folder with `large/iphone_dusk_12mp.jpg`; without it a picture of shapes and noise is made. Every mask is run
once to compile and load, then some rounds. Printed is a JSON line per setting: seconds of each stage in the quickest
round (`all` is from file bytes to file bytes), the median of all rounds, and the processor's time, which a busy machine
does not stretch as it does the clock.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

import enhance_cli
from enhance_cli.imaging import codecs
from enhance_cli.types import Image

SETTINGS: dict[str, dict[str, Any]] = {
    "circle of a quarter": {"mask": "circle:50%,40%,25%"},
    "the same, star": {"mask": "circle:50%,40%,25%", "backbone": "star"},
    "the same, not locked": {"mask": "circle:50%,40%,25%", "lock": False},
    "most of the picture": {"mask": "rect:10%,10%,80%,80%", "transition": "6%"},
    "the whole picture": {"mask": "rect:0,0,100%,100%"},
    "the whole picture, star": {"mask": "rect:0,0,100%,100%", "backbone": "star"},
    "dark regions": {"mask": "luma<0.2"},
}


def photograph(data: Path) -> bytes:
    """A JPEG of 12 megapixels."""
    path = data / "large" / "iphone_dusk_12mp.jpg"
    if path.exists():
        return path.read_bytes()
    y, x = np.mgrid[:3024, :4032]
    shapes = 60 + 40 * np.sin(x / 90.0) + 30 * np.cos(y / 70.0) + 50 * (x > 2400)
    noisy = shapes[..., None] + np.random.default_rng(0).normal(0, 3, (3024, 4032, 3))
    return codecs.encode(Image(np.clip(noisy, 0, 255).astype(np.uint8)), "jpeg", quality=92)[0]


def once(method: Any, data: bytes, controls: dict[str, Any]) -> dict[str, float]:
    """Seconds of one run from bytes to bytes."""
    began, used = time.perf_counter(), time.process_time()
    image = codecs.decode(data, source="large.jpg")
    decoded = time.perf_counter()
    result = method.enhance(image, **controls)
    enhanced = time.perf_counter()
    codecs.encode(result.image, "jpeg")
    ended = time.perf_counter()
    ms = result.report["ms"]
    return {
        "all": ended - began,
        "decode": decoded - began,
        "estimate": ms["estimate"] / 1e3,
        "render": ms["render"] / 1e3,
        "encode": ended - enhanced,
        "processor": time.process_time() - used,
    }


def main() -> None:
    """Measure every setting."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with large/")
    parser.add_argument("--threads", type=int, default=2, help="of one photograph")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    data = photograph(asked.data)
    with enhance_cli.open("local", device="cpu", threads=asked.threads) as method:
        for label, controls in SETTINGS.items():
            once(method, data, controls)
            rounds = [once(method, data, controls) for _ in range(asked.rounds)]
            best = min(rounds, key=lambda row: row["all"])
            median = statistics.median(row["all"] for row in rounds)
            row = {"setting": label, "median": median, **best, "processor": min(row["processor"] for row in rounds)}
            shown = {name: value if isinstance(value, str) else round(value, 3) for name, value in row.items()}
            print(json.dumps(shown), flush=True)


if __name__ == "__main__":
    main()
