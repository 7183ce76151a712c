"""The pixel kernels of clode in torch: the proxy, and the grid sliced and the curve applied.

These functions run on CUDA in production and on CPU tensors in the tests. `kernels_cpu.py` has the same functions
on NumPy arrays. The solvers on light are torchdiffeq's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from enhance_cli.imaging.blocks_torch import read as read
from enhance_cli.imaging.finish import LEAST, Tones
from enhance_cli.imaging.finish_torch import finished, luma, skin_likeness
from enhance_cli.methods.clode.curve import SKIN, SKIN_CHROMA, SKIN_SATURATION, STEEPNESS
from enhance_cli.methods.clode.solvers import Derivative, Step

Array = NDArray[Any]


def proxy(pixels: Tensor, height: int, width: int) -> Tensor:
    """Area means of an H×W×3 image as light: float32 3×height×width in 0..1."""
    planes = pixels.to(torch.int32).to(torch.float32).permute(2, 0, 1)[None]
    return functional.adaptive_avg_pool2d(planes, (height, width))[0] / _white(pixels)


def step_on_light(solver: str) -> Step:
    """A fixed step of torchdiffeq's `euler`, `midpoint` or `rk4`."""
    from torchdiffeq import odeint

    def step(derivative: Derivative, time: float, length: float, state: Array) -> Array:
        times = torch.tensor([time, time + length], dtype=torch.float64)
        return odeint(_of_tensors(derivative), torch.from_numpy(state), times, method=solver)[-1].numpy()  # type: ignore[no-any-return]

    return step


def adaptive(
    derivative: Derivative, start: Array, times: Sequence[float], tol: float
) -> Iterator[tuple[float, Array, int]]:
    """Dormand-Prince 4(5) of torchdiffeq: (time, state, total steps) at each of the times."""
    from torchdiffeq import odeint

    field = _Counted(derivative)
    grid = torch.tensor([0.0, *times], dtype=torch.float64)
    states = odeint(field, torch.from_numpy(start), grid, rtol=tol, atol=tol, method="dopri5")
    for time, state in zip(times, states[1:], strict=True):
        yield time, state.numpy(), field.steps


def _of_tensors(derivative: Derivative) -> Any:
    return lambda time, state: torch.from_numpy(derivative(float(time), state.numpy()))


class _Counted(torch.nn.Module):
    """A derivative that counts the solver's accepted steps."""

    def __init__(self, derivative: Derivative) -> None:
        super().__init__()
        self._derivative = derivative
        self.steps = 0

    def forward(self, time: Tensor, state: Tensor) -> Tensor:
        return torch.from_numpy(self._derivative(float(time), state.numpy()))

    def callback_accept_step(self, *_: Any) -> None:
        self.steps += 1


def itself(light: Tensor) -> Tensor:
    """Light, where kernels work on it."""
    return light


def padded(light: Tensor, rows: int, columns: int) -> Tensor:
    """Light 3×h×w with further rows and columns like its last ones."""
    return functional.pad(light[None], (0, columns, 0, rows), mode="replicate")[0]


def shifted(light: Tensor, shift: Tensor) -> Tensor:
    """As `curve.shifted`."""
    bright = light * torch.exp(shift)
    return bright / (1.0 - light + bright)


def nothing(light: Tensor) -> Tensor:
    """Zeros like light."""
    return torch.zeros_like(light)


def render(
    pixels: Tensor,
    grid: Tensor,
    shift: Tensor,
    tones: Tones,
    share: float,
    height: int,
    width: int,
    top: int = 0,
    left: int = 0,
    out: Tensor | None = None,
) -> Tensor:
    """Slice the shift and apply the curve to a window, rounded once, half up; arguments as in `kernels_cpu`."""
    light = render_light(pixels, grid, shift, tones, share, height, width, top, left)
    codes = torch.empty_like(pixels) if out is None else out
    store(light, torch.zeros_like(light), 0.0, codes)
    return codes


