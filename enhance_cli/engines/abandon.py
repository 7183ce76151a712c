"""Cancelling work in progress: requested in one thread, and checked by the working threads between parts of the work.

A run has a Stop. Its workers, and the engine's threads that work for them, find it in the context of their thread
instead of receiving it as an argument, so methods need no parameter for it, and two runs in one process do not stop
each other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


class Abandoned(BaseException):
    """The run that this work belongs to is being stopped. Not an Exception, so that no error handler catches it."""


class Stop:
    """Whether a run is to stop, and which of its workers are currently placing finished files."""

    def __init__(self) -> None:
        """Start with no stop requested."""
        self._changed = threading.Condition()
        self._asked = False
        self._placing = 0

    @property
    def asked(self) -> bool:
        """Whether a stop was requested."""
        return self._asked

    def ask(self, patience: float) -> None:
        """Cancel all work: nothing further is placed; files that are being placed now are waited for.

        Args:
            patience: seconds to wait at most.
        """
        until = time.monotonic() + patience
        with self._changed:
            self._asked = True
            while self._placing and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)

    def check(self) -> None:
        """Check for a stop.

        Raises:
            Abandoned: a stop was requested.
        """
        if self._asked:
            raise Abandoned

    @contextmanager
    def placing(self) -> Iterator[None]:
        """Complete the body once it has begun: the line of a photo, its files and its count belong together.

        Raises:
            Abandoned: a stop was requested, so the body is not begun.
        """
        with self._changed:
            self.check()
            self._placing += 1
        try:
            yield
        finally:
            with self._changed:
                self._placing -= 1
                self._changed.notify_all()


_current: ContextVar[Stop] = ContextVar("_current", default=Stop())  # noqa: B039 - the default is never asked


def current() -> Stop:
    """The Stop of the run that this thread works for; without a run, one that is never requested."""
    return _current.get()


def check() -> None:
    """Check for a stop between two parts of a long computation.

    Raises:
        Abandoned: the run is being stopped.
    """
    _current.get().check()


@contextmanager
def working_for(stop: Stop) -> Iterator[None]:
    """Make this thread work for a run."""
    token = _current.set(stop)
    try:
        yield
    finally:
        _current.reset(token)


def checked(work: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Wrap work for another thread, so that it is cancelled together with the run of the current thread."""
    stop = current()

    def do(item: Any) -> Any:
        stop.check()
        with working_for(stop):
            return work(item)

    return do


_last: list[Callable[[], None]] = []


@contextmanager
def at_the_end(do: Callable[[], None]) -> Iterator[None]:
    """Call `end` if the process must end within this context, for example to kill child processes."""
    _last.append(do)
    try:
        yield
    finally:
        _last.remove(do)


def end() -> None:
    """Run all registered actions because the process is about to end immediately."""
    for do in list(_last):
        do()
