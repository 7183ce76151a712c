"""What the formats share once their file is open: the check, failures, orientation, and what else a file holds."""

from __future__ import annotations

import numpy as np

from enhance_cli.imaging import xmp
from enhance_cli.imaging.codecs import boxes, lost, pillow
from enhance_cli.imaging.codecs.codec import Check, Codec
from enhance_cli.imaging.codecs.failures import decoding
from enhance_cli.imaging.metadata import orient
from enhance_cli.types import Image, Metadata


def decode(codec: Codec, data: bytes, *, source: str, check: Check) -> Image:
    """Decode the first frame of a file through `codec.open`, upright.

    Args:
        codec: of the format that was sniffed.
        data: the whole file.
        source: the path, for metadata and messages.
        check: called once with (height, width, bits of a sample) from the header, before decoding; may raise.

    Returns:
        uint8 or uint16, contiguous and writable; H×W or H×W×3, with `alpha` where the file has any.

    Raises:
        CorruptPicture: truncated or damaged data.
        PictureTooLarge: more pixels than the decoder itself, or the machine's memory, allows.
        UnsupportedFormat: a kind of samples that is not read (floating point, 32-bit integers).
    """
    assert codec.open is not None
    pillow.silence()
    name = source or "the image"
    notes: list[str] = []
    with decoding(codec.name, name):
        file = codec.open(data, name)
    check(file.height, file.width, file.depth)
    with decoding(codec.name, name):
        held = file.read(notes)
    orientation, carried = held.carried.upright(notes, xmp_turns=not codec.turned_by_decoder)
    carried = carried._replace(xmp=xmp.for_picture_alone(carried.xmp))
    left_out = dict.fromkeys(held.lost)
    for what in boxes.held(data) if codec.boxes else ():
        if lost.FURTHER_FRAMES not in left_out or what not in (lost.SEQUENCE, lost.FURTHER):
            left_out[what] = None
            notes.append(lost.DROPPED.get(what, f"left out: {what}"))
    return Image(
        orient(held.pixels, orientation),
        alpha=None if held.alpha is None else orient(held.alpha, orientation),
        metadata=Metadata(
            source=source,
            format=codec.name,
            bit_depth=16 if held.pixels.dtype == np.uint16 else 8,
            **carried._asdict(),
            jpeg=held.coding,
            lost=tuple(left_out),
            notes=tuple(notes),
        ),
    )
