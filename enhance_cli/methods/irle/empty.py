"""What is empty in a night scene stays nearly as dark as it is, by place and tone (`imaging.night`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from enhance_cli.imaging import bilateral_grid, night, opacity
from enhance_cli.imaging.area import extremes
from enhance_cli.imaging.finish import luma, smoothstep

if TYPE_CHECKING:
    from enhance_cli.types import Array

HELD = 1.5
"""Largest gain of what is empty: its noise may grow by half."""

SIDE = 64
"""Rows and columns of the copy in which empty places are looked for."""

CELLS, BINS = 12, 24
"""Cells of the grid across and down, and of tone: finer ones would let its edge be seen, coarser ones leave rims."""


NOISE = (0.12, 0.3)
"""Light up to which pixels may be the noise of what is empty, and from which they are not: without it, nodes at tones
that the small copy does not have would lean on those below."""


LIT, TRUST = (0.5, 0.65), 0.6
"""98th percentile of luma from which the colour of lamps alone tells a night, and from which it counts by `TRUST`: a
curve lifts dark frames of lamp-lit streets further than the other methods do, so those wrongly held fall further behind
(0.13 dB of 370 dark frames of brackets if it counted in full, as for retinex)."""


class Empty(NamedTuple):
    """How empty an image is around a block of it."""

    grid: Any
    """rows×columns×bins float32 in 0..1, over place and the square root of the largest channel; no size if nowhere."""

    height: int
    """Rows of the whole image."""

    width: int
    top: int
    """The block's first row in the image."""

    left: int


def empty_grid(pixels: Array, proxy: Array, shares: Array | None) -> Array:
    """The grid of `Empty`.

    Args:
        pixels: the image, H×W×3 uint8 or uint16.
        proxy: its light h×w×3 in 0..1.
        shares: opacity h×w, if not all pixels count alike.
    """
    size = (SIDE, SIDE)
    light = np.asarray(cv2.resize(proxy, size, interpolation=cv2.INTER_AREA), np.float32).transpose(2, 0, 1)
    seen = None if shares is None else cv2.resize(shares, size, interpolation=cv2.INTER_AREA)
    lit = opacity.quantiles(luma(light), (0.98,), seen)[0]
    found = night.empty(light, seen, pixels, TRUST * float(smoothstep(lit, *LIT)))
    if found is None:
        return np.empty((0, 0, 0), np.float32)
    tone = np.sqrt(light.max(axis=0))
    share = bilateral_grid.fit(tone, found[..., None], CELLS, CELLS, BINS)[..., 0].clip(0.0, 1.0)
    share = night.reaching(share, night.spread(pixels, found) * BINS)
    return np.asarray(share * (1.0 - smoothstep(np.linspace(0.0, 1.0, BINS + 1) ** 2, *NOISE)), np.float32)


def held(picture: Array, light: Array, grid: Array) -> Array:
    """What becomes of a result h×w×3 of light h×w×3: E min(R, HELD x) + (1 - E) R, with the grid's E of each pixel."""
    if grid.size == 0:
        return picture
    share = bilateral_grid.slice_grid(grid[..., None], np.sqrt(extremes(light)[1]))
    return np.asarray(picture + share * (np.minimum(picture, np.float32(HELD) * light) - picture), np.float32)
