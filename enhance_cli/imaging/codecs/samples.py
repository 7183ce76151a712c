"""Samples of more than 8 bits, which Pillow silently reduces to 8: OpenCV decodes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from enhance_cli.types import Array


def odd_samples(name: str) -> str:
    """The sentence for samples that are not read."""
    return f"{name} holds 32-bit or floating-point samples; enhance reads 8 and 16-bit integers."


def sixteen_bit(data: bytes) -> Array:
    """Decode 16-bit samples with OpenCV: H×W or H×W×3 RGB or H×W×4 RGBA.

    Raises:
        ValueError: OpenCV cannot decode it, or not at 16 bits.
    """
    import cv2

    try:
        samples: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ValueError(error.err) from error
    if samples is None or samples.dtype != np.uint16:
        raise ValueError("its 16-bit samples cannot be decoded")
    if samples.ndim == 3:
        samples = samples[..., (2, 1, 0) if samples.shape[2] == 3 else (2, 1, 0, 3)]
    return np.ascontiguousarray(samples)


def spread(samples: Array, largest: int) -> Array:
    """Samples of 0..`largest` over the whole of 16 bits, rounded."""
    return ((samples.astype(np.uint32) * 65535 + largest // 2) // largest).astype(np.uint16)


def separated(samples: Array, depth: int) -> tuple[Array, Array | None]:
    """H×W, H×W×3 or H×W×4 samples of `depth` bits as 16-bit colours and alpha."""
    whole = spread(samples, 2**depth - 1)
    if whole.ndim == 2 or whole.shape[2] == 3:
        return whole, None
    return np.ascontiguousarray(whole[..., :3]), np.ascontiguousarray(whole[..., 3])
