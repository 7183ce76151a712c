"""The layers of RANLEN that both networks of `local` are made of; each reads the mask that it is called with.

Paper: "Local low-light image enhancement via region-aware normalization" (RANLEN; docs/papers.md, L1).

A mask is N×2×H×W: plane 0 is area A (lit), as 0 or 1, or means of it where it was made small; plane 1 is the fall-off:
1 in A, falling to 0 through area B (the transition), 0 in area C (unchanged). The paper's second plane is 1 in all of
B: a step, which what works at full resolution would draw into the image.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

LOW = 96
"""Both sides of the image that the estimators see: squeezed to a square, as in both papers."""

AREA_A = 0
"""The plane of a mask that says what is lit."""

FALL_OFF = 1
"""The plane of a mask that layers at full resolution read."""

CALM = 0.1
"""Factor between the layers of RANLEN's CNNs. Each of gamma and beta is a sum over 144 inputs, all of which Adam moves
as far as it moves a single constant: without the factor they oscillate, and the layer learns less than a constant."""


class RegionNorm(nn.Module):
    """The RANLEN layer: gamma(M) (h - mu) / sigma + beta(M), eq. 1.

    It takes the place of a batch normalisation and starts as that: gamma and beta, two-layer CNNs of the mask with a
    common first layer, begin as 1 and 0.

    Args:
        channels: of the features.
        hidden: channels of the CNNs' first layer.
    """

    def __init__(self, channels: int, hidden: int = 16) -> None:
        super().__init__()
        self.normalise = nn.BatchNorm2d(channels, affine=False)
        self.shared, self.gamma, self.beta = (
            convolution(inputs, outputs) for inputs, outputs in ((2, hidden), (hidden, channels), (hidden, channels))
        )
        for layer, constant in ((self.gamma, 1.0), (self.beta, 0.0)):
            nn.init.zeros_(layer.weight)
            nn.init.constant_(cast(Tensor, layer.bias), constant)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Normalise N×C×h×w features and modulate them by a mask of any size."""
        shared = CALM * torch.relu(self.shared(means(mask, *features.shape[2:])))
        return cast(Tensor, self.gamma(shared) * self.normalise(features) + self.beta(shared))


def modulate(network: nn.Module) -> None:
    """Put a `RegionNorm` into the place of each batch normalisation among a network's layers.

    A network calls this when all of its layers are made, so that the others start as in the global network.
    """
    for name, layer in list(network.named_children()):
        if isinstance(layer, nn.BatchNorm2d):
            setattr(network, name, RegionNorm(layer.num_features))


class FallOffConvolution(nn.Module):
    """A 1×1 convolution that also reads the fall-off; it starts as the convolution that it takes the place of."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.layer = nn.Conv2d(layer.in_channels + 1, layer.out_channels, 1)
        with torch.no_grad():
            self.layer.weight.zero_()
            self.layer.weight[:, : layer.in_channels].copy_(layer.weight)
            cast(Tensor, self.layer.bias).copy_(cast(Tensor, layer.bias))

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Convolve features and the fall-off of a mask of their size."""
        return cast(Tensor, self.layer(torch.cat([features, plane(mask, FALL_OFF)], dim=1)))


class Tail(nn.Module):
    """One more convolution after a network's output, to refine it: of the output and the fall-off, added to it.

    Weights start at zero, so that the image is at first what the network made of it.
    """

    def __init__(self) -> None:
        super().__init__()
        # A list of one: its name is part of the weights files.
        self.layers = nn.ModuleList([nn.Conv2d(4, 3, 3, padding=1, padding_mode="replicate")])
        nn.init.zeros_(self.convolution.weight)
        nn.init.zeros_(cast(Tensor, self.convolution.bias))

    @property
    def convolution(self) -> nn.Conv2d:
        """The layer: 3×4×3×3 of the lit red, green and blue and the fall-off."""
        return cast(nn.Conv2d, self.layers[0])

    def forward(self, lit: Tensor, mask: Tensor) -> Tensor:
        """Refine N×3×H×W under a mask of its size."""
        return cast(Tensor, lit + self.convolution(torch.cat([lit, plane(mask, FALL_OFF)], dim=1)))


class Statistics(nn.Module):
    """Statistics of the light in area A: they carry the exposure, and cannot cause halos.

    Means and deviations of the channels, the logarithm of the mean, and a soft cumulative histogram of the square root
    of the largest channel, over area A alone: the brightness of the rest has no influence.
    """

    def __init__(self, levels: int = 12) -> None:
        super().__init__()
        self.levels = nn.Parameter(torch.linspace(0.04, 0.96, levels).reshape(1, levels, 1, 1))
        self.count = levels + 7

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """N×count from N×3×h×w, under a mask of any size."""
        # A mask without area A leaves the whole image.
        weight = means(plane(mask, AREA_A), *image.shape[2:]) + 1e-4
        weight = weight / weight.sum(dim=(2, 3), keepdim=True)
        mean = (image * weight).sum(dim=(2, 3))
        deviation = torch.sqrt(((image - mean[:, :, None, None]) ** 2 * weight).sum(dim=(2, 3)) + 1e-6)
        light = torch.log2(mean.mean(dim=1, keepdim=True) + 0.004) / 4.0 + 1.0
        brightest = torch.sqrt(image.amax(dim=1, keepdim=True) + 1e-6)
        shares = (torch.sigmoid((brightest - self.levels) * 25.0) * weight).sum(dim=(2, 3))
        return torch.cat([mean, 2.0 * deviation, light, shares], dim=1)


def plane(mask: Tensor, index: int) -> Tensor:
    """One plane of a mask, N×1×H×W."""
    return mask[:, index : index + 1]


def means(maps: Tensor, rows: int, columns: int) -> Tensor:
    """Area means of N×C×H×W at N×C×rows×columns.

    They keep the share of a mask that is thinner than a cell; the nearest pixel would lose it.
    """
    height, width, rows, columns = int(maps.shape[2]), int(maps.shape[3]), int(rows), int(columns)
    if (height, width) == (rows, columns):
        return maps
    if height % rows == 0 and width % columns == 0:
        return functional.avg_pool2d(maps, (height // rows, width // columns))  # what ONNX has
    return functional.adaptive_avg_pool2d(maps, (rows, columns))


def convolution(inputs: int, outputs: int, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    """A 3×3 convolution with replicated borders.

    With zeros beyond the border, flat images would not stay flat along it, and a mask would end there in area C.
    """
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, padding_mode="replicate", bias=bias)
