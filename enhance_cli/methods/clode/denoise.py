"""How much noise a shift makes visible, and the denoiser's noise estimate, identical for any window.

A network's convolutions may round differently on images of different sizes. So the denoiser only ever sees
blocks of one size, which lie at the same positions in an image whatever window is rendered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from enhance_cli.imaging.blocks import Region
from enhance_cli.imaging.opacity import quantiles
from enhance_cli.methods.clode import HALO

if TYPE_CHECKING:
    from enhance_cli.types import Array, Window

BLOCK = 256
"""Side of a block without its context, which adds an eighth of the cost; tiles of the stream hold whole blocks."""

FAINT, PLAIN = 0.001, 0.002
"""Added noise, as a share of white, below which nothing is removed and above which everything is: a quarter of a
grey level cannot be seen, half of one shows in flat dark areas. In night photos it is 0.007 to 0.03."""

SEEN = 0.5
"""Least mean opacity of a patch for noise to be measured in it: hidden pixels are filled in smoothly."""

_PATCHES, _PATCH = 16, 16
"""Noise is measured in 16x16 patches of 16x16 pixels, spread over the image."""


def visible_noise(pixels: Array, shift: Array, weights: Array | None = None) -> float:
    """The noise that a shift adds to an image, as a share of white: the lower quartile over the patches it brightens.

    Per patch: the noise of luma from diagonal second differences, times sqrt(s² - 1) for a curve of slope s.
    Differences cannot tell texture from noise, hence the lower quartile; black and white patches, where noise is
    clipped, are skipped. 0 if fewer than a tenth of the patches are brightened.

    Args:
        pixels: H×W×3 uint8 or uint16.
        shift: 3×h×w logit shift of a proxy of any size.
        weights: H×W opacity; None if all pixels count alike. Patches are weighted by their opacity.
    """
    height, width = pixels.shape[:2]
    white = float(np.iinfo(pixels.dtype).max)
    side_y, side_x = min(_PATCH, height), min(_PATCH, width)
    if min(side_y, side_x) < 2:
        return 0.0
    tops = np.unique(np.linspace(0, height - side_y, _PATCHES).astype(int))
    lefts = np.unique(np.linspace(0, width - side_x, _PATCHES).astype(int))
    tops, lefts = (places.ravel() for places in np.meshgrid(tops, lefts, indexing="ij"))
    patches = _patches(pixels, tops, lefts, side_y, side_x).astype(np.float32) / np.float32(white)
    luma = patches @ np.array([0.299, 0.587, 0.114], np.float32)
    tones = luma.mean(axis=(1, 2))
    shares = np.ones(len(tops))
    asked = (tones > 0.01) & (tones < 0.97)
    if weights is not None:
        shares = _patches(weights, tops, lefts, side_y, side_x).mean(axis=(1, 2), dtype=np.float64)
        asked &= shares >= SEEN * float(np.iinfo(weights.dtype).max)
    diagonal = luma[:, 1:, 1:] - luma[:, :-1, 1:] - luma[:, 1:, :-1] + luma[:, :-1, :-1]
    sigmas = 0.5 * 1.2533 * np.abs(diagonal).mean(axis=(1, 2))
    rows = (tops + side_y // 2) * shift.shape[1] // height
    columns = (lefts + side_x // 2) * shift.shape[2] // width
    gains = np.exp(shift[:, rows, columns].mean(axis=0))
    slopes = gains / (1.0 - tones + tones * gains) ** 2
    raised = asked & (slopes > 1.0)
    if 10 * shares[raised].sum() <= shares[asked].sum():
        return 0.0
    added = sigmas[raised] * np.sqrt(slopes[raised] ** 2 - 1.0)
    return float(quantiles(added, (0.25,), None if weights is None else shares[raised])[0])


def _patches(pixels: Array, tops: Array, lefts: Array, height: int, width: int) -> Array:
    """Patches of an image, stacked: n×height×width, with channels if it has any."""
    return np.stack([pixels[top : top + height, left : left + width] for top, left in zip(tops, lefts, strict=True)])


def strength_for(noise: float) -> float:
    """`--denoise auto`: 0 below `FAINT`, 1 above `PLAIN`, linear in between; small shares are set to 0."""
    strength = min(max((noise - FAINT) / (PLAIN - FAINT), 0.0), 1.0)
    return round(strength, 2) if strength > 0.1 else 0.0


def noise_of(
    light: Any,
    window: Window,
    height: int,
    width: int,
    network: Callable[..., dict[str, Any]],
    kernels: Any,
    run: Callable[..., Any],
) -> Any:
    """A denoiser's noise estimate for a window of light.

    The result is invalid within `HALO` pixels of a window edge that is not an edge of the image.

    Args:
        light: 3×h×w float32, the window's light: an array, or a tensor of the engine's device.
        window: its position.
        height: rows of the whole image.
        width: columns of the whole image.
        network: `image` 1×3×h×w to `noise` 1×3×h×w, with a receptive field of at most `HALO` pixels to each side.
        kernels: of the engine, `read` and `nothing`.
        run: `Engine.run`.

    Returns:
        float32 3×h×w, where `light` is.
    """
    valid = Region.valid(window, height, width, HALO)
    noise = run(kernels.nothing, light)
    for block in valid.blocks(BLOCK):
        # The network always gets arrays of one size, even if the image ends within a block.
        around = block.with_context(HALO, HALO, multiple=BLOCK + 2 * HALO)
        found = network(image=run(kernels.read, light, around, "edge", planes=True)[None])["noise"][0]
        part = block.common(valid)
        noise[:, *part.within_window] = found[:, *part.within(around)]
    return noise
