"""What a photo takes of `--memory` while it is worked on: the most that its decoder, method and encoder hold."""

from __future__ import annotations

LARGEST_TWICE = 96 * 2**20
"""Bytes of an image up to which a method with a halo renders it into a second one; a larger one is rendered in place,
by tiles that keep what their neighbours see (`originals.Originals`)."""


def is_large(picture: int) -> bool:
    """Whether an image of so many bytes is one of which no second copy is held."""
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
        blended: whether the image as it was is needed beside the result (`--amount`).
        several: whether several images are made of it; a large one is decoded anew for each.
        further: exposures of a stack beside the first; each is held once.
        method: what the method holds beside the image (`Controls.holds`).
    """
    pixels = height * width
    picture = pixels * 3 * (depth // 8)
    coded = picture // 2 if planes and jpeg else 0
    if not jpeg:
        coded = pixels * (5 if depth == 8 else 10)
    in_place = not blended and ((halo == 0 and not several) or is_large(picture))
    rendered = method + (0 if in_place and is_large(picture) else picture)
    return picture * (1 + further) + max(coded, rendered)
