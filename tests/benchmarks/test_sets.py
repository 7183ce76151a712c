"""The test sets, on a data folder made for the purpose."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.lib.sets import SETS, pairs, samples, stacks
from enhance_cli.errors import UsageError


def save(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((16, 16, 3), level, np.uint8))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    exposure = tmp_path / "test" / "exposure"
    for frame, level in (("e0", 20), ("e1_ref", 120), ("e2", 200), ("e3", 120)):
        save(exposure / "sice512" / f"sice_014_{frame}.png", level)
    (exposure / "sice512" / "index.csv").write_text("file\n")
    save(exposure / "sice512" / "sice_999_e0.png", 10)
    for frame, level in (("e0_ref", 60), ("e1", 100)):
        save(exposure / "brackets" / f"ssar_street_{frame}.jpg", level)
    for name in ("one", "two"):
        save(tmp_path / "test" / "paired_lowlight" / "low" / f"{name}.png", 9)
    save(tmp_path / "test" / "paired_lowlight" / "high" / "two.png", 90)
    save(tmp_path / "test" / "clean" / "good.png", 128)
    return tmp_path


def names(data: Path, name: str) -> list[tuple[str, str]]:
    return [(pair.input.name, pair.reference.name) for pair in pairs(data, name)]


def test_frames_fall_on_one_side_of_their_reference(data):
    assert names(data, "under") == [("sice_014_e0.png", "sice_014_e1_ref.png")]
    assert names(data, "over") == [
        ("sice_014_e2.png", "sice_014_e1_ref.png"),
        ("ssar_street_e1.jpg", "ssar_street_e0_ref.jpg"),
    ]


def test_pairs_share_their_names(data):
    assert names(data, "lol") == [("two.png", "two.png")]
    assert pairs(data, "lol")[0].name == "two"


def test_clean_pictures_are_their_own_reference(data):
    (pair,) = pairs(data, "clean")
    assert pair.input == pair.reference


def test_missing_parts_are_empty_sets(data, tmp_path):
    assert pairs(data, "fivek") == []
    assert all(samples(tmp_path / "nowhere", name) == [] for name in SETS if name != "two-tone")
    assert stacks(tmp_path / "nowhere") == []


def test_samples_are_spread_and_decoded(data):
    (sample,) = samples(data, "over", 1)
    assert sample.pixels.shape == sample.reference.shape == (16, 16, 3)
    assert len(samples(data, "two-tone")) == 18
    assert len(samples(data, "two-tone", 4)) == 4


def test_stacks_have_two_frames_beside_the_reference(data):
    ((name, reference, frames),) = stacks(data)
    assert (name, reference.name) == ("sice_014", "sice_014_e1_ref.png")
    (sample,) = samples(data, "stacks")
    assert (sample.pixels.mean(), sample.reference.mean(), len(sample.made)) == (20, 120, 3)
    assert [frame.name for frame in frames] == ["sice_014_e0.png", "sice_014_e2.png", "sice_014_e3.png"]


def test_unknown_sets_are_refused(data):
    with pytest.raises(UsageError, match="lol, under, over"):
        pairs(data, "lowlight")
