"""TIFF: samples of 8 and 16 bits, tags as EXIF, and a writer that keeps both.

The writer is here because OpenCV leaves all metadata out and Pillow knows no 16-bit colour.
"""

from __future__ import annotations

import io
import math
import zlib
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow
from PIL import TiffImagePlugin

from enhance_cli.errors import UnsupportedFormat
from enhance_cli.imaging import colour, metadata
from enhance_cli.imaging.codecs import decoders
from enhance_cli.imaging.codecs.tiff import pages as tiff_pages
from enhance_cli.imaging.metadata import EXIF_LEFT_OUT
from enhance_cli.types import Density, Image, Metadata

if TYPE_CHECKING:
    from enhance_cli.types import Array

_EXIF_TAGS = (
    *(0x010E, 0x010F, 0x0110, 0x0131, 0x0132),  # description, make ... date
    *(0x013B, 0x4746, 0x4749, 0x8298, 0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F),  # artist ... subject
)
_DESCRIPTION_TAG, _ORIENTATION_TAG, _XMP_TAG = 0x010E, 0x0112, 0x02BC
_BITS_TAG = 0x0102
_IPTC_TAG, _PHOTOSHOP_TAG = 0x83BB, 0x8649
_DENSITY_TAGS, _DENSITY_UNIT_TAG = (0x011A, 0x011B), 0x0128
_EXIF_IFD, _GPS_IFD, _INTEROP_IFD = 0x8769, 0x8825, 0xA005


def exif_of(opened: TiffImagePlugin.TiffImageFile, notes: list[str]) -> bytes | None:
    """The tags of a TIFF that describe the photograph, not the file, as an EXIF block; None where they are damaged."""
    try:
        tags = opened.getexif()
        described = tags.get(_DESCRIPTION_TAG)
        if isinstance(described, str):
            size = (opened.height, opened.width, int(opened.tag_v2.get(277, 1)))
            true = tiff_pages.true_description(described, *size)
            if true != described:
                notes.append("its description, which told of a stack of pages, was corrected or left out")
                del tags[_DESCRIPTION_TAG]
                if true:
                    tags[_DESCRIPTION_TAG] = true
        return _exif_block(tags)
    except decoders.FAILURES:
        return None  # a damaged tag is no reason to lose the picture


def exif_of_file(data: bytes) -> bytes | None:
    """The same of whatever begins as a TIFF, though its pixels be of a kind that Pillow does not know."""
    tags = Pillow.Exif()
    try:
        tags.load(data)
        return _exif_block(tags)
    except decoders.FAILURES:
        return None


def _exif_block(tags: Pillow.Exif) -> bytes | None:
    kept = Pillow.Exif()
    for tag in _EXIF_TAGS:
        if tag in tags:
            kept[tag] = tags[tag]
    for directory in (_EXIF_IFD, _GPS_IFD):
        entries = tags.get_ifd(directory)
        if entries:
            kept.get_ifd(directory).update(entries)
            kept[directory] = kept.get_ifd(directory)
    return kept.tobytes() if len(kept) else None


def iptc_of(opened: TiffImagePlugin.TiffImageFile) -> bytes | None:
    """The IPTC records of a TIFF, of their own tag or among Photoshop's resources."""
    fields = opened.tag_v2._tagdata  # the bytes as they stand, which Adobe declares to be numbers
    return metadata.iptc_of(fields.get(_IPTC_TAG, b"")) or metadata.iptc_of(fields.get(_PHOTOSHOP_TAG, b""))


def depth_of(opened: TiffImagePlugin.TiffImageFile) -> int:
    """Bits of a sample, the deepest of a pixel."""
    return max(opened.tag_v2.get(_BITS_TAG, (1,)), default=1)


def density_of(opened: TiffImagePlugin.TiffImageFile) -> Density | None:
    """The density of a TIFF, where one is given."""
    try:
        across, down = (float(opened.tag_v2.get(tag, 0)) for tag in _DENSITY_TAGS)
    except decoders.FAILURES:
        return None  # a damaged tag is no reason to lose the picture
    unit = opened.tag_v2.get(_DENSITY_UNIT_TAG, 2)
    if not (0 < across < math.inf and 0 < down < math.inf) or (unit == 1 and across == down):
        return None
    inches = 2.54 if unit == 3 else 1
    return Density(across * inches, down * inches, "none" if unit == 1 else "inch")


