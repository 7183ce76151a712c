"""The pixel kernels of irle in torch: stage 1 by look-up, its gain, and everything after the denoiser.

These functions run on CUDA in production and on CPU tensors in the tests. `kernels_cpu.py` has the same functions
on NumPy arrays, and documents their arguments.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from enhance_cli.imaging import finish_torch
from enhance_cli.imaging.blocks import reflected
from enhance_cli.imaging.blocks_torch import read as read
from enhance_cli.imaging.finish import Tones
from enhance_cli.methods.irle.empty import HELD, Empty
from enhance_cli.methods.irle.pseudo_ground_truth import PALER, RICHER, SKIN_FOLLOWS
from enhance_cli.methods.irle.tone import PEDESTAL

BLUR, REACH = 4.0, 16


def first_stage(codes: Tensor, light: Tensor, bright: Tensor) -> tuple[Tensor, Tensor]:
    """White balance and hue-preserving curve: the bright image 3×h×w and the luma of its balanced light h×w."""
    at = codes.to(torch.int64).permute(2, 0, 1).reshape(3, -1)
    shape = (3, *codes.shape[:2])
    balanced, ends = (torch.gather(table, 1, at).reshape(shape) for table in (light, bright))
    low, high = balanced.amin(dim=0), balanced.amax(dim=0)
    bottom, top = ends.amin(dim=0), ends.amax(dim=0)
    slope = (top - bottom) / (high - low).clamp(min=1e-6)
    return bottom + slope * (balanced - low), finish_torch.luma(balanced)


def log_gain(luma: Tensor, curve: tuple[float, float, float, float]) -> Tensor:
    """Log of the curve's gain at blurred luma, h×w."""
    log_factor, slope, bound, deep = curve
    at = torch.arange(-REACH, REACH + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (at / BLUR) ** 2)
    weights = (weights / weights.sum()).to(luma)
    smooth = luma[None, None]
    for dimension in (2, 3):
        count = smooth.shape[dimension]
        indices = torch.from_numpy(reflected(-REACH, count + REACH, count)).to(luma.device)
        shape = [1, 1, 1, 1]
        shape[dimension] = 2 * REACH + 1
        smooth = functional.conv2d(smooth.index_select(dimension, indices), weights.reshape(shape))
    log = torch.log(smooth[0, 0].clamp(min=0.0) + PEDESTAL)
    return torch.minimum((log_factor + slope * log).clamp(max=bound), deep + 0.5 * log)


def finish(
    picture: Tensor,
    clean: Tensor,
    gain: Tensor,
    codes: Tensor,
    numbers: tuple[float, float, float, float],
    tones: Tones,
    empty: Empty,
    out: Tensor,
) -> None:
    """Remove noise, let colour follow the gain, finish, hold back what is empty, and round, into h×w×3."""
    strength, full, chroma, level = numbers
    top, end, more = RICHER
    start, way, less = PALER
    result = picture + strength * (gain / full).clamp(0.0, 1.0) * (clean - picture)
    grey = finish_torch.luma(result)
    colour = 1.0 + more * torch.minimum(gain / top, (end - gain) / (end - top)).clamp(0.0, 1.0)
    colour = colour - less * ((gain - start) / way).clamp(0.0, 1.0)
    colour = colour * (1.0 + (chroma - 1.0) * (gain / top).clamp(0.0, 1.0))
    above = (1.0 - grey) / (result.amax(dim=0) - grey).clamp(min=1e-4)
    below = grey / (grey - result.amin(dim=0)).clamp(min=1e-4)
    colour = torch.minimum(colour, torch.minimum(above, below).clamp(min=1.0))
    result = ((grey + colour * (result - grey)) * level).clamp(0.0, 1.0)
    white = 255 if out.dtype == torch.uint8 else 65535
    source = codes.permute(2, 0, 1).to(torch.float32) / white
    result = finish_torch.finished(result, source, tones, follows=SKIN_FOLLOWS)
    if empty.grid.numel():
        result = result + _share(empty, source) * (torch.minimum(result, HELD * source) - result)
    _store(result.permute(1, 2, 0), out)


def enlarge(small: Tensor, height: int, width: int, top: int, left: int, out: Tensor) -> None:
    """A window of a small image at full resolution, bilinear between the centres of its pixels, into h×w×3."""
    rows, down = _places(top, out.shape[0], height, small.shape[0], small)
    columns, across = _places(left, out.shape[1], width, small.shape[1], small)
    down, across = down[:, None, None], across[None, :, None]
    below, right = (rows + 1).clamp(max=small.shape[0] - 1), (columns + 1).clamp(max=small.shape[1] - 1)

    def along(column: Tensor) -> Tensor:
        above = small[rows][:, column]
        return above + down * (small[below][:, column] - above)

    before = along(columns)
    _store((before + across * (along(right) - before)).clamp(0.0, 1.0), out)


def _share(empty: Empty, source: Tensor) -> Tensor:
    """The grid at every pixel of a block 3×h×w: h×w."""
    grid = empty.grid
    _, rows, columns = source.shape
    across = (torch.arange(columns, dtype=torch.float64, device=grid.device) + (empty.left + 0.5)) / empty.width
    downward = (torch.arange(rows, dtype=torch.float64, device=grid.device) + (empty.top + 0.5)) / empty.height
    row, down = _cells(downward * (grid.shape[0] - 1), grid.shape[0] - 1)
    column, right = _cells(across * (grid.shape[1] - 1), grid.shape[1] - 1)
    tone, up = _cells(source.amax(dim=0).sqrt() * (grid.shape[2] - 1), grid.shape[2] - 1)
    down, right = down[:, None], right[None, :]
    nodes = grid[row] + down[..., None] * (grid[row + 1] - grid[row])

    def along(at: Tensor) -> Tensor:
        line = nodes[:, at]
        low, high = (line.gather(2, places[..., None])[..., 0] for places in (tone, tone + 1))
        found: Tensor = low + up * (high - low)
        return found

    before = along(column)
    share: Tensor = before + right * (along(column + 1) - before)
    return share


def _cells(at: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    first = at.to(torch.int64).clamp(max=cells - 1)
    return first, (at - first).to(torch.float32)


def _store(picture: Tensor, out: Tensor) -> None:
    white = 255 if out.dtype == torch.uint8 else 65535
    out.copy_((picture * white + 0.5).to(torch.int32))


def _places(start: int, count: int, length: int, cells: int, like: Tensor) -> tuple[Tensor, Tensor]:
    at = np.clip((np.arange(start, start + count) + 0.5) * cells / length - 0.5, 0.0, cells - 1.0)
    cell = np.minimum(at.astype(np.int64), max(cells - 2, 0))
    return torch.from_numpy(cell).to(like.device), torch.from_numpy((at - cell).astype(np.float32)).to(like.device)
