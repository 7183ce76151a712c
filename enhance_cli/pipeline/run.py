"""A run: everything the user requested, as one value, and its execution.

The command line and `enhance_cli.run` come here with the same `Run`. Nothing is printed here, and no signal is caught.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from enhance_cli import methods
from enhance_cli.controls import Controls, limited_file
from enhance_cli.engines import weights
from enhance_cli.errors import OutputError, Terminated, UsageError
from enhance_cli.imaging import atomic
from enhance_cli.pipeline.contradictions import check_stdout, check_together
from enhance_cli.pipeline.derived import assignment_of, rules_of
from enhance_cli.pipeline.inputs import STDIO
from enhance_cli.pipeline.journal import settings_digest
from enhance_cli.pipeline.lines import refuse_foreign
from enhance_cli.pipeline.listener import Listener, Silent
from enhance_cli.pipeline.options import RunOptions
from enhance_cli.pipeline.own_report import earlier_runs, locked, report_path
from enhance_cli.pipeline.plans import load_plan
from enhance_cli.pipeline.report import ReportFile
from enhance_cli.pipeline.scan import Scan, scan
from enhance_cli.pipeline.settle import Rules, Settled, refuse_named, settle
from enhance_cli.pipeline.summary import Summary, Tally, photos
from enhance_cli.storage import is_url, local_path
from enhance_cli.types import Job, Outcome

if TYPE_CHECKING:
    from enhance_cli.pipeline.assignment import Assignment
    from enhance_cli.pipeline.cluster.driver import Driver
    from enhance_cli.pipeline.dealing import Dealer
    from enhance_cli.pipeline.objects import Objects
    from enhance_cli.pipeline.recipe import Recipe
    from enhance_cli.pipeline.work import Work


@dataclass(frozen=True)
class Run:
    """What the user requested."""

    method: str
    controls: Controls
    options: RunOptions
    arguments: tuple[str, ...]
    """The inputs followed by the output, as on the command line."""

    stamp: Mapping[str, Any] = field(default_factory=dict)
    """Fields of its report lines that are set from outside, such as those of a review."""

    @classmethod
    def of(cls, method: str, arguments: Iterable[str | Path], values: Mapping[str, Any]) -> Self:
        """Sort values by name into the method's controls and the options that all methods share.

        Raises:
            UsageError: there is no such method or option, or a value is invalid.
        """
        own, shared = methods.get(method).controls, RunOptions
        for name in values:
            if name not in own.knobs() and name not in shared.knobs():
                known = ", ".join((*own.knobs(), *shared.knobs()))
                raise UsageError(f"{method} has no option {name!r}; it has {known}.")
        controls = own(**{name: value for name, value in values.items() if name in own.knobs()})
        options = shared(**{name: value for name, value in values.items() if name in shared.knobs()})
        return cls(method, controls, options, tuple(map(str, arguments)))

    @property
    def endings(self) -> tuple[str, ...]:
        """Suffixes of the names of the images that are written for each photo."""
        return tuple(ending for ending, _ in self.controls.variants())

    @property
    def settings(self) -> str:
        """A digest of everything but the source that decides an output: if it is equal, a restart can skip the photo.

        Raises:
            EnhanceError: the plan or the weights cannot be read.
        """
        method = methods.get(self.method)
        options = self.options.deciding | {"plan": _contents(self.options.plan)}
        del options["weights"]  # identified by their manifests, wherever they are
        others = {name: weights.manifests(methods.get(name)) for name in method.uses}
        parts = {
            "method": method.name,
            "weights": (*weights.manifests(method, self.options.weights), *((others,) if others else ())),
            "controls": self.controls.deciding,
            "options": options,
        }
        return settings_digest(parts)

    @property
    def illustrations(self) -> list[str]:
        """Names of the illustrations of each image."""
        return [name for name in methods.get(self.method).illustrations if getattr(self.controls, name)]


def run(asked: Run, listener: Listener | None = None, *, alone: bool = False) -> Summary:
    """Enhance everything the arguments name.

    Args:
        asked: what is to be done.
        listener: receives the events of the run.
        alone: whether this process runs only enhance (see `Assignment`).

    Raises:
        EnhanceError: the run as a whole cannot continue; single photos that fail are only counted.
    """
    listener, asked = listener or Silent(), _without_file_urls(asked)
    check_together(asked)
    if not any(map(is_url, (*asked.arguments, asked.options.report))):
        return _run(asked, listener, alone, None)
    from enhance_cli.pipeline import objects

    objects.refuse_what_needs_files(asked.options, asked.controls, asked.arguments)
    with objects.on_a_mirror() as found:
        *inputs, output = asked.arguments or ("",)
        report = None if asked.options.report is None else found.output(asked.options.report).removesuffix("/")
        arguments = (*found.inputs(inputs), found.output(output)) if asked.arguments else ()
        options = replace(asked.options, report=report)
        told = objects.Shown(listener, found.mirror)
        summary = _run(replace(asked, arguments=arguments, options=options), told, alone, found)
        return summary.with_report(found.shown_report)


def _without_file_urls(asked: Run) -> Run:
    """The same with paths in place of `file://` URLs."""
    texts = (*asked.arguments, asked.options.report or "")
    if not any("://" in text for text in texts):
        return asked
    *arguments, report = (local_path(text) or text for text in texts)
    return replace(asked, arguments=tuple(arguments), options=replace(asked.options, report=report or None))


def _run(asked: Run, listener: Listener, alone: bool, objects: Objects | None) -> Summary:
    """The part of `run` that works on paths; those of objects are places of a mirror."""
    method, options = methods.get(asked.method), asked.options
    if asked.controls.looks_only is not None:
        from enhance_cli.pipeline.looking import look

        return look(asked, asked.controls.looks_only, listener, alone=alone)
    listed, faults = (None, []) if asked.controls.listed is None else asked.controls.listed.present()
    found = scan(
        asked.arguments,
        listed=listed,
        recursive=options.recursive,
        format=options.format,
        beside=asked.illustrations,
        endings=asked.endings,
        stacks=asked.controls.stacks,
        in_place=options.in_place,
        shard=options.shard,
        names=asked.controls.looks_for_names,
        plans=options.save_plans,
        **({} if objects is None else {"elsewhere": objects.find}),
    )
    for remark in found.remarks:
        listener.remark(remark)
    if listed == [] and not faults and asked.controls.listed is not None:
        listener.remark(f"{asked.controls.listed.path} holds no decisions.")
    check_stdout(found, options)
    rules = rules_of(asked, found, objects)
    path = report_path(found, options)
    if objects is not None:
        objects.look_at_outputs(found.folder, found.single_file, found.jobs)
        objects.fetch_report(path)
    if path is not None:
        refuse_foreign(path)
        if options.report is not None:
            refuse_named(path, found.jobs, rules, options.plan)
    plan = None if options.plan is None else load_plan(options.plan, method)  # before anything is created
    if options.dry_run:
        return _preview(settle(found.jobs, earlier_runs(path, options, rules.states), rules), asked, listener)
    for fault in faults:
        listener.trouble(fault)
    # A part with nothing to do leaves an empty report as evidence.
    if not found.jobs and options.shard is None and not faults:
        return Summary()
    with ExitStack() as stack:
        # An existing report is locked before it is read, so that no other run changes it; a new one is created only
        # when it is certain that the run will not be refused.
        held = path is not None and path.exists()
        report = stack.enter_context(locked(path, asked, rules, objects)) if held else None
        settled = settle(found.jobs, earlier_runs(path, options, rules.states), rules)
        tally = stack.enter_context(_told_when_stopped(asked, settled, listener))
        tally.failed += len(faults)
        work = bool(settled.jobs or settled.skipped)
        if work:
            # A device or weights that cannot be used are refused before anything is created.
            workers, threads = _parallelism(options, settled)
            assignment = assignment_of(asked, found, path, rules, objects)
            assignment = replace(assignment, plan=plan, alone=alone, threads=threads)
            driver = _driver(asked, settled, listener, stack)
            # This machine need not have the workers' devices: it only writes lines.
            dealer = (assignment if driver is None else replace(assignment, device="cpu")).deal(listener.remark)
            stack.push(lambda kind, *_: dealer.close(wait=kind is None))
            if options.jobs is None and not options.isolate and options.timeout is None:
                workers = min(workers + dealer.in_flight, max(1, len(settled.jobs)))
            if settled.jobs and asked.controls.looks_together and options.plan is None:
                assignment, dealer = _together(assignment, dealer, found.jobs, workers, listener)
        if found.folder is not None:
            atomic.make_folder(found.folder)
        if report is None:
            report = stack.enter_context(locked(path, asked, rules, objects))
            # A report that appeared since: what is left to do was determined without it.
            if path is not None and path.exists() and path.stat().st_size > 0:
                raise OutputError(f"Another run has just written {path}; run the same command again for what is left.")
        for folder in settled.folders:
            atomic.sweep(folder)
        if not work:
            why = f": {photos(settled.unchanged)} done by an earlier run and unchanged" * bool(found.jobs)
            listener.remark(f"Nothing to do{why}.")
            return tally.summary(report=report.path)
        dealt = None if driver is None else partial(_dealt, asked, assignment, found, settled, rules, driver, report)
        summary = _stream(assignment, dealer, workers, settled, report, options, tally, listener, dealt)
        return summary if driver is None else replace(summary, device=driver.device or summary.device)


def _driver(asked: Run, settled: Settled, listener: Listener, stack: ExitStack) -> Driver | None:
    """The driver of `--cluster`."""
    if asked.options.cluster is None or not settled.jobs:
        return None
    from enhance_cli.pipeline.cluster.start import driver_of

    return stack.enter_context(driver_of(asked, len(settled.jobs), listener))


def _together(
    assignment: Assignment, dealer: Dealer, jobs: Iterable[Job], workers: int, listener: Listener
) -> tuple[Assignment, Dealer]:
    """The same with decisions for photos that belong together, if there are any."""
    from enhance_cli.pipeline.looking import agreed

    coding = assignment.coding
    decisions, remarks = agreed(jobs, dealer.first, workers, coding.max_pixels, coding.mirror)
    for remark in remarks:
        listener.remark(remark)
    if decisions is None:
        return assignment, dealer
    controls = assignment.controls.with_decisions(decisions)
    return replace(assignment, controls=controls), dealer.changed(lambda recipe: replace(recipe, controls=controls))


@contextmanager
def _told_when_stopped(asked: Run, settled: Settled, listener: Listener) -> Iterator[Tally]:
    """A tally of what is done, reported if the run is stopped, however early; nothing is placed after that."""
    tally = Tally(settled.unchanged)
    try:
        yield tally
    except (KeyboardInterrupt, Terminated):
        total, pictures = len(settled.jobs), len(settled.jobs) * len(asked.endings)
        of = photos(total) if pictures == total else f"{pictures} outputs"
        no_rest = tally.done >= pictures or asked.options.report in ("none", STDIO)
        again = "" if no_rest else "; the same command continues with the rest"
        listener.trouble(f"stopped with {tally.done} of {of} done{again}.")
        raise


def _parallelism(options: RunOptions, settled: Settled) -> tuple[int, int]:
    """How many photos are processed at once, and how many CPU threads each may use."""
    from enhance_cli.engines.cpu import available_cores

    cores = options.jobs or available_cores()
    workers = min(cores, max(1, len(settled.jobs)))
    return workers, max(1, cores // workers)


def _stream(
    assignment: Assignment,
    dealer: Dealer,
    workers: int,
    settled: Settled,
    report: ReportFile,
    options: RunOptions,
    tally: Tally,
    listener: Listener,
    dealt: Callable[[Work], Generator[list[Outcome], None, None]] | None = None,
) -> Summary:
    from enhance_cli.pipeline.memory import default_budget
    from enhance_cli.pipeline.stream import ByteBudget, parallel
    from enhance_cli.pipeline.work import Work, opened

    total = len(settled.jobs)
    on_cpu = dealer.device == "cpu" and total > 0
    if on_cpu:
        from enhance_cli.engines import compiled

        if options.cluster in (None, "local") and not compiled.compiled_before():
            listener.remark("Compiling the CPU kernels for this machine; this happens once, in 5 to 30 seconds.")
    started = time.monotonic()
    with ExitStack() as stack:
        do, end = opened(assignment, dealer, stack, isolate=options.isolate, timeout=options.timeout)
        work = Work(do, dealer, report, tally, listener.trouble, on_disk=assignment.coding.mirror is None)
        _record_skipped(settled, dealer.first, report, tally)
        budget = ByteBudget(options.memory or default_budget())
        listener.begins(total * len(assignment.controls.variants()))
        until = _has_failed if options.fail_fast else None
        stream: Generator[list[Outcome], None, None]
        if dealt is not None and total > 0:
            stream = dealt(work)
        else:
            stream = parallel(
                settled.jobs, work.work, work.failed, workers=workers, budget=budget, until=until, abandon=end
            )
        try:
            for finished in stream:
                for outcome in finished:
                    listener.finished(outcome)
        finally:
            stream.close()  # from here on nothing is placed
            if on_cpu:
                for text in compiled.trouble().values():
                    listener.trouble(text)
    return tally.summary(
        seconds=time.monotonic() - started,
        device=dealer.device,
        report=report.path if options.report not in ("none", STDIO) else None,
        report_to_stdout=options.report == STDIO,
        to_stdout=assignment.coding.root is None,
    )


def _dealt(
    asked: Run,
    assignment: Assignment,
    found: Scan,
    settled: Settled,
    rules: Rules,
    driver: Driver,
    report: ReportFile,
    work: Work,
) -> Generator[list[Outcome], None, None]:
    """The jobs done by the workers of a cluster."""
    from enhance_cli.pipeline.cluster.driver import Books
    from enhance_cli.pipeline.cluster.start import task_of

    books = Books(report, work.tally, rules.outputs, work.failed, rules.states)
    with task_of(asked, assignment, next(iter(settled.jobs)), found.folder, driver) as task:
        yield from driver.outcomes(books, settled.jobs, task)
    for folder in settled.folders if driver.died else ():
        atomic.sweep(folder)  # files staged by dead workers; none is running now


def _has_failed(finished: list[Outcome]) -> bool:
    return any(outcome.status == "failed" for outcome in finished)


def _record_skipped(settled: Settled, recipe: Recipe, report: ReportFile, tally: Tally) -> None:
    for job in settled.skipped:
        for ending, _ in recipe.controls.variants():
            target = str(job.target_with(ending))
            line = recipe.line(str(job.source), target, frames=map(str, job.frames), skipped=True)
            report.append(line)
            tally.count(Outcome(job, "skipped", line))


def _contents(path: Path | None) -> bytes | None:
    try:
        return None if path is None else limited_file(path)
    except OSError as error:
        raise UsageError(f"The plan {path} cannot be read: {error.strerror}.") from error


def _preview(settled: Settled, asked: Run, listener: Listener) -> Summary:
    """Report what would be done."""
    for job in settled.jobs:
        for ending in asked.endings:
            source, output = str(job.source or STDIO), str(job.target_with(ending)) if job.target else STDIO
            listener.planned(source, [str(frame) for frame in job.frames], output)
    for job in settled.skipped:
        listener.remark(f"would skip {job.source}: {job.target} exists")
    return Summary(planned=len(settled.jobs), skipped=len(settled.skipped), unchanged=settled.unchanged)
