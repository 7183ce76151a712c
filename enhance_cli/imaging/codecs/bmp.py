"""BMP, which holds 8-bit colours and a density, nothing else."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from enhance_cli.imaging.codecs.codec import Codec

if TYPE_CHECKING:
    from enhance_cli.imaging.codecs.codec import Encoded, PictureFile
    from enhance_cli.types import Image

_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # sizes; "BM" alone begins many a text


def _open(data: bytes, name: str) -> PictureFile:
    from PIL.BmpImagePlugin import BmpImageFile

    from enhance_cli.imaging.codecs.pillow import PillowFile

    return PillowFile(BmpImageFile(io.BytesIO(data)), name)


def _encode(image: Image, *, quality: int | None) -> Encoded:
    from enhance_cli.imaging.codecs import pillow

    density = image.metadata.density
    return pillow.encode(image, "BMP", **({} if density is None else {"dpi": density[:2]})), ()


CODEC = Codec(
    "bmp",
    (".bmp", ".dib"),
    sniff=lambda data: data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _HEADERS,
    open=_open,
    encode=_encode,
    coding="lossless",
    carries=("density",),
    longest_side=2**31 - 1,
    in_browsers=True,
)
