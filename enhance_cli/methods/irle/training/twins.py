"""Which dark photos show one scene: several exposures are twins whose noise is independent.

No bright reference is used: dark photos are compared with each other, by features that do not depend on exposure.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint8]

ALIKE = 0.8
"""Correlation of two images' band-passed log luma from which they show one scene from one place; below it come
neighbouring shots with another view."""

_SIZE = (96, 64)


def signature(pixels: Codes) -> NDArray[np.float32]:
    """Band-passed log luma of a small copy, zero mean and unit length: exposure and cast fall out."""
    small = cv2.resize(pixels, _SIZE, interpolation=cv2.INTER_AREA).astype(np.float32)
    light = np.log(small @ np.array([0.299, 0.587, 0.114], np.float32) + 2.0)
    band = cv2.GaussianBlur(light, (0, 0), 0.7) - cv2.GaussianBlur(light, (0, 0), 6.0)
    band -= band.mean()
    return np.asarray(band / max(float(np.linalg.norm(band)), 1e-6), np.float32).ravel()


def groups(photographs: Mapping[str, Codes], alike: float = ALIKE) -> list[tuple[str, ...]]:
    """Names by scene, each group sorted; a photo without a twin is a group of one."""
    names = sorted(photographs)
    if not names:
        return []
    shapes = {name: photographs[name].shape for name in names}
    signatures = np.stack([signature(photographs[name]) for name in names])
    near = signatures @ signatures.T > alike
    # Every pair inside a group is alike: a chain of neighbours would join different views.
    found: list[list[int]] = []
    for index, name in enumerate(names):
        for members in found:
            if shapes[names[members[0]]] == shapes[name] and all(near[index, member] for member in members):
                members.append(index)
                break
        else:
            found.append([index])
    return [tuple(names[index] for index in members) for members in found]


def simulated(picture: NDArray[np.float32], random: np.random.Generator) -> tuple[Codes, Codes]:
    """Two simulated dark shots of one photo with independent noise, for cameras without real twins.

    As `training.degradations.lowlight` (docs/papers.md, S1), but twice with one cast, one sensor and one coding: 1.5
    to 5 stops under, the second up to 1.5 stops brighter; shot and read noise; in half of the draws correlated as
    demosaicing does; in six of ten a JPEG of quality 50 to 97.

    Args:
        picture: H×W×3 in 0..1, well exposed; it is no target of any loss.
        random: draws.
    """
    linear = picture ** np.float32(2.2) * np.exp(random.normal(0.0, 0.08, 3)).astype(np.float32)
    stops, brighter = random.uniform(1.5, 5.0), random.uniform(0.0, 1.5)
    shot, read = 10.0 ** random.uniform(-4.0, -2.6), 10.0 ** random.uniform(-3.6, -2.6)
    correlated, coded = random.random() < 0.5, random.random() < 0.6
    quality = int(random.integers(50, 98))
    shots = []
    for under in (stops, stops - brighter):
        light = linear * np.float32(2.0**-under)
        noise = random.normal(0.0, 1.0, picture.shape).astype(np.float32)
        if correlated:
            noise = 2.0 * cv2.GaussianBlur(noise, (3, 3), 0.7)  # keeps about the deviation
        light = light + noise * np.sqrt(light * np.float32(shot) + np.float32(read**2))
        codes = np.rint(np.clip(light, 0.0, 1.0) ** np.float32(1 / 2.2) * 255.0).astype(np.uint8)
        if coded:
            _, packed = cv2.imencode(".jpg", codes, [cv2.IMWRITE_JPEG_QUALITY, quality])
            codes = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
        shots.append(codes)
    return shots[0], shots[1]
