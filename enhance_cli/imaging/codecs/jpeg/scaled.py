"""Small copies of JPEGs, decoded at a fraction of their size: libjpeg-turbo skips frequencies that go unseen."""

from __future__ import annotations

from typing import Any

import simplejpeg

from enhance_cli.errors import CorruptPicture
from enhance_cli.imaging.codecs.codec import Small
from enhance_cli.imaging.codecs.jpeg.reading import chroma_factors
from enhance_cli.imaging.codecs.jpeg.segments import read_header
from enhance_cli.imaging.metadata import orient


def decode_scaled(data: bytes, longest: int) -> Small | None:
    """Decode a JPEG so that its longer side keeps at least `longest` pixels, or all that it has.

    Returns:
        None where the usual decoder has to do it: four components, unusual sampling, or an odd or damaged file.
    """
    try:
        header = read_header(data)
    except CorruptPicture:
        return None
    grey = len(header.sampling) == 1
    if header.precision != 8 or not (grey or chroma_factors(header)):
        return None
    orientation, carried = header.carried.upright([])
    lying = header.width >= header.height
    least = {"min_width": longest} if lying else {"min_height": longest}
    try:
        pixels: Any = simplejpeg.decode_jpeg(data, "GRAY" if grey else "RGB", fastdct=True, min_factor=2, **least)
    except ValueError:
        return None
    pixels = orient(pixels[..., 0] if grey else pixels, orientation)
    turned = orientation >= 5
    height, width = (header.width, header.height) if turned else (header.height, header.width)
    return Small(pixels, carried.icc, carried.exif, height, width)