def render_light(
    pixels: Tensor,
    grid: Tensor,
    shift: Tensor,
    tones: Tones,
    share: float,
    height: int,
    width: int,
    top: int = 0,
    left: int = 0,
) -> Tensor:
    """As `render`, before rounding: float32 3×h×w in 0..1, for the denoiser."""
    rows, columns = pixels.shape[:2]
    light = pixels.to(torch.int32).to(torch.float32).permute(2, 0, 1) / _white(pixels)
    if shift.numel():
        field = shift[:, top : top + rows, left : left + columns]
    elif grid.numel() == 0:
        return light
    else:
        field = _sliced(light, grid, height, width, top, left)
    gain = torch.exp(field)
    bright = light * gain
    channels = bright / (1.0 - light + bright)
    if share == 0.0:
        return finished(channels, light, tones)
    peak = light.amax(dim=0)
    common = torch.exp(field.mean(dim=0))
    ratio = common / (1.0 - peak + peak * common)
    part = share * (peak * STEEPNESS).clamp(max=1.0) if share < 1.0 else 1.0
    mixed = (1.0 - part) * channels + part * (light * ratio)
    return finished(mixed if share == 1.0 else _with_skin(mixed, light), light, tones)


def _with_skin(result: Tensor, light: Tensor) -> Tensor:
    """`curve.with_skin`."""
    before, after = luma(light), luma(result)
    hue = light - before
    chroma = ((result - after) * hue).sum(dim=0) / hue.square().sum(dim=0).clamp(min=LEAST * LEAST)
    most = (SKIN_SATURATION * after / before.clamp(min=LEAST)).clamp(min=SKIN_CHROMA)
    most = torch.minimum(most, (1.0 - after).clamp(min=0.0) / hue.amax(dim=0).clamp(min=LEAST))
    most = torch.minimum(most, after / (-hue.amin(dim=0)).clamp(min=LEAST))
    share = skin_likeness(light) * ((before - SKIN[0]) / (SKIN[1] - SKIN[0])).clamp(0.0, 1.0)
    return result + share * (after + torch.minimum(chroma.clamp(min=0.0), most) * hue - result)


def store(light: Tensor, noise: Tensor, strength: float, out: Tensor) -> None:
    """Light minus its noise, clipped and rounded half up, into h×w×3 codes; `light` and `noise` are 3×h×w."""
    clean = (light - strength * noise).clamp(0.0, 1.0) * _white(out) + 0.5
    out.copy_(clean.to(torch.int32).permute(1, 2, 0))


def _sliced(light: Tensor, grid: Tensor, height: int, width: int, top: int, left: int) -> Tensor:
    """The grid sliced over a window by trilinear interpolation: 3×h×w."""
    red, green, blue = light
    tone = torch.sqrt(0.299 * red + 0.587 * green + 0.114 * blue).clamp(max=1.0)
    rows, columns, bins = (size - 1 for size in grid.shape[:3])
    i, down = _places(top, light.shape[1], height, rows, light)
    j, right = _places(left, light.shape[2], width, columns, light)
    at_bin = tone * bins
    k = at_bin.to(torch.int64).clamp(max=bins - 1)
    up = (at_bin - k)[..., None]
    down, right = down[:, None, None], right[None, :, None]
    flat = grid.reshape(-1, 3)

    def node(row: Tensor, column: Tensor, bin_: Tensor) -> Tensor:
        return flat[(row[:, None] * (columns + 1) + column[None, :]) * (bins + 1) + bin_]

    def along_rows(column: Tensor, bin_: Tensor) -> Tensor:
        return torch.lerp(node(i, column, bin_), node(i + 1, column, bin_), down)

    before = torch.lerp(along_rows(j, k), along_rows(j, k + 1), up)
    after = torch.lerp(along_rows(j + 1, k), along_rows(j + 1, k + 1), up)
    return torch.lerp(before, after, right).permute(2, 0, 1)


def _places(start: int, count: int, length: int, cells: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """The cell of each of `count` pixels from `start`, and the pixel's fractional position in it."""
    at = (np.arange(start, start + count) + 0.5) * cells / length
    cell = np.minimum(at.astype(np.int64), cells - 1)
    share = torch.from_numpy((at - cell).astype(np.float32)).to(like.device)
    return torch.from_numpy(cell).to(like.device), share


def _white(pixels: Tensor) -> float:
    return 65535.0 if pixels.dtype == torch.uint16 else 255.0
