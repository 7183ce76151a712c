"""`enhance compare`: a few photos with several settings, in one gallery with a column for each."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from enhance_cli.cli.console import Console
from enhance_cli.cli.failures import reported
from enhance_cli.cli.flags import Debug, Json, Quiet
from enhance_cli.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from enhance_cli.gallery.compare import Compared, Setting

HELP = """Render a few photos with several settings, and show them side by side: OUT/gallery/index.html.

Each --try is a method with its options, as on its own command line, without photos. A list of times
(clode --time 1,2,3) gives a column for each time. The command line of every column is printed, for copying.
"""


def command(
    context: typer.Context,
    paths: Annotated[
        list[str], typer.Argument(metavar="PHOTO... OUT", help="Photos or folders, followed by the output folder.")
    ],
    tries: Annotated[
        list[str] | None,
        typer.Option("--try", metavar="'METHOD OPTIONS'", help="A setting to try; may be given several times."),
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="PNG", help="Also write the comparison as a contact sheet.")
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Include subfolders.")] = False,
    device: Annotated[str | None, typer.Option(metavar="NAME", help="auto, cpu, cuda or cuda:N.")] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, max=1024, help="Photos at once; by default one per core.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """See `HELP`."""
    console = Console(quiet=quiet, debug=debug, json=json)
    with reported(console):
        from enhance_cli.cli.run import ConsoleListener
        from enhance_cli.cli.signals import terminable
        from enhance_cli.gallery.compare import compare

        *photos, folder = paths
        if not photos:
            raise UsageError("Give at least one photo, and the output folder last.")
        if not tries:
            raise UsageError("Give at least one --try, such as --try 'clode --time 1,2,3'.")
        if sheet is not None and sheet.suffix.lower() != ".png":
            raise UsageError(f"--sheet {sheet} is written as PNG; give it a name that ends in .png.")
        settings = [_setting(text, context) for text in tries]
        shared: dict[str, Any] = {"device": device, "jobs": jobs, "recursive": recursive or None}
        shared = {name: value for name, value in shared.items() if value is not None}
        with terminable(), ConsoleListener(console) as listener:
            compared = compare(photos, Path(folder), settings, shared, listener)
        if sheet is not None:
            _write_sheet(sheet, compared)
        commands = [column.command for column in compared.columns]
        if json:
            console.data({"schema": "enhance-compare/1", "page": str(compared.built.page), "commands": commands})
        else:
            for text in commands:
                console.text(text)
        console.say(f"Open {compared.built.page}")
        raise typer.Exit(max(summary.exit_code for summary in compared.summaries) or ExitCode.OK)


def _setting(text: str, context: typer.Context) -> Setting:
    """Read a `--try` as the command line of its method would be.

    Raises:
        UsageError: it names no method, or contains photos.
    """
    from enhance_cli import methods
    from enhance_cli.gallery.compare import Setting

    try:
        name, *words = shlex.split(text) or [""]
    except ValueError as error:
        raise UsageError(f"--try {text!r} has unbalanced quotes ({error}).") from None
    root: Any = context.find_root().command
    command = root.get_command(context, name)
    if command is None or command.name not in methods.names():
        raise UsageError(f"--try {text!r}: there is no method {name!r}; choose {', '.join(methods.names())}.")
    values = command.make_context(command.name, words, parent=context).params
    if values.pop("inputs", None) or values.pop("output", None):
        raise UsageError(f"--try {text!r} must be a method with its options; give photos and OUT separately.")
    typed = shlex.join([command.name, *words])
    return Setting(command.name, {key: value for key, value in values.items() if value is not None}, typed)


def _write_sheet(path: Path, compared: Compared) -> None:
    from enhance_cli.gallery.compare import sheet_rows
    from enhance_cli.imaging import atomic, codecs
    from enhance_cli.training.sheet import sheet
    from enhance_cli.types import Image

    rows = sheet_rows(compared)
    if rows:
        atomic.write_atomically(path, codecs.encode(Image(sheet(rows)), "png")[0])
