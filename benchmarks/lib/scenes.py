"""Synthetic photos for measurements in which the content hardly matters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg

Codes = np.ndarray[Any, np.dtype[np.uint8]]

QUALITY = 90


def soft(height: int, width: int, seed: int = 0) -> Codes:
    """Soft colours under noise, H×W×3 RGB; made in bands, so that it takes little memory beyond its own."""
    rng = np.random.default_rng(seed)
    shapes = rng.integers(0, 140, (25, 50, 3), dtype=np.uint8)
    picture: Codes = cv2.resize(shapes, (width, height), interpolation=cv2.INTER_CUBIC)
    for top in range(0, height, 500):
        band = picture[top : top + 500]
        band += rng.integers(0, 12, (*band.shape[:2], 1), dtype=np.uint8)
    return picture


def photo(path: Path | None, height: int, width: int) -> Codes:
    """A photo of a file in a size, lying on its long side; soft colours where no file is given."""
    if path is None:
        return soft(height, width)
    found = cv2.imread(str(path))
    if found is None:
        raise SystemExit(f"{path} is not a photo that can be read.")
    lying = found if (found.shape[1] >= found.shape[0]) == (width >= height) else np.rot90(found)
    way = cv2.INTER_AREA if lying.shape[1] > width else cv2.INTER_CUBIC
    return np.ascontiguousarray(cv2.resize(lying, (width, height), interpolation=way)[..., ::-1])


def jpeg(picture: Codes) -> bytes:
    """Bytes of a JPEG, 4:2:0."""
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality=QUALITY, colorsubsampling="420"))


def folder(path: Path, data: bytes, count: int) -> Path:
    """A folder with so many names for one file; nothing tells the program that they are one."""
    path.mkdir()
    (path / "0000.jpg").write_bytes(data)
    for number in range(1, count):
        (path / f"{number:04d}.jpg").hardlink_to(path / "0000.jpg")
    return path
