"""The noise of an image in flat dark areas, where it is most visible."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from enhance_cli.imaging import opacity
from enhance_cli.methods.irle.pseudo_ground_truth import LUMA

if TYPE_CHECKING:
    from enhance_cli.types import Array

PATCHES, PATCH = 12, 32
"""Noise is measured in the flattest four of 12×12 patches of 32×32 pixels."""


EMPTY, SIDE, GRAIN = 0.06, 9, 0.006
"""Luma of an area that may be empty at most, the side in proxy pixels of the windows that it is made of, and the
standard deviation within them at most."""

LEAST_EMPTY, LIT = 0.05, (0.5, 0.85)
"""Share of the photo that must be empty; and the 98th percentile of luma between which a photo is taken for one with
lit parts: without them, a flat dark area is a wall in a dark room, which should be seen."""


def deep_black(proxy: Array, shares: Array | None) -> float:
    """The light up to which a photo shows nothing, 0..`EMPTY`: a night sky, or the dark behind a lit subject.

    Args:
        proxy: h×w×3 in 0..1.
        shares: opacity h×w, if not all pixels count alike.
    """
    luma = proxy @ LUMA
    lit = (float(opacity.quantiles(luma, (0.98,), shares)[0]) - LIT[0]) / (LIT[1] - LIT[0])
    if lit <= 0.0 or min(luma.shape) < SIDE:
        return 0.0
    around = cv2.blur(luma, (SIDE, SIDE))
    variance = cv2.blur(luma * luma, (SIDE, SIDE)) - around * around
    empty = (around < EMPTY) & (variance < GRAIN * GRAIN)
    if shares is not None:
        empty &= shares > 0.0
    if np.count_nonzero(empty) < LEAST_EMPTY * luma.size:
        return 0.0
    return min(1.0, lit) * float(np.percentile(around[empty], 75.0))


def flat_patches(pixels: Array, weights: Array | None) -> list[tuple[int, int]]:
    """First rows and columns of the four flattest patches in the darker half that are not black.

    Patches that are not fully opaque are skipped: hidden pixels are flat.

    Args:
        pixels: H×W×3 uint8 or uint16.
        weights: H×W opacity; None if the whole image is opaque.
    """
    height, width = pixels.shape[:2]
    if min(height, width) < PATCH:
        return []
    white = float(np.iinfo(pixels.dtype).max)
    judged = []
    for top in np.unique(np.linspace(0, height - PATCH, PATCHES).astype(int)).tolist():
        for left in np.unique(np.linspace(0, width - PATCH, PATCHES).astype(int)).tolist():
            if weights is not None and not weights[top : top + PATCH, left : left + PATCH].all():
                continue
            patch = pixels[top : top + PATCH, left : left + PATCH].astype(np.float32) @ LUMA / white
            coarse = patch.reshape(4, PATCH // 4, 4, PATCH // 4).mean(axis=(1, 3))
            if coarse.min() > 2.0 / 255.0:
                judged.append((float(patch.mean()), float(coarse.std()) / float(patch.mean()), top, left))
    judged.sort()
    darker = judged[: -(-len(judged) // 2)]
    return [(top, left) for _, _, top, left in sorted(darker, key=lambda row: row[1])[:4]]


def deviation(patch: Array) -> float:
    """Standard deviation of luma from its best-fitting plane, as a share of white, for h×w×3 uint8 or uint16."""
    luma = patch.astype(np.float64) @ LUMA / np.iinfo(patch.dtype).max
    y, x = np.mgrid[: luma.shape[0], : luma.shape[1]]
    plane = np.stack([np.ones(luma.size), y.ravel(), x.ravel()], axis=1)
    left = luma.ravel() - plane @ np.linalg.lstsq(plane, luma.ravel(), rcond=None)[0]
    return float(left.std())
