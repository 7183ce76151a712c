"""JPEG 2000, read with 8 bits (grey with up to 16) and written as PNG."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from enhance_cli.imaging.codecs.codec import Codec

if TYPE_CHECKING:
    from enhance_cli.imaging.codecs.codec import PictureFile
    from enhance_cli.types import Array


def _open(data: bytes, name: str) -> PictureFile:
    import numpy as np
    from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

    from enhance_cli.imaging.codecs import pillow

    opened = Jpeg2KImageFile(io.BytesIO(data))

    def samples(notes: list[str]) -> tuple[Array, Array | None]:
        if opened.mode in ("I;16", "I"):  # Pillow has spread grey to the whole 16 bits
            return np.array(opened).astype(np.uint16), None
        depth = _coded_depth(data)
        if depth > 8:
            notes.append(f"its {depth} bits per sample were read as 8")
        return pillow.eight_bit(opened, notes)

    return pillow.PillowFile(opened, name, samples=samples)


def _coded_depth(data: bytes) -> int:
    """Bits of a sample, from the segment that tells sizes; they follow 40 bytes after its marker."""
    place = data.find(b"\xff\x51")
    return (data[place + 40] & 0x7F) + 1 if 0 <= place < len(data) - 40 else 8


CODEC = Codec(
    "jp2",
    (".jp2", ".j2k", ".jpf", ".jpx"),
    sniff=lambda data: data[:12] == b"\0\0\0\x0cjP  \r\n\x87\n" or data[:4] == b"\xff\x4f\xff\x51",
    open=_open,
    written_as="png",
)
