"""Many at once: order, failures as values, bytes bounded."""

from __future__ import annotations

import threading
import time

import pytest

from enhance_cli.pipeline.photograph import decoded_bytes
from enhance_cli.pipeline.stream import ByteBudget, parallel


def run(items, work, **details):
    details.setdefault("workers", 3)
    details.setdefault("budget", ByteBudget(100))
    return list(parallel(items, work, lambda item, error: ("failed", item, str(error)), **details))


@pytest.mark.parametrize("workers", [1, 3])
def test_every_item_once(workers):
    assert sorted(run(range(50), lambda item, admit: item * 2, workers=workers)) == [item * 2 for item in range(50)]


def test_order_on_request():
    def slow_first(item, admit):
        time.sleep(0.02 if item == 0 else 0)
        return item

    assert run(range(20), slow_first, ordered=True) == list(range(20))


@pytest.mark.parametrize("workers", [1, 3])
def test_a_failure_is_a_value_and_the_rest_goes_on(workers):
    def work(item, admit):
        admit(40)
        if item % 3 == 0:
            raise ValueError(f"no {item}")
        return item

    results = run(range(9), work, workers=workers)
    assert ("failed", 3, "no 3") in results
    assert len(results) == 9


def test_admitted_bytes_stay_within_the_budget():
    held, peak, lock = [0], [0], threading.Lock()

    def work(item, admit):
        admit(30)
        with lock:
            held[0] += 30
            peak[0] = max(peak[0], held[0])
        time.sleep(0.002)
        with lock:
            held[0] -= 30
        return item

    run(range(30), work, workers=8, budget=ByteBudget(100))
    assert 30 <= peak[0] <= 100


def test_what_is_larger_than_the_budget_is_admitted_alone():
    alone = []

    def work(item, admit):
        admit(1000 if item == 5 else 10)
        if item == 5:
            alone.append(True)
        return item

    assert len(run(range(12), work, budget=ByteBudget(50))) == 12
    assert alone == [True]


def test_items_are_read_lazily():
    read = []

    def items():
        for item in range(1000):
            read.append(item)
            yield item

    stream = parallel(items(), lambda item, admit: item, lambda item, error: -1, workers=2, budget=ByteBudget(10))
    next(stream)
    assert len(read) < 20
    stream.close()


def test_kept_results_hold_their_room():
    budget = ByteBudget(100)

    def work(item, admit):
        admit(60)
        return item

    stream = parallel(
        range(6), work, lambda item, error: -1, workers=2, budget=budget, ordered=True, keep_admitted=True
    )
    assert next(stream) == 0
    time.sleep(0.05)
    assert budget._used == 60  # the second waits until the first result is let go
    assert list(stream) == [1, 2, 3, 4, 5]
    assert budget._used == 0


@pytest.mark.parametrize(("depth", "further", "bytes_of_a_pixel"), [(8, 0, 6), (16, 0, 12), (8, 2, 12), (16, 2, 24)])
def test_pictures_are_counted_at_their_depth_and_with_their_frames(depth, further, bytes_of_a_pixel):
    assert decoded_bytes(10, 20, depth, further) == 200 * bytes_of_a_pixel
