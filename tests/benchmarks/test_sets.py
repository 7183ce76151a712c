"""The test sets, on a data folder made for the purpose."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.lib import sets
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


def test_frames_are_held_against_their_whole_stack_fused(data):
    darker, brighter = samples(data, "under-fused"), samples(data, "over-fused")
    assert [sample.name for sample in darker] == ["sice_014_e0"]
    assert [sample.name for sample in brighter] == ["sice_014_e1_ref", "sice_014_e2", "sice_014_e3"]
    assert 20 < darker[0].reference.mean() < 200
    assert np.array_equal(darker[0].reference, brighter[0].reference)


def test_frames_with_deep_shade_beside_light(data):
    half = np.full((16, 16, 3), 200, np.uint8)
    half[:8] = 20
    for frame, pixels in enumerate((half, half // 2 + 60, half // 2 + 120)):
        cv2.imwrite(str(data / "test" / "exposure" / "brackets" / f"gate_e{frame}.png"), pixels)
    assert [sample.name for sample in samples(data, "shade")] == ["gate_e0"]


def test_highlights_are_the_photos_and_the_most_clipped_frame_of_each_stack(data):
    half = np.full((16, 16, 3), 100, np.uint8)
    half[:8] = 255
    folder = data / "test" / "exposure_error_unpaired"
    save(folder / "dark.png", 40)
    cv2.imwrite(str(folder / "bright.png"), half)
    for frame, pixels in (("e4", half), ("e5", half + 100)):
        cv2.imwrite(str(data / "test" / "exposure" / "sice512" / f"sice_014_{frame}.png"), pixels)
    assert [sample.name for sample in samples(data, "highlights")] == ["bright", "sice_014_e4"]


def test_boxes_become_masks(data, tmp_path, monkeypatch):
    monkeypatch.setattr(sets, "MARKS", tmp_path / "marks.json")
    sets.MARKS.write_text('{"skin": {"good": [[0, 0.5, 0.25, 1], [0.5, 0, 1, 0.25]]}}')
    (sample,) = samples(data, "skin")
    assert sample.made.sum() == 4 * 8 + 8 * 4
    assert sample.made[15, 0]
    assert not sample.made[0, 0]


def test_portraits_come_dark_with_their_masks(data):
    save(data / "portraits" / "image" / "a.jpg", 180)
    save(data / "portraits" / "image" / "without.jpg", 180)
    save(data / "portraits" / "mask" / "a.png", 255)
    (sample,) = samples(data, "portraits")
    assert sample.made.shape == (16, 16)
    assert sample.pixels.mean() < 0.6 * sample.reference.mean()


def test_unknown_sets_are_refused(data):
    with pytest.raises(UsageError, match="lol, under, over"):
        pairs(data, "lowlight")
