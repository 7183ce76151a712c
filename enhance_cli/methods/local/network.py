"""The networks of `local`, whole and as they are shipped: two backbones, each made local by the layers of RANLEN.

Paper: "Local low-light image enhancement via region-aware normalization" (RANLEN; docs/papers.md). The backbones are
after DeepUPE and STAR-DCE, both narrower, and both told the statistics of what they are to light. Masks are those of
`network_layers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, nn

from enhance_cli.methods.local.network_deepupe import DeepUpe
from enhance_cli.methods.local.network_layers import FallOffConvolution, Tail
from enhance_cli.methods.local.network_star import StarDce

BACKBONES: Mapping[str, type[DeepUpe] | type[StarDce]] = {"deepupe": DeepUpe, "star": StarDce}


class Localised(nn.Module):
    """A backbone and the tail that refines its image: what is trained."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.tail = Tail()

    def forward(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Light N×3×H×W in 0..1 under N×2×H×W.

        Returns:
            The image, N×3×H×W, and the network's second output: the illumination S, or the curve maps.
        """
        lit, light = self.network(image, mask)
        return self.tail(lit, mask), light


class DeepUpeEstimator(nn.Module):
    """The part of DeepUPE-RANLEN that `estimate` runs; it also returns the constants that `render` needs."""

    outputs = ("grid", "guide_weight", "guide_bias", "guide_out", "guide_out_bias", "tail", "tail_bias")

    def __init__(self, localised: Localised) -> None:
        super().__init__()
        self.localised = localised

    def forward(self, image: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        """From `image` 1×3×96×96 in 0..1 and `mask` 1×2×96×96.

        Returns:
            The grid 1×12×bins×12×12; the guide's hidden layer H×4 (roots of red, green and blue, fall-off) with its
            bias H, its output H with its bias 1; the tail 3×4×3×3 (lit red, green, blue, fall-off) with its bias 3.
        """
        network, tail = cast(DeepUpe, self.localised.network), self.localised.tail.convolution
        grid = network.grid(image, mask)
        hidden = cast(FallOffConvolution, network.guide.hidden).layer
        constants = (hidden.weight[:, :, 0, 0], hidden.bias, network.guide.out.weight[0, :, 0, 0])
        return (grid, *_constants(*constants, network.guide.out.bias, tail.weight, tail.bias))


class StarEstimator(nn.Module):
    """The part of STAR-DCE-RANLEN that `estimate` runs; it also returns the constants of the tail."""

    outputs = ("maps", "tail", "tail_bias")

    def __init__(self, localised: Localised) -> None:
        super().__init__()
        self.localised = localised

    def forward(self, image: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        """From `image` 1×3×96×96 in 0..1 and `mask` 1×2×96×96 to the curve maps 1×24×24×24, and the tail."""
        maps = cast(StarDce, self.localised.network).maps(image, mask)
        tail = self.localised.tail.convolution
        return (maps, *_constants(tail.weight, tail.bias))


def _constants(*tensors: Tensor | None) -> tuple[Tensor, ...]:
    # An exported graph may not return a parameter itself.
    return tuple(cast(Tensor, tensor) * 1.0 for tensor in tensors)


def assemble(backbone: str, **sizes: Any) -> Localised:
    """What is trained of a backbone, `deepupe` or `star`, of other sizes than its own if they are given.

    Raises:
        ValueError: there is no such backbone.
    """
    if backbone not in BACKBONES:
        raise ValueError(f"local has no network {backbone!r}, but {' and '.join(BACKBONES)}")
    return Localised(BACKBONES[backbone](**sizes))


def estimator(localised: Localised) -> DeepUpeEstimator | StarEstimator:
    """What is exported of a trained backbone."""
    return (DeepUpeEstimator if isinstance(localised.network, DeepUpe) else StarEstimator)(localised)


def build(configuration: Mapping[str, Any]) -> nn.Module:
    """The estimator that a weights file describes: `backbone`, and sizes that are not the backbone's own.

    Raises:
        ValueError: there is no such network.
    """
    sizes = dict(configuration)
    return estimator(assemble(str(sizes.pop("backbone", "")), **sizes))
