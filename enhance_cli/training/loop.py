"""The training loop of all methods: learning rate, draw, step, log, validate, checkpoint.

What is trained, on what data, and against which loss is up to the method's recipe; the loop knows a network and two
functions. Draws are functions of (seed, iteration) alone, so a run that was interrupted and resumed ends with
the same weights, bit for bit, as one that was not (on the same device with the same threads).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from enhance_cli.errors import UsageError

Log = Callable[[str], None]

CHECKPOINT = "checkpoint.pt"
JOURNAL = "training.jsonl"


@dataclass(frozen=True, slots=True)
class Schedule:
    """Training length and learning rate."""

    iterations: int
    """Steps of the optimizer; the cosine ends here."""

    learning_rate: float
    """Adam's peak learning rate."""

    final_share: float = 0.05
    """The cosine ends at this share of the peak: not at zero, where the last thousand steps would do nothing."""

    warm_up: int = 100
    """Steps of linear warm-up, while Adam's second moments are still inaccurate."""

    largest_gradient: float = 1.0
    """Gradient clipping norm; single images give outliers."""

    averaging: float = 0.0
    """Decay of a running average of the weights, which is then the result; 0 uses the last weights."""

    journal_every: int = 100
    """Steps between two lines of the journal; each gives the mean loss since the previous one."""

    validate_every: int = 2000
    """Steps between two validations."""

    checkpoint_every: int = 1000
    """Steps between two checkpoints: what an interruption can cost at most."""

    def lasting(self, iterations: int | None) -> Schedule:
        """The same over another number of steps; None keeps the recipe's own."""
        return self if iterations is None else replace(self, iterations=iterations)

    def rate(self, iteration: int) -> float:
        """The learning rate of one step: linear warm-up times a cosine from 1 to `final_share`."""
        cosine = 0.5 * (1.0 + math.cos(math.pi * iteration / self.iterations))
        share = self.final_share + (1.0 - self.final_share) * cosine
        return self.learning_rate * share * min(1.0, (iteration + 1) / self.warm_up)


def train(
    network: nn.Module,
    loss: Callable[[int], Tensor],
    validate: Callable[[nn.Module], Mapping[str, float]],
    schedule: Schedule,
    out: Path,
    *,
    resume: bool = False,
    log: Log = lambda sentence: None,
) -> nn.Module:
    """Train a network in place and return the result: the network, or the running average of its weights.

    Args:
        network: on its device, initialised; `loss` must use this very object.
        loss: the scalar loss of one iteration, drawn from its number alone.
        validate: named figures of a network, called without gradients.
        schedule: training length and learning rate.
        out: folder for the journal (`training.jsonl`) and the checkpoint (`checkpoint.pt`).
        resume: go on from the checkpoint, if there is one; a finished run is only loaded.
        log: receives progress messages.

    Raises:
        UsageError: the checkpoint was made with another schedule or another network, or there is one that would be
            written over.
    """
    if not resume:
        _refuse_used(out)
    out.mkdir(parents=True, exist_ok=True)
    optimizer = torch.optim.Adam(network.parameters(), lr=schedule.learning_rate)
    average = {name: value.detach().clone() for name, value in network.state_dict().items()}
    start, total = 0, 0.0
    if resume and (out / CHECKPOINT).exists():
        start, total = _restore(out, network, optimizer, average, schedule)
        log(f"Resumed at iteration {start} of {schedule.iterations}.")
    else:
        (out / JOURNAL).write_text("")
    began = time.monotonic()

    for iteration in range(start, schedule.iterations):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(iteration)
        value = loss(iteration)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), schedule.largest_gradient)
        optimizer.step()
        _update_average(average, network, schedule.averaging, iteration)
        total += value.item()

        done = iteration + 1
        last = done == schedule.iterations
        line: dict[str, Any] = {}
        if done % schedule.journal_every == 0 or last:
            steps = done % schedule.journal_every or schedule.journal_every
            line = {"iteration": done, "loss": total / steps, "learning_rate": schedule.rate(iteration)}
            line["seconds"] = round(time.monotonic() - began, 1)
            total = 0.0
        if done % schedule.validate_every == 0 or last:
            line |= {"iteration": done, "validation": _validated(network, average, validate)}
            figures = ", ".join(f"{name} {figure:.2f}" for name, figure in line["validation"].items())
            log(f"{done} of {schedule.iterations}: loss {line.get('loss', float('nan')):.4f}; {figures}")
        if line:
            with (out / JOURNAL).open("a", encoding="utf-8") as journal:
                journal.write(json.dumps(line) + "\n")
        if done % schedule.checkpoint_every == 0 or last:
            _save(out, network, optimizer, average, schedule, done, total)

    network.load_state_dict(average)
    return network


def _refuse_used(out: Path) -> None:
    """Refuse to overwrite an earlier training, which may have taken hours, without --resume."""
    for name in (CHECKPOINT, JOURNAL):
        path = out / name
        if path.exists() and path.stat().st_size > 0:
            raise UsageError(
                f"{path} is of an earlier training, and would be overwritten; use --resume to continue it, or "
                "give another folder."
            )


def _update_average(average: dict[str, Tensor], network: nn.Module, decay: float, iteration: int) -> None:
    # The average must not retain the random initial weights, so the decay starts small.
    decay = min(decay, (iteration + 1) / (iteration + 10)) if decay else 0.0
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value, 1.0 - decay)
        else:
            average[name].copy_(value)


def _validated(
    network: nn.Module, average: Mapping[str, Tensor], validate: Callable[[nn.Module], Mapping[str, float]]
) -> dict[str, float]:
    """Validate the averaged weights, and put the trained ones back."""
    trained = {name: value.detach().clone() for name, value in network.state_dict().items()}
    network.load_state_dict(average)
    network.eval()
    with torch.no_grad():
        figures = dict(validate(network))
    network.train()
    network.load_state_dict(trained)
    return figures


def _save(
    out: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: Mapping[str, Tensor],
    schedule: Schedule,
    iteration: int,
    total: float,
) -> None:
    state = {
        "iteration": iteration,
        "total": total,
        "schedule": asdict(schedule),
        "network": network.state_dict(),
        "average": dict(average),
        "optimizer": optimizer.state_dict(),
    }
    draft = out / (CHECKPOINT + ".tmp")
    torch.save(state, draft)
    draft.replace(out / CHECKPOINT)


def _restore(
    out: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: dict[str, Tensor],
    schedule: Schedule,
) -> tuple[int, float]:
    """Load the checkpoint and cut the journal back to it; returns iterations done and the loss not yet written."""
    device = next(network.parameters()).device
    state = torch.load(out / CHECKPOINT, map_location=device, weights_only=True)
    if state["schedule"] != asdict(schedule):
        raise UsageError(
            f"The checkpoint in {out} was made with another schedule; train into another folder, or from the start."
        )
    try:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, ValueError) as error:
        raise UsageError(f"The checkpoint in {out} is of another network: {error}") from error
    average.update(state["average"])
    journal = out / JOURNAL
    lines = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
    kept = [line for line in lines if json.loads(line)["iteration"] <= state["iteration"]]
    journal.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
    return int(state["iteration"]), float(state["total"])
