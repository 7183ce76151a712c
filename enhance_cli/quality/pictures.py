"""The input of the quality measures: images read from files, and their samples on the scale of 8-bit levels.

Every figure of this package accepts H×W×3 RGB or H×W grey arrays, display-referred, as uint8, uint16, or
floating point in 0..1. They are compared on the scale of 8-bit levels (0..255), because that is where the
published figures live; 16-bit and floating-point samples keep their fractions on it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhance_cli.errors import CorruptPicture, MissingSource, UnreadableSource

Picture = NDArray[Any]
Levels = NDArray[np.float64]

LUMA = np.array([0.299, 0.587, 0.114])
"""BT.601 weights of R, G and B."""

PICTURE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"))
"""Of the files that `read_rgb` reads."""


def read_rgb(path: Path) -> Picture:
    """Read an image file as H×W×3 RGB, uint8 or uint16; alpha, profile and orientation tag are ignored.

    Raises:
        MissingSource: there is no such file.
        UnreadableSource: the operating system refuses to read it.
        CorruptPicture: it cannot be decoded.
    """
    import cv2

    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise MissingSource(f"There is no image {path}.") from error
    except OSError as error:
        raise UnreadableSource(f"{path} cannot be read: {error.strerror}.") from error
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise CorruptPicture(f"{path} cannot be decoded.") from error
    if decoded is None or decoded.dtype not in (np.uint8, np.uint16):
        raise CorruptPicture(f"{path} cannot be decoded.")
    return np.ascontiguousarray(decoded[:, :, ::-1])


def levels(picture: Picture) -> Levels:
    """The samples of an image as float64 8-bit levels: uint8 as it is, uint16 / 257, floating point x 255.

    Raises:
        ValueError: the array is not an H×W or H×W×3 image of these types, is empty, or exceeds 0..1.
    """
    picture = np.asarray(picture)
    if picture.ndim != 2 and not (picture.ndim == 3 and picture.shape[2] == 3):
        raise ValueError(f"an image is HxW grey or HxWx3 RGB, not an array of shape {picture.shape}")
    if picture.size == 0:
        raise ValueError("the image has no pixels")
    if picture.dtype == np.uint8:
        return picture.astype(np.float64)
    if picture.dtype == np.uint16:
        return picture / 257.0
    if not np.issubdtype(picture.dtype, np.floating):
        raise ValueError(f"an image is uint8, uint16 or floating point, not {picture.dtype}")
    # Written so that NaN is refused too; the margin forgives the last bits of float32 arithmetic.
    if not (picture.min() >= -1e-6 and picture.max() <= 1 + 1e-6):
        raise ValueError("a floating-point image lies in 0..1")
    return picture.astype(np.float64) * 255.0


def level_pair(first: Picture, second: Picture) -> tuple[Levels, Levels]:
    """Two images of one size as H×W×C levels; C is 1 if both are grey, else 3, grey repeated.

    Raises:
        ValueError: as `levels`, or the sizes differ.
    """
    a, b = levels(first), levels(second)
    if a.shape[:2] != b.shape[:2]:
        raise ValueError(f"the images differ in size: {a.shape[1]}x{a.shape[0]} and {b.shape[1]}x{b.shape[0]} pixels")
    channels = max(_channels(a), _channels(b))
    return _spread(a, channels), _spread(b, channels)


def luma(picture: Picture) -> Levels:
    """BT.601 luma in 8-bit levels, H×W float64, unrounded."""
    samples = levels(picture)
    return samples if samples.ndim == 2 else samples @ LUMA


def _channels(samples: Levels) -> int:
    return 1 if samples.ndim == 2 else 3


def _spread(samples: Levels, channels: int) -> Levels:
    return np.repeat(samples[:, :, None], channels, axis=2) if samples.ndim == 2 else samples
