"""The denoiser for a plan: the one of the engine, or one tuned on the image itself."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from enhance_cli.engines import weights
from enhance_cli.methods.irle import METHOD

if TYPE_CHECKING:
    from pathlib import Path

    from enhance_cli.engines import Engine
    from enhance_cli.methods.irle.plan import IrlePlan

Denoiser = Callable[[Any, Any], Any]
"""(image 1×3×h×w, gain 1×1×h×w), as the engine's kernels leave them, to the clean image 1×3×h×w, float32, left there
too. One that was tuned on the image runs on the host."""


class Denoisers:
    """The denoisers of one engine; the latest tuned one is kept."""

    def __init__(self, engine: Engine) -> None:
        """Open nothing yet."""
        self._engine = engine
        self._lock = threading.Lock()
        self._tuned: tuple[bytes, Denoiser] | None = None

    def of(self, plan: IrlePlan) -> Denoiser:
        """The denoiser of a plan."""
        if plan.tuned.size == 0:
            network = self._engine.network(METHOD, f"denoiser-{plan.model}")[0]
            return lambda image, gain: network.run(image=image, gain=gain)["clean"]
        key = hashlib.blake2b(plan.tuned.tobytes(), digest_size=16).digest()
        with self._lock:
            if self._tuned is None or self._tuned[0] != key:
                from enhance_cli.methods.irle import adapt

                clean = adapt.network_of(self.file(plan.model), plan.tuned)
                self._tuned = key, lambda image, gain: clean(self._engine.numpy(image), self._engine.numpy(gain))
            return self._tuned[1]

    def file(self, model: str) -> Path:
        """The file of a denoiser as torch reads it."""
        return weights.find(METHOD, f"denoiser-{model}", "safetensors", self._engine.own_weights).path
