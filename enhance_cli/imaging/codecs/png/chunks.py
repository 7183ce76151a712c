"""The chunks of a PNG, taken apart and put back. No pixels."""

from __future__ import annotations

import math
import struct
import zlib
from typing import NamedTuple, cast

import numpy as np

from enhance_cli.errors import CorruptPicture, UnsupportedFormat
from enhance_cli.imaging import profiles
from enhance_cli.imaging.metadata import EXIF_PREFIX, Carried, iptc_of, photoshop_resource
from enhance_cli.imaging.profiles import Cicp
from enhance_cli.types import Density, Metadata

_PROFILE_LIMIT = 64 * 2**20  # a compressed chunk may swell to gigabytes; no profile or XMP is this large
_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_RAW_PROFILE = b"Raw profile type "
_METRES = 0.0254  # in an inch


class Colours(NamedTuple):
    """The chunks that name the colour space where there is no profile, the first to be there counting."""

    cicp: Cicp | None = None
    srgb: bool = False
    gamma: float | None = None
    """The exponent from samples to light: one over that of gAMA."""

    chromaticities: profiles.Chromaticities | None = None

    def icc(self, notes: list[str]) -> bytes | None:
        """The same as a profile; None where it is sRGB, or as good as that."""
        if self.cicp is not None:
            return profiles.icc_of_cicp(self.cicp, notes)
        chromaticities = self.chromaticities or profiles.BT709
        usual = math.isclose(self.gamma or 2.2, 2.2, abs_tol=0.03)
        if self.srgb or (usual and np.allclose(chromaticities, profiles.BT709, atol=0.003)):
            return None
        curve = profiles.SRGB_CURVE if self.gamma is None else (self.gamma,)
        return profiles.icc_profile("gAMA and cHRM", chromaticities, curve)


class PngParts(NamedTuple):
    """A PNG taken apart: what its chunks say, and the file without all that is not pixels."""

    height: int
    width: int
    depth: int
    """Bits of a sample: 1, 2, 4, 8 or 16."""

    colour_type: int
    """0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGB with alpha."""

    transparent: tuple[int, ...] | None
    """The one transparent colour (tRNS) of a grey or RGB image."""

    bare: bytes
    """The file with only IHDR, PLTE, tRNS, IDAT and IEND, each whole, so that no decoder stumbles over the others."""

    carried: Carried
    animated: bool
    signed: bool
    """Whether a C2PA signature is there."""

    behind: int
    """Bytes behind the end chunk."""

    colours: Colours


