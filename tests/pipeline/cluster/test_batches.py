"""Which photos a worker gets, and what becomes of those of dead workers."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from enhance_cli.pipeline.cluster.batches import AGAIN, Batches
from enhance_cli.types import Job


def jobs(count):
    return [Job(index, Path(f"{index}.jpg"), Path(f"out/{index}.jpg")) for index in range(count)]


def test_jobs_are_dealt_in_order_and_once():
    batches = Batches(jobs(5))
    assert [job.index for job in batches.take([], 3)] == [0, 1, 2]
    assert [job.index for job in batches.take([], 3)] == [3, 4]
    assert batches.empty
    assert batches.take([], 3) == []


def test_jobs_are_read_as_they_are_dealt():
    read = []
    batches = Batches(job for job in jobs(100) if read.append(job.index) is None)
    batches.take([], 2)
    assert not batches.empty
    assert len(read) <= 4


def test_the_batch_of_a_dead_worker_goes_to_one_that_has_nothing():
    batches = Batches(jobs(6))
    lost = batches.take([], 2)
    assert batches.lost(lost) == []
    busy = batches.take([], 2)
    assert busy == lost
    assert batches.take(busy, 2) == [], "what killed a worker may share a new one with its batch only"
    assert [job.index for job in batches.take([], 2)] == [2, 3]


def test_a_photo_that_kills_workers_costs_itself_only():
    """Every worker that has photo 3 dies."""
    batches, done, deaths, given_up = Batches(jobs(10)), [], 0, []
    while not batches.empty:
        batch = batches.take([], 4)
        if any(job.index == 3 for job in batch):
            deaths += 1
            given_up += batches.lost(batch)
        else:
            done += [job.index for job in batch]
    assert sorted(done) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert [job.index for job in given_up] == [3]
    assert deaths == AGAIN + 2


@given(st.integers(0, 30), st.sets(st.integers(0, 29), max_size=4), st.integers(1, 5))
def test_nothing_is_lost_whichever_photos_kill(count, poison, room):
    batches, done, given_up = Batches(jobs(count)), [], []
    while not batches.empty:
        batch = batches.take([], room)
        if any(job.index in poison for job in batch):
            given_up += batches.lost(batch)
        else:
            done += [job.index for job in batch]
    assert sorted(job.index for job in given_up) == sorted(number for number in poison if number < count)
    assert sorted(done) == [number for number in range(count) if number not in poison]
