"""The test sets that every method is judged on.

A data folder holds `test/` with these parts (each may be missing; a set of missing parts is empty):

    lol        test/paired_lowlight/low against high, same file name
    under      every frame of a stack in test/exposure/sice512 and test/exposure/brackets that is darker (mean of
               all samples) than the stack's `_ref` frame, against that frame
    over       the frames that are brighter
    fivek      test/exposure/fivek/input against expertC, same file name
    clean      test/clean, good photos against themselves: an enhancer should do them no harm
    two-tone   two flat tones, which should stay flat (two_tone.py), drawn in two sizes
    backlit    photos of test/clean with one part in the shade (backlit.py), against the original photos
    clipped    the photos of `over` with at least a fiftieth clipped to white
    stacks     the stacks of `under` and `over` with at least two frames besides `_ref`
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.lib.backlit import backlit_pictures
from benchmarks.lib.program import spread
from benchmarks.lib.two_tone import two_tone_pictures
from enhance_cli.errors import UsageError
from enhance_cli.quality.pictures import PICTURE_SUFFIXES, Picture, read_rgb

PAIRED = ("lol", "under", "over", "fivek")
DATA = Path(os.environ.get("ENHANCE_BENCHMARK_DATA", Path(__file__).parents[2] / "data"))
"""Where tests look for photos that are not in the repository; they are skipped where there are none."""

SETS = (*PAIRED, "clean", "two-tone", "backlit", "clipped", "stacks")


class Pair(NamedTuple):
    """Paths of a photo to enhance and of what it should look like."""

    name: str
    """Unique within its set: the input's stem."""

    input: Path
    reference: Path


class Sample(NamedTuple):
    """A photo to enhance and what it should look like, decoded."""

    name: str
    pixels: Picture
    reference: Picture
    """The input itself where there is no other."""

    made: Any = None
    """Of `backlit` a `Backlit`, of `stacks` the frames."""


def samples(data: Path, name: str, photos: int | None = None) -> list[Sample]:
    """A set, decoded: at most `photos` of it, evenly spread.

    Raises:
        UsageError: there is no such set.
        PhotographError: a file cannot be read.
    """
    match name:
        case "two-tone":
            drawn = (*two_tone_pictures(), *two_tone_pictures(160, 240))
            return [Sample(one.name, one.pixels, one.pixels) for one in spread(drawn, photos)]
        case "backlit":
            clean = {sample.name: sample.pixels for sample in samples(data, "clean")}
            made = backlit_pictures(clean) if clean else []
            return [Sample(one.name, one.pixels, one.original, one) for one in spread(made, photos)]
        case "clipped":
            bright = (sample for sample in samples(data, "over") if clipped(sample.pixels).mean() >= 0.02)
            return spread(list(bright), photos)
        case "stacks":
            found = [
                (name, read_rgb(ref), list(map(read_rgb, rest))) for name, ref, rest in spread(stacks(data), photos)
            ]
            return [Sample(name, frames[0], reference, frames) for name, reference, frames in found]
        case _:
            files = spread(pairs(data, name), photos)
            return [Sample(pair.name, read_rgb(pair.input), read_rgb(pair.reference)) for pair in files]


def clipped(picture: Picture) -> Any:
    """Where a photo is clipped to white: H×W bools of 8-bit RGB."""
    return picture.min(axis=2) >= 250


def pairs(data: Path, name: str) -> list[Pair]:
    """The files of a set that has files, in order of their names.

    Raises:
        UsageError: there is no such set.
        PhotographError: a frame of a stack cannot be read.
    """
    test = data / "test"
    match name:
        case "lol":
            return _same_names(test / "paired_lowlight" / "low", test / "paired_lowlight" / "high")
        case "fivek":
            return _same_names(test / "exposure" / "fivek" / "input", test / "exposure" / "fivek" / "expertC")
        case "clean":
            return _same_names(test / "clean", test / "clean")
        case "under" | "over":
            return [pair for _, ref, frames in _stacks(data) for pair in _frames(ref, frames, name == "under")]
        case _:
            raise UsageError(f"The test sets are {', '.join(SETS)}, not {name!r}.")


def stacks(data: Path) -> list[tuple[str, Path, list[Path]]]:
    """Name, reference and at least two other frames of every stack that has as many."""
    return [stack for stack in _stacks(data) if len(stack[2]) >= 2]


def _same_names(inputs: Path, references: Path) -> list[Pair]:
    found = (Pair(path.stem, path, references / path.name) for path in _photos(inputs))
    return [pair for pair in found if pair.reference.is_file()]


def _stacks(data: Path) -> Iterator[tuple[str, Path, list[Path]]]:
    """Stacks `<stack>_e<k>` with one frame `<stack>_e<k>_ref`; those without it are left out."""
    for folder in (data / "test" / "exposure" / "sice512", data / "test" / "exposure" / "brackets"):
        found: dict[str, list[Path]] = {}
        for path in _photos(folder):
            found.setdefault(path.stem.rsplit("_e", 1)[0], []).append(path)
        for name, frames in found.items():
            references = [path for path in frames if path.stem.endswith("_ref")]
            if len(references) == 1:
                yield name, references[0], [path for path in frames if path not in references]


def _frames(reference: Path, frames: list[Path], darker: bool) -> Iterator[Pair]:
    wanted = float(read_rgb(reference).mean())
    for frame in frames:
        mean = float(read_rgb(frame).mean())
        if mean < wanted if darker else mean > wanted:
            yield Pair(frame.stem, frame, reference)


def _photos(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
