"""The pixels of an image as PNG, at 8 and 16 bits."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

from enhance_cli.imaging import colour
from enhance_cli.imaging.codecs.png.chunks import chunk, with_metadata

if TYPE_CHECKING:
    from enhance_cli.imaging.codecs.codec import Encoded
    from enhance_cli.types import Array, Image


def encode(image: Image, *, quality: int | None) -> Encoded:
    """The image as a PNG, at its own depth, with its metadata; `quality` has no meaning here."""
    return with_metadata(_bare(image), image.metadata), ()


def _bare(image: Image) -> bytes:
    import cv2

    samples = colour.interleaved(image)
    if samples.ndim == 3 and samples.shape[2] == 2:
        return _grey_alpha(samples)
    if samples.ndim == 3:
        samples = cv2.cvtColor(samples, cv2.COLOR_RGB2BGR if samples.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    done, coded = cv2.imencode(".png", samples)
    if not done:
        raise ValueError("OpenCV cannot encode PNG")
    return coded.tobytes()


def _grey_alpha(samples: Array) -> bytes:
    """H×W×2 grey and alpha, which neither OpenCV (no such layout) nor Pillow (8 bits only) writes at 16 bits."""
    height, width, _ = samples.shape
    rows = samples.astype(samples.dtype.newbyteorder(">")).view(np.uint8).reshape(height, -1)
    filtered = np.empty((height, 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = 2  # every row as its difference from the one above
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8 * samples.itemsize, 4, 0, 0, 0)
    body = zlib.compress(filtered.data, 6)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
