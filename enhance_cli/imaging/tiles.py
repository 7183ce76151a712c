"""Divides an image into tiles, so that rendering by tiles equals rendering the whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class Tile(NamedTuple):
    """A rectangle of output pixels and the larger one that rendering it needs to see."""

    top: int
    left: int
    bottom: int
    right: int
    outer_top: int
    outer_left: int
    outer_bottom: int
    outer_right: int

    @property
    def inner(self) -> tuple[slice, slice]:
        """The output rectangle within the image."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def outer(self) -> tuple[slice, slice]:
        """The rectangle to hand to `render`, halo included, within the image."""
        return slice(self.outer_top, self.outer_bottom), slice(self.outer_left, self.outer_right)

    @property
    def inner_of_outer(self) -> tuple[slice, slice]:
        """The output rectangle within the rendered one."""
        return (
            slice(self.top - self.outer_top, self.bottom - self.outer_top),
            slice(self.left - self.outer_left, self.right - self.outer_left),
        )

    def within(self, other: Tile) -> tuple[slice, slice]:
        """The outer rectangle within that of a tile that holds it."""
        return (
            slice(self.outer_top - other.outer_top, self.outer_bottom - other.outer_top),
            slice(self.outer_left - other.outer_left, self.outer_right - other.outer_left),
        )


def tiles(height: int, width: int, tile_height: int, tile_width: int, halo: int = 0) -> Iterator[Tile]:
    """Cover an image once, row by row, with tiles of at most the given size.

    The halo is cut off at the image's border, so a method sees the same border as when it renders whole.
    """
    for top in range(0, height, tile_height):
        bottom = min(top + tile_height, height)
        for left in range(0, width, tile_width):
            right = min(left + tile_width, width)
            yield Tile(
                top,
                left,
                bottom,
                right,
                max(top - halo, 0),
                max(left - halo, 0),
                min(bottom + halo, height),
                min(right + halo, width),
            )
