"""Decoding JPEG through libjpeg-turbo, either as RGB or as the planes that the file itself stores.

The plane path reads an image of which only luma will change: one decode gives luma and the subsampled chroma
exactly as stored, and the encoder takes them back as planes, so chroma is neither converted nor resampled.
libjpeg-turbo's plane decoder is not in its Python binding, but the same pixels are: told by an Adobe marker
that the components are R, G and B, the decoder hands them out unconverted, and with plain replication as its
upsampling every stored chroma sample can be picked out again (tests/imaging/codecs/test_jpeg.py checks both, bit
for bit, for every subsampling). What the binding refuses (CMYK, unusual sampling) goes through Pillow.
"""

from __future__ import annotations

import io
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import simplejpeg

from enhance_cli.errors import CorruptPicture, UnsupportedFormat
from enhance_cli.imaging import luma as luma_kernels
from enhance_cli.imaging.codecs.jpeg import extras
from enhance_cli.imaging.codecs.jpeg.on_card import takes
from enhance_cli.imaging.codecs.jpeg.quality import estimate_quality
from enhance_cli.imaging.codecs.jpeg.segments import JpegHeader, read_header, segments_of
from enhance_cli.imaging.metadata import orient
from enhance_cli.types import Image, JpegCoding, Metadata

if TYPE_CHECKING:
    from enhance_cli.imaging.codecs.codec import Check
    from enhance_cli.imaging.codecs.jpeg.on_card import CardDecoder
    from enhance_cli.types import Array

_SUBSAMPLING = {(1, 1): "444", (2, 1): "422", (2, 2): "420", (1, 2): "440", (4, 1): "411"}
_TURNED = {"422": "440", "440": "422", "411": "444"}
"""The subsampling after rows and columns are exchanged; 4:1:1 turned has no name, so chroma is kept in full."""

_PROGRESSIVE = (0xC2, 0xCA)  # Huffman and arithmetic coding
_ADOBE_RGB = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"  # tells that the components are R, G and B
_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"  # tells that they are Y, Cb and Cr
_END = b"\xff\xd9"
_NO_END = "Premature end of JPEG file"
_HARMLESS = (
    "Adobe color transform",
    "JFIF revision",
    "ICC marker",
    "Invalid SOS parameters",
    "bytes before marker 0xd9",
)
"""Warnings of libjpeg that do not mean lost pixels: odd headers, and stray bytes before the end marker."""


def decode(data: bytes, *, source: str, planes: bool, check: Check, card: CardDecoder | None = None) -> Image:
    """Decode a JPEG of one, three or four components, upright.

    Args:
        data: the whole file.
        source: the path, for metadata and messages.
        planes: return luma with stored chroma instead of RGB, if the file allows it.
        check: called with (height, width, 8) from the header, before decoding; may raise.
        card: decodes baseline JPEGs, as RGB also where planes are asked for; what it does not decode is decoded here.

    Returns:
        uint8, contiguous and writable; H×W for a grey JPEG, H×W luma with `chroma` on the plane path, else H×W×3.

    Raises:
        CorruptPicture: the data is truncated or damaged.
        UnsupportedFormat: 12 or 16 bits per sample, or a number of components that has no meaning.
    """
    header = read_header(data)
    name = source or "the image"
    if header.precision != 8:
        raise UnsupportedFormat(f"{name} is a JPEG of {header.precision} bits per sample; enhance reads those of 8.")
    components = len(header.sampling)
    if components not in (1, 3, 4):
        raise UnsupportedFormat(f"{name} is a JPEG of {components} components; enhance reads those of 1, 3 and 4.")
    check(header.height, header.width, 8)

    notes: list[str] = []
    orientation, carried = header.carried.upright(notes)
    found = extras.survey(data, header, carried, turned=orientation != 1)
    carried = found.carried
    notes += found.notes
    factors = chroma_factors(header)
    lane = _plane_lane(header, factors, orientation) if planes else None
    chroma: tuple[Array, Array] | None = None
    by_card = None if card is None else _decode_by(card, data, header, factors, notes)
    if by_card is not None:
        pixels = by_card[..., 0] if components == 1 else by_card
    elif components == 1:
        pixels = _decode(data, header, "GRAY", notes)[..., 0]
    elif lane is not None:
        together = _decode(_relabelled(data, _ADOBE_RGB), header, "RGB", notes, raw=True)
        pixels, *both = luma_kernels.split_ycbcr(together, *lane)
        chroma = (both[0], both[1])
    elif factors is not None:
        pixels = _decode(data, header, "RGB", notes)
    else:
        pixels = _decode_with_pillow(data, notes)
        carried = carried._replace(icc=None) if components == 4 else carried
    if orientation != 1:
        pixels = orient(pixels, orientation)
        chroma = chroma and (orient(chroma[0], orientation), orient(chroma[1], orientation))

    subsampling = _SUBSAMPLING.get(factors or (1, 1), "444")
    if orientation >= 5:
        subsampling = _TURNED.get(subsampling, subsampling)
    return Image(
        pixels,
        chroma=chroma,
        metadata=Metadata(
            source=source,
            format="jpeg",
            **carried._asdict(),
            jpeg=_coding(header, subsampling),
            trailer=found.trailer,
            lost=found.lost,
            decoded_on_card=by_card is not None,
            notes=tuple(notes),
        ),
    )


