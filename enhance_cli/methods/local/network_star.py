"""STAR-DCE-RANLEN: the global network after STAR-DCE, made local by the layers of RANLEN.

Papers: "STAR: a structure-aware lightweight transformer for real-time image enhancement" (STAR-DCE) and "Local
low-light image enhancement via region-aware normalization" (RANLEN; docs/papers.md, L1, L3 and T1).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from enhance_cli.methods.local.network_layers import FALL_OFF, LOW, Statistics, convolution, means, modulate, plane

CURVES = 8
"""Steps of the curve."""


class StarDce(nn.Module):
    """A global enhancer after STAR-DCE: mean tokens, a long-short-range transformer, eight steps of a curve.

    x <- x + r_i (x² - x), with a map r_i for each step and channel, made from 24×24 tokens. The long range attends to
    8×8 means of the tokens; ours also knows the statistics of area A. Maps are multiplied by the fall-off at full
    resolution: cells of 1/24 of the image cannot follow the edge of a mask.
    """

    def __init__(self, width: int = 16, heads: int = 4, tokens: int = 24, keys: int = 8) -> None:
        super().__init__()
        self.tokens, self.keys = tokens, keys
        self.statistics = Statistics()
        self.head, self.head_norm = convolution(3, width, 2), nn.BatchNorm2d(width)
        self.token_norm = nn.BatchNorm2d(width)
        self.context = nn.Linear(self.statistics.count, 32)
        self.whole = nn.Linear(32, 2 * width)
        self.before = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.after = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.short = convolution(width, width)
        self.curves = convolution(2 * width, 3 * CURVES)
        with torch.no_grad():
            self.curves.weight.mul_(0.3)
        modulate(self)

    def maps(self, low: Tensor, mask: Tensor) -> Tensor:
        """The curve maps N×24×tokens×tokens in -1..1 from N×3×side×side under a mask of any size.

        Map 3 i + c is step i of channel c.
        """
        features = self.head_norm(torch.relu(self.head(low)), mask)
        tokens = self.token_norm(means(features, self.tokens, self.tokens), mask)
        short = self.short(tokens)
        few = means(tokens, self.keys, self.keys)
        long, keys = (maps.flatten(2).transpose(1, 2) for maps in (tokens, few))
        long = long + self.attention(self.before(long), self.before(keys))
        long = long + self.mlp(self.after(long))
        both = torch.cat([long.transpose(1, 2).reshape(tokens.shape), short], dim=1)
        context = self.whole(torch.relu(self.context(self.statistics(low, mask))))
        return torch.tanh(self.curves(torch.relu(both + context[:, :, None, None])))

    def forward(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The lit image N×3×H×W and the maps as they met it, N×24×H×W, of N×3×H×W in 0..1 under a mask of its size."""
        maps = self.maps(means(image, LOW, LOW), mask)
        maps = functional.interpolate(maps, image.shape[2:], mode="bilinear", align_corners=False)
        maps = maps * plane(mask, FALL_OFF)
        return curve(image, maps), maps


class Attention(nn.Module):
    """Multi-head attention of N×T×C queries to N×K×C keys."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.queries = nn.Linear(width, width)
        self.keys = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """N×T×C."""
        count, places, width = queries.shape
        each = width // self.heads
        asked = self.queries(queries).reshape(count, places, self.heads, each).transpose(1, 2)
        found = self.keys(keys).reshape(count, keys.shape[1], 2, self.heads, each).permute(2, 0, 3, 1, 4)
        shares = torch.softmax(asked @ found[0].transpose(-1, -2) * each**-0.5, dim=-1)
        return cast(Tensor, self.out((shares @ found[1]).transpose(1, 2).reshape(count, places, width)))


def curve(image: Tensor, maps: Tensor) -> Tensor:
    """Eight steps x <- x + r (x² - x); below 0, r brightens."""
    for step in range(CURVES):
        rates = maps[:, 3 * step : 3 * step + 3]
        image = image + rates * (image * image - image)
    return image
