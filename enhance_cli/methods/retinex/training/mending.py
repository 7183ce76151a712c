"""The first stage of retinex as it is trained: both of its networks, and what lies between them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from enhance_cli.methods.retinex.formulas_torch import bright_channel, candidates, illuminated, luma_statistics, thinned
from enhance_cli.methods.retinex.network import Fusion, Illumination


class Mending(nn.Module):
    """Both networks of the first stage and the formulas between them: from an image to the corrected image."""

    def __init__(self, illumination: Illumination, fusion: Fusion) -> None:
        super().__init__()
        self.illumination, self.fusion = illumination, fusion

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Correct N×3×PROXY×PROXY; the result is every second pixel of every second row, which is enough for training.

        Returns:
            Corrected image, weights of its three candidates, L and L'; sides of PROXY / 2.
        """
        grid, grid_of_negative = self.illumination(image)
        seen = thinned(image)
        light = illumination(grid, bright_channel(seen))
        light_of_negative = illumination(grid_of_negative, bright_channel(1.0 - seen))
        parts = torch.cat(candidates(seen, light, light_of_negative))
        scores = torch.cat(self.fusion(parts, luma_statistics(parts))[0].chunk(3), dim=1)
        weights = torch.softmax(scores, dim=1)
        mended = sum(weights[:, i : i + 1] * part for i, part in enumerate(parts.chunk(3)))
        assert isinstance(mended, Tensor)
        return mended, weights, light, light_of_negative


def illumination(grid: Tensor, channel: Tensor) -> Tensor:
    """L = b + (1 - b) sigmoid(k u + o), never below the channel b; (k, o) by place and tone u = sqrt(b).

    Args:
        grid: N×rows×columns×bins×2, as `Illumination` gives it.
        channel: b, N×1×H×W in 0..1, at any size.

    Returns:
        N×1×H×W.
    """
    _, _, height, width = channel.shape
    _, rows, columns, bins, _ = grid.shape
    tone = torch.sqrt(channel.clamp(min=0.0))
    field = grid.permute(0, 4, 3, 1, 2)
    if rows > 1:
        field = _hats(height, rows, grid) @ field
    if columns > 1:
        field = field @ _hats(width, columns, grid).T
    field = field.expand(-1, -1, -1, height, width)
    at = tone * (bins - 1)
    below = at.detach().floor().clamp(0, bins - 2)
    share = at - below
    low = below.long()[:, None].expand(-1, 2, -1, -1, -1)
    found = torch.gather(field, 2, low) * (1.0 - share[:, None]) + torch.gather(field, 2, low + 1) * share[:, None]
    return illuminated(channel, tone, found[:, 0], found[:, 1])


def _hats(pixels: int, nodes: int, like: Tensor) -> Tensor:
    """How much each node counts at each pixel's centre, pixels×nodes: linear interpolation as a matrix."""
    at = (torch.arange(pixels, dtype=like.dtype, device=like.device) + 0.5) * ((nodes - 1) / pixels)
    node = torch.arange(nodes, dtype=like.dtype, device=like.device)
    return (1.0 - (at[:, None] - node).abs()).clamp(min=0.0)
