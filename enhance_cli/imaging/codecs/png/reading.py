"""The pixels of a PNG, at 8 and 16 bits, with whatever transparency."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL.PngImagePlugin import PngImageFile

from enhance_cli.imaging.codecs import lost, pillow
from enhance_cli.imaging.codecs.codec import Held
from enhance_cli.imaging.codecs.png.chunks import PngParts, take_apart
from enhance_cli.imaging.codecs.samples import sixteen_bit

if TYPE_CHECKING:
    from enhance_cli.types import Array


class PngFile:
    """A PNG, taken apart (`codec.PictureFile`)."""

    def __init__(self, data: bytes, name: str) -> None:
        self.parts = take_apart(data, name)
        self.height, self.width = self.parts.height, self.parts.width
        self.depth = 16 if self.parts.depth == 16 else 8

    def read(self, notes: list[str]) -> Held:
        """Decode at the depth of the file."""
        left_out: list[str] = []
        if self.parts.animated:
            notes.append(lost.FIRST_FRAME)
            left_out.append(lost.FURTHER_FRAMES)
        if self.parts.signed:
            notes.append(lost.DROPPED[lost.SIGNATURE])
            left_out.append(lost.SIGNATURE)
        if self.parts.behind:
            left_out.append(f"{self.parts.behind:,} bytes behind its end")
            notes.append(f"left out: {left_out[-1]}")
        if self.parts.depth == 16:
            pixels, alpha = _deep(self.parts)
        else:
            with PngImageFile(io.BytesIO(self.parts.bare)) as opened:
                pixels, alpha = pillow.eight_bit(opened, notes)
        carried = self.parts.carried
        if carried.icc is None and pixels.ndim == 3:
            carried = carried._replace(icc=self.parts.colours.icc(notes))
        return Held(pixels, alpha, carried, lost=tuple(left_out))


def _deep(png: PngParts) -> tuple[Array, Array | None]:
    samples = sixteen_bit(png.bare)
    colours = samples[..., :3] if samples.ndim == 3 else samples
    alpha = samples[..., 3] if samples.ndim == 3 and samples.shape[2] == 4 else None
    if png.colour_type in (0, 4) and colours.ndim == 3:
        colours = colours[..., 0]
    if png.transparent is not None:
        key = np.array(png.transparent, np.uint16)
        hidden = (colours == key).all(axis=2) if colours.ndim == 3 else colours == key[0]
        alpha = np.where(hidden, 0, 65535).astype(np.uint16)
    return np.ascontiguousarray(colours), None if alpha is None else np.ascontiguousarray(alpha)
