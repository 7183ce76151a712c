"""Photographs in processes of their own: a decoder that crashes or hangs costs the one it was given.

A worker thread of the stream talks to a child over a pipe. The child asks before it takes memory, and has its lines
written before it places files, so that budget, report and restart are those of any run. It is started once and does
photograph after photograph; one that dies or is out of time is replaced.
"""

from __future__ import annotations

import contextlib
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, Pipe
from typing import Any, Protocol, Self

from enhance_cli.errors import Crashed, EnhanceError, OutOfTime, OutputError
from enhance_cli.imaging import atomic
from enhance_cli.pipeline.photograph import Coding, Recipe, process
from enhance_cli.types import Job, Outcome


class Assignment(Protocol):
    """What children do, sent to each: a value that can be pickled."""

    coding: Coding

    def open(self) -> Recipe:
        """Open the method."""
        ...


class Crew:
    """As many children as there are workers, each started when first needed. A context manager."""

    def __init__(self, assignment: Assignment, *, timeout: float | None = None) -> None:
        """Prepare.

        Args:
            assignment: what every child opens.
            timeout: seconds for one photograph, waiting for memory not counted; None for no end.
        """
        self._assignment, self._timeout = assignment, timeout
        self._idle: queue.SimpleQueue[_Child] = queue.SimpleQueue()

    def process(
        self, job: Job, admit: Callable[[int], None], record: Callable[[Mapping[str, Any]], None]
    ) -> list[Outcome]:
        """As `photograph.process`, in a child.

        Raises:
            Crashed: the child died of it.
            OutOfTime: it took too long, and the child was killed.
            EnhanceError: whatever else made it fail.
        """
        try:
            child = self._idle.get_nowait()
        except queue.Empty:
            child = _Child(self._assignment)
        try:
            outcomes = child.process(job, admit, record, self._timeout)
        except (Crashed, OutOfTime):
            child.kill()
            if job.target is not None:
                atomic.sweep(job.target.parent)
            raise
        except BaseException:
            self._idle.put(child)
            raise
        self._idle.put(child)
        return outcomes

    def close(self) -> None:
        """Let the children go; they are idle, or die with their photographs."""
        while not self._idle.empty():
            self._idle.get().close()

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
                process_group=0,  # Ctrl-C is for the parent, who lets photographs finish
            )
        self._pipe.send(assignment)
        self._ready = False

    def process(
        self,
        job: Job,
        admit: Callable[[int], None],
        record: Callable[[Mapping[str, Any]], None],
        timeout: float | None,
    ) -> list[Outcome]:
        try:
            if not self._ready:  # starting is not the photograph's time
                self._answer(self._pipe.recv(), job)
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
                    self._pipe.send(_failure_of(record, value))
                elif kind == "trouble":
                    from enhance_cli.engines import compiled

                    compiled.note_trouble(value)
                else:
                    return self._answer((kind, value), job)
        except (EOFError, OSError) as error:
            raise Crashed(f"{job.source} made the process that worked on it die ({self._how_it_ended()}).") from error

    def _answer(self, message: tuple[str, Any], job: Job) -> list[Outcome]:
        kind, value = message
        if kind == "failed":
            raise value
        return value  # type: ignore[no-any-return]

    def _how_it_ended(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(10)
            if code < 0:
                return signal.Signals(-code).name
            return f"exit code {code}"
        return "it closed its pipe"

    def kill(self) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self._pipe.close()  # it is waiting for a photograph, and sees that none will come
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
    """Do what comes out of the pipe until it is closed."""
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
        pipe.send(("failed", _portable(error)))
        return
    pipe.send(("ready", []))
    while True:
        job = pipe.recv()
        try:
            answer: tuple[str, Any] = ("done", list(process(job, recipe, assignment.coding, admit, record)))
        except (EOFError, BrokenPipeError):
            raise
        except Exception as error:  # noqa: BLE001 - the stage boundary, as in `stream.parallel`
            answer = ("failed", _portable(error))
        if recipe.engine.device == "cpu":
            from enhance_cli.engines import compiled

            if met := compiled.trouble():
                pipe.send(("trouble", met))
        pipe.send(answer)


def _portable(error: Exception) -> Exception:
    """The error itself if it is one of ours (a class and a sentence); others might not survive the pipe."""
    return error if isinstance(error, EnhanceError) else RuntimeError(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        serve(Connection(int(sys.argv[1])))
