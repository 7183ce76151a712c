"""MEF-SSIM: how much of the best parts of several exposures is in the image fused from them.

Reference: Ma, Zeng, Wang, "Perceptual quality assessment for multi-exposure image fusion", 2015, eq. 4-10, on luma at
one scale. Around every pixel each exposure is a mean, a contrast and a structure. The best that could be is the
greatest contrast with the average of the structures, weighted by contrast; means are not judged, since exposures
differ in them.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from enhance_cli.quality.pictures import Picture, luma

Plane = NDArray[np.float64]

_SIDE = 8
"""Sides of a patch, as in the paper."""

_STABLE = (0.03 * 255.0) ** 2
"""The constant of SSIM that keeps flat patches from being judged by their noise, on a scale to 255."""


def mef_ssim(frames: Sequence[Picture], fused: Picture) -> float:
    """The mean over all pixels, 0..1, where 1 is the best possible.

    Args:
        frames: two or more exposures of one size.
        fused: the image that was made of them, of the same size.

    Raises:
        ValueError: sizes differ.
    """
    if len(frames) < 2 or any(frame.shape != fused.shape for frame in frames):
        raise ValueError("MEF-SSIM compares two or more frames with a picture of the same size")
    planes, target = [luma(frame) for frame in frames], luma(fused)
    products = np.stack([[_covariance(one, two) for two in planes] for one in planes])
    energies = np.maximum(products[range(len(planes)), range(len(planes))], 0.0)
    lengths = np.sqrt(energies)
    together = np.sqrt(np.maximum(products.sum(axis=(0, 1)), 0.0))
    # How much the structures agree, 0..1, decides how much the strongest of them counts.
    agreement = np.clip(together / np.maximum(lengths.sum(axis=0), 1e-9), 0.0, 1.0)
    power = np.minimum(np.tan(0.5 * np.pi * np.minimum(agreement, 0.999)), 10.0)
    strongest = lengths.max(axis=0)
    shares = (lengths / np.maximum(strongest, 1e-9)) ** power / np.maximum(lengths, 1e-9)
    norm = np.sqrt(np.maximum(np.einsum("khw,lhw,klhw->hw", shares, shares, products), 1e-12))
    scale = strongest / norm
    with_target = np.stack([_covariance(plane, target) for plane in planes])
    cross = scale * (shares * with_target).sum(axis=0)
    similarity = (2.0 * cross + _STABLE) / (strongest**2 + np.maximum(_covariance(target, target), 0.0) + _STABLE)
    margin = _SIDE // 2
    return float(similarity[margin : 1 - margin or None, margin : 1 - margin or None].mean())


def _covariance(one: Plane, two: Plane) -> Plane:
    """Of the patches around every pixel."""
    size = (_SIDE, _SIDE)
    mean: Plane = cv2.blur(one * two, size) - cv2.blur(one, size) * cv2.blur(two, size)
    return mean
