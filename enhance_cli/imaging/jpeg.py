"""JPEG through libjpeg-turbo, either as RGB or as the planes that the file itself stores.

The plane lane reads a picture whose luma alone will change: one decode gives luma and the subsampled chroma
exactly as stored, and the encoder takes them back as planes, so chroma is neither converted nor resampled.
libjpeg-turbo's plane decoder is not in its Python binding, but the same pixels are: told by an Adobe marker
that the components are R, G and B, the decoder hands them out unconverted, and with plain replication as its
upsampling every stored chroma sample can be picked out again (tests/imaging/test_jpeg.py checks both, bit
for bit, for every subsampling).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import simplejpeg

from enhance_cli.errors import CorruptPicture
from enhance_cli.imaging import luma as luma_kernels
from enhance_cli.imaging.metadata import (
    JpegHeader,
    jpeg_segments,
    jpeg_with_metadata,
    orient,
    read_jpeg_header,
    upright_exif,
)
from enhance_cli.types import Image, JpegCoding, Metadata

if TYPE_CHECKING:
    from enhance_cli.types import Array

DEFAULT_QUALITY = 95

_SUBSAMPLING = {(1, 1): "444", (2, 1): "422", (2, 2): "420", (1, 2): "440", (4, 1): "411"}
# The first row of the IJG luma table at quality 50 in zigzag order, enough to invert the quality's scale.
_IJG_LUMA = (16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40)
_ADOBE_RGB = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"


def decode(data: bytes, *, source: str = "", planes: bool = False) -> Image:
    """Decode a JPEG of one or three components, upright.

    Args:
        data: the whole file.
        source: the path, for the metadata.
        planes: hand out luma with stored chroma instead of RGB, where the file allows it.

    Returns:
        uint8; H×W for a grey JPEG, H×W luma with `chroma` on the plane lane, else H×W×3.

    Raises:
        CorruptPicture: the data is truncated or damaged.
    """
    header = read_jpeg_header(data)
    orientation, exif = upright_exif(header.exif)
    subsampling = _subsampling(header)
    metadata = Metadata(
        source=source,
        format="jpeg",
        icc=header.icc,
        exif=exif,
        xmp=header.xmp,
        jpeg=JpegCoding(estimate_quality(header.luma_table), subsampling or "444"),  # type: ignore[arg-type]
    )
    if len(header.sampling) == 1:
        grey = _decode(data, "GRAY")[..., 0]
        return Image(orient(grey, orientation), metadata=metadata)
    if planes and subsampling is not None and _stores_ycbcr(header):
        horizontal, vertical = header.sampling[0]
        # Turning a picture whose last chroma sample covers half a block would shift its chroma by a pixel.
        whole_blocks = header.width % horizontal == 0 and header.height % vertical == 0
        if orientation == 1 or whole_blocks:
            components = _decode(_unconverted(data), "RGB", fastupsample=True)
            luma, cb, cr = luma_kernels.split_ycbcr(components, vertical, horizontal)
            if orientation != 1:
                luma, cb, cr = (orient(plane, orientation) for plane in (luma, cb, cr))
            return Image(luma, chroma=(cb, cr), metadata=metadata)
    rgb = _decode(data, "RGB")
    return Image(rgb if orientation == 1 else orient(rgb, orientation), metadata=metadata)


def encode(image: Image, *, quality: int | None = None) -> bytes:
    """Encode 8-bit grey, RGB or planes; quality and subsampling follow the source unless given.

    Raises:
        ValueError: the picture is not 8-bit.
    """
    coding = image.metadata.jpeg or JpegCoding(DEFAULT_QUALITY, "444")
    quality = quality or coding.quality
    pixels = image.pixels
    if image.chroma is not None or pixels.ndim == 2:
        cb, cr = image.chroma or (None, None)
        coded = simplejpeg.encode_jpeg_yuv_planes(pixels, cb, cr, quality=quality)
    else:
        coded = simplejpeg.encode_jpeg(pixels, quality=quality, colorspace="RGB", colorsubsampling=coding.subsampling)
    meta = image.metadata
    return jpeg_with_metadata(coded, exif=meta.exif, xmp=meta.xmp, icc=meta.icc)


def estimate_quality(luma_table: tuple[int, ...] | None) -> int:
    """The IJG quality whose luma table lies nearest to this one (sum of absolute differences)."""
    if luma_table is None:
        return DEFAULT_QUALITY

    def distance(quality: int) -> int:
        scale = 5000 // quality if quality < 50 else 200 - 2 * quality
        table = (max(1, min(255, (base * scale + 50) // 100)) for base in _IJG_LUMA)
        return sum(abs(mine - theirs) for mine, theirs in zip(table, luma_table, strict=False))

    return min(range(100, 0, -1), key=distance)


def _decode(data: bytes, colorspace: str, *, fastupsample: bool = False) -> Array:
    try:
        decoded: Any = simplejpeg.decode_jpeg(data, colorspace, fastupsample=fastupsample)
    except ValueError as error:
        raise CorruptPicture(f"its JPEG data is damaged ({error})") from error
    return decoded  # type: ignore[no-any-return]


def _subsampling(header: JpegHeader) -> str | None:
    """J:a:b of a three-component JPEG whose chroma planes are sampled once per block; else None."""
    if len(header.sampling) != 3 or header.sampling[1:] != ((1, 1), (1, 1)):
        return None
    return _SUBSAMPLING.get(header.sampling[0])


def _stores_ycbcr(header: JpegHeader) -> bool:
    """Libjpeg's own rule: JFIF says YCbCr, Adobe says which, else component ids 'R','G','B' say RGB."""
    if header.jfif:
        return True
    if header.adobe_transform is not None:
        return header.adobe_transform == 1
    return header.component_ids != (ord("R"), ord("G"), ord("B"))


def _unconverted(data: bytes) -> bytes:
    """The same JPEG with its application segments replaced by one that calls the components R, G and B."""
    kept = [b"\xff\xd8", _ADOBE_RGB]
    for marker, start, end in jpeg_segments(data):
        if marker == 0xDA:
            kept.append(data[start:])
        elif not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            kept.append(data[start:end])
    return b"".join(kept)
