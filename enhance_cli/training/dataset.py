"""Loads folders of photos into memory: decoded and resized once, in a stable order.

Degradation and selection are up to a method's recipe. No torch here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from enhance_cli.errors import UsageError

Codes = NDArray[np.uint8]
Item = TypeVar("Item")

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True)
class Pair:
    """Two aligned photos of one scene: a degraded one and its target."""

    name: str
    degraded: Codes
    reference: Codes


def photograph_paths(folder: Path) -> list[Path]:
    """The photos directly in a folder, sorted by name, so that every machine sees the same order.

    Raises:
        UsageError: the folder is absent or holds no photo.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; give the folder that holds the training photos.")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise UsageError(f"{folder} holds no photos ({', '.join(sorted(SUFFIXES))}).")
    return found


def read_rgb(path: Path, long_side: int | None = None) -> Codes:
    """Decode one photo to H×W×3 uint8 RGB, shrunk by area means until its long side fits.

    Raises:
        UsageError: the file cannot be decoded.
    """
    swapped = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if swapped is None:
        raise UsageError(f"{path} cannot be decoded; take it out of the training folder.")
    height, width = swapped.shape[:2]
    if long_side is not None and max(height, width) > long_side:
        scale = long_side / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        swapped = cv2.resize(swapped, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(swapped[..., ::-1])


def luma_of(rgb: Codes) -> Codes:
    """BT.601 luma in fixed point (see `clahe_adaptive.kernels_cuda.luma`): H×W uint8."""
    red, green, blue = (rgb[..., channel].astype(np.int32) for channel in range(3))
    return ((red * 4899 + green * 9617 + blue * 1868 + 8192) >> 14).astype(np.uint8)


def read_photographs(folder: Path, long_side: int, luma: bool = False) -> dict[str, Codes]:
    """All photos of a folder by stem, as RGB or luma."""
    pictures = {path.stem: read_rgb(path, long_side) for path in photograph_paths(folder)}
    return {stem: luma_of(rgb) for stem, rgb in pictures.items()} if luma else pictures


def read_pairs(low: Path, high: Path, long_side: int, luma: bool = False) -> list[Pair]:
    """Pairs of two folders with equal stems; files without a partner are left out."""
    degraded, references = read_photographs(low, long_side, luma), read_photographs(high, long_side, luma)
    shared = sorted(degraded.keys() & references.keys())
    return [Pair(stem, degraded[stem], references[stem]) for stem in shared]


def read_stacks(folder: Path, long_side: int, luma: bool = False) -> list[Pair]:
    """Exposure stacks named `<stack>_e<k>` with one `<stack>_e<k>_ref`: each other frame against its `_ref`."""
    frames = read_photographs(folder, long_side, luma)
    references = {stem.rsplit("_", 2)[0]: stem for stem in frames if stem.endswith("_ref")}
    pairs = []
    for stem, frame in frames.items():
        stack = stem.rsplit("_", 1)[0]
        if not stem.endswith("_ref") and stack in references:
            pairs.append(Pair(stem, frame, frames[references[stack]]))
    return pairs


@dataclass(frozen=True, slots=True)
class Sources:
    """The photos of a training folder, laid out as docs/training.md says; a kind that is absent is empty."""

    lowlight: Sequence[Pair]
    """`paired_lowlight/low` against `paired_lowlight/high`."""

    stacks: Sequence[Pair]
    """`exposure/sice512`, see `read_stacks`."""

    clean: Mapping[str, Codes]
    """`clean` by stem; if none of the three exists, the photos of the folder itself."""

    @classmethod
    def read(cls, data: Path, long_side: int, luma: bool = False) -> Sources:
        """Read what exists.

        Raises:
            UsageError: there are no photos, or one cannot be decoded.
        """
        paired, sice, clean = data / "paired_lowlight", data / "exposure" / "sice512", data / "clean"
        lowlight = read_pairs(paired / "low", paired / "high", long_side, luma) if (paired / "low").is_dir() else []
        stacks = read_stacks(sice, long_side, luma) if sice.is_dir() else []
        if clean.is_dir():
            return cls(lowlight, stacks, read_photographs(clean, long_side, luma))
        return cls(lowlight, stacks, {} if lowlight or stacks else read_photographs(data, long_side, luma))


def scene_of(stem: str) -> str:
    """The scene of a photo: the common name of a stack's frames, or the stem of a single photo."""
    return stem.rsplit("_e", 1)[0]


def put_aside(items: Sequence[Item], every: int, scene: Callable[[Item], str]) -> tuple[list[Item], list[Item]]:
    """Split into training and held-out items: all items of every n-th scene, in sorted order, are held out.

    Of fewer than n scenes the last one is held out, unless it is the only one. Frames of one stack stay together: a
    network that saw one of them has seen the scene.
    """
    scenes = sorted({scene(item) for item in items})
    aside = set(scenes[every - 1 :: every] or scenes[1:][-1:])
    return [item for item in items if scene(item) not in aside], [item for item in items if scene(item) in aside]


def put_pairs_aside(pairs: Sequence[Pair], every: int) -> tuple[list[Pair], list[Pair]]:
    """`put_aside` by the scenes of pairs."""
    return put_aside(pairs, every, lambda pair: scene_of(pair.name))


def by_exposure(pairs: Sequence[Pair]) -> dict[str, list[Pair]]:
    """Pairs whose faulty frame is darker than its reference, `under`, and the others, `over`."""
    found: dict[str, list[Pair]] = {"under": [], "over": []}
    for pair in pairs:
        found["under" if pair.degraded.mean() < pair.reference.mean() else "over"].append(pair)
    return found
