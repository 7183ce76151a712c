"""Exposures of one scene, that become one picture: which files belong together, and what they must have in common."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from enhance_cli.errors import UsageError
from enhance_cli.types import Image


class Stack(NamedTuple):
    """Sources that become one picture, in order, by their places in the list that was grouped."""

    frames: tuple[int, ...]
    relative: Path
    """What the picture is called below the output folder."""


def grouped(sources: Sequence[Path], relatives: Sequence[Path], rule: str | int) -> tuple[list[Stack], list[int]]:
    """Group the sources of a run into stacks.

    Args:
        sources: their paths, in the order of the run.
        relatives: what a picture made of each alone would be called below the output folder.
        rule: a number (as many in turn, within a folder), `folder` (what lies in one), `all`, or a regular
            expression that is searched in the names, without suffix: names whose groups are equal belong together.

    Returns:
        The stacks, and the places of sources that no stack took, because their names do not match.

    Raises:
        UsageError: a stack would have a single frame, or frames are left over.
    """
    if isinstance(rule, int):
        return _by_count(sources, relatives, rule), []
    if rule == "all":
        if not sources:
            return [], []
        return [_checked(sources, range(len(sources)), relatives[0], "the run")], []
    keys: dict[tuple[str, ...], list[int]] = {}
    unmatched = []
    for place, source in enumerate(sources):
        if rule == "folder":
            keys.setdefault((str(source.parent),), []).append(place)
        elif found := re.search(rule, source.stem):
            keys.setdefault((str(source.parent), *(part or "" for part in found.groups())), []).append(place)
        else:
            unmatched.append(place)
    stacks = []
    for key, places in keys.items():
        relative = relatives[places[0]]
        if rule == "folder":
            folder = Path(key[0]).resolve().name
            stacks.append(_checked(sources, places, _named(relative, folder, relative.parent.parent), key[0]))
        else:
            name = "_".join(part for part in key[1:] if part) or relative.stem
            stacks.append(_checked(sources, places, _named(relative, name, relative.parent), f"{rule} in {key[0]}"))
    return stacks, unmatched


def _by_count(sources: Sequence[Path], relatives: Sequence[Path], count: int) -> list[Stack]:
    folders: dict[Path, list[int]] = {}
    for place, source in enumerate(sources):
        folders.setdefault(source.parent, []).append(place)
    stacks = []
    for folder, places in folders.items():
        if len(places) % count:
            raise UsageError(
                f"--fuse {count}: {folder} holds {len(places)} pictures, and those are no whole number of stacks of "
                f"{count}; name the pictures, or group them by folder or by a pattern."
            )
        for first in range(0, len(places), count):
            stacks.append(Stack(tuple(places[first : first + count]), relatives[places[first]]))
    return stacks


def _checked(sources: Sequence[Path], places: Sequence[int], relative: Path, where: str) -> Stack:
    if len(places) < 2:
        raise UsageError(f"--fuse: {sources[places[0]]} is alone in its stack ({where}); a stack needs two exposures.")
    return Stack(tuple(places), relative)


def _named(relative: Path, name: str, folder: Path) -> Path:
    return folder / f"{name}{relative.suffix}"


def stacked(first: Image, frames: Sequence[Image]) -> Image:
    """The first exposure with the others beside it.

    Args:
        first: RGB.
        frames: the others, RGB.

    Raises:
        UsageError: sizes or depths differ.
    """
    for frame in frames:
        if frame.pixels.shape != first.pixels.shape or frame.pixels.dtype != first.pixels.dtype:
            raise UsageError(
                f"{_called(frame)} is {_layout(frame)} and the first exposure, {_called(first)}, {_layout(first)}; "
                "the frames of a stack must be alike, so crop or convert them first."
            )
    return first.replace(frames=tuple(frames))


def _called(image: Image) -> str:
    return image.metadata.source or "a frame"


def _layout(image: Image) -> str:
    return f"{image.width}x{image.height} at {8 * image.pixels.itemsize} bits"
