"""Starts a run on a cluster: connects, requests workers, and describes their task."""

from __future__ import annotations

import fcntl
import os
import pickle
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from enhance_cli.errors import OutputError
from enhance_cli.pipeline.cluster.driver import Driver
from enhance_cli.pipeline.cluster.identity import identity
from enhance_cli.pipeline.cluster.session import RayFleet, session
from enhance_cli.pipeline.cluster.worker import Task

if TYPE_CHECKING:
    from enhance_cli.pipeline.assignment import Assignment
    from enhance_cli.pipeline.listener import Listener
    from enhance_cli.pipeline.run import Run
    from enhance_cli.types import Job


@contextmanager
def driver_of(asked: Run, photos: int, listener: Listener) -> Iterator[Driver]:
    """A driver with a worker that has the program and the weights of this process; others may still be starting.

    Args:
        asked: the run.
        photos: how many there are to do.
        listener: is told how long it took.

    Raises:
        EnhanceError: there is no cluster, or no worker of it can do this run.
    """
    from enhance_cli.engines.compiled import note_trouble
    from enhance_cli.engines.cpu import available_cores

    options, started = asked.options, time.monotonic()
    assert options.cluster is not None
    own = None if options.weights is None else str(options.weights.absolute())
    with session(options.cluster, options.jobs or available_cores()) as ray:
        fleet = RayFleet(ray, options.device, min(photos, options.jobs or photos))
        driver = Driver(
            fleet,
            ours=identity(asked.method, options.weights),
            hello=(asked.method, own),
            trouble=listener.trouble,
            noted=note_trouble,
            fail_fast=options.fail_fast,
            endings=len(asked.endings),
        )
        try:
            driver.meet()
            workers = "1 worker" if len(fleet.slots) == 1 else f"{len(fleet.slots)} workers"
            machines = "1 machine" if fleet.machines == 1 else f"{fleet.machines} machines"
            seconds = time.monotonic() - started
            listener.remark(f"{workers} on {machines}; the first answered after {seconds:.1f} s.")
            yield driver
        finally:
            driver.dismiss()


@contextmanager
def task_of(asked: Run, assignment: Assignment, first: Job, folder: Path | None, driver: Driver) -> Iterator[bytes]:
    """The task of every worker, pickled. In the body the output folder has a file that each of them must see.

    Args:
        asked: the run.
        assignment: as this process would open it.
        first: a job whose source every worker must see as this process does.
        folder: the output folder; None in place.
        driver: tells how many workers share a machine.
    """
    options = asked.options
    with ExitStack() as stack:
        mirror = assignment.coding.mirror
        paths = [path for path in first.sources[:1] if mirror is None or mirror.location(path) is None]
        if folder is not None and (mirror is None or mirror.location(folder) is None):
            paths.append(stack.enter_context(_token(folder)))
        seen = []
        for path in paths:
            try:
                status = path.stat()
            except OSError:
                continue  # gone since the scan: it fails when its turn comes
            seen.append((str(path), status.st_size, status.st_mtime_ns))
        task = Task(
            replace(assignment, alone=True, threads=1),
            isolate=options.isolate,
            timeout=options.timeout,
            memory=options.memory,
            workers_per_node=-(-len(driver.fleet.slots) // driver.fleet.machines),
            folder=Path.cwd(),
            seen=tuple(seen),
        )
        yield pickle.dumps(task)


@contextmanager
def _token(folder: Path) -> Iterator[Path]:
    """A hidden file in a folder; named and locked like staged files, so that a dead driver's file is removed later."""
    try:
        file = tempfile.NamedTemporaryFile(prefix=".enhance-", suffix=".tmp", dir=folder)  # noqa: SIM115
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be written: {error.strerror}.") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(os.urandom(16))
        file.flush()
        yield Path(file.name)
