"""The networks of CLODE: the rate at which each pixel brightens at a given time, and the noise to remove.

Paper: "CLODE: Continuous Exposure Learning for Low-light Image Enhancement using Neural ODEs". `FullEstimator` and
`FullDenoiser` are the paper's networks (docs/papers.md, O3; 22,275 + 184,830 parameters); `LiteEstimator` and
`LiteDenoiser` are ours for CPUs: a rate that is nearly a function of a pixel's own tone and of the image's
statistics, which cannot cause halos, and a filter on detail bands. Only the networks here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

OUTPUTS = ("rate",)
"""Output names of the estimators; each network lists its own in `outputs`, which for a denoiser is `noise`."""

HALO = {"full": 2, "lite": 8}
"""Receptive field of each kind of denoiser beyond a tile, in pixels to each side."""

SLOPE = 0.2
"""Negative slope of the leaky ReLUs of both denoisers, as in the paper's code."""


class FullDenoiser(nn.Module):
    """g, the network of ZS-N2N: a noisy image in, its noise out."""

    outputs = ("noise",)

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.third = nn.Conv2d(width, 3, 1)

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """The noise of N×3×H×W light in 0..1; the clean image is the difference."""
        hidden = functional.leaky_relu(self.first(image), SLOPE)
        return (self.third(functional.leaky_relu(self.second(hidden), SLOPE)),)


class LiteDenoiser(nn.Module):
    """A lighter g: it learns the share of noise in each detail band, so it cannot invent detail.

    An image's luma and its two colour differences are split into three detail bands, each coarser than the one before,
    and a residual. From the strength of the bands around a pixel, their ratios and its own tone, a pointwise network
    predicts the share of noise in each. White noise is strong in the finest band, edges are strong in all of them.
    """

    outputs = ("noise",)

    forth: Tensor
    back: Tensor
    smooth: Tensor
    around: Tensor

    def __init__(self, width: int = 16, bands: int = 3) -> None:
        super().__init__()
        self.bands = bands
        self.hidden = nn.Conv2d(2 * bands + 1, width, 1)
        self.share = nn.Conv2d(width, 2 * bands, 1)
        to_luma = torch.tensor(((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312)))
        smooth = torch.tensor((0.25, 0.5, 0.25))
        self.register_buffer("forth", to_luma.reshape(3, 3, 1, 1), persistent=False)
        self.register_buffer("back", torch.linalg.inv(to_luma).reshape(3, 3, 1, 1), persistent=False)
        self.register_buffer("smooth", (smooth[:, None] * smooth).repeat(3, 1, 1, 1), persistent=False)
        self.register_buffer("around", torch.full((2 * bands, 1, 3, 3), 1.0 / 9.0), persistent=False)

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """As `FullDenoiser.forward`."""
        rest = functional.conv2d(image, self.forth)
        details, strengths = [], []
        for band in range(self.bands):
            reach = 2**band
            around = functional.pad(rest, (reach,) * 4, mode="replicate")
            smoother = functional.conv2d(around, self.smooth, dilation=reach, groups=3)
            detail = rest - smoother
            details.append(detail)
            size = detail.abs()
            strengths.append(torch.cat([size[:, :1], size[:, 1:2] + size[:, 2:]], dim=1))
            rest = smoother
        strength = functional.pad(torch.cat(strengths, dim=1), (1, 1, 1, 1), mode="replicate")
        strength = torch.log(functional.conv2d(strength, self.around, groups=2 * self.bands) + 2e-3) + 4.0
        hidden = functional.leaky_relu(self.hidden(torch.cat([strength, rest[:, :1]], dim=1)), SLOPE)
        share = torch.sigmoid(self.share(hidden))
        noise = torch.zeros_like(image)
        for band, detail in enumerate(details):
            luma, colour = share[:, 2 * band : 2 * band + 1], share[:, 2 * band + 1 : 2 * band + 2]
            noise = noise + torch.cat([luma, colour, colour], dim=1) * detail
        return (functional.conv2d(noise, self.back),)


class TimedConvolution(nn.Module):
    """A convolution of feature maps with the time as an additional first plane, as published."""

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1 + inputs, outputs, size, padding=size // 2, padding_mode="reflect")

    def forward(self, time: Tensor, maps: Tensor) -> Tensor:
        """Convolve; the time is N×1×H×W."""
        return self.layer(torch.cat([time, maps], dim=1))  # type: ignore[no-any-return]


