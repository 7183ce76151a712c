"""Folders of photographs as arrays in memory: decoded once, shrunk once, in a stable order.

Nothing here degrades or chooses; a method's recipe does. No torch here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from enhance_cli.errors import UsageError

Codes = NDArray[np.uint8]

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True)
class Pair:
    """Two aligned photographs of one scene: a faulty one and the one to be approached."""

    name: str
    degraded: Codes
    reference: Codes


def photograph_paths(folder: Path) -> list[Path]:
    """The photographs directly in a folder, sorted by name, so that every machine sees the same order.

    Raises:
        UsageError: the folder is absent or holds no photograph.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; give the folder that holds the training photographs.")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise UsageError(f"{folder} holds no photographs ({', '.join(sorted(SUFFIXES))}).")
    return found


def read_rgb(path: Path, long_side: int | None = None) -> Codes:
    """Decode one photograph to H×W×3 uint8 RGB, shrunk by area means until its long side fits.

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
    """All photographs of a folder by stem, as RGB or luma."""
    pictures = {path.stem: read_rgb(path, long_side) for path in photograph_paths(folder)}
    return {stem: luma_of(rgb) for stem, rgb in pictures.items()} if luma else pictures


def read_pairs(low: Path, high: Path, long_side: int, luma: bool = False) -> list[Pair]:
    """Pairs of two folders whose stems agree; what has no partner is left out."""
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
