"""Random masks for training: the shapes that the command draws, of every size, and some that it does not.

The paper trains on circles alone (radius 2/7 of the shorter side). Ours are mixed, so that the networks generalise to
other masks. No torch here.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from enhance_cli.methods.local.masks import fall_off

Plane = NDArray[np.float32]

SHARES = {"circle": 0.35, "box": 0.2, "blob": 0.2, "full": 0.15, "empty": 0.1}
"""Share of each kind among the draws."""


def draw(random: np.random.Generator, side: int, kind: str | None = None) -> Plane:
    """A mask of 2×side×side: area A as 0 and 1, and the fall-off.

    The transition is 0.1 to 0.5 of the shape's own radius wide in half of the draws (among them the paper's 0.2 to
    0.25), and 0.03 to 0.12 of the side in the others.

    Args:
        random: the random generator.
        side: pixels.
        kind: one of `SHARES`; drawn when None.
    """
    kind = kind or str(random.choice(list(SHARES), p=list(SHARES.values())))
    if kind in ("full", "empty"):
        return np.full((2, side, side), float(kind == "full"), np.float32)
    inside = {"circle": _circle, "box": _box, "blob": _blob}[kind](random, side)
    if not inside.any() or inside.all():
        inside = _circle(random, side)
    radius = math.sqrt(float(inside.sum()) / math.pi)
    width = radius * random.uniform(0.1, 0.5) if random.random() < 0.5 else side * random.uniform(0.03, 0.12)
    cover = inside.astype(np.float32)
    return np.stack([cover, fall_off(cover, max(width, 1.0))])


def _grid(side: int) -> tuple[Plane, Plane]:
    y, x = np.mgrid[:side, :side].astype(np.float32) / np.float32(side)
    return y, x


def _circle(random: np.random.Generator, side: int) -> NDArray[np.bool_]:
    y, x = _grid(side)
    radius = random.uniform(0.12, 0.4)
    # The centre is inside the image, so that at least a quarter of the disc is.
    at = random.uniform(0.05, 0.95, 2)
    return np.asarray(np.hypot(y - at[0], x - at[1]) < radius, np.bool_)


def _box(random: np.random.Generator, side: int) -> NDArray[np.bool_]:
    """A rectangle or an ellipse, turned by any angle."""
    y, x = _grid(side)
    at, half, angle = random.uniform(0.1, 0.9, 2), random.uniform(0.08, 0.4, 2), random.uniform(0.0, math.pi)
    along = (x - at[1]) * math.cos(angle) + (y - at[0]) * math.sin(angle)
    across = (y - at[0]) * math.cos(angle) - (x - at[1]) * math.sin(angle)
    if random.random() < 0.5:
        return np.asarray((np.abs(along) < half[0]) & (np.abs(across) < half[1]), np.bool_)
    return np.asarray((along / half[0]) ** 2 + (across / half[1]) ** 2 < 1.0, np.bool_)


def _blob(random: np.random.Generator, side: int) -> NDArray[np.bool_]:
    """Thresholded smooth noise: several parts, holes, narrow bridges."""
    rough = random.normal(0.0, 1.0, (side, side)).astype(np.float32)
    smooth = cv2.GaussianBlur(rough, (0, 0), side * random.uniform(0.06, 0.15), borderType=cv2.BORDER_REFLECT)
    return np.asarray(smooth > np.quantile(smooth, random.uniform(0.4, 0.9)), np.bool_)
