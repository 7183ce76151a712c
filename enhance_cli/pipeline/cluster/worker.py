"""A worker of a cluster: a process that handles photos for a driver elsewhere, on paths that both can reach.

The driver calls `exchange` repeatedly: it delivers names of photos and answers about lines, and returns what has
happened since. Before a photo is placed, its line goes to the driver, and the worker waits until the driver has
appended it, like a child of `--isolate`. So the report is written by one process, every file in place has its line
whichever process dies, and a worker whose driver is gone places nothing.

While one photo waits for that answer the next one is processed, so that latency costs no time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pickle
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enhance_cli.engines import abandon
from enhance_cli.errors import EnhanceError, UsageError
from enhance_cli.pipeline.cluster.identity import identity
from enhance_cli.pipeline.isolate import portable
from enhance_cli.pipeline.stream import PATIENCE, ByteBudget, parallel
from enhance_cli.pipeline.summary import Tally
from enhance_cli.pipeline.work import Work, opened
from enhance_cli.types import Job, Outcome

if TYPE_CHECKING:
    from enhance_cli.pipeline.assignment import Assignment
    from enhance_cli.pipeline.dealing import Dealer
    from enhance_cli.pipeline.work import Do

_GATHER = 0.6
"""Seconds for which events are collected while the worker has other photos to process. Calls cost the driver CPU time,
which limits the number of workers of a run."""

_HELD_CALL = 10.0
"""Seconds after which a call returns without events."""

_DESERTED = 600.0
"""Seconds without a call after which the driver is considered dead, and the process ends."""

_FURTHER = 3
"""Photos that may wait for the driver in addition to those in progress."""


@dataclass(frozen=True)
class Task:
    """The task of a worker, as a value that is sent to it."""

    assignment: Assignment
    isolate: bool = False
    timeout: float | None = None
    memory: int | None = None
    """The budget of one worker; None for its share of the machine's default."""

    workers_per_node: int = 1
    folder: Path | None = None
    """The folder of the driver's process, from which relative paths start."""

    seen: tuple[tuple[str, int, int], ...] = ()
    """Path, size and modification time (ns) of files that the worker must find as the driver does."""

    def open(self, stack: ExitStack) -> tuple[Dealer, Do, Callable[[], None]]:
        """Open the engine and the method: a dealer of one device, and what `work.opened` returns."""
        dealer = self.assignment.deal()
        stack.callback(dealer.close, wait=False)
        return dealer, *opened(self.assignment, dealer, stack, isolate=self.isolate, timeout=self.timeout)

    def enter(self, place: str) -> None:
        """Change to the driver's folder, and check its files.

        Raises:
            UsageError: they are not there, or not the same.
        """
        try:
            if self.folder is not None:
                os.chdir(self.folder)
        except OSError:
            if any(not os.path.isabs(path) for path, _, _ in self.seen):  # noqa: PTH117
                raise UsageError(
                    f"The worker on {place} has no folder {self.folder}, from which the command's paths start; give "
                    "absolute paths that all machines share."
                ) from None
        mirror = self.assignment.coding.mirror
        if mirror is not None:
            self._scratch(mirror.root)
        for path, size, modified in self.seen:
            try:
                status = os.stat(path)  # noqa: PTH116
            except OSError as error:
                raise UsageError(
                    f"The worker on {place} cannot reach {path} ({error.strerror}); give paths that all machines share."
                ) from error
            if (status.st_size, status.st_mtime_ns) != (size, modified):
                raise UsageError(
                    f"The worker on {place} finds another file at {path} than this machine; give paths that all "
                    "machines share."
                )

    @staticmethod
    def _scratch(root: Path) -> None:
        """Create the folder to which objects are fetched; locked, so that it is removed when no process uses it."""
        root.mkdir(mode=0o700, exist_ok=True)
        lock = os.open(root / ".lock", os.O_CREAT | os.O_RDWR, 0o600)  # open until the process ends
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)


class _Telling(Tally):
    """Counts, and reports every outcome to the driver."""

    def __init__(self, tell: Callable[[str, Any], None]) -> None:
        super().__init__()
        self._tell = tell

    def count(self, outcome: Outcome) -> None:
        """Count it, and tell."""
        super().count(outcome)
        error = None if outcome.error is None else portable(outcome.error)
        self._tell("outcome", (outcome.job.index, outcome.status, outcome.report, outcome.megapixels, error))


@dataclass(frozen=True)
class _Lines:
    """The report as the worker sees it: its driver."""

    append: Callable[[Mapping[str, Any]], None]

    def finish(self, line: Mapping[str, Any]) -> None:
        """Nothing: the driver hears of it with the outcome."""


