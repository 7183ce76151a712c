"""What `local` learns from: light in area A, a smooth fall-off in B, nothing changed in C (docs/papers.md, L4 to L7).

Every term is a mean over the pixels of its own area, which is the paper's sum divided by the area's share r: a small
mask counts as much as a large one. Pictures are N×3×H×W in 0..1, areas N×1×H×W of 0 and 1; every function gives a
scalar, the mean over those pictures of the batch that have the area at all, and 0 if none has.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

EXPONENT = 1.2
"""s, and theta of DeepUPE: how much less smooth the light may be where the picture has detail."""

FLOOR = 1e-4
"""epsilon of the detail-aware weights: in flat places they are 1 / epsilon."""

DARKEST = 1.0 / 255.0
"""Light below one grey level counts as one: the logarithm of quantised shadows is noise."""


class Areas(NamedTuple):
    """The three areas of a mask, N×1×H×W of 0 and 1, which add up to 1 everywhere."""

    lit: Tensor
    """A."""

    transition: Tensor
    """B."""

    unchanged: Tensor
    """C."""


def areas(mask: Tensor) -> Areas:
    """The areas of N×2×H×W: A, and the fall-off (1 in A, above 0 in B, 0 in C)."""
    lit = (mask[:, :1] >= 0.5).to(mask.dtype)
    outside = (mask[:, 1:] <= 0.0).to(mask.dtype) * (1.0 - lit)
    return Areas(lit, 1.0 - lit - outside, outside)


def area_means(error: Tensor, area: Tensor) -> Tensor:
    """The mean of N×C×H×W over the area of each picture: M values, of the M pictures that have the area."""
    count = area.sum(dim=(1, 2, 3))
    sums = (error.mean(dim=1, keepdim=True) * area).sum(dim=(1, 2, 3))
    return sums[count > 0] / count[count > 0]


def area_mean(error: Tensor, area: Tensor) -> Tensor:
    """The mean of `area_means`; 0 where no picture has the area."""
    found = area_means(error, area)
    return found.mean() if found.numel() else error.sum() * 0.0


def squared(output: Tensor, reference: Tensor, area: Tensor) -> Tensor:
    """Mean squared error: DeepUPE's reconstruction in A, and the paper's in C."""
    return area_mean((output - reference) ** 2, area)


def distance(output: Tensor, reference: Tensor, area: Tensor, floor: float) -> Tensor:
    """Root mean squared error of each picture, rounded off below `floor`.

    The square itself is ruled by the few pictures that cannot be had right, and asks nothing more of area C once its
    errors are a tenth of those of area A.
    """
    found = torch.sqrt(area_means((output - reference) ** 2, area) + floor**2) - floor
    return found.mean() if found.numel() else output.sum() * 0.0


def absolute(output: Tensor, reference: Tensor, area: Tensor) -> Tensor:
    """Mean absolute error: STAR's reconstruction in A."""
    return area_mean((output - reference).abs(), area)


def colour_angle(output: Tensor, reference: Tensor, area: Tensor) -> Tensor:
    """1 - cosine between the colours of output and reference, as vectors: 0 where hue and saturation agree."""
    product = (output * reference).sum(dim=1, keepdim=True)
    lengths = torch.sqrt(
        ((output**2).sum(dim=1, keepdim=True) + 1e-6) * ((reference**2).sum(dim=1, keepdim=True) + 1e-6)
    )
    return area_mean(1.0 - product / lengths, area)


def gradient_smooth(light: Tensor, image: Tensor, area: Tensor) -> Tensor:
    """First order, DeepUPE's own in A: squared differences of the illumination, weighted 1 / (|d log I|^1.2 + 1e-4)."""
    log = _log(image)
    total = light.sum() * 0.0
    for axis in (2, 3):
        weight = _weight(_difference(log, axis))
        total = total + area_mean(weight * _difference(light, axis) ** 2, _inside(area, axis))
    return total


def second_order_smooth(light: Tensor, image: Tensor, area: Tensor) -> Tensor:
    """The paper's loss in B, eq. 2 and 3: the light may fall off, but only at an even pace.

    Sum over u, v in {x, y} of w_uv (d_u d_v L)², w_uv = (|d_u d_v log I|^s + epsilon)^-1. A linear ramp costs nothing,
    so the loss does not prefer a flat area with a step, as one of first order does. Stencils are those whose middle (of
    the mixed one: first) pixel lies in the area; they reach one pixel into its neighbours, where a step would be.

    Args:
        light: what is to be smooth, N×3×H×W: the illumination S of a Retinex network, else the output itself.
        image: the input, which says where there is detail; without gradient.
        area: B.
    """
    log = _log(image)
    total = light.sum() * 0.0
    for axis in (2, 3):
        weight = _weight(_second(log, axis))
        total = total + area_mean(weight * _second(light, axis) ** 2, area.narrow(axis, 1, area.shape[axis] - 2))
    mixed = _difference(_difference(light, 2), 3)
    weight = _weight(_difference(_difference(log, 2), 3))
    return total + 2.0 * area_mean(weight * mixed**2, area[:, :, :-1, :-1])  # xy and yx


def flatness(output: Tensor, bright: Tensor, area: Tensor) -> Tensor:
    """How uneven each tone of flat two-tone pictures comes out, within an area: halos, measured.

    Args:
        output: N×3×H×W.
        bright: N×1×H×W, 1 in the brighter tone and 0 in the darker.
        area: where it is judged.

    Returns:
        The deviation within each tone as a share of the step between them.
    """
    values, spreads = [], []
    for part in (bright * area, (1.0 - bright) * area):
        count = part.sum(dim=(2, 3), keepdim=True).clamp(min=1.0)
        mean = (output * part).sum(dim=(2, 3), keepdim=True) / count
        values.append(mean)
        spreads.append(((output - mean) ** 2 * part).sum(dim=(2, 3), keepdim=True) / count)
    step = (values[0] - values[1]).detach().abs().clamp(min=0.05)
    return torch.stack([torch.sqrt(spread + 1e-6) / step for spread in spreads]).mean()


def _log(image: Tensor) -> Tensor:
    return torch.log(image.detach().clamp(min=DARKEST))


def _weight(detail: Tensor) -> Tensor:
    return 1.0 / (detail.abs() ** EXPONENT + FLOOR)


def _difference(maps: Tensor, axis: int) -> Tensor:
    return maps.narrow(axis, 1, maps.shape[axis] - 1) - maps.narrow(axis, 0, maps.shape[axis] - 1)


def _second(maps: Tensor, axis: int) -> Tensor:
    return _difference(_difference(maps, axis), axis)


def _inside(area: Tensor, axis: int) -> Tensor:
    """Where both pixels of a difference lie in the area."""
    return area.narrow(axis, 1, area.shape[axis] - 1) * area.narrow(axis, 0, area.shape[axis] - 1)
