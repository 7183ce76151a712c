"""Kernels of clahe-adaptive compared with their OpenCV counterparts."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np

from benchmarks.lib import scenes, timing
from benchmarks.lib.program import Asked, Row
from enhance_cli.imaging import luma as pixels
from enhance_cli.methods.clahe_adaptive import kernels_cpu as kernels
from enhance_cli.methods.clahe_adaptive.tiles import tile_geometry

GRID = (8, 8)
LIMIT = 2.0


def clahe(asked: Asked) -> Iterator[Row]:
    """Milliseconds, ours and OpenCV's in turn; `clahe` is a plane of luma into a buffer kept, with equal threads."""
    rgb = scenes.soft(3000, 4000)
    luma = kernels.luma(rgb)
    ours, theirs = np.empty_like(luma), np.empty_like(luma)
    opencv = cv2.createCLAHE(LIMIT, GRID[::-1])
    with ThreadPoolExecutor(2) as pool:
        cases: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
            "clahe": (lambda: in_bands(luma, ours, 1, pool), lambda: opencv.apply(luma, theirs)),
            "clahe, two threads": (lambda: in_bands(luma, ours, 2, pool), lambda: opencv.apply(luma, theirs)),
            "thumbnail": (
                lambda: kernels.thumbnail(luma, 256),
                lambda: cv2.resize(luma, (256, 256), interpolation=cv2.INTER_AREA),
            ),
            "split_ycbcr_420": (lambda: pixels.split_ycbcr(rgb, 2, 2), lambda: cv2.split(rgb)),
            "luma_histogram": (
                lambda: pixels.luma_histogram(luma),
                lambda: cv2.calcHist([luma], [0], None, [256], [0, 256]),
            ),
            "luma": (lambda: kernels.luma(rgb), lambda: cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)),
        }
        for name, ways in cases.items():
            cv2.setNumThreads(2 if name.endswith("two threads") else 1)
            seconds = timing.in_turn(dict(enumerate(ways)), asked.rounds)
            one, two = (1e3 * statistics.median(seconds[way]) for way in (0, 1))
            yield {"case": name, "size": "4000x3000", "ours_ms": one, "opencv_ms": two, "ratio": two / one}


def in_bands(luma: np.ndarray, out: np.ndarray, threads: int, pool: ThreadPoolExecutor) -> None:
    """One plane as the method processes it: threads share its rows of tiles, then its rows of pixels."""
    (height, width), (rows, columns) = luma.shape, GRID
    tile_height, tile_width = tile_geometry(height, width, rows, columns)
    tile_rows, bands = ([length * i // threads for i in range(threads + 1)] for length in (rows, height))

    def count(i: int) -> np.ndarray:
        return kernels.tile_histograms(luma, rows, columns, tile_rows[i], tile_rows[i + 1])

    histograms = np.concatenate(list(pool.map(count, range(threads))))
    curves = kernels.tile_curves(histograms, np.full(GRID, LIMIT), tile_height * tile_width)

    def render(i: int) -> None:
        part = slice(bands[i], bands[i + 1])
        kernels.render_luma(luma[part], curves, height, width, bands[i], 0, out[part])

    list(pool.map(render, range(threads)))
