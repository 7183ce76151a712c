"""DeepUPE-RANLEN: the global network after DeepUPE, made local by the layers of RANLEN.

Papers: "Underexposed photo enhancement using deep illumination estimation" (DeepUPE) and "Local low-light image
enhancement via region-aware normalization" (RANLEN; docs/papers.md, L1, L2 and T1).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from enhance_cli.methods.local.network_layers import (
    AREA_A,
    FALL_OFF,
    LOW,
    FallOffConvolution,
    Statistics,
    convolution,
    means,
    modulate,
    plane,
)


class DeepUpe(nn.Module):
    """A global enhancer after DeepUPE: I / S, with the illumination S from a bilateral grid of affine coefficients.

    Ours is narrow (the paper's million parameters cannot be fed by a thousand photos), pools its global branch
    over area A, knows the statistics of area A, and keeps S between I and 1 by a sigmoid, S = I + (1 - I)
    sigmoid(affine(I)), where the paper clips: nothing saturates, and black and white stay. S is `tied` to the fall-off:
    cells of 1/12 of the image cannot follow the edge of a mask.
    """

    def __init__(self, width: int = 24, bins: int = 8, context: int = 32, guide: int = 16) -> None:
        super().__init__()
        self.bins = bins
        self.statistics = Statistics()
        self.splat_1 = convolution(3, 8, 2)
        self.splat_2, self.splat_norm_2 = convolution(8, 16, 2, bias=False), nn.BatchNorm2d(16)
        self.splat_3, self.splat_norm_3 = convolution(16, width, 2, bias=False), nn.BatchNorm2d(width)
        self.global_1, self.global_norm_1 = convolution(width, width, 2, bias=False), nn.BatchNorm2d(width)
        self.global_2, self.global_norm_2 = convolution(width, width, 2, bias=False), nn.BatchNorm2d(width)
        self.context = nn.Linear(width + self.statistics.count, context)
        self.whole = nn.Linear(context, width)
        self.local_1, self.local_norm = convolution(width, width, bias=False), nn.BatchNorm2d(width)
        self.local_2 = nn.Conv2d(width, width, 1, bias=False)
        self.fused_norm = nn.BatchNorm2d(width)
        self.coefficients = nn.Conv2d(width, 12 * bins, 1)
        self.guide = Guide(guide)
        with torch.no_grad():
            self.coefficients.weight.mul_(0.3)
            constant = torch.zeros(12, bins)
            constant[3::4] = 1.0
            # At the start every pixel is a little brightened, whatever it is.
            cast(Tensor, self.coefficients.bias).copy_(constant.reshape(-1))
        modulate(self)
        self.guide.hidden = FallOffConvolution(cast(nn.Conv2d, self.guide.hidden))

    def grid(self, low: Tensor, mask: Tensor) -> Tensor:
        """The bilateral grid N×12×bins×(side/8)×(side/8) from N×3×side×side, under a mask of any size."""
        splat = torch.relu(self.splat_1(low))
        splat = torch.relu(self.splat_norm_2(self.splat_2(splat), mask))
        splat = torch.relu(self.splat_norm_3(self.splat_3(splat), mask))
        coarse = torch.relu(self.global_norm_1(self.global_1(splat), mask))
        coarse = torch.relu(self.global_norm_2(self.global_2(coarse), mask))
        inside = means(plane(mask, AREA_A), *coarse.shape[2:]) + 1e-4
        pooled = (coarse * inside).sum(dim=(2, 3)) / inside.sum(dim=(2, 3))
        context = torch.relu(self.context(torch.cat([pooled, self.statistics(low, mask)], dim=1)))
        near = self.local_2(torch.relu(self.local_norm(self.local_1(splat), mask)))
        fused = self.fused_norm(torch.relu(near + self.whole(context)[:, :, None, None]), mask)
        grid: Tensor = self.coefficients(fused)
        return grid.reshape(grid.shape[0], 12, self.bins, *grid.shape[2:])

    def forward(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The lit image and its illumination S, both N×3×H×W, of N×3×H×W in 0..1 under a mask of its size."""
        coefficients = slice_grid(self.grid(means(image, LOW, LOW), mask), self.guide(image, mask))
        illumination = image + (1.0 - image) * torch.sigmoid(affine(coefficients, image))
        return tied(image, illumination, plane(mask, FALL_OFF))


def tied(image: Tensor, illumination: Tensor, fall_off: Tensor) -> tuple[Tensor, Tensor]:
    """I / S' with the illumination tied to the fall-off t, and S': logit S' = logit S - log t.

    That is S' = S / (S + t (1 - S)): S where t is 1, 1 where t is 0, and between them I / S' = I + t (I / S - I): light
    in C is exactly none, and falls as evenly as t whatever S is. A blend of S itself would not: of a darkness that S
    lifts twentyfold, half of t would lift twofold.

    Args:
        image: N×3×H×W in 0..1.
        illumination: S, N×3×H×W in 0..1.
        fall_off: t, N×1×H×W in 0..1.
    """
    illumination = illumination.clamp(min=1e-4)
    gain = 1.0 + fall_off * (1.0 / illumination - 1.0)
    return image * gain, 1.0 / gain


class Guide(nn.Module):
    """Where a pixel lies along the grid's third axis: a pointwise network of its channels' roots and the fall-off.

    The fall-off is read by what `DeepUpe` puts into the place of `hidden`.
    """

    hidden: nn.Module

    def __init__(self, hidden: int = 16) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(3, hidden, 1)
        self.out = nn.Conv2d(hidden, 1, 1)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """N×1×H×W in 0..1 of N×3×H×W under a mask of its size."""
        # In roots the shadows, where most happens, have their share of the axis.
        return torch.sigmoid(self.out(torch.relu(self.hidden(torch.sqrt(image.clamp(min=0.0)), mask))))


def slice_grid(grid: Tensor, guide: Tensor) -> Tensor:
    """Coefficients of every pixel, trilinear between the centres of cells: N×C×H×W.

    Args:
        grid: N×C×bins×rows×columns.
        guide: N×1×H×W in 0..1.
    """
    height, width = guide.shape[2:]
    y = (torch.arange(height, dtype=grid.dtype, device=grid.device) + 0.5) * (2.0 / height) - 1.0
    x = (torch.arange(width, dtype=grid.dtype, device=grid.device) + 0.5) * (2.0 / width) - 1.0
    place = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).expand(grid.shape[0], height, width, 2)
    at = torch.cat([place, guide[:, 0, :, :, None] * 2.0 - 1.0], dim=-1)[:, None]
    sliced = functional.grid_sample(grid, at, mode="bilinear", padding_mode="border", align_corners=False)
    return sliced[:, :, 0]


def affine(coefficients: Tensor, image: Tensor) -> Tensor:
    """A 3×4 matrix for every pixel (N×12×H×W, rows first) times (r, g, b, 1): N×3×H×W."""
    rows = coefficients.reshape(coefficients.shape[0], 3, 4, *coefficients.shape[2:])
    return (rows[:, :, :3] * image[:, None]).sum(dim=2) + rows[:, :, 3]
