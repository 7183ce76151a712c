"""The pixel kernels of local in torch: the network's brightening, the tail and the lock.

These functions run on CUDA in production and on CPU tensors in the tests. `kernels_cpu.py` has the same functions
on NumPy arrays, and documents their arguments.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_DARKEST = 1e-4


def render(
    pixels: Tensor,
    fall_off: Tensor,
    field: Tensor,
    guide: Tensor,
    tail: Tensor,
    degree: float,
    lock: bool,
    region: tuple[int, int],
    cells: tuple[float, float, float, float],
    place: tuple[int, int] = (0, 0),
    out: Tensor | None = None,
) -> Tensor:
    """Light a window under the fall-off t, refined by the tail, rounded once, half up; as in `kernels_cpu`."""
    out = torch.empty_like(pixels) if out is None else out
    height, width = pixels.shape[:2]
    first, last, start, end = 0, height, 0, width
    if lock:
        out.copy_(pixels)
        first, last, start, end = lit_part(tuple(fall_off.shape), region, (height, width), place)
    if first >= last or start >= end:
        return out
    # One more on every side for the tail, where the window has it.
    top, left, bottom, right = max(first - 1, 0), max(start - 1, 0), min(last + 1, height), min(end + 1, width)
    white = 65535.0 if pixels.dtype == torch.uint16 else 255.0
    light = pixels[top:bottom, left:right].to(torch.int32).to(torch.float32).permute(2, 0, 1) / white
    share = _fall_off(fall_off, region, (place[0] + top, place[1] + left), light)
    y = _places(place[0] + top, bottom - top, cells[0], cells[1], field.shape[0], light)
    x = _places(place[1] + left, right - left, cells[2], cells[3], field.shape[1], light)
    lit = (
        _illuminated(light, share, field, guide, degree, y, x)
        if field.ndim == 4
        else _curved(light, share, field, degree, y, x)
    )
    inputs = functional.pad(torch.cat([lit, share[None]])[None], (1, 1, 1, 1), mode="replicate")
    refined = lit + functional.conv2d(inputs, tail[:, :36].reshape(3, 4, 3, 3), tail[:, 36])[0]
    inner = slice(first - top, last - top), slice(start - left, end - left)
    old = light[:, inner[0], inner[1]] * white
    new = refined[:, inner[0], inner[1]].clamp(0.0, 1.0) * white
    if lock:
        new = old + _ramp((4.0 * share[inner]).clamp(max=1.0)) * (new - old)
    out[first:last, start:end] = (new + 0.5).to(torch.int32).permute(1, 2, 0).to(pixels.dtype)
    return out


def lit_part(
    part: tuple[int, ...], region: tuple[int, int], window: tuple[int, ...], place: tuple[int, int]
) -> tuple[int, int, int, int]:
    """The intersection of a window with a part of the image: first row, last, first column, last (exclusive)."""
    first, start = max(region[0] - place[0], 0), max(region[1] - place[1], 0)
    last, end = min(region[0] + part[0] - place[0], window[0]), min(region[1] + part[1] - place[1], window[1])
    return first, last, start, end


def _fall_off(fall_off: Tensor, region: tuple[int, int], place: tuple[int, int], light: Tensor) -> Tensor:
    """T of a window: h×w in 0..1."""
    share = torch.zeros_like(light[0])
    first, last, start, end = lit_part(tuple(fall_off.shape), region, tuple(share.shape), place)
    if first < last and start < end:
        top, left = place[0] - region[0], place[1] - region[1]
        part = fall_off[first + top : last + top, start + left : end + left]
        share[first:last, start:end] = part.to(torch.int32).to(torch.float32) / 65535.0
    return share


def _places(start: int, count: int, step: float, before: float, cells: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """The cell whose centre lies before each pixel, and how far from there to the next it lies."""
    at = (torch.arange(start, start + count, dtype=torch.float64, device=like.device) + 0.5) * step + before - 0.5
    at = at.clamp(0.0, cells - 1.0)
    cell = at.to(torch.int64).clamp(max=max(cells - 2, 0))
    return cell, (at - cell).to(torch.float32)


def _ramp(share: Tensor) -> Tensor:
    return share * share * (3.0 - 2.0 * share)


def _illuminated(
    light: Tensor,
    share: Tensor,
    field: Tensor,
    guide: Tensor,
    degree: float,
    y: tuple[Tensor, Tensor],
    x: tuple[Tensor, Tensor],
) -> Tensor:
    """3×h×w lit by DeepUPE's illumination."""
    inputs = torch.cat([torch.sqrt(light), share[None]])
    hidden = torch.einsum("hc,cyx->hyx", guide[:-1, :4], inputs) + guide[:-1, 4, None, None]
    tone = torch.sigmoid(torch.einsum("h,hyx->yx", guide[:-1, 5], torch.relu(hidden)) + guide[-1, 5])
    rows, columns, bins = field.shape[:3]
    at = (tone * bins - 0.5).clamp(0.0, bins - 1.0)
    k = at.to(torch.int64).clamp(max=max(bins - 2, 0))
    up = (at - k)[..., None]
    (i, down), (j, right) = y, x
    down, right = down[:, None, None], right[None, :, None]
    flat = field.reshape(-1, 12)

    def node(row: Tensor, column: Tensor, bin_: Tensor) -> Tensor:
        row, column = row.clamp(max=rows - 1), column.clamp(max=columns - 1)
        return flat[(row[:, None] * columns + column[None, :]) * bins + bin_.clamp(max=bins - 1)]

    def along_rows(column: Tensor, bin_: Tensor) -> Tensor:
        return torch.lerp(node(i, column, bin_), node(i + 1, column, bin_), down)

    before = torch.lerp(along_rows(j, k), along_rows(j, k + 1), up)
    after = torch.lerp(along_rows(j + 1, k), along_rows(j + 1, k + 1), up)
    matrix = torch.lerp(before, after, right).reshape(*tone.shape, 3, 4).permute(2, 3, 0, 1)
    decided = (matrix[:, :3] * light[None]).sum(dim=1) + matrix[:, 3]
    illumination = (light + (1.0 - light) * torch.sigmoid(decided)).clamp(min=_DARKEST)
    gain = 1.0 + share * (1.0 / illumination - 1.0)
    return (light * gain / (1.0 + (degree - 1.0) * _ramp(share))).clamp(max=1.0)


def _curved(
    light: Tensor, share: Tensor, field: Tensor, degree: float, y: tuple[Tensor, Tensor], x: tuple[Tensor, Tensor]
) -> Tensor:
    """3×h×w lit by STAR's curve maps."""
    (i, down), (j, right) = y, x
    below, beside = (i + 1).clamp(max=field.shape[0] - 1), (j + 1).clamp(max=field.shape[1] - 1)
    rows = torch.lerp(field[i], field[below], down[:, None, None])
    maps = torch.lerp(rows[:, j], rows[:, beside], right[None, :, None]).permute(2, 0, 1)
    rates = maps * share
    rates = (rates - (1.0 / degree - 1.0) * _ramp(share) * rates.abs()).clamp(-1.0, 1.0)
    for step in range(len(rates) // 3):
        light = light + rates[3 * step : 3 * step + 3] * (light * light - light)
    return light
