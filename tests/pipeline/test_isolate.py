"""Children that die, hang and fail: each costs the photo it had."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from enhance_cli.errors import Crashed, MissingSource, OutOfTime, OutputError
from enhance_cli.pipeline.isolate import Crew
from enhance_cli.pipeline.stream import ByteBudget, parallel
from enhance_cli.types import Job, Outcome
from tests import faulty
from tests.commands import descendants


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """One flat image for each of some levels, as jobs by level."""
    monkeypatch.chdir(Path(__file__).parents[2])  # where children, too, find `tests.faulty`
    (tmp_path / "out").mkdir()

    def make(*levels):
        made = []
        for index, level in enumerate(levels):
            source = tmp_path / f"{index}-{level}.png"
            cv2.imwrite(str(source), np.full((40, 50, 3), level, np.uint8))
            made.append(Job(index, source, tmp_path / "out" / source.name))
        return made

    return make


def streamed(crew, jobs, record=lambda line: None, workers=2):
    def work(job, admit):
        return crew.process(job, admit, record)

    def failed(job, error):
        return [Outcome(job, "failed", {}, error=error)]

    outcomes = parallel(jobs, work, failed, workers=workers, budget=ByteBudget(10**6))
    return {outcome.job.index: outcome for found in outcomes for outcome in found}


def test_a_crash_costs_one_photograph(jobs):
    made = jobs(80, faulty.CRASH, 90, faulty.RAISE, 100, 110)
    lines = []
    with Crew([faulty.FaultyAssignment()]) as crew:
        outcomes = streamed(crew, made, lines.append)
    assert [outcomes[index].status for index in range(6)] == ["done", "failed", "done", "failed", "done", "done"]
    assert isinstance(outcomes[1].error, Crashed)
    assert "SIGSEGV" in str(outcomes[1].error)
    assert "ZeroDivisionError: by nothing" in str(outcomes[3].error)
    assert len(lines) == 4
    assert sorted(path.name for path in made[0].target.parent.iterdir()) == [
        made[index].target.name for index in (0, 2, 4, 5)
    ]


def test_a_hang_is_ended(jobs):
    made = jobs(80, faulty.HANG, 90)
    with Crew([faulty.FaultyAssignment()], timeout=8.0) as crew:
        outcomes = streamed(crew, made, workers=1)
    assert [outcomes[index].status for index in range(3)] == ["done", "failed", "done"]
    assert isinstance(outcomes[1].error, OutOfTime)
    assert "longer than 8 s" in str(outcomes[1].error)


def test_what_fails_in_a_child_keeps_its_kind_and_the_child(jobs, tmp_path):
    made = jobs(80)
    with Crew([faulty.FaultyAssignment()]) as crew:
        with pytest.raises(MissingSource, match="does not exist"):
            crew.process(Job(0, tmp_path / "nowhere.png", made[0].target), lambda size: None, lambda line: None)
        children = set(descendants(os.getpid()))
        assert crew.process(made[0], lambda size: None, lambda line: None)[0].status == "done"
        assert set(descendants(os.getpid())) <= children


def test_without_its_line_nothing_is_placed(jobs):
    made = jobs(80)

    def refuse(line):
        raise OutputError("no room for a line")

    with Crew([faulty.FaultyAssignment()]) as crew, pytest.raises(OutputError, match="no room"):
        crew.process(made[0], lambda size: None, refuse)
    assert list(made[0].target.parent.iterdir()) == []


def test_children_ask_for_memory(jobs):
    asked = []
    with Crew([faulty.FaultyAssignment()]) as crew:
        crew.process(jobs(80)[0], asked.append, lambda line: None)
    assert asked == [40 * 50 * (3 + 5)]
