"""The test sets on which every method is measured.

A data folder holds `test/` with these parts (each may be missing; a set of missing parts is empty):

    lol          test/paired_lowlight/low against high, same file name
    under        every frame of a stack in test/exposure/sice512 and test/exposure/brackets that is darker (mean of
                 all samples) than the stack's `_ref` frame, against that frame
    over         the frames that are brighter
    fivek        test/exposure/fivek/input against expertC, same file name
    under-fused  every frame of a stack of three or more that is darker than all of its frames fused, against the fusion
    over-fused   the frames that are brighter
    clean        test/clean, good photos against themselves: an enhancer should do them no harm
    two-tone     two flat tones, which should stay flat (two_tone.py), drawn in two sizes
    shade        the frames of the fused stacks with deep shade beside bright parts (`quality.faults.shade`)
    highlights   20 photos with clipped areas: of test/exposure_error_unpaired, and the most clipped frame of stacks
    skin         photos with faces that marks.json marks with boxes (left, top, right, bottom as shares)
    empty-dark   night photos with areas that show nothing, marked there too
    portraits    portraits/image beside test, darkened by 2.5 stops, with the masks of portraits/mask
    stacks       the stacks of `under` and `over` with at least two frames besides `_ref`
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.lib.darkness import darkened
from benchmarks.lib.program import spread
from benchmarks.lib.two_tone import two_tone_pictures
from enhance_cli.errors import UsageError
from enhance_cli.methods.cases import PAIRED
from enhance_cli.quality import faults
from enhance_cli.quality.pictures import PICTURE_SUFFIXES, Picture, read_rgb
from enhance_cli.training.dataset import FEWEST_FRAMES, fused_stack
from enhance_cli.training.dataset import read_rgb as shrunk

DATA = Path(os.environ.get("ENHANCE_BENCHMARK_DATA", Path(__file__).parents[2] / "data"))
"""Where tests look for photos that are not in the repository; they are skipped where there are none."""

SETS = (*PAIRED, "clean", "two-tone", "shade", "highlights", "skin", "empty-dark", "portraits", "stacks")
MARKS = Path(__file__).with_name("marks.json")

HIGHLIGHTS, CLIPPED = 20, (0.01, 0.6)
"""Photos of `highlights`, and the least and the most of their area that is clipped."""


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
    """Of `stacks` the frames; of `skin`, `empty-dark` and `portraits` the mask, H×W."""


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
        case "under-fused" | "over-fused" | "shade":
            return spread([one for one in _fused(data) if _belongs(one, name)], photos)
        case "highlights":
            return spread(_highlights(data), photos)
        case "skin" | "empty-dark":
            marks = json.loads(MARKS.read_text(encoding="utf-8"))[name]
            found = [(path, marks[path.stem]) for path in _photos(data) if path.stem in marks]
            return [_marked(path, boxes) for path, boxes in spread(found, photos)]
        case "portraits":
            masks = {path.stem: path for path in _photos(data / "portraits" / "mask")}
            found = [path for path in _photos(data / "portraits" / "image") if path.stem in masks]
            return [_portrait(path, masks[path.stem]) for path in spread(found, photos)]
        case "stacks":
            found = [
                (name, read_rgb(ref), list(map(read_rgb, rest))) for name, ref, rest in spread(stacks(data), photos)
            ]
            return [Sample(name, frames[0], reference, frames) for name, reference, frames in found]
        case _:
            files = spread(pairs(data, name), photos)
            return [Sample(pair.name, read_rgb(pair.input), read_rgb(pair.reference)) for pair in files]


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
            return [pair for _, ref, frames in _with_reference(data) for pair in _frames(ref, frames, name == "under")]
        case _:
            raise UsageError(f"The test sets are {', '.join(SETS)}, not {name!r}.")


def stacks(data: Path) -> list[tuple[str, Path, list[Path]]]:
    """Name, reference and at least two other frames of every stack that has as many."""
    return [stack for stack in _with_reference(data) if len(stack[2]) >= 2]


def _same_names(inputs: Path, references: Path) -> list[Pair]:
    found = (Pair(path.stem, path, references / path.name) for path in _photos(inputs))
    return [pair for pair in found if pair.reference.is_file()]


def _stacks(data: Path) -> Iterator[tuple[str, list[Path]]]:
    """Frames `<stack>_e<k>` by stack."""
    for folder in (data / "test" / "exposure" / "sice512", data / "test" / "exposure" / "brackets"):
        found: dict[str, list[Path]] = {}
        for path in _photos(folder):
            found.setdefault(path.stem.rsplit("_e", 1)[0], []).append(path)
        yield from found.items()


def _with_reference(data: Path) -> Iterator[tuple[str, Path, list[Path]]]:
    """Stacks with one frame `<stack>_e<k>_ref`, and the other frames."""
    for name, frames in _stacks(data):
        references = [path for path in frames if path.stem.endswith("_ref")]
        if len(references) == 1:
            yield name, references[0], [path for path in frames if path not in references]


def _frames(reference: Path, frames: list[Path], darker: bool) -> Iterator[Pair]:
    wanted = float(read_rgb(reference).mean())
    for frame in frames:
        mean = float(read_rgb(frame).mean())
        if mean < wanted if darker else mean > wanted:
            yield Pair(frame.stem, frame, reference)


@cache
def _fused(data: Path) -> tuple[Sample, ...]:
    """Every frame of the stacks of three or more, against all of its stack's frames fused."""
    found = []
    for _, paths in _stacks(data):
        frames = [read_rgb(path) for path in paths]
        if len(frames) >= FEWEST_FRAMES:
            wanted = fused_stack(frames)
            found += [Sample(path.stem, frame, wanted) for path, frame in zip(paths, frames, strict=True)]
    return tuple(found)


def _belongs(sample: Sample, name: str) -> bool:
    if name == "shade":
        return faults.shade(sample.pixels, sample.pixels, sample.reference) is not None
    return (sample.pixels.mean() < sample.reference.mean()) == (name == "under-fused")


def _highlights(data: Path) -> list[Sample]:
    """The photos, then a frame of each stack, the more clipped first."""
    least, most = CLIPPED
    photos = [_read(path) for path in _photos(data / "test" / "exposure_error_unpaired")]
    found = [sample for sample in photos if _clipped(sample) >= least]
    seen: set[str] = set()
    for sample in sorted(samples(data, "over"), key=_clipped, reverse=True):
        stack = sample.name.rsplit("_e", 1)[0]
        if stack not in seen and least <= _clipped(sample) <= most:
            seen.add(stack)
            found.append(sample._replace(reference=sample.pixels))
    return found[:HIGHLIGHTS]


def _clipped(sample: Sample) -> float:
    return float((sample.pixels.min(axis=2) >= faults.CLIPPED).mean())


def _marked(path: Path, boxes: list[list[float]]) -> Sample:
    sample = _read(path)
    height, width = sample.pixels.shape[:2]
    inside = np.zeros((height, width), bool)
    for left, top, right, bottom in boxes:
        inside[round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = True
    return sample._replace(made=inside)


def _portrait(path: Path, mask: Path) -> Sample:
    pixels = read_rgb(path)
    return Sample(path.stem, darkened(pixels, 2.5, seed=path.stem), pixels, read_rgb(mask)[..., 0])


def _read(path: Path) -> Sample:
    """A photo without a reference, of at most 1024 pixels a side."""
    pixels = shrunk(path, 1024)
    return Sample(path.stem, pixels, pixels)


def _photos(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
