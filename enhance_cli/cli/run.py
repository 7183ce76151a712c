"""A method's command: a run with a console as its listener, and signals that end it cleanly."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from enhance_cli.cli.console import Console, NoProgress, Progress, looked_text, summary_text
from enhance_cli.cli.signals import terminable
from enhance_cli.errors import ExitCode
from enhance_cli.pipeline.run import Run
from enhance_cli.pipeline.run import run as do
from enhance_cli.pipeline.summary import Summary, photos
from enhance_cli.types import Outcome

_SHOWN = 10
"""How many skipped photos are named."""


def run(asked: Run, console: Console) -> ExitCode:
    """Run, print progress and messages, and return the exit code.

    Raises:
        EnhanceError: the run as a whole cannot continue.
    """
    with terminable(), ConsoleListener(console) as listener:
        summary = do(asked, listener, alone=True)
    if asked.controls.looks_only is not None:
        console.say(looked_text(summary))
        if console.json:
            console.data(summary.to_json())
        return summary.exit_code
    if asked.options.dry_run:
        unchanged = f", {summary.unchanged} done already" if summary.unchanged else ""
        console.say(
            f"{summary.planned} to enhance, {summary.skipped} to skip{unchanged}; nothing was done (--dry-run)."
        )
        if console.json:
            counts = {"skipped": summary.skipped, "unchanged": summary.unchanged}
            console.data({"schema": "enhance-plan/1", "jobs": listener.rows, **counts})
        return summary.exit_code
    if listener.left_alone > _SHOWN and not console.verbose:
        console.say(f"{photos(listener.left_alone - _SHOWN)} more left alone for the same reasons; -v names them.")
    if console.json:
        console.data(summary.to_json())
    if summary.device != "none" and (not summary.to_stdout or console.verbose):
        console.say(summary_text(summary))
    if asked.options.gallery:
        _show(summary, asked, console)
    return summary.exit_code


def _show(summary: Summary, asked: Run, console: Console) -> None:
    """Build the gallery of `--gallery`."""
    if summary.report is None:
        console.say("No gallery: there is no report.")
        return
    from enhance_cli.cli.gallery import contents, progress
    from enhance_cli.gallery.build import build

    with terminable():
        built = build(Path(summary.report), jobs=asked.options.jobs, advance=progress(console))
    console.say(f"{contents(built.photos, built.missing)}. Open {built.page}")


class ConsoleListener:
    """Prints the events of a run on a console. A context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress = NoProgress()
        self._stack = ExitStack()
        self.rows: list[dict[str, Any]] = []
        """The jobs of a dry run, for `--json`."""

        self.left_alone = 0

    def remark(self, text: str) -> None:
        """Print a remark unless the console is quiet."""
        self._console.say(text)

    def trouble(self, text: str) -> None:
        """Print an error above the progress bar."""
        self._progress.above(f"enhance: {text}")

    def planned(self, source: str, frames: list[str], output: str) -> None:
        """Print a line, and keep a row for `--json`."""
        self._console.say(f"would enhance {', '.join([source, *frames])} -> {output}")
        if self._console.json:
            self.rows.append({"source": source, "frames": frames, "output": output})

    def begins(self, total: int) -> None:
        """Start the progress bar."""
        self._progress = self._stack.enter_context(self._console.progress(total))

    def finished(self, outcome: Outcome) -> None:
        """Advance the bar, and name photos that failed or were skipped; with `-v` all photos."""
        console, line = self._console, outcome.report
        self._progress.advance(outcome)
        if outcome.status == "skipped":
            self.left_alone += 1
            if not console.quiet and (console.verbose or self.left_alone <= _SHOWN):
                self._progress.above(line["notes"][0] if line["notes"] else f"{line['output']} exists, left alone.")
        elif outcome.error is not None:
            self._progress.above(f"enhance: {line['error']['message']}")
            if console.debug:
                console.error("where it failed:", outcome.error)
        elif console.verbose:
            self._progress.above(_line_for_people(line))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def _line_for_people(line: Mapping[str, Any]) -> str:
    if "verdict" in line:
        return f"{line['source']}: {line['method'] or line['verdict']} ({line['certainty']:.0%}): {line['reason']}"
    exposure = line["exposure"]
    notes = "".join(f"; {note}" for note in line["notes"])
    return (
        f"{line['source']} -> {line['output']}: {sum(line['ms'].values()):.0f} ms, "
        f"mean luma {exposure['before']['mean']:.2f} -> {exposure['after']['mean']:.2f}{notes}"
    )
