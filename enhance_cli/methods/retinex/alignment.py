"""Checks whether the frames of a stack are aligned; misalignment is reported, not corrected.

Frames differ by stops, and parts of each are clipped. So the comparison uses how much lighter or darker than its
surroundings a pixel is, on a log scale squashed to about -1..1: exposure cancels out, clipped areas are flat.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from enhance_cli.imaging.area import area_means

if TYPE_CHECKING:
    from enhance_cli.types import Array, Image

_SIDE = 1024
"""Maximum long side of the downscaled copies that are compared if crops at full resolution are inconclusive."""

_PARTS, _PART = 3, 512
"""For a large image, 3×3 crops of 512×512 pixels are compared first: small shifts vanish in a downscaled copy."""

_AGREEING = 4
"""Number of crops that must agree."""

_LEAST = 64
"""Shorter side of a copy below which its quarters are too small to compare."""

_FLAT = 0.03
"""Standard deviation of ln of light below which a crop counts as flat; about one grey level in the mid-tones."""

_TOLD = 1.2
"""Shift in pixels from which a note is made: one pixel, and the error of the estimate of about a fifth of a pixel."""


def frame_notes(frames: Sequence[Image]) -> tuple[str, ...]:
    """A note for each frame that is not aligned with the first, or has another colour profile.

    Args:
        frames: RGB, of one size and depth.
    """
    names = [Path(frame.metadata.source).name or f"frame {place}" for place, frame in enumerate(frames, start=1)]
    notes = []
    step = -(-max(frames[0].height, frames[0].width) // _SIDE)
    parts = _parts(frames[0].pixels) if step > 1 else []
    first = _relief(frames[0].pixels, step)
    for frame, name in zip(frames[1:], names[1:], strict=True):
        shift = _agreed(list(map(_correlated, parts, _parts(frame.pixels)))) if parts else None
        if shift is None and first is not None:
            shift = _shift(first, _relief(frame.pixels, step))
            shift = None if shift is None else (shift[0] * step, shift[1] * step)
        if shift is not None and np.hypot(*shift) > _TOLD:
            notes.append(f"frame {name} lies {_told(*shift)} of {names[0]}; fused as it is")
        if frame.metadata.icc != frames[0].metadata.icc:
            notes.append(f"frame {name} has another colour profile than {names[0]}; fused as it is")
    return tuple(notes)


def _told(across: float, down: float) -> str:
    parts = [
        (abs(round(across)), "right" if across > 0 else "left"),
        (abs(round(down)), "down" if down > 0 else "up"),
    ]
    (count, way), *others = [part for part in parts if part[0]]
    return f"about {count} pixel{'s' * (count > 1)} {way}" + "".join(f" and {more} {where}" for more, where in others)


def _parts(pixels: Array) -> list[Array]:
    """The reliefs of crops at full resolution, spread over an image that is larger than they are."""
    side = min(_PART, *pixels.shape[:2])
    tops, lefts = (np.linspace(0, length - side, _PARTS).astype(int) for length in pixels.shape[:2])
    found = (_relief(pixels[top : top + side, left : left + side], 1) for top in tops for left in lefts)
    return [relief for relief in found if relief is not None]


def _agreed(shifts: list[tuple[float, float]]) -> tuple[float, float] | None:
    """The shift on which most crops agree, if enough of them do."""
    near = [[other for other in shifts if np.hypot(other[0] - x, other[1] - y) < 0.35] for x, y in shifts]
    most = max(near, key=len, default=[])
    return (
        (float(np.mean([x for x, _ in most])), float(np.mean([y for _, y in most]))) if len(most) >= _AGREEING else None
    )


def _relief(pixels: Array, step: int) -> Array | None:
    """float32 h×w in -1..1, of means over `step`×`step` pixels; None of an image that is too small."""
    rows, columns = pixels.shape[0] // step, pixels.shape[1] // step
    if min(rows, columns) < _LEAST:
        return None
    red, green, blue = area_means(pixels[: rows * step, : columns * step], rows, columns)
    level = np.log(0.299 * red + 0.587 * green + 0.114 * blue + np.float32(0.02))
    level -= cv2.GaussianBlur(level, (0, 0), 6.0)
    deviation = np.sqrt(cv2.GaussianBlur(np.square(level), (0, 0), 12.0))
    relief: Array = np.tanh(level / (deviation + np.float32(_FLAT)))
    return relief


def _shift(one: Array, two: Array | None) -> tuple[float, float] | None:
    """Columns and rows by which `two` is shifted right and down from `one`; None if its quarters do not agree."""
    assert two is not None
    height, width = one.shape
    whole = _correlated(one, two)
    halves = [(slice(0, size // 2), slice(size // 2, size)) for size in (height, width)]
    quarters = [_correlated(one[y, x], two[y, x]) for y in halves[0] for x in halves[1]]
    allowed = 0.35 + 0.1 * float(np.hypot(*whole))
    agreeing = [part for part in quarters if np.hypot(part[0] - whole[0], part[1] - whole[1]) < allowed]
    return whole if len(agreeing) >= 3 else None


def _correlated(one: Array, two: Array) -> tuple[float, float]:
    one, two = np.ascontiguousarray(one), np.ascontiguousarray(two)
    window = cv2.createHanningWindow(one.shape[::-1], cv2.CV_32F)
    (across, down), _ = cv2.phaseCorrelate(one, two, window)
    return float(across), float(down)
