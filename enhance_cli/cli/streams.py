"""stdin, stdout and stderr in any state: open, closed, on a full disk, or with no reader.

The number of a closed descriptor is given to the next file opened, so that a library's message, or an image, would be
written into that file. And C libraries print to descriptor 1, which may be carrying an image. So all three are opened
before anything else, and descriptor 1 becomes a second stderr: only `sys.stdout` uses the real one.
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
    """Raises a clear error if it cannot be written."""

    def write(self, data: Any) -> int:
        """Write as any file does.

        Raises:
            ReaderGone: it is a pipe whose reader has gone.
            OutputError: its disk is full, or it is closed.
        """
        try:
            while (written := super().write(data)) is None:  # another process made the pipe non-blocking
                select.select([], [self], [])
        except BrokenPipeError as error:
            raise ReaderGone("nothing reads stdout any more.") from error
        except OSError as error:
            why = "it is closed" if error.errno == errno.EBADF else error.strerror
            raise OutputError(f"stdout cannot be written: {why}.") from error
        return written


class _Stderr(io.FileIO):
    """Drops messages that cannot be written: that is no reason for a photo to fail."""

    def write(self, data: Any) -> int:
        """Write as any file does, but never fail."""
        try:
            while (written := super().write(data)) is None:
                select.select([], [self], [])
        except OSError:
            return len(memoryview(data).cast("B"))
        return written


def claim() -> None:
    """Set up the three streams; once, at the start of the process."""
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
        except KeyboardInterrupt:  # before any command could report it
            code = 130
        if code not in (130, 143):  # after a signal, signals.py has flushed without waiting for a slow reader
            sys.stdout.flush()
    except EnhanceError as error:  # from help and version; commands report their own (see `failures.reported`)
        if not isinstance(error, ReaderGone) and not code:
            Console().error(str(error))
        code = code or int(error.exit_code)
    if code and code not in (130, 143):
        # Discard what could not be written, or Python would try again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.stderr.flush()
    return code


def _text(raw: io.FileIO, encoding: str) -> io.TextIOWrapper:
    buffer = io.BufferedWriter(raw)
    return io.TextIOWrapper(buffer, encoding, errors="backslashreplace", line_buffering=raw.isatty())


def _open_what_is_closed() -> None:
    # Opened in the wrong direction, so that reading stdin or writing stdout fails; stderr is discarded.
    for descriptor, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, flags)  # takes the lowest free number, which is this one
