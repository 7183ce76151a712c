"""The pixel kernels of clahe-adaptive beside OpenCV, one JSON line per case.

    python benchmarks/kernels.py [--size 4000x3000] [--repeats 15]

`clahe` is a whole plane of luma (histograms, curves of limit 2 over 8x8 tiles, rendering) against
`cv2.createCLAHE(2, (8, 8)).apply` into a buffer kept, with equal threads; the other cases are its parts and the
colour kernels, beside the nearest thing OpenCV has (null where it has none). Ours and OpenCV's runs take turns,
and times are medians, so a busy machine slows both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from enhance_cli.imaging import luma as luma_room
from enhance_cli.methods.clahe_adaptive import kernels_cpu as kernels
from enhance_cli.methods.clahe_adaptive.tiles import tile_geometry

import cv2  # isort: skip  # after the package, which chooses where compiled kernels are cached

GRID = (8, 8)
LIMIT = 2.0


class Case(NamedTuple):
    """Two ways to the same thing."""

    name: str
    threads: int
    ours: Callable[[], Any]
    opencv: Callable[[], Any] | None


def photograph(width: int, height: int) -> np.ndarray:
    """Soft shapes under sensor noise: runs of like tones, as in a photograph, but no run of one tone."""
    rng = np.random.default_rng(0)
    shapes = rng.integers(0, 256, (height // 100 + 1, width // 100 + 1, 3), dtype=np.uint8)
    tones = cv2.resize(shapes, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    tones += rng.standard_normal((height, width, 1), np.float32) * 4
    return np.clip(tones, 0, 255).astype(np.uint8)


def clahe_in_bands(luma: np.ndarray, out: np.ndarray, threads: int, pool: ThreadPoolExecutor) -> None:
    """The method's own way through one plane: threads share its rows of tiles, then its rows of pixels."""
    height, width = luma.shape
    rows, columns = GRID
    tile_height, tile_width = tile_geometry(height, width, rows, columns)
    tile_rows = [rows * i // threads for i in range(threads + 1)]
    bands = [height * i // threads for i in range(threads + 1)]

    def count(i: int) -> np.ndarray:
        return kernels.tile_histograms(luma, rows, columns, tile_rows[i], tile_rows[i + 1])

    histograms = np.concatenate(list(pool.map(count, range(threads))))
    curves = kernels.tile_curves(histograms, np.full(GRID, LIMIT), tile_height * tile_width)

    def render(i: int) -> None:
        part = slice(bands[i], bands[i + 1])
        kernels.render_luma(luma[part], curves, height, width, bands[i], 0, out[part])

    list(pool.map(render, range(threads)))


def cases(width: int, height: int, pool: ThreadPoolExecutor) -> list[Case]:
    rgb = photograph(width, height)
    luma = kernels.luma(rgb)
    deep = luma.astype(np.uint16) * 257
    out, out_rgb, out_deep, out_cv = (np.empty_like(picture) for picture in (luma, rgb, deep, luma))
    curves = kernels.tile_curves(
        kernels.tile_histograms(luma, *GRID), np.full(GRID, LIMIT), luma.size // (GRID[0] * GRID[1])
    )
    clahe = cv2.createCLAHE(LIMIT, GRID[::-1])
    size = (height, width)
    return [
        Case("clahe", 1, lambda: clahe_in_bands(luma, out, 1, pool), lambda: clahe.apply(luma, out_cv)),
        Case("clahe", 2, lambda: clahe_in_bands(luma, out, 2, pool), lambda: clahe.apply(luma, out_cv)),
        Case("tile_histograms", 1, lambda: kernels.tile_histograms(luma, *GRID), None),
        Case("tile_histograms_16", 1, lambda: kernels.tile_histograms(deep, *GRID), None),
        Case("render_luma", 1, lambda: kernels.render_luma(luma, curves, *size, out=out), None),
        Case("render_luma_16", 1, lambda: kernels.render_luma(deep, curves, *size, out=out_deep), None),
        Case("render_rgb", 1, lambda: kernels.render_rgb(rgb, curves, *size, out=out_rgb), None),
        Case("render_rgb_scaled", 1, lambda: kernels.render_rgb_scaled(rgb, curves, *size, out=out_rgb), None),
        Case("luma", 1, lambda: kernels.luma(rgb), lambda: cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)),
        Case(
            "luma_histogram",
            1,
            lambda: luma_room.luma_histogram(luma),
            lambda: cv2.calcHist([luma], [0], None, [256], [0, 256]),
        ),
        Case("rgb_luma_histogram", 1, lambda: luma_room.rgb_luma_histogram(rgb), None),
        Case(
            "thumbnail",
            1,
            lambda: kernels.thumbnail(luma, 256),
            lambda: cv2.resize(luma, (256, 256), interpolation=cv2.INTER_AREA),
        ),
        Case("split_ycbcr_420", 1, lambda: luma_room.split_ycbcr(rgb, 2, 2), lambda: cv2.split(rgb)),
    ]


def milliseconds(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begin)


def measure(case: Case, repeats: int) -> tuple[float, float | None]:
    """Median milliseconds of ours and of OpenCV's, in turns."""
    cv2.setNumThreads(case.threads)
    ways = [case.ours] if case.opencv is None else [case.ours, case.opencv]
    for way in ways:
        way()
    times = [[milliseconds(way) for way in ways] for _ in range(repeats)]
    medians = [statistics.median(column) for column in zip(*times, strict=True)]
    return medians[0], medians[1] if len(medians) > 1 else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="4000x3000", help="WIDTHxHEIGHT of the picture (4000x3000)")
    parser.add_argument("--repeats", type=int, default=15, help="runs of each way (15)")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    with ThreadPoolExecutor(2) as pool:
        for case in cases(width, height, pool):
            ours, opencv = measure(case, options.repeats)
            line = {
                "name": case.name,
                "size": [width, height],
                "threads": case.threads,
                "ours_ms": round(ours, 3),
                "opencv_ms": None if opencv is None else round(opencv, 3),
                "ratio": None if opencv is None else round(opencv / ours, 3),
            }
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
