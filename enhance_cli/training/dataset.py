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

FEWEST_FRAMES = 3
"""A stack of fewer exposures is not fused: with two, parts may be well exposed in neither."""

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True)
class Pair:
    """Two aligned photos of one scene: a degraded one and its target."""

    name: str
    degraded: Codes
    reference: Codes
    fused: Codes | None = None
    """A second target, for a frame of a stack that was fused: the fused stack, lit in the shade and with its sky."""


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


def read_stacks(folder: Path, long_side: int, luma: bool = False, fuse: bool = False) -> list[Pair]:
    """Exposure stacks of frames `<stack>_e<k>`, the best exposed one `<stack>_e<k>_ref`: each other frame against it.

    Args:
        folder: with the frames of all stacks.
        long_side: to which they are shrunk.
        luma: read luma instead of RGB.
        fuse: also fuse every stack of `FEWEST_FRAMES` or more, as `Pair.fused`. Then `_ref` frames are paired as well,
            and a stack without one has the fused stack as its only reference.

    Raises:
        UsageError: there are no photos, one cannot be decoded, or frames that are to be fused differ in size.
    """
    frames = read_photographs(folder, long_side, luma and not fuse)
    stacks: dict[str, list[str]] = {}
    for stem in frames:
        stacks.setdefault(scene_of(stem), []).append(stem)
    pairs = []
    for stack, stems in stacks.items():
        reference = next((stem for stem in stems if stem.endswith("_ref")), None)
        fused = None
        if fuse and len(stems) >= FEWEST_FRAMES:
            if len({frames[stem].shape for stem in stems}) > 1:
                raise UsageError(
                    f"The frames of {folder / stack} differ in size; crop them to one, or take them out of the folder."
                )
            fused = fused_stack([frames[stem] for stem in stems])
        if fuse and luma:
            fused = None if fused is None else luma_of(fused)
            frames |= {stem: luma_of(frames[stem]) for stem in stems}
        target = frames[reference] if reference is not None else fused
        for stem in stems:
            if target is not None and (stem != reference or fused is not None):
                pairs.append(Pair(stem, frames[stem], target, fused))
    return sorted(pairs, key=lambda pair: pair.name)


def fused_stack(frames: Sequence[Codes]) -> Codes:
    """Aligned exposures of one scene fused by contrast, saturation and exposedness, all with weight 1.

    Mertens, Kautz, van Reeth, "Exposure fusion", 2007, by OpenCV. Frames are sorted by brightness first, since the
    rounding depends on their order; and one thread works, since several add up in an order that varies.

    Args:
        frames: H×W×3 RGB uint8, of one size.

    Returns:
        H×W×3 RGB uint8.
    """
    ordered = sorted(frames, key=lambda frame: float(frame.mean()))
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        merging = cv2.createMergeMertens(1.0, 1.0, 1.0)
        merged = merging.process([np.ascontiguousarray(one[..., ::-1]) for one in ordered])
    finally:
        cv2.setNumThreads(threads)
    return np.ascontiguousarray(np.rint(np.clip(merged, 0.0, 1.0) * 255.0).astype(np.uint8)[..., ::-1])


@dataclass(frozen=True, slots=True)
class Sources:
    """The photos of a training folder, laid out as docs/training.md says; a kind that is absent is empty."""

    lowlight: Sequence[Pair]
    """`paired_lowlight/low` against `paired_lowlight/high`."""

    stacks: Sequence[Pair]
    """`exposure/sice512`, see `read_stacks`."""

    clean: Mapping[str, Codes]
    """`clean` by stem; if none of the three exists, the photos of the folder itself."""

    def only(self, scenes: Callable[[str], bool]) -> Sources:
        """Those whose scene (`scene_of`, `place_of` of dark pairs, the stem of clean photos) is wanted."""
        return Sources(
            [pair for pair in self.lowlight if scenes(place_of(pair.name))],
            [pair for pair in self.stacks if scenes(scene_of(pair.name))],
            {stem: photo for stem, photo in self.clean.items() if scenes(stem)},
        )

    @classmethod
    def read(cls, data: Path, long_side: int, luma: bool = False, fuse: bool = False) -> Sources:
        """Read what exists; `fuse` also fuses the stacks (`read_stacks`).

        Raises:
            UsageError: there are no photos, or one cannot be decoded.
        """
        paired, sice, clean = data / "paired_lowlight", data / "exposure" / "sice512", data / "clean"
        lowlight = read_pairs(paired / "low", paired / "high", long_side, luma) if (paired / "low").is_dir() else []
        stacks = read_stacks(sice, long_side, luma, fuse) if sice.is_dir() else []
        if clean.is_dir():
            return cls(lowlight, stacks, read_photographs(clean, long_side, luma))
        return cls(lowlight, stacks, {} if lowlight or stacks else read_photographs(data, long_side, luma))


def scene_of(stem: str) -> str:
    """The scene of a photo: the common name of a stack's frames, or the stem of a single photo."""
    return stem.rsplit("_e", 1)[0]


def place_of(name: str) -> str:
    """A key shared by ten consecutive numbers of numbered dark pairs, which often show one place."""
    stem, _, number = name.rpartition("_")
    return f"{stem}_{int(number) // 10}" if number.isdecimal() else name


def put_aside(items: Sequence[Item], every: int, scene: Callable[[Item], str]) -> tuple[list[Item], list[Item]]:
    """Split into training and held-out items: all items of every n-th scene, in sorted order, are held out.

    Of fewer than n scenes the last one is held out, unless it is the only one. Frames of one stack stay together: a
    network that saw one of them has seen the scene.
    """
    scenes = sorted({scene(item) for item in items})
    aside = set(scenes[every - 1 :: every] or scenes[1:][-1:])
    return [item for item in items if scene(item) not in aside], [item for item in items if scene(item) in aside]


def put_pairs_aside(pairs: Sequence[Pair], every: int) -> tuple[list[Pair], list[Pair]]:
    """`put_aside` for pairs, by their scenes."""
    return put_aside(pairs, every, lambda pair: scene_of(pair.name))


def by_exposure(pairs: Sequence[Pair]) -> dict[str, list[Pair]]:
    """Pairs whose faulty frame is darker than its reference, `under`, and the others, `over`."""
    found: dict[str, list[Pair]] = {"under": [], "over": []}
    for pair in pairs:
        found["under" if pair.degraded.mean() < pair.reference.mean() else "over"].append(pair)
    return found
