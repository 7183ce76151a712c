"""What the kernels of both engines take: where a window lies, and the networks as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

if TYPE_CHECKING:
    from enhance_cli.types import Array

REACH = 3
"""Blocks of 2×2 pixels that the restoration network looks at around one: a 3×3 convolution for each."""


class Region(NamedTuple):
    """Pixels that are wanted of a window of a picture; all in the whole picture's coordinates."""

    height: int
    """Rows of the whole picture."""

    width: int
    window_top: int
    """The window's first row."""

    window_left: int
    top: int
    """The first row that is wanted; `bottom` is the first that is not."""

    left: int
    bottom: int
    right: int

    @classmethod
    def believed(cls, height: int, width: int, top: int, left: int, rows: int, columns: int, halo: int) -> Self:
        """What of a window at (`top`, `left`) has its context within the window or needs none."""
        first, last = _believed(top, rows, height, halo)
        start, end = _believed(left, columns, width, halo)
        return cls(height, width, top, left, first, start, last, end)

    def grown(self, margin: int) -> Self:
        """With as many pixels more on every side, where there is a picture."""
        return self._replace(
            top=max(self.top - margin, 0),
            left=max(self.left - margin, 0),
            bottom=min(self.bottom + margin, self.height),
            right=min(self.right + margin, self.width),
        )

    @property
    def empty(self) -> bool:
        """Whether no pixel is wanted."""
        return self.top >= self.bottom or self.left >= self.right


def _believed(start: int, count: int, length: int, halo: int) -> tuple[int, int]:
    first = start + (halo if start > 0 else 0)
    last = start + count - (halo if start + count < length else 0)
    return first, max(first, last)


class FusionWeights(NamedTuple):
    """Fusion-Net with a candidate's statistics already added to its first layer."""

    first: Array
    """h×4, for red, green, blue and saturation."""

    biases: Array
    """candidates×h."""

    second: Array
    """m×h."""

    second_bias: Array
    third: Array
    """m."""


class RestorationWeights(NamedTuple):
    """Restoration-Net with the scaling of its input and output folded in."""

    stem: Array
    """w×13×9: the packed picture in 0..1, and the squashed illumination."""

    convs: Array
    """2×w×w×9."""

    biases: Array
    """3×w."""

    heads: Array
    """3×12×w."""

    head_bias: Array
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
