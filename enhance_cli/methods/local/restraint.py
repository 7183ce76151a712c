"""Less light where it would show noise: in flat, dark parts of area A, such as black clothes.

A network sees 96×96 means, in which there is no noise left. So the noise of the photo is measured in blocks at full
resolution, and how much the light would raise it by lighting the blocks' means and tones beside them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from enhance_cli.imaging import luma
from enhance_cli.methods.local.covers import FULL

if TYPE_CHECKING:
    from enhance_cli.methods.local.review import Rendered
    from enhance_cli.types import Array

BLOCK = 16
"""Sides of a block in pixels."""

COUNT = 32
"""Most blocks along the longer side of the lit part."""

DARK = 32 / 255
"""Most mean luma of a dark block."""

FLAT = 1.5 / 255
"""Most deviation of the means of a flat block's 4×4 parts, noise aside."""

QUIET = 0.5 / 255
"""Noise below this is rounding."""

TIMES, VISIBLE = 2.5, 6 / 255
"""By how much noise may be raised, or to which deviation where that is more."""

MIDDLE = 0.4
"""And by as much as would bring the photo's mean luma to this: where all is dark, dark parts are not empty."""

SPREAD = 0.1
"""How far a block's noise counts: the deviation of a Gaussian, as a share of the photo's longer side."""


class Noise(NamedTuple):
    """Of some blocks of area A: what light would do to their noise."""

    places: Array
    """N×2 float: their centres, row and column in the photo."""

    raised: Array
    """N float: by how much the light would raise noise; 1 in blocks that are not flat and dark."""

    allowed: Array
    """N float: by how much it may."""


def noise(pixels: Array, fall_off: Array, region: tuple[int, int], level: float, rendered: Rendered) -> Noise | None:
    """Measure the noise of area A, and how much it is raised.

    Args:
        pixels: H×W×3 uint8 or uint16.
        fall_off: h×w uint16, t of the part of the photo that is lit.
        region: its first row and column.
        level: mean luma of the photo in 0..1.
        rendered: renders some pixels.

    Returns:
        None where no block of area A is flat, dark and noisy.
    """
    rows, columns = fall_off.shape
    step = max(BLOCK, -(-max(rows, columns) // COUNT))
    tops, lefts = (np.arange(0, side - BLOCK + 1, step) for side in (rows, columns))
    if not (tops.size and lefts.size):
        return None
    inside = np.empty((tops.size, lefts.size), np.bool_)
    empty, deviation = np.empty_like(inside), np.empty(inside.shape)
    means = np.empty((*inside.shape, 3))
    across = (lefts[:, None] + np.arange(BLOCK)).ravel()
    for i, top in enumerate(tops):
        inside[i] = fall_off[top : top + BLOCK, across].reshape(BLOCK, -1, BLOCK).min(axis=(0, 2)) == FULL
        strip = pixels[region[0] + top : region[0] + top + BLOCK, region[1] + across]
        means[i] = strip.reshape(BLOCK, -1, BLOCK, 3).mean(axis=(0, 2))
        grey = luma.luma(strip).astype(np.float64).reshape(4, 4, -1, 4, 4) / np.iinfo(pixels.dtype).max
        parts = grey.mean(axis=(1, 4))
        deviation[i] = grey.std(axis=(0, 1, 3, 4))
        flat = parts.std(axis=(0, 2)) <= FLAT + deviation[i] / 4.0
        empty[i] = flat & (deviation[i] >= QUIET) & (parts.mean(axis=(0, 2)) <= DARK)
    empty &= inside
    if not empty.any():
        return None
    means /= np.iinfo(pixels.dtype).max
    lit = np.full(inside.shape, FULL, np.uint16)
    samples = region[0] + BLOCK // 2, region[1] + BLOCK // 2, step
    old, new = [], []
    for shift in (-deviation, deviation):
        shifted = np.rint(np.clip(means + shift[..., None], 0.0, 1.0) * 65535.0).astype(np.uint16)
        old.append(luma.luma(shifted).astype(np.float64))
        new.append(luma.luma(rendered(shifted, lit, samples)).astype(np.float64))
    raised = np.where(empty, (new[1] - new[0]) / np.maximum(old[1] - old[0], 1.0), 1.0)
    places = np.stack(np.meshgrid(region[0] + tops, region[1] + lefts, indexing="ij"), -1) + BLOCK / 2.0
    allowed = np.maximum(max(TIMES, MIDDLE / max(level, 1 / 255)), VISIBLE / np.maximum(deviation, QUIET))
    return Noise(places[inside], raised[inside], allowed[inside])


def restrained(field: Array, found: Noise, height: int, width: int) -> Array:
    """What a network decided, with less light in cells that noise is near.

    A grid's illumination is S = I + (1 - I) sigmoid(a); of tones near black a larger by -log k leaves k of the gain
    above 1. The rates r of curves raise them by the product of all 1 + |r|, which k times the rates raises to about its
    k-th power.

    Args:
        field: float32, rows×columns×bins×12 of a grid or rows×columns×24 of curves.
        found: the noise in a photo.
        height: of the photo.
        width: of the photo.
    """
    grid = field.ndim == 4
    raised, allowed = np.maximum(found.raised, 1.0), found.allowed
    over = raised > allowed
    if not over.any():
        return field
    share = np.ones(len(raised))
    if grid:
        share[over] = (allowed[over] - 1.0) / (raised[over] - 1.0)
    else:
        share[over] = np.log(allowed[over]) / np.log(raised[over])
    rows, columns = field.shape[:2]
    down = (np.arange(rows) + 0.5) * (height / rows)
    across = (np.arange(columns) + 0.5) * (width / columns)
    reach = SPREAD * max(height, width)
    near_rows = np.exp(-0.5 * ((down[:, None] - found.places[:, 0]) / reach) ** 2)
    near_columns = np.exp(-0.5 * ((across[:, None] - found.places[:, 1]) / reach) ** 2)
    logarithm = (near_rows * np.log(share)) @ near_columns.T / (near_rows @ near_columns.T + 1e-6)
    if grid:
        changed = field.copy()
        changed[..., 3::4] -= logarithm[:, :, None, None].astype(np.float32)
        return changed
    less: Array = field * np.exp(logarithm)[..., None].astype(np.float32)
    return less
