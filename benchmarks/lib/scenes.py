"""Photos made for the purpose, where it matters little what is on them."""

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


def natural(height: int, width: int, seed: int = 0) -> Codes:
    """Statistics of a photo: smooth light, structure falling off as 1/f, some hard edges, some noise; H×W×3 RGB."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 90.0, np.float32)
    for octave in range(1, 10):
        size = (min(width, 2**octave * 4), min(height, 2**octave * 3))
        layer = rng.normal(0, 1, (size[1], size[0], 1)).astype(np.float32) * np.array([1, 0.95, 0.8], np.float32)
        picture += 45.0 / octave**1.6 * cv2.resize(layer, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(60):
        sides = [int(rng.integers(length // 60, length // 8)) for length in (height, width)]
        y, x = int(rng.integers(0, height - sides[0])), int(rng.integers(0, width - sides[1]))
        picture[y : y + sides[0], x : x + sides[1]] += rng.normal(0, 35, 3).astype(np.float32)
    picture += rng.normal(0, 2.5, picture.shape).astype(np.float32)
    return picture.clip(0, 255).astype(np.uint8)


def photo(path: Path | None, height: int, width: int) -> Codes:
    """A photo of a file in a size, lying on its long side; a natural scene where no file is given."""
    if path is None:
        return natural(height, width)
    found = cv2.imread(str(path))
    if found is None:
        raise SystemExit(f"{path} is not a photo that can be read.")
    lying = found if (found.shape[1] >= found.shape[0]) == (width >= height) else np.rot90(found)
    way = cv2.INTER_AREA if lying.shape[1] > width else cv2.INTER_CUBIC
    return np.ascontiguousarray(cv2.resize(lying, (width, height), interpolation=way)[..., ::-1])


def jpeg(picture: Codes) -> bytes:
    """Bytes of a JPEG, 4:2:0."""
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality=QUALITY, colorsubsampling="420"))


def folder(path: Path, picture: Codes, count: int) -> Path:
    """A folder of so many distinct JPEGs: the scene with another brightness and noise, told apart by a comment."""
    path.mkdir()
    grain = np.random.default_rng(0).normal(0, 2, (*picture.shape[:2], 1)).astype(np.float32)
    made = []
    for number in range(min(6, count)):  # encoding takes long: six photos, then edits of bytes
        gain = np.float32(0.6 + 0.08 * number)
        codes = (picture * gain + np.roll(grain, 997 * number, axis=1)).clip(0, 255).astype(np.uint8)
        made.append(jpeg(codes))
    for number in range(count):
        comment = f"copy {number}".encode()
        segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        data = made[number % len(made)]
        (path / f"{number:04d}.jpg").write_bytes(data[:2] + segment + data[2:])
    return path
