"""Giving up work that has begun: asked for in one thread, and looked at by those who work, between its parts.

A run has a Stop. Its workers, and the engine's threads that work for them, look at it without being handed it: it
belongs to the context that a thread works in, so methods need no argument for it, and two runs in one process do not
stop each other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


class Abandoned(BaseException):
    """The run that this was for is being stopped. No failure, so nothing that catches those catches it."""


class Stop:
    """Whether a run is to stop, and which of its workers are just placing what they have finished."""

    def __init__(self) -> None:
        """Nobody has asked yet."""
        self._changed = threading.Condition()
        self._asked = False
        self._placing = 0

    @property
    def asked(self) -> bool:
        """Whether work is to be given up."""
        return self._asked

    def ask(self, patience: float) -> None:
        """Have all work given up: nothing further is placed; what is just being placed is waited for.

        Args:
            patience: seconds to wait at most.
        """
        until = time.monotonic() + patience
        with self._changed:
            self._asked = True
            while self._placing and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)

    def check(self) -> None:
        """Go on.

        Raises:
            Abandoned: work is to be given up.
        """
        if self._asked:
            raise Abandoned

    @contextmanager
    def placing(self) -> Iterator[None]:
        """What is begun within is finished: the line of a photo, its files and its count belong together.

        Raises:
            Abandoned: work is to be given up, so it is not begun.
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
    """The Stop of the run that this thread works for; one that nobody asks where there is no run."""
    return _current.get()


def check() -> None:
    """Go on, between two parts of a long work.

    Raises:
        Abandoned: the run is being stopped.
    """
    _current.get().check()


@contextmanager
def working_for(stop: Stop) -> Iterator[None]:
    """Work for a run, in this thread."""
    token = _current.set(stop)
    try:
        yield
    finally:
        _current.reset(token)


def checked(work: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same work for whatever thread does it: given up, where the run of the present one is."""
    stop = current()

    def do(item: Any) -> Any:
        stop.check()
        with working_for(stop):
            return work(item)

    return do


_last: list[Callable[[], None]] = []


@contextmanager
def at_the_end(do: Callable[[], None]) -> Iterator[None]:
    """Have something done by `end` within this context, such as killing child processes."""
    _last.append(do)
    try:
        yield
    finally:
        _last.remove(do)


def end() -> None:
    """Do what must be done where the process is about to end at once."""
    for do in list(_last):
        do()
