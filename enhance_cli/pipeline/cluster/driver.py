"""The driver of a run on a cluster: gives jobs to workers, appends their lines, and replaces workers that die.

A line is appended, and synced together with all others that arrived meanwhile, before its worker may place the files.
So every file in place has its line, whichever process dies, and a restart needs only the report.
"""

from __future__ import annotations

import math
import os
import pickle
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from enhance_cli.errors import Crashed, DeviceError, EnhanceError
from enhance_cli.pipeline.cluster.batches import AGAIN, Batches
from enhance_cli.pipeline.cluster.identity import difference
from enhance_cli.pipeline.journal import path_of_report
from enhance_cli.pipeline.report import ReportFile
from enhance_cli.pipeline.states import States
from enhance_cli.pipeline.stream import PATIENCE
from enhance_cli.pipeline.summary import Tally
from enhance_cli.types import Job, Outcome, Standing

_LOOK = 0.2
"""Seconds between checks for a signal while nothing happens."""

_AHEAD = 1.5
"""Seconds of work queued at a worker: enough to hide the latency to the driver, little enough to lose."""

_MOST_AHEAD = 64
"""Largest number of photos queued at a worker."""

_BARREN = 3
"""How many workers may die one after another before they are ready, as a multiple of those wanted."""

_BUSY = 15.0
"""Seconds without any worker after which the user is informed."""


class Fleet(Protocol):
    """Processes on a cluster, each with a `worker.Worker` in it."""

    slots: list[int]
    """How many photos each of the wanted workers may process at once."""

    machines: int

    def hire(self, place: int) -> Any:
        """Request a worker for one of `slots`; it may take any time to start."""
        ...

    def call(self, worker: Any, method: str, *arguments: Any) -> None:
        """Call a method of a worker; `ready` brings what it returns."""
        ...

    def ready(self, seconds: float) -> list[tuple[Any, str, bytes | Exception]]:
        """The calls that have ended, with their results or how the worker died; waits for at least one."""
        ...

    def dismiss(self, worker: Any) -> None:
        """End a worker's process."""
        ...


@dataclass(eq=False)
class Member:
    """The driver's record of a worker."""

    worker: Any
    place: int
    name: str = "?"
    device: str = ""
    """Known once it is ready."""

    ready: bool = False
    calling: bool = False
    jobs: dict[int, Job] = field(default_factory=dict)
    """Its unfinished jobs, by index."""

    lines: dict[int, list[Mapping[str, Any]]] = field(default_factory=dict)
    """Lines of these jobs that were appended."""

    outcomes: dict[int, list[Outcome]] = field(default_factory=dict)
    answers: dict[int, Exception | None] = field(default_factory=dict)
    """To be sent with the next call, by token."""

    pace: float = math.inf
    """Recent seconds per photo."""


@dataclass(frozen=True)
class Books:
    """What a run records, and how it turns a failure into a line."""

    report: ReportFile
    tally: Tally
    outputs: Callable[[Job], list[Path]]
    """Every file that a job writes."""

    failed: Callable[[Job, Exception, str], list[Outcome]]
    """See `work.Work.failed`."""

    states: States


