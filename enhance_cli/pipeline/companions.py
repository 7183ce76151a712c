"""Companion images that controls name for a photo, such as masks and references: found, read, limited and shared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from enhance_cli.controls import Controls
from enhance_cli.engines.once import Once
from enhance_cli.imaging import codecs, colour
from enhance_cli.imaging.view import as_srgb
from enhance_cli.pipeline.files import read
from enhance_cli.types import Image, Metadata, SourceName

if TYPE_CHECKING:
    from enhance_cli.types import Array


class HandedOver(Mapping[str, Image]):
    """Companions of a large photo: each is held until it is requested, and then belongs to the caller.

    A method converts a mask at once, and a mask as large as its photo must not stay in memory in addition.
    """

    def __init__(self, pictures: Mapping[str, Image]) -> None:
        """Take over images that no one else references."""
        self._pictures = dict(pictures)

    def __getitem__(self, name: str) -> Image:
        return self._pictures.pop(name)

    def __contains__(self, name: object) -> bool:
        return name in self._pictures

    def __iter__(self) -> Iterator[str]:
        return iter(self._pictures)

    def __len__(self) -> int:
        return len(self._pictures)


class _Found(NamedTuple):
    """A companion that can be decoded."""

    decode: Callable[[], Image]
    shared: Callable[[], Image]
    """Its image, if one companion serves all photos and was decoded once for them."""


class Beside(NamedTuple):
    """The companions of one photo, of which only the headers have been read."""

    held: int
    """Bytes of `--memory` that decoding them takes."""

    found: Mapping[str, _Found]

    def decode(self) -> Mapping[str, Image]:
        """Their images as methods see them, by role."""
        return {name: one.shared() for name, one in self.found.items()}

    def hand_over(self) -> HandedOver:
        """The same for a large photo: decoded for it alone, which takes little time compared with its own decoding, and
        not shared.
        """
        return HandedOver({name: one.decode() for name, one in self.found.items()})


class Companions:
    """The companions of the photos of a run; those that serve all are decoded once. Thread-safe."""

    def __init__(self, controls: Controls) -> None:
        """Start with none.

        Args:
            controls: the controls that name them.
        """
        self._controls = controls
        self._shared: Once[Image] = Once()

    def beside(self, source: SourceName, max_pixels: int = codecs.MAX_PIXELS) -> Beside:
        """Find the companions of a photo and read their headers.

        Raises:
            UsageError: there is none, or more than one fits.
            PictureTooLarge: one has more pixels than `max_pixels`.
            EnhanceError: one cannot be read.
        """
        held, found = 0, {}
        for name, path in self._controls.companions(source).items():
            size, found[name] = self._look(name, path, max_pixels)
            held += size
        return Beside(held, found)

    def _look(self, name: str, path: Path, max_pixels: int) -> tuple[int, _Found]:
        data = read(path)
        height, width, depth = codecs.announced(data, source=str(path), max_pixels=max_pixels)
        plane = name in self._controls.planes

        def decoded() -> Image:
            picture = codecs.decode(data, source=str(path), max_pixels=max_pixels)
            return as_srgb(_plane_of(picture) if plane else colour.to_rgb(picture))

        def shared() -> Image:
            return self._shared.get(path, decoded)

        size = height * width * (depth // 8) * (2 if plane else 6)
        return size, _Found(decoded, shared if self._controls.serves_all(name) else decoded)


def _plane_of(picture: Image) -> Image:
    """The plane of a mask: its opacity if that is not constant, else its luma."""
    from enhance_cli.imaging import luma

    plane: Array = picture.pixels
    if picture.alpha is not None and picture.alpha.min() < np.iinfo(picture.alpha.dtype).max:
        plane = picture.alpha
    elif plane.ndim == 3:
        plane = luma.luma(plane)
    return Image(plane, metadata=Metadata(source=picture.metadata.source, bit_depth=8 if plane.itemsize == 1 else 16))
