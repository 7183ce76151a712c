"""Ctrl-C and SIGTERM: the first ends a run cleanly and soon, the second ends the process at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from enhance_cli.engines import abandon
from enhance_cli.errors import ExitCode, Terminated
from enhance_cli.imaging import atomic

_EXCEPTIONS: dict[int, tuple[type[BaseException], ExitCode]] = {
    signal.SIGINT: (KeyboardInterrupt, ExitCode.INTERRUPTED),
    signal.SIGTERM: (Terminated, ExitCode.TERMINATED),
}

_LATER = 0.02
"""Seconds after which a postponed exception is tried again."""


@contextmanager
def terminable() -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into an exception in this thread, so that the run ends cleanly.

    A signal that the parent process ignores (as shells do for background jobs) stays ignored. While a module is being
    loaded the exception is postponed: a module written in C may turn it into any other error.
    """
    came: type[BaseException] | None = None

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal came
        exception, code = _EXCEPTIONS[number]
        if came is not None:
            end(code)
        came = exception
        unless_loading(number, frame)

    def unless_loading(number: int, frame: FrameType | None) -> None:
        if _is_loading(frame):
            signal.setitimer(signal.ITIMER_REAL, _LATER)
        elif came is not None:
            raise came

    previous = {}
    with contextlib.suppress(ValueError):  # not the main thread: signals are the caller's concern
        for number in _EXCEPTIONS:
            if signal.getsignal(number) != signal.SIG_IGN:
                previous[number] = signal.signal(number, stop)
        previous[signal.SIGALRM] = signal.signal(signal.SIGALRM, unless_loading)
    try:
        yield
    except Exception as error:
        if came is None:
            raise
        raise came from error  # raised while a C module was loading, which turned it into an ImportError
    finally:
        if came is None:  # else the run is ending already, and another signal ends it at once
            for number, handler in previous.items():
                signal.signal(number, handler)


def _is_loading(frame: FrameType | None) -> bool:
    """Whether this frame or one of its callers is loading a module."""
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


def end(code: int) -> NoReturn:
    """End the process now, whatever its threads are doing; staged files are removed."""
    abandon.end()
    atomic.discard_all()
    flushing = threading.Thread(target=_flush, daemon=True)  # in a thread: a slow reader must not delay the end
    flushing.start()
    flushing.join(0.2)
    os._exit(code)


def _flush() -> None:
    for stream in (sys.stderr, sys.stdout):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
