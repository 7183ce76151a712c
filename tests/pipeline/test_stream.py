"""Many at once: order, failures as values, bytes bounded."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from enhance_cli.engines import abandon
from enhance_cli.engines.cpu import CpuEngine
from enhance_cli.pipeline.holding import LARGEST_TWICE, held_bytes
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


def test_a_signal_that_does_not_wake_the_main_thread_is_heard():
    """As one that comes while it is about to wait: it stopped the run when its photo was done."""

    class Heard(Exception):
        pass

    def hear(number, frame):
        raise Heard

    def work(item, admit):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])  # the one thread to receive it
        time.sleep(0.3)  # the main one waits by now
        os.kill(os.getpid(), signal.SIGUSR1)
        until = time.monotonic() + 5
        while time.monotonic() < until:
            abandon.check()
            time.sleep(0.01)

    before = signal.signal(signal.SIGUSR1, hear)
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    started = time.monotonic()
    try:
        with pytest.raises(Heard):
            run([0], work, workers=1)
        assert time.monotonic() - started < 4
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        signal.signal(signal.SIGUSR1, before)


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
    assert held_bytes(10, 20, depth, further=further) == 200 * bytes_of_a_pixel


@pytest.mark.parametrize(
    ("details", "bytes_of_a_pixel"),
    [
        ({}, 3),  # rendered in place
        ({"halo": 24}, 3),
        ({"halo": 24, "blended": True}, 6),
        ({"planes": True}, 4.5),
        ({"jpeg": False}, 8),
        ({"halo": 1, "method": 2 * 10**8}, 5),
    ],
)
def test_a_large_picture_is_counted_once_with_what_its_decoder_and_its_method_hold(details, bytes_of_a_pixel):
    assert LARGEST_TWICE < 3 * 10**8
    assert held_bytes(10_000, 10_000, 8, **details) == 10**8 * bytes_of_a_pixel


# --- stopping ----------------------------------------------------------------------------------------------


def test_a_closed_stream_leaves_a_long_call_behind_and_nothing_is_placed_after():
    placed, over = [], threading.Event()

    def work(item, admit):
        if item == 0:
            return item
        over.wait(10)  # a library's call, which looks at nothing
        with abandon.current().placing():
            placed.append(item)
        return item

    stream = parallel(range(9), work, lambda item, error: -1, workers=2, budget=ByteBudget(100))
    assert next(stream) == 0
    asked = time.monotonic()
    stream.close()
    assert time.monotonic() - asked < 1.9
    over.set()
    time.sleep(0.1)
    assert placed == []


def test_a_closed_stream_waits_for_what_is_being_placed():
    began, placed = threading.Event(), []

    def work(item, admit):
        if item == 0:
            began.wait(10)
            return item
        with abandon.current().placing():
            began.set()
            time.sleep(0.2)
            placed.append(item)
        return item

    stream = parallel(range(2), work, lambda item, error: -1, workers=2, budget=ByteBudget(100))
    next(stream)
    stream.close()
    assert placed == [1]


def test_who_waits_for_room_hears_of_the_stop():
    """Results that are held keep their room, so without a word these workers would wait for ever."""

    def work(item, admit):
        admit(60)
        return item

    stream = parallel(range(9), work, lambda item, error: -1, workers=3, budget=ByteBudget(100), keep_admitted=True)
    next(stream)
    asked = time.monotonic()
    stream.close()
    assert time.monotonic() - asked < 1.0


@pytest.mark.parametrize("threads", [1, 3])
def test_an_engine_begins_no_further_part_of_abandoned_work(threads):
    engine, stop, done = CpuEngine(threads), abandon.Stop(), []

    def part(item):
        done.append(item)
        if item == 2:
            stop.ask(0.0)
        time.sleep(0.01)

    with abandon.working_for(stop), pytest.raises(abandon.Abandoned):
        engine.map(part, range(50))
    assert len(done) < 10
    engine.map(part, range(5))  # of nobody's run: nothing stops it
    engine.close()
