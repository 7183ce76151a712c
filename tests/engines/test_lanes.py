"""A stream for each photo in flight; the driver is a fake whose copies end only when they are waited for."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from enhance_cli.engines.cuda import CudaEngine  # noqa: E402
from enhance_cli.engines.lanes import Lanes  # noqa: E402
from enhance_cli.pipeline.card import IN_FLIGHT, Card  # noqa: E402
from tests import pictures  # noqa: E402
from tests.engines.test_one_trip import recipe_of  # noqa: E402

LONG = 60.0


class Driver:
    """As much of `torch.cuda` as lanes use, in a log: (what, stream)."""

    def __init__(self):
        self.log, self.streams, self._mine = [], [], threading.local()
        self._default = self._Stream(self, "default")

    class _Stream:
        def __init__(self, driver, name):
            self.driver, self.name, self.pending = driver, name, []

        def synchronize(self):
            self.driver.log.append(("wait", self.name))
            while self.pending:
                self.pending.pop(0)()

    def Stream(self, device):  # noqa: N802
        self.streams.append(self._Stream(self, len(self.streams)))
        return self.streams[-1]

    @contextmanager
    def stream(self, stream):
        before, self._mine.stream = self.current_stream(None), stream
        self.log.append(("begin", stream.name))
        try:
            yield
        finally:
            self._mine.stream = before
            self.log.append(("end", stream.name))

    def current_stream(self, device):
        return getattr(self._mine, "stream", self._default)

    def Event(self):  # noqa: N802
        driver = self

        class Event:
            def record(self, stream):
                self.stream, self.before = stream, len(stream.pending)

            def synchronize(self):
                driver.log.append(("event", self.stream.name))
                for _ in range(self.before):
                    self.stream.pending.pop(0)()

        return Event()


class Engine(CudaEngine):
    """The CUDA engine on the CPU, with the fake driver."""

    def __init__(self):
        self.driver = Late.driver = Driver()
        super().__init__("cpu")

    def _lanes_of(self, device):
        return Lanes(self.driver, device)

    def _pinned(self, size):
        return torch.full((size,), 77, dtype=torch.uint8).as_subclass(Late)

    def _space(self, size):
        return super()._space(size).as_subclass(Late)

    def _empty(self, like):
        return super()._empty(like).as_subclass(Late)

    def run(self, kernel, *arrays, **numbers):
        self.driver.log.append(("kernel", self.driver.current_stream(None).name))
        return super().run(kernel, *arrays, **numbers)


class Late(torch.Tensor):
    """A tensor whose copies to pinned memory end later, and that says which streams it is recorded on."""

    driver = None
    """Of the engine that was made last."""

    def copy_(self, source, non_blocking=False):
        if not non_blocking:
            return super().copy_(source)
        stream = self.driver.current_stream(None)
        self.driver.log.append(("down", stream.name))
        stream.pending.append(lambda: super(Late, self).copy_(source))
        return self

    def to(self, *arguments, non_blocking=False, **named):
        if non_blocking:
            self.driver.log.append(("up", self.driver.current_stream(None).name))
            return self.clone()
        return super().to(*arguments, **named)

    def numpy(self):
        return self.as_subclass(torch.Tensor).numpy()

    def record_stream(self, stream):
        self.driver.log.append(("record", stream.name))


def plus(values, number, out):
    out.copy_(values.to(torch.int32) + number)


def photo(engine, number, meet=lambda: None):
    """A photo that is added to, as its methods do it."""
    source, out = np.full((6, 5, 3), number, np.uint8), np.zeros((6, 5, 3), np.uint8)
    with engine.resident([source], written=[out]):
        meet()
        engine.into(out, plus, source, 10)
    yield out


def test_two_photos_in_flight_have_a_stream_each_from_the_copy_up_to_the_copy_down():
    engine, both, found = Engine(), threading.Barrier(2), {}
    card = Card(engine)

    def work(number):
        [found[number]] = card.flights(photo(engine, number, lambda: both.wait(LONG)))

    threads = [threading.Thread(target=work, args=[number]) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert (int(found[1].min()), int(found[1].max())) == (11, 11)
    assert (int(found[2].min()), int(found[2].max())) == (12, 12)
    log = engine.driver.log
    for stream in (0, 1):
        mine = [what for what, name in log if name == stream and what != "record"]
        assert mine[:7] == ["begin", "up", "kernel", "down", "event", "wait", "end"]
    # The second one is copied up before the first one's kernel is waited for.
    assert max(log.index(("up", stream)) for stream in (0, 1)) < min(log.index(("event", stream)) for stream in (0, 1))
    assert not [entry for entry in log if entry[1] == "default"]


def test_streams_are_taken_again_and_are_no_more_than_photos_in_flight():
    engine = Engine()
    card = Card(engine)
    for number in range(5):
        [made] = card.flights(photo(engine, number))
        assert made[0, 0, 0] == number + 10
    assert len(engine.driver.streams) == 1
    gate, arrived = threading.Barrier(IN_FLIGHT), []

    def meet():
        arrived.append(1)
        if len(arrived) <= IN_FLIGHT:
            gate.wait(LONG)

    threads = [
        threading.Thread(target=lambda number=number: list(card.flights(photo(engine, number, meet))))
        for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert len(engine.driver.streams) == IN_FLIGHT


def test_a_result_is_not_read_before_its_copy_has_ended(monkeypatch):
    """The fake driver finds it out: without the wait, pinned memory holds what it held before."""
    monkeypatch.setattr(Lanes, "finish", lambda self: None)
    engine = Engine()
    [made] = Card(engine).flights(photo(engine, 1))
    assert int(made[0, 0, 0]) == 77


def test_pixels_that_stay_between_two_flights_are_complete_and_recorded_on_the_further_stream():
    engine = Engine()
    card, source = Card(engine), np.full((4, 4, 3), 5, np.uint8)

    def two_outputs():
        with engine.resident([source]):
            for number in (1, 2):
                out = np.zeros_like(source)
                with engine.resident(written=[out]):
                    engine.into(out, plus, source, number)
                yield out

    outputs = card.flights(two_outputs())
    assert next(outputs)[0, 0, 0] == 6
    log = engine.driver.log
    assert log[-2:] == [("wait", 0), ("end", 0)]
    with engine.flight():  # another photo has the stream now
        assert next(outputs)[0, 0, 0] == 7
        outputs.close()
    assert ("record", 1) in log[log.index(("begin", 1)) : log.index(("kernel", 1))]


def test_a_stream_is_waited_for_after_an_error_too():
    engine = Engine()

    def failing():
        source = np.zeros((4, 4, 3), np.uint8)
        with engine.resident([source]):
            raise ZeroDivisionError
        yield

    with pytest.raises(ZeroDivisionError):
        next(Card(engine).flights(failing()))
    assert engine.driver.log[-2:] == [("wait", 0), ("end", 0)]
    [made] = Card(engine).flights(photo(engine, 3))
    assert made[0, 0, 0] == 13
    assert len(engine.driver.streams) == 1


@pytest.mark.parametrize("name", ["clahe-adaptive", "retinex"])
def test_a_method_makes_the_same_with_copies_that_end_late(name):
    image = pictures.dark(150, 200)
    from enhance_cli.types import Image

    engine = Engine()
    expected = recipe_of(CudaEngine("cpu"), name, {}).enhance(Image(image)).image.pixels
    recipe = recipe_of(engine, name, {})
    # Weights, which all streams share, are there before any of them can use them.
    assert engine.driver.log
    assert set(engine.driver.log) == {("event", "default")}
    assert np.array_equal(recipe.enhance(Image(image)).image.pixels, expected)
    assert {stream for what, stream in engine.driver.log if what in ("up", "down", "kernel")} == {0}
