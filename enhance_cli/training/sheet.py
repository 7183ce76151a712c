"""A sheet of labelled images side by side, for visual inspection after training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint8]

BAND = 20
"""Pixels of the band above an image that holds its label."""

GAP = 4
"""Pixels between images."""


def sheet(rows: Sequence[Sequence[tuple[str, Codes]]], height: int = 240) -> Codes:
    """Lay labelled images out in rows on white.

    Args:
        rows: (label, image) by row; images are H×W×3 RGB or H×W, uint8, of any size.
        height: pixels to which every image is scaled.

    Returns:
        H×W×3 uint8 RGB.
    """
    strips = [np.concatenate([_cell(label, picture, height) for label, picture in row], axis=1) for row in rows]
    width = max(strip.shape[1] for strip in strips)
    padded = [np.pad(s, ((0, GAP), (0, width - s.shape[1]), (0, 0)), constant_values=255) for s in strips]
    return np.concatenate(padded, axis=0)


def write_sheet(path: Path, rows: Sequence[Sequence[tuple[str, Codes]]], height: int = 240) -> None:
    """Write `sheet` as a PNG, making its folder; nothing where there are no rows (no photo was held out)."""
    if not rows:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    _, packed = cv2.imencode(".png", sheet(rows, height)[..., ::-1])
    path.write_bytes(packed.tobytes())


def _cell(label: str, picture: Codes, height: int) -> Codes:
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    interpolation = cv2.INTER_AREA if height < picture.shape[0] else cv2.INTER_CUBIC
    scaled = cv2.resize(picture, (width, height), interpolation=interpolation)
    cell = np.full((BAND + height, width + GAP, 3), 255, np.uint8)
    cell[BAND:, :width] = scaled
    # Drawn on a strip of its own, so that a long label is cut off instead of running into the neighbour.
    strip = np.full((BAND, width, 3), 255, np.uint8)
    cv2.putText(strip, label, (2, BAND - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    cell[:BAND, :width] = strip
    return cell