def samples_of(
    opened: TiffImagePlugin.TiffImageFile, data: bytes, name: str, notes: list[str]
) -> tuple[Array, Array | None]:
    """Colours and alpha at the depth of the file, upright: both decoders turn them by the tag, we by XMP without one.

    Raises:
        UnsupportedFormat: a kind of samples that is not read; the sentence says which.
    """
    if _ORIENTATION_TAG in opened.tag_v2:
        return _samples(opened, data, name, notes)
    opened.getexif()[_ORIENTATION_TAG] = 1  # Pillow looks for XMP too, but knows few of its spellings
    orientation = metadata.orientation_of_xmp(_bytes_of(opened.tag_v2, _XMP_TAG))
    colours, alpha = _samples(opened, data, name, notes)
    return metadata.orient(colours, orientation), None if alpha is None else metadata.orient(alpha, orientation)


def _samples(
    opened: TiffImagePlugin.TiffImageFile, data: bytes, name: str, notes: list[str]
) -> tuple[Array, Array | None]:
    tags = opened.tag_v2
    depth = max(tags.get(258, (1,)))
    if depth > 16 or max(tags.get(339, (1,))) > 1:
        raise UnsupportedFormat(decoders.odd_samples(name))
    extra = tags.get(338, ())
    if depth <= 8:
        if extra and extra[0] == 0 and len(opened.getbands()) == 3:
            notes.append("an extra channel of unknown meaning was left out")
        return decoders.eight_bit(opened, notes)
    photometric, channels = tags.get(262, 1), tags.get(277, 1)
    if depth == 12 and channels == 1:  # Pillow unpacks them, and turns the picture
        packed = decoders.spread(np.array(opened).astype(np.uint16), 4095)
        return (65535 - packed if photometric == 0 else packed), None
    if depth != 16 or photometric not in (0, 1, 2) or channels not in (1, 3, 4):
        raise UnsupportedFormat(f"{name} is a TIFF of {channels} channels of {depth} bits; {tiff_pages.READ}.")
    samples = decoders.sixteen_bit(data)
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


def _bytes_of(tags: TiffImagePlugin.ImageFileDirectory_v2, tag: int) -> bytes | None:
    value = tags.get(tag)
    return bytes(value) if isinstance(value, bytes | tuple) else None


class FloatFile:
    """A page of floating-point samples, which OpenCV reads and Pillow mostly does not (`decoders.PictureFile`)."""

    def __init__(self, data: bytes, name: str, page: tiff_pages.Page) -> None:
        self.data, self.name = data, name
        self.height, self.width, self.depth = page.value(257), page.value(256), 32
        self.inverted = page.value(262, 1) == 0
        self.extra = page.tags.get(338, ())

    def read(self, notes: list[str]) -> decoders.Held:
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
        packet = _bytes_of(tags, _XMP_TAG)
        if _ORIENTATION_TAG not in tags:  # by the tag OpenCV turns them itself
            whole = metadata.orient(whole, metadata.orientation_of_xmp(packet))
        notes.append("its floating-point samples were read as 16 bits, 0 as black and 1 as white")
        carried = metadata.Carried(_bytes_of(tags, 34675), exif_of_file(self.data), packet)
        if whole.ndim == 2:
            return decoders.Held(65535 - whole if self.inverted else whole, None, carried)
        colours = np.ascontiguousarray(whole[..., 2::-1])
        if whole.shape[2] == 3:
            return decoders.Held(colours, None, carried)
        if self.extra[:1] != (2,):
            notes.append("an extra channel of unknown meaning was left out")
            return decoders.Held(colours, None, carried)
        return decoders.Held(colours, np.ascontiguousarray(whole[..., 3]), carried)

    def _tags(self) -> TiffImagePlugin.ImageFileDirectory_v2:
        file = io.BytesIO(self.data)
        tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(16 if self.data[2:4] in (b"+\0", b"\0+") else 8))
        file.seek(tags.next or 0)
        tags.load(file)
        return tags


