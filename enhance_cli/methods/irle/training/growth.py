"""How a large network of irle starts from a small one that is trained."""

from __future__ import annotations

import torch

from enhance_cli.methods.irle.network import Network


def grow(small: Network, large: Network) -> None:
    """Copy a trained network into the first channels of a wider and deeper one, which then computes the same function.

    New channels read the old ones, but their weights into the old ones are zero, so the large network starts where the
    small one ended (Chen et al., "Net2Net", 2016, with zeros instead of copies). Blocks beyond those of the small one
    are identities already.

    Raises:
        ValueError: the small network does not fit into the large one.
    """
    room = large.state_dict()
    with torch.no_grad():
        for name, value in small.state_dict().items():
            if name not in room or any(a > b for a, b in zip(value.shape, room[name].shape, strict=True)):
                raise ValueError(f"there is no room for {name}")
            halves = 2 if ".modulation." in name else 1  # scale and shift lie one after the other
            for old, new in zip(value.chunk(halves), room[name].chunk(halves), strict=True):
                rows = slice(0, old.shape[0])
                if old.dim() > 1:
                    new[rows, old.shape[1] :] = 0.0
                    new[rows, : old.shape[1]] = old
                else:
                    new[rows] = old
