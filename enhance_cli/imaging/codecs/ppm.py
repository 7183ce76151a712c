"""PBM, PGM and PPM, read at 8 and 16 bits and written as PNG."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from enhance_cli.imaging.codecs.codec import Codec

if TYPE_CHECKING:
    from enhance_cli.imaging.codecs.codec import PictureFile


def _is_ppm(data: bytes) -> bool:
    return data[:1] == b"P" and data[1:2] in b"123456" and data[2:3] in b" \t\r\n#" and len(data) > 3


def _open(data: bytes, name: str) -> PictureFile:
    from PIL.PpmImagePlugin import PpmImageFile

    from enhance_cli.imaging.codecs import samples
    from enhance_cli.imaging.codecs.pillow import PillowFile

    opened = PpmImageFile(io.BytesIO(data))
    largest = _largest(data)
    if largest <= 255:
        return PillowFile(opened, name)
    return PillowFile(
        opened, name, depth=16, samples=lambda notes: (samples.spread(samples.sixteen_bit(data), largest), None)
    )


def _largest(data: bytes) -> int:
    """The largest value of a PGM or PPM, 0 for the other kinds: the third number of its header."""
    if data[:2] not in (b"P2", b"P3", b"P5", b"P6"):
        return 0
    numbers: list[bytes] = []
    for line in data[2:4096].split(b"\n"):
        numbers += line.partition(b"#")[0].split()[: 3 - len(numbers)]
        if len(numbers) == 3:
            return int(numbers[2])
    return 0


CODEC = Codec("ppm", (".ppm", ".pgm", ".pbm", ".pnm"), sniff=_is_ppm, open=_open, written_as="png")
