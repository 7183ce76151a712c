"""How much noise a shift makes visible, and taking out what the denoiser calls noise, by tiles that equal the whole.

A network's convolutions may round differently on pictures of different sizes. So the denoiser only ever sees
blocks of one size, which lie at the same places of a picture whatever window is rendered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from enhance_cli.imaging.opacity import quantiles
from enhance_cli.methods.clode import HALO

if TYPE_CHECKING:
    from enhance_cli.types import Array, Window

BLOCK = 256
"""Side of a block without its context, which is an eighth more to compute; tiles of the stream hold whole blocks."""

FAINT, PLAIN = 0.001, 0.002
"""Added noise, as a share of white, below which nothing is removed and above which everything is: a quarter of a
grey level cannot be seen, half of one shows in a flat dark plane. Night photographs add 7 to 30 thousandths."""

SEEN = 0.5
"""Mean opacity of a patch from which on noise is judged on it: what stands where it is hidden is smooth."""

_PATCHES, _PATCH = 16, 16
"""Noise is judged on 16x16 patches of 16x16 pixels, spread over the picture."""


def visible_noise(pixels: Array, shift: Array, weights: Array | None = None) -> float:
    """The noise that a shift adds to a picture, as a share of white: the lower quartile over the patches it lifts.

    Per patch: the noise of luma from second differences across the diagonal, times what the curve's slope adds to
    it. Texture looks like noise to differences, so the flatter patches are believed; black and white ones, where
    noise is clipped, are not asked. Where fewer than a tenth of the patches are lifted there is nothing to say.

    Args:
        pixels: H×W×3 uint8 or uint16.
        shift: 3×h×w logit shift of a proxy of any size.
        weights: H×W opacity; None where all pixels count alike. Patches count by what is seen of them.
    """
    height, width = pixels.shape[:2]
    white = float(np.iinfo(pixels.dtype).max)
    side_y, side_x = min(_PATCH, height), min(_PATCH, width)
    if min(side_y, side_x) < 2:
        return 0.0
    added, counted, asked = [], [], 0.0
    for top in np.unique(np.linspace(0, height - side_y, _PATCHES).astype(int)):
        for left in np.unique(np.linspace(0, width - side_x, _PATCHES).astype(int)):
            patch = pixels[top : top + side_y, left : left + side_x].astype(np.float32) / white
            luma = patch @ np.array([0.299, 0.587, 0.114], np.float32)
            tone = float(luma.mean())
            if not 0.01 < tone < 0.97:
                continue
            share = 1.0
            if weights is not None:
                share = float(weights[top : top + side_y, left : left + side_x].mean())
                if share < SEEN * float(np.iinfo(weights.dtype).max):
                    continue
            asked += share
            diagonal = luma[1:, 1:] - luma[:-1, 1:] - luma[1:, :-1] + luma[:-1, :-1]
            sigma = 0.5 * 1.2533 * float(np.abs(diagonal).mean())
            i = (top + side_y // 2) * shift.shape[1] // height
            j = (left + side_x // 2) * shift.shape[2] // width
            gain = float(np.exp(shift[:, i, j].mean()))
            slope = gain / (1.0 - tone + tone * gain) ** 2
            if slope > 1.0:
                added.append(sigma * np.sqrt(slope * slope - 1.0))
                counted.append(share)
    if 10 * sum(counted) <= asked:
        return 0.0
    return float(quantiles(np.array(added), (0.25,), None if weights is None else np.array(counted))[0])


def strength_for(noise: float) -> float:
    """`--denoise auto`: nothing below `FAINT`, everything above `PLAIN`, a line between; small shares are none."""
    strength = min(max((noise - FAINT) / (PLAIN - FAINT), 0.0), 1.0)
    return round(strength, 2) if strength > 0.1 else 0.0


def noise_of(light: Array, window: Window, height: int, width: int, network: Callable[..., dict[str, Array]]) -> Array:
    """What a denoiser calls noise in a window of light.

    Within `HALO` pixels of a window's edge that is no edge of the picture, the result is not to be used.

    Args:
        light: 3×h×w float32, the window's light.
        window: where it lies.
        height: rows of the whole picture.
        width: columns of the whole picture.
        network: `image` 1×3×h×w to `noise` 1×3×h×w, looking no further than `HALO` pixels.

    Returns:
        float32 3×h×w.
    """
    _, rows, columns = light.shape
    noise = np.zeros_like(light)
    top, bottom = _believed(window.top, rows, height)
    left, right = _believed(window.left, columns, width)
    for block_top in range(top // BLOCK * BLOCK, bottom, BLOCK):
        down, inner_down = _places(block_top, window.top, rows, top, bottom)
        for block_left in range(left // BLOCK * BLOCK, right, BLOCK):
            across, inner_across = _places(block_left, window.left, columns, left, right)
            image = np.ascontiguousarray(light[:, down][:, :, across][None])
            found = network(image=image)["noise"][0]
            noise[:, inner_down.start - window.top : inner_down.stop - window.top,
                  inner_across.start - window.left : inner_across.stop - window.left] = found[
                :,
                inner_down.start - block_top + HALO : inner_down.stop - block_top + HALO,
                inner_across.start - block_left + HALO : inner_across.stop - block_left + HALO,
            ]  # fmt: skip
    return noise


def _believed(start: int, count: int, length: int) -> tuple[int, int]:
    """The part of a window's side, in the whole picture's coordinates, that has its context or needs none."""
    first = start + (HALO if start > 0 else 0)
    last = start + count - (HALO if start + count < length else 0)
    return (first, last) if first < last else (start, start)


def _places(block: int, start: int, count: int, first: int, last: int) -> tuple[slice | Array, slice]:
    """Where a block with its context reads in the window, borders repeated, and what of it is wanted."""
    begin, end = block - HALO - start, block + BLOCK + HALO - start
    inside = begin >= 0 and end <= count  # a view; gathering by indices costs as much as the network
    reads = slice(begin, end) if inside else np.clip(np.arange(begin, end), 0, count - 1)
    return reads, slice(max(block, first), min(block + BLOCK, last))
