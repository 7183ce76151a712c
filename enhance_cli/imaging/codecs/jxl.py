"""JPEG XL through pylibjxl (the extra `jxl`), which reads and writes 8 bits with EXIF, XMP and colour profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from enhance_cli.imaging.codecs.codec import Codec, Held
from enhance_cli.imaging.codecs.lost import FIRST_FRAME, FURTHER_FRAMES
from enhance_cli.types import JpegCoding

if TYPE_CHECKING:
    from enhance_cli.imaging.codecs.codec import Encoded
    from enhance_cli.types import Array, Image

DEFAULT_QUALITY = 90
"""What libjxl takes for visually lossless: a distance of 1."""


class JxlFile:
    """A JPEG XL file, of which only the header is read at first (`codec.PictureFile`)."""

    def __init__(self, data: bytes, name: str) -> None:
        import pylibjxl

        self.data = data
        self.header: dict[str, Any] = pylibjxl.probe(data)
        self.height, self.width, self.depth = self.header["height"], self.header["width"], 8

    def read(self, notes: list[str]) -> Held:
        """Decode with 8 bits, upright: the decoder turns pixels as the codestream says, and EXIF has no say in it."""
        import pylibjxl

        from enhance_cli.imaging.metadata import Carried, upright_exif

        samples, blocks = pylibjxl.decode(self.data, metadata=True)
        lost = (FURTHER_FRAMES,) if self.header["have_animation"] else ()
        if lost:
            notes.append(FIRST_FRAME)
        if self.header["bits_per_sample"] > 8:
            notes.append(f"its {self.header['bits_per_sample']} bits per sample were read as 8")
        pixels, alpha = _separated(samples, colours=self.header["color_channels"])
        _, exif = upright_exif(blocks.get("exif"))
        carried = Carried(blocks.get("icc"), exif, blocks.get("xmp"))
        return Held(pixels, alpha, carried, JpegCoding(DEFAULT_QUALITY, "444"), lost)


def _separated(samples: Array, colours: int) -> tuple[Array, Array | None]:
    """H×W (×C) samples as colours (H×W or H×W×3) and alpha."""
    import numpy as np

    samples = samples.reshape(*samples.shape[:2], -1)
    alpha = np.ascontiguousarray(samples[..., colours]) if samples.shape[2] > colours else None
    return np.ascontiguousarray(samples[..., 0] if colours == 1 else samples[..., :3]), alpha


def _encode(image: Image, *, quality: int | None) -> Encoded:
    """8-bit grey or RGB, lossless where neither the source was lossy nor a quality is given.

    Returns:
        The file, and a note where grey had to become RGB (with alpha, or a profile of RGB) or a profile was refused.
    """
    import pylibjxl

    from enhance_cli.imaging import colour
    from enhance_cli.imaging.codecs.failures import FAILURES

    meta = image.metadata
    notes: tuple[str, ...] = ()
    if image.pixels.ndim == 2 and (image.alpha is not None or (meta.icc or b"")[16:20] == b"RGB "):
        image, notes = colour.grey_as_rgb(image)
        meta = image.metadata
    samples = colour.interleaved(image)
    quality = quality or (meta.jpeg.quality if meta.jpeg else None)
    way: dict[str, Any] = {"lossless": True, "effort": 1}  # 3 takes ten times as long for a sixth less
    if quality is not None:
        way = {"distance": _distance(quality), "effort": 3}
    try:
        coded = pylibjxl.encode(samples, exif=meta.exif, xmp=meta.xmp, icc=meta.icc, **way)
    except FAILURES:
        if meta.icc is None:
            raise
        coded = pylibjxl.encode(samples, exif=meta.exif, xmp=meta.xmp, **way)
        notes += ("its colour profile was refused by the JPEG XL encoder and left out",)
    return bytes(coded), notes


def _distance(quality: int) -> float:
    """Libjxl's distance for a quality of 1..100, by its own formula (JxlEncoderDistanceFromQuality)."""
    if quality >= 100:
        return 0.0
    if quality >= 30:
        return 0.1 + (100 - quality) * 0.09
    return 53 / 3000 * quality**2 - 23 / 20 * quality + 25


CODEC = Codec(
    "jxl",
    (".jxl",),
    sniff=lambda data: data[:2] == b"\xff\x0a" or data[:12] == b"\0\0\0\x0cJXL \r\n\x87\n",
    open=JxlFile,
    encode=_encode,
    alpha=True,
    coding="either",
    turned_by_decoder=True,
    boxes=True,
    extra="jxl",
    module="pylibjxl",
)
