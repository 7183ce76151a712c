"""The networks of retinex: illumination in two sizes, fusion and restoration.

Paper: "Fast Enhancement for Non-Uniform Illumination Images using Light-weight CNNs" (NUI-Net; docs/papers.md).
`Illumination` takes the downscaled image and gives, for its bright channel and for that of its negative, a
bilateral grid of illumination curves; `SceneIllumination` gives the same from what the image shows, with forty times
the parameters. `Fusion` scores each resulting candidate on its own, so that it can also fuse exposures of one scene;
`Restoration` gives a negative noise map, which is then added. With the paper's illumination they have fewer than 5,000
parameters together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from enhance_cli.methods.retinex.formulas import LUMA, LUMA_QUANTILES
from enhance_cli.methods.retinex.formulas_torch import bright_channel, quantiles, squash, thinned

BRIGHT_QUANTILES = (0.01, 0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95, 0.99)
"""Quantiles of the squashed bright channel, without interpolation."""


class Illumination(nn.Module):
    """Illumination-Net: illumination curves by position, for the image and its negative with the same weights.

    Eleven statistics of the channel's own tones and eleven of the other channel's describe the exposure of the whole
    image. The local mean and deviation of the packed channel, at each of `scales`, are inputs too, as a part in the
    shade is darker than the image.
    """

    outputs = ("forward", "inverse")

    def __init__(self, hidden: int = 24, bins: int = 12, scales: Sequence[int] = (3, 7), pack: int = 4) -> None:
        super().__init__()
        self.bins, self.scales, self.pack = bins, tuple(scales), pack
        self.context = nn.Linear(2 * (len(BRIGHT_QUANTILES) + 2), hidden)
        self.place = nn.Linear(2 * len(scales), hidden, bias=False)
        self.curve = nn.Linear(hidden, 2 * bins)
        nn.init.zeros_(self.curve.weight)
        with torch.no_grad():
            # sigmoid(2): an illumination near 1 divides by nearly nothing, so training starts close to identity.
            self.curve.bias.copy_(torch.tensor([0.0, 2.0]).repeat(bins))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The grids of a downscaled image.

        Args:
            image: N×3×PROXY×PROXY in 0..1.

        Returns:
            N×rows×columns×bins×2, (k, o) of the illumination, for max RGB and for the max of the negative. Nodes lie
            on corners of cells.
        """
        bright, dark = bright_channel(image), bright_channel(1.0 - image)
        of_bright, of_dark = describe(bright), describe(dark)
        return (
            self._grid(bright, torch.cat([of_bright, of_dark], dim=1)),
            self._grid(dark, torch.cat([of_dark, of_bright], dim=1)),
        )

    def _grid(self, channel: Tensor, statistics: Tensor) -> Tensor:
        context = self.context(statistics)[:, None, None] + self.place(self._around(channel))
        curve = self.curve(torch.relu(context))
        return curve.reshape(-1, curve.shape[1], curve.shape[2], self.bins, 2)  # type: ignore[no-any-return]

    def _around(self, channel: Tensor) -> Tensor:
        """Mean and deviation of the squashed channel around each pack, at each scale: N×rows×columns×(2 scales)."""
        light = squash(channel)
        packs = functional.avg_pool2d(torch.cat([light, light * light], dim=1), self.pack)
        found = []
        for scale in self.scales:
            around = functional.pad(packs, (scale // 2,) * 4, mode="replicate")
            mean, square = functional.avg_pool2d(around, scale, stride=1).chunk(2, dim=1)
            found += [mean, torch.sqrt((square - mean * mean).clamp(min=1e-6))]
        return torch.cat(found, dim=1).permute(0, 2, 3, 1)


class SceneIllumination(nn.Module):
    """Illumination curves from the content of the downscaled image: a U-Net over place, with global context.

    Statistics cannot tell a dark subject before a bright sky from a dark picture; shapes can. Features halve their
    side four times, global statistics are added at the lowest, and the decoder ends at a quarter of the side, where
    one linear layer gives the curves of both illuminations.

    Args:
        widths: channels at a half, a quarter, and an eighth and a sixteenth of the side.
        bins: nodes over tone.
    """

    outputs = ("forward", "inverse")

    def __init__(self, widths: Sequence[int] = (12, 24, 32), bins: int = 12) -> None:
        super().__init__()
        self.widths, self.bins = tuple(widths), bins
        fine, middle, coarse = self.widths
        sizes = ((5, fine), (fine, middle), (middle, coarse), (coarse, coarse))
        self.down = nn.ModuleList(_convolution(before, after, stride=2) for before, after in sizes)
        self.context = nn.Linear(2 * (len(BRIGHT_QUANTILES) + 2), coarse)
        self.up = nn.ModuleList((_convolution(2 * coarse, coarse), _convolution(coarse + middle, middle)))
        self.everywhere = nn.Linear(coarse, middle)
        self.curves = nn.Conv2d(middle, 4 * bins, 1)
        nn.init.zeros_(self.curves.weight)
        assert self.curves.bias is not None
        with torch.no_grad():
            # As in `Illumination`: training starts close to identity.
            self.curves.bias.copy_(torch.tensor([0.0, 2.0]).repeat(2 * bins))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The grids of a downscaled image; as `Illumination.forward`."""
        bright, dark = bright_channel(image), bright_channel(1.0 - image)
        features, levels = torch.cat([2.0 * image - 1.0, squash(bright), squash(dark)], dim=1), []
        for convolution in self.down:
            features = torch.relu(convolution(features))
            levels.append(features)
        _, middle, coarse, coarsest = levels
        context = torch.relu(self.context(torch.cat([describe(bright), describe(dark)], dim=1)))
        features = coarsest + context[:, :, None, None]
        features = torch.relu(self.up[0](torch.cat([_enlarged(features, coarse), coarse], dim=1)))
        features = torch.relu(self.up[1](torch.cat([_enlarged(features, middle), middle], dim=1)))
        features = features + self.everywhere(context)[:, :, None, None]
        curves = self.curves(features).permute(0, 2, 3, 1)
        curves = curves.reshape(-1, curves.shape[1], curves.shape[2], 2, self.bins, 2)
        return curves[:, :, :, 0], curves[:, :, :, 1]


def _convolution(before: int, after: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, stride=stride, padding=1, padding_mode="replicate")


def _enlarged(features: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(features, size=like.shape[2:], mode="bilinear", align_corners=False)


class Fusion(nn.Module):
    """Fusion-Net: how well a candidate is exposed at a pixel, from the pixel and the candidate's statistics alone.

    As it does not see neighbouring pixels, it cannot cause halos.
    """

    outputs = ("score",)

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.first = nn.Linear(4, width)
        self.statistics = nn.Linear(len(LUMA_QUANTILES) + 1, width, bias=False)
        self.second = nn.Linear(width, width // 2)
        self.third = nn.Linear(width // 2, 1, bias=False)  # softmax is invariant to a common offset

    def forward(self, image: Tensor, statistics: Tensor) -> tuple[Tensor]:
        """The score N×1×H×W of candidates N×3×H×W in 0..1 with their `formulas_torch.luma_statistics`, N×8."""
        count, _, height, width = image.shape
        pixels = torch.cat([image, image.amax(dim=1, keepdim=True) - image.amin(dim=1, keepdim=True)], dim=1)
        # As matrix products: torch's convolutions are slow with so few channels.
        first, second, third = (one.weight.expand(count, -1, -1) for one in (self.first, self.second, self.third))
        hidden = torch.bmm(first, pixels.flatten(2)) + (self.first.bias + self.statistics(statistics))[:, :, None]
        hidden = torch.bmm(second, torch.relu(hidden)) + self.second.bias[:, None]
        return (torch.bmm(third, torch.relu(hidden)).reshape(count, 1, height, width),)


class Restoration(nn.Module):
    """Restoration-Net: a negative noise map, added to the fused image to remove noise and JPEG artefacts.

    It works on 2×2 blocks, and the illumination is an input, as dark areas were amplified. Three branches with skip
    connections between them, each with a head that starts at zero.
    """

    outputs = ("noise",)
    reach = 3
    """Receptive field to each side, in blocks of 2×2 pixels."""

    slope = 0.0
    """Of its ReLUs below 0 in training; evaluated, they have none."""

    def __init__(self, width: int = 10) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(13 if i == 0 else width, width, 3) for i in range(self.reach)])
        self.heads = nn.ModuleList([nn.Conv2d(width, 12, 1) for _ in range(self.reach)])
        for value in self.heads.parameters():
            nn.init.zeros_(value)
        with torch.no_grad():
            first = self.convs[0]
            assert isinstance(first, nn.Conv2d)
            assert first.bias is not None
            bands = _bands()[:width]
            first.weight[: len(bands)] = bands
            first.bias[: len(bands)] = 0.5
            for later in list(self.convs)[1:]:
                assert isinstance(later, nn.Conv2d)
                assert later.bias is not None
                # Means of 3×3 blocks beside the random weights: active where the first branch is.
                later.weight[range(width), range(width)] += 0.5 / 9.0
                nn.init.zeros_(later.bias)

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """The noise map N×3×H×W of N×4×H×W with even sides: the fused image and the forward illumination, 0..1."""
        return (self.traced(image)[0],)

    def traced(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The noise map, as `forward`, and what enters the ReLU of the second and of the third branch."""
        rgb, light = image[:, :3], image[:, 3:]
        blocks = functional.pixel_unshuffle(2.0 * rgb - 1.0, 2)
        features = torch.cat([blocks, squash(functional.avg_pool2d(light, 2))], dim=1)
        features = functional.pad(features, (self.reach,) * 4, mode="replicate")
        slope = self.slope if self.training else 0.0
        heads, inputs = [], []
        for index, (conv, head) in enumerate(zip(self.convs, self.heads, strict=True)):
            inputs.append(conv(features))
            found = functional.leaky_relu(inputs[-1], slope) if slope else torch.relu(inputs[-1])
            features = found + features[:, :, 1:-1, 1:-1] if index else found
            rest = self.reach - 1 - index
            heads.append(head(features[:, :, rest : features.shape[2] - rest, rest : features.shape[3] - rest]))
        return functional.pixel_shuffle(0.5 * torch.stack(heads).sum(dim=0), 2), inputs[1:]


def _bands() -> Tensor:
    """Initial weights of the first branch: a gate and eight gated detail bands, 9×13×3×3 over packed 2×2 blocks.

    With a bias of 0.5, each is relu(detail + 0.5 - squash(L)): in the dark, where noise was amplified, detail passes
    unchanged, in full light none does; the gate alone, without detail, lets a head subtract the constant, so that
    flat tones keep their level. From random weights it takes thousands of steps to learn this.
    """
    luma = torch.tensor(LUMA)
    blue, red = torch.tensor((-0.169, -0.331, 0.5)), torch.tensor((0.5, -0.419, -0.081))
    across, down = torch.tensor((0.5, -0.5, 0.5, -0.5)), torch.tensor((0.5, 0.5, -0.5, -0.5))
    within = ((luma, across), (luma, down), (luma, 2.0 * across * down), (blue, across + down), (red, across - down))
    surround = torch.full((3, 3), -1.0 / 9.0)
    surround[1, 1] += 1.0
    bands = torch.zeros(9, 13, 3, 3)
    for index, (mix, detail) in enumerate(within, start=1):
        bands[index, :12, 1, 1] = (mix[:, None] * detail).flatten()
    for index, mix in enumerate((luma, blue, red), start=6):
        bands[index, :12] = (mix[:, None] * torch.full((4,), 0.5)).reshape(12, 1, 1) * surround
    bands[:, 12, 1, 1] = -1.0
    return bands


def describe(channel: Tensor) -> Tensor:
    """Nine quantiles, mean and deviation of a squashed channel, N×11."""
    values = squash(thinned(channel)).flatten(1)
    deviation = torch.sqrt(values.var(dim=1, keepdim=True, correction=0) + 1e-6)
    return torch.cat([quantiles(values, BRIGHT_QUANTILES), values.mean(dim=1, keepdim=True), deviation], dim=1)


def build(configuration: Mapping[str, Any]) -> nn.Module:
    """The network that a weights file describes: `part`, and its sizes.

    Raises:
        ValueError: there is no such network.
    """
    sizes = dict(configuration)
    match sizes.pop("part", None):
        case "illumination":
            return Illumination(**sizes)
        case "scene illumination":
            return SceneIllumination(**sizes)
        case "fusion":
            return Fusion(**sizes)
        case "restoration":
            return Restoration(**sizes)
    raise ValueError(f"no network of retinex is described by {dict(configuration)}")
