"""Flags that several commands share, as annotations of their parameters."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print a line for every photo.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
