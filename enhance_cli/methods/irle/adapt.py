"""`--adapt N`: steps of self-supervised tuning on the very picture; the method needs no reference, so it may.

The blind prediction of the picture's own noisy pixels is a fair target, because no prediction has seen its pixel
(METHODS 5.7). torch is imported here alone of all that `estimate` can reach, and only when steps are asked for: the
tuned weights are a flat array, which a Plan can hold, and `network_of` makes of them what the engines' networks are.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhance_cli.errors import UsageError

Array = NDArray[Any]

Piece = Callable[[int, int, int, int], tuple[Array, Array]]
"""(top, left, height, width) to what the denoiser gets there: the bright picture h×w×3 and its ln(gain) h×w."""

SIDE, BATCH = 96, 4
"""Pieces of a step: as large as memory of any machine allows, and enough for means of the gradient."""

RATE = 1e-4
"""A tenth of training's: the picture is to be leaned to, not learned by heart."""


def adapt(path: Path, piece: Piece, height: int, width: int, steps: int, seed: int = 0) -> NDArray[np.float32]:
    """Tune a blind denoiser on pieces of one picture.

    The same picture, steps and seed give the same weights on the same machine. On one thread of the calling engine's
    own choice; on the CPU.

    Args:
        path: the `.safetensors` of a blind denoiser.
        piece: gives parts of the picture as stage 1 leaves it.
        height: rows of the picture.
        width: columns of the picture.
        steps: of Adam; 0 gives the shipped weights.
        seed: of the places.

    Returns:
        All parameters in order, flat.

    Raises:
        UsageError: torch is missing, or the network is not blind.
    """
    torch = _torch()
    from enhance_cli.methods.irle import losses

    module = _opened(path)
    module.train()
    random = np.random.Generator(np.random.PCG64([seed, height, width]))
    optimizer = torch.optim.Adam(module.parameters(), lr=RATE)
    multiple = module.multiple
    rows, columns = (max(multiple, min(SIDE, side // multiple * multiple)) for side in (height, width))
    for _ in range(steps):
        pieces = [
            _fitted(
                piece(
                    int(random.integers(max(height - rows, 0) + 1)),
                    int(random.integers(max(width - columns, 0) + 1)),
                    min(rows, height),
                    min(columns, width),
                ),
                rows,
                columns,
            )
            for _ in range(BATCH)
        ]
        maps = torch.from_numpy(np.stack(pieces))
        noisy, gain = maps[:, :3], maps[:, 3:]
        loss = losses.blind_spot(module(noisy, gain)[1], noisy)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return np.concatenate([value.detach().numpy().ravel() for value in module.parameters()]).astype(np.float32)


def network_of(path: Path, weights: Array) -> Callable[[Array, Array], Array]:
    """A denoiser with tuned weights: (image 1×3×H×W, gain 1×1×H×W), float32, to the clean 1×3×H×W.

    Args:
        path: the `.safetensors` that was tuned.
        weights: what `adapt` returned.

    Raises:
        UsageError: torch is missing.
        ValueError: the weights are of another network.
    """
    torch = _torch()
    module = _opened(path)
    if weights.size != sum(value.numel() for value in module.parameters()):
        raise ValueError(f"{weights.size} weights do not fit the network of {path}")
    start = 0
    with torch.no_grad():
        for value in module.parameters():
            part = np.array(weights[start : start + value.numel()], np.float32).reshape(value.shape)
            value.copy_(torch.from_numpy(part))
            start += value.numel()
    module.eval()

    def clean(image: Array, gain: Array) -> Array:
        with torch.no_grad():
            outputs = module(
                torch.from_numpy(np.ascontiguousarray(image)), torch.from_numpy(np.ascontiguousarray(gain))
            )
        return np.asarray(outputs[0].numpy())

    return clean


def _fitted(parts: tuple[Array, Array], rows: int, columns: int) -> NDArray[np.float32]:
    """Bright picture and gain as 4×rows×columns; a picture smaller than a piece is repeated at its border."""
    bright, gain = parts
    planes = np.dstack([bright, gain]).astype(np.float32).transpose(2, 0, 1)
    missing = (rows - planes.shape[1], columns - planes.shape[2])
    return np.ascontiguousarray(np.pad(planes, ((0, 0), (0, missing[0]), (0, missing[1])), mode="symmetric"))


def _opened(path: Path) -> Any:
    from safetensors import safe_open
    from safetensors.torch import load_file

    from enhance_cli.methods.irle import network

    with safe_open(path, framework="pt") as file:
        configuration = json.loads((file.metadata() or {})["configuration"])
    module = network.build(configuration)
    module.load_state_dict(load_file(path))
    if not isinstance(module, network.BlindDenoiser):
        raise UsageError(f"--adapt needs a blind network; {path} sees the pixels that it predicts.")
    return module


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise UsageError(
            "--adapt tunes the network and needs torch, which is not installed: pip install torch, or leave it out."
        ) from None
    return torch
