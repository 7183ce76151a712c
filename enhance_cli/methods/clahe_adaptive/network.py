"""The estimator of IA-CLAHE: one clip limit per tile from a thumbnail of luma and from histograms.

Paper: "IA-CLAHE: Image-Adaptive Clip Limit Estimation for CLAHE". As there: a 3×3 convolution of stride 2, a
hard-swish, 1×1 convolutions, a sigmoid map of local factors, and a global factor by pooling, an MLP and a
softplus; the limits are their product. Our additions: statistics of the image's histogram feed the global
MLP, which also says how much flat pixels count and how dark empty dark stays; and a third factor, between 0.5 and 2,
comes from each tile's own histogram. Only the network here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from enhance_cli.methods.clahe_adaptive.statistics import FEATURES, HIGHEST, LOWEST, coverage

OUTPUTS = ("global_factor", "local", "tile_factor", "retention", "blackness")
"""What `Estimator` returns, in order."""

TILE_RANGE = math.log(2.0)
"""A tile's own histogram may halve or double its limit."""


@dataclass(frozen=True, slots=True)
class Dimensions:
    """Sizes of the network, stored in the metadata of the weights, from which it is rebuilt."""

    filters: int = 16
    """Channels of the first convolution, as in the paper."""

    maps: int = 8
    """Input channels of the heads."""

    hidden: int = 16
    """Width of the global MLP."""

    tile_hidden: int = 16
    """Width of the tile head."""

    def to_json(self) -> dict[str, int]:
        """The sizes as plain numbers."""
        return asdict(self)


class Estimator(nn.Module):
    """Thumbnail and histogram descriptions in, three factors of the clip limits out."""

    def __init__(self, dimensions: Dimensions = Dimensions()) -> None:
        super().__init__()
        self.dimensions = dimensions
        d = dimensions
        self.features = nn.Sequential(
            nn.Conv2d(1, d.filters, 3, stride=2, padding=1), nn.Hardswish(), nn.Conv2d(d.filters, d.maps, 1)
        )
        self.local = nn.Conv2d(d.maps, 1, 1)
        self.embed = nn.Linear(d.maps + FEATURES + 1, d.hidden)
        self.scale = nn.Linear(d.hidden, 1)
        self.tile = nn.Conv2d(FEATURES, d.tile_hidden, 1)
        self.context = nn.Linear(d.hidden, d.tile_hidden)
        self.tile_scale = nn.Conv2d(d.tile_hidden, 1, 1)
        self.photo = nn.Linear(d.hidden, 2)
        nn.init.zeros_(self.tile_scale.weight)
        nn.init.zeros_(self.tile_scale.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.photo.weight)
        nn.init.zeros_(self.photo.bias)
        nn.init.zeros_(self.local.bias)  # type: ignore[arg-type]
        # Limits start near 4 * sigmoid(0) = 2, where most tiles clip: without clipping there is no gradient.
        nn.init.constant_(self.scale.bias, 3.98)

    def forward(self, thumbnail: Tensor, statistics: Tensor, tiles: Tensor) -> tuple[Tensor, ...]:
        """One image at a time.

        Args:
            thumbnail: 1×1×256×256 luma in 0..1.
            statistics: 1×(FEATURES+1).
            tiles: 1×FEATURES×rows×columns.

        Returns:
            `global_factor` (1), `local` 1×1×128×128 in 0..1 and `tile_factor` 1×1×rows×columns: the limit of a
            tile is the product of the first, the second's mean over the tile and the third. `retention`
            (1) and `blackness` (1), in 0..1, are those of `statistics`.
        """
        return self.heads(self.maps(thumbnail), statistics, tiles)

    def maps(self, thumbnail: Tensor) -> Tensor:
        """The part of `forward` that does not depend on the grid: 1×maps×128×128."""
        features: Tensor = self.features((thumbnail - 0.449) / 0.226)  # standardised: else limits collapse to one value
        return features

    def heads(self, maps: Tensor, statistics: Tensor, tiles: Tensor) -> tuple[Tensor, ...]:
        """The rest of `forward`."""
        local = torch.sigmoid(self.local(maps))
        pooled = maps.mean(dim=(2, 3))
        embedding = nn.functional.hardswish(self.embed(torch.cat([pooled, statistics], dim=1)))
        global_factor = nn.functional.softplus(self.scale(embedding)).reshape(1)
        photo = torch.sigmoid(self.photo(embedding))
        hidden = self.tile(tiles) + self.context(embedding)[:, :, None, None]
        # Within a factor of two: unbounded, the tile head memorises the tiles of the training scenes.
        tile_factor = torch.exp(TILE_RANGE * torch.tanh(self.tile_scale(nn.functional.hardswish(hidden))))
        return global_factor, local, tile_factor, photo[:, 0], photo[:, 1]


def limits(outputs: tuple[Tensor, ...], rows: int, columns: int) -> Tensor:
    """`statistics.clip_limits` in torch, differentiable: rows×columns."""
    global_factor, local, tile_factor = outputs[:3]
    by_row = torch.from_numpy(coverage(local.shape[2], rows)).to(local)
    by_column = torch.from_numpy(coverage(local.shape[3], columns)).to(local)
    pooled = by_row @ local[0, 0] @ by_column.T
    return (global_factor * pooled * tile_factor[0, 0]).clamp(LOWEST, HIGHEST)


def build(configuration: Mapping[str, int]) -> Estimator:
    """An estimator of the sizes stored with its weights."""
    return Estimator(Dimensions(**configuration))
