"""The pixel kernel of auto in torch; `kernels_cpu.py` documents it."""

from __future__ import annotations

import torch
from torch import Tensor


def mixed(before: Tensor, after: Tensor, amount: float, levels: Tensor | None, *, out: Tensor) -> Tensor:
    """As in `kernels_cpu`, in the same float32 arithmetic."""
    white = 65535 if before.dtype == torch.uint16 else 255
    old, new = (codes.to(torch.int32).to(torch.float32) for codes in (before, after))
    made = torch.round(old + amount * (new - old)).clamp(0, white).to(torch.int64)
    out.copy_(made if levels is None else levels.to(torch.int32)[made])
    return out
