"""The networks that the kernels of both engines run themselves, as plain arrays: NumPy arrays or device tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

if TYPE_CHECKING:
    from enhance_cli.types import Array

REACH = 3
"""Receptive field of the restoration network to each side, in blocks of 2×2 pixels: one for each 3×3 convolution."""


class FusionWeights(NamedTuple):
    """Fusion-Net with a candidate's statistics already added to its first layer."""

    first: Any
    """h×4, for red, green, blue and saturation."""

    biases: Any
    """candidates×h."""

    second: Any
    """m×h."""

    second_bias: Any
    third: Any
    """m."""


class RestorationWeights(NamedTuple):
    """Restoration-Net with the scaling of its input and output folded in."""

    stem: Any
    """w×13×9: the packed image in 0..1, and the squashed illumination."""

    convs: Any
    """2×w×w×9."""

    biases: Any
    """3×w."""

    heads: Any
    """3×12×w."""

    head_bias: Any
    """12: the sum of the three heads' biases."""

    @classmethod
    def of(cls, state: Mapping[str, Array]) -> Self:
        """From the tensors of `network.Restoration`: 2 R - 1 at its input and the half at its output become weights."""
        width = state["convs.0.weight"].shape[0]
        stem = state["convs.0.weight"].reshape(width, 13, 9).astype(np.float64)
        biases = np.stack([state[f"convs.{i}.bias"] for i in range(REACH)]).astype(np.float64)
        biases[0] -= stem[:, :12].sum(axis=(1, 2))
        stem[:, :12] *= 2.0
        convs = np.stack([state[f"convs.{i}.weight"].reshape(width, width, 9) for i in range(1, REACH)])
        heads = np.stack([state[f"heads.{i}.weight"].reshape(12, width) for i in range(REACH)])
        head_bias = np.sum([state[f"heads.{i}.bias"] for i in range(REACH)], axis=0)
        plain = (stem, convs, biases, 0.5 * heads, 0.5 * head_bias)
        return cls(*(np.ascontiguousarray(array, np.float32) for array in plain))

    @classmethod
    def none(cls) -> Self:
        """No network: what kernels take where nothing is restored."""
        shapes = ((2, 13, 9), (2, 2, 2, 9), (3, 2), (3, 12, 2), (12,))
        return cls(*(np.zeros(shape, np.float32) for shape in shapes))
