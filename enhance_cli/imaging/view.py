"""Converts an image to the form that methods see, and back: sRGB, with the hidden parts of transparent images filled
and the flat dark blocks of JPEGs smoothed.

Both conversions are done window by window, so that an image in another colour space needs no copy while it is
rendered. Images that need none of it have no view and cost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from enhance_cli.imaging import colour

if TYPE_CHECKING:
    from enhance_cli.imaging.dark_blocks import DarkBlocks
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

    blocks: DarkBlocks | None = None
    """None where there are hardly any."""

    def window(self, pixels: Array, place: tuple[slice, slice]) -> Array:
        """What methods see of a part of it, uint16 where it comes from another colour space or has dark blocks.

        Args:
            pixels: the part as it is stored.
            place: where it lies.
        """
        pixels = _in_srgb(self._smoothed(pixels, place), self.space)
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
        smoothed = seen if self.space is None else self._smoothed(pixels, place)
        if self.space is not None:
            rendered = self.space.from_srgb(smoothed, seen, rendered)
        if self.blocks is not None:
            rendered = self.blocks.back(pixels, smoothed, rendered)
        if self.fill is not None:
            assert self.image.alpha is not None
            hidden = self.image.alpha[place] == 0
            rendered = np.where(hidden if pixels.ndim == 2 else hidden[..., None], pixels, rendered)
        return rendered

    def of_result(self, image: Image) -> View:
        """How what became of the image is seen: its blocks were smoothed already."""
        return View(image, self.space, self.fill)

    def _smoothed(self, pixels: Array, place: tuple[slice, slice]) -> Array:
        return pixels if self.blocks is None else self.blocks.smooth(pixels, place)


def _in_srgb(pixels: Array, space: Space | None) -> Array:
    return pixels if space is None else space.to_srgb(pixels)


def _space_of(icc: bytes | None, *, grey: bool) -> tuple[Space | None, str | None]:
    """As `working_space.space_of`, which is loaded for images with a profile."""
    if icc is None:
        return None, None
    from enhance_cli.imaging.working_space import space_of

    return space_of(icc, grey=grey)


def _dark_blocks_of(image: Image) -> DarkBlocks | None:
    """Those of a JPEG in RGB. One that is seen in its planes is left as it is: see `Recipe.reads_planes`."""
    if image.metadata.jpeg is None or image.pixels.ndim == 2 or image.pixels.dtype != np.uint8:
        return None
    from enhance_cli.imaging.dark_blocks import DarkBlocks

    return DarkBlocks.of(image.pixels)


def view_of(image: Image, *, smooth: bool = False) -> tuple[Image, View | None, tuple[str, ...]]:
    """How methods see an image.

    Args:
        image: as it is stored.
        smooth: whether the flat dark blocks of a JPEG are smoothed.

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
    blocks = _dark_blocks_of(image) if smooth else None
    seen_otherwise = space is not None or fill is not None or blocks is not None
    return image, View(image, space, fill, blocks) if seen_otherwise else None, notes


def as_srgb(image: Image) -> Image:
    """A companion as methods see it, whole, at its own depth."""
    image, view, _ = view_of(image)
    return image if view is None else view.whole()
