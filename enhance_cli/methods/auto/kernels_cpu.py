"""The pixel kernel of auto in NumPy: what is left to do after the method that it chose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enhance_cli.methods.auto.candidates import blended

if TYPE_CHECKING:
    from enhance_cli.types import Array


def mixed(before: Array, after: Array, amount: float, levels: Array | None, *, out: Array) -> Array:
    """Blend a part of an image with what a method made of it, and shift its tones.

    Args:
        before: h×w×3 uint8 or uint16.
        after: of the same shape and dtype.
        amount: see `candidates.blended`.
        levels: the level that each level becomes (`shift.table`); None where none changes.
        out: of the shape and dtype of `before`.
    """
    made = blended(before, after, amount)
    out[...] = made if levels is None else levels[made]
    return out
