"""`enhance report`: commands on the reports of finished runs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from enhance_cli.cli.console import Console
from enhance_cli.cli.failures import reported
from enhance_cli.cli.flags import Debug, Json
from enhance_cli.errors import ExitCode

HELP = "Merge or summarise the reports of runs."
MERGE_HELP = """Join the reports of a run that was split with --shard, and say what is missing.

The joined report has the last line of every output. Exit codes: 0 nothing is missing, 1 something failed or is
missing.
"""
SHOW_HELP = """Summarise a report: counts, exposure before and after, times by stage, failures by kind.

With --html the summary is written as a page, like that of a gallery.
"""
_SHOWN = 10


def build() -> typer.Typer:
    """The group of commands."""
    group = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)
    group.callback()(lambda: None)
    group.command("merge", help=MERGE_HELP, short_help="Join the reports of a split run; say what is missing.")(merge)
    group.command("show", help=SHOW_HELP, short_help="Summarise a report, in the terminal or as a page.")(show)
    return group


def show(
    reports: Annotated[list[Path], typer.Argument(metavar="REPORT", help="Report files, or folders with reports.")],
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page instead: a new file, or an earlier one."),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """See `SHOW_HELP`."""
    console = Console(debug=debug, json=json)
    with reported(console):
        from enhance_cli.gallery import page
        from enhance_cli.gallery.photos import read, reports_of
        from enhance_cli.gallery.summary import summarise

        found = dict.fromkeys(report for place in reports for report in reports_of(place))
        figures = summarise((photo.name, {**photo.line, "verdict": photo.value_of("verdict")}) for photo in read(found))
        if html is not None:
            page.write(html, page.summary(", ".join(map(str, reports)), figures))
            console.say(f"Open {html.absolute()}")
        elif json:
            console.data({"schema": "enhance-report-summary/1", **asdict(figures)})
        else:
            console.figures(figures)
        raise typer.Exit(ExitCode.OK)


def merge(
    reports: Annotated[
        list[str], typer.Argument(metavar="REPORT", help="Report files, or folders with reports, also in a bucket.")
    ],
    output: Annotated[
        str, typer.Argument(metavar="OUTPUT", help="The joined report: a new file, or the result of an earlier merge.")
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Option("--inputs", "-i", metavar="INPUT", help="List the photos of this input that have no line."),
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="With --inputs: include subfolders.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """See `MERGE_HELP`."""
    console = Console(debug=debug, json=json)
    with reported(console):
        from enhance_cli.pipeline.merging import merge as merge_named

        merged = merge_named(reports, output, inputs or [], recursive=recursive)
        for remark in merged.remarks:
            console.say(remark)
        for what, names in (
            ("failed", merged.failed),
            ("part missing", merged.missing_shards),
            ("output missing", merged.missing_outputs),
            ("no line", merged.missing_sources),
        ):
            for name in names[:_SHOWN]:
                console.say(f"{what}: {name}")
            if len(names) > _SHOWN:
                console.say(f"{what}: {len(names) - _SHOWN} more")
        verdict = "complete" if merged.complete else "not complete"
        console.say(f"{merged.lines} lines, {merged.done} done: {verdict}. Report: {output}")
        if json:
            console.data({"schema": "enhance-merge/1", **asdict(merged), "complete": merged.complete})
        raise typer.Exit(ExitCode.OK if merged.complete else ExitCode.SOME_FAILED)