class Worker:
    """The calls of a driver. `exchange` may wait; the others may be called meanwhile, in other threads."""

    def __init__(self) -> None:
        self._place = f"{socket.gethostname()} (process {os.getpid()})"
        self._changed = threading.Condition()
        self._events: list[tuple[str, Any]] = []
        self._since = 0.0
        """When the first of the events came."""

        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._queued = self._working = self._tokens = 0
        self._answers: dict[int, queue.SimpleQueue[Any]] = {}
        self._ended = self._over = False
        self._threads = 1
        self._this = threading.local()
        self._called = time.monotonic()
        self._stack = ExitStack()

    def hello(self, method: str, own: str | None) -> bytes:
        """This machine, its program and its weights; only plain values, which any version understands."""
        try:
            known = identity(method, None if own is None else Path(own))
        except EnhanceError as error:
            return pickle.dumps({"place": self._place, "error": str(error)})
        return pickle.dumps({"place": self._place, "process": os.getpid(), "identity": known})

    def open(self, task: bytes, slots: int) -> bytes:
        """Open the engine, once, and start waiting for jobs; returns the device, or the error."""
        try:
            asked: Task = pickle.loads(task)
            asked.enter(self._place)
            dealer, do, end = asked.open(self._stack)
        except Exception as error:  # noqa: BLE001 - whatever it is, the driver must hear of it
            return pickle.dumps(portable(error))
        from enhance_cli.pipeline.memory import default_budget

        budget = ByteBudget(asked.memory or max(1, default_budget() // asked.workers_per_node))
        further = 1 if asked.isolate or asked.timeout is not None else _FURTHER
        self._slots = threading.Semaphore(slots)
        self._threads = slots + further
        self._called = time.monotonic()
        on_disk = asked.assignment.coding.mirror is None
        threading.Thread(target=self._serve, args=(dealer, do, end, budget, on_disk), daemon=True).start()
        threading.Thread(target=self._watch, daemon=True).start()
        return pickle.dumps(dealer.device)

    def exchange(self, message: bytes) -> bytes:
        """Take answers and jobs, wait for events, and return them: a list of (kind, value).

        The kinds are `record`: (token, index, line) that waits for an answer; `outcome`; `over`: (index, seconds of
        work) of a job that is finished; `trouble`: sentences by key.
        """
        answers, jobs = pickle.loads(message)
        self.give(jobs)
        with self._changed:
            self._answer(answers)
            end = self._called + _HELD_CALL
            while not self._ended:
                now = time.monotonic()
                until = self._since + _GATHER if self._events else end
                if now >= until or (self._events and self._is_idle()):
                    break
                self._changed.wait(until - now)
            self._called = time.monotonic()
            return self._taken()

    def give(self, jobs: list[Job]) -> None:
        """Take further jobs."""
        with self._changed:
            self._called = time.monotonic()
            self._queued += len(jobs)
            for job in jobs:
                self._jobs.put(job)

    def finish(self, answers: bytes) -> bytes:
        """Stop: finish what is being placed, place nothing else, and report what has happened."""
        with self._changed:
            self._answer(pickle.loads(answers))
            self._over = True
            for waiting in self._answers.values():
                waiting.put(abandon.Abandoned())
            self._answers.clear()
            self._jobs.put(None)
            self._changed.wait_for(lambda: self._ended, PATIENCE)
            self._ended = True
            self._changed.notify_all()
            return self._taken()

    # --- within ---------------------------------------------------------------------------------------------

    def _taken(self) -> bytes:
        events, self._events = self._events, []
        return pickle.dumps(events)

    def _answer(self, answers: Mapping[int, Exception | None]) -> None:
        for token, answer in answers.items():
            if (waiting := self._answers.pop(token, None)) is not None:
                self._working += 1
                waiting.put(answer)

    def _is_idle(self) -> bool:
        """Whether nothing more will happen before the driver says something."""
        return self._working == 0 and (self._queued == 0 or len(self._answers) >= self._threads)

    def _tell(self, kind: str, value: Any) -> None:
        with self._changed:
            if not self._events:
                self._since = time.monotonic()
            self._events.append((kind, value))
            self._changed.notify_all()

    def _record(self, line: Mapping[str, Any]) -> None:
        """Have the driver append a line; another photo is processed meanwhile."""
        answer: queue.SimpleQueue[Any] = queue.SimpleQueue()
        with self._changed:
            if self._over:
                raise abandon.Abandoned
            token = self._tokens = self._tokens + 1
            self._answers[token] = answer
            self._working -= 1
        self._tell("record", (token, self._this.index, line))
        with self._aside():
            failure = answer.get()
        if failure is not None:
            raise failure

    @contextlib.contextmanager
    def _aside(self) -> Iterator[None]:
        """Allow another photo to be processed."""
        began = time.monotonic()
        self._slots.release()
        try:
            yield
        finally:
            if not self._over:  # at the end staged files are removed at once, whatever else takes long
                self._slots.acquire()
            self._this.aside += time.monotonic() - began

    def _serve(self, dealer: Dealer, do: Do, end: Callable[[], None], budget: ByteBudget, on_disk: bool) -> None:
        """Process the jobs as they arrive, in a separate thread."""
        inner = Work(
            do,
            dealer,
            _Lines(self._record),
            _Telling(self._tell),
            lambda text: self._tell("trouble", {text: text}),
            on_disk=on_disk,
        )

        def work(job: Job, admit: Callable[[int], None]) -> None:
            def admitted(size: int) -> None:
                with self._aside():  # who holds the memory may be waiting for this slot
                    admit(size)

            self._this.index, self._this.aside = job.index, 0.0
            with self._slots:
                began = time.monotonic()
                with self._changed:
                    self._queued -= 1
                    self._working += 1
                try:
                    inner.work(job, admitted)
                except Exception as error:  # noqa: BLE001 - the stage boundary, as in `stream.parallel`
                    inner.failed(job, error)
                finally:
                    with self._changed:
                        self._working -= 1
            if dealer.device == "cpu":
                from enhance_cli.engines import compiled

                if met := compiled.trouble():
                    self._tell("trouble", met)
            self._tell("over", (job.index, time.monotonic() - began - self._this.aside))

        def unexpected(job: Job, error: Exception) -> None:
            self._tell("broken", f"{type(error).__name__}: {error}")

        def arriving() -> Iterator[Job]:
            while (job := self._jobs.get()) is not None:
                yield job
            raise abandon.Abandoned

        try:
            with self._stack, contextlib.suppress(abandon.Abandoned):
                for _ in parallel(arriving(), work, unexpected, workers=self._threads, budget=budget, abandon=end):
                    pass
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _watch(self) -> None:
        """End the process if no driver has called for long: it would occupy memory and a device."""
        while time.monotonic() < self._called + _DESERTED + _HELD_CALL:
            time.sleep(_HELD_CALL)
        os._exit(1)
