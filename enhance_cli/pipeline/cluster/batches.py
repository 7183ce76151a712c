"""Which photos a worker gets next, and what happens to those whose worker died. Depends on neither Ray nor files."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

from enhance_cli.types import Job

AGAIN = 2
"""How often a photo whose worker died goes to another worker together with its batch; then it is tried alone."""


class Batches:
    """Distributes jobs to the workers that request them.

    The jobs of a worker that died go to another one as a batch, `AGAIN` times at most. Then each of them runs alone on
    a worker, at the end of the run, so that the death of that worker identifies the photo that kills workers.
    """

    def __init__(self, jobs: Iterable[Job]) -> None:
        """Deal these in order; they are read as they are dealt."""
        self._fresh: Iterator[Job] = iter(jobs)
        self._ahead: deque[Job] = deque()
        self._batches: deque[list[Job]] = deque()
        self._alone: deque[Job] = deque()
        self._deaths: dict[int, int] = {}
        """Workers that died with a job, by its index."""

    def take(self, held: Iterable[Job], room: int) -> list[Job]:
        """The next jobs for a worker.

        Args:
            held: what the worker has and has not finished.
            room: how many more it should have.
        """
        held = list(held)
        if any(job.index in self._deaths for job in held):
            return []  # another suspect, or an innocent photo, would be lost with it
        if self._batches and not held:
            return self._batches.popleft()
        taken: list[Job] = []
        while len(taken) < room and not self._no_fresh():
            taken.append(self._ahead.popleft())
        if not taken and not held and self._alone:
            return [self._alone.popleft()]
        return taken

    def lost(self, jobs: Iterable[Job]) -> list[Job]:
        """A worker died with these jobs; returns those that it ran alone, which are given up."""
        batch, given_up = [], []
        for job in jobs:
            deaths = self._deaths[job.index] = self._deaths.get(job.index, 0) + 1
            if deaths <= AGAIN:
                batch.append(job)
            elif deaths == AGAIN + 1:
                self._alone.append(job)
            else:
                given_up.append(job)
        if batch:
            self._batches.append(batch)
        return given_up

    def stop(self) -> None:
        """Deal nothing more."""
        self._fresh = iter(())
        self._ahead.clear()
        self._batches.clear()
        self._alone.clear()

    @property
    def waiting(self) -> bool:
        """Whether jobs that lost their worker wait for another."""
        return bool(self._batches or self._alone)

    @property
    def empty(self) -> bool:
        """Whether there is nothing left to deal."""
        return not self.waiting and self._no_fresh()

    def _no_fresh(self) -> bool:
        """Whether every job was dealt once; reads one ahead to know."""
        if not self._ahead:
            self._ahead.extend(islice(self._fresh, 1))
        return not self._ahead
