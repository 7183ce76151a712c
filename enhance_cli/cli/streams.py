"""stdin, stdout and stderr as a process finds them: open, closed, full, or with nobody reading.

A closed descriptor is the next file's number, so that a library's message, or an image, would go into that file. And
what libraries written in C print goes to descriptor 1, where it would go into an image. So all three are opened before
anything else, and descriptor 1 becomes a second stderr: only `sys.stdout` knows the real one.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from collections.abc import Callable
from typing import Any

from enhance_cli.cli.console import Console
from enhance_cli.errors import EnhanceError, OutputError, ReaderGone


class _Stdout(io.FileIO):
    """Says in a sentence why it cannot be written."""

    def write(self, data: Any) -> int:
        """As any file's.

        Raises:
            ReaderGone: it is a pipe that nobody reads any more.
            OutputError: its disk is full, or it is closed.
        """
        try:
            while (written := super().write(data)) is None:  # somebody made the pipe one that does not wait
                select.select([], [self], [])
        except BrokenPipeError as error:
            raise ReaderGone("nothing reads stdout any more.") from error
        except OSError as error:
            why = "it is closed" if error.errno == errno.EBADF else error.strerror
            raise OutputError(f"stdout cannot be written: {why}.") from error
        return written


class _Stderr(io.FileIO):
    """Loses messages that nobody can hear: no photo is worth less for that."""

    def write(self, data: Any) -> int:
        """As any file's, but that it never fails."""
        try:
            while (written := super().write(data)) is None:
                select.select([], [self], [])
        except OSError:
            return len(memoryview(data).cast("B"))
        return written


def claim() -> None:
    """Take the three streams over; once, at the start of the process."""
    _open_what_is_closed()
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    real = os.dup(1)
    os.dup2(2, 1)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - open as long as the process
    sys.stdout = _text(_Stdout(real, "w"), encoding)
    sys.stderr = _text(_Stderr(2, "w", closefd=False), encoding)


def ended(main: Callable[[], None]) -> object:
    """Run a program that ends with SystemExit, write all that is left to write, and return its exit code."""
    code: object = 0
    try:
        try:
            main()
        except SystemExit as done:
            code = done.code
        except KeyboardInterrupt:  # before there was a command that could say more
            code = 130
        if code not in (130, 143):  # what a signal ended flushes as it ends, without waiting for a slow reader
            sys.stdout.flush()
    except EnhanceError as error:  # from help and version; commands tell their own (see `failures.reported`)
        if not isinstance(error, ReaderGone) and not code:
            Console().error(str(error))
        code = code or int(error.exit_code)
    if code and code not in (130, 143):
        # What could not be written is let go, or Python would try once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.stderr.flush()
    return code


def _text(raw: io.FileIO, encoding: str) -> io.TextIOWrapper:
    buffer = io.BufferedWriter(raw)
    return io.TextIOWrapper(buffer, encoding, errors="backslashreplace", line_buffering=raw.isatty())


def _open_what_is_closed() -> None:
    # The wrong way round: whoever reads or writes them is told that the descriptor is bad. Messages go nowhere.
    for descriptor, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, flags)  # gets the lowest free number, which is this one