class FullEstimator(nn.Module):
    """h after g: the paper's estimator of the rate; both sides of its input must be at least 3 pixels."""

    outputs = ("rate",)

    def __init__(self, width: int = 32, denoiser: int = 48) -> None:
        super().__init__()
        self.denoiser = FullDenoiser(denoiser)
        self.z1 = TimedConvolution(6, width, 3)
        self.a3 = TimedConvolution(width, width, 3)
        self.a5 = TimedConvolution(width, width, 5)
        self.b3 = TimedConvolution(2 * width, 2 * width, 3)
        self.b5 = TimedConvolution(2 * width, 2 * width, 5)
        self.z4 = TimedConvolution(4 * width, width, 1)
        self.rate = TimedConvolution(width, 3, 3)
        self.narrow = nn.GroupNorm(1, width)  # one for all layers of a width, as in the paper's code
        self.wide = nn.GroupNorm(1, 2 * width)

    def forward(self, image: Tensor, time: Tensor) -> tuple[Tensor]:
        """The rate a in -1..1 of dI/dt = a I (1 - I) for N×3×H×W light in 0..1 at a time (1 or N)."""
        clean = image - self.denoiser(image)[0]
        t = time.reshape(-1, 1, 1, 1) * torch.ones_like(image[:, :1])
        z1 = torch.relu(self.narrow(self.z1(t, torch.cat([clean, 1.0 - clean], dim=1))))
        z2 = torch.cat([torch.relu(self.narrow(layer(t, z1))) for layer in (self.a3, self.a5)], dim=1)
        z3 = torch.cat([torch.relu(self.wide(layer(t, z2))) for layer in (self.b3, self.b5)], dim=1)
        z4 = torch.relu(self.narrow(self.z4(t, z3)))
        # The paper's network gives A of dI/dt = A (I² - I): the sign is flipped, so that positive brightens.
        return (-torch.tanh(self.rate(t, z4)),)


class LiteEstimator(nn.Module):
    """Rates from a pixel's tone, its eight neighbours and the statistics of the whole image.

    One shared rate, and three small deviations that sum to zero, so that hues hardly shift.
    """

    outputs = ("rate",)

    def __init__(self, width: int = 16, context: int = 32, levels: int = 12, deviation: float = 0.05) -> None:
        super().__init__()
        self.deviation = deviation
        self.levels = nn.Parameter(torch.linspace(0.06, 0.98, levels).reshape(1, levels, 1, 1))
        self.statistics = nn.Linear(levels + 7, context)
        self.tone = nn.Conv2d(7, width, 1)
        self.tone_norm = nn.GroupNorm(1, width)
        self.tone_context = nn.Linear(context, width)
        self.near = nn.Conv2d(width, width, 3, padding=1, padding_mode="replicate")
        self.near_norm = nn.GroupNorm(1, width)
        self.near_context = nn.Linear(context, width)
        self.mix = nn.Conv2d(2 * width, width, 1)
        self.rate = nn.Conv2d(width, 4, 1)

    def forward(self, image: Tensor, time: Tensor) -> tuple[Tensor]:
        """As `FullEstimator.forward`, for images of any size."""
        root = torch.sqrt(image + 1e-4)
        context = torch.relu(self.statistics(self.describe(image, root, time)))
        t = time.reshape(-1, 1, 1, 1) / 3.0 * torch.ones_like(image[:, :1])
        tone = self.tone_norm(self.tone(torch.cat([t, image, root], dim=1)))
        tone = torch.relu(tone + self.tone_context(context)[:, :, None, None])
        near = torch.relu(self.near_norm(self.near(tone)) + self.near_context(context)[:, :, None, None])
        rates = self.rate(torch.relu(self.mix(torch.cat([tone, near], dim=1))))
        apart = torch.tanh(rates[:, 1:])
        apart = apart - apart.mean(dim=1, keepdim=True)
        # Bounded as the paper's rate is: |a| < 1 for every channel.
        return (torch.tanh(rates[:, :1]) * (1.0 - 1.34 * self.deviation) + self.deviation * apart,)

    def describe(self, image: Tensor, root: Tensor, time: Tensor) -> Tensor:
        """Statistics of the image: time, means and deviations, and the shares of pixels darker than a few levels.

        The shares are a soft cumulative histogram of the square root of the largest channel. They carry the same
        information as quantiles, but by sums alone, which cost less than sorting and have a gradient everywhere.
        """
        mean = image.mean(dim=(2, 3))
        deviation = torch.sqrt(((image - mean[:, :, None, None]) ** 2).mean(dim=(2, 3)) + 1e-6)
        brightest = root.amax(dim=1, keepdim=True)
        # Every second pixel of every second row is enough.
        shares = torch.sigmoid((brightest[:, :, ::2, ::2] - self.levels) * 25.0).mean(dim=(2, 3))
        return torch.cat([time.reshape(-1, 1) / 3.0 + 0.0 * mean[:, :1], mean, 2.0 * deviation, shares], dim=1)


def build(configuration: Mapping[str, Any]) -> nn.Module:
    """The network that a weights file describes: `part` estimator or denoiser, `kind` full or lite, and sizes.

    Raises:
        ValueError: there is no such network.
    """
    sizes = dict(configuration)
    match sizes.pop("part", None), sizes.pop("kind", None):
        case "estimator", "full":
            return FullEstimator(**sizes)
        case "estimator", "lite":
            return LiteEstimator(**sizes)
        case "denoiser", "full":
            return FullDenoiser(**sizes)
        case "denoiser", "lite":
            return LiteDenoiser(**sizes)
    raise ValueError(f"no network of clode is described by {dict(configuration)}")
