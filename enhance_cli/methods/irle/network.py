"""The networks of IRLE: gain-aware denoisers.

Paper: "IRLE: Internally Referenced Low-light Enhancement" (written without its code; docs/papers.md).
`BlindDenoiser` is its second stage: pixel-unshuffle, a convolution without its centre, a U-Net of gain-aware blocks,
pixel-shuffle. Its first stage is a tone curve here (docs/irle.md says why). Only the networks here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.1
"""Negative slope of the leaky ReLUs."""

GAIN_SCALE = 1.0 / 3.0
"""The networks' input is ln(gain) / 3: 1 for a gain of 20."""


class Network(nn.Module):
    """What production needs to know about each of the networks."""

    outputs: tuple[str, ...]
    """Names of what `forward` returns."""

    multiple: int
    """The sides of an image must be multiples of this."""

    halo: int
    """Receptive field beyond a tile, in pixels to each side. A multiple of `multiple`."""

    configuration: dict[str, Any]
    """What `build` makes it from; plain JSON values."""

    def _looks(self, multiple: int, unit: int, blocks: Sequence[int], beyond: int = 0) -> None:
        """Set the multiple and the halo of a trunk whose pixels are unit×unit pixels of the image."""
        reach = 0
        for count in reversed(blocks):
            # Two convolutions per block, on the way down and up; the level below sees twice as far and one pixel more;
            # the gain adapter sees one pixel further than the block that it modulates.
            reach = 2 * count + 1 + (2 * reach + 1 + 2 * count if reach else 0)
        pixels = unit * (reach + 3) + beyond
        self.multiple, self.halo = multiple, -(-pixels // multiple) * multiple


class GainModulation(nn.Module):
    """GAFM: x (1 + scale) + shift, both predicted from the log gain at the pixel; the identity before training."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.adapt = nn.Conv2d(channels, 2 * width, 1)
        _zero(self.adapt)

    def forward(self, features: Tensor, gain: Tensor) -> Tensor:
        """Modulate N×C×H×W features by N×K×H×W features of the gain."""
        scale, shift = self.adapt(gain).chunk(2, dim=1)
        modulated: Tensor = features * (1.0 + scale) + shift
        return modulated


class GainAwareBlock(nn.Module):
    """x + convolutions of x, modulated by the gain in between; starts as the identity."""

    def __init__(self, width: int, gain: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        _zero(self.second)
        self.modulation = GainModulation(width, gain) if gain else None

    def forward(self, features: Tensor, gain: Tensor | None) -> Tensor:
        """The block of N×C×H×W features; `gain` at the same size, or None where it is not modulated."""
        hidden = self.first(features)
        if self.modulation is not None and gain is not None:
            hidden = self.modulation(hidden, gain)
        return features + self.second(functional.leaky_relu(hidden, SLOPE))  # type: ignore[no-any-return]


class GainAwareUNet(nn.Module):
    """A U-Net of gain-aware blocks; sides must be multiples of 2^(levels - 1).

    Args:
        inputs: channels that come in.
        outputs: channels that go out; zero before training.
        widths: channels of the levels.
        blocks: blocks of each level on the way down (the last is the bottom); the way up has as many.
        gain: features of the gain adapter; 0 for blocks without modulation.
    """

    def __init__(self, inputs: int, outputs: int, widths: Sequence[int], blocks: Sequence[int], gain: int) -> None:
        super().__init__()
        self.start = nn.Conv2d(inputs, widths[0], 3, padding=1)
        self.levels = nn.ModuleList(_blocks(n, w, gain) for n, w in zip(blocks, widths, strict=True))
        self.sink = nn.ModuleList(nn.Conv2d(wide, deep, 2, stride=2) for wide, deep in pairwise(widths))
        self.rise = nn.ModuleList(nn.Conv2d(deep, wide, 1) for wide, deep in pairwise(widths))
        self.returns = nn.ModuleList(_blocks(n, w, gain) for n, w in zip(blocks[:-1], widths, strict=False))
        self.end = nn.Conv2d(widths[0], outputs, 3, padding=1)
        _zero(self.end)
        # "Smoother adapter" of the paper: two convolutions of the log gain, for all blocks of a level.
        self.adapters = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(1, gain, 3, padding=1),
                nn.LeakyReLU(SLOPE),
                nn.Conv2d(gain, gain, 3, padding=1),
                nn.LeakyReLU(SLOPE),
            )
            for _ in range(len(widths) if gain else 0)
        )

    def forward(self, image: Tensor, gain: Tensor) -> Tensor:
        """N×inputs×H×W and the scaled log gain N×1×H×W to N×outputs×H×W."""
        gains: list[Tensor | None] = [None] * len(self.levels)
        for level, adapter in enumerate(self.adapters):
            gain = functional.avg_pool2d(gain, 2) if level else gain
            gains[level] = adapter(gain)
        features, skips = self.start(image), []
        for level, blocks in enumerate(self.levels):
            if level:
                skips.append(features)
                features = self.sink[level - 1](features)
            features = _through(blocks, features, gains[level])
        for level in reversed(range(len(self.returns))):
            risen = functional.interpolate(self.rise[level](features), scale_factor=2.0, mode="nearest")
            features = _through(self.returns[level], skips.pop() + risen, gains[level])
        return self.end(functional.leaky_relu(features, SLOPE))  # type: ignore[no-any-return]


def _zero(layer: nn.Conv2d) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def _blocks(count: int, width: int, gain: int) -> nn.ModuleList:
    return nn.ModuleList(GainAwareBlock(width, gain) for _ in range(count))


def _through(blocks: nn.Module, features: Tensor, gain: Tensor | None) -> Tensor:
    for block in blocks.children():
        features = block(features, gain)
    return features


class MaskedConvolution(nn.Conv2d):
    """A 3×3 convolution without its centre."""

    mask: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)
        mask = torch.ones(1, 1, 3, 3)
        mask[..., 1, 1] = 0.0
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Convolve N×C×H×W with the centre taken as zero."""
        return functional.conv2d(image, self.weight * self.mask, self.bias, padding=1)


class BlindDenoiser(Network):
    """Exactly blind: the prediction of a pixel does not depend on that pixel (J-invariance).

    A feature of the masked convolution at q sees q's eight neighbours. The feature map is then split into its four
    phases (positions equal modulo 2), and the trunk processes each separately, after a pixel-unshuffle of its own: its
    output at p comes from features at q with q - p even in both directions, and p is not a neighbour of any of them.
    Nothing crosses phases: no normalisation, no pooling. This is docs/papers.md, I7, with dilated convolutions
    written as plain ones on the phases, which is the figure's pixel-unshuffle and pixel-shuffle.

    The prediction is a mean of the pixel's surroundings at three widths, mixed pixel by pixel, plus a correction. In
    flat areas a wide mean is the right answer, and convolutions alone learn this slowly: after 3,000 iterations they
    left twice as much grain. Luma and colour are mixed separately, as colour is coarser than its noise. How much of the
    pixel itself is used is decided after the blind part, by shares in 0..1 for its luma and its colour, which are
    predicted blindly too: clean = blind + share (pixel - blind).

    A mean over possible values is smoother than the true image. So the luma of the clean image is sharpened at the
    end, by `acutance` times its middle band, where there is structure; not during training, as the network would only
    learn to undo it.
    """

    outputs = ("clean", "blind")

    surroundings: Tensor
    bands: Tensor

    def __init__(
        self,
        widths: Sequence[int] = (32, 64),
        blocks: Sequence[int] = (1, 3),
        gain: int = 8,
        first: int = 16,
        fold: int = 2,
        acutance: float = 0.0,
    ) -> None:
        super().__init__()
        self.fold, self.acutance = fold, acutance
        self._looks(2 * fold << (len(widths) - 1), 2 * fold, blocks, beyond=1 + (REACH if acutance else 0))
        # Correction of R, G, B; weights of the two wider surroundings for luma and colour; shares of luma and colour.
        told = 9
        self.masked = MaskedConvolution(3, first)
        self.trunk = GainAwareUNet(first * fold * fold + 1, told * fold * fold, widths, blocks, gain)
        kernels = torch.stack([_surrounding(sigma) for sigma in SURROUNDINGS])
        self.register_buffer("surroundings", kernels.repeat(3, 1, 1)[:, None], persistent=False)
        fine, coarse = (_gaussian(sigma) for sigma in BAND)
        self.register_buffer("bands", (fine - coarse)[None, None], persistent=False)

    def forward(self, image: Tensor, gain: Tensor) -> tuple[Tensor, Tensor]:
        """Stage 1's N×3×H×W in 0..1 and ln(gain) N×1×H×W to the clean image and the blind one.

        Sides are multiples of `multiple`.
        """
        features = functional.leaky_relu(self.masked(image), SLOPE)
        scaled = _phases(gain * GAIN_SCALE)
        phases = _phases(features)
        if self.fold > 1:
            scaled = functional.avg_pool2d(scaled, self.fold)
            phases = functional.pixel_unshuffle(phases, self.fold)
        told = self.trunk(torch.cat([phases, scaled], dim=1), scaled)
        if self.fold > 1:
            told = functional.pixel_shuffle(told, self.fold)
        told = _from_phases(told)
        means = functional.conv2d(image, self.surroundings, padding=REACH, groups=3)
        red, green, blue = means.chunk(3, dim=1)
        grey = _luma(means, 3)
        light, colour = (_shares(told[:, start : start + 2]) for start in (3, 5))
        # The colour mix is applied to the differences from grey, and the mixed grey is added to all channels.
        luma = (light * grey).sum(dim=1, keepdim=True)
        mixed = [(colour * (means_ - grey)).sum(dim=1, keepdim=True) + luma for means_ in (red, green, blue)]
        blind = torch.cat(mixed, dim=1) + told[:, :3]
        rest = image - blind
        own = _luma(rest)
        kept = torch.sigmoid(told[:, 7:] - 2.0)
        clean = blind + kept[:, :1] * own + kept[:, 1:] * (rest - own)
        if self.acutance and not self.training:
            clean = clean + self.acutance * self.crispness(_luma(clean))
        return clean, blind

    def crispness(self, grey: Tensor) -> Tensor:
        """The middle band of a luma N×1×H×W, where its variance is well above that of grain."""
        around = functional.avg_pool2d(grey, 7, stride=1, padding=3)
        variance = (functional.avg_pool2d(grey * grey, 7, stride=1, padding=3) - around * around).clamp_min(0.0)
        band = functional.conv2d(grey, self.bands, padding=REACH)
        return band * variance / (variance + STRUCTURE)


SURROUNDINGS = (None, 1.2, 2.2)
"""Means around a pixel: its eight neighbours equally weighted (None), and Gaussians of these standard deviations in
pixels, all without the centre."""

REACH = 6
"""Radius in pixels of the widest of them: nearly three standard deviations."""

LUMA = (0.299, 0.587, 0.114)


BAND = (0.7, 2.0)
"""Standard deviations, in pixels, of the Gaussians whose difference is the band that `acutance` amplifies."""

STRUCTURE = 1e-3
"""Variance of luma, with white at 1, at which half of `acutance` is applied; remaining grain has a tenth of it."""


def _gaussian(sigma: float | None) -> Tensor:
    """13×13 weights that sum to 1; for None, a 3×3 box mean."""
    steps = torch.arange(-REACH, REACH + 1, dtype=torch.float32)
    line = (steps.abs() <= 1).float() if sigma is None else torch.exp(-0.5 * (steps / sigma) ** 2)
    kernel = line[:, None] * line
    return kernel / kernel.sum()


def _surrounding(sigma: float | None) -> Tensor:
    """The same without the centre pixel."""
    kernel = _gaussian(sigma)
    kernel[REACH, REACH] = 0.0
    return kernel / kernel.sum()


def _luma(image: Tensor, each: int = 1) -> Tensor:
    """N×3k×H×W, k planes per channel, to their lumas, N×k×H×W."""
    red, green, blue = image[:, :each], image[:, each : 2 * each], image[:, 2 * each :]
    return LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue


def _shares(told: Tensor) -> Tensor:
    """N×2×H×W to N×3×H×W that sum to 1; before training a third of each.

    A softmax with a leading zero, written out: the library's softmax over three planes is slower than two convolutions.
    """
    odds = torch.exp(told.clamp(-20.0, 20.0))
    nearest = 1.0 / (1.0 + odds[:, :1] + odds[:, 1:])
    return torch.cat([nearest, nearest * odds], dim=1)


def _phases(maps: Tensor) -> Tensor:
    """N×C×H×W to 4N×C×H/2×W/2: one phase for each pair of row and column modulo 2."""
    return torch.cat([maps[:, :, y::2, x::2] for y in (0, 1) for x in (0, 1)], dim=0)


def _from_phases(maps: Tensor) -> Tensor:
    """The inverse of `_phases`."""
    phases = torch.stack(maps.chunk(4, dim=0), dim=2)  # N×C×4×h×w
    return functional.pixel_shuffle(phases.flatten(1, 2), 2)


KINDS: Mapping[str, type[Network]] = {"blind": BlindDenoiser}


def build(configuration: Mapping[str, Any]) -> Network:
    """The network that a weights file describes: `kind` and sizes.

    Raises:
        ValueError: there is no such network.
    """
    sizes = dict(configuration)
    kind = str(sizes.pop("kind", None))
    if kind not in KINDS:
        raise ValueError(f"no network of irle is described by {dict(configuration)}")
    module = KINDS[kind](**sizes)
    module.configuration = dict(configuration)
    return module
