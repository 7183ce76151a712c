"""Renders tiles with a halo in place, into the image that they are read from.

A tile reads pixels of its neighbours, which may have been rendered already. So before a tile is started, the pixels on
both sides of its edges are copied, unless a neighbour has done so; a copy is freed with the last tile that reads it.
Tiles are processed in order, so that little more than two rows of them are held at any time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from enhance_cli.imaging.tiles import Tile

if TYPE_CHECKING:
    from enhance_cli.types import Array

_Strip = tuple[int, int, int, int]
"""First and last row, first and last column (exclusive), in the whole image."""


class Originals:
    """The original pixels of an image while its tiles are rendered in place. Thread-safe."""

    def __init__(self, pixels: Array, pieces: Iterable[Tile], halo: int) -> None:
        """Find the areas that tiles share.

        Args:
            pixels: H×W or H×W×3.
            pieces: all tiles of the image, in a grid.
            halo: of the tiles; at most the side of a tile, except for the last ones.
        """
        self._pixels, self._halo = pixels, halo
        self._lock = threading.Lock()
        self._copies: dict[_Strip, Array] = {}
        self._users: dict[_Strip, int] = {}
        for tile in pieces:
            for strip in self._strips(tile):
                self._users[strip] = self._users.get(strip, 0) + 1

    def outer(self, tile: Tile) -> Array:
        """A copy of the original pixels of a tile's outer rectangle; call it before the tile is rendered."""
        strips = self._strips(tile)
        with self._lock:
            for strip in strips:
                if strip not in self._copies:
                    top, bottom, left, right = strip
                    self._copies[strip] = self._pixels[top:bottom, left:right].copy()
            copies = [self._copies[strip] for strip in strips]
        shape = tile.outer_bottom - tile.outer_top, tile.outer_right - tile.outer_left, *self._pixels.shape[2:]
        window = np.empty(shape, self._pixels.dtype)
        window[tile.inner_of_outer] = self._pixels[tile.inner]
        for (first, last, start, end), copy in zip(strips, copies, strict=True):
            top, bottom = max(first, tile.outer_top), min(last, tile.outer_bottom)
            left, right = max(start, tile.outer_left), min(end, tile.outer_right)
            window[top - tile.outer_top : bottom - tile.outer_top, left - tile.outer_left : right - tile.outer_left] = (
                copy[top - first : bottom - first, left - start : right - start]
            )
        return window

    def done(self, tile: Tile) -> None:
        """Note that a tile has been rendered."""
        with self._lock:
            for strip in self._strips(tile):
                self._users[strip] -= 1
                if not self._users[strip]:
                    self._copies.pop(strip, None)

    def _strips(self, tile: Tile) -> list[_Strip]:
        """The areas a tile shares: along its left and right edges, then the full strips above and below."""
        height, width = self._pixels.shape[:2]
        halo = self._halo
        found = [
            (tile.top, tile.bottom, edge - halo, min(edge + halo, width))
            for edge, neighboured in ((tile.left, tile.left > 0), (tile.right, tile.right < width))
            if neighboured
        ]
        found += [
            (edge - halo, min(edge + halo, height), 0, width)
            for edge, neighboured in ((tile.top, tile.top > 0), (tile.bottom, tile.bottom < height))
            if neighboured
        ]
        return found
