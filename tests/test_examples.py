"""The examples run, as their first lines say, on generated images."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NUMBERED = sorted(path.name for path in EXAMPLES.glob("0*"))


@pytest.fixture
def photos(tmp_path: Path, night, gradient) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    cv2.imwrite(str(folder / "night.jpg"), night[..., ::-1])
    cv2.imwrite(str(folder / "gradient.png"), gradient[..., ::-1])
    return folder


def run(name: str, *arguments: object) -> str:
    """Run an example with this environment's `python` and `enhance`; its stdout."""
    program = "bash" if name.endswith(".sh") else sys.executable
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        [program, str(EXAMPLES / name), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_numbered_example_is_tested_and_short() -> None:
    tested = Path(__file__).read_text(encoding="utf-8")
    for name in NUMBERED:
        assert f'run("{name}"' in tested
        assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) <= 40


def test_one_photograph(photos: Path, tmp_path: Path) -> None:
    told = run("01_one_photograph.py", photos / "night.jpg", tmp_path / "out.png")
    assert "mean luma 0." in told
    before, after = cv2.imread(str(photos / "night.jpg")), cv2.imread(str(tmp_path / "out.png"))
    assert before.shape == after.shape
    assert not np.array_equal(before, after)


def test_many_photographs(photos: Path, tmp_path: Path) -> None:
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    told = run("02_many_photographs.py", photos, tmp_path / "out").splitlines()
    assert [line.split(":")[0] for line in told] == ["broken.jpg", "gradient.png", "night.jpg"]
    assert cv2.imread(str(tmp_path / "out" / "night.jpg")).shape == (120, 160, 3)


def test_pipe(photos: Path, tmp_path: Path) -> None:
    told = run("03_pipe.sh", photos / "night.jpg", tmp_path / "out.png")
    assert "global factor" in told
    assert cv2.imread(str(tmp_path / "out.png")).shape == (120, 160, 3)


def test_clip_map(tmp_path: Path) -> None:
    told = run("04_clip_map.py", EXAMPLES / "photos" / "rocket-dusk.jpg", tmp_path / "out").splitlines()
    assert int(told[0].split()[-3]) <= 1
    paths = [tmp_path / "out" / name / "rocket-dusk.png" for name in ("predicted", "edited")]
    pictures = [cv2.imread(str(path)) for path in paths]
    assert np.abs(pictures[0].astype(int) - pictures[1])[:10].max() > 1  # the top row of tiles was edited
    np.testing.assert_array_equal(pictures[0][150:], pictures[1][150:])  # the bottom row was not


def test_fuse(photos: Path, tmp_path: Path) -> None:
    night = cv2.imread(str(photos / "night.jpg"))
    for name, gain in (("dark", 0.5), ("bright", 4.0)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), cv2.convertScaleAbs(night, alpha=gain))
    told = run("05_fuse.py", tmp_path / "dark.png", photos / "night.jpg", tmp_path / "bright.png", tmp_path / "out.png")
    assert [line.split(":")[0] for line in told.splitlines()] == ["dark.png", "night.jpg", "bright.png"]
    assert cv2.imread(str(tmp_path / "out.png")).mean() > night.mean()


def test_lamp(photos: Path, tmp_path: Path) -> None:
    told = run("06_lamp.py", photos / "night.jpg", tmp_path / "out", 0.5, 0.6).splitlines()
    assert [line.split(":")[0] for line in told] == ["degree 0.8", "degree 1.2"]
    strong, weak = (cv2.imread(str(tmp_path / "out" / f"night_{degree}.png")) for degree in (0.8, 1.2))
    assert strong[72, 80].mean() > weak[72, 80].mean()
    np.testing.assert_array_equal(strong[:5, :5], weak[:5, :5])


def test_run(photos: Path, tmp_path: Path) -> None:
    told = run("07_run.py", photos, tmp_path / "out")
    assert told.startswith("2 done, 0 failed, 0 done before; report: ")
    assert "0 done, 0 failed, 2 done before" in run("07_run.py", photos, tmp_path / "out")
    assert (tmp_path / "out" / "night.jpg").exists()


def test_sheet(photos: Path, tmp_path: Path) -> None:
    run("sheet.py", "--enhance", photos, tmp_path / "sheet.png")
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[0] > 500


def test_the_photographs_are_listed_and_small() -> None:
    sources = (EXAMPLES / "photos" / "SOURCES.md").read_text(encoding="utf-8")
    photographs = [path for path in (EXAMPLES / "photos").iterdir() if path.suffix != ".md"]
    assert 4 <= len(photographs) <= 6
    for path in photographs:
        assert f"`{path.name}`" in sources
        assert path.stat().st_size <= 150 * 1024
