"""What a method's command does: scan, settle, open, stream, record, sum up."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enhance_cli.cli.console import Console, Progress, summary_text
from enhance_cli.cli.failures import Terminated
from enhance_cli.cli.signals import at_the_end, terminable
from enhance_cli.engines import weights
from enhance_cli.errors import ExitCode, OutputError, ReaderGone, UsageError
from enhance_cli.imaging import atomic
from enhance_cli.pipeline import shards
from enhance_cli.pipeline.journal import Journal, settings_digest
from enhance_cli.pipeline.lines import refuse_foreign
from enhance_cli.pipeline.options import RunOptions
from enhance_cli.pipeline.plans import load_plan, plan_path
from enhance_cli.pipeline.report import ReportFile, is_held, open_report
from enhance_cli.pipeline.scan import STDIO, Scan, scan
from enhance_cli.pipeline.settle import Rules, Settled, refuse_named, settle
from enhance_cli.types import Controls, Job, Method, Outcome, Plan, option_name

if TYPE_CHECKING:
    from enhance_cli.pipeline.recipe import Recipe
    from enhance_cli.pipeline.stream import Admission

_SHOWN = 10
"""Photographs left alone in place that are named."""


def run(method: Method, arguments: list[str], controls: Controls, options: RunOptions, console: Console) -> ExitCode:
    """Enhance everything that the arguments name.

    Raises:
        EnhanceError: the run as a whole cannot go on; single photographs that fail are counted instead.
    """
    endings = tuple(ending for ending, _ in controls.variants())
    _check_together(options, endings)
    beside = [name for name in method.illustrations if getattr(controls, name)]
    found = scan(
        arguments,
        recursive=options.recursive,
        format=options.format,
        beside=beside,
        endings=endings,
        stacks=controls.stacks,
        in_place=options.in_place,
        shard=options.shard,
        names=controls.looks_for_names,
        plans=options.save_plans,
    )
    for remark in found.remarks:
        console.say(remark)
    _check_stdout(found, options)
    rules = _rules(method, controls, options, found, endings, beside)
    path = _report_path(found, options)
    if path is not None:
        refuse_foreign(path)
        if options.report is not None:
            refuse_named(path, found.jobs, rules, options.plan)
    plan = _plan(options, method)
    if options.dry_run:
        return _dry_run(settle(found.jobs, _journal(path, options), rules), endings, console)
    if not found.jobs and options.shard is None:  # a part with nothing to do leaves its empty report, as a sign
        if console.json:
            console.data(_Tally().summary(0.0, "none", None))
        return ExitCode.OK
    with terminable(), ExitStack() as stack:
        held = path is not None and path.exists()
        report = stack.enter_context(_open(path, options, rules)) if held else None
        settled = settle(found.jobs, _journal(path, options), rules)
        if found.folder is not None:
            atomic.make_folder(found.folder)
        if report is None:
            report = stack.enter_context(_open(path, options, rules))
        for folder in settled.folders:
            atomic.sweep(folder)
        if not settled.jobs and not settled.skipped:
            why = f": {_photographs(settled.unchanged)} done by an earlier run and unchanged" * bool(found.jobs)
            console.say(f"Nothing to do{why}.")
            if console.json:
                console.data(_Tally(settled.unchanged).summary(0.0, "none", report.path))
            return ExitCode.OK
        assignment = _Assignment.of(method, controls, options, found, path, rules, plan)
        return _stream(assignment, settled, report, options, console)


def _stream(
    assignment: _Assignment, settled: Settled, report: ReportFile, options: RunOptions, console: Console
) -> ExitCode:
    from enhance_cli.engines.cpu import available_cores
    from enhance_cli.pipeline.memory import default_budget
    from enhance_cli.pipeline.process import process
    from enhance_cli.pipeline.stream import ByteBudget, parallel

    total = len(settled.jobs)
    workers = min(options.jobs or available_cores(), max(1, total))
    assignment.threads = max(1, (options.jobs or available_cores()) // workers)
    recipe = assignment.open()
    device = recipe.engine.device
    if device == "cpu" and total:
        from enhance_cli.engines import compiled

        if not compiled.compiled_before():
            console.say("Compiling the CPU kernels for this machine; this happens once, in 5 to 30 seconds.")
    tally = _Tally(unchanged=settled.unchanged)
    started = time.monotonic()
    with ExitStack() as stack:
        stack.push(lambda kind, *_: recipe.engine.close(wait=kind is None))
        if options.isolate or options.timeout is not None:
            from enhance_cli.pipeline.isolate import Crew

            crew = stack.enter_context(Crew(assignment, timeout=options.timeout))
            do: Callable[..., Any] = crew.outcomes
            end: Callable[[], None] = crew.kill
            stack.enter_context(at_the_end(end))
        else:
            do, end = partial(process, recipe=recipe, coding=assignment.coding), lambda: None

        # Lines are appended by the workers, so that an interrupted run has one for everything it put in place.
        def work(job: Job, admit: Admission) -> list[Outcome]:
            if tally.no_room and job.target is not None and job.source is not None:
                # Where one could not be written the next cannot either; trying that first saves the work.
                atomic.probe(job.target, job.source.stat().st_size)
            outcomes: list[Outcome] = []
            for outcome in do(job, admit=admit, record=report.append):
                tally.count(outcome)
                outcomes.append(outcome)
            return outcomes

        def failed(job: Job, error: Exception) -> list[Outcome]:
            if isinstance(error, ReaderGone):
                raise error
            source, target = (STDIO if path is None else str(path) for path in (job.source, job.target))
            line = recipe.line(source, target, frames=map(str, job.frames), error=error)
            try:
                report.append(line)
            except OutputError as unwritten:
                tally.lost_lines += 1
                console.error(str(unwritten))
            outcome = Outcome(job, "failed", line, error=error)
            tally.count(outcome)
            return [outcome]

        _record_skipped(settled, recipe, report, tally)
        budget = ByteBudget(options.memory or default_budget())
        progress = stack.enter_context(console.progress(total * len(recipe.controls.variants())))
        until = _has_failed if options.fail_fast else None
        stream = parallel(settled.jobs, work, failed, workers=workers, budget=budget, until=until, abandon=end)
        try:
            for finished in stream:
                for outcome in finished:
                    _tell(outcome, tally, progress, console)
        except (KeyboardInterrupt, Terminated):
            stream.close()  # from here on nothing is placed, so the count is true
            again = "" if options.report in ("none", STDIO) else "; the same command goes on with the rest"
            asked = total * len(recipe.controls.variants())
            of = _photographs(total) if asked == total else f"{asked} pictures"
            progress.above(f"enhance: stopped with {tally.done} of {of} done{again}.")
            raise
        finally:
            stream.close()
            if device == "cpu" and total:
                for text in compiled.trouble().values():
                    progress.above(f"enhance: {text}")
    if tally.left_alone > _SHOWN and not console.verbose:
        console.say(f"{_photographs(tally.left_alone - _SHOWN)} more left alone for the same reasons; -v names them.")
    where = None if options.report == "none" else STDIO if options.report == STDIO else report.path
    summary = tally.summary(time.monotonic() - started, device, where)
    if console.json:
        console.data(summary)
    if assignment.coding.root is not None or console.verbose:
        console.say(summary_text(summary))
    return ExitCode(summary["exit_code"])


def _has_failed(finished: list[Outcome]) -> bool:
    return any(outcome.status == "failed" for outcome in finished)


def _record_skipped(settled: Settled, recipe: Recipe, report: ReportFile, tally: _Tally) -> None:
    for job in settled.skipped:
        for ending, _ in recipe.controls.variants():
            target = str(job.target_with(ending))
            line = recipe.line(str(job.source), target, frames=map(str, job.frames), skipped=True)
            report.append(line)
            tally.count(Outcome(job, "skipped", line))


def _tell(outcome: Outcome, tally: _Tally, progress: Progress, console: Console) -> None:
    """Show one photograph's end."""
    progress.advance(outcome)
    if outcome.status == "skipped":
        tally.left_alone += 1
        if not console.quiet and (console.verbose or tally.left_alone <= _SHOWN):
            line = outcome.report
            progress.above(line["notes"][0] if line["notes"] else f"{line['output']} exists, left alone.")
        return
    if outcome.error is not None:
        progress.above(f"enhance: {outcome.report['error']['message']}")
        if console.debug:
            console.error("where it failed:", outcome.error)
    elif console.verbose and outcome.status == "done":
        progress.above(_line_for_people(outcome))