def _decode_by(
    card: CardDecoder, data: bytes, header: JpegHeader, factors: tuple[int, int] | None, notes: list[str]
) -> Array | None:
    """The pixels as a card decodes them; None where it is not asked to or does not, which is noted."""
    end = extras.picture_end(data, header.scan) if takes(header, _stores_ycbcr(header), factors is not None) else None
    if end is None:  # or cut off: the CPU's decoder tells what is missing
        return None
    pixels = card.decode(data, header, end)
    if pixels is None:
        notes.append("the card did not decode it, so the CPU did")
    return pixels


def _decode_with_pillow(data: bytes, notes: list[str]) -> Array:
    """The RGB pixels, H×W×3 uint8, of a JPEG that libjpeg-turbo's binding refuses; CMYK through its profile.

    Raises:
        CorruptPicture: the data is truncated or damaged.
    """
    from PIL.JpegImagePlugin import JpegImageFile

    from enhance_cli.imaging.codecs import pillow
    from enhance_cli.imaging.codecs.failures import decoding

    pillow.silence()
    with decoding("jpeg", "the image"), JpegImageFile(io.BytesIO(data)) as opened:
        return pillow.eight_bit(opened, notes)[0]


def _decode(data: bytes, header: JpegHeader, colorspace: str, notes: list[str], *, raw: bool = False) -> Array:
    """Decode strictly; `raw` returns the components of `_relabelled` data as stored.

    libjpeg warns about odd headers as it does about lost pixels, and reports only the first warning. So a file with a
    harmless warning is decoded again without the segments that usually cause one.
    """
    decoded: Any
    try:
        decoded = simplejpeg.decode_jpeg(data, colorspace, fastupsample=raw)
        return decoded  # type: ignore[no-any-return]
    except ValueError as error:
        if _NO_END in str(error) and header.process not in _PROGRESSIVE and not data.endswith(_END):
            decoded = _decode(data + _END, header, colorspace, notes, raw=raw)  # fails where more than that is missing
            notes.append("its end marker is missing, but none of its pixels")
            return decoded  # type: ignore[no-any-return]
        _raise_unless_harmless(error)
    plain = data if raw else _relabelled(data, _JFIF if _stores_ycbcr(header) else _ADOBE_RGB)
    try:
        decoded = simplejpeg.decode_jpeg(plain, colorspace, fastupsample=raw)
    except ValueError as error:
        _raise_unless_harmless(error)
        try:
            decoded = simplejpeg.decode_jpeg(plain, colorspace, fastupsample=raw, strict=False)
        except ValueError as worse:
            raise CorruptPicture(f"its JPEG data is damaged ({_plain(worse)})") from worse
        notes.append(f"its JPEG data is unusual ({_plain(error)}); check that the image is complete")
    return decoded  # type: ignore[no-any-return]


def _raise_unless_harmless(error: ValueError) -> None:
    if not any(text in str(error) for text in _HARMLESS):
        raise CorruptPicture(f"its JPEG data is truncated or damaged ({_plain(error)})") from error


def _plain(error: ValueError) -> str:
    """The library's message without the names of its functions."""
    return str(error).rpartition("(): ")[2].rstrip(".")


def _coding(header: JpegHeader, subsampling: Any) -> JpegCoding:
    """How the file was coded, under the subsampling that its planes have now."""
    progressive = header.process in _PROGRESSIVE
    optimised = not progressive and not _standard_huffman_tables().issuperset(header.huffman_tables)
    return JpegCoding(estimate_quality(header.luma_table), subsampling, progressive, optimised)


@cache
def _standard_huffman_tables() -> frozenset[bytes]:
    """The tables that are used when none are made for an image (ITU-T T.81, annex K.3), as libjpeg writes them."""
    plain: Any = simplejpeg.encode_jpeg(np.zeros((8, 8, 3), np.uint8), 90, "RGB", "444")
    return frozenset(read_header(plain).huffman_tables)


def chroma_factors(header: JpegHeader) -> tuple[int, int] | None:
    """Columns and rows of luma per chroma sample, for three components with a named subsampling."""
    if len(header.sampling) != 3:
        return None
    (horizontal, vertical), *chroma = header.sampling
    if chroma[0] != chroma[1] or 0 in chroma[0] or horizontal % chroma[0][0] or vertical % chroma[0][1]:
        return None
    factors = horizontal // chroma[0][0], vertical // chroma[0][1]
    return factors if factors in _SUBSAMPLING else None


def _plane_lane(header: JpegHeader, factors: tuple[int, int] | None, orientation: int) -> tuple[int, int] | None:
    """Rows and columns of luma per chroma sample, if the planes can be read and encoded again."""
    if factors is None or header.process not in (0xC0, 0xC1, 0xC2, 0xC9, 0xCA) or not _stores_ycbcr(header):
        return None
    across, down = factors
    if orientation != 1:
        # Turning an image whose last chroma sample covers half a block would shift its chroma by a pixel.
        if header.width % across or header.height % down:
            return None
        if orientation >= 5 and (down, across) not in _SUBSAMPLING:
            return None
    return down, across


def _stores_ycbcr(header: JpegHeader) -> bool:
    """Libjpeg's own rule: JFIF says YCbCr, Adobe says which, else component ids 'R','G','B' say RGB."""
    if header.jfif:
        return True
    if header.adobe_transform is not None:
        return header.adobe_transform != 0
    return header.component_ids != (ord("R"), ord("G"), ord("B"))


def _relabelled(data: bytes, label: bytes) -> bytes:
    """The same JPEG with one segment for all its application segments and comments."""
    kept: list[bytes | memoryview] = [b"\xff\xd8", label]
    whole = memoryview(data)
    for marker, start, end in segments_of(data):
        if marker == 0xDA:
            kept.append(whole[start:])
        elif not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            kept.append(whole[start:end])
    return b"".join(kept)
