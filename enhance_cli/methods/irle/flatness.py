"""Where an image is flat: the weights of squared errors, in training and in tuning on one photo (`adapt`)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LUMA = (0.299, 0.587, 0.114)

CONTRAST = 1e-3
"""Variance, of white 1, below which a place is flat: near the C2 of SSIM, 0.03²."""


def luma(image: Tensor) -> Tensor:
    """BT.601 luma, N×1×H×W."""
    weights = torch.tensor(LUMA, dtype=image.dtype, device=image.device).reshape(1, 3, 1, 1)
    return (image * weights).sum(dim=1, keepdim=True)


def box(image: Tensor, side: int) -> Tensor:
    """Means over side×side pixels (odd), of the same size; at borders over what lies inside."""
    return functional.avg_pool2d(image, side, stride=1, padding=side // 2, count_include_pad=False)


def flatness(image: Tensor) -> Tensor:
    """Weights N×1×H×W of mean 1, without gradient: 1 / (local variance of luma + `CONTRAST`).

    Squared errors are largest at edges, so a plain mean is decided there and leaves grain where nothing hides it, which
    the eye and SSIM see first; this is the normalisation that SSIM does. As the weights follow from the output and not
    from the noise of its target, the mean that a pixel tends to stays the same.
    """
    grey = luma(image.detach())
    around = box(grey, 7)
    weights = 1.0 / ((box(grey * grey, 7) - around * around).clamp_min(0.0) + CONTRAST)
    return weights / weights.mean()
