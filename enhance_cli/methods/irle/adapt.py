"""`--adapt N`: steps of self-supervised tuning on the photo itself, which needs no reference.

The network's output for a crop, denoised twice, serves as ground truth; new random noise, as strong as what was
removed, is added to it; and the network learns to recover the ground truth (Zhang et al., "IDR: self-supervised
image denoising via iterative data refinement", 2022). The loss of a blind-spot network (docs/papers.md, I7) on the
crop itself was tried first: its target is as noisy as the image, and 50 steps of it cost 0.02 of SSIM.

Of everything that `estimate` can reach, only this module imports torch, and only if steps are asked for: the tuned
weights are a flat array, which a Plan can hold, and `network_of` turns them into a network as the engines have it.
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
"""(top, left, height, width) to the denoiser's inputs there: the bright image h×w×3 and its ln(gain) h×w."""

SIDE, BATCH = 96, 4
"""Side and number of the crops per step: small enough for the memory of any machine, enough to average gradients."""

RATE = 5e-5
"""Learning rate, a twentieth of training's: the network is to adapt to the image, not to overfit it."""

AROUND = 15
"""Side in pixels of the box means that give the strength of the noise."""


def adapt(path: Path, piece: Piece, height: int, width: int, steps: int, seed: int = 0) -> NDArray[np.float32]:
    """Tune a denoiser on crops of one image.

    The same image, steps and seed give the same weights on the same machine. Runs on the CPU, on threads of the calling
    engine's choice.

    Args:
        path: the `.safetensors` of a denoiser.
        piece: gives crops of the image after stage 1.
        height: rows of the image.
        width: columns of the image.
        steps: of Adam; 0 gives the weights of the file.
        seed: of the crops' positions and of the noise.

    Returns:
        All parameters in order, flat.

    Raises:
        UsageError: torch is missing.
    """
    torch = _torch()
    from enhance_cli.methods.irle.flatness import box, flatness

    module, teacher = _opened(path).train(), _opened(path).train()
    noise = torch.Generator().manual_seed(seed)
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
        with torch.no_grad():
            truth = teacher(teacher(noisy, gain)[0], gain)[0]
            strength = box((noisy - truth).square().mean(dim=1, keepdim=True), AROUND).sqrt()
            again = truth + strength * torch.randn(noisy.shape, generator=noise)
        loss = (flatness(truth) * (module(again, gain)[0] - truth).square()).mean()
        optimizer.zero_grad()
        loss.backward()
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
    """Bright image and gain as 4×rows×columns; an image smaller than a piece is repeated at its border."""
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
    return module


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise UsageError(
            "--adapt tunes the network and needs torch, which is not installed: pip install torch, or leave it out."
        ) from None
    return torch
