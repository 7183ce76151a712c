"""Photos dealt out to several cards; torch on the CPU stands in for each."""

from __future__ import annotations

import cv2
import pytest

import enhance_cli
from enhance_cli.errors import PictureTooLarge
from enhance_cli.pipeline import assignment
from enhance_cli.pipeline.dealing import Dealer
from tests.commands import lines

pytest.importorskip("torch")


class _Engine:
    def __init__(self, device):
        self.device, self.closed = device, False

    def close(self, *, wait=True):
        self.closed = True


class _Recipe:
    def __init__(self, device):
        self.engine = _Engine(device)


def test_the_card_with_the_fewest_photos_gets_the_next():
    one, two = _Recipe("cuda:0"), _Recipe("cuda:1")
    dealer = Dealer([one, two])
    assert dealer.device == "cuda:0, cuda:1"
    with dealer.dealt() as first, dealer.dealt() as second:
        assert [first, second] == [one, two]
        assert dealer.latest is two
    with dealer.dealt() as third:
        assert third is one
    with dealer.dealt() as fourth:  # both are idle again, and the first has had one more
        assert fourth is two
    assert [dealer.part(recipe) for recipe in (one, two)] == [0, 1]
    dealer.close()
    assert one.engine.closed
    assert two.engine.closed


@pytest.fixture
def cards(monkeypatch):
    """Two cards that torch on the CPU stands in for."""
    from enhance_cli.engines.cuda import CudaEngine

    def opened(device, *, threads, weights, remark, **details):
        engine = CudaEngine("cpu", weights)
        engine.device = f"{device} (stand-in)"
        return engine

    monkeypatch.setattr(assignment, "open_engine", opened)


@pytest.fixture
def folder(tmp_path, night, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for number in range(6):
        cv2.imwrite(str(tmp_path / "in" / f"{number}.png"), night[: 64 + number, :96])


def test_the_report_says_which_card_did_a_photo(cards, folder):
    summary = enhance_cli.run("clahe-adaptive", ["in", "out"], device="cuda:0,cuda:1", clip_limit=2.0, jobs=1)
    assert summary.device == "cuda:0 (stand-in), cuda:1 (stand-in)"
    did = [line["device"] for line in lines()]
    assert did == ["cuda:0 (stand-in)", "cuda:1 (stand-in)"] * 3


def test_a_photo_that_fails_names_its_card_and_the_others_are_done(cards, folder, monkeypatch):
    from enhance_cli.pipeline import process

    decode = process.codecs.decode

    def refusing(data, *, source, **details):
        if source.endswith("3.png"):
            raise PictureTooLarge(f"{source} is too large for this test.")
        return decode(data, source=source, **details)

    monkeypatch.setattr(process.codecs, "decode", refusing)
    enhance_cli.run("clahe-adaptive", ["in", "out"], device="cuda:0,cuda:1", clip_limit=2.0, jobs=1)
    failed = [line for line in lines() if line["status"] == "failed"]
    assert [(line["source"], line["device"]) for line in failed] == [("in/3.png", "cuda:1 (stand-in)")]
    assert len([line for line in lines() if line["status"] == "done"]) == 5


@pytest.mark.parametrize(("given", "workers"), [({}, 3 + 2 * 2), ({"jobs": 2}, 2)])
def test_threads_that_wait_for_cards_are_not_counted_as_cores(cards, folder, night, monkeypatch, given, workers):
    from enhance_cli.engines import cpu
    from enhance_cli.pipeline import stream

    for number in range(6, 9):
        cv2.imwrite(f"in/{number}.png", night[: 64 + number, :96])
    asked, parallel = [], stream.parallel

    def seen(*arguments, workers, **details):
        asked.append(workers)
        return parallel(*arguments, workers=workers, **details)

    monkeypatch.setattr(stream, "parallel", seen)
    monkeypatch.setattr(cpu, "available_cores", lambda: 3)
    enhance_cli.run("clahe-adaptive", ["in", "out"], device="cuda:0,cuda:1", clip_limit=2.0, **given)
    assert asked == [workers]
