"""Values derived from a run and its scan: the rules by which jobs are settled, and the assignment of its workers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from enhance_cli.errors import UsageError
from enhance_cli.pipeline.plans import plan_path
from enhance_cli.pipeline.settle import Rules
from enhance_cli.pipeline.states import States

if TYPE_CHECKING:
    from enhance_cli.pipeline.assignment import Assignment
    from enhance_cli.pipeline.objects import Objects
    from enhance_cli.pipeline.run import Run
    from enhance_cli.pipeline.scan import Scan
    from enhance_cli.types import Job


def rules_of(asked: Run, found: Scan, objects: Objects | None = None) -> Rules:
    """How the run settles which of its jobs are to be done."""
    options, controls = asked.options, asked.controls

    def sources(job: Job) -> list[Path]:
        if job.source is None:
            return []
        try:
            return [*job.sources, *controls.companions(job.name).values()]
        except UsageError:
            return [*job.sources]  # the companion is missing: this photo will fail on its own, and the others continue

    return Rules(
        settings=asked.settings,
        sources=sources,
        endings=asked.endings,
        beside=asked.illustrations,
        shared_stems=found.shared_stems,
        kept_plan=None if options.save_plans is None else partial(plan_path, options.save_plans, root=found.folder),
        overwrite=options.overwrite,
        skip_existing=options.skip_existing,
        in_place=options.in_place,
        again=options.in_place and (options.again or options.overwrite),
        states=States() if objects is None else objects.states,
    )


def assignment_of(
    asked: Run, found: Scan, report: Path | None, rules: Rules, objects: Objects | None = None
) -> Assignment:
    """What every worker of the run opens; the plan and the threads are filled in by the run."""
    from importlib.metadata import version

    from enhance_cli.pipeline.assignment import Assignment
    from enhance_cli.pipeline.files import Coding
    from enhance_cli.pipeline.known import Known

    options = asked.options
    coding = Coding(
        format=options.format,
        quality=options.quality,
        max_pixels=options.max_pixels,
        follow_target=found.single_file,
        in_place=options.in_place,
        drop_extras=options.drop_extras,
        strip=options.strip,
        verify=options.verify,
        preserve_times=options.preserve_times,
        hash_sources=options.check == "hash",
        overwrite=options.overwrite,
        skip_existing=options.skip_existing,
        save_plans=options.save_plans,
        shared_stems=found.shared_stems,
        root=found.folder,
        report=report,
        settings=rules.settings,
        version=version("enhance-cli"),
        known=Known(report) if options.in_place else None,
        again=rules.again,
        backup=options.backup,
        mirror=None if objects is None else objects.mirror,
    )
    return Assignment.of(asked, coding)
