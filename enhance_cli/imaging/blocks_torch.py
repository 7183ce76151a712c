"""`blocks.Region.read` on torch tensors, which stay on their device."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from enhance_cli.imaging.blocks import Border, Region, places


def read(window: Tensor, region: Region, border: Border, planes: bool = False) -> Tensor:
    """The pixels of a region from a window; see `Region.read`.

    Args:
        window: h×w×channels, or channels×h×w with `planes`.
        region: what is read, which may lie beyond the image's border.
        border: how the image continues.
        planes: the layout of `window`.

    Returns:
        A view where the window holds all of it; else a copy, int32 for uint16, which CUDA has no indexing for.
    """
    first = 1 if planes else 0
    rows, columns = window.shape[first : first + 2]
    down = places(region.top, region.bottom, region.height, region.window_top, rows, border)
    across = places(region.left, region.right, region.width, region.window_left, columns, border)
    for dimension, at in ((first, down), (first + 1, across)):
        if isinstance(at, slice):
            window = window.narrow(dimension, at.start, at.stop - at.start)
        else:
            window = window.to(torch.int32) if window.dtype == torch.uint16 else window
            window = window.index_select(dimension, torch.from_numpy(np.ascontiguousarray(at)).to(window.device))
    return window
