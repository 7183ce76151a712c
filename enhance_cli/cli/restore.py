"""`enhance restore`: put back originals that `--in-place --backup` kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from enhance_cli.cli.console import Console
from enhance_cli.cli.failures import reported
from enhance_cli.cli.flags import Debug, Json, Quiet, Verbose
from enhance_cli.errors import ExitCode

HELP = """Put back originals that --in-place --backup kept.

The reports in these folders and in those above say which originals there are. A photo that was changed since enhance
wrote it, or whose original was changed, is left alone and named. Exit codes: 0 all restored, 1 some not restored, 6
none.
"""


def command(
    places: Annotated[list[Path], typer.Argument(metavar="FOLDER", help="Folders of photos, or single photos.")],
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Include subfolders.")] = False,
    report: Annotated[
        list[Path] | None,
        typer.Option("--report", metavar="PATH", help="A report elsewhere; may be given several times."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also replace photos, and accept originals, that were changed since."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Show what would be done, and do nothing.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """See `HELP`."""
    console = Console(quiet=quiet, verbose=verbose, debug=debug, json=json)
    with reported(console):
        from enhance_cli.pipeline.restore import check, find, restore, without_report

        found = find(places, recursive=recursive, reports=report or ())
        outcomes = [check(item, force=force) for item in found] if dry_run else restore(found, force=force)
        counts = {"restored": 0, "original": 0, "failed": 0}
        names: dict[str, list[str]] = {"restored": [], "failed": []}
        for outcome in outcomes:
            counts[outcome.status] += 1
            if outcome.status in names:
                names[outcome.status].append(str(outcome.target))
            if outcome.error is not None:
                console.error(str(outcome.error), outcome.error)
            elif outcome.status == "restored":
                (console.say if dry_run else console.detail)(
                    f"{'would restore' if dry_run else 'restored'} {outcome.target}"
                )
        if json:
            console.data({"schema": "enhance-restore/1", **names, "original": counts["original"], "dry_run": dry_run})
        verb = "to restore" if dry_run else "restored"
        text = f"{counts['restored']} photos {verb}" if counts["restored"] != 1 else f"1 photo {verb}"
        text += f", {counts['original']} restored before" * bool(counts["original"])
        text += f", {counts['failed']} left alone" * bool(counts["failed"])
        if not found:
            text = "Nothing to restore: no report here says that an original was kept"
            lost = without_report(places, recursive=recursive)
            if lost:
                others = f" and {len(lost) - 1} more look" if len(lost) > 1 else " looks"
                console.error(
                    f"No report here says what {lost[0]} is, and it{others} like a kept original; name its report with "
                    "--report, or rename by hand."
                )
                raise typer.Exit(ExitCode.ALL_FAILED)
        console.say(f"{text}{'; nothing was done (--dry-run)' if dry_run else ''}.")
        if not counts["failed"]:
            raise typer.Exit(ExitCode.OK)
        raise typer.Exit(ExitCode.SOME_FAILED if counts["restored"] or counts["original"] else ExitCode.ALL_FAILED)
