"""The only module that prints: messages go to stderr, data to stdout, progress bars only to a terminal."""

from __future__ import annotations

import json
import os
import re
import sys
import time
import traceback
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from enhance_cli.gallery.summary import Summary as Figures
    from enhance_cli.pipeline.summary import Summary
    from enhance_cli.types import Outcome

_SECONDS_BETWEEN_LINES = 10.0
"""Seconds between progress lines if stderr is not a terminal, so that logs are not flooded."""


class Console:
    """The messages of a run, and how many of them are shown."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False, debug: bool = False, json: bool = False) -> None:
        self.quiet, self.verbose, self.debug, self.json = quiet, verbose, debug, json

    def say(self, text: str) -> None:
        """Print a message unless `-q` was given."""
        if not self.quiet:
            print(shown(text), file=sys.stderr, flush=True)

    def detail(self, text: str) -> None:
        """Print a message only with `-v`."""
        if self.verbose and not self.quiet:
            print(shown(text), file=sys.stderr, flush=True)

    def error(self, text: str, error: BaseException | None = None) -> None:
        """Print an error; with `--debug`, also its traceback."""
        print(f"enhance: {shown(text)}", file=sys.stderr, flush=True)
        if self.debug and error is not None:
            traceback.print_exception(error, file=sys.stderr)

    def data(self, value: Any) -> None:
        """Write one JSON value and a newline to stdout."""
        print(json.dumps(value, ensure_ascii=True, allow_nan=False), flush=True)

    def text(self, text: str) -> None:
        """Write requested text to stdout."""
        print(shown(text, kept="\n"), flush=True)

    def table(self, headings: list[str], rows: list[list[str]]) -> None:
        """Write a plain-text table to stdout, the first column left-aligned and numbers right-aligned."""
        rows = [[shown(cell) for cell in row] for row in rows]
        full = [row for row in [headings, *rows] if len(row) == len(headings)]
        widths = [max(len(row[column]) for row in full) for column in range(len(headings))]
        for row in [headings, *rows]:
            first = row[0].ljust(widths[0])
            if len(row) == len(headings):
                first += "".join("  " + cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
            else:
                first += "  " + " ".join(row[1:])
            print(first.rstrip(), flush=True)

    def figures(self, summary: Figures) -> None:
        """Write the summary of a report to stdout: tables, and bars for distributions."""
        from rich import box
        from rich.console import Console as RichConsole
        from rich.table import Table

        out = RichConsole(highlight=False)

        def table(title: str, headings: list[str], rows: Iterable[tuple[str, ...]]) -> None:
            drawn = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
            for place, heading in enumerate(headings):
                drawn.add_column(heading, justify="right" if place else "left")
            for row in rows:
                drawn.add_row(*map(_plain, row))
            if drawn.row_count:
                out.print(drawn)

        for title, counts in (
            ("Status", summary.statuses),
            ("Method", summary.methods),
            ("Verdict", summary.verdicts),
        ):
            table(title, [title.lower(), "photos"], ((name, str(count)) for name, count in counts.items()))
        exposures = ((name, f"{first:.3f}", f"{second:.3f}") for name, first, second in summary.exposures)
        table("Exposure, means over all photos", ["measure", "before", "after"], exposures)
        if summary.exposures:
            out.print("How many photos have each mean luma, from black to white")
            out.print(f"  before  {sparkline(summary.before)}\n  after   {sparkline(summary.after)}\n")
        times = [(stage, *(f"{value:.0f}" for value in values)) for stage, *values in summary.stages]
        table("Milliseconds of a photo", ["stage", "median", "95 %", "longest"], times)
        failures = [(failed.kind, str(failed.count), failed.sentences[0][1]) for failed in summary.failures]
        table("Failures", ["kind", "photos", "the first"], failures)

    def progress(self, total: int) -> Progress:
        """The kind of progress display that suits stderr."""
        if self.quiet or self.json or total < 2:
            return NoProgress()
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            return BarProgress(total)
        return LineProgress(total)


def shown(text: str, kept: str = "") -> str:
    """Text that is safe to show in a terminal: control characters, characters that change the writing direction, and
    bytes that are not UTF-8 become escapes; characters in `kept` stay.
    """
    return _UNSHOWN.sub(lambda found: found[0] if found[0] in kept else _escaped(found[0]), text)


def sparkline(counts: Sequence[int]) -> str:
    """Counts as a line of bars of eight heights; a blank where there is none."""
    most = max(counts, default=0)
    return "".join(" ▁▂▃▄▅▆▇█"[-(-8 * count // most)] if most else " " for count in counts)


def _plain(text: str) -> Any:
    """Text without control characters, in which no markup is read."""
    from rich.text import Text

    return Text(shown(text))


_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte of a name that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


class Progress(Protocol):
    """Shown while photos are enhanced."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def advance(self, outcome: Outcome) -> None:
        """One photo is finished."""
        ...

    def above(self, text: str) -> None:
        """Print a line without disturbing the bar."""
        ...


