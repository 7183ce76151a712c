"""One photo of a stream with its line, count and failure: the same in a run and in the workers of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from enhance_cli.engines import abandon
from enhance_cli.errors import OutputError, ReaderGone
from enhance_cli.imaging import atomic
from enhance_cli.pipeline.inputs import STDIO
from enhance_cli.types import Job, Outcome

if TYPE_CHECKING:
    from enhance_cli.pipeline.assignment import Assignment
    from enhance_cli.pipeline.dealing import Dealer
    from enhance_cli.pipeline.recipe import Recipe
    from enhance_cli.pipeline.summary import Tally

Do = Callable[..., Iterable[Outcome]]
"""`process.process` with what is the same for all photos filled in, or what does the same in a child."""


class Report(Protocol):
    """The destination of lines: `report.ReportFile`, or the driver of a worker."""

    def append(self, line: Mapping[str, Any]) -> None:
        """Append a line; it is written when this returns."""
        ...

    def finish(self, line: Mapping[str, Any]) -> None:
        """Take a line again after its files are in place."""
        ...


@dataclass(frozen=True)
class Work:
    """The two functions that `stream.parallel` calls."""

    do: Do
    dealer: Dealer
    report: Report
    """Gets a line before its files are placed: an interrupted run has one for every file in place."""

    tally: Tally
    trouble: Callable[[str], None]
    """Receives the sentence about a line that could not be written."""

    on_disk: bool = True
    """Whether outputs are files, not objects."""

    def work(self, job: Job, admit: Callable[[int], None]) -> list[Outcome]:
        """Process one photo.

        Raises:
            EnhanceError: any failure; see `failed`.
        """
        if self.tally.unwritable and self.on_disk and job.target is not None and job.source is not None:
            # If one output could not be written the next may fail too; testing that first saves the work.
            atomic.probe(job.target, job.source.stat().st_size)
        outcomes: list[Outcome] = []
        with self.dealer.dealt() as recipe:
            for outcome in self.do(job, recipe, admit=admit, record=self.report.append):
                self.tally.count(outcome)
                self.report.finish(outcome.report)
                outcomes.append(outcome)
        return outcomes

    def failed(self, job: Job, error: Exception, device: str | None = None) -> list[Outcome]:
        """Turn a failure of `work` into an outcome with a line.

        Args:
            job: the photo.
            error: its failure.
            device: that of the worker that processed it; None if this process did.

        Raises:
            ReaderGone: the error is one.
        """
        if isinstance(error, ReaderGone):
            raise error
        source, target = (STDIO if path is None else str(path) for path in (job.source, job.target))
        line = self.dealer.latest.line(source, target, frames=map(str, job.frames), error=error)
        if device is not None:
            line["device"] = device
        try:
            self.report.append(line)
        except OutputError as unwritten:
            self.tally.lost_lines += 1
            self.trouble(str(unwritten))
        outcome = Outcome(job, "failed", line, error=error)
        self.tally.count(outcome)
        return [outcome]


def opened(
    assignment: Assignment, dealer: Dealer, stack: ExitStack, *, isolate: bool, timeout: float | None
) -> tuple[Do, Callable[[], None]]:
    """The function that processes one photo, in this process or in children, and the one that kills the children."""
    from enhance_cli.pipeline.process import process

    if not isolate and timeout is None:
        return partial(process, coding=assignment.coding), lambda: None
    from enhance_cli.pipeline.isolate import Crew

    crew = stack.enter_context(Crew(replace(assignment, alone=True).parts(), timeout=timeout))
    stack.enter_context(abandon.at_the_end(crew.kill))

    def isolated(job: Job, recipe: Recipe, **told: Any) -> Iterator[Outcome]:
        return crew.outcomes(job, **told, part=dealer.part(recipe))

    return isolated, crew.kill
