"""Options and arguments of a run that contradict each other, refused before any work."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from enhance_cli.controls import option_name
from enhance_cli.errors import UsageError
from enhance_cli.pipeline.inputs import STDIO

if TYPE_CHECKING:
    from enhance_cli.pipeline.options import RunOptions
    from enhance_cli.pipeline.run import Run
    from enhance_cli.pipeline.scan import Scan


def check_together(asked: Run) -> None:
    """Refuse options that contradict each other."""
    options, endings = asked.options, asked.endings
    if options.overwrite and options.skip_existing:
        raise UsageError("--overwrite and --skip-existing exclude each other: give one of them.")
    if options.save_plans is not None and options.save_plans.exists() and not options.save_plans.is_dir():
        raise UsageError(f"--save-plans {options.save_plans} is a file; give a folder.")
    if options.plan is not None and len(endings) > 1:
        raise UsageError(
            f"--plan gives one plan, but each photo would have {len(endings)} outputs; leave out one of the two."
        )
    if options.gallery and options.report in ("none", STDIO):
        raise UsageError("--gallery needs a report; give a file as --report.")
    if options.cluster is not None and asked.controls.looks_only is not None:
        raise UsageError("--decide looks at small copies on this machine: leave out --cluster.")
    if options.cluster is not None and ":" in options.device:
        raise UsageError(
            f"--device {options.device} is a GPU of one machine: with --cluster give cuda, or leave it out."
        )
    if asked.controls.listed is not None and options.in_place:
        raise UsageError("Decisions are applied to an OUTPUT: leave out --in-place.")
    if not options.in_place:
        for name in ("again", "backup", "drop_extras"):
            if getattr(options, name):
                given = option_name(name)
                raise UsageError(f"{given} needs --in-place; a run with an OUTPUT does not change its inputs.")
        return
    if options.format is not None:
        raise UsageError("--in-place keeps every photo's format: leave out --format, or give an OUTPUT.")
    if options.skip_existing:
        raise UsageError("--in-place replaces what exists: leave out --skip-existing, or give an OUTPUT.")
    if options.report in ("none", STDIO) and not (options.again or options.overwrite):
        raise UsageError(
            "--in-place needs a report to know which photos were enhanced before; give a file as --report, or "
            "--again to enhance all of them."
        )
    if options.report in ("none", STDIO) and options.backup is not None:
        raise UsageError("--backup needs a report, which is what `enhance restore` reads; give a file as --report.")


def check_stdout(found: Scan, options: RunOptions) -> None:
    """Refuse what stdout, or a process elsewhere, cannot take."""
    to_stdout = [found.folder is None, options.report == STDIO, options.json]
    if sum(to_stdout) > 1:
        raise UsageError("Only one thing can go to stdout: the photo (-), the report (--report -) or --json.")
    if found.folder is None and sys.stdout.isatty():
        raise UsageError("The OUTPUT - would write a photo to the terminal; redirect it or name a file.")
    if options.cluster is not None and any(None in (job.source, job.target) for job in found.jobs):
        raise UsageError(
            "--cluster works on files that all machines reach: it cannot be combined with - as INPUT or OUTPUT."
        )
    if (options.isolate or options.timeout is not None) and any(None in (job.source, job.target) for job in found.jobs):
        raise UsageError("--isolate and --timeout work on files: they cannot be combined with - as INPUT or OUTPUT.")