@dataclass
class _Assignment:
    """A method with its controls, as this process opens it, or each child of it."""

    method: str
    controls: Controls
    amount: float
    device: str
    coding: Any
    plan: Any = None
    threads: int = 1

    @classmethod
    def of(
        cls,
        method: Method,
        controls: Controls,
        options: RunOptions,
        found: Scan,
        report: Path | None,
        rules: Rules,
        plan: Plan | None,
    ) -> _Assignment:
        from enhance_cli import __version__
        from enhance_cli.pipeline.files import Coding
        from enhance_cli.pipeline.known import Known

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
            version=__version__,
            known=Known(report) if options.in_place else None,
            again=rules.again,
            backup=options.backup,
        )
        return cls(method.name, controls, options.amount, options.device, coding, plan)

    def open(self) -> Recipe:
        """Open the engine and the method on it; in a process that is ours alone."""
        from enhance_cli import methods
        from enhance_cli.engines import open_engine
        from enhance_cli.pipeline.recipe import Recipe

        engine = open_engine(self.device, threads=self.threads)
        if engine.device == "cpu":
            # Where scipy is installed Numba loads its linear algebra at import, for a sixth of a second; no kernel
            # of ours uses it, and this process is ours alone.
            sys.modules.setdefault("scipy.linalg.cython_blas", None)  # type: ignore[arg-type]
        return Recipe(
            engine, methods.open_enhancer(methods.get(self.method), engine), self.controls, self.amount, self.plan
        )


