"""The Typer application: one command per method, generated from its Controls and the shared RunOptions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, get_args, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from enhance_cli import methods
from enhance_cli.cli.console import Console
from enhance_cli.cli.failures import reported
from enhance_cli.controls import Controls, Knob, Knobs, option_name
from enhance_cli.pipeline.options import RunOptions
from enhance_cli.types import Method

EPILOG = (
    "INPUT is a file, a folder, a quoted glob, @list.txt or - (stdin); OUTPUT, last, is a folder, a file or - "
    "(stdout). Exit codes: 0 all done, 1 some photos failed, 2 usage, 3 weights, 4 output or disk, 5 device, "
    "6 all failed, 70 bug, 130 interrupted, 141 stdout closed, 143 terminated."
)


APPLY = "Carry out the decisions in a file that enhance auto --decide wrote: enhance apply FILE OUTPUT."

APPLY_EPILOG = (
    "FILE may be edited: lines may be removed, and verdict, method, controls and amount changed. "
    + (EPILOG.partition("stdout). ")[2])
)


def build() -> typer.Typer:
    """The application with all its commands."""
    app = typer.Typer(
        name="enhance",
        cls=_Commands,
        help="Brighten and clarify photos: enhance METHOD [OPTIONS] INPUT... OUTPUT.",
        epilog=EPILOG,
        no_args_is_help=True,
        rich_markup_mode=None,  # plain help works in pipes and loads in half the time
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for name in methods.names():
        method = methods.get(name)
        app.command(
            name, cls=_method_class(method), help=_method_help(method), short_help=method.summary, epilog=EPILOG
        )(_method_command(method))
        if "decisions" in method.controls.knobs():
            app.command("apply", cls=_method_class(method), help=APPLY, short_help=APPLY, epilog=APPLY_EPILOG)(
                _apply_command(method)
            )
    from enhance_cli.cli import compare, doctor, evaluate, gallery, report, restore, review, train

    app.command("evaluate", help=evaluate.HELP, short_help="Measure photos, with or without references.")(
        evaluate.command
    )
    app.command("train", help=train.HELP, short_help="Train a method's weights from photos.")(train.command)
    app.command("restore", help=restore.HELP, short_help="Put back originals that --backup kept.")(restore.command)
    app.command("gallery", help=gallery.HELP, short_help="Build a web page for reviewing the results of a run.")(
        gallery.command
    )
    app.command("compare", help=compare.HELP, short_help="Compare several settings side by side on a few photos.")(
        compare.command
    )
    app.add_typer(review.build(), name="review", help=review.HELP, short_help=review.HELP)
    app.add_typer(report.build(), name="report", help=report.HELP, short_help=report.HELP)
    app.command("doctor", help=doctor.HELP, short_help="Check device, codecs, weights and versions.")(doctor.command)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        import enhance_cli

        Console().text(f"enhance {enhance_cli.__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before the command."""


class _Commands(TyperGroup):
    """Commands that may be abbreviated to an unambiguous prefix: `enhance clahe` is `enhance clahe-adaptive`."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        found = super().get_command(ctx, cmd_name)
        alike = [name for name in self.commands if cmd_name and name.startswith(cmd_name)]
        return super().get_command(ctx, alike[0]) if found is None and len(alike) == 1 else found


def _method_class(method: Method) -> type[TyperCommand]:
    """A method's command: its options are grouped; an optional value must follow an =."""
    knobs = {**method.controls.knobs(), **RunOptions.knobs()}
    alone = {option_name(name): spec.alone for name, spec in knobs.items() if spec.alone is not None}

    class Command(TyperCommand):
        def format_options(self, ctx: Any, formatter: Any) -> None:
            groups: dict[str, list[tuple[str, str]]] = {}
            for parameter in self.get_params(ctx):
                record = parameter.get_help_record(ctx)
                if record is None:
                    continue
                is_argument = parameter.param_type_name == "argument"
                spec = knobs.get(parameter.name or "")
                heading = "Arguments" if is_argument else "Messages" if spec is None else spec.group
                groups.setdefault(heading, []).append(record)
            for heading in ("Arguments", "Method", "Files", "Output", "Restart", "Machine", "Messages"):
                if heading in groups:
                    with formatter.section(heading):
                        formatter.write_dl(groups[heading])

        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            end = args.index("--") if "--" in args else len(args)
            spelled = [f"{word}={alone[word]}" if word in alone else word for word in args[:end]]
            return super().parse_args(ctx, [*spelled, *args[end:]])

    return Command


