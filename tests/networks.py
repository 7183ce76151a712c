"""Functions in place of networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class Known:
    """A network of an engine (`engines.base.Network`) whose outputs a function of NumPy arrays computes."""

    def __init__(self, function: Callable[..., dict[str, Array]]) -> None:
        """Take the place of a network."""
        self._function = function

    def __call__(self, **inputs: Any) -> dict[str, Array]:
        """The outputs as arrays."""
        return self._function(**{name: np.asarray(value) for name, value in inputs.items()})

    def run(self, **inputs: Any) -> dict[str, Any]:
        """The outputs as what the inputs are."""
        found = self(**inputs)
        if all(isinstance(value, np.ndarray) for value in inputs.values()):
            return found
        import torch

        return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in found.items()}
