"""The share of `--memory` that a photo takes: the peak of what its decoder, method and encoder hold."""

from __future__ import annotations

LARGEST_TWICE = 96 * 2**20
"""Up to this many bytes a method with a halo renders an image into a second one; a larger image is rendered in place,
by tiles that save the pixels their neighbours need (`originals.Originals`)."""


def is_large(picture: int) -> bool:
    """Whether an image has so many bytes that no second copy is made."""
    return picture > LARGEST_TWICE


def held_bytes(
    height: int,
    width: int,
    depth: int,
    *,
    jpeg: bool = True,
    planes: bool = False,
    halo: int = 0,
    blended: bool = False,
    several: bool = False,
    further: int = 0,
    method: int = 0,
) -> int:
    """Bytes of one photo in flight, from what is known before it is decoded.

    Args:
        height: in pixels.
        width: in pixels.
        depth: bits of a sample.
        jpeg: whether its file is a JPEG; other decoders and encoders hold the image in a second layout of their own,
            with opacity.
        planes: whether a JPEG's own planes are asked for, which are picked out of the whole image.
        halo: of the method.
        blended: whether the original image is needed in addition to the result (`--amount`).
        several: whether there are several outputs; a large photo is decoded again for each.
        further: number of exposures of a stack after the first; each is held once.
        method: bytes that the method holds in addition to the image (`Controls.holds`).
    """
    pixels = height * width
    picture = pixels * 3 * (depth // 8)
    coded = picture // 2 if planes and jpeg else 0
    if not jpeg:
        coded = pixels * (5 if depth == 8 else 10)
    in_place = not blended and ((halo == 0 and not several) or is_large(picture))
    rendered = method + (0 if in_place and is_large(picture) else picture)
    return picture * (1 + further) + max(coded, rendered)
