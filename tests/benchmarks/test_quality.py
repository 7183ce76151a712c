"""The benchmark of quality on photos made for the purpose; published figures of doing nothing and of plain CLAHE."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import quality
from benchmarks.lib.sets import DATA, SETS
from enhance_cli import methods
from enhance_cli.methods.cases import EVERYWHERE, Case, cases_of, options_of


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two dark pairs, two good photos and a stack of three."""
    rng = np.random.default_rng(0)
    gains = {"paired_lowlight/low/": 0.3, "paired_lowlight/high/": 1.0, "clean/": 1.0}
    stack = {"exposure/sice512/s_e0": 0.3, "exposure/sice512/s_e1_ref": 0.8, "exposure/sice512/s_e2": 2.0}
    for name, gain in [(f"{name}{i}", gain) for name, gain in gains.items() for i in range(2)] + list(stack.items()):
        pixels = cv2.resize(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), (96, 64)) * gain
        path = tmp_path / "data" / "test" / f"{name}.{'jpg' if 'sice' in name else 'png'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), pixels.clip(0, 255).astype(np.uint8))
    return tmp_path / "data"


def rows(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_baselines_are_judged_and_drawn(data, tmp_path, capsys):
    quality.main([str(data), "--methods", "--out", str(tmp_path / "sheets")])
    found = {(row["method"], row["set"]): row for row in rows(capsys)}
    nothing = found["input", "clean"]
    assert (nothing["ssim_matched"], nothing["unchanged"], nothing["hue"]) == (1.0, 2, 0.0)
    assert found["input", "two-tone"]["worst"] < 0.001
    assert found["input", "highlights"]["white_least"] >= 252.0
    assert found["input", "under"]["delta_e"] > 10.0
    assert found["input", "under"]["contrast"] < 0.9
    assert (found["input", "under-fused"]["photos"], found["input", "over-fused"]["photos"]) == (2, 1)
    assert found["input", "lol"]["psnr"] < 20
    assert found["OpenCV Mertens", "stacks"]["photos"] == 1
    assert {name for _, name in found} <= set(SETS)
    assert {path.stem for path in (tmp_path / "sheets").glob("*.png")} >= {"lol", "clean", "highlights", "stacks"}


def test_what_is_stored_of_a_commit_is_not_measured_again(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(quality.results, "origin", lambda: {"date": "2026-01-01", "commit": "abc", "machine": {}})
    store = tmp_path / "rows.jsonl"
    words = [str(data), "--methods", "--sets", "lol", "--store", str(store)]
    quality.main(words)
    first = rows(capsys)
    assert [json.loads(line)["commit"] for line in store.read_text().splitlines()] == ["abc"] * len(first)
    quality.main(words)
    assert rows(capsys) == []


def test_rows_are_read_as_json_or_text():
    name, case = quality.parsed("clahe-adaptive grid=4x6 strength=0.5 clip-limit=2")
    assert (name, case.name) == ("clahe-adaptive", "grid=4x6 strength=0.5 clip-limit=2")
    assert case.controls == {"grid": "4x6", "strength": 0.5, "clip_limit": 2}


@pytest.mark.parametrize("name", methods.names())
def test_cases_are_controls_that_the_method_has(name):
    cases = cases_of(name)
    assert len({case.name for case in cases}) == len(cases)
    for case in cases:
        seen = {"reference": np.zeros((16, 16, 3), np.uint8)} if case.sees_reference else {}
        assert methods.get(name).controls(**case.controls, **seen)
        assert set(case.sets) <= set(SETS)
    assert any(case.shown for case in cases)
    assert any(case.timed for case in cases)


def test_a_method_without_cases_has_one(monkeypatch):
    monkeypatch.setattr("enhance_cli.methods.cases.util.find_spec", lambda module: None)
    (case,) = cases_of("local")
    assert case == Case("", {"mask": "rect:0,0,100%,100%"}, EVERYWHERE, shown=True, timed=True)


def test_controls_become_options():
    assert options_of({"grid": "8x8", "white_balance": 0.0, "lock": False, "maps": True}) == [
        "--grid=8x8",
        "--white-balance=0.0",
        "--no-lock",
        "--maps",
    ]


PUBLISHED = {
    "lol": (13, (7.32, 0.190, 18.40, 0.520), (9.47, 0.434, 18.44, 0.537), (12.58, 0.303, 14.41, 0.344)),
    "under": (38, (12.38, 0.494, 20.33, 0.689), (14.31, 0.596, 18.09, 0.657), (11.27, 0.416, 12.72, 0.452)),
    "over": (24, (11.93, 0.679, 20.43, 0.795), (11.89, 0.607, 18.82, 0.754), (11.45, 0.442, 15.04, 0.541)),
}


@pytest.mark.data
@pytest.mark.skipif(not (DATA / "test").is_dir(), reason="the test photos are not here")
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_figures_come_out_to_the_printed_digit(name, capsys):
    quality.main([str(DATA), "--methods", "--sets", name])
    found = rows(capsys)
    count, *expected = PUBLISHED[name]
    for row, figures in zip(found[:3], expected, strict=True):
        assert row["photos"] == count
        printed = (
            f"{row['psnr']:.2f}",
            f"{row['ssim']:.3f}",
            f"{row['psnr_matched']:.2f}",
            f"{row['ssim_matched']:.3f}",
        )
        assert tuple(map(float, printed)) == figures
