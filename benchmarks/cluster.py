"""Scaling of `--cluster` with simulated photos: `python -m benchmarks.cluster --jobs 10000 --workers 1 2 4 8`.

Rendering is replaced by a wait as long as a photo takes, so that eight workers fit on any machine; distribution,
calls to Ray, lines and their answers are real. For each number of workers it prints the efficiency (the time of one
photo after the other, divided by the workers and by the time taken once all of them are ready) and the driver's own
time per job, as wall clock and as CPU of the whole process.
"""

from __future__ import annotations

import argparse
import json
import pickle
import resource
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enhance_cli.pipeline.assignment import Assignment
from enhance_cli.pipeline.cluster.driver import Books, Driver
from enhance_cli.pipeline.cluster.identity import identity
from enhance_cli.pipeline.cluster.session import RayFleet, session
from enhance_cli.pipeline.cluster.worker import Task
from enhance_cli.pipeline.files import Coding
from enhance_cli.pipeline.report import ReportFile
from enhance_cli.pipeline.run import Run
from enhance_cli.pipeline.states import States
from enhance_cli.pipeline.summary import Tally
from enhance_cli.types import Job, Outcome

METHOD = "clahe-adaptive"


@dataclass(frozen=True)
class Waits(Task):
    """Opens what `Task` does, and waits in place of every photo."""

    seconds: float = 0.2

    def open(self, stack: ExitStack) -> Any:
        """See `Task`."""
        dealer, _, end = super().open(stack)

        def wait(job: Job, recipe: Any, *, admit: Any, record: Any) -> Any:
            admit(1)
            time.sleep(self.seconds)
            line = recipe.line(str(job.source), str(job.target), written=[], ms={"render": self.seconds * 1e3})
            record(line)
            yield Outcome(job, "done", line, megapixels=12.0)

        return dealer, wait, end


def measured(workers: int, jobs: int, seconds: float) -> dict[str, float]:
    """One run."""
    controls = Run.of(METHOD, (), {"clip_limit": 2.0}).controls
    task = Waits(Assignment(METHOD, controls, "cpu", Coding(settings="simulated")), seconds=seconds)
    with tempfile.TemporaryDirectory() as folder, session("local", workers) as ray:
        driver = Driver(RayFleet(ray, "cpu", workers), identity(METHOD, None), (METHOD, None), print)
        named = (Job(number, Path(f"in/{number}.jpg"), Path(f"out/{number}.jpg")) for number in range(jobs))
        with ReportFile(Path(folder, "enhance-report.jsonl")) as report:
            books = Books(report, Tally(), lambda job: [], lambda job, error, device: [], States())
            began = time.perf_counter()
            driver.meet()
            stream = driver.outcomes(books, named, pickle.dumps(task))
            done = len(next(stream))
            while sum(hand.ready for hand in driver._hands.values()) < workers:
                done += len(next(stream))
            ready, cpu, spent = time.perf_counter(), time.process_time(), driver.spent
            left = jobs - done
            for _ in stream:
                pass
            took = time.perf_counter() - ready
            cpu, spent = time.process_time() - cpu, driver.spent - spent
            driver.dismiss()
    return {
        "workers": workers,
        "jobs": left,
        "start-up s": round(ready - began, 1),
        "efficiency": round(left * seconds / workers / took, 3),
        "driver ms/job": round(spent / left * 1e3, 3),
        "driver CPU ms/job": round(cpu / left * 1e3, 3),
        "driver MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    asked = parser.parse_args()
    for workers in asked.workers:
        print(json.dumps(measured(workers, asked.jobs, asked.seconds)), flush=True)


if __name__ == "__main__":
    from benchmarks.cluster import main as imported  # workers import `Waits` by this name

    imported()
