"""Before any work: which jobs are left to do, which an earlier run did, and what must not be written over."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from enhance_cli.errors import UsageError
from enhance_cli.pipeline.jobs import Jobs
from enhance_cli.pipeline.journal import Journal
from enhance_cli.pipeline.scan import output_paths
from enhance_cli.types import Job


@dataclass(frozen=True)
class Rules:
    """What a run takes for done, and what it may replace."""

    settings: str
    """What decides a picture beside its source (see `journal.settings_digest`)."""

    sources: Callable[[Job], Iterable[Path]]
    """Every file that decides a job's pictures."""

    endings: Sequence[str] = ("",)
    beside: Sequence[str] = ()
    kept_plan: Callable[[Path], Path] | None = None
    """Where the plan of a picture is kept, by the picture's path."""

    overwrite: bool = False
    skip_existing: bool = False
    in_place: bool = False
    again: bool = False
    """Whether pictures in place are done though they were done before."""

    def pictures(self, job: Job) -> list[Path]:
        """The pictures of a job that have lines of their own."""
        return list(output_paths(job, self.endings, ()))

    def outputs(self, job: Job) -> list[Path]:
        """Every file that a job writes."""
        plans = [] if self.kept_plan is None else [self.kept_plan(picture) for picture in self.pictures(job)]
        return [*output_paths(job, self.endings, self.beside), *plans]


@dataclass(slots=True)
class Settled:
    """A scan's jobs, sorted by what is to become of them."""

    jobs: Jobs = field(default_factory=Jobs)
    """Left to do."""

    skipped: Jobs = field(default_factory=Jobs)
    """Left alone because of `--skip-existing`."""

    unchanged: int = 0
    """Done by an earlier run, and still as it was."""

    folders: set[Path] = field(default_factory=set)
    """Those that outputs go to."""


def settle(jobs: Iterable[Job], journal: Journal, rules: Rules) -> Settled:
    """Sort jobs.

    Raises:
        UsageError: pictures are there that no run wrote, or that somebody changed since.
    """
    settled = Settled()
    strangers: list[Path] = []
    count = 0
    for job in jobs:
        outputs = rules.outputs(job)
        settled.folders.update(path.parent for path in outputs)
        if rules.overwrite or rules.again or not outputs:
            settled.jobs.append(job)
        elif _is_done(job, outputs, journal, rules):
            settled.unchanged += 1
        elif rules.skip_existing and all(path.exists() for path in rules.pictures(job)):
            settled.skipped.append(job)
        else:
            settled.jobs.append(job)
            if not rules.skip_existing:
                found = [path for path in outputs if _is_strange(path, job, journal, rules)]
                count += len(found)
                strangers += found[: 5 - len(strangers)]
    if strangers:
        raise UsageError(_refusal(strangers, count, journal))
    return settled


def _is_done(job: Job, outputs: list[Path], journal: Journal, rules: Rules) -> bool:
    if rules.in_place:  # what stands there is the output: to do it again would be to do it twice
        return all(journal.is_latest(path) for path in rules.pictures(job))
    return journal.has_done(rules.settings, rules.sources(job), outputs, rules.pictures(job))


def _is_strange(path: Path, job: Job, journal: Journal, rules: Rules) -> bool:
    if not os.path.lexists(path) or (rules.in_place and path == rules.pictures(job)[0]):
        return False
    return not journal.owns(path) or (job.source is not None and journal.is_of_another(path, job.source))


def _refusal(strangers: list[Path], count: int, journal: Journal) -> str:
    first = ", ".join(map(str, strangers)) + (f" and {count - len(strangers)} more" if count > len(strangers) else "")
    them = "it" if count == 1 else "them"
    if journal.owns(strangers[0]):
        why = f"and enhance made {them} from {'another picture' if count == 1 else 'other pictures'} of the same name"
    elif journal.knows(strangers[0]):
        why = f"changed since enhance wrote {them}"
    else:
        why = f"and no report says that enhance wrote {them}"
    return f"There already: {first}, {why}; use --overwrite or --skip-existing, or another OUTPUT."