class NoProgress:
    """Shows no progress; prints lines only on request."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def advance(self, outcome: Outcome) -> None:
        """Nothing."""

    def above(self, text: str) -> None:
        """Print the line."""
        print(shown(text), file=sys.stderr, flush=True)


class LineProgress(NoProgress):
    """A line every few seconds, for logs and cron."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._megapixels, self._failed = total, 0, 0.0, 0
        self._start = self._last = time.monotonic()

    def advance(self, outcome: Outcome) -> None:
        """Count, and print a line if the interval has passed."""
        self._done += 1
        self._megapixels += outcome.megapixels
        self._failed += outcome.status == "failed"
        now = time.monotonic()
        if now - self._last < _SECONDS_BETWEEN_LINES:
            return
        from tqdm import tqdm

        self._last = now
        elapsed = now - self._start
        meter = tqdm.format_meter(self._done, self._total, elapsed, ncols=0, unit=" photos")
        self.above(f"{meter}, {self._megapixels / elapsed:.1f} MP/s, {self._failed} failed")


class BarProgress:
    """A rich progress bar with photos and megapixels per second, time left and failures."""

    def __init__(self, total: int) -> None:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("enhancing"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            TextColumn("[red]{task.fields[failures]}"),
            console=RichConsole(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("", total=total, speed="", failures="")
        self._done, self._megapixels, self._failed, self._start = 0, 0.0, 0, time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def advance(self, outcome: Outcome) -> None:
        """Move the bar."""
        self._done += 1
        self._megapixels += outcome.megapixels
        self._failed += outcome.status == "failed"
        elapsed = max(time.monotonic() - self._start, 1e-6)
        self._bar.update(
            self._task,
            advance=1,
            speed=f"{self._done / elapsed:.1f} photos/s {self._megapixels / elapsed:.0f} MP/s",
            failures=f"{self._failed} failed" if self._failed else "",
        )

    def above(self, text: str) -> None:
        """Print above the bar, without markup or wrapping."""
        self._bar.console.print(shown(text), markup=False, highlight=False, soft_wrap=True)


def summary_text(summary: Summary) -> str:
    """The closing line of a run."""
    enhanced = summary.done - summary.left_alone
    parts = [f"{enhanced} photo{'' if enhanced == 1 else 's'} enhanced"]
    others = {
        "left alone": summary.left_alone,
        "failed": summary.failed,
        "skipped": summary.skipped,
        "done already": summary.unchanged,
    }
    parts += [f"{count} {what}" for what, count in others.items() if count]
    speed = ""
    if summary.done > 1 and summary.seconds > 0:
        photos, megapixels = summary.done / summary.seconds, summary.megapixels / summary.seconds
        speed = f" ({photos:.1f} photos/s, {megapixels:.1f} megapixels/s)"
    text = f"{', '.join(parts)} in {summary.seconds:.1f} s on {summary.device}{speed}."
    report = "-" if summary.report_to_stdout else summary.report
    return f"{text} Report: {report}" if report else text


def looked_text(summary: Summary) -> str:
    """The closing line of a run that only looked."""
    failed = f", {summary.failed} failed" if summary.failed else ""
    speed = f" ({summary.done / summary.seconds:.1f} photos/s)" if summary.seconds > 0 else ""
    seen = f"{summary.done} photo{'' if summary.done == 1 else 's'} looked at{failed}"
    return f"{seen} in {summary.seconds:.1f} s{speed}. Decisions: {summary.report}"
