"""Small files of every format, damaged: what the fuzzing of reliability.py feeds to the decoders."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as Pillow

from enhance_cli.imaging import codecs
from enhance_cli.types import Density, Image, JpegCoding, Metadata

NAMES = tuple(
    name
    for name, codec in codecs.FORMATS.items()
    if codec.readable and name not in ("psd", "raw") and codecs.is_installed(name)
)
"""Formats that can be made here: psd and raw have no writer."""


def sample(name: str, seed: int) -> bytes:
    """A small file of a format, with all metadata that it holds."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:20, :28]
    pixels = np.stack((9 * x, 12 * y, 3 * (x + y)), axis=2).astype(np.uint8)
    if codecs.FORMATS[name].written_as is not None:
        packed = io.BytesIO()
        Pillow.fromarray(pixels).save(packed, {"jp2": "JPEG2000"}.get(name, name.upper()))
        return packed.getvalue()
    if codecs.FORMATS[name].sixteen_bit and seed % 2:
        pixels = pixels.astype(np.uint16) * 257
    exif = Pillow.Exif()
    exif[0x010F], exif[0x0112] = "Light & Shade", 6
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.6)})
    exif[0x8825] = exif.get_ifd(0x8825)
    metadata = Metadata(
        exif=exif.tobytes()[6:],
        xmp=b"<x:xmpmeta exif:GPSLatitude='1'><xmp:Thumbnails>a</xmp:Thumbnails></x:xmpmeta>",
        icc=bytes(36) + b"acsp" + bytes(200),
        iptc=b"\x1c\x02\x19\x00\x05night",
        density=Density(300, 300),
        jpeg=JpegCoding(90, "420", progressive=bool(seed % 3 == 1)) if seed % 4 else None,
    )
    alpha = rng.integers(0, 256, (20, 28)).astype(pixels.dtype) if seed % 5 == 0 else None
    return codecs.encode(Image(pixels, alpha=alpha, metadata=metadata), name)[0]


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes that are truncated, altered or spliced."""
    bytes_of = bytearray(data)
    for _ in range(rng.integers(1, 12)):
        place = int(rng.integers(0, len(bytes_of) if rng.random() < 0.5 else min(300, len(bytes_of))))
        kind = rng.random()
        if kind < 0.7:
            bytes_of[place] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, int(rng.integers(0, 256))])
        elif kind < 0.85:
            del bytes_of[place : place + int(rng.integers(1, 20))]
        else:
            bytes_of[place:place] = bytes_of[: int(rng.integers(1, 40))]
        if not bytes_of:
            return b""
    return bytes(bytes_of[: int(len(bytes_of) * rng.uniform(0.3, 1)) + 1] if rng.random() < 0.3 else bytes_of)
