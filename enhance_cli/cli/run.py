"""What a method's command does: scan, open, stream, record, sum up."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from enhance_cli.cli.console import Console, Progress, summary_text
from enhance_cli.cli.failures import Terminated
from enhance_cli.errors import ExitCode, OutputError, UsageError
from enhance_cli.pipeline.options import RunOptions
from enhance_cli.pipeline.scan import REPORT_NAME, STDIO, Scan, existing_targets, scan
from enhance_cli.types import Controls, Job, Method, Outcome


def run(method: Method, arguments: list[str], controls: Controls, options: RunOptions, console: Console) -> ExitCode:
    """Enhance everything that the arguments name.

    Raises:
        EnhanceError: the run as a whole cannot go on; single photographs that fail are counted instead.
    """
    found = scan(
        arguments,
        recursive=options.recursive,
        format=options.format,
        beside=[name for name in method.illustrations if getattr(controls, name)],
        endings=_endings(controls),
        stacks=controls.stacks,
    )
    for remark in found.remarks:
        console.say(remark)
    _check_destinations(found, options)
    jobs, skipped = _settle_existing(found, options, _endings(controls))
    if options.dry_run:
        return _dry_run(jobs, skipped, _endings(controls), console)
    if not jobs and not skipped:
        if console.json:
            console.data(_summary([], 0.0, "none", None, ExitCode.OK))
        return ExitCode.OK

    with _terminable():
        return _stream(method, jobs, skipped, found, controls, options, console)


def _stream(
    method: Method,
    jobs: list[Job],
    skipped: list[Job],
    found: Scan,
    controls: Controls,
    options: RunOptions,
    console: Console,
) -> ExitCode:
    from enhance_cli import methods
    from enhance_cli.engines import open_engine
    from enhance_cli.engines.cpu import available_cores
    from enhance_cli.imaging import atomic
    from enhance_cli.pipeline.photograph import Coding, Recipe, process, write
    from enhance_cli.pipeline.report import open_report
    from enhance_cli.pipeline.stream import Admission, ByteBudget, parallel

    workers = min(options.jobs or available_cores(), max(1, len(jobs)))
    threads = max(1, (options.jobs or available_cores()) // workers)
    engine = open_engine(options.device, threads=threads)
    if engine.device == "cpu":
        # Where scipy is installed Numba loads its linear algebra at import, for a sixth of a second; no kernel
        # of ours uses it, and this process is ours alone.
        sys.modules.setdefault("scipy.linalg.cython_blas", None)  # type: ignore[arg-type]
        from enhance_cli.engines import compiled

        if not compiled.compiled_before():
            console.say("Compiling the CPU kernels for this machine; this happens once and takes a few seconds.")
    recipe = Recipe(engine, methods.open_enhancer(method, engine), controls, options.amount)
    coding = Coding(options.format, options.quality, options.max_pixels, follow_target=found.single_file)
    if found.folder is not None:
        atomic.make_folder(found.folder)

    report = open_report(options.report, found.folder, REPORT_NAME)

    # Lines are appended by the workers, so that an interrupted run has one for everything it put in place.
    def work(job: Job, admit: Admission) -> list[Outcome]:
        finished = []
        for outcome in process(job, recipe, coding, admit, put_in_place=write):
            report.append(outcome.report)
            finished.append(outcome)
        return finished

    def failed(job: Job, error: Exception) -> list[Outcome]:
        line = recipe.line(
            STDIO if job.source is None else str(job.source),
            None if job.target is None else str(job.target),
            error=error,
        )
        report.append(line)
        return [Outcome(job, "failed", line, error=error)]

    outcomes: list[Outcome] = []
    started = time.monotonic()
    with report:
        for job in skipped:
            for ending in _endings(controls):
                line = recipe.line(str(job.source), str(job.target_with(ending)), skipped=True)
                report.append(line)
                outcomes.append(Outcome(job, "skipped", line))
        with console.progress(len(jobs) * len(controls.variants())) as progress:
            for finished in parallel(jobs, work, failed, workers=workers, budget=ByteBudget(options.memory)):
                for outcome in finished:
                    outcomes.append(outcome)
                    _tell(outcome, progress, console)
        seconds = time.monotonic() - started
        code = _exit_code(outcomes)
        where = None if options.report == "none" else STDIO if options.report == STDIO else report.path
        summary = _summary(outcomes, seconds, engine.device, where, code)
    engine.close()
    if console.json:
        console.data(summary)
    if found.folder is not None or console.verbose:
        console.say(summary_text(summary))
    return code


def _tell(outcome: Outcome, progress: Progress, console: Console) -> None:
    """Show one photograph's end.

    Raises:
        OutputError: it could not be written: a disk that is full or gone stays so for the next photograph.
    """
    progress.advance(outcome)
    if outcome.error is not None:
        progress.above(f"enhance: {outcome.report['error']['message']}")
        if console.debug:
            console.error("where it failed:", outcome.error)
        if isinstance(outcome.error, OutputError):
            raise outcome.error
    elif console.verbose:
        progress.above(_line_for_people(outcome))


# --- before any work ---------------------------------------------------------------------------------------


def _check_destinations(found: Scan, options: RunOptions) -> None:
    to_stdout = [found.folder is None, options.report == STDIO, options.json]
    if sum(to_stdout) > 1:
        raise UsageError("Only one thing can go to stdout: the picture (-), the report (--report -) or --json.")
    if found.folder is None and sys.stdout.isatty():
        raise UsageError("The OUTPUT - would write a picture to the terminal; redirect it or name a file.")
    if options.overwrite and options.skip_existing:
        raise UsageError("--overwrite and --skip-existing exclude each other: give one of them.")


def _endings(controls: Controls) -> tuple[str, ...]:
    return tuple(ending for ending, _ in controls.variants())


def _settle_existing(found: Scan, options: RunOptions, endings: tuple[str, ...]) -> tuple[list[Job], list[Job]]:
    """Split jobs into those to do and those to skip; refuse to replace pictures that are not ours."""
    if options.overwrite:
        return found.jobs, []
    if options.skip_existing:
        held = {job.index for job in found.jobs if job.target and all(job.target_with(e).exists() for e in endings)}
        skipped = [job for job in found.jobs if job.index in held]
        return [job for job in found.jobs if job.index not in held], skipped
    ours = _recorded_outputs(found, options)
    strangers = existing_targets(found.jobs, lambda target: str(target.absolute()) in ours, endings)
    if strangers:
        first = ", ".join(map(str, strangers[:5]))
        more = f" and {len(strangers) - 5} more" if len(strangers) > 5 else ""
        raise UsageError(
            f"There already: {first}{more}, and no report says that enhance wrote "
            f"{'it' if len(strangers) == 1 else 'them'}; use --overwrite or --skip-existing."
        )
    return found.jobs, []


def _recorded_outputs(found: Scan, options: RunOptions) -> set[str]:
    from enhance_cli.pipeline.report import outputs_on_record

    if options.report in ("none", STDIO) or found.folder is None:
        return set()
    return outputs_on_record(Path(options.report) if options.report else found.folder / REPORT_NAME)


def _dry_run(jobs: list[Job], skipped: list[Job], endings: tuple[str, ...], console: Console) -> ExitCode:
    planned = [
        (", ".join(map(str, (job.source or STDIO, *job.frames))), str(job.target_with(ending)) if job.target else STDIO)
        for job in jobs
        for ending in endings
    ]
    for source, output in planned:
        console.say(f"would enhance {source} -> {output}")
    for job in skipped:
        console.say(f"would skip {job.source}: {job.target} exists")
    console.say(f"{len(jobs)} to enhance, {len(skipped)} to skip; nothing was done (--dry-run).")
    if console.json:
        rows = [{"source": source, "output": output} for source, output in planned]
        console.data({"schema": "enhance-plan/1", "jobs": rows, "skipped": len(skipped)})
    return ExitCode.OK


# --- after -------------------------------------------------------------------------------------------------


def _exit_code(outcomes: list[Outcome]) -> ExitCode:
    failures = sum(outcome.status == "failed" for outcome in outcomes)
    if failures == 0:
        return ExitCode.OK
    return ExitCode.ALL_FAILED if failures == len(outcomes) else ExitCode.SOME_FAILED


def _summary(
    outcomes: list[Outcome], seconds: float, device: str, report: Path | str | None, code: ExitCode
) -> dict[str, Any]:
    def count(status: str) -> int:
        return sum(outcome.status == status for outcome in outcomes)

    return {
        "schema": "enhance-summary/1",
        "photographs": len(outcomes),
        "done": count("done"),
        "failed": count("failed"),
        "skipped": count("skipped"),
        "megapixels": round(sum(outcome.megapixels for outcome in outcomes), 3),
        "seconds": round(seconds, 3),
        "device": device,
        "report": None if report is None else str(report),
        "exit_code": int(code),
    }


def _line_for_people(outcome: Outcome) -> str:
    line = outcome.report
    total = sum(line["ms"].values())
    exposure = line["exposure"]
    notes = "".join(f"; {note}" for note in line["notes"])
    return (
        f"{line['source']} -> {line['output']}: {total:.0f} ms, "
        f"mean luma {exposure['before']['mean']:.2f} -> {exposure['after']['mean']:.2f}{notes}"
    )


@contextmanager
def _terminable() -> Iterator[None]:
    """Turn SIGTERM into an exception of this thread, so that a service manager's stop ends a run in order."""

    def stop(*_: object) -> None:
        raise Terminated

    try:
        previous = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread: whoever called us minds the signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