# --- writing -----------------------------------------------------------------------------------------------


_STRIP_BYTES = 2**20


def encode(image: Image) -> tuple[bytes, tuple[str, ...]]:
    """Deflate with horizontal differences, at either depth, with EXIF in directories of its own."""
    notes: tuple[str, ...] = ()
    if image.alpha is not None and image.pixels.ndim == 2 and image.pixels.dtype == np.uint16:
        image, notes = colour.grey_as_rgb(image)
    samples = colour.interleaved(image).reshape(image.height, image.width, -1)
    rows = max(1, _STRIP_BYTES // (samples.shape[1] * samples.shape[2] * samples.itemsize))
    strips = [_strip(samples[top : top + rows]) for top in range(0, image.height, rows)]
    packed = io.BytesIO()
    try:
        _image_directory(samples, rows, strips, image.metadata).save(packed)
    except decoders.FAILURES:
        packed = io.BytesIO()
        _image_directory(samples, rows, strips, replace(image.metadata, exif=None)).save(packed)
        notes += (EXIF_LEFT_OUT,)
    for strip in strips:
        packed.write(strip)
    return packed.getvalue(), notes


def _image_directory(
    samples: Array, rows: int, strips: list[bytes], meta: Metadata
) -> TiffImagePlugin.ImageFileDirectory_v2:
    """The directory of a picture whose strips follow it immediately."""
    height, width, channels = samples.shape
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    _put_exif(directory, meta.exif)
    starts = np.cumsum([0, *(len(strip) for strip in strips[:-1])])
    shorts: dict[int, Any] = {
        258: (8 * samples.itemsize,) * channels,
        259: 8,  # deflate
        262: 1 if channels < 3 else 2,  # grey or RGB
        274: 1,  # upright
        277: channels,
        284: 1,  # interleaved
        317: 2,  # horizontal differences
        339: (1,) * channels,  # unsigned integers
    }
    if channels in (2, 4):
        shorts[338] = 2  # alpha, not multiplied into the colours
    longs: dict[int, Any] = {
        256: width,
        257: height,
        273: tuple(int(start) for start in starts),  # Pillow adds the directory's own length
        278: rows,
        279: tuple(len(strip) for strip in strips),
    }
    blocks: dict[int, Any] = {34675: (7, meta.icc), 700: (1, meta.xmp), _IPTC_TAG: (7, meta.iptc)}
    if meta.density is not None:
        across, down = (Fraction(value).limit_denominator(10_000) for value in meta.density[:2])
        unit = 2 if meta.density.unit == "inch" else 1
        blocks |= {_DENSITY_TAGS[0]: (5, across), _DENSITY_TAGS[1]: (5, down), _DENSITY_UNIT_TAG: (3, unit)}
    for tag, kind, value in (
        *((tag, 3, value) for tag, value in shorts.items()),
        *((tag, 4, value) for tag, value in longs.items()),
        *((tag, kind, value) for tag, (kind, value) in blocks.items() if value),
    ):
        directory.tagtype[tag] = kind
        directory[tag] = value
    return directory


def _strip(samples: Array) -> bytes:
    differences = samples.astype(samples.dtype.newbyteorder("<"))
    differences[:, 1:] -= samples[:, :-1]
    return zlib.compress(differences.data, 6)


def _put_exif(directory: TiffImagePlugin.ImageFileDirectory_v2, block: bytes | None) -> None:
    if block is None:
        return
    exif = Pillow.Exif()
    exif.load(block)
    for tag in (*_EXIF_TAGS, *_DENSITY_TAGS, _DENSITY_UNIT_TAG):
        if tag in exif:
            directory[tag] = exif[tag]
    for tag in (_EXIF_IFD, _GPS_IFD):
        entries = dict(exif.get_ifd(tag))
        if _INTEROP_IFD in entries:
            entries[_INTEROP_IFD] = exif.get_ifd(_INTEROP_IFD)
        if entries:
            directory.tagtype[tag] = 4
            directory[tag] = entries
