"""The formulas of retinex in torch, for training and for the CUDA kernels; `formulas` documents them.

Images are …×3×H×W in 0..1, and maps …×1×H×W.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from enhance_cli.imaging.finish_torch import kept_highlights
from enhance_cli.methods.retinex.formulas import (
    DARKEST,
    HIGHLIGHT,
    LEAST,
    LEAST_OF_NEGATIVE,
    LUMA,
    LUMA_QUANTILES,
    NEARLY_WHITE,
    OCTAVES,
    OFFSET,
    SATURATION,
    TOE,
)


def bright_channel(image: Tensor) -> Tensor:
    """Max RGB."""
    return image.amax(dim=-3, keepdim=True)


def luma(image: Tensor) -> Tensor:
    """BT.601 luma."""
    return (image * image.new_tensor(LUMA).reshape(3, 1, 1)).sum(dim=-3, keepdim=True)


def squash(light: Tensor) -> Tensor:
    """Light 0..1 on a logarithmic scale from -1 to 1."""
    return torch.log2(light + DARKEST) / OCTAVES + 1.0


def illuminated(channel: Tensor, tone: Tensor, k: Tensor, o: Tensor) -> Tensor:
    """L = b + (1 - b) sigmoid(k u + o) of a channel b with tones u: never below it."""
    return channel + (1.0 - channel) * torch.sigmoid(k * tone + o)


def candidates(image: Tensor, light: Tensor, light_of_negative: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """I_U, I and I_O of an image, with both illuminations raised to their powers."""
    return divided(image, light), image, divided_negative(image, light_of_negative)


def divided(image: Tensor, light: Tensor) -> Tensor:
    """I_U = I / L: the image under full light."""
    return (image / light.clamp(min=LEAST)).clamp(0.0, 1.0)


def divided_negative(image: Tensor, light: Tensor) -> Tensor:
    """I_O: the same for the negative, with bounds on white, nearly white pixels and saturation."""
    light = light.clamp(min=LEAST_OF_NEGATIVE)
    offset = OFFSET * light * (1.0 - light)
    negative = 1.0 - image
    dark = bright_channel(negative)
    trusted = dark / (dark + TOE * (1.0 - light)).clamp(min=NEARLY_WHITE)
    quotient = 1.0 - (negative * trusted + offset) / (light + offset)
    grey = luma(quotient)
    kept = (SATURATION * (light + offset)).clamp(max=1.0)
    return (grey + kept * (quotient - grey)).clamp(0.0, 1.0)


def kept_white(output: Tensor, image: Tensor) -> Tensor:
    """Darkened highlights rolled back towards the input, so that white stays white."""
    return kept_highlights(output, image, HIGHLIGHT)


def luma_statistics(image: Tensor) -> Tensor:
    """Seven quantiles and the mean of luma of N×3×H×W, N×8: all global information about a candidate in `Fusion`."""
    values = luma(image).flatten(1)
    return torch.cat([quantiles(values, LUMA_QUANTILES), values.mean(dim=1, keepdim=True)], dim=1)


def thinned(image: Tensor) -> Tensor:
    """Every second pixel of every second row, which is enough for a downscaled image."""
    return image[..., ::2, ::2]


def quantiles(values: Tensor, shares: Sequence[float]) -> Tensor:
    """Quantiles of each row of N×K without interpolation: the lowest value that a share of the row does not exceed."""
    places = [round(share * (int(values.shape[1]) - 1)) for share in shares]
    return torch.sort(values, dim=1).values[:, places]