def _method_help(method: Method) -> str:
    return f"{method.summary}\n\nPaper: {method.paper}."


def _method_command(method: Method) -> Callable[..., None]:
    """A function whose signature lists the method's knobs and the shared options, for Typer to read."""

    def command(**values: Any) -> None:
        arguments = [*(values.pop("inputs") or ()), *filter(None, [values.pop("output")])]
        given = {name: value for name, value in values.items() if value is not None}
        quiet, verbose, debug = (bool(given.get(name)) for name in ("quiet", "verbose", "debug"))
        console = Console(quiet=quiet, verbose=verbose, debug=debug, json=bool(given.get("json")))
        with reported(console):
            from enhance_cli.cli.run import run
            from enhance_cli.pipeline.run import Run

            raise typer.Exit(run(Run.of(method.name, arguments, given), console))

    return _signed(command, method.controls)


def _apply_command(method: Method) -> Callable[..., None]:
    """The function of `enhance apply`: like the method's, but its first argument is a file of decisions."""

    def command(**values: Any) -> None:
        from enhance_cli.errors import UsageError

        decisions, *rest = [*(values.pop("inputs") or ()), *filter(None, [values.pop("output")])] or [None]
        given = {name: value for name, value in values.items() if value is not None}
        quiet, verbose, debug = (bool(given.get(name)) for name in ("quiet", "verbose", "debug"))
        console = Console(quiet=quiet, verbose=verbose, debug=debug, json=bool(given.get("json")))
        with reported(console):
            from enhance_cli.cli.run import run
            from enhance_cli.pipeline.run import Run

            if decisions is None or len(rest) != 1:
                raise UsageError("Give a file of decisions and the OUTPUT, a folder: enhance apply FILE OUTPUT.")
            raise typer.Exit(run(Run.of(method.name, rest, {**given, "decisions": decisions}), console))

    return _signed(command, method.controls, only=("strength", "shift", "only_changed", "amount"))


def _signed(
    command: Callable[..., None], controls: type[Controls], only: Sequence[str] | None = None
) -> Callable[..., None]:
    """Give a command the signature that Typer reads: a method's knobs, or `only` some, and the shared options."""
    # Optional for Typer, because `scan` reports missing arguments with a clearer message.
    inputs = Annotated[list[str] | None, typer.Argument(metavar="INPUT", help="Photos: see below.")]
    output = Annotated[str | None, typer.Argument(metavar="OUTPUT", help="Where they go: see below.")]
    paths = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in (("inputs", inputs), ("output", output))
    ]
    own = [item for item in _parameters(controls) if only is None or item.name in only]
    parameters = [*paths, *own, *_parameters(RunOptions)]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _parameters(controls: type[Knobs]) -> list[inspect.Parameter]:
    types = get_type_hints(controls)
    defaults = controls.defaults()
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[_option_type(types[name], spec) | None, _option(name, spec, defaults[name])],
        )
        for name, spec in controls.knobs().items()
    ]


def _option_type(declared: Any, spec: Knob) -> Any:
    """The type that Typer should parse: text if the knob has its own parser, else the declared type."""
    if spec.parse is not None or spec.choices:
        return str
    plain = [item for item in get_args(declared) if item is not type(None)]
    return plain[0] if plain else declared


def _option(name: str, spec: Knob, default: Any) -> Any:
    """Absent options arrive as None, so that defaults live only in the Controls; help still shows them."""
    flag = isinstance(default, bool)
    names = [option_name(name)] + ([spec.short] if spec.short else [])
    return typer.Option(
        f"{option_name(name)}/--no-{name.replace('_', '-')}" if default is True else names[0],
        *names[1:],
        help=spec.help + default_text(default, spec),
        metavar=None if flag else spec.metavar or ("|".join(spec.choices) or None),
        show_default=False,
    )


def default_text(default: Any, spec: Knob) -> str:
    """The default as shown in help, after a space; empty for flags and options without a default."""
    if default is None or isinstance(default, bool):
        return ""
    if spec.show is not None:
        text = spec.show(default)
    elif isinstance(default, tuple):
        text = "x".join(f"{part:g}" for part in default)
    else:
        text = f"{default:g}" if isinstance(default, float) else str(default)
    return f" [default: {text}]"
