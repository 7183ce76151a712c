"""Which frequencies of the noise map are applied: the rule of `--denoise`.

The paper keeps of the noise map's cosine transform the coefficients (u, v) of a high enough frequency, the more the
stronger (eq. 10; docs/papers.md, R7): max(u / H, v / W) >= 1 - strength, with a soft edge. What is left out is then
a product, l(u / H) l(v / W) with a low-pass l. And a factor l(u / H) for every coefficient of the cosine transform is a
convolution with a symmetric filter, the image mirrored at its border. So the rule needs no transform of a whole map
and no blocks: it is the map less a separable filter of `RADIUS` pixels, exact, bounded in memory, and the same by
tiles.

The filter is the ideal one times a triangle. A triangle's spectrum (Fejér's kernel) is nowhere negative, so l is an
average of ones and zeros: it lies in 0..1 and falls everywhere as strength grows. Hence the applied energy never falls
with strength; at 0 the filter is a single 1 and nothing is applied, at 1 it vanishes and the whole map is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from enhance_cli.imaging.blocks import Region

if TYPE_CHECKING:
    from enhance_cli.types import Array

RADIUS = 16
"""Pixels that the filter looks to every side; its edge is about a sixteenth of the frequencies wide."""


PATCHES, PATCH = 4, 32
"""The noise that goes is judged on 4×4 patches of 32×32 pixels, spread over the image."""


def patches(height: int, width: int) -> list[Region]:
    """Where the noise of an image is judged; the image is its own window."""
    tops, lefts = (
        np.unique(np.linspace(0, max(length - PATCH, 0), PATCHES).astype(int)).tolist() for length in (height, width)
    )
    return [
        Region(height, width, 0, 0, top, left, min(top + PATCH, height), min(left + PATCH, width))
        for top in tops
        for left in lefts
    ]


def low_pass(strength: float) -> Array:
    """The filter of what `--denoise` leaves out, from its middle on: float32, `RADIUS` + 1 taps."""
    at = np.arange(RADIUS + 1)
    cutoff = 1.0 - strength
    taps: Array = cutoff * np.sinc(cutoff * at) * (1.0 - at / (RADIUS + 1))
    return taps.astype(np.float32)
