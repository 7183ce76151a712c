"""The networks of CLODE: how fast each pixel brightens at a time, and the noise to take away.

Paper: "CLODE: Continuous Exposure Learning for Low-light Image Enhancement using Neural ODEs". `FullEstimator` and
`FullDenoiser` are the paper's networks by METHODS 2.2 (22,275 + 184,830 parameters); `LiteEstimator` and
`LiteDenoiser` are ours for CPUs: a rate that is nearly a function of a pixel's own tone and of the picture's
statistics, which cannot draw halos, and a depth-wise filter. Only the networks here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

OUTPUTS = ("rate",)
"""What an estimator returns; every network here names its own in `outputs`, a denoiser `noise`."""

HALO = {"full": 2, "lite": 5}
"""Pixels beyond a tile that a denoiser of each kind looks at: what lies further changes nothing inside."""

SLOPE = 0.2
"""Of the leaky rectifiers of both denoisers [C]."""


class FullDenoiser(nn.Module):
    """g, the network of ZS-N2N: a noisy picture in, its noise out."""

    outputs = ("noise",)

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.third = nn.Conv2d(width, 3, 1)

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """The noise of N×3×H×W light in 0..1; the clean picture is the difference."""
        hidden = functional.leaky_relu(self.first(image), SLOPE)
        return (self.third(functional.leaky_relu(self.second(hidden), SLOPE)),)


class LiteDenoiser(nn.Module):
    """A lighter g: one full convolution, then two depth-wise ones, of which the second looks further.

    The last layer starts at zero: untrained, it takes nothing away.
    """

    outputs = ("noise",)

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.near = _separable(width, 1)
        self.far = _separable(width, 3)
        self.last = nn.Conv2d(width, 3, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """As `FullDenoiser.forward`."""
        hidden = functional.leaky_relu(self.first(image), SLOPE)
        hidden = hidden + functional.leaky_relu(self.near(hidden), SLOPE)
        hidden = hidden + functional.leaky_relu(self.far(hidden), SLOPE)
        return (self.last(hidden),)


def _separable(width: int, dilation: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, groups=width, bias=False),
        nn.Conv2d(width, width, 1),
    )


class TimedConvolution(nn.Module):
    """A convolution of the time, as a plane of its own before the others, and of feature maps [C]."""

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1 + inputs, outputs, size, padding=size // 2, padding_mode="reflect")

    def forward(self, time: Tensor, maps: Tensor) -> Tensor:
        """Convolve; the time is N×1×H×W."""
        return self.layer(torch.cat([time, maps], dim=1))  # type: ignore[no-any-return]


class FullEstimator(nn.Module):
    """h behind g: the paper's estimator of the rate; both sides of its input must be at least 3 pixels."""

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
        self.narrow = nn.GroupNorm(1, width)  # one for all layers of a width [C]
        self.wide = nn.GroupNorm(1, 2 * width)

    def forward(self, image: Tensor, time: Tensor) -> tuple[Tensor]:
        """The rate a in -1..1 of dI/dt = a I (1 - I) for N×3×H×W light in 0..1 at a time (1 or N)."""
        clean = image - self.denoiser(image)[0]
        t = time.reshape(-1, 1, 1, 1) * torch.ones_like(image[:, :1])
        z1 = torch.relu(self.narrow(self.z1(t, torch.cat([clean, 1.0 - clean], dim=1))))
        z2 = torch.cat([torch.relu(self.narrow(layer(t, z1))) for layer in (self.a3, self.a5)], dim=1)
        z3 = torch.cat([torch.relu(self.wide(layer(t, z2))) for layer in (self.b3, self.b5)], dim=1)
        z4 = torch.relu(self.narrow(self.z4(t, z3)))
        # The paper's network gives A of dI/dt = A (I² - I): its sign is turned, so that positive brightens.
        return (-torch.tanh(self.rate(t, z4)),)


class LiteEstimator(nn.Module):
    """Rates from a pixel's tone, its eight neighbours and the statistics of the whole picture.

    One shared rate, and three small deviations that sum to zero, so that hues hardly turn.
    """

    outputs = ("rate",)

    def __init__(self, width: int = 24, context: int = 32, levels: int = 12, deviation: float = 0.1) -> None:
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
        """As `FullEstimator.forward`, for pictures of any size."""
        root = torch.sqrt(image.clamp(min=0.0) + 1e-4)
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
        """The picture in numbers: time, means and deviations, and how much of it is darker than a few levels.

        The shares are a soft cumulative histogram of the root of the brightest channel: quantiles read the other
        way round, in sums alone, which cost less than sorting and have a gradient everywhere.
        """
        mean = image.mean(dim=(2, 3))
        deviation = torch.sqrt(((image - mean[:, :, None, None]) ** 2).mean(dim=(2, 3)) + 1e-6)
        brightest = root.amax(dim=1, keepdim=True)
        shares = torch.sigmoid((brightest - self.levels) * 25.0).mean(dim=(2, 3))
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
