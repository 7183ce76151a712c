"""High-key photos: bright on purpose, as a person in a white room, rather than over-exposed.

Exposure that is too long lifts black with everything else. So a photo of which nearly all is light, and which yet has
black, was exposed for its whites.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from enhance_cli.exposure.features import falling, luma_of
from enhance_cli.imaging import opacity

if TYPE_CHECKING:
    from enhance_cli.types import Array

LIGHT, MOST = 0.68, (0.75, 0.82)
"""Luma above which a pixel is light; the share of such pixels from which a photo may be high-key, and is."""

BLACK = (0.2, 0.24)
"""The 2nd percentile of luma up to which a photo has black, and from which it has none.

Of the over-exposed frames of the stacks of training, 314, three are taken for high-key in part, by 0.3 at most. A
portrait in a white room is high-key from half a stop less than its exposure to half a stop more."""


def high_key(light: Array, weights: Array | None = None) -> float:
    """How much a photo is high-key, 0..1.

    Args:
        light: 3×h×w in 0..1, a copy of about 64×64 pixels: noise and small lights shall not count.
        weights: opacity, h×w; None if all pixels count alike.
    """
    grey = luma_of(light)
    share = opacity.mean((grey > LIGHT).astype(grey.dtype), weights)
    (black,) = opacity.quantiles(grey, (0.02,), weights)
    return (1.0 - falling(share, *MOST)) * falling(float(black), *BLACK)
