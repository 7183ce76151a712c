"""Which frequencies of the noise map are applied: the rule of `--denoise`.

Of the cosine transform of the noise map, the paper keeps the coefficients (u, v) of high frequency, more of them with
more strength (eq. 10; docs/papers.md, R7): max(u / H, v / W) >= 1 - strength, with a soft edge. The part left out is
then a product, l(u / H) l(v / W), with a low-pass l. And a factor l(u / H) on every coefficient of the cosine transform
is a convolution with a symmetric filter and reflected borders. So the rule needs neither a transform of the whole map
nor blocks: it is the map minus its convolution with a separable filter of radius `RADIUS`, exact, bounded in memory,
and identical for any window.

The filter is the ideal one times a triangle. A triangle's spectrum (Fejér's kernel) is nowhere negative, so l is an
average of ones and zeros: it lies in 0..1 and decreases everywhere as strength grows. Hence the applied energy never
decreases with strength; at 0 the filter is a unit impulse and nothing is applied, at 1 it is zero and all of it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from enhance_cli.imaging.blocks import Region

if TYPE_CHECKING:
    from enhance_cli.types import Array

RADIUS = 16
"""Radius of the filter in pixels; its transition band is about a sixteenth of the frequency range."""


PATCHES, PATCH = 4, 32
"""The removed noise is measured in 4×4 patches of 32×32 pixels, spread over the image."""


def patches(height: int, width: int) -> list[Region]:
    """The patches in which the noise of an image is measured; the window is the whole image."""
    tops, lefts = (
        np.unique(np.linspace(0, max(length - PATCH, 0), PATCHES).astype(int)).tolist() for length in (height, width)
    )
    return [
        Region(height, width, 0, 0, top, left, min(top + PATCH, height), min(left + PATCH, width))
        for top in tops
        for left in lefts
    ]


def low_pass(strength: float) -> Array:
    """The low-pass filter of what `--denoise` leaves out, from its centre outwards: float32, `RADIUS` + 1 taps."""
    at = np.arange(RADIUS + 1)
    cutoff = 1.0 - strength
    taps: Array = cutoff * np.sinc(cutoff * at) * (1.0 - at / (RADIUS + 1))
    return taps.astype(np.float32)
