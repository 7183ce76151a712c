"""Every shell command of the tutorial, the how-tos and docs/adding-a-method.md runs, in order, from the folders that
the page starts from.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
HOW_TO = ROOT / "docs" / "how-to"
PHOTOS = sorted(path for path in (ROOT / "examples" / "photos").iterdir() if path.suffix != ".md")


def small(path: Path, width: int = 160) -> np.ndarray:
    """A photo of the examples, small."""
    photo = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return cv2.resize(photo, (width, round(width * photo.shape[0] / photo.shape[1])), interpolation=cv2.INTER_AREA)


def examples(folder: Path) -> None:
    target = folder / "examples" / "photos"
    target.mkdir(parents=True)
    for path in PHOTOS:
        cv2.imwrite(str(target / path.name), small(path))


def photos(folder: Path) -> None:
    target = folder / "photos"
    (target / "sub").mkdir(parents=True)
    for name, path in zip(("a", "b", "sub/c"), PHOTOS, strict=False):
        cv2.imwrite(str(target / f"{name}.jpg"), small(path))


def timelapse(folder: Path) -> None:
    (folder / "timelapse").mkdir()
    for number in (1, 2, 3):
        frame = cv2.convertScaleAbs(small(PHOTOS[2]), alpha=1 + number / 50)
        cv2.imwrite(str(folder / "timelapse" / f"{number:04}.jpg"), frame)


def brackets(folder: Path) -> None:
    (folder / "brackets").mkdir()
    for scene, path in (("a", PHOTOS[2]), ("b", PHOTOS[5])):
        for number, gain in ((1, 0.5), (2, 1.0), (3, 2.0)):
            frame = cv2.convertScaleAbs(small(path), alpha=gain)
            cv2.imwrite(str(folder / "brackets" / f"{scene}_{number}.jpg"), frame)


def portraits(folder: Path) -> None:
    (folder / "portraits").mkdir()
    (folder / "mattes").mkdir()
    for name in ("anna", "ben"):
        photo = small(PHOTOS[0])
        matte = np.zeros(photo.shape[:2], np.uint8)
        cv2.ellipse(matte, (80, 70), (35, 50), 0, 0, 360, 255, -1)
        cv2.imwrite(str(folder / "portraits" / f"{name}.jpg"), photo)
        cv2.imwrite(str(folder / "mattes" / f"{name}.png"), matte)


def shoot(folder: Path) -> None:
    """Photos, and a review in which nothing is decided."""
    photos(folder)
    review = {"schema": "enhance-review/1", "folder": str(folder / "enhanced"), "reports": [], "photos": []}
    (folder / "review.json").write_text(json.dumps(review), encoding="utf-8")


def clone(folder: Path) -> None:
    """A clone, whose weights a reader may replace, and photos to learn from."""
    for name in ("enhance_cli", "weights"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    photos(folder)
    (folder / "data" / "clean").mkdir(parents=True)
    for number, path in enumerate([*PHOTOS, *PHOTOS[:3]]):
        cv2.imwrite(str(folder / "data" / "clean" / f"{number}.jpg"), small(path)[:, :: -1 if number > 5 else 1])


PAGES: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "../tutorial": (examples, ("tour/times/china-underexposed_t3.jpg", "tour/lit.jpg", "tour/album/rocket-dusk.jpg")),
    "cron": (photos, ("enhanced/sub/c.jpg", "album/a.jpg")),
    "pipes": (photos, ("a.png", "enhanced/a.jpg", "lines/a.jpg")),
    "time-lapse": (timelapse, ("steady/0003.jpg", "steady-clode/0003.jpg")),
    "brackets": (brackets, ("fused/a_1.jpg", "fused/b_1.jpg", "by-name/b.jpg", "two.jpg")),
    "portraits": (portraits, ("lit/ben.jpg", "look/anna_show_mask.png", "glow/ben.jpg", "by-shape/ben.jpg")),
    "review": (shoot, ("enhanced/gallery/index.html", "tried/gallery/index.html")),
    "own-weights": (clone, ("runs/clahe_adaptive/validation.png", "enhanced/a.jpg")),
    "many-machines": (photos, ("enhanced/a.jpg", "enhanced/enhance-report.1-of-2.jsonl")),
}
"""By page, what it starts from, and some of what its commands make."""


def test_every_how_to_is_run_and_listed() -> None:
    pages = {path.stem for path in HOW_TO.glob("*.md")} - {"README"}
    assert pages == {name for name in PAGES if "/" not in name}
    listed = (HOW_TO / "README.md").read_text(encoding="utf-8")
    assert [name for name in sorted(pages) if f"({name}.md)" not in listed] == []


def run(page: Path, here: Path, tmp_path: Path) -> str:
    """Run all shell blocks of a page in a folder, with the package there or else this one; returns what they print."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```$", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "enhance").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m enhance_cli "$@"\n', encoding="utf-8")
    (programs / "enhance").chmod(0o755)
    # A link would lose the packages of a virtual environment.
    (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    (programs / "python").chmod(0o755)
    source = here if (here / "enhance_cli").exists() else ROOT
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(map(textwrap.dedent, blocks))],
        cwd=here,
        env={**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_of_a_page(name: str, tmp_path: Path) -> None:
    prepare, made = PAGES[name]
    here = tmp_path / "here"
    here.mkdir()
    prepare(here)
    run(HOW_TO / f"{name}.md", here, tmp_path)
    assert [path for path in made if not (here / path).is_file()] == []


def test_exit_codes_and_kinds_are_listed() -> None:
    from enhance_cli import errors

    page = (ROOT / "docs" / "exit-codes.md").read_text(encoding="utf-8")
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", page, flags=re.MULTILINE)}
    assert codes == {int(code) for code in errors.ExitCode}

    def below(kind: type) -> set[type]:
        return {kind}.union(*(below(child) for child in kind.__subclasses__()))

    kinds = {
        kind.kind
        for kind in below(errors.PhotographError) - {errors.PhotographError}
        if kind.__module__ == errors.__name__
    }
    assert {kind for kind in kinds if f"`{kind}`" not in page} == set()
    schema = json.loads((ROOT / "docs" / "report.schema.json").read_text(encoding="utf-8"))
    listed = schema["properties"]["error"]["oneOf"][1]["properties"]["kind"]["description"]
    assert kinds - set(re.split(r"[ ,.]+", listed)) == set()


def files_of(page: str) -> dict[str, str]:
    """The files that a page tells its reader to write, by path."""
    return dict(re.findall(r"^`([\w/.]+)`:\n\n```python\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL))


def test_two_methods_from_nothing(tmp_path: Path) -> None:
    """docs/adding-a-method.md, copied literally: two enhanced folders, trained weights, and nothing else changed."""
    page = ROOT / "docs" / "adding-a-method.md"
    here = tmp_path / "clone"
    here.mkdir()
    for name in ("enhance_cli", "weights"):
        shutil.copytree(ROOT / name, here / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".gitignore", here)
    photos(tmp_path)
    (tmp_path / "data" / "clean").mkdir(parents=True)
    for number, path in enumerate(PHOTOS[:3]):
        cv2.imwrite(str(tmp_path / "data" / "clean" / f"{number}.jpg"), small(path))
    who = ("-c", "user.name=A", "-c", "user.email=a@b.c")
    for words in (("init", "-q"), ("add", "-A"), (*who, "commit", "-q", "-m", "A clone")):
        subprocess.run(["git", *words], cwd=here, check=True)
    written = files_of(page.read_text(encoding="utf-8"))
    assert {Path(path).name for path in written} >= {
        "plan.py",
        "enhancer.py",
        "network.py",
        "kernels_cuda.py",
        "train.py",
    }
    for path, text in written.items():
        (here / path).parent.mkdir(parents=True, exist_ok=True)
        (here / path).write_text(text, encoding="utf-8")
    told = run(page, here, tmp_path)
    changed = {line.strip() for line in told.splitlines() if re.match(r" ?[?MADR]+ ", line)}
    assert changed == {"?? enhance_cli/methods/gain/", "?? enhance_cli/methods/gamma/", "?? weights/gamma/"}
    for made in ("gained/a.jpg", "corrected/a.jpg", "half/b.jpg"):
        assert (tmp_path / made).is_file()
    lines = [json.loads(line) for line in (tmp_path / "corrected" / "enhance-report.jsonl").read_text().splitlines()]
    assert {line["status"] for line in lines} == {"done"}
    assert {line["weights"]["id"] for line in lines} == {"gamma/estimator-1"}
    assert all(0.36 < line["plan"]["exponent"] < 2.72 for line in lines)
