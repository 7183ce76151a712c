"""A driver and workers in one process, without Ray: lines before files, deaths, refusals, stops."""

from __future__ import annotations

import pickle
import queue
import threading
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from enhance_cli.errors import DeviceError, OutputError, UsageError
from enhance_cli.pipeline.assignment import Assignment
from enhance_cli.pipeline.cluster import identity as identities
from enhance_cli.pipeline.cluster import worker as workers
from enhance_cli.pipeline.cluster.driver import Books, Driver
from enhance_cli.pipeline.cluster.worker import Task, Worker
from enhance_cli.pipeline.files import Coding
from enhance_cli.pipeline.report import ReportFile
from enhance_cli.pipeline.run import Run
from enhance_cli.pipeline.states import States
from enhance_cli.pipeline.summary import Tally
from enhance_cli.pipeline.work import Work
from enhance_cli.types import Job
from tests.commands import lines, until


class Threads:
    """A fleet of workers that are objects of this process; `kill` has one die, with what it was saying."""

    def __init__(self, count=2):
        self.slots, self.machines = [1] * count, 1
        self.workers, self.dead, self._ended = [], set(), queue.SimpleQueue()
        self.before_reply = lambda worker, method, reply: None

    def hire(self, place):
        self.workers.append(Worker())
        return len(self.workers) - 1

    def call(self, worker, method, *arguments):
        def do():
            reply = getattr(self.workers[worker], method)(*arguments)
            self.before_reply(worker, method, reply)
            self._ended.put((worker, method, OSError("killed") if worker in self.dead else reply))

        threading.Thread(target=do, daemon=True).start()

    def ready(self, seconds):
        found = []
        try:
            found.append(self._ended.get(timeout=seconds))
            while True:
                found.append(self._ended.get_nowait())
        except queue.Empty:
            return found

    def dismiss(self, worker):
        self.dead.add(worker)
        self.workers[worker].finish(pickle.dumps({}))


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """Images and all that a driver needs to have them done."""
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()

    class Stage:
        fleet, tally, troubles = Threads(), Tally(), []
        ours = identities.identity("clahe-adaptive", None)

        def __init__(self):
            controls = Run.of("clahe-adaptive", (), {"clip_limit": 2.0}).controls
            self.assignment = Assignment("clahe-adaptive", controls, "cpu", Coding(settings="s", root=Path("out")))
            self.task = Task(self.assignment)

        def jobs(self, *names):
            for index, name in enumerate(names):
                if not name.startswith("missing"):
                    cv2.imwrite(name, np.full((40, 50, 3), 40 + index, np.uint8))
                yield Job(index, Path(name), Path("out", name))

        def driver(self, **details):
            return Driver(self.fleet, self.ours, ("clahe-adaptive", None), self.troubles.append, **details)

        def run(self, *names, driver=None, task=None):
            driver = driver or self.driver()
            jobs = list(self.jobs(*names))
            with ReportFile(Path("out/enhance-report.jsonl")) as report:
                dealer = self.assignment.deal()
                work = Work(None, dealer, report, self.tally, self.troubles.append)
                books = Books(report, self.tally, lambda job: [job.target], work.failed, States())
                driver.meet()
                return [
                    outcome
                    for found in driver.outcomes(books, jobs, pickle.dumps(task or self.task))
                    for outcome in found
                ]

    return Stage()


def test_photos_are_done_and_failures_have_their_lines(stage):
    outcomes = stage.run(*(f"{index}.png" for index in range(12)), "missing.png")
    assert sorted(outcome.job.index for outcome in outcomes) == list(range(13))
    assert (stage.tally.done, stage.tally.failed) == (12, 1)
    assert len(list(Path("out").glob("*.png"))) == 12
    assert [line["error"]["kind"] for line in lines() if line["status"] == "failed"] == ["missing"]
    assert all(Path("out", line["written"][0]["path"]).exists() for line in lines() if line["status"] == "done")


def kill_one_with(stage, wanted):
    """Kill the first worker that answers with a message of this kind, before its answer arrives."""
    killed = []

    def kill_once(worker, method, reply):
        if method == "exchange" and not killed and any(kind == wanted for kind, _ in pickle.loads(reply)):
            killed.append(worker)
            stage.fleet.dead.add(worker)

    stage.fleet.before_reply = kill_once
    return killed


def test_a_worker_that_dies_before_its_line_is_answered_places_nothing(stage):
    """It is killed with its first lines on their way; they are written by the worker that gets the batch."""
    killed = kill_one_with(stage, "record")
    stage.run(*(f"{index}.png" for index in range(10)))
    assert killed
    assert (stage.tally.done, stage.tally.failed) == (10, 0)
    assert sorted(line["source"] for line in lines()) == sorted(f"{index}.png" for index in range(10))


def test_what_a_dead_worker_had_placed_is_not_done_again(stage):
    """It dies after its answer: the file is there, and nobody said so."""
    killed = kill_one_with(stage, "over")
    outcomes = stage.run(*(f"{index}.png" for index in range(10)))
    assert killed
    assert (stage.tally.done, stage.tally.failed) == (10, 0)
    assert len(lines()) == 10, "a photo has two lines: it was done twice"
    assert sorted(outcome.job.index for outcome in outcomes) == list(range(10))


