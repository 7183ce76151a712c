"""How a command fails: one sentence on stderr, and the exit code of the failure."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from enhance_cli.cli.console import Console
from enhance_cli.errors import EnhanceError, ExitCode, ReaderGone, Terminated, UsageError


class reported:  # noqa: N801 - a context manager that reads as a verb
    """Turn our errors into one sentence on stderr and their exit code; any other exception is reported as a bug."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> None:
        try:
            os.getcwd()  # noqa: PTH109 - only whether there is one
        except OSError:
            self._console.error("the current folder no longer exists; change to another one (cd) and run again.")
            raise typer.Exit(ExitCode.OUTPUT) from None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ReaderGone | BrokenPipeError):
            raise typer.Exit(ExitCode.BROKEN_PIPE) from None
        if isinstance(error, EnhanceError):
            self._console.error(str(error), error)
            raise typer.Exit(error.exit_code) from None
        if isinstance(error, KeyboardInterrupt):
            self._console.error("interrupted; what is finished is in place.")
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        if isinstance(error, Terminated):
            self._console.error("terminated; what is finished is in place.")
            raise typer.Exit(ExitCode.TERMINATED) from None
        if isinstance(error, Exception) and not isinstance(error, typer.Exit | typer.Abort | typer.TyperException):
            self._console.error(
                f"internal error ({type(error).__name__}: {error}); run again with --debug for the traceback.",
                error,
            )
            raise typer.Exit(ExitCode.BUG) from None


def existing(path: Path) -> Path:
    """A path that must exist.

    Raises:
        UsageError: it does not.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist.")
    return path
