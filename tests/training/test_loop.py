"""The loop learns, writes its journal, and resumes to the same bits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from enhance_cli.errors import UsageError
from enhance_cli.training import loop

SCHEDULE = loop.Schedule(
    iterations=40, learning_rate=0.05, warm_up=5, journal_every=10, validate_every=20, checkpoint_every=15
)


class Interrupted(Exception):
    pass


def line() -> nn.Linear:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Linear(3, 1)


def run(
    out: Path, schedule: loop.Schedule = SCHEDULE, *, stop_at: int | None = None, resume: bool = False
) -> nn.Module:
    network = line()
    weights = torch.tensor([1.0, -2.0, 0.5])

    def loss(iteration: int) -> Tensor:
        if iteration == stop_at:
            raise Interrupted
        points = torch.randn(16, 3, generator=torch.Generator().manual_seed(iteration))
        return (network(points)[:, 0] - points @ weights).square().mean()

    def validate(candidate: nn.Module) -> dict[str, float]:
        assert not torch.is_grad_enabled()
        return {"distance": float((next(candidate.parameters())[0] - weights).norm())}

    return loop.train(network, loss, validate, schedule, out, resume=resume)


def journal(out: Path) -> list[dict]:
    return [json.loads(text) for text in (out / loop.JOURNAL).read_text().splitlines()]


def test_it_learns_and_says_so(tmp_path: Path) -> None:
    run(tmp_path)
    lines = journal(tmp_path)
    assert [entry["iteration"] for entry in lines] == [10, 20, 30, 40]
    assert lines[-1]["loss"] < lines[0]["loss"] / 2
    assert lines[-1]["validation"]["distance"] < lines[1]["validation"]["distance"]


@pytest.mark.parametrize("averaging", [0.0, 0.9])
@pytest.mark.parametrize("stop_at", [7, 17, 39])
def test_an_interrupted_run_ends_with_the_same_weights(tmp_path: Path, stop_at: int, averaging: float) -> None:
    schedule = loop.Schedule(
        iterations=40,
        learning_rate=0.05,
        warm_up=5,
        averaging=averaging,
        journal_every=10,
        validate_every=20,
        checkpoint_every=15,
    )
    whole = run(tmp_path / "whole", schedule)
    with pytest.raises(Interrupted):
        run(tmp_path / "parts", schedule, stop_at=stop_at)
    parts = run(tmp_path / "parts", schedule, resume=True)
    for ours, theirs in zip(parts.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    for ours, theirs in zip(journal(tmp_path / "parts"), journal(tmp_path / "whole"), strict=True):
        assert ours["iteration"] == theirs["iteration"]
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-6)


def test_a_finished_run_is_only_loaded(tmp_path: Path) -> None:
    first = run(tmp_path)
    again = run(tmp_path, stop_at=0, resume=True)
    assert torch.equal(next(first.parameters()), next(again.parameters()))


def test_a_checkpoint_of_another_schedule_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    longer = loop.Schedule(iterations=50, learning_rate=0.05)
    with pytest.raises(UsageError, match="another schedule"):
        run(tmp_path, longer, resume=True)


def test_the_rate_rises_then_falls_to_its_final_share() -> None:
    schedule = loop.Schedule(iterations=1000, learning_rate=1.0)
    rates = [schedule.rate(iteration) for iteration in range(1000)]
    assert rates[0] == pytest.approx(0.01, rel=1e-3)
    assert max(rates) == pytest.approx(1.0, abs=0.03)
    assert rates[-1] == pytest.approx(0.05, abs=1e-3)


def test_a_schedule_lasts_as_long_as_it_is_told() -> None:
    schedule = loop.Schedule(iterations=50, learning_rate=1e-3, averaging=0.9)
    assert schedule.lasting(None) == schedule
    assert schedule.lasting(7) == loop.Schedule(iterations=7, learning_rate=1e-3, averaging=0.9)


@pytest.mark.parametrize("name", [loop.CHECKPOINT, loop.JOURNAL])
def test_an_earlier_training_is_not_begun_anew_by_a_forgotten_option(tmp_path: Path, name: str) -> None:
    run(tmp_path)
    (tmp_path / ({loop.CHECKPOINT, loop.JOURNAL} - {name}).pop()).unlink()
    kept = (tmp_path / name).read_bytes()
    with pytest.raises(UsageError, match=r"use --resume to continue it, or\s+give another folder"):
        run(tmp_path)
    assert (tmp_path / name).read_bytes() == kept
