"""`enhance evaluate OUTPUTS [REFERENCES]`: measure photos, with or without references."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from enhance_cli.cli.flags import Debug
from enhance_cli.errors import ExitCode

if TYPE_CHECKING:
    from enhance_cli.types import Array

HELP = (
    "Measure photos: PSNR, SSIM (plain and mean-matched), CIEDE2000, black point, contrast and chroma against "
    "REFERENCES of the same names; without them entropy, contrast and clipped shares, and with --inputs the lightness "
    "order error and what became of clipped highlights, skin and empty dark areas; with both also the light regained "
    "in deep shade and how the bright part beside it differs."
)


def command(
    outputs: Annotated[Path, typer.Argument(help="A folder of photos, or one photo.")],
    references: Annotated[
        Path | None, typer.Argument(help="References of the same file names (any suffix), or one.")
    ] = None,
    inputs: Annotated[Path | None, typer.Option(help="The photos that the outputs were made from.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout instead of a table.")] = False,
    debug: Debug = False,
) -> None:
    """Print a table, or JSON."""
    from enhance_cli.cli.console import Console
    from enhance_cli.cli.failures import reported

    console = Console(debug=debug, json=json)
    with reported(console):
        from enhance_cli.quality.evaluate import evaluate, table_rows

        judged = evaluate(outputs, references, inputs, read=_read)
        if json:
            console.data(judged.to_json())
        else:
            headings, rows = table_rows(judged)
            console.table(headings, rows)
        for kind, paths in judged.unmatched.items():
            if paths:
                more = ", ..." if len(paths) > 5 else ""
                console.say(f"{len(paths)} {kind} without a partner: {', '.join(paths[:5])}{more}")
        if not judged.rows and not judged.all_failed:
            console.say(f"{outputs} holds no photos.")
        if judged.all_failed:
            raise typer.Exit(ExitCode.ALL_FAILED)
        raise typer.Exit(ExitCode.SOME_FAILED if judged.failed else ExitCode.OK)


def _read(path: Path) -> Array:
    """Decode as the stream does, so that orientation, depth and colour space are measured as they were enhanced."""
    from enhance_cli.imaging import codecs
    from enhance_cli.imaging.view import as_srgb
    from enhance_cli.pipeline.files import read

    return as_srgb(codecs.decode(read(path), source=str(path))).pixels