@dataclass
class Driver:
    """A run under way: `meet`, then `outcomes`, each once, then `dismiss`."""

    fleet: Fleet
    ours: Mapping[str, str]
    """See `identity.identity`."""

    hello: tuple[Any, ...]
    """The arguments of `Worker.hello`."""

    trouble: Callable[[str], None]
    noted: Callable[[Mapping[str, str]], None] = lambda sentences: None
    """Receives the workers' problems with the kernel cache, as `compiled.note_trouble`."""

    fail_fast: bool = False
    endings: int = 1
    """Outputs of a job that have lines of their own."""

    device: str = ""
    """That of the first worker."""

    spent: float = 0.0
    """Seconds of the driver's own work, not counting waits."""

    died: int = 0
    """Workers that died."""

    def __post_init__(self) -> None:
        self._members: dict[Any, Member] = {}
        self._barren = 0
        self._refused: EnhanceError | None = None
        self._task = b""
        self._failing = False
        self._waiting: list[tuple[Member, int, int, Mapping[str, Any]]] = []
        """Lines to be appended, each with its worker, token and job."""

        self._quiet_since = time.monotonic()
        self._told = False

    def meet(self) -> None:
        """Request the workers, and wait until one of them has the program and the weights of this process.

        Raises:
            EnhanceError: none has, or none can be started.
        """
        for place in range(len(self.fleet.slots)):
            self._hire(place)
        while not any(member.name != "?" for member in self._members.values()):
            self._handle_ready()

    def outcomes(self, books: Books, jobs: Iterable[Job], task: bytes) -> Generator[list[Outcome], None, None]:
        """Have the jobs processed; yields outcomes as they arrive. Closing it stops the run, as for `stream.parallel`.

        Args:
            books: records what the run did.
            jobs: read on demand.
            task: a pickled `worker.Task`.

        Raises:
            EnhanceError: there is no worker left.
        """
        self._books, self._task, self._batches = books, task, Batches(jobs)
        for member in self._members.values():
            if member.name != "?":
                self._open(member)
        try:
            while not (self._batches.empty and not any(member.jobs for member in self._members.values())):
                finished = self._handle_ready()
                started = time.perf_counter()
                if self._failing:
                    self._batches.stop()
                for member in list(self._members.values()):
                    self._deal(member)
                self.spent += time.perf_counter() - started
                if finished:
                    yield finished
        except BaseException:
            self._drain()
            raise

    def dismiss(self) -> None:
        """End all workers."""
        for member in self._members.values():
            self.fleet.dismiss(member.worker)

    # --- workers come and go --------------------------------------------------------------------------------

    def _hire(self, place: int) -> None:
        worker = self.fleet.hire(place)
        self._members[worker] = Member(worker, place)
        self.fleet.call(worker, "hello", *self.hello)

    def _open(self, member: Member) -> None:
        self.fleet.call(member.worker, "open", self._task, self.fleet.slots[member.place])

    def _refuse(self, member: Member, error: EnhanceError) -> None:
        """Do without a worker that cannot do this run."""
        self.fleet.dismiss(member.worker)
        del self._members[member.worker]
        if not self._members:
            raise error
        if str(error) != str(self._refused):
            self.trouble(str(error))
        self._refused = error

    def _buried(self, member: Member, error: Exception) -> list[Outcome]:
        """A worker died: account for what it has placed, give the rest to others, and request a new worker."""
        self.fleet.dismiss(member.worker)
        self.died += 1
        del self._members[member.worker]
        self._waiting = [entry for entry in self._waiting if entry[0] is not member]
        if not member.ready:
            self._barren += 1
            if self._barren > _BARREN * len(self.fleet.slots):
                raise DeviceError(f"No worker of the cluster can be started: {_last_line(error)}")
        found: list[Outcome] = []
        unfinished = []
        for index, job in member.jobs.items():
            told, lines = member.outcomes.get(index, []), member.lines.get(index, [])
            if lines and len(lines) >= self.endings and all(self._stands(line) for line in lines):
                done = told + [_outcome(job, line) for line in lines[len(told) :]]
                for outcome in done:
                    self._books.tally.count(outcome)
                found += done
            else:
                unfinished.append(self._again(job, lines))
        for job in self._batches.lost(unfinished) if self._task else []:
            times = AGAIN + 2
            reason = Crashed(f"{job.source} crashed {times} workers, the last of them alone ({_last_line(error)}).")
            found += self._books.failed(job, reason, member.device or self.device)
            self._failing = self._failing or self.fail_fast
        self._hire(member.place)
        return found

    def _stands(self, line: Mapping[str, Any]) -> bool:
        """Whether the files of an appended line are in place."""
        return all(self._standing(item) is not None for item in line["written"])

    def _standing(self, item: Mapping[str, Any]) -> Standing | None:
        """A written file of a line, if it exists; for an object only the size is compared, as on a restart."""
        states = self._books.states
        path = Path(path_of_report(item["path"], self._books.report.path or Path("report")))
        states.refresh(path)
        found = states.standing(path)
        if found is None or found.bytes != item["bytes"]:
            return None
        return found if found.etag or found.modified_ns == item["modified_ns"] else None

    def _again(self, job: Job, lines: Iterable[Mapping[str, Any]]) -> Job:
        """A job to be repeated, which may replace files that the dead worker has placed for it."""
        placed = [self._standing(item) for line in lines for item in line["written"]]
        ours = {found.path: found for found in placed if found is not None}
        standing = [item for item in job.standing if os.path.abspath(item.path) not in ours]  # noqa: PTH100
        for path in self._books.outputs(job):
            if (found := ours.get(os.path.abspath(path))) is not None:  # noqa: PTH100
                standing.append(found._replace(path=str(path)))
        return replace(job, standing=tuple(standing))

    # --- what workers tell ----------------------------------------------------------------------------------

    def _handle_ready(self) -> list[Outcome]:
        """Wait for calls to end, and handle all of them."""
        calls = self.fleet.ready(_LOOK)
        started = time.perf_counter()
        found: list[Outcome] = []
        for worker, method, result in calls:
            member = self._members.get(worker)
            if member is None or method == "give":
                continue
            if isinstance(result, Exception):
                found += self._buried(member, result)
            elif method == "hello":
                self._greeted(member, pickle.loads(result))
            elif method == "open":
                self._opened(member, pickle.loads(result))
            else:
                member.calling = False
                found += self._heard(member, pickle.loads(result))
        self._append()
        self.spent += time.perf_counter() - started
        if calls or any(member.ready for member in self._members.values()):
            self._quiet_since = time.monotonic()
        elif time.monotonic() > self._quiet_since + _BUSY and not self._told:
            self._told = True
            self.trouble("No worker has started yet: the cluster is busy or starting up; this command keeps waiting.")
        return found

    def _greeted(self, member: Member, answer: Mapping[str, Any]) -> None:
        sentence = answer.get("error") or difference(answer["place"], answer["identity"], self.ours)
        if sentence is not None:
            self._refuse(member, DeviceError(sentence))
            return
        member.name = answer["place"]
        if self._task:
            self._open(member)

    def _opened(self, member: Member, device: str | Exception) -> None:
        if isinstance(device, EnhanceError):
            self._refuse(member, device)
        elif isinstance(device, Exception):
            self._refuse(member, DeviceError(f"The worker on {member.name} cannot start: {device}"))
        else:
            member.device = device
            self.device = self.device or device
            self._barren = 0
            member.ready = True

    def _heard(self, member: Member, events: Iterable[tuple[str, Any]]) -> list[Outcome]:
        """Append lines, and count the outcomes of jobs that are over."""
        found: list[Outcome] = []
        for kind, value in events:
            if kind == "record":
                self._waiting.append((member, *value))
            elif kind == "outcome":
                index, status, line, megapixels, error = value
                outcome = Outcome(member.jobs[index], status, line, megapixels, error)
                member.outcomes.setdefault(index, []).append(outcome)
            elif kind == "over":
                index, seconds = value
                # Downwards at once, because the first photo compiles kernels; upwards in steps.
                member.pace = min(seconds, (member.pace + seconds) / 2)
                member.jobs.pop(index)
                member.lines.pop(index, None)
                for outcome in member.outcomes.pop(index, []):
                    self._books.tally.count(outcome)
                    self._books.report.finish(outcome.report)
                    self._failing = self._failing or (self.fail_fast and outcome.status == "failed")
                    found.append(outcome)
            elif kind == "trouble":
                self.noted(value)
            else:
                raise RuntimeError(f"The worker on {member.name} met {value}")
        return found

    def _append(self) -> None:
        """Append all lines that have arrived, with one sync, so that their workers may place the files."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        answers = self._books.report.append_together([line for *_, line in waiting])
        for (member, token, index, line), answer in zip(waiting, answers, strict=True):
            member.answers[token] = answer
            if answer is None:
                member.lines.setdefault(index, []).append(line)
            elif line["status"] == "failed":
                self._books.tally.lost_lines += 1

    def _deal(self, member: Member) -> None:
        """Send a worker its jobs and answers, and wait for its news."""
        if not member.ready:
            return
        slots = self.fleet.slots[member.place]
        ahead = 0 if self.fail_fast else 1 + min(_MOST_AHEAD, int(slots * _AHEAD / max(member.pace, 1e-3)))
        jobs = self._batches.take(member.jobs.values(), slots + ahead - len(member.jobs))
        member.jobs.update((job.index, job) for job in jobs)
        if not member.calling:
            member.calling = True
            answers, member.answers = member.answers, {}
            self.fleet.call(member.worker, "exchange", pickle.dumps((answers, jobs)))
        elif jobs:
            self.fleet.call(member.worker, "give", jobs)

    def _drain(self) -> None:
        """Let workers finish what they are placing, and count it."""
        until = time.monotonic() + PATIENCE + 1.0
        waiting = set()
        for member in self._members.values():
            if member.ready:
                waiting.add(member.worker)
                self.fleet.call(member.worker, "finish", pickle.dumps(member.answers))
        while waiting and (left := until - time.monotonic()) > 0:
            for worker, method, result in self.fleet.ready(min(left, _LOOK)):
                if isinstance(result, Exception) or method == "finish":
                    waiting.discard(worker)
                member = self._members[worker]
                if method in ("finish", "exchange") and not isinstance(result, Exception):
                    for kind, value in pickle.loads(result):
                        if kind == "outcome" and value[0] in member.jobs:
                            index, status, line, megapixels, error = value
                            outcome = Outcome(member.jobs[index], status, line, megapixels, error)
                            member.outcomes.setdefault(index, []).append(outcome)
        for member in self._members.values():
            for outcomes in member.outcomes.values():
                for outcome in outcomes:
                    self._books.tally.count(outcome)


def _outcome(job: Job, line: Mapping[str, Any]) -> Outcome:
    """The outcome, by its line, of a job whose worker died after it had placed the files."""
    width, height = line["size"] or (0, 0)
    return Outcome(job, line["status"], line, width * height / 1e6 if line["status"] == "done" else 0.0)


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1].strip() if str(error).strip() else type(error).__name__
