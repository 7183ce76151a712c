"""Stacks of exposures of one scene that become one image: which files belong together, and how they must agree."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from enhance_cli.errors import UsageError
from enhance_cli.pipeline.names import natural
from enhance_cli.types import Image


class Stack(NamedTuple):
    """Sources that become one image, in order, as indices into the list that was grouped."""

    frames: tuple[int, ...]
    relative: Path
    """The path of the image below the output folder."""


def grouped(sources: Sequence[Path], relatives: Sequence[Path], rule: str | int) -> tuple[list[Stack], list[int]]:
    """Group the sources of a run into stacks.

    Args:
        sources: their paths, in the order of the run.
        relatives: the output path below the output folder that each would have on its own.
        rule: a number (as many in turn, within a folder), `folder` (what lies in one), `all`, or a regular
            expression that is searched in the names, without suffix: names whose groups are equal belong together,
            wherever they stand in the run.

    Frames keep the order in which they were given, unless that is plain text order, as a shell expands patterns: then
    numbers are sorted as numbers.

    Returns:
        The stacks, and the indices of sources in no stack because their names do not match.

    Raises:
        UsageError: a stack would have a single frame, or frames are left over.
    """
    if isinstance(rule, int):
        return _by_count(sources, relatives, rule), []
    if rule == "all":
        if not sources:
            return [], []
        places = _in_order(sources, range(len(sources)))
        return [_checked(sources, places, relatives[places[0]], "the run")], []
    keys: dict[tuple[str, ...], list[int]] = {}
    unmatched = []
    for place, source in enumerate(sources):
        if rule == "folder":
            keys.setdefault((_folder(source),), []).append(place)
        elif found := re.search(rule, source.stem):
            keys.setdefault((_folder(source), *(part or "" for part in found.groups())), []).append(place)
        else:
            unmatched.append(place)
    stacks = []
    for key, found_at in keys.items():
        places = _in_order(sources, found_at)
        relative, where = relatives[places[0]], sources[places[0]].parent
        if rule == "folder":
            folder = where.resolve().name
            stacks.append(_checked(sources, places, _named(relative, folder, relative.parent.parent), str(where)))
        else:
            name = "_".join(part for part in key[1:] if part) or relative.stem
            stacks.append(_checked(sources, places, _named(relative, name, relative.parent), f"{rule} in {where}"))
    return stacks, unmatched


def _by_count(sources: Sequence[Path], relatives: Sequence[Path], count: int) -> list[Stack]:
    folders: dict[str, list[int]] = {}
    for place, source in enumerate(sources):
        folders.setdefault(_folder(source), []).append(place)
    stacks = []
    for found_at in folders.values():
        places = _in_order(sources, found_at)
        if len(places) % count:
            raise UsageError(
                f"--fuse {count}: {sources[places[0]].parent} holds {len(places)} photos, which is not a whole "
                f"number of stacks of {count}; name the photos, or group them by folder or by a pattern."
            )
        for first in range(0, len(places), count):
            stacks.append(Stack(tuple(places[first : first + count]), relatives[places[first]]))
    return stacks


def _folder(source: Path) -> str:
    """A source's folder in a normalised spelling."""
    return os.path.realpath(source.parent)


def _in_order(sources: Sequence[Path], places: Iterable[int]) -> list[int]:
    """Frames as they were given; by number if they are in plain text order, as a shell expands a pattern."""
    given = list(places)
    names = [str(sources[place]) for place in given]
    if names in (sorted(names), sorted(names, key=str.casefold)):
        given.sort(key=lambda place: natural(str(sources[place])))
    return given


def _checked(sources: Sequence[Path], places: Sequence[int], relative: Path, where: str) -> Stack:
    if len(places) < 2:
        raise UsageError(f"--fuse: {sources[places[0]]} is alone in its stack ({where}); a stack needs two exposures.")
    return Stack(tuple(places), relative)


def _named(relative: Path, name: str, folder: Path) -> Path:
    return folder / f"{name}{relative.suffix}"


def stacked(first: Image, frames: Sequence[Image]) -> Image:
    """The first exposure with the others as its frames.

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