def test_the_line_of_a_photo_that_kills_names_the_device_of_its_worker(stage, monkeypatch):
    """Not that of the command's machine, which may have no GPU."""

    def kill(worker, method, reply):
        if method == "exchange" and any(
            kind == "record" and value[2]["source"] == "poison.png" for kind, value in pickle.loads(reply)
        ):
            stage.fleet.dead.add(worker)

    stage.fleet.before_reply = kill
    opened = Driver._opened
    monkeypatch.setattr(Driver, "_opened", lambda self, member, device: opened(self, member, "cuda"))
    stage.run("a.png", "poison.png", "b.png")
    assert (stage.tally.done, stage.tally.failed) == (2, 1)
    (failed,) = [line for line in lines() if line["status"] == "failed"]
    assert (failed["source"], failed["error"]["kind"], failed["device"]) == ("poison.png", "crashed", "cuda")


def test_a_worker_of_another_version_is_left_out_in_a_sentence_that_names_both(stage):
    theirs = [{**stage.ours, "version": "9.9.9"}, stage.ours]
    for _ in theirs:
        worker = Worker
    hello = Worker.hello

    def lying(self, method, own):
        return pickle.dumps({**pickle.loads(hello(self, method, own)), "identity": theirs.pop(0)})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "hello", lying)
        stage.run("a.png", "b.png")
    assert stage.tally.done == 2
    (sentence,) = stage.troubles
    assert "enhance 9.9.9" in sentence
    assert f"this command has enhance {stage.ours['version']}" in sentence


def test_without_any_worker_of_this_version_the_run_is_refused(stage):
    stage.ours = {**stage.ours, "weights": "00000000"}
    with pytest.raises(DeviceError, match=r"weights 00000000\); install the same there"):
        stage.run("a.png")
    assert not list(Path("out").glob("*.png"))


def test_a_worker_that_sees_another_folder_is_refused(stage):
    Path("token").write_bytes(b"here")
    status = Path("token").stat()
    seen = [("token", status.st_size, status.st_mtime_ns), ("elsewhere/token", 4, 0)]
    with pytest.raises(UsageError, match=r"cannot reach elsewhere/token .* all machines share"):
        stage.run("a.png", task=replace(stage.task, seen=tuple(seen)))
    with pytest.raises(UsageError, match="finds another file at token"):
        Task(stage.assignment, seen=(("token", 5, status.st_mtime_ns),)).enter("here")


def test_a_stopped_run_places_nothing_more(stage):
    driver = stage.driver()
    jobs = list(stage.jobs(*(f"{index}.png" for index in range(200))))
    with ReportFile(Path("out/enhance-report.jsonl")) as report:
        work = Work(None, stage.assignment.deal(), report, stage.tally, stage.troubles.append)
        books = Books(report, stage.tally, lambda job: [job.target], work.failed, States())
        driver.meet()
        stream = driver.outcomes(books, jobs, pickle.dumps(stage.task))
        next(stream)
        stream.close()
        placed = {path.name for path in Path("out").glob("*.png")}
        time.sleep(0.3)
        assert {path.name for path in Path("out").glob("*.png")} == placed
    assert 0 < stage.tally.done == len(placed) < 200
    assert placed <= {Path(line["output"]).name for line in lines()}


held = threading.Event()


class Held(Task):
    """Work that stands still at a photo, and cannot be cancelled there."""

    def open(self, stack):
        dealer, do, end = super().open(stack)

        def hold(job, recipe, **details):
            if job.source.name == "held.png":
                held.wait()
            yield from do(job, recipe, **details)

        return dealer, hold, end


def test_a_stop_removes_what_is_staged_although_another_photo_takes_long(stage, monkeypatch):
    monkeypatch.setattr(workers, "PATIENCE", 0.1)
    held.clear()
    worker, jobs = Worker(), list(stage.jobs("a.png", "held.png"))
    worker.open(pickle.dumps(Held(stage.assignment)), 1)
    worker.give(jobs)
    until(lambda: list(Path("out").glob(".*")))
    assert "record" in dict(pickle.loads(worker.exchange(pickle.dumps(({}, [])))))
    worker.finish(pickle.dumps({}))
    try:
        until(lambda: not list(Path("out").glob(".*")))
    finally:
        held.set()
    assert not list(Path("out").iterdir())


def test_the_first_failure_ends_a_run_that_shall_fail_fast(stage):
    names = [f"{index}.png" for index in range(4)]
    stage.run("missing.png", *names, *(f"more{index}.png" for index in range(40)), driver=stage.driver(fail_fast=True))
    assert stage.tally.failed == 1
    assert stage.tally.done < 40


def test_without_its_line_nothing_is_placed(stage, monkeypatch):
    def full(self, line):
        raise OutputError("The report cannot be written: No space left on device.")

    monkeypatch.setattr(ReportFile, "_write", full)
    stage.run("a.png", "b.png")
    assert (stage.tally.done, stage.tally.failed, stage.tally.lost_lines) == (0, 2, 2)
    assert not list(Path("out").glob("*.png"))