# --- before any work ---------------------------------------------------------------------------------------


def _plan(options: RunOptions, method: Method) -> Plan | None:
    """The plan that is given, so that nothing is made for one that is none."""
    if options.plan is None:
        return None
    return load_plan(options.plan, method)


def _check_together(options: RunOptions, endings: tuple[str, ...]) -> None:
    """Refuse options that contradict each other."""
    if options.overwrite and options.skip_existing:
        raise UsageError("--overwrite and --skip-existing exclude each other: give one of them.")
    if options.save_plans is not None and options.save_plans.exists() and not options.save_plans.is_dir():
        raise UsageError(f"--save-plans {options.save_plans} is a file; give a folder.")
    if options.plan is not None and len(endings) > 1:
        raise UsageError(f"--plan is one plan, and {len(endings)} pictures are asked of each photograph.")
    if not options.in_place:
        for name in ("again", "backup", "drop_extras"):
            if getattr(options, name):
                given = option_name(name)
                raise UsageError(f"{given} goes with --in-place; a run with an OUTPUT leaves its inputs alone.")
        return
    if options.format is not None:
        raise UsageError("--in-place keeps every picture's format: leave out --format, or give an OUTPUT.")
    if options.skip_existing:
        raise UsageError("--in-place replaces what exists: leave out --skip-existing, or give an OUTPUT.")
    if options.report in ("none", STDIO) and not (options.again or options.overwrite):
        raise UsageError(
            "--in-place needs its report to know which pictures are enhanced already; give a file as --report, or "
            "--again to enhance all of them."
        )
    if options.report in ("none", STDIO) and options.backup is not None:
        raise UsageError("--backup needs a report, which is what `enhance restore` reads; give a file as --report.")


def _check_stdout(found: Scan, options: RunOptions) -> None:
    to_stdout = [found.folder is None, options.report == STDIO, options.json]
    if sum(to_stdout) > 1:
        raise UsageError("Only one thing can go to stdout: the picture (-), the report (--report -) or --json.")
    if found.folder is None and sys.stdout.isatty():
        raise UsageError("The OUTPUT - would write a picture to the terminal; redirect it or name a file.")
    if (options.isolate or options.timeout is not None) and any(None in (job.source, job.target) for job in found.jobs):
        raise UsageError("--isolate and --timeout work on files: they do not go with - as INPUT or OUTPUT.")


def _rules(
    method: Method,
    controls: Controls,
    options: RunOptions,
    found: Scan,
    endings: tuple[str, ...],
    beside: list[str],
) -> Rules:
    def sources(job: Job) -> list[Path]:
        if job.source is None:
            return []
        try:
            return [*job.sources, *controls.companions(job.name).values()]
        except UsageError:
            return [*job.sources]  # this photograph lacks its companion: it fails by itself, the others go on

    return Rules(
        settings=settings_digest(
            {
                "method": method.name,
                "controls": controls,
                "amount": options.amount,
                "format": options.format,
                "quality": options.quality,
                "strip": options.strip,
                "weights": weights.manifests(method),
                "plan": _contents(options.plan),
            }
        ),
        sources=sources,
        endings=endings,
        beside=beside,
        shared_stems=found.shared_stems,
        kept_plan=None if options.save_plans is None else partial(plan_path, options.save_plans, root=found.folder),
        overwrite=options.overwrite,
        skip_existing=options.skip_existing,
        in_place=options.in_place,
        again=options.in_place and (options.again or options.overwrite),
    )


def _contents(path: Path | None) -> bytes | None:
    try:
        return None if path is None else path.read_bytes()
    except OSError as error:
        raise UsageError(f"The plan {path} cannot be read: {error.strerror}.") from error


