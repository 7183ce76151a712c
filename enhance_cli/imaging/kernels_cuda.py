"""Measures of a whole image in torch (see `measures`); `kernels_cpu.py` documents them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def luma(rgb: Tensor) -> Tensor:
    """BT.601 luma of H×W×3 uint8 or uint16 RGB, in fixed point: int32 H×W.

    `(4899 R + 9617 G + 1868 B + 8192) >> 14`, the rounding of OpenCV and of JPEG, at either depth. The sum
    stays below 2**30 for 16 bits, so 32-bit integers hold it.
    """
    red, green, blue = rgb.to(torch.int32).unbind(-1)
    return (red * 4899 + green * 9617 + blue * 1868 + 8192) >> 14


def luma_counts(pixels: Tensor) -> Tensor:
    """As in `kernels_cpu`."""
    codes = pixels.to(torch.int32) if pixels.ndim == 2 else luma(pixels)
    return torch.bincount(codes.flatten(), minlength=_codes(pixels))


def channel_counts(pixels: Tensor) -> Tensor:
    """As in `kernels_cpu`; all channels in one count."""
    codes = _codes(pixels)
    places = pixels.to(torch.int32) + torch.arange(3, dtype=torch.int32, device=pixels.device) * codes
    return torch.bincount(places.flatten(), minlength=3 * codes).view(3, codes)


def area_means(pixels: Tensor, height: int, width: int) -> Tensor:
    """As `area.area_means`: sums of whole numbers, which float64 holds exactly."""
    planes = pixels.to(torch.float64).permute(2, 0, 1)[None]
    means = functional.adaptive_avg_pool2d(planes, (height, width))[0]
    return (means / (_codes(pixels) - 1)).to(torch.float32)


def _codes(pixels: Tensor) -> int:
    return 65536 if pixels.dtype == torch.uint16 else 256
