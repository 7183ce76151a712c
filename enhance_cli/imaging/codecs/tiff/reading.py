"""The pixels of a TIFF, at 8 and 16 bits: which page, which decoder, and what that page's samples mean."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import TiffImagePlugin

from enhance_cli.errors import UnsupportedFormat
from enhance_cli.imaging import metadata
from enhance_cli.imaging.codecs import pillow
from enhance_cli.imaging.codecs.codec import Held, PictureFile
from enhance_cli.imaging.codecs.failures import FAILURES
from enhance_cli.imaging.codecs.lost import FIRST_FRAME
from enhance_cli.imaging.codecs.samples import odd_samples, sixteen_bit, spread
from enhance_cli.imaging.codecs.tiff import pages, tags
from enhance_cli.imaging.codecs.tiff.tags import ICC_TAG, ORIENTATION_TAG, XMP_TAG, bytes_of, exif_of_file

if TYPE_CHECKING:
    from enhance_cli.types import Array


class TiffFile:
    """A TIFF, of whose pages the first that is no thumbnail is read (`codec.PictureFile`)."""

    def __init__(self, data: bytes, name: str) -> None:
        self.layout = pages.layout(data)
        self.file: PictureFile
        if self.layout is not None:
            kind = pages.refusal(self.layout.picture)
            if kind is not None:
                raise UnsupportedFormat(f"{name} is a TIFF {kind}; {pages.READ}.")
            if not self.layout.first:
                data = pages.beginning_with(data, self.layout.picture)
        self.name, self.magic = name, data[:4]
        with self._naming_the_coding():
            if self.layout is not None and self.layout.picture.is_float:
                self.file = _FloatFile(data, name, self.layout.picture)
            else:
                self.file = _opened(data, name)
        self.height, self.width, self.depth = self.file.height, self.file.width, self.file.depth

    def read(self, notes: list[str]) -> Held:
        """Decode the page."""
        with self._naming_the_coding():
            held = self.file.read(notes)
        if self.layout is None:
            return held
        if not self.layout.first:
            notes.append("its first page is a thumbnail: the first full page was enhanced")
        elif self.layout.copies:
            notes.append("smaller copies of the image inside were left out")
        if not self.layout.others:
            return held
        notes.append(FIRST_FRAME)
        pages = "a further page" if self.layout.others == 1 else f"{self.layout.others} further pages"
        return held._replace(lost=(*held.lost, pages))

    @contextmanager
    def _naming_the_coding(self) -> Iterator[None]:
        """Say of a page that is not decoded how it is coded, where that is in a way that not every decoder knows."""
        try:
            yield
        except FAILURES as error:
            why = None if self.layout is None else pages.unread_coding(self.layout.picture, self.magic)
            if why is None:
                raise
            raise UnsupportedFormat(f"{self.name} is a TIFF {why}; save it with LZW or ZIP compression.") from error


def _opened(data: bytes, name: str) -> pillow.PillowFile:
    """A file whose first page has samples of whole numbers."""
    opened = TiffImagePlugin.TiffImageFile(io.BytesIO(data))

    def carried(notes: list[str]) -> metadata.Carried:
        exif, iptc, density = tags.exif_of(opened, notes), tags.iptc_of(opened), tags.density_of(opened)
        return pillow.blocks(opened)._replace(exif=exif, iptc=iptc, density=density)

    return pillow.PillowFile(
        opened,
        name,
        depth=16 if tags.depth_of(opened) > 8 else 8,
        frames=False,  # `TiffFile` knows the pages
        carried=carried,
        samples=lambda notes: _upright_samples(opened, data, name, notes),
    )


def _upright_samples(
    opened: TiffImagePlugin.TiffImageFile, data: bytes, name: str, notes: list[str]
) -> tuple[Array, Array | None]:
    """Colours and alpha at the depth of the file, upright: both decoders turn them by the tag, we by XMP without one.

    Raises:
        UnsupportedFormat: a kind of samples that is not read; the sentence says which.
    """
    if ORIENTATION_TAG in opened.tag_v2:
        return _samples(opened, data, name, notes)
    opened.getexif()[ORIENTATION_TAG] = 1  # Pillow looks for XMP too, but knows few of its spellings
    orientation = metadata.orientation_of_xmp(bytes_of(opened.tag_v2, XMP_TAG))
    colours, alpha = _samples(opened, data, name, notes)
    return metadata.orient(colours, orientation), None if alpha is None else metadata.orient(alpha, orientation)


def _samples(
    opened: TiffImagePlugin.TiffImageFile, data: bytes, name: str, notes: list[str]
) -> tuple[Array, Array | None]:
    tags = opened.tag_v2
    depth = max(tags.get(258, (1,)))
    if depth > 16 or max(tags.get(339, (1,))) > 1:
        raise UnsupportedFormat(odd_samples(name))
    extra = tags.get(338, ())
    if depth <= 8:
        if extra and extra[0] == 0 and len(opened.getbands()) == 3:
            notes.append("an extra channel of unknown meaning was left out")
        return pillow.eight_bit(opened, notes)
    photometric, channels = tags.get(262, 1), tags.get(277, 1)
    if depth == 12 and channels == 1:  # Pillow unpacks them, and turns the image
        packed = spread(np.array(opened).astype(np.uint16), 4095)
        return (65535 - packed if photometric == 0 else packed), None
    if depth != 16 or photometric not in (0, 1, 2) or channels not in (1, 3, 4):
        raise UnsupportedFormat(f"{name} is a TIFF of {channels} channels of {depth} bits; {pages.READ}.")
    samples = sixteen_bit(data)
    expected = (opened.height, opened.width) if channels == 1 else (opened.height, opened.width, channels)
    if samples.shape != expected:
        raise ValueError("its pixels do not fit its header")
    if photometric == 0:
        return 65535 - samples, None  # OpenCV leaves white as zero
    if channels != 4:
        return samples, None
    colours, alpha = np.ascontiguousarray(samples[..., :3]), np.ascontiguousarray(samples[..., 3])
    if extra and extra[0] == 0:
        notes.append("an extra channel of unknown meaning was left out")
        return colours, None
    if extra and extra[0] == 1:  # colours were multiplied by alpha
        wide = colours.astype(np.uint64) * 65535 // np.maximum(alpha, 1)[..., None]
        colours = np.minimum(wide, 65535).astype(np.uint16)
    return colours, alpha


class _FloatFile:
    """A page of floating-point samples, which OpenCV reads and Pillow mostly does not (`codec.PictureFile`)."""

    def __init__(self, data: bytes, name: str, page: pages.Page) -> None:
        self.data, self.name = data, name
        self.height, self.width, self.depth = page.value(257), page.value(256), 32
        self.inverted = page.value(262, 1) == 0
        self.extra = page.tags.get(338, ())

    def read(self, notes: list[str]) -> Held:
        """Decode samples of 0 to 1, black to white, as 16 bits.

        Raises:
            UnsupportedFormat: samples lie outside of 0 to 1.
        """
        import cv2

        samples: Any = cv2.imdecode(np.frombuffer(self.data, np.uint8), cv2.IMREAD_UNCHANGED)
        if samples is None or samples.dtype.kind != "f":
            raise ValueError("its floating-point samples cannot be decoded")
        low, high = float(samples.min()), float(samples.max())
        if not (low >= 0 and high <= 1):
            raise UnsupportedFormat(
                f"{self.name} is a TIFF of floating-point samples from {low:g} to {high:g}; enhance reads those of 0 "
                "(black) to 1 (white), so scale them or save it as 16-bit TIFF."
            )
        whole = (samples * 65535 + 0.5).astype(np.uint16)
        tags = self._tags()
        packet = bytes_of(tags, XMP_TAG)
        if ORIENTATION_TAG not in tags:  # by the tag OpenCV turns them itself
            whole = metadata.orient(whole, metadata.orientation_of_xmp(packet))
        notes.append("its floating-point samples were read as 16 bits, 0 as black and 1 as white")
        carried = metadata.Carried(bytes_of(tags, ICC_TAG), exif_of_file(self.data), packet)
        if whole.ndim == 2:
            return Held(65535 - whole if self.inverted else whole, None, carried)
        colours = np.ascontiguousarray(whole[..., 2::-1])
        if whole.shape[2] == 3:
            return Held(colours, None, carried)
        if self.extra[:1] != (2,):
            notes.append("an extra channel of unknown meaning was left out")
            return Held(colours, None, carried)
        return Held(colours, np.ascontiguousarray(whole[..., 3]), carried)

    def _tags(self) -> TiffImagePlugin.ImageFileDirectory_v2:
        file = io.BytesIO(self.data)
        tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(16 if self.data[2:4] in (b"+\0", b"\0+") else 8))
        file.seek(tags.next or 0)
        tags.load(file)
        return tags
