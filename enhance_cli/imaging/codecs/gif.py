"""GIF, whose first frame is read and written as PNG."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from enhance_cli.imaging.codecs.codec import Codec

if TYPE_CHECKING:
    from enhance_cli.imaging.codecs.codec import PictureFile


def _open(data: bytes, name: str) -> PictureFile:
    from PIL.GifImagePlugin import GifImageFile

    from enhance_cli.imaging.codecs.pillow import PillowFile

    return PillowFile(GifImageFile(io.BytesIO(data)), name)


CODEC = Codec(
    "gif",
    (".gif",),
    sniff=lambda data: data[:6] in (b"GIF87a", b"GIF89a"),
    open=_open,
    written_as="png",
    in_browsers=True,
)
