"""Converts an image to what methods see and back: sRGB, with the hidden parts of transparent images filled.

Both conversions are done window by window, so that an image in another colour space needs no copy while it is
rendered. Images in sRGB without hidden parts have no view and cost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from enhance_cli.imaging import colour

if TYPE_CHECKING:
    from enhance_cli.imaging.opacity import Fill
    from enhance_cli.imaging.working_space import Space
    from enhance_cli.types import Array, Image

_ROWS = 256
"""Rows converted at once if the whole image is wanted."""


@dataclass(frozen=True, eq=False)
class View:
    """An image as methods see it."""

    image: Image
    """H×W×3 or H×W; also the luma plane of a JPEG with its chroma."""

    space: Space | None = None
    """None for sRGB."""

    fill: Fill | None = None
    """None where nothing is hidden."""

    def window(self, pixels: Array, place: tuple[slice, slice]) -> Array:
        """What methods see of a part of it, uint16 where it comes from another colour space.

        Args:
            pixels: the part as it is stored.
            place: where it lies.
        """
        pixels = _in_srgb(pixels, self.space)
        return pixels if self.fill is None else self.fill.fill(pixels, place)

    def part(self, rows: slice) -> Array:
        """What methods see of some rows, at the depth that the image has."""
        pixels = self.image.pixels[rows]
        seen = self.window(pixels, (rows, slice(0, self.image.width)))
        return seen if seen.dtype == pixels.dtype else ((seen.astype(np.uint32) + 128) // 257).astype(pixels.dtype)

    def whole(self, *, reuse: bool = False) -> Image:
        """All of it, at the depth that the image has.

        Args:
            reuse: the image's own pixels are given up, and become what is seen; for a view without `fill`.
        """
        out = self.image.pixels if reuse else np.empty_like(self.image.pixels)
        for top in range(0, self.image.height, _ROWS):
            rows = slice(top, min(top + _ROWS, self.image.height))
            out[rows] = self.part(rows)
        return self.image.replace(pixels=out)

    def back(self, pixels: Array, place: tuple[slice, slice], seen: Array, rendered: Array) -> Array:
        """A part as the image stores it: its own space and depth, and what it hides.

        Args:
            pixels: the part as it was stored.
            place: where it lies.
            seen: what `window` gave of it.
            rendered: what became of that.
        """
        if self.space is not None:
            rendered = self.space.from_srgb(pixels, seen, rendered)
        if self.fill is not None:
            assert self.image.alpha is not None
            hidden = self.image.alpha[place] == 0
            rendered = np.where(hidden if pixels.ndim == 2 else hidden[..., None], pixels, rendered)
        return rendered


def _in_srgb(pixels: Array, space: Space | None) -> Array:
    return pixels if space is None else space.to_srgb(pixels)


def _space_of(icc: bytes | None, *, grey: bool) -> tuple[Space | None, str | None]:
    """As `working_space.space_of`, which is loaded for images with a profile."""
    if icc is None:
        return None, None
    from enhance_cli.imaging.working_space import space_of

    return space_of(icc, grey=grey)


def view_of(image: Image) -> tuple[Image, View | None, tuple[str, ...]]:
    """How methods see an image.

    Returns:
        The image, as RGB where its planes are of no use; its view, None where they see it as it is; and a note where
        its profile cannot be used.
    """
    grey = image.chroma is None and image.pixels.ndim == 2
    space, problem = _space_of(image.metadata.icc, grey=grey)
    notes = () if problem is None else (problem,)
    if space is not None and image.chroma is not None:
        if space.is_near and space.has_srgb_curve:  # Display P3: a phone's photos keep their planes, and cost nothing
            space = None
        else:
            image = colour.merge_planes(image)
    fill = None
    if image.alpha is not None and image.alpha.min() == 0:
        from enhance_cli.imaging.opacity import Fill

        pixels = image.pixels
        fill = Fill(lambda place: _in_srgb(pixels[place], space), image.alpha)
    return image, None if space is None and fill is None else View(image, space, fill), notes


def as_srgb(image: Image) -> Image:
    """A companion as methods see it, whole, at its own depth."""
    image, view, _ = view_of(image)
    return image if view is None else view.whole()
