"""The noise of an image in flat dark areas, where it is most visible."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from enhance_cli.methods.irle.pseudo_ground_truth import LUMA

if TYPE_CHECKING:
    from enhance_cli.types import Array

PATCHES, PATCH = 12, 32
"""Noise is measured in the flattest four of 12×12 patches of 32×32 pixels."""


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
