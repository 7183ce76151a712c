"""Before any work: which jobs remain, which an earlier run did, and which files must not be overwritten."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from enhance_cli.errors import UsageError
from enhance_cli.pipeline.jobs import Jobs, same_name
from enhance_cli.pipeline.journal import Journal
from enhance_cli.pipeline.states import States
from enhance_cli.pipeline.targets import output_paths
from enhance_cli.types import Job


@dataclass(frozen=True)
class Rules:
    """What a run considers done, and what it may replace."""

    settings: str
    """The digest of everything but the source that decides an output (see `journal.settings_digest`)."""

    sources: Callable[[Job], Iterable[Path]]
    """Every file that decides a job's outputs."""

    endings: Sequence[str] = ("",)
    beside: Sequence[str] = ()
    shared_stems: frozenset[Path] = frozenset()
    kept_plan: Callable[[Path], Path] | None = None
    """The path of an image's plan, by the image's path."""

    overwrite: bool = False
    skip_existing: bool = False
    in_place: bool = False
    again: bool = False
    """Whether photos in place are processed even if they were before."""

    states: States = field(default_factory=States)
    """What there is at a path when the run begins."""

    def pictures(self, job: Job) -> list[Path]:
        """The images of a job that have report lines of their own."""
        return list(output_paths(job, self.endings, ()))

    def outputs(self, job: Job) -> list[Path]:
        """Every file that a job writes."""
        plans = [] if self.kept_plan is None else [self.kept_plan(picture) for picture in self.pictures(job)]
        return [*output_paths(job, self.endings, self.beside, self.shared_stems), *plans]


@dataclass(slots=True)
class Settled:
    """The jobs of a scan, sorted into those to do and those to skip."""

    jobs: Jobs = field(default_factory=Jobs)
    """Left to do."""

    skipped: Jobs = field(default_factory=Jobs)
    """Skipped because of `--skip-existing`."""

    unchanged: int = 0
    """Done by an earlier run and unchanged."""

    folders: set[Path] = field(default_factory=set)
    """The folders of the outputs."""


def settle(jobs: Iterable[Job], journal: Journal, rules: Rules) -> Settled:
    """Sort jobs.

    Raises:
        UsageError: outputs exist that no run wrote, or that were changed since.
    """
    settled = Settled()
    strangers: list[Path] = []
    count = 0
    for job in jobs:
        outputs = rules.outputs(job)
        settled.folders.update(path.parent for path in outputs)
        seen = tuple(filter(None, map(rules.states.seen, job.sources)))
        if rules.overwrite or not outputs:
            settled.jobs.append(replace(job, standing=seen) if seen else job)
        elif not rules.again and _is_done(job, outputs, journal, rules):
            settled.unchanged += 1
        elif rules.skip_existing:
            whole = all(map(rules.states.exists, rules.pictures(job)))
            (settled.skipped if whole else settled.jobs).append(replace(job, standing=seen) if seen else job)
        else:
            settled.jobs.append(replace(job, standing=(*filter(None, map(rules.states.standing, outputs)), *seen)))
            found = [path for path in outputs if _is_strange(path, job, journal, rules)]
            count += len(found)
            strangers += found[: 5 - len(strangers)]
    if strangers:
        raise UsageError(_refusal(strangers, count, journal))
    return settled


def refuse_named(report: Path, jobs: Iterable[Job], rules: Rules, *others: Path | None) -> None:
    """Check that the report is not a file that the run reads or writes for another purpose.

    Args:
        report: as `--report` names it.
        jobs: of the run.
        rules: tell what a job reads and writes.
        others: further files that the run reads.

    Raises:
        UsageError: it is such a file.
    """
    name, folder = same_name(report), os.path.realpath(report.parent)

    def is_it(path: Path) -> bool:
        if os.path.basename(same_name(path)) != os.path.basename(name):  # noqa: PTH119 - the rest asks the disk
            return False
        return same_name(path) == name or os.path.realpath(path.parent) == folder

    def refuse(what: str) -> UsageError:
        return UsageError(f"--report {report} is {what} of this run too; give another path.")

    for path in others:
        if path is not None and is_it(path):
            raise refuse("an input")
    for job in jobs:
        if any(map(is_it, rules.outputs(job))):
            raise refuse("an output")
        if any(map(is_it, job.sources)):
            raise refuse("an input")


def _is_done(job: Job, outputs: list[Path], journal: Journal, rules: Rules) -> bool:
    if rules.in_place:  # the existing file is the result: enhancing it again would enhance it twice
        return all(journal.is_latest(path) for path in rules.pictures(job))
    return journal.has_done(rules.settings, rules.sources(job), outputs, rules.pictures(job))


def _is_strange(path: Path, job: Job, journal: Journal, rules: Rules) -> bool:
    if not rules.states.exists(path) or (rules.in_place and path == rules.pictures(job)[0]):
        return False
    if path.is_symlink():
        return True  # its target would not be lost, but no run creates links
    if rules.in_place and rules.beside and _is_drawn(path):
        return False  # next to a photo whose report is elsewhere or lost
    return not journal.owns(path) or (job.source is not None and journal.is_of_another(path, job.source))


def _is_drawn(path: Path) -> bool:
    from enhance_cli.pipeline.in_place import is_drawn  # imports image libraries, which a scan otherwise does not need

    return is_drawn(path)


def _refusal(strangers: list[Path], count: int, journal: Journal) -> str:
    first = ", ".join(map(str, strangers)) + (f" and {count - len(strangers)} more" if count > len(strangers) else "")
    them = "it" if count == 1 else "them"
    if journal.owns(strangers[0]):
        why = f"and enhance made {them} from {'another photo' if count == 1 else 'other photos'} of the same name"
    elif journal.knows(strangers[0]):
        why = f"changed since enhance wrote {them}"
    else:
        why = f"and no report says that enhance wrote {them}"
    return f"Already there: {first}, {why}; use --overwrite or --skip-existing, or another OUTPUT."
