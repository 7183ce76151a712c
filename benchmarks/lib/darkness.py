"""Dark photos with the noise of a sensor, made of good ones."""

from __future__ import annotations

import zlib

import cv2
import numpy as np

from enhance_cli.quality.pictures import Picture

SHOT, READ = 0.001, 0.002
"""Variance of the shot noise per unit of linear light, and standard deviation of the read noise."""


def darkened(picture: Picture, stops: float, seed: str, quality: int = 85) -> Picture:
    """Less linear light, Gaussian noise of variance SHOT·light + READ², and the blocks of a JPEG.

    Args:
        picture: H×W×3 sRGB-encoded RGB, uint8.
        stops: by how much to darken.
        seed: of the noise, such as the photo's name.
        quality: of the JPEG, 4:2:0.

    Returns:
        An image like `picture`.
    """
    generator = np.random.default_rng((zlib.crc32(seed.encode()), round(10 * stops)))
    encoded = picture / 255.0
    light = np.where(encoded > 0.04045, ((encoded + 0.055) / 1.055) ** 2.4, encoded / 12.92) * 2.0**-stops
    light = np.clip(light + generator.normal(size=light.shape) * np.sqrt(SHOT * light + READ**2), 0.0, 1.0)
    encoded = np.where(light > 0.0031308, 1.055 * light ** (1.0 / 2.4) - 0.055, 12.92 * light)
    _, data = cv2.imencode(
        ".jpg", np.rint(255.0 * encoded[..., ::-1]).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])
