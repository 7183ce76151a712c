"""`enhance gallery`: a web page for reviewing the photos of a run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from enhance_cli.cli.console import Console
from enhance_cli.cli.failures import reported
from enhance_cli.cli.flags import Debug, Json, Quiet
from enhance_cli.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

HELP = """Build a web page for reviewing the photos of a run: OUT/gallery/index.html.

It shows originals and results with a slider, filters and sorts photos, and records decisions that `enhance review
apply` carries out. It opens as a local file, without a server or a network. Building it again adds new photos.
"""
_SECONDS_BETWEEN_LINES = 5.0


def command(
    place: Annotated[Path, typer.Argument(metavar="OUT", help="The output folder of a run, or its report.")],
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FOLDER", help="Folder of the page; by default gallery, beside the report."),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, max=1024, help="Threads; by default one per core.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """See `HELP`."""
    console = Console(quiet=quiet, debug=debug, json=json)
    with reported(console):
        from enhance_cli.cli.signals import terminable
        from enhance_cli.gallery.build import build

        with terminable():
            built = build(place, to, jobs=jobs, advance=progress(console))
        if json:
            counts = {"photos": built.photos, "made": built.made, "missing": built.missing}
            console.data({"schema": "enhance-gallery/1", "page": str(built.page), **counts})
        console.say(f"{contents(built.photos, built.missing)}. Open {built.page}")
        raise typer.Exit(ExitCode.OK)


def contents(photos: int, missing: int) -> str:
    """The contents of a gallery, in words."""
    count = "1 photo" if photos == 1 else f"{photos} photos"
    return count + (f", {missing} of them without an original or a result" if missing else "")


def progress(console: Console) -> Callable[[int, int], None]:
    """Reports the progress of a build every few seconds."""
    last = time.monotonic()

    def advance(done: int, total: int) -> None:
        nonlocal last
        if done < total and time.monotonic() - last >= _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            console.say(f"{done} of {total} photos in the gallery.")

    return advance
