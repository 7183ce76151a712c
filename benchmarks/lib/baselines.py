"""Baselines: the unchanged input, and OpenCV's CLAHE and exposure fusion."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from benchmarks.lib import opencv_loop
from enhance_cli.quality.pictures import Picture


def clahe(picture: Picture, clip_limit: float = 2.0, grid: tuple[int, int] = (8, 8)) -> Picture:
    """OpenCV's CLAHE on the Y of 8-bit YCrCb; `grid` is rows and columns."""
    planes = cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb)
    planes[..., 0] = opencv_loop.clahe(np.ascontiguousarray(planes[..., 0]), clip_limit, grid)
    return cv2.cvtColor(planes, cv2.COLOR_YCrCb2RGB)


def mertens(frames: Sequence[Picture]) -> Picture:
    """OpenCV's exposure fusion (Mertens, Kautz, Van Reeth, 2007) with its own weights, of 8-bit RGB frames."""
    fused = cv2.createMergeMertens().process([frame[..., ::-1] for frame in frames])
    return (fused[..., ::-1].clip(0, 1) * 255 + 0.5).astype(np.uint8)


def mertens_of_one(picture: Picture, stops: Sequence[float] = (-2.0, 0.0, 2.0)) -> Picture:
    """Exposure fusion of a photo with darker and brighter copies of itself (a gamma of 2.2)."""
    gains = [2.0 ** (stop / 2.2) for stop in stops]
    return mertens([np.rint(picture * gain).clip(0, 255).astype(np.uint8) for gain in gains])


BASELINES = {
    "input": lambda picture: picture,
    "OpenCV CLAHE, clip 2, 8x8": clahe,
    "OpenCV CLAHE, clip 40, 8x8": lambda picture: clahe(picture, 40.0),
    "OpenCV Mertens, of -2, 0, +2 EV": mertens_of_one,
}
