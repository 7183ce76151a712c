"""Photos in child processes: a decoder that crashes or hangs costs only the photo it was given.

A worker thread of the stream communicates with a child over a pipe. The child asks before it takes memory, and has its
lines written before it places files, so that budget, report and restart work as in any run. A child processes one
photo after another; one that dies or exceeds the timeout is replaced.
"""

from __future__ import annotations

import contextlib
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection, Pipe
from typing import Any, Protocol, Self

from enhance_cli.engines import abandon
from enhance_cli.errors import Crashed, EnhanceError, OutOfTime, OutputError
from enhance_cli.imaging import atomic
from enhance_cli.pipeline.files import Coding
from enhance_cli.pipeline.glance import Look, decision_of
from enhance_cli.pipeline.plans import plan_path
from enhance_cli.pipeline.process import process
from enhance_cli.pipeline.recipe import Recipe
from enhance_cli.types import Job, Outcome


class Assignment(Protocol):
    """The task that is sent to each child: a value that can be pickled (see `assignment.Assignment`)."""

    @property
    def coding(self) -> Coding:
        """How files are read and written."""
        ...

    def open(self) -> Recipe:
        """Open the method."""
        ...


class Crew:
    """As many child processes as workers, each started when first needed. A context manager."""

    def __init__(self, assignments: Sequence[Assignment], *, timeout: float | None = None) -> None:
        """Prepare.

        Args:
            assignments: what the children open, one for each device of the run.
            timeout: seconds for one photo, not counting waits for memory; None for no limit.
        """
        self._assignments, self._timeout = assignments, timeout
        self._idle: list[queue.SimpleQueue[_Child]] = [queue.SimpleQueue() for _ in assignments]
        self._all: set[_Child] = set()
        self._starting = threading.RLock()  # reentrant: a signal may arrive while it is held
        self._stopped = False

    def process(
        self, job: Job, admit: Callable[[int], None], record: Callable[[Mapping[str, Any]], None]
    ) -> list[Outcome]:
        """All of `outcomes`."""
        return list(self.outcomes(job, admit, record))

    def outcomes(
        self, job: Job, admit: Callable[[int], None], record: Callable[[Mapping[str, Any]], None], *, part: int = 0
    ) -> Iterator[Outcome]:
        """As `process.process`, in a child with the assignment `part`: each outcome when it is in place.

        Raises:
            Crashed: the photo made the child die.
            OutOfTime: it took too long, and the child was killed.
            Abandoned: the run was stopped.
            EnhanceError: any other failure.
        """
        yield from self._done(job, admit, record, part)

    def _done(
        self,
        job: Job | Look,
        admit: Callable[[int], None],
        record: Callable[[Mapping[str, Any]], None],
        part: int,
    ) -> Iterator[Any]:
        child = self._take(part)
        try:
            yield from child.process(job, admit, record, self._timeout)
        except (Crashed, OutOfTime, abandon.Abandoned):
            self._end(child)
            self._sweep(job)
            abandon.check()  # if so, we killed it ourselves
            raise
        except BaseException:
            self._idle[part].put(child)
            raise
        self._idle[part].put(child)

    def look(self, job: Job, max_pixels: int) -> dict[str, Any]:
        """As `glance.decision_of`, in a child.

        Raises:
            Crashed: the photo made the child die.
            Abandoned: the run was stopped.
            EnhanceError: any other failure.
        """
        (line,) = self._done(Look(job, max_pixels), lambda size: None, lambda line: None, 0)
        return line  # type: ignore[no-any-return]

    def _take(self, part: int) -> _Child:
        with contextlib.suppress(queue.Empty):
            return self._idle[part].get_nowait()
        with self._starting:
            if self._stopped:
                raise abandon.Abandoned
            child = _Child(self._assignments[part])
            self._all.add(child)
        return child

    def _end(self, child: _Child) -> None:
        child.kill()
        self._all.discard(child)

    def _sweep(self, job: Job | Look) -> None:
        """Remove what a killed child left staged."""
        coding = self._assignments[0].coding
        if job.target is not None:
            atomic.sweep(job.target.parent)
            if coding.save_plans is not None:
                atomic.sweep(plan_path(coding.save_plans, job.target, coding.root).parent)

    def kill(self) -> None:
        """Kill all children immediately and start no more; for a run that is being stopped."""
        with self._starting:
            self._stopped = True
        for child in list(self._all):
            child.signal_end()

    def close(self) -> None:
        """End the children; they are idle, or die with their photos."""
        for idle in self._idle:
            while not idle.empty():
                idle.get().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Child:
    def __init__(self, assignment: Assignment) -> None:
        self._pipe, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "enhance_cli.pipeline.isolate", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                process_group=0,  # Ctrl-C must reach only the parent, which lets photos finish
            )
        self._pipe.send(assignment)
        self._ready = False

    def process(
        self,
        job: Job | Look,
        admit: Callable[[int], None],
        record: Callable[[Mapping[str, Any]], None],
        timeout: float | None,
    ) -> Iterator[Any]:
        placing = ExitStack()  # entered with a line, left when the child reports its files in place
        try:
            if not self._ready:  # start-up does not count towards the timeout
                self._check(self._pipe.recv())
                self._ready = True
            self._pipe.send(job)
            left = timeout
            while True:
                waiting = time.monotonic()
                if not self._pipe.poll(left):
                    raise OutOfTime(f"{job.source} took longer than {timeout:g} s; raise --timeout to wait for it.")
                kind, value = self._pipe.recv()
                if left is not None:
                    left = max(0.0, left - (time.monotonic() - waiting))
                if kind == "admit":
                    admit(value)
                    self._pipe.send(None)
                elif kind == "record":
                    placing.enter_context(abandon.current().placing())
                    self._pipe.send(_failure_of(record, value))
                elif kind == "placed":
                    yield value
                    placing.close()
                elif kind == "trouble":
                    from enhance_cli.engines import compiled

                    compiled.note_trouble(value)
                else:
                    self._check((kind, value))
                    return
        except (EOFError, OSError) as error:
            raise Crashed(f"{job.source} crashed the process that worked on it ({self._how_it_ended()}).") from error
        finally:
            placing.close()

    @staticmethod
    def _check(message: tuple[str, Any]) -> None:
        """Raise the error of the child, if there was one."""
        kind, value = message
        if kind == "failed":
            raise value

    def _how_it_ended(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(10)
            if code < 0:
                return signal.Signals(-code).name
            return f"exit code {code}"
        return "it closed its pipe"

    def signal_end(self) -> None:
        """Kill it, from another thread than the one that communicates with it, which then finds the pipe closed."""
        self._process.kill()

    def kill(self) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self._pipe.close()  # the child waits for a photo and now reads the end of the pipe
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()


def _failure_of(record: Callable[[Mapping[str, Any]], None], line: Mapping[str, Any]) -> OutputError | None:
    try:
        record(line)
    except OutputError as error:
        return error
    return None


# --- in the child ------------------------------------------------------------------------------------------


def serve(pipe: Connection) -> None:
    """Process jobs from the pipe until it is closed."""
    assignment: Assignment = pipe.recv()

    def admit(size: int) -> None:
        pipe.send(("admit", size))
        pipe.recv()

    def record(line: Mapping[str, Any]) -> None:
        pipe.send(("record", line))
        failure = pipe.recv()
        if failure is not None:
            raise failure

    try:
        recipe = assignment.open()
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
        pipe.send(("failed", portable(error)))
        return
    pipe.send(("ready", []))
    while True:
        job = pipe.recv()
        try:
            found = (
                _looked(job, recipe)
                if isinstance(job, Look)
                else process(job, recipe, assignment.coding, admit, record)
            )
            for outcome in found:
                pipe.send(("placed", outcome))
            answer: tuple[str, Any] = ("done", None)
        except (EOFError, BrokenPipeError):
            raise
        except Exception as error:  # noqa: BLE001 - the stage boundary, as in `stream.parallel`
            answer = ("failed", portable(error))
        if recipe.engine.device == "cpu":
            from enhance_cli.engines import compiled

            if met := compiled.trouble():
                pipe.send(("trouble", met))
        pipe.send(answer)


def _looked(look: Look, recipe: Recipe) -> Iterator[dict[str, Any]]:
    yield decision_of(look.job, recipe, look.max_pixels)


def portable(error: Exception) -> Exception:
    """The error itself if it is one of ours (a class and a message); others may not survive pickling."""
    return error if isinstance(error, EnhanceError) else RuntimeError(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        serve(Connection(int(sys.argv[1])))
