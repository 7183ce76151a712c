"""The result of a run: counted while it runs, and summed up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from enhance_cli.errors import ExitCode, OutputError
from enhance_cli.types import Outcome


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did; the photos themselves are in its report."""

    done: int = 0
    left_alone: int = 0
    """How many of those done needed no change: their output is a copy (`auto`)."""

    failed: int = 0
    skipped: int = 0
    """Skipped because their output exists or they were enhanced in place before."""

    unchanged: int = 0
    """Done by an earlier run and unchanged."""

    planned: int = 0
    """How many would be done, in a dry run."""

    megapixels: float = 0.0
    seconds: float = 0.0
    device: str = "none"
    """The device used; `none` if there was nothing to do."""

    report: Path | str | None = None
    """The report's file, or its URL in a bucket; None if there is none."""

    report_to_stdout: bool = False
    to_stdout: bool = False
    """Whether the image went to stdout."""

    exit_code: ExitCode = ExitCode.OK
    """The exit code of the command line."""

    def with_report(self, shown: Callable[[Path | str], str]) -> Summary:
        """The same with its report as `shown` has it."""
        return self if self.report is None else replace(self, report=shown(self.report))

    @property
    def photos(self) -> int:
        """The number of photos the run encountered."""
        return self.done + self.failed + self.skipped + self.unchanged

    def to_json(self) -> Mapping[str, Any]:
        """The object of `--json`."""
        return {
            "schema": "enhance-summary/1",
            "photographs": self.photos,
            "done": self.done,
            "left_alone": self.left_alone,
            "failed": self.failed,
            "skipped": self.skipped,
            "unchanged": self.unchanged,
            "megapixels": round(self.megapixels, 3),
            "seconds": round(self.seconds, 3),
            "device": self.device,
            "report": "-" if self.report_to_stdout else None if self.report is None else str(self.report),
            "exit_code": int(self.exit_code),
        }


@dataclass(slots=True)
class Tally:
    """Counts of results so far. Thread-safe."""

    unchanged: int = 0
    done: int = 0
    left_alone: int = 0
    failed: int = 0
    skipped: int = 0
    megapixels: float = 0.0
    lost_lines: int = 0
    unwritable: bool = False
    """Whether an output could not be written."""

    _counting: threading.Lock = field(default_factory=threading.Lock)

    def count(self, outcome: Outcome) -> None:
        """Add a result; called by the workers, so that everything placed is counted even if the run is stopped."""
        with self._counting:
            setattr(self, outcome.status, getattr(self, outcome.status) + 1)
            # Read from the line, since that is what the workers of a cluster send back.
            plan = outcome.report.get("plan") or {}
            self.left_alone += outcome.status == "done" and plan.get("verdict") == "left alone"
            self.megapixels += outcome.megapixels
            self.unwritable = self.unwritable or isinstance(outcome.error, OutputError)

    @property
    def exit_code(self) -> ExitCode:
        """The exit code; outputs that cannot be written take precedence over photos that cannot be read."""
        if self.unwritable or self.lost_lines:
            return ExitCode.OUTPUT
        if self.failed == 0:
            return ExitCode.OK
        return ExitCode.SOME_FAILED if self.done or self.skipped or self.unchanged else ExitCode.ALL_FAILED

    def summary(self, **details: Any) -> Summary:
        """The counts as a `Summary`, with its other fields."""
        counts = {
            name: getattr(self, name) for name in ("done", "left_alone", "failed", "skipped", "unchanged", "megapixels")
        }
        return Summary(**counts, exit_code=self.exit_code, **details)


def photos(count: int) -> str:
    """A number of photos, in words."""
    return "1 photo" if count == 1 else f"{count} photos"
