"""Folders of photos become arrays, in a stable order, with their partners."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from enhance_cli.errors import UsageError
from enhance_cli.training.dataset import (
    Pair,
    Sources,
    by_exposure,
    fused_stack,
    luma_of,
    photograph_paths,
    put_aside,
    put_pairs_aside,
    read_pairs,
    read_photographs,
    read_stacks,
)


def write(path: Path, value: int, size: tuple[int, int] = (20, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _, packed = cv2.imencode(".png", np.full((*size, 3), value, np.uint8))
    path.write_bytes(packed.tobytes())


def test_photographs_come_sorted_and_shrunk(tmp_path: Path) -> None:
    write(tmp_path / "b.png", 20, (100, 40))
    write(tmp_path / "a.PNG", 10)
    (tmp_path / "notes.txt").write_text("no image")
    pictures = read_photographs(tmp_path, long_side=50)
    assert list(pictures) == ["a", "b"]
    assert pictures["a"].shape == (20, 30, 3)
    assert pictures["b"].shape == (50, 20, 3)
    assert read_photographs(tmp_path, 50, luma=True)["b"].tolist() == np.full((50, 20), 20).tolist()


def test_pairs_and_stacks_find_their_partners(tmp_path: Path) -> None:
    for name in ("1", "2", "only-low"):
        write(tmp_path / "low" / f"{name}.png", 10)
    for name in ("1", "2", "only-high"):
        write(tmp_path / "high" / f"{name}.png", 200)
    pairs = read_pairs(tmp_path / "low", tmp_path / "high", 50, luma=True)
    assert [pair.name for pair in pairs] == ["1", "2"]
    assert pairs[0].degraded.max() == 10
    assert pairs[0].reference.min() == 200

    for name, value in (("s_7_e0", 30), ("s_7_e1_ref", 120), ("s_7_e2", 220), ("s_9_e0", 50)):
        write(tmp_path / "stack" / f"{name}.png", value)
    frames = read_stacks(tmp_path / "stack", 50, luma=True)
    assert [(frame.name, frame.reference.max()) for frame in frames] == [("s_7_e0", 120), ("s_7_e2", 120)]


def test_stacks_of_three_frames_or_more_are_fused_beside_their_reference(tmp_path: Path) -> None:
    for name, value in (("s_1_e0", 10), ("s_1_e2", 240), ("s_1_e1_ref", 100), ("s_2_e0", 30), ("s_2_e1_ref", 120)):
        write(tmp_path / f"{name}.png", value, (48, 64))
    for frame, value in enumerate((10, 100, 240)):
        write(tmp_path / f"own_e{frame}.png", value, (48, 64))
    pairs = {pair.name: pair for pair in read_stacks(tmp_path, 50, fuse=True)}
    assert list(pairs) == ["own_e0", "own_e1", "own_e2", "s_1_e0", "s_1_e1_ref", "s_1_e2", "s_2_e0"]
    fused = pairs["s_1_e0"].fused
    assert fused is not None
    assert fused.shape == (38, 50, 3)
    assert 80 < fused.mean() < 160  # the middle exposure is the best exposed
    assert pairs["s_1_e1_ref"].fused is fused
    assert pairs["s_1_e1_ref"].reference.max() == 100
    assert pairs["s_2_e0"].fused is None
    assert pairs["own_e0"].reference is pairs["own_e0"].fused
    grey = {pair.name: pair for pair in read_stacks(tmp_path, 50, luma=True, fuse=True)}
    assert np.abs(grey["s_1_e0"].fused.astype(int) - fused[..., 1]).max() <= 1
    assert grey["s_1_e0"].degraded.ndim == 2


def test_a_fused_stack_does_not_depend_on_the_order_of_its_frames() -> None:
    random = np.random.default_rng(0)
    scene = random.random((40, 50, 3))
    frames = [np.rint(255.0 * np.clip(scene * gain, 0.0, 1.0)).astype(np.uint8) for gain in (0.2, 0.8, 2.5)]
    fused = fused_stack(frames)
    np.testing.assert_array_equal(fused, fused_stack(frames[::-1]))
    dark = scene.mean(axis=2) < 0.3
    assert fused[dark].mean() > frames[0][dark].mean() + 20


def test_frames_of_different_sizes_are_not_fused(tmp_path: Path) -> None:
    for frame, size in enumerate(((20, 30), (20, 30), (30, 20))):
        write(tmp_path / f"a_e{frame}.png", 50, size)
    with pytest.raises(UsageError, match="a differ in size; crop them"):
        read_stacks(tmp_path, 50, fuse=True)


def test_what_is_absent_is_empty_and_a_plain_folder_counts_as_clean(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no photos"):
        Sources.read(tmp_path, 50)
    write(tmp_path / "a.png", 10)
    plain = Sources.read(tmp_path, 50)
    assert (plain.lowlight, plain.stacks, list(plain.clean)) == ([], [], ["a"])
    for folder in ("low", "high"):
        write(tmp_path / "paired_lowlight" / folder / "1.png", 10)
    paired = Sources.read(tmp_path, 50)
    assert ([pair.name for pair in paired.lowlight], list(paired.clean)) == (["1"], [])
    write(tmp_path / "clean" / "b.png", 10)
    assert list(Sources.read(tmp_path, 50).clean) == ["b"]


def test_frames_of_a_scene_are_held_out_together() -> None:
    dark, bright = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 200, np.uint8)
    pairs = [Pair(f"s_{scene}_e{frame}", dark, bright) for frame in range(3) for scene in range(5)]
    kept, aside = put_pairs_aside(pairs, every=2)
    assert {pair.name.split("_e")[0] for pair in aside} == {"s_1", "s_3"}
    assert len(aside) == 6
    assert sorted(pair.name for pair in kept + aside) == sorted(pair.name for pair in pairs)


def test_pairs_are_told_by_their_exposure() -> None:
    dark, bright = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 200, np.uint8)
    found = by_exposure([Pair("a", dark, bright), Pair("b", bright, dark), Pair("c", dark, dark)])
    assert {kind: [pair.name for pair in pairs] for kind, pairs in found.items()} == {
        "under": ["a"],
        "over": ["b", "c"],
    }


def test_luma_agrees_with_opencv() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (9, 9, 3)).astype(np.uint8)
    np.testing.assert_array_equal(luma_of(rgb), cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)[..., 0])


def test_failures_name_the_path(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a folder"):
        photograph_paths(tmp_path / "absent")
    with pytest.raises(UsageError, match="no photos"):
        photograph_paths(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(UsageError, match=r"broken\.png cannot be decoded"):
        read_photographs(tmp_path, 50)


@pytest.mark.parametrize(
    ("count", "held_out"), [(0, []), (1, []), (2, ["b"]), (7, ["g"]), (8, ["h"]), (17, ["h", "p"])]
)
def test_something_is_held_out_of_the_smallest_folders_too(count, held_out):
    names = list("abcdefghijklmnopq")[:count]
    kept, aside = put_aside(names, 8, lambda name: name)
    assert aside == held_out
    assert kept == [name for name in names if name not in held_out]


def test_a_stack_is_fused_alike_every_time(rng: np.random.Generator) -> None:
    """With several threads OpenCV adds up in an order that varies."""
    frames = [rng.integers(0, 256, (160, 160, 3), np.uint8) for _ in range(5)]
    threads = cv2.getNumThreads()
    cv2.setNumThreads(4)
    try:
        first = fused_stack(frames)
        assert all(np.array_equal(fused_stack(frames), first) for _ in range(8))
        assert cv2.getNumThreads() == 4
    finally:
        cv2.setNumThreads(threads)
