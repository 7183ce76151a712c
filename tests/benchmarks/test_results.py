"""Stored rows and the tables made of them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from benchmarks.lib import program, results, tables, timing


def test_rows_are_stored_with_their_origin_and_rounded(tmp_path, capsys):
    store = tmp_path / "new" / "rows.jsonl"
    results.report({"part": "sets", "figure": 1 / 3, "none": math.inf, "many": (np.float32(2.0), [True])}, store)
    (stored,) = results.read(store)
    assert {name: stored[name] for name in ("figure", "none", "many")} == {
        "figure": 0.3333333,
        "none": None,
        "many": [2.0, [True]],
    }
    assert set(stored) >= {"date", "commit", "machine"}
    assert stored["machine"]["cores"] >= 1
    assert "commit" not in json.loads(capsys.readouterr().out)


def test_of_equal_rows_the_last_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    for figure, case in ((1, "a"), (2, "b"), (3, "a")):
        results.report({"part": "sets", "method": "gain", "case": case, "figure": figure}, tmp_path / "quality.jsonl")
    assert [row["figure"] for row in results.latest("quality").values()] == [3, 2]


@pytest.mark.parametrize("path", sorted(results.FOLDER.glob("*.jsonl")), ids=lambda path: path.name)
def test_stored_rows_say_when_and_where(path):
    rows = list(results.read(path))
    assert rows
    for row in rows:
        assert set(row) >= {"part", "date", "commit", "machine"}
        assert ("method" in row) != (row["part"] == "memory")
        assert set(row["machine"]) == {"cpu", "cores"}


def test_a_table_names_every_origin_once():
    row = {"date": "2026-01-02", "commit": "abc", "machine": {"cpu": "Z80", "cores": 1}}
    older = {"date": "2025-01-02", "commit": None, "machine": {"cpu": None, "cores": 2}}
    text = tables.table(["", "x"], [["a", "1"], ["b", "2"]], [row, row, older])
    assert text.splitlines()[:3] == ["|  | x |", "|---|---|", "| a | 1 |"]
    assert text.endswith("*Measured 2026-01-02 (Z80, 1 cores, commit abc); 2025-01-02 (2 cores).*")
    assert tables.table(["", "x"], [], []) == "*Not measured yet.*"


def test_items_are_spread_evenly():
    assert program.spread(range(10), 4) == [0, 3, 6, 9]
    assert program.spread(range(3), 7) == program.spread(range(3), None) == [0, 1, 2]
    assert program.spread([], 2) == []


def test_time_is_taken_in_turn_and_the_first_round_left_out():
    calls = []
    found = timing.in_turn({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2)
    assert calls == ["a", "b"] * 3
    assert {name: len(values) for name, values in found.items()} == {"a": 2, "b": 2}
    assert set(timing.warm(lambda: calls.append("c"), 3)) == {"seconds", "least", "processor"}
    assert calls.count("c") == 4
