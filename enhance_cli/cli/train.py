"""`enhance train METHOD DATA`: reproduce a method's weights from a folder of photos."""

from __future__ import annotations

from importlib import import_module, util
from pathlib import Path
from typing import Annotated

import typer

from enhance_cli import methods
from enhance_cli.cli.flags import Debug
from enhance_cli.errors import OutputError, UsageError
from enhance_cli.training import processor

HELP = "Train a method's weights from a folder of photos: enhance train METHOD DATA."


SHARED = {"exposure": "enhance_cli.exposure.training.train"}
"""Trainings of what several methods share."""


def command(
    method: Annotated[
        str, typer.Argument(help="The method, such as clahe-adaptive; or exposure, which several methods share.")
    ],
    data: Annotated[Path, typer.Argument(help="A folder of photos, laid out as docs/training.md says.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for weights, log, checkpoint and validation sheets.")
    ] = Path("runs"),
    seed: Annotated[int, typer.Option(help="Seed of all random draws.")] = 0,
    iterations: Annotated[int | None, typer.Option(help="Training steps; by default the recipe's own number.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the checkpoint in the output folder.")
    ] = False,
    threads: Annotated[int, typer.Option(help="CPU threads; the shipped weights were trained with 1.")] = 1,
    device: Annotated[str, typer.Option(help="Device to train on: cpu or cuda[:N].")] = "cpu",
    part: Annotated[
        list[str] | None,
        typer.Option(help="Train only this network, such as star; may be given several times."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Train, with a log, checkpoints and validation sheets in the output folder."""
    from enhance_cli.cli.console import Console
    from enhance_cli.cli.failures import existing, reported

    console = Console(debug=debug)
    with reported(console):
        processor.limit()
        trainer = SHARED.get(method) or methods.get(method).module("training.train")
        for package in ("torch", "onnx"):
            if util.find_spec(package) is None:
                raise UsageError(f"Training needs {package}: install enhance-cli[train].")
        from enhance_cli.training.options import TrainOptions

        folder = out / method.replace("-", "_")
        if not resume:
            _refuse_used(folder)
        options = TrainOptions(
            data=existing(data),
            out=folder,
            seed=seed,
            iterations=iterations,
            resume=resume,
            threads=threads,
            device=device,
            parts=tuple(part or ()),
        )
        import_module(trainer).train(options, log=console.say)


def _refuse_used(folder: Path) -> None:
    """Refuse to overwrite the weights of an earlier training, or other files, without --resume."""
    try:
        found = next(folder.iterdir(), None)
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}.") from error
    if found is not None:
        raise UsageError(
            f"{found} already exists; use --resume to continue the training in {folder}, or give another --out."
        )
