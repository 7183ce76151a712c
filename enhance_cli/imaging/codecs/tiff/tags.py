"""The tags of a TIFF that describe the photo: EXIF, IPTC, density and depth, as Pillow reads them."""

from __future__ import annotations

import math

from PIL import Image as Pillow
from PIL import TiffImagePlugin

from enhance_cli.imaging import metadata
from enhance_cli.imaging.codecs.failures import FAILURES
from enhance_cli.imaging.codecs.tiff import pages
from enhance_cli.types import Density

EXIF_TAGS = (
    *(0x010E, 0x010F, 0x0110, 0x0131, 0x0132),  # description, make ... date
    *(0x013B, 0x4746, 0x4749, 0x8298, 0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F),  # artist ... subject
)
ORIENTATION_TAG, XMP_TAG, ICC_TAG, IPTC_TAG = 0x0112, 0x02BC, 0x8773, 0x83BB
DENSITY_TAGS, DENSITY_UNIT_TAG = (0x011A, 0x011B), 0x0128
EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x8769, 0x8825, 0xA005
_DESCRIPTION_TAG, _BITS_TAG, _PHOTOSHOP_TAG = 0x010E, 0x0102, 0x8649


def exif_of(opened: TiffImagePlugin.TiffImageFile, notes: list[str]) -> bytes | None:
    """The tags of a TIFF that describe the photo, not the file, as an EXIF block; None where they are damaged."""
    try:
        tags = opened.getexif()
        described = tags.get(_DESCRIPTION_TAG)
        if isinstance(described, str):
            size = (opened.height, opened.width, int(opened.tag_v2.get(277, 1)))
            true = pages.true_description(described, *size)
            if true != described:
                notes.append("its description, which told of a stack of pages, was corrected or left out")
                del tags[_DESCRIPTION_TAG]
                if true:
                    tags[_DESCRIPTION_TAG] = true
        return _exif_block(tags)
    except FAILURES:
        return None  # a damaged tag is no reason to lose the image


def exif_of_file(data: bytes) -> bytes | None:
    """The same of whatever begins as a TIFF, though its pixels be of a kind that Pillow does not know."""
    tags = Pillow.Exif()
    try:
        tags.load(data)
        return _exif_block(tags)
    except FAILURES:
        return None


def _exif_block(tags: Pillow.Exif) -> bytes | None:
    kept = Pillow.Exif()
    for tag in EXIF_TAGS:
        if tag in tags:
            kept[tag] = tags[tag]
    for directory in (EXIF_IFD, GPS_IFD):
        entries = tags.get_ifd(directory)
        if entries:
            kept.get_ifd(directory).update(entries)
            kept[directory] = kept.get_ifd(directory)
    return kept.tobytes() if len(kept) else None


def iptc_of(opened: TiffImagePlugin.TiffImageFile) -> bytes | None:
    """The IPTC records of a TIFF, of their own tag or among Photoshop's resources."""
    fields = opened.tag_v2._tagdata  # the bytes as they stand, which Adobe declares to be numbers
    return metadata.iptc_of(fields.get(IPTC_TAG, b"")) or metadata.iptc_of(fields.get(_PHOTOSHOP_TAG, b""))


def depth_of(opened: TiffImagePlugin.TiffImageFile) -> int:
    """Bits of a sample, the deepest of a pixel."""
    return max(opened.tag_v2.get(_BITS_TAG, (1,)), default=1)


def density_of(opened: TiffImagePlugin.TiffImageFile) -> Density | None:
    """The density of a TIFF, where one is given."""
    try:
        across, down = (float(opened.tag_v2.get(tag, 0)) for tag in DENSITY_TAGS)
    except FAILURES:
        return None  # a damaged tag is no reason to lose the image
    unit = opened.tag_v2.get(DENSITY_UNIT_TAG, 2)
    if not (0 < across < math.inf and 0 < down < math.inf) or (unit == 1 and across == down):
        return None
    inches = 2.54 if unit == 3 else 1
    return Density(across * inches, down * inches, "none" if unit == 1 else "inch")


def bytes_of(tags: TiffImagePlugin.ImageFileDirectory_v2, tag: int) -> bytes | None:
    """The bytes of a tag, None where it is absent or holds something else."""
    value = tags.get(tag)
    return bytes(value) if isinstance(value, bytes | tuple) else None
