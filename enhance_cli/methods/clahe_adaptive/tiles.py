"""Tile arithmetic of both kernel modules: sizes, padding and grids; and bounds of curves. Standard library only."""

from __future__ import annotations

import math

HIGHLIGHT = (0.86, 0.985)
"""Luma at which highlights begin to be kept, and at which they are kept whole: 251 of 255."""

BRIGHT, STEEPEST = 224, 5.0
"""Level from which the slope of curves is bounded, and its bound: neighbouring levels of a sky stay neighbours."""


def tile_geometry(height: int, width: int, rows: int, columns: int) -> tuple[int, int]:
    """Height and width of a tile in pixels, after OpenCV's padding (docs/papers.md, C2).

    If both sides are multiples of the grid, nothing is padded. Otherwise *both* sides are padded by `n - side % n`,
    which adds a whole `n` to a side that is a multiple: a quirk of `cv2.createCLAHE`, kept for parity.

    Raises:
        ValueError: a side or a count is below one.
    """
    if min(height, width, rows, columns) < 1:
        raise ValueError(f"cannot lay {rows}x{columns} tiles over {height}x{width} pixels")
    if height % rows == 0 and width % columns == 0:
        return height // rows, width // columns
    return (height + rows - height % rows) // rows, (width + columns - width % columns) // columns


def fit_grid(height: int, width: int, rows: int, columns: int, minimum: int = 8) -> tuple[int, int]:
    """The grid reduced until every tile is at least `minimum` pixels on a side; never below 1x1.

    A tile of fewer than 64 pixels has too few counts for a histogram of 256 bins to mean anything.
    """
    return max(1, min(rows, height // minimum)), max(1, min(columns, width // minimum))


def bin_edges(length: int, bins: int) -> list[tuple[int, int]]:
    """Half-open ranges `[floor(i * length / bins), ceil((i + 1) * length / bins))`, one for each bin.

    The bins of adaptive average pooling: they overlap by a pixel if `length` is not a multiple of `bins`, and work
    for `length < bins` too (pixels are then repeated).
    """
    return [(i * length // bins, math.ceil((i + 1) * length / bins)) for i in range(bins)]
