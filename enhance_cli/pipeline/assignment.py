"""The task of a worker process, as a value: a method, its controls, and how files are read and written."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from enhance_cli import methods
from enhance_cli.engines import devices, open_engine
from enhance_cli.errors import UsageError
from enhance_cli.pipeline.dealing import Dealer
from enhance_cli.pipeline.files import Coding
from enhance_cli.pipeline.recipe import Recipe

if TYPE_CHECKING:
    from enhance_cli.controls import Controls
    from enhance_cli.engines import Engine
    from enhance_cli.imaging.codecs.jpeg.on_card import CardDecoder
    from enhance_cli.pipeline.run import Run
    from enhance_cli.plan import Plan


@dataclass(frozen=True)
class Assignment:
    """A method as this process, or each of its children, opens it."""

    method: str
    controls: Controls
    device: str
    """The value of `--device`: several cards are separated by commas."""

    coding: Coding
    plan: Plan | None = None
    weights: Path | None = None
    """Folder of own weights."""

    gpu_memory: int | None = None
    """Bytes of each card that photos may take."""

    precision: Literal["auto", "full"] = "auto"
    """See `engines.open_engine`."""

    codec: Literal["cpu", "gpu"] = "cpu"
    """The decoder of JPEGs that a card can decode."""

    threads: int = 1
    alone: bool = False
    """Whether the process runs only enhance, so that no other code depends on which modules are loaded."""

    @classmethod
    def of(cls, asked: Run, coding: Coding, *, alone: bool = False) -> Assignment:
        """The assignment of a run, with the devices and weights in its options; the threads are filled in later."""
        options = asked.options
        return cls(
            asked.method,
            asked.controls,
            options.device,
            coding,
            weights=options.weights,
            gpu_memory=options.gpu_memory,
            precision=options.precision,
            codec=options.codec,
            alone=alone,
        )

    def parts(self) -> list[Assignment]:
        """The assignment on each of its devices."""
        return [replace(self, device=device) for device in devices(self.device)]

    def deal(self, remark: Callable[[str], None] = lambda text: None) -> Dealer:
        """Open the method on each of the devices; arguments and errors are those of `open`."""
        return Dealer([part.open(remark) for part in self.parts()])

    def open(self, remark: Callable[[str], None] = lambda text: None) -> Recipe:
        """Open the engine of the one device, and the method on it.

        Args:
            remark: see `engines.open_engine`.

        Raises:
            EnhanceError: the device or the weights are missing.
            UsageError: own weights are given, and no network runs them.
        """
        engine = open_engine(
            self.device,
            threads=self.threads,
            weights=self.weights,
            card_memory=self.gpu_memory,
            precision=self.precision,
            remark=remark,
        )
        if engine.device == "cpu" and self.alone:
            # If scipy is installed Numba loads its linear algebra at import, which takes a sixth of a second; none of
            # our kernels uses it.
            sys.modules.setdefault("scipy.linalg.cython_blas", None)  # type: ignore[arg-type]
        enhancer = methods.open_enhancer(methods.get(self.method), engine)
        decoder = self._decoder(engine, remark) if self.codec == "gpu" else None
        recipe = Recipe(engine, enhancer, self.controls, self.plan, decoder)
        if self.weights is not None and not (recipe.weights or {}).get("own"):
            run = ", ".join(recipe.weights["shipped"]) + ", which it does not hold" if recipe.weights else "no network"
            raise UsageError(f"--weights {self.weights} would not be used: these options run {run}; leave it out.")
        return recipe

    def _decoder(self, engine: Engine, remark: Callable[[str], None]) -> CardDecoder | None:
        """The decoder of the card; None, with a remark, if there is none."""
        if engine.card_memory is None:
            remark("--codec gpu needs a card, and this run is on the CPU: JPEGs are decoded there.")
            return None
        from enhance_cli.imaging.codecs.jpeg import on_card

        found = on_card.opened(int(engine.device.partition(" ")[0].partition(":")[2]))
        if isinstance(found, str):
            remark(f"JPEGs are decoded on the CPU: nvImageCodec, which --codec gpu asks for, {found}.")
            return None
        return found