def take_apart(data: bytes, name: str = "") -> PngParts:
    """Take a PNG apart.

    Damaged metadata is dropped; what follows the end chunk is ignored.

    Raises:
        UnsupportedFormat: it is of Apple's own kind.
        CorruptPicture: the header is no header, or a chunk that holds pixels is cut short or fails its checksum.
    """
    if data[12:16] == b"CgBI":
        raise UnsupportedFormat(
            f"{name or 'the image'} is an Apple-specific PNG (CgBI, made for an app); convert it with `pngcrush "
            "-revert-iphone-optimizations` or open and save it on a Mac."
        )
    if data[12:16] != b"IHDR" or len(data) < 33:
        raise CorruptPicture("its PNG header is damaged")
    width, height, depth, colour_type = struct.unpack_from(">IIBB", data, 16)
    whole = memoryview(data)
    kept = [whole[:8]]
    carried = Carried()
    colours = Colours()
    transparent: tuple[int, ...] | None = None
    animated = signed = False
    position, behind = 8, 0
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        end = position + 12 + length
        if end > len(data):
            if kind in _PIXELS:
                raise CorruptPicture(f"its PNG data ends within {kind.decode()}")
            break
        sound = zlib.crc32(whole[position + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big")
        if kind in _PIXELS:
            if not sound:
                raise CorruptPicture(f"its PNG data is damaged (the checksum of {kind.decode()} is wrong)")
            if kind == b"tRNS" and colour_type in (0, 2):
                samples = 1 if colour_type == 0 else 3
                if length >= 2 * samples:
                    transparent = struct.unpack_from(f">{samples}H", data, position + 8)
            kept.append(whole[position:end])
            if kind == b"IEND":
                behind = len(data[end:].strip(b"\0"))
                break
        elif sound and length < _PROFILE_LIMIT:
            body = data[position + 8 : end - 4]
            if kind == b"acTL":
                animated = length >= 4 and int.from_bytes(body[:4], "big") > 1
            elif kind == b"caBX":
                signed = True
            elif kind in (b"cICP", b"sRGB", b"gAMA", b"cHRM"):
                colours = _with_colours(colours, kind, body)
            else:
                carried = _with_chunk(carried, kind, body)
        position = end
    if bytes(kept[-1][4:8]) != b"IEND":
        # Never the tail as it is: OpenCV allocates whatever length a chunk that is cut short announces.
        kept.append(memoryview(chunk(b"IEND", b"")))
    return PngParts(
        height, width, depth, colour_type, transparent, b"".join(kept), carried, animated, signed, behind, colours
    )


def _with_colours(colours: Colours, name: bytes, body: bytes) -> Colours:
    """What was said of colours so far, and what one more chunk says."""
    if name == b"cICP" and len(body) >= 2:
        return colours._replace(cicp=Cicp(body[0], body[1]))
    if name == b"gAMA" and len(body) == 4 and 0.2 <= (gamma := int.from_bytes(body, "big") / 100_000) <= 2:
        return colours._replace(gamma=1 / gamma)
    if name == b"cHRM" and len(body) == 32:
        values = (value / 100_000 for value in struct.unpack(">8I", body))
        return colours._replace(chromaticities=cast(profiles.Chromaticities, tuple(values)))
    return colours._replace(srgb=True) if name == b"sRGB" else colours


def _with_chunk(carried: Carried, name: bytes, body: bytes) -> Carried:
    """What was carried so far, and the block of one more chunk, where it holds one."""
    if name == b"iCCP":
        return carried._replace(icc=_inflated(body.partition(b"\0")[2][1:]) or b"?")
    if name == b"eXIf":
        return carried._replace(exif=body)
    if name == b"pHYs" and len(body) == 9:
        return carried._replace(density=_density_of(body))
    if name == b"iTXt" and body.startswith(_XMP_KEYWORD + b"\0"):
        return carried._replace(xmp=_international_text(body))
    if name in (b"tEXt", b"zTXt") and body.startswith(_RAW_PROFILE):
        kind, raw = _raw_profile(body, packed=name == b"zTXt")
        if kind == b"iptc":
            return carried._replace(iptc=iptc_of(raw.removeprefix(b"Photoshop 3.0\0")))
        if raw.startswith(EXIF_PREFIX):
            return carried._replace(exif=carried.exif or raw)
        if kind == b"xmp":
            return carried._replace(xmp=carried.xmp or raw)
    return carried


def _inflated(packed: bytes) -> bytes | None:
    """Unpack zlib data of bounded size; a missing checksum at its end is forgiven."""
    try:
        return zlib.decompressobj().decompress(packed, _PROFILE_LIMIT)
    except zlib.error:
        return None


def _raw_profile(body: bytes, *, packed: bool) -> tuple[bytes, bytes]:
    """Kind and bytes of a `Raw profile type`: how programs keep what PNG has no chunk for, as lines of hexadecimal."""
    keyword, _, text = body.partition(b"\0")
    if packed:
        text = _inflated(text[1:]) or b""
    lines = text.split(None, 2)  # the kind again, the number of bytes, the bytes
    try:
        return keyword[len(_RAW_PROFILE) :].strip(), bytes.fromhex(lines[2].decode("ascii")) if len(lines) > 2 else b""
    except ValueError:
        return b"", b""


def _density_of(body: bytes) -> Density | None:
    across, down, metres = struct.unpack_from(">IIB", body)
    if 0 in (across, down) or (not metres and across == down):
        return None
    return Density(across * _METRES, down * _METRES) if metres else Density(across, down, "none")


def _international_text(body: bytes) -> bytes | None:
    """The text of an iTXt chunk: keyword, compressed?, method, language, translated keyword, text."""
    compressed, rest = body[len(_XMP_KEYWORD) + 1 : len(_XMP_KEYWORD) + 2], body[len(_XMP_KEYWORD) + 3 :]
    text = rest.split(b"\0", 2)[-1]
    return _inflated(text) if compressed == b"\1" else text


# --- writing -----------------------------------------------------------------------------------------------


def with_metadata(data: bytes, meta: Metadata) -> bytes:
    """Put iCCP, pHYs, eXIf, XMP (iTXt) and IPTC (a raw profile in zTXt) behind a PNG's IHDR."""
    added = b""
    if meta.icc is not None:
        added += chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(meta.icc))
    if meta.density is not None:
        metres = meta.density.unit == "inch"
        numbers = (round(value / _METRES if metres else value) for value in meta.density[:2])
        added += chunk(b"pHYs", struct.pack(">IIB", *numbers, metres))
    if meta.exif is not None:
        added += chunk(b"eXIf", meta.exif)
    if meta.xmp is not None:
        added += chunk(b"iTXt", _XMP_KEYWORD + b"\0\0\0\0\0" + meta.xmp)
    if meta.iptc is not None:
        resource = photoshop_resource(meta.iptc)
        text = b"\niptc\n%8d\n%s\n" % (len(resource), resource.hex("\n", 36).encode())
        added += chunk(b"zTXt", _RAW_PROFILE + b"iptc\0\0" + zlib.compress(text))
    head = 8 + 12 + 13  # signature and IHDR
    return data[:head] + added + data[head:]


def chunk(name: bytes, body: bytes) -> bytes:
    """One chunk: length, name, body, checksum."""
    return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")
