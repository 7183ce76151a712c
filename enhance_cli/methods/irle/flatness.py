"""Weights of squared errors by local flatness, for training and for tuning on one photo (`adapt`)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LUMA = (0.299, 0.587, 0.114)

CONTRAST = 1e-3
"""Variance, with white at 1, below which an area counts as flat: near the C2 of SSIM, 0.03²."""


def luma(image: Tensor) -> Tensor:
    """BT.601 luma, N×1×H×W."""
    weights = torch.tensor(LUMA, dtype=image.dtype, device=image.device).reshape(1, 3, 1, 1)
    return (image * weights).sum(dim=1, keepdim=True)


def box(image: Tensor, side: int) -> Tensor:
    """Box mean over side×side pixels (odd), of the same size; at borders over the pixels inside."""
    return functional.avg_pool2d(image, side, stride=1, padding=side // 2, count_include_pad=False)


def flatness(image: Tensor) -> Tensor:
    """Weights N×1×H×W of mean 1, without gradient: 1 / (local variance of luma + `CONTRAST`).

    Squared errors are largest at edges, so they dominate a plain mean, which then leaves grain in flat areas, where the
    eye and SSIM notice it first; SSIM normalises in the same way. As the weights depend on the output and not on the
    noise of its target, they do not bias the mean that a pixel converges to.
    """
    grey = luma(image.detach())
    around = box(grey, 7)
    weights = 1.0 / ((box(grey * grey, 7) - around * around).clamp_min(0.0) + CONTRAST)
    return weights / weights.mean()
