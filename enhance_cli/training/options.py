"""What `enhance train` asks for: one frozen value for every method's recipe. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from enhance_cli.errors import UsageError


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """One training run."""

    data: Path
    """Folder with the training photos; the method's recipe says which folders it looks for."""

    out: Path
    """Folder for log, checkpoint, validation sheet and the exported weights; made when absent."""

    seed: int = 0
    """Every draw follows from it; the shipped weights use 0."""

    iterations: int | None = None
    """Steps of the optimizer; None is the recipe's own number."""

    resume: bool = False
    """Continue from the checkpoint in `out`, if there is one, to the same weights as without the interruption."""

    threads: int = 1
    """Threads of torch; sums depend on it, so the shipped weights are those of one thread."""

    device: str = "cpu"
    """Where to train: `cpu` or `cuda[:N]`; the shipped weights were trained on `cpu`."""

    parts: tuple[str, ...] = ()
    """Which of a method's networks to train, by the names in its recipe; none takes all."""

    def parts_of(self, known: tuple[str, ...]) -> tuple[str, ...]:
        """The parts to train, of those that a method knows; all where none are named.

        Raises:
            UsageError: a part is named that the method does not have.
        """
        for part in self.parts:
            if part not in known:
                choice = f"its parts are {', '.join(known)}" if known else "it is trained as a whole"
                raise UsageError(f"There is no part {part!r} to train; {choice}.")
        return self.parts or known
