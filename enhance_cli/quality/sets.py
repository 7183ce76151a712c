"""The test sets of photographs that every method is judged on, as pairs of an input and its reference.

A data folder holds `test/` with these parts (each may be missing; a set of missing parts is empty):

    lol     test/paired_lowlight/low against high, same file name
    under   every frame of a stack in test/exposure/sice512 and test/exposure/brackets that is darker (mean of
            all samples) than the stack's `_ref` frame, against that frame
    over    the frames that are brighter
    fivek   test/exposure/fivek/input against expertC, same file name
    clean   test/clean, good photographs against themselves: an enhancer should do them no harm
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from enhance_cli.errors import UsageError
from enhance_cli.quality.pictures import Picture, read_rgb

SETS = ("lol", "under", "over", "fivek", "clean")
PICTURE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"))


class Pair(NamedTuple):
    """One photograph to enhance and what it should look like."""

    name: str
    """Unique within its set: the input's stem."""

    input: Path
    reference: Path


def pairs(data: Path, name: str, read: Callable[[Path], Picture] = read_rgb) -> list[Pair]:
    """The pairs of one set, in order of their names.

    Args:
        data: the data folder.
        name: one of `SETS`.
        read: decodes a file to an array, for the brightness of the frames of `under` and `over`.

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
            stacks = (test / "exposure" / "sice512", test / "exposure" / "brackets")
            darker = name == "under"
            return [pair for folder in stacks for pair in _frames(folder, darker, read)]
        case _:
            raise UsageError(f"The test sets are {', '.join(SETS)}, not {name!r}.")


def _same_names(inputs: Path, references: Path) -> list[Pair]:
    found = (Pair(path.stem, path, references / path.name) for path in _pictures(inputs))
    return [pair for pair in found if pair.reference.is_file()]


def _frames(folder: Path, darker: bool, read: Callable[[Path], Picture]) -> list[Pair]:
    """The frames `<stack>_e<k>` on one side of their stack's `<stack>_e<k>_ref`; stacks without one are left out."""
    stacks: dict[str, list[Path]] = {}
    for path in _pictures(folder):
        stacks.setdefault(path.stem.rsplit("_e", 1)[0], []).append(path)
    found = []
    for frames in stacks.values():
        reference = next((path for path in frames if path.stem.endswith("_ref")), None)
        if reference is None:
            continue
        wanted = float(read(reference).mean())
        for frame in frames:
            mean = float(read(frame).mean())
            if frame != reference and (mean < wanted if darker else mean > wanted):
                found.append(Pair(frame.stem, frame, reference))
    return found


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
