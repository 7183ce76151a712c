"""The pixel kernels of retinex in torch: slice, divide, fuse and restore.

These functions run on CUDA in production and on CPU tensors in the tests. `kernels_cpu.py` has the same functions on
NumPy arrays. Frames, grids, weights and `out` are tensors of the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from enhance_cli.imaging.blocks import Region, mirrored
from enhance_cli.imaging.finish import Tones
from enhance_cli.imaging.finish_torch import finished
from enhance_cli.methods.retinex.arrays import REACH, FusionWeights, RestorationWeights
from enhance_cli.methods.retinex.formulas import HIGHLIGHT, RESTORED, scored_powers
from enhance_cli.methods.retinex.formulas_torch import bright_channel, candidates, illuminated, squash

Array = NDArray[Any]


def render(
    frames: Sequence[Tensor],
    region: Region,
    grids: tuple[Tensor, Tensor] | None,
    powers: tuple[float, float],
    tones: Tones,
    fusion: FusionWeights,
    restoration: RestorationWeights | None,
    out: Tensor | None = None,
) -> Tensor:
    """Divide, fuse and restore a region of a window, rounded once, half up; arguments as in `kernels_cpu`."""
    out = torch.empty_like(frames[0]) if out is None else out
    if region.shape != tuple(out.shape[:2]):
        out.copy_(frames[0])
    if restoration is None:
        light, _ = _fused(frames, region, region, grids, powers, tones, fusion)
        noise = torch.zeros_like(light)
    else:
        light, noise = render_light(frames, region, grids, powers, tones, fusion, restoration)
    store(light, noise, out[region.within_window])
    return out


def render_light(
    frames: Sequence[Tensor],
    region: Region,
    grids: tuple[Tensor, Tensor] | None,
    powers: tuple[float, float],
    tones: Tones,
    fusion: FusionWeights,
    restoration: RestorationWeights,
) -> tuple[Tensor, Tensor]:
    """As `render`, before rounding: the fused light in 0..1 and the map to be added, float32 3×h×w of the region."""
    blocks = _whole_blocks(region)
    light, illumination = _fused(frames, region, blocks, grids, powers, tones, fusion)
    noise = _noise(light, illumination, restoration)
    down, across = region.top - region.top // 2 * 2, region.left - region.left // 2 * 2
    height, width = region.bottom - region.top, region.right - region.left
    inner = 2 * REACH
    light = light[:, inner + down : inner + down + height, inner + across : inner + across + width]
    noise = noise[:, down : down + height, across : across + width]
    return light, noise * ((1.0 - light) * (1.0 / RESTORED)).clamp(0.0, 1.0)


def high_pass(noise: Tensor, taps: Tensor, region: Region, wanted: Region) -> Tensor:
    """The noise map of a region less its low frequencies, for a smaller region inside; as in `kernels_cpu`."""
    filter_ = torch.cat([taps[1:].flip(0), taps])
    reach = len(taps) - 1
    rows = mirrored(wanted.top - reach, wanted.bottom + reach, region.height) - region.top
    columns = mirrored(wanted.left - reach, wanted.right + reach, region.width) - region.left
    wide = noise[:, torch.from_numpy(rows).to(noise.device)][:, :, torch.from_numpy(columns).to(noise.device)]
    low = functional.conv2d(wide[:, None], filter_[None, None, :, None])
    low = functional.conv2d(low, filter_[None, None, None, :])[:, 0]
    return wide[:, reach : wide.shape[1] - reach, reach : wide.shape[2] - reach] - low


def store(light: Tensor, noise: Tensor, out: Tensor) -> None:
    """Light and its noise map, 3×h×w, clipped and rounded half up, into h×w×3 codes."""
    codes = (light + noise).clamp(0.0, 1.0) * _white(out) + 0.5
    out.copy_(codes.to(torch.int32).permute(1, 2, 0))


def _whole_blocks(region: Region) -> Region:
    """The blocks of 2×2 pixels of a region and of the network's receptive field around it, even beyond the image."""
    return region._replace(
        top=region.top // 2 * 2 - 2 * REACH,
        left=region.left // 2 * 2 - 2 * REACH,
        bottom=-(-region.bottom // 2) * 2 + 2 * REACH,
        right=-(-region.right // 2) * 2 + 2 * REACH,
    )


def _positions(start: int, stop: int, length: int, device: torch.device) -> tuple[Array, Tensor]:
    """The position in the image of each pixel of an axis; beyond the border the outermost blocks are repeated."""
    at = np.arange(start, stop)
    block = np.clip(at // 2, 0, (length - 1) // 2)
    places = np.minimum(2 * block + at % 2, length - 1)
    return places, torch.from_numpy(places).to(device)


def _fused(
    frames: Sequence[Tensor],
    region: Region,
    wanted: Region,
    grids: tuple[Tensor, Tensor] | None,
    powers: tuple[float, float],
    tones: Tones,
    fusion: FusionWeights,
) -> tuple[Tensor, Tensor]:
    """The fused light 3×h×w of `wanted` and its forward illumination, 1×h×w."""
    device = frames[0].device
    rows, at_rows = _positions(wanted.top, wanted.bottom, region.height, device)
    columns, at_columns = _positions(wanted.left, wanted.right, region.width, device)

    def light_of(frame: Tensor) -> Tensor:
        down = (at_rows - region.window_top).clamp(0, frame.shape[0] - 1)
        across = (at_columns - region.window_left).clamp(0, frame.shape[1] - 1)
        codes = frame.to(torch.int32)[down][:, across]
        return codes.to(torch.float32).permute(2, 0, 1) / _white(frame)

    images = [light_of(frame) for frame in frames]
    light = images[0]
    illumination = torch.ones_like(light[:1])
    inverse = illumination
    if grids is not None:
        place = (rows, region.height), (columns, region.width)
        illumination, inverse = (
            _illumination(grid, bright_channel(channels), place)
            for grid, channels in zip(grids, (light, 1.0 - light), strict=True)
        )
        images = _candidates(light, (illumination, inverse), scored_powers(powers))
    weights = torch.softmax(torch.stack([_score(image, fusion, k) for k, image in enumerate(images)]), dim=0)
    if grids is not None and scored_powers(powers) != powers:
        images = _candidates(light, (illumination, inverse), powers)
    fused = sum(weight * image for weight, image in zip(weights, images, strict=True))
    return fused if grids is None else finished(fused, light, tones, HIGHLIGHT), illumination


def _candidates(light: Tensor, illuminations: tuple[Tensor, Tensor], powers: tuple[float, float]) -> list[Tensor]:
    powered = (it if power == 1.0 else it**power for it, power in zip(illuminations, powers, strict=True))
    return list(candidates(light, *powered))


def _illumination(grid: Tensor, channel: Tensor, place: tuple[tuple[Array, int], tuple[Array, int]]) -> Tensor:
    """L = b + (1 - b) sigmoid(k u + o) of a channel 1×h×w, (k, o) trilinear in position and tone."""
    tone = torch.sqrt(channel[0])
    bins = grid.shape[2] - 1
    at_bin = tone * bins
    k = at_bin.to(torch.int64).clamp(max=bins - 1)
    up = (at_bin - k)[..., None]
    (i, below, down), (j, after, right) = (
        _cells(*side, cells, grid) for side, cells in zip(place, grid.shape, strict=False)
    )

    def node(row: Tensor, column: Tensor) -> Tensor:
        near = grid.reshape(-1, 2)
        first = (row[:, None] * grid.shape[1] + column[None]) * grid.shape[2] + k
        return torch.lerp(near[first], near[first + 1], up)

    down, right = down[:, None, None], right[None, :, None]
    found = torch.lerp(
        torch.lerp(node(i, j), node(below, j), down), torch.lerp(node(i, after), node(below, after), down), right
    )
    return illuminated(channel, tone, found[..., 0], found[..., 1])


def _cells(places: Array, length: int, nodes: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For each pixel of an axis: the nodes before and after, and its fractional position between them."""
    at = (places + 0.5) * (nodes - 1) / length
    cell = np.minimum(at.astype(np.int64), max(nodes - 2, 0))
    share = torch.from_numpy((at - cell).astype(np.float32))
    after = torch.from_numpy(np.minimum(cell + 1, nodes - 1))
    return torch.from_numpy(cell).to(like.device), after.to(like.device), share.to(like.device)


def _score(image: Tensor, fusion: FusionWeights, candidate: int) -> Tensor:
    """How well exposed a candidate 3×h×w is at every pixel: h×w."""
    saturation = image.amax(dim=0, keepdim=True) - image.amin(dim=0, keepdim=True)
    features = torch.cat([image, saturation])[None]
    hidden = functional.conv2d(features, fusion.first[:, :, None, None], fusion.biases[candidate]).relu()
    hidden = functional.conv2d(hidden, fusion.second[:, :, None, None], fusion.second_bias).relu()
    return functional.conv2d(hidden, fusion.third[None, :, None, None])[0, 0]


def _noise(light: Tensor, illumination: Tensor, restoration: RestorationWeights) -> Tensor:
    """The noise map that the network adds to light 3×h×w, without its outermost blocks: 3×(h - 12)×(w - 12)."""
    stem, convs, biases, heads, head_bias = restoration
    width = stem.shape[0]
    dark = squash(functional.avg_pool2d(illumination, 2))
    features = torch.cat([functional.pixel_unshuffle(light, 2), dark])[None]
    layers = [stem.reshape(width, 13, 3, 3), *convs.reshape(-1, width, width, 3, 3)]
    noise = head_bias.reshape(1, 12, 1, 1)
    for index, layer in enumerate(layers):
        found = functional.conv2d(features, layer, biases[index]).relu()
        features = found + features[:, :, 1:-1, 1:-1] if index else found
        rest = REACH - 1 - index
        middle = features[:, :, rest : features.shape[2] - rest, rest : features.shape[3] - rest]
        noise = noise + functional.conv2d(middle, heads[index][:, :, None, None])
    return functional.pixel_shuffle(noise, 2)[0]


def _white(pixels: Tensor) -> float:
    return 65535.0 if pixels.dtype == torch.uint16 else 255.0
