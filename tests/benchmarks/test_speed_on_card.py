"""The benchmark of a card, from end to end on small pictures with torch on the CPU in its place."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from benchmarks import speed
from benchmarks.lib import timing
from tests import stand_in as program
from tests.engines.fake_cards import NEW, install
from tests.stand_in import stand_in

SMALL = ("--rounds", "1", "--cores", "1", "--sizes", "96x64", "--parity-side", "96", "--photos", "2")


def rows(capsys, *arguments):
    speed.main(["--device", "cuda:0", *SMALL, *arguments])
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_copies_stages_memory_and_parity_of_every_method(monkeypatch, capsys):
    stand_in(monkeypatch, NEW)
    found = rows(capsys, "--parts", "card-photo", "parity", "--methods", "clahe-adaptive", "retinex", "clode")
    by_part = {}
    for row in found:
        by_part.setdefault(row["part"], {})[row["method"], row["case"]] = row
    assert by_part["card-photo"].keys() == by_part["parity"].keys() > {("clode", "lite T=3"), ("clode", "full T=3")}
    for row in by_part["card-photo"].values():
        assert row["device"] == "cuda:0 (NVIDIA L4)"
        assert row["driver"] == "550.54.15"
        assert set(row["stages"]) == {"all", "decode", "encode", "estimate", "render"}
        assert 0.0 < row["transfers"]["share"] < 1.0
        assert (row["transfers"]["trips_up"], row["transfers"]["trips_down"]) == (1, 1)
        assert row["transfers"]["up_mb"] >= 96 * 64 * 1.5 / 1e6
        assert row["peak_mb"] is None  # torch counts nothing on the CPU
    for row in by_part["parity"].values():
        assert row["photos"] == 2
        assert row["largest"] <= 1
        assert row["psnr_least"] is None or row["psnr_least"] > 45.0


@pytest.mark.slow  # a dozen processes
def test_rates_are_beside_decoding_and_encoding_alone(monkeypatch, capsys):
    stand_in(monkeypatch, NEW)
    monkeypatch.setattr(timing, "ENHANCE", (sys.executable, str(Path(program.__file__))))
    few = ("--long", "2", "--short", "1", "--stream-size", "96x64")
    found = rows(capsys, "--parts", "card-stream", "--methods", "clahe-adaptive", *few)
    assert [(row["method"], row["size"]) for row in found] == [
        ("clahe-adaptive", "0.00614 MP"),
        ("simplejpeg", "0.00614 MP"),
    ]
    assert list(found[0]["ratios"]) == ["codec"]


@pytest.mark.parametrize("cards", [(), (NEW,)])
def test_without_a_card_that_can_be_used_one_sentence_says_so(monkeypatch, cards):
    install(monkeypatch, *cards, built=None)
    with pytest.raises(SystemExit) as ended:
        speed.main(["--device", "cuda:0"])
    said = str(ended.value)
    assert said.startswith("The device cuda:0")
    assert "built without CUDA" in said
    assert "\n" not in said


def test_parts_of_the_cpu_are_not_measured_on_a_card(capsys):
    with pytest.raises(SystemExit):
        speed.main(["--device", "cuda", "--parts", "startup"])
    assert "with --device cuda the parts are card-stream, card-photo, parity" in capsys.readouterr().err
