"""`enhance review`: carries out the decisions made in a gallery."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from enhance_cli.cli.console import Console
from enhance_cli.cli.failures import reported
from enhance_cli.cli.flags import Debug, Json, Quiet, Verbose
from enhance_cli.errors import ExitCode

HELP = "Carry out what was decided in a gallery."
APPLY_HELP = """Carry out the review.json that a gallery exported.

Rejected outputs are replaced by their sources, byte for byte; photos to redo are enhanced again with the chosen
settings; the others stay as they are. The command that made the outputs then treats them as done. A photo whose source
or output has changed since the review is left alone and named. Exit codes: 0 all done, 1 some left alone, 6 all of
them.
"""


def build() -> typer.Typer:
    """The group of commands."""
    group = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)
    group.callback()(lambda: None)
    group.command("apply", help=APPLY_HELP, short_help="Replace, remove and redo photos as a review.json says.")(apply)
    return group


def apply(
    review: Annotated[Path, typer.Argument(metavar="REVIEW", help="The review.json that a gallery exported.")],
    place: Annotated[
        Path | None, typer.Argument(metavar="OUT", help="The output folder, if it was moved since.")
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove rejected outputs instead of replacing them by their sources.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Show what would be done, and do nothing.")] = False,
    weights: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Redo with the networks in this folder.")
    ] = None,
    quality: Annotated[
        int | None, typer.Option("--quality", "-Q", min=1, max=100, help="JPEG and WebP quality of redone photos.")
    ] = None,
    strip: Annotated[
        str | None, typer.Option(metavar="gps|all", help="Remove metadata from redone photos, as the run did.")
    ] = None,
    device: Annotated[str | None, typer.Option(metavar="NAME", help="auto, cpu, cuda or cuda:N.")] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, max=1024, help="Photos at once; by default one per core."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """See `APPLY_HELP`."""
    console = Console(quiet=quiet, verbose=verbose, debug=debug, json=json)
    with reported(console):
        from enhance_cli.cli.signals import terminable
        from enhance_cli.gallery import review as reviews

        given: dict[str, Any] = {
            "weights": weights,
            "quality": quality,
            "strip": strip,
            "device": device,
            "jobs": jobs,
        }
        options = {name: value for name, value in given.items() if value is not None}
        names: dict[str, list[str]] = {}
        loaded = reviews.load(review, place)
        with terminable():
            for outcome in reviews.apply(loaded, remove=remove, options=options, dry_run=dry_run):
                names.setdefault(outcome.status, []).append(str(outcome.output))
                if outcome.error is not None:
                    console.error(str(outcome.error), outcome.error)
                elif outcome.status != "kept":
                    tell = console.say if dry_run else console.detail
                    tell(f"{'would be ' * dry_run}{outcome.status}: {outcome.output}")
        if json:
            console.data({"schema": "enhance-review-applied/1", "dry_run": dry_run, **names})
        # In one order: the report's lines come as workers finished.
        counts = {status: len(names[status]) for status in get_args(reviews.Status) if status in names}
        left = counts.pop("left", 0)
        text = ", ".join(f"{count} {status}" for status, count in counts.items()) or "Nothing done"
        text += f", {left} left alone" * bool(left)
        console.say(f"{text}{'; nothing was done (--dry-run)' * dry_run}.")
        if not left:
            raise typer.Exit(ExitCode.OK)
        raise typer.Exit(ExitCode.SOME_FAILED if counts else ExitCode.ALL_FAILED)
