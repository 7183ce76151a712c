"""How well each option is expected to suit a photo: a small network on NumPy arrays, the same on every device."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from enhance_cli.engines import weights as weight_files
from enhance_cli.engines.once import Once

if TYPE_CHECKING:
    from enhance_cli.engines.weights import Weights
    from enhance_cli.types import Array, Method

RANGE = 3.5
"""Features are clipped at this many standard deviations of the training photos."""


class Scores:
    """The network, read once."""

    def __init__(self, method: Method) -> None:
        """Remember whose weights they are."""
        self._method = method
        self._made: Once[Any] = Once()

    @property
    def weights(self) -> Weights:
        """The shipped file.

        Raises:
            WeightsError: it is missing or altered.
        """
        (stem,) = self._method.weights
        find = partial(weight_files.find, self._method, stem, "safetensors", None)
        return self._made.get("file", find)  # type: ignore[no-any-return]

    def of(self, features: Mapping[int, Array]) -> dict[int, float]:
        """Scores by the places of options (`features.features`): decibels of PSNR expected above the mean of all."""
        tensors = self._tensors()
        values = forward(tensors, np.stack([*features.values()]))
        return dict(zip(features, values.tolist(), strict=True))

    def certainty(self, lead: float) -> float:
        """The share of photos on which an option that scores higher by `lead` is the better one: 0.5 at no lead."""
        return 1.0 / (1.0 + math.exp(-min(lead / float(self._tensors()["spread"]), 50.0)))

    def _tensors(self) -> dict[str, Array]:
        return self._made.get("tensors", lambda: weight_files.read_arrays(self.weights))  # type: ignore[no-any-return]


def forward(tensors: Mapping[str, Array], features: Array) -> Array:
    """`training.network.ChoiceNetwork` for features N×F: N scores."""
    values = np.clip((features - tensors["mean"]) / tensors["deviation"], -RANGE, RANGE)
    hidden = np.tanh(values @ tensors["first.weight"].T + tensors["first.bias"])
    scores: Array = hidden @ tensors["head.weight"][0]
    return scores
