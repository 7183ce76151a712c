"""Many photographs at once: a photograph per worker, bounded by bytes, one failing never stopping the rest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class ByteBudget:
    """A bound on decoded bytes in flight. What is larger than the whole budget is admitted alone."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._free = threading.Condition()

    def acquire(self, size: int) -> None:
        """Wait until there is room, then take it."""
        with self._free:
            self._free.wait_for(lambda: self._used == 0 or self._used + size <= self._limit)
            self._used += size

    def release(self, size: int) -> None:
        """Give room back."""
        with self._free:
            self._used -= size
            self._free.notify_all()


class Admission:
    """What one photograph holds of a budget."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._held = 0

    def __call__(self, size: int) -> None:
        """Take room for this photograph, before it is decoded."""
        self._budget.acquire(size)
        self._held += size

    def release(self) -> None:
        """Give back all that is held."""
        self._budget.release(self._held)
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
) -> Iterator[R]:
    """Do `work` on every item and yield results as they finish.

    Args:
        items: read lazily, a few ahead of the workers.
        work: called with the item and its Admission, on a worker thread.
        failed: turns an exception of `work` into a result; the stream's only boundary for exceptions.
        workers: threads; 1 works in the caller's thread, one item after another.
        budget: what admissions draw from.
        ordered: yield in the order of `items`.
        keep_admitted: results hold their pictures, so room is given back when the next one is asked for.
    """

    def attempt(item: T) -> tuple[R, Admission]:
        admission = Admission(budget)
        try:
            result = work(item, admission)
        except Exception as error:  # noqa: BLE001 - the stage boundary: a failing item becomes a value
            result = failed(item, error)
        if not keep_admitted:
            admission.release()
        return result, admission

    if workers == 1:
        for item in items:
            result, admission = attempt(item)
            yield result
            admission.release()
        return
    yield from _pooled(items, attempt, workers, ordered)


def _pooled(
    items: Iterable[T], attempt: Callable[[T], tuple[R, Admission]], workers: int, ordered: bool
) -> Iterator[R]:
    waiting = iter(items)
    pool = ThreadPoolExecutor(workers, "enhance-worker")
    flying: dict[Future[Any], None] = {}  # a dict keeps the order of submission

    def refill() -> None:
        while len(flying) < 2 * workers:
            try:
                item = next(waiting)
            except StopIteration:
                return
            flying[pool.submit(attempt, item)] = None

    try:
        refill()
        while flying:
            if ordered:
                finished = [next(iter(flying))]
                wait(finished)
            else:
                done, _ = wait(flying, return_when=FIRST_COMPLETED)
                finished = [future for future in flying if future in done]
            for future in finished:
                del flying[future]
                result, admission = future.result()
                refill()
                yield result
                admission.release()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
