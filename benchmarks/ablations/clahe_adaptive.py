"""The kernels of clahe-adaptive beside OpenCV, and what its training's choices are worth.

    python -m benchmarks.ablations.clahe_adaptive DATA --parts kernels [--rounds 15]
    python -m benchmarks.ablations.clahe_adaptive DATA --parts variants --runs OUT [--iterations 6000] [--only NAME ...]

Printed is a JSON line for each row of:

    kernels    12 megapixels. `clahe` is a whole plane of luma (histograms, curves of limit 2 over 8x8 tiles, rendering)
               against `cv2.createCLAHE(2, (8, 8)).apply` into a buffer kept, with equal threads; the other cases are
               its parts and the colour kernels, beside the nearest thing OpenCV has (null where it has none)
    variants   `training.ABLATIONS`, each trained anew on DATA/train; OUT receives a card with figures for each
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from benchmarks.lib import timing
from benchmarks.lib.bench import Bench, Row, run
from enhance_cli.imaging import luma as pixels
from enhance_cli.methods.clahe_adaptive import kernels_cpu as kernels
from enhance_cli.methods.clahe_adaptive.tiles import tile_geometry
from enhance_cli.methods.clahe_adaptive.training import train as training
from enhance_cli.training.options import TrainOptions

import cv2  # isort: skip  # after the package, which chooses where compiled kernels are cached

SIZE = (4000, 3000)
"""Width and height."""

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
            lambda: pixels.luma_histogram(luma),
            lambda: cv2.calcHist([luma], [0], None, [256], [0, 256]),
        ),
        Case("rgb_luma_histogram", 1, lambda: pixels.rgb_luma_histogram(rgb), None),
        Case(
            "thumbnail",
            1,
            lambda: kernels.thumbnail(luma, 256),
            lambda: cv2.resize(luma, (256, 256), interpolation=cv2.INTER_AREA),
        ),
        Case("split_ycbcr_420", 1, lambda: pixels.split_ycbcr(rgb, 2, 2), lambda: cv2.split(rgb)),
    ]


def of_kernels(bench: Bench) -> Iterator[Row]:
    """Milliseconds, ours and OpenCV's in turn, so a busy machine slows both."""
    width, height = SIZE
    with ThreadPoolExecutor(2) as pool:
        for case in cases(width, height, pool):
            cv2.setNumThreads(case.threads)
            ways = {"ours": case.ours} | ({} if case.opencv is None else {"opencv": case.opencv})
            seconds = timing.in_turn(ways, bench.asked.rounds)
            medians = {f"{way}_ms": 1e3 * statistics.median(values) for way, values in seconds.items()}
            ratio = medians["opencv_ms"] / medians["ours_ms"] if case.opencv else None
            name = case.name if case.threads == 1 else f"{case.name}, two threads"
            about = {"case": name, "size": f"{width}x{height}", "threads": case.threads}
            yield {**about, **medians, "ratio": ratio}


def variants(bench: Bench) -> Iterator[Row]:
    """Train each variant; its figures are in its card."""
    names = bench.asked.only or list(training.ABLATIONS)
    for name in names:
        out = bench.asked.runs / name.replace(" ", "-")
        options = TrainOptions(bench.data / "train", out, iterations=bench.asked.iterations or 6000, resume=True)
        training.train(options, lambda sentence: None, training.ABLATIONS[name])
        yield {"case": name, "out": str(out)}


PARTS = {"kernels": of_kernels, "variants": variants}


if __name__ == "__main__":
    run("clahe-adaptive", __doc__, PARTS)
