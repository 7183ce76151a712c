"""A bilateral grid: a coarse field that follows the edges of an image, upsampled to any resolution by a guide.

Values seen on a small image are averaged by place *and* by tone ("splat"); a full-resolution pixel reads the
field at its own place and tone ("slice"). So the field is smooth where the image is and steps where it does,
and pixels of one tone get one value on both sides of an edge, which prevents halos.

Reference: Chen, Paris, Durand, "Real-time edge-aware image processing with the bilateral grid", 2007.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhance_cli.engines.compiled import kernel

Array = NDArray[Any]


def fit(guide: Array, values: Array, rows: int, columns: int, bins: int, sigma: float = 1.0, rounds: int = 1) -> Array:
    """The grid whose slice by `guide` comes near to `values`.

    Splat, blur and normalise; then, `rounds` times, do the same to what the slice still lacks and add it: the
    blur that makes the grid robust would otherwise flatten the field along tone.

    Args:
        guide: h×w tones in 0..1.
        values: h×w×k.
        rows: cells from top to bottom; nodes lie on their corners.
        columns: cells from left to right.
        bins: cells of tone.
        sigma: of the Gaussian blur, in cells; a second round uses half of it.
        rounds: corrections.

    Returns:
        float32, (rows + 1)×(columns + 1)×(bins + 1)×k, filled everywhere: nodes that no pixel is near to take
        what the image has at their tone elsewhere.
    """
    guide = np.ascontiguousarray(guide, np.float32)
    missing = np.ascontiguousarray(values, np.float32)
    grid: Array = np.zeros((rows + 1, columns + 1, bins + 1, values.shape[2]), np.float32)
    for turn in range(rounds + 1):
        sums = np.zeros((*grid.shape[:3], values.shape[2] + 1), np.float32)
        _splat(guide, missing, sums)
        width = sigma if turn == 0 else sigma / 2
        grid += _filled(_blurred(sums, width, axes=(0, 1, 2)), sums if turn == 0 else None)
        if turn < rounds:
            missing = values - slice_grid(grid, guide)
    return grid


def slice_grid(grid: Array, guide: Array) -> Array:
    """The grid's field over an image of any size: float32 h×w×k, trilinear in place and tone."""
    out = np.empty((*guide.shape, grid.shape[3]), np.float32)
    _slice(np.ascontiguousarray(grid, np.float32), np.ascontiguousarray(guide, np.float32), out)
    return out


def cells(height: int, width: int, side: float) -> tuple[int, int]:
    """Rows and columns of cells about `side` pixels large."""
    return max(1, round(height / side)), max(1, round(width / side))


def _blurred(sums: Array, sigma: float, axes: tuple[int, ...]) -> Array:
    """A Gaussian along some axes; what it reaches beyond the border is lost, in sums and weights alike."""
    radius = math.ceil(2 * sigma)
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2).astype(np.float32)
    taps /= taps.sum()
    for axis in axes:
        padding = [(radius, radius) if item == axis else (0, 0) for item in range(sums.ndim)]
        padded = np.pad(sums, padding)
        length = sums.shape[axis]
        sums = sum(tap * np.take(padded, np.arange(start, start + length), axis) for start, tap in enumerate(taps))
    return sums


def _filled(sums: Array, empty_like: Array | None) -> Array:
    """Means from sums and weights; thin nodes lean on their tone in the whole image, then on all tones.

    A correction (no `empty_like`) leans on nothing: where no pixel asks for it there is none.
    """
    weights = sums[..., -1:]
    # A node's share in a full cell; a hundredth of that is too thin to be believed alone.
    thin = 0.01 * float(weights.mean()) + 1e-12
    if empty_like is None:
        corrections: Array = sums[..., :-1] / (weights + thin)
        return corrections
    by_tone = _blurred(empty_like.sum(axis=(0, 1)), 1.0, axes=(0,))
    further = _blurred(by_tone, 4.0, axes=(0,))
    overall = by_tone.sum(axis=0)
    total = float(overall[-1])
    tone = further + 1e-3 * overall
    tone = tone[..., :-1] / tone[..., -1:]
    share = 1e-3 * total
    tone = (by_tone[..., :-1] + share * tone) / (by_tone[..., -1:] + share)
    filled: Array = (sums[..., :-1] + thin * tone) / (weights + thin)
    return filled


@kernel
def _cell(at, cells):  # type: ignore[no-untyped-def]
    """The cell that a place in 0..`cells` lies in, and how far into it."""
    first = min(int(at), cells - 1)
    return first, np.float32(at - first)


@kernel
def _splat(guide, values, sums):  # type: ignore[no-untyped-def]
    height, width, count = values.shape
    rows, columns, bins = sums.shape[0] - 1, sums.shape[1] - 1, sums.shape[2] - 1
    for y in range(height):
        row, down = _cell((y + 0.5) * rows / height, rows)
        for x in range(width):
            column, right = _cell((x + 0.5) * columns / width, columns)
            shade = min(max(guide[y, x], np.float32(0.0)), np.float32(1.0))
            tone, up = _cell(shade * np.float32(bins), bins)
            for i in range(2):
                by_row = down if i else np.float32(1.0) - down
                for j in range(2):
                    by_place = by_row * (right if j else np.float32(1.0) - right)
                    for k in range(2):
                        weight = by_place * (up if k else np.float32(1.0) - up)
                        node = sums[row + i, column + j, tone + k]
                        for c in range(count):
                            node[c] += weight * values[y, x, c]
                        node[count] += weight


@kernel
def _slice(grid, guide, out):  # type: ignore[no-untyped-def]
    height, width, count = out.shape
    rows, columns, bins = grid.shape[0] - 1, grid.shape[1] - 1, grid.shape[2] - 1
    for y in range(height):
        row, down = _cell((y + 0.5) * rows / height, rows)
        for x in range(width):
            column, right = _cell((x + 0.5) * columns / width, columns)
            shade = min(max(guide[y, x], np.float32(0.0)), np.float32(1.0))
            tone, up = _cell(shade * np.float32(bins), bins)
            for c in range(count):
                total = np.float32(0.0)
                for i in range(2):
                    by_row = down if i else np.float32(1.0) - down
                    for j in range(2):
                        by_place = by_row * (right if j else np.float32(1.0) - right)
                        near = grid[row + i, column + j]
                        total += by_place * (near[tone, c] * (np.float32(1.0) - up) + near[tone + 1, c] * up)
                out[y, x, c] = total
