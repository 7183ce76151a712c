"""The pictures that controls name for a photograph, such as masks and references: read, bounded, counted and shared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from enhance_cli.controls import Controls
from enhance_cli.engines.once import Once
from enhance_cli.imaging import codecs, colour
from enhance_cli.pipeline.files import read
from enhance_cli.types import Image, Metadata, SourceName

if TYPE_CHECKING:
    from enhance_cli.types import Array


class Beside(NamedTuple):
    """The companions of one photograph, of which only the headers have been looked at."""

    held: int
    """Bytes that decoding them takes of `--memory`."""

    decode: Callable[[], dict[str, Image]]
    """Their pictures, by what they are."""


class Companions:
    """The companions of the photographs of a run; those that serve all are decoded once. For several threads."""

    def __init__(self, controls: Controls) -> None:
        """Hold none.

        Args:
            controls: what names them.
        """
        self._controls = controls
        self._shared: Once[Image] = Once()

    def beside(self, source: SourceName, max_pixels: int = codecs.MAX_PIXELS) -> Beside:
        """Find and look at the companions of a photograph.

        Raises:
            UsageError: there is none, or no telling which.
            PictureTooLarge: one has more pixels than `max_pixels`.
            EnhanceError: one cannot be read.
        """
        held, makers = 0, {}
        for name, path in self._controls.companions(source).items():
            size, makers[name] = self._look(name, path, max_pixels)
            held += size
        return Beside(held, lambda: {name: make() for name, make in makers.items()})

    def _look(self, name: str, path: Path, max_pixels: int) -> tuple[int, Callable[[], Image]]:
        data = read(path)
        height, width, depth = codecs.announced(data, source=str(path), max_pixels=max_pixels)
        plane = name in self._controls.planes

        def decoded() -> Image:
            picture = codecs.decode(data, source=str(path), max_pixels=max_pixels)
            return _plane_of(picture) if plane else colour.to_rgb(picture)

        size = height * width * (depth // 8) * (2 if plane else 6)
        if self._controls.serves_all(name):
            return size, lambda: self._shared.get(path, decoded)
        return size, decoded


def _plane_of(picture: Image) -> Image:
    """The one plane of a mask: its opacity where that says something, else its luma."""
    from enhance_cli.imaging import luma

    plane: Array = picture.pixels
    if picture.alpha is not None and picture.alpha.min() < np.iinfo(picture.alpha.dtype).max:
        plane = picture.alpha
    elif plane.ndim == 3:
        plane = luma.luma(plane)
    return Image(plane, metadata=Metadata(source=picture.metadata.source, bit_depth=8 if plane.itemsize == 1 else 16))
