"""Many photos at once: one per worker, within a memory budget; a failure never stops the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from enhance_cli.engines.abandon import Abandoned, Stop, working_for

T = TypeVar("T")
R = TypeVar("R")

PATIENCE = 1.4
"""Seconds that a stopped run waits for its workers to notice. A worker in a long library call, such as an encoder,
cannot notice; it is abandoned and places nothing."""

_LOOK = 0.2
"""Seconds between the checks of a waiting thread: a signal that arrives just before it waits does not wake it."""


class ByteBudget:
    """A limit on decoded bytes in flight. A photo that is larger than the whole budget is admitted alone.

    Photos are admitted in order: each waits for those before it. Otherwise later, smaller ones could keep a
    large one waiting forever, or hold the memory that the next result in order needs.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._waiting: set[int] = set()
        self._turns = 0
        self._over = False
        self._changed = threading.Condition()

    def queue(self) -> Admission:
        """The next turn."""
        with self._changed:
            turn = self._turns
            self._turns += 1
            self._waiting.add(turn)
        return Admission(self, turn)

    def _acquire(self, turn: int, size: int) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._over
                    or (
                        (turn not in self._waiting or turn == min(self._waiting))
                        and (self._used == 0 or self._used + size <= self._limit)
                    )
                )
            )
            if self._over:
                raise Abandoned
            self._used += size
            self._waiting.discard(turn)
            self._changed.notify_all()

    def _release(self, turn: int, size: int) -> None:
        with self._changed:
            self._used -= size
            self._waiting.discard(turn)
            self._changed.notify_all()

    def close(self) -> None:
        """Admit nothing more: callers that wait, or call later, are told that the run is being stopped."""
        with self._changed:
            self._over = True
            self._changed.notify_all()


class Admission:
    """The share of one photo in a budget: call it with the bytes about to be decoded, then `release`."""

    def __init__(self, budget: ByteBudget, turn: int) -> None:
        self._budget = budget
        self._turn = turn
        self._held = 0

    def __call__(self, size: int) -> None:
        """Reserve memory for this photo; waits until it is available."""
        self._budget._acquire(self._turn, size)
        self._held += size

    def decline(self) -> None:
        """Give up the turn: this photo will not need more memory."""
        self._budget._release(self._turn, 0)

    def release(self) -> None:
        """Give back all that is held."""
        self._budget._release(self._turn, self._held)
        self._held = 0


def parallel(
    items: Iterable[T],
    work: Callable[[T, Admission], R],
    failed: Callable[[T, Exception], R],
    *,
    workers: int,
    budget: ByteBudget,
    ordered: bool = False,
    keep_admitted: bool = False,
    until: Callable[[R], bool] | None = None,
    abandon: Callable[[], None] = lambda: None,
) -> Generator[R, None, None]:
    """Do `work` on every item and yield results as they finish.

    Closing the generator, or an exception in it such as Ctrl-C, stops the run: files that are being placed are
    finished, everything else is cancelled, and workers that do not notice within `PATIENCE` are abandoned.

    Args:
        items: read lazily, a few ahead of the workers.
        work: called with the item and its Admission, on a worker thread.
        failed: turns an exception of `work` into a result; the stream's only boundary for exceptions.
        workers: number of threads. Even a single worker is a separate thread: signals raise in the main thread, and
            must not interrupt the processing of a photo.
        budget: what admissions draw from.
        ordered: yield in the order of `items`.
        keep_admitted: results hold their images, so memory is released when the next result is requested.
        until: after a result for which this is true no further item is started; those in flight are finished.
        abandon: called when the run is stopped and nothing is being placed, to end work that cannot check a Stop.
    """
    over = threading.Event()  # checked by the workers: the next item starts before a result is yielded
    stop = Stop()

    def attempt(item: T, admission: Admission) -> tuple[R, Admission] | None:
        if over.is_set() or stop.asked:
            admission.decline()
            return None
        try:
            with working_for(stop):
                result = work(item, admission)
        except Abandoned:
            admission.release()
            return None
        except Exception as error:  # noqa: BLE001 - the stage boundary: a failing item becomes a value
            result = failed(item, error)
        if until is not None and until(result):
            over.set()
        admission.decline()  # in case it failed before it was admitted
        if not keep_admitted:
            admission.release()
        return result, admission

    def give_up() -> None:
        stop.ask(PATIENCE)
        budget.close()
        abandon()

    yield from _pooled(items, attempt, budget, workers, ordered, give_up)


def _pooled(
    items: Iterable[T],
    attempt: Callable[[T, Admission], tuple[R, Admission] | None],
    budget: ByteBudget,
    workers: int,
    ordered: bool,
    give_up: Callable[[], None],
) -> Generator[R, None, None]:
    waiting = iter(items)
    pool = ThreadPoolExecutor(workers, "enhance-worker")
    flying: dict[Future[Any], None] = {}  # a dict keeps the order of submission

    def refill() -> None:
        while len(flying) < 2 * workers:
            try:
                item = next(waiting)
            except StopIteration:
                return
            flying[pool.submit(attempt, item, budget.queue())] = None

    try:
        refill()
        while flying:
            if ordered:
                finished = [next(iter(flying))]
                while not wait(finished, _LOOK).done:
                    pass
            else:
                while not (done := wait(flying, _LOOK, FIRST_COMPLETED).done):
                    pass
                finished = [future for future in flying if future in done]
            for future in finished:
                del flying[future]
                attempted = future.result()
                if attempted is None:
                    continue
                result, admission = attempted
                refill()
                yield result
                admission.release()
    except BaseException:
        until = time.monotonic() + PATIENCE
        pool.shutdown(wait=False, cancel_futures=True)
        give_up()
        wait([future for future in flying if not future.cancelled()], timeout=max(0.0, until - time.monotonic()))
        raise
    pool.shutdown()