def _report_path(found: Scan, options: RunOptions) -> Path | None:
    """Where lines are kept; None where they are not."""
    if options.report in ("none", STDIO) or (options.report is None and found.folder is None):
        return None
    if options.report is not None:
        return Path(options.report)
    assert found.folder is not None
    return found.folder / shards.report_name(options.shard)


def _journal(path: Path | None, options: RunOptions) -> Journal:
    """What is known of earlier runs: from the named report, or from all of an output folder, of its parts too."""
    if path is None:
        return Journal()
    reports = [path] if options.report is not None else shards.reports_in(path.parent)
    return Journal(reports, by_content=options.check == "hash")


def _open(path: Path | None, options: RunOptions, rules: Rules) -> ReportFile:
    """The report, held so that no other run works on the same folder, other parts of the same run excepted."""
    if path is not None and options.report is None:
        for other in shards.reports_in(path.parent):
            part = shards.shard_of(other)
            sibling = part is not None and options.shard is not None and part.count == options.shard.count
            if other != path and not sibling and is_held(other):
                raise OutputError(f"Another run is writing {other}; wait for it, or give another OUTPUT.")
    stamp = {"settings": rules.settings, "shard": None if options.shard is None else str(options.shard)}
    return open_report(path, to_stdout=options.report == STDIO, stamp=stamp)


def _dry_run(settled: Settled, endings: tuple[str, ...], console: Console) -> ExitCode:
    rows = []
    for job in settled.jobs:
        for ending in endings:
            source, output = str(job.source or STDIO), str(job.target_with(ending)) if job.target else STDIO
            frames = [str(frame) for frame in job.frames]
            console.say(f"would enhance {', '.join([source, *frames])} -> {output}")
            if console.json:
                rows.append({"source": source, "frames": frames, "output": output})
    for job in settled.skipped:
        console.say(f"would skip {job.source}: {job.target} exists")
    unchanged = f", {settled.unchanged} done already" if settled.unchanged else ""
    console.say(
        f"{len(settled.jobs)} to enhance, {len(settled.skipped)} to skip{unchanged}; nothing was done (--dry-run)."
    )
    if console.json:
        counts = {"skipped": len(settled.skipped), "unchanged": settled.unchanged}
        console.data({"schema": "enhance-plan/1", "jobs": rows, **counts})
    return ExitCode.OK


# --- after -------------------------------------------------------------------------------------------------


@dataclass
class _Tally:
    """How many ended how; the lines themselves are in the report, and not kept."""

    unchanged: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0
    megapixels: float = 0.0
    lost_lines: int = 0
    left_alone: int = 0
    """Of those that were skipped: photographs in place that were enhanced before."""

    no_room: bool = field(default=False)
    """Whether an output could not be written."""

    _counting: threading.Lock = field(default_factory=threading.Lock)

    def count(self, outcome: Outcome) -> None:
        """Add one; the workers do, so that what is placed is counted whoever still hears of it."""
        with self._counting:
            setattr(self, outcome.status, getattr(self, outcome.status) + 1)
            self.megapixels += outcome.megapixels
            self.no_room = self.no_room or isinstance(outcome.error, OutputError)

    @property
    def exit_code(self) -> ExitCode:
        """What the counts come to; outputs that cannot be written come before photographs that cannot be read."""
        if self.no_room or self.lost_lines:
            return ExitCode.OUTPUT
        if self.failed == 0:
            return ExitCode.OK
        return ExitCode.SOME_FAILED if self.done or self.skipped or self.unchanged else ExitCode.ALL_FAILED

    def summary(self, seconds: float, device: str, report: Path | str | None) -> Mapping[str, Any]:
        """The object of `--json`."""
        return {
            "schema": "enhance-summary/1",
            "photographs": self.done + self.failed + self.skipped + self.unchanged,
            "done": self.done,
            "failed": self.failed,
            "skipped": self.skipped,
            "unchanged": self.unchanged,
            "megapixels": round(self.megapixels, 3),
            "seconds": round(seconds, 3),
            "device": device,
            "report": None if report is None else str(report),
            "exit_code": int(self.exit_code),
        }


def _photographs(count: int) -> str:
    return "1 photograph" if count == 1 else f"{count} photographs"


def _line_for_people(outcome: Outcome) -> str:
    line = outcome.report
    total = sum(line["ms"].values())
    exposure = line["exposure"]
    notes = "".join(f"; {note}" for note in line["notes"])
    return (
        f"{line['source']} -> {line['output']}: {total:.0f} ms, "
        f"mean luma {exposure['before']['mean']:.2f} -> {exposure['after']['mean']:.2f}{notes}"
    )
