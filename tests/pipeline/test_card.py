"""Photos on a card: in flight, in tiles, and when memory runs out. torch on the CPU stands in for the card."""

from __future__ import annotations

import threading
from contextlib import nullcontext

import cv2
import numpy as np
import pytest

import enhance_cli
from enhance_cli import methods
from enhance_cli.engines import abandon
from enhance_cli.errors import OutOfCardMemory
from enhance_cli.imaging import colour
from enhance_cli.imaging.tiles import Tile, tiles
from enhance_cli.pipeline import assignment, card
from enhance_cli.pipeline.card import Card
from enhance_cli.pipeline.recipe import Recipe
from tests.commands import lines

torch = pytest.importorskip("torch")
LONG = 60.0


class _Engine:
    device, card_memory = "cuda:0 (stand-in)", 10**9

    def flight(self):
        return nullcontext()


def exhausted():
    return torch.OutOfMemoryError("CUDA out of memory.")


# --- in flight ---------------------------------------------------------------------------------------------


def test_no_more_photos_than_two_are_on_a_card_and_an_error_stays_with_its_photo():
    place, lock, now, most = Card(_Engine()), threading.Lock(), [0], [0]
    both = threading.Barrier(2)

    def work(number):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        if number < 2:
            both.wait(LONG)  # two are there at once
        with lock:
            now[0] -= 1
        if number == 1:
            raise ValueError("of one photo")
        yield number

    made, failed = [], []

    def photo(number):
        try:
            made.extend(place.flights(work(number)))
        except ValueError:
            failed.append(number)

    threads = [threading.Thread(target=photo, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert sorted(made) == [0, 2, 3, 4, 5]
    assert failed == [1]
    assert most == [2]


def test_a_photo_is_on_the_card_while_it_is_made_and_not_while_it_is_encoded():
    place = Card(_Engine())
    first = place.flights(iter([1, 2]))
    assert next(first) == 1
    assert list(place.flights(iter("ab"))) == ["a", "b"]  # the first one holds no place
    assert list(first) == [2]
    assert place._flying == 0


def test_who_waits_for_the_card_hears_of_a_stop():
    place, stop, heard = Card(_Engine()), abandon.Stop(), threading.Event()
    for _ in range(card.IN_FLIGHT):
        place._enter()

    def waiting():
        with abandon.working_for(stop):
            try:
                next(place.flights(iter([1])))
            except abandon.Abandoned:
                heard.set()

    thread = threading.Thread(target=waiting)
    thread.start()
    stop.ask(0.0)
    assert heard.wait(LONG)
    thread.join(LONG)
    assert place._flying == card.IN_FLIGHT


def test_two_photos_that_both_need_the_card_alone_get_it_in_turn():
    place, met, lock, alone = Card(_Engine()), threading.Barrier(2), threading.Lock(), [0]
    tries = {0: 0, 1: 0}

    def work(number):
        tries[number] += 1
        if tries[number] == 1:
            met.wait(LONG)
            raise exhausted()
        with lock:
            alone[0] += 1
            assert alone[0] == 1
        assert place._flying == 1
        with lock:
            alone[0] -= 1
        return number

    found = []

    def photo(number):
        found.extend(place.flights(iter_of(lambda: place.tried(lambda: work(number), "photo.jpg"))))

    threads = [threading.Thread(target=photo, args=[number]) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert sorted(found) == [0, 1]
    assert place._flying == 0


def iter_of(work):
    yield work()


# --- tiles -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("halo", [0, 8])
def test_halves_cover_a_tile_and_see_no_more_than_it(halo):
    for tile in tiles(90, 130, 64, 64, halo):
        one, two = card.halves(tile, halo)
        covered = np.zeros((90, 130), int)
        for part in (one, two):
            covered[part.inner] += 1
            outer = np.zeros((90, 130), bool)
            outer[part.outer] = True
            assert outer[part.inner].all()
            assert part.outer_top >= tile.outer_top
            assert part.outer_right <= tile.outer_right
            # The halo is whole on every side, or ends where the tile's does.
            assert part.outer_left == max(part.left - halo, tile.outer_left)
            assert part.outer_bottom == min(part.bottom + halo, tile.outer_bottom)
        expected = np.zeros((90, 130), int)
        expected[tile.inner] = 1
        assert np.array_equal(covered, expected)


def test_a_tile_is_halved_until_it_fits_and_the_photo_fails_when_nothing_does():
    place, done = Card(_Engine()), []

    def render(part):
        if (part.bottom - part.top) * (part.right - part.left) > 300 * 300:
            raise exhausted()
        done.append(part)

    whole = Tile(0, 0, 1000, 700, 0, 0, 1000, 700)
    place.by_parts(whole, 0, render, "photo.jpg")
    assert sum((part.bottom - part.top) * (part.right - part.left) for part in done) == 700_000

    def never(part):
        raise exhausted()

    place._enter()
    with pytest.raises(
        OutOfCardMemory, match=r"^photo\.jpg needs more memory than cuda:0 \(stand-in\) has free; close"
    ):
        place.by_parts(whole, 0, never, "photo.jpg")


def test_other_errors_are_not_taken_for_the_end_of_memory():
    def broken(part):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        Card(_Engine()).by_parts(Tile(0, 0, 9, 9, 0, 0, 9, 9), 0, broken, "photo.jpg")


# --- memory that runs out, at every call of the engine -----------------------------------------------------


class Running:
    """An engine of torch on the CPU whose memory runs out at chosen calls of kernels and networks."""

    def __init__(self, fails=lambda call: False, card_memory=None):
        from enhance_cli.engines.cuda import CudaEngine

        running, self.calls, self.written = self, 0, 0

        class Engine(CudaEngine):
            def run(self, *arguments, **numbers):
                running.call(fails)
                return super().run(*arguments, **numbers)

            def into(self, *arguments, **numbers):
                running.call(fails)
                running.written += 1
                return super().into(*arguments, **numbers)

            def numpy(self, result):  # what calls and networks give
                running.call(fails)
                return super().numpy(result)

        self.engine = Engine("cpu", card_memory=card_memory)

    def call(self, fails):
        self.calls += 1
        if fails(self.calls):
            raise exhausted()


def enhanced(name, image, running):
    method = methods.get(name)
    recipe = Recipe(running.engine, methods.open_enhancer(method, running.engine), method.controls(**CONTROLS[name]))
    return recipe.enhance(image).image.pixels


# The denoisers of clode and irle take seconds on a CPU, and reach the engine by the same calls.
CONTROLS = {
    "clahe-adaptive": {},
    "clode": {"time": 2.0, "denoise": 0.0},
    "irle": {"denoise": 0.0},
    "local": dict(methods.get("local").example),
    "retinex": {},
}


@pytest.fixture(scope="module")
def picture():
    rng = np.random.default_rng(5)
    return colour.from_array(
        cv2.resize(rng.integers(5, 90, (9, 12, 3), np.uint8), (270, 150), interpolation=cv2.INTER_CUBIC)
    )


@pytest.mark.parametrize("name", CONTROLS)
def test_memory_that_runs_out_once_anywhere_changes_no_byte(name, picture):
    whole = Running()
    expected = enhanced(name, picture, whole)
    assert whole.calls > 0
    chosen = sorted({1, whole.calls // 2 + 1, whole.calls})
    for call in chosen:
        assert np.array_equal(enhanced(name, picture, Running(lambda it, call=call: it == call)), expected), call


@pytest.mark.parametrize("name", CONTROLS)
def test_a_card_that_is_full_refuses_the_photo_in_a_sentence(name, picture):
    with pytest.raises(OutOfCardMemory, match="needs more memory than torch-cpu has free"):
        enhanced(name, picture, Running(lambda call: True))


@pytest.mark.parametrize("name", ["clahe-adaptive", "retinex"])
def test_a_photo_beyond_the_budget_is_done_in_tiles_to_the_same_bytes(name, picture):
    tall, whole, tiled = colour.from_array(np.tile(picture.pixels, (4, 1, 1))), Running(), Running(card_memory=1)
    expected = enhanced(name, tall, whole)
    assert np.array_equal(enhanced(name, tall, tiled), expected)
    assert tiled.written > whole.written


def test_a_photo_that_does_not_fit_is_a_failed_line_and_the_run_goes_on(tmp_path, night, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for number, size in enumerate((64, 96, 64)):
        cv2.imwrite(str(tmp_path / "in" / f"{number}.jpg"), night[:size, :96])
    running = Running()
    into = type(running.engine).into

    def full(self, out, *arguments, **numbers):
        if len(out) > 64:
            raise exhausted()
        return into(self, out, *arguments, **numbers)

    monkeypatch.setattr(type(running.engine), "into", full)
    monkeypatch.setattr(assignment, "open_engine", lambda *_, **details: running.engine)
    summary = enhance_cli.run("clahe-adaptive", ["in", "out"], clip_limit=2.0, jobs=2)
    assert (summary.done, summary.failed) == (2, 1)
    [failed] = [line for line in lines() if line["status"] == "failed"]
    assert failed["source"] == "in/1.jpg"
    assert failed["error"]["kind"] == "gpu-memory"
    assert failed["error"]["message"].startswith("in/1.jpg needs more memory than torch-cpu has free")
