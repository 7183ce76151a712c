"""The benchmark, and the published figures of doing nothing and of plain CLAHE reproduced to the printed digit."""

from __future__ import annotations

import importlib.util
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.lib.sets import pairs

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_of_quality", ROOT / "benchmarks" / "quality.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


PEERS = """# Peers

Some text | with a bar.

| method | lol (2 pairs) | under (1 frame) |
|---|---|---|
| input (nothing done) | 1.00/0.100 · 2.00/0.200 | 3.00/0.300 · 4.00/0.400 |
| Somebody (unsup.) | 5.00/0.500 · 6.00/0.600 | 7.00/0.700 · 8.00/0.800 |
"""


@pytest.fixture
def small_data(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for folder, gain in (("paired_lowlight/low", 0.3), ("paired_lowlight/high", 1.0), ("clean", 1.0)):
        for index in range(2):
            pixels = cv2.resize(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), (96, 64)) * gain
            path = tmp_path / "data" / "test" / folder / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), pixels.astype(np.uint8))
    (tmp_path / "data" / "PEERS.md").write_text(PEERS, encoding="utf-8")
    return tmp_path / "data"


def test_tables_show_our_rows_and_the_peers(benchmark, small_data, tmp_path, capsys):
    benchmark.main([str(small_data), "--methods", "--sets", "lol", "clean", "--out", str(tmp_path / "sheets")])
    printed = capsys.readouterr().out
    assert "## lol (2 pictures)" in printed
    assert "PEERS.md: 1.00/0.100 · 2.00/0.200" in printed
    assert "Somebody (unsup.)" in printed
    assert "## clean: output against input" in printed
    sheet = cv2.imread(str(tmp_path / "sheets" / "lol.png"))
    assert sheet.shape[1] == 4 * benchmark.CELL_WIDTH  # input, two CLAHEs, reference


def test_json_document(benchmark, small_data, capsys):
    benchmark.main([str(small_data), "--methods", "--sets", "lol", "clean", "--two-tone", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert document["sets"]["lol"]["pictures"] == 2
    assert document["sets"]["lol"]["peers"]["Somebody (unsup.)"] == "5.00/0.500 · 6.00/0.600"
    assert document["clean"]["input (nothing done)"]["ssim_mean_matched"] == pytest.approx(1.0)
    assert document["two_tone"]["input (nothing done)"]["worst"] < 0.001


def test_rows_are_read_as_json_or_text(benchmark):
    assert benchmark._parse_row("clahe-adaptive grid=4x6 strength=0.5 clip-limit=2") == (
        "clahe-adaptive",
        "grid=4x6 strength=0.5 clip-limit=2",
        {"grid": "4x6", "strength": 0.5, "clip_limit": 2},
    )


PUBLISHED = {
    "lol": ("7.32/0.190 · 18.40/0.520", "9.47/0.434 · 18.44/0.537", "12.58/0.303 · 14.41/0.344"),
    "under": ("12.38/0.494 · 20.33/0.689", "14.31/0.596 · 18.09/0.657", "11.27/0.416 · 12.72/0.452"),
    "over": ("11.93/0.679 · 20.43/0.795", "11.89/0.607 · 18.82/0.754", "11.45/0.442 · 15.04/0.541"),
}
SIZES = {"lol": 13, "under": 38, "over": 24}


@pytest.mark.data
@pytest.mark.skipif(not (DATA / "PEERS.md").is_file(), reason="the shared photographs are not here")
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_figures_come_out_to_the_printed_digit(benchmark, name):
    found = pairs(DATA, name)
    assert len(found) == SIZES[name]
    with ThreadPoolExecutor(2) as pool:
        figures = benchmark.measure_set(found, benchmark.BASELINES, pool)
    labels = [row.label for row in benchmark.BASELINES]
    assert {label: str(figures[label]) for label in labels} == dict(zip(labels, PUBLISHED[name], strict=True))
    peers = benchmark.read_peers(DATA / "PEERS.md")[name]
    assert {label: peers[label] for label in labels} == dict(zip(labels, PUBLISHED[name], strict=True))
