"""The report of a run: where it is, what earlier runs wrote there, and how it is opened and locked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from enhance_cli.errors import OutputError
from enhance_cli.pipeline import shards
from enhance_cli.pipeline.inputs import STDIO
from enhance_cli.pipeline.journal import Journal
from enhance_cli.pipeline.report import ReportFile, is_held, open_report

if TYPE_CHECKING:
    from enhance_cli.pipeline.objects import Objects
    from enhance_cli.pipeline.options import RunOptions
    from enhance_cli.pipeline.run import Run
    from enhance_cli.pipeline.scan import Scan
    from enhance_cli.pipeline.settle import Rules
    from enhance_cli.pipeline.states import States


def report_path(found: Scan, options: RunOptions) -> Path | None:
    """The report's path; None if there is no report file."""
    if options.report in ("none", STDIO) or (options.report is None and found.folder is None):
        return None
    if options.report is not None:
        return Path(options.report)
    assert found.folder is not None
    return found.folder / shards.report_name(options.shard)


def earlier_runs(path: Path | None, options: RunOptions, states: States) -> Journal:
    """What is known about earlier runs: from the named report, or from all in the output folder, including parts."""
    if path is None:
        return Journal()
    reports = [path] if options.report is not None else shards.reports_in(path.parent)
    return Journal(reports, by_content=options.check == "hash", states=states)


def locked(path: Path | None, asked: Run, rules: Rules, objects: Objects | None) -> ReportFile:
    """The report, locked so that no other run uses the same folder, except other parts of the same run."""
    options = asked.options
    if path is not None and options.report is None:
        for other in shards.reports_in(path.parent):
            part = shards.shard_of(other)
            sibling = part is not None and options.shard is not None and part.count == options.shard.count
            if other != path and not sibling and is_held(other):
                raise OutputError(f"Another run is writing {other}; wait for it, or give another OUTPUT.")
    stamp = {"settings": rules.settings, "shard": None if options.shard is None else str(options.shard)}
    stamp |= asked.stamp
    if path is not None and objects is not None and objects.mirror.location(path) is not None:
        from enhance_cli.pipeline.parts import PartedReport

        convert = rules.states.to_report
        return PartedReport(path, objects.mirror, stamp=stamp, convert=convert, shard=options.shard)
    return open_report(path, to_stdout=options.report == STDIO, stamp=stamp, convert=rules.states.to_report)
