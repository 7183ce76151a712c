"""Many at once: order, failures as values, bytes bounded."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from enhance_cli.engines import abandon
from enhance_cli.engines.cpu import CpuEngine
from enhance_cli.pipeline import stream as module
from enhance_cli.pipeline.holding import LARGEST_TWICE, held_bytes
from enhance_cli.pipeline.stream import ByteBudget, parallel

LONG = 60.0
"""Seconds that a thread waits only if nothing wakes it."""


def run(items, work, **details):
    details.setdefault("workers", 3)
    details.setdefault("budget", ByteBudget(100))
    return list(parallel(items, work, lambda item, error: ("failed", item, str(error)), **details))


@pytest.mark.parametrize("workers", [1, 3])
def test_every_item_once(workers):
    assert sorted(run(range(50), lambda item, admit: item * 2, workers=workers)) == [item * 2 for item in range(50)]


def test_order_on_request():
    passed = threading.Event()

    def overtaken_first(item, admit):
        if item == 0:
            assert passed.wait(LONG)
        if item == 1:
            passed.set()
        return item

    assert run(range(20), overtaken_first, ordered=True) == list(range(20))


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
    """And are used: three at a time, as many as fit, meet here and go on together."""
    inside, peaks, three = [], [], threading.Barrier(3)

    def work(item, admit):
        admit(30)
        inside.append(item)
        peaks.append(len(inside))
        three.wait(LONG)
        inside.remove(item)
        return item

    assert sorted(run(range(30), work, workers=8, budget=ByteBudget(100))) == list(range(30))
    assert max(peaks) == 3


def test_what_is_larger_than_the_budget_is_admitted_alone():
    inside, beside = [], []

    def work(item, admit):
        admit(1000 if item == 5 else 10)
        inside.append(item)
        time.sleep(0.002)  # time to meet
        if 5 in inside:
            beside.append(list(inside))
        inside.remove(item)
        return item

    assert sorted(run(range(12), work, budget=ByteBudget(50))) == list(range(12))
    assert beside == [[5]]


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
    budget, let_go, early, asking = ByteBudget(100), threading.Event(), [], threading.Event()

    def work(item, admit):
        if item > 0:
            asking.set()
        admit(60)
        if item > 0 and not let_go.is_set():
            early.append(item)
        return item

    stream = parallel(
        range(6), work, lambda item, error: -1, workers=2, budget=budget, ordered=True, keep_admitted=True
    )
    assert next(stream) == 0
    assert asking.wait(LONG)
    time.sleep(0.05)  # time to be admitted
    let_go.set()
    assert list(stream) == [1, 2, 3, 4, 5]
    assert early == []
    whole = threading.Thread(target=budget.queue(), args=(100,), daemon=True)
    whole.start()
    whole.join(LONG)
    assert not whole.is_alive()  # all memory is available again


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


def test_a_closed_stream_leaves_a_long_call_behind_and_nothing_is_placed_after(monkeypatch):
    placed, ended, begun, over = [], threading.Event(), threading.Event(), threading.Event()
    monkeypatch.setattr(module, "PATIENCE", 0.1)

    def work(item, admit):
        if item == 0:
            return begun.wait(LONG)
        begun.set()
        over.wait(LONG)  # a library's call, which looks at nothing
        try:
            with abandon.current().placing():
                placed.append(item)
        finally:
            ended.set()

    stream = parallel(range(2), work, lambda item, error: -1, workers=2, budget=ByteBudget(100))
    assert next(stream) is True
    stream.close()
    assert not ended.is_set()
    over.set()
    assert ended.wait(LONG)
    assert placed == []


def test_a_closed_stream_waits_for_what_is_being_placed(monkeypatch):
    began, placed = threading.Event(), []
    monkeypatch.setattr(module, "PATIENCE", LONG)

    def work(item, admit):
        if item == 0:
            began.wait(LONG)
            return item
        with abandon.current().placing():
            began.set()
            while not abandon.current().asked:
                time.sleep(0.001)
            time.sleep(0.1)  # time to go on without it
            placed.append(item)
        return item

    stream = parallel(range(2), work, lambda item, error: -1, workers=2, budget=ByteBudget(100))
    next(stream)
    stream.close()
    assert placed == [1]


def test_who_waits_for_room_hears_of_the_stop(monkeypatch):
    """Results that are held keep their memory, so unless they are notified these workers would wait forever."""
    two, heard = threading.Barrier(3), []

    def work(item, admit):
        if item > 0:
            two.wait(LONG)
        try:
            admit(60)
        except abandon.Abandoned:
            heard.append(item)
            raise
        return item

    stream = parallel(range(3), work, lambda item, error: -1, workers=3, budget=ByteBudget(100), keep_admitted=True)
    assert next(stream) == 0
    two.wait(LONG)
    monkeypatch.setattr(module, "PATIENCE", LONG)
    stream.close()
    assert sorted(heard) == [1, 2]


@pytest.mark.parametrize("threads", [1, 3])
def test_an_engine_begins_no_further_part_of_abandoned_work(threads):
    engine, stop, begun, asked = CpuEngine(threads), abandon.Stop(), [], threading.Event()

    def part(item):
        begun.append(item)
        if item == 2:
            stop.ask(0.0)
            asked.set()
        elif item > 2:
            asked.wait(LONG)

    with abandon.working_for(stop), pytest.raises(abandon.Abandoned):
        engine.map(part, range(50))
    assert 3 <= len(begun) <= 2 + threads
    engine.map(part, range(5))  # of nobody's run: nothing stops it
    engine.close()
