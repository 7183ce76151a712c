"""Every format but ordinary JPEG, by name: which file class reads it, and which encoder writes it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow
from PIL import PsdImagePlugin, TiffImagePlugin

from enhance_cli.errors import PictureTooLarge, UnsupportedFormat
from enhance_cli.imaging import colour, profiles, xmp
from enhance_cli.imaging.codecs import boxes, decoders, headers
from enhance_cli.imaging.codecs.decoders import FURTHER_FRAMES
from enhance_cli.imaging.codecs.jpeg import extras
from enhance_cli.imaging.codecs.png import coding as png
from enhance_cli.imaging.codecs.tiff import coding as tiff
from enhance_cli.imaging.codecs.tiff import pages as tiff_pages
from enhance_cli.imaging.metadata import EXIF_LEFT_OUT, Carried, orient
from enhance_cli.imaging.profiles import Cicp
from enhance_cli.types import Density, Image, JpegCoding, Metadata

if TYPE_CHECKING:
    from enhance_cli.types import Array

DEFAULT_WEBP_QUALITY = 90
DEFAULT_AVIF_QUALITY = 85
DEFAULT_HEIF_QUALITY = 85

_LONGEST_SIDE = {"webp": 16383, "avif": 65536, "heif": 16384, "bmp": 2**31 - 1}
_AVIF_PIXELS = 2**28  # libavif's own limit
_TURNED_BY_DECODER = ("heif", "avif", "jxl", "tiff", "raw")
"""Formats that tell the orientation themselves, so that XMP only repeats it; TIFF where its tag is absent, too."""

_PSD_RESOURCES = (0x0422, 0x0424, 0x0404)  # EXIF, XMP, IPTC


# --- reading -----------------------------------------------------------------------------------------------


def decode(data: bytes, format_name: str, *, source: str, check: Callable[[int, int, int], None]) -> Image:
    """Decode any format of this room, upright, first frame.

    Args:
        data: the whole file.
        format_name: what `codecs.sniff` found; any key of `codecs.FORMATS` but `jpeg`.
        source: the path, for metadata and messages.
        check: called once with (height, width, bits of a sample) from the header, before decoding; may raise.

    Returns:
        uint8 or uint16, contiguous and writable; H×W or H×W×3, with `alpha` where the file has any.

    Raises:
        CorruptPicture: truncated or damaged data.
        PictureTooLarge: more pixels than the decoder itself, or the machine's memory, allows.
        UnsupportedFormat: a kind of samples that is not read (floating point, 32-bit integers).
    """
    decoders.silence_pillow()
    name = source or "the picture"
    notes: list[str] = []
    with decoders.decoding(format_name, name):
        file = _open(data, format_name, name)
    check(file.height, file.width, file.depth)
    with decoders.decoding(format_name, name):
        held = file.read(notes)
    orientation, carried = held.carried.upright(notes, xmp_turns=format_name not in _TURNED_BY_DECODER)
    carried = carried._replace(xmp=xmp.for_picture_alone(carried.xmp))
    lost = dict.fromkeys(held.lost)
    if format_name in ("heif", "avif", "jxl"):
        for what in boxes.held(data):
            if FURTHER_FRAMES not in lost or what not in (boxes.SEQUENCE, boxes.FURTHER):
                lost[what] = None
                notes.append(extras.DROPPED.get(what, f"left out: {what}"))
    return Image(
        orient(held.pixels, orientation),
        alpha=None if held.alpha is None else orient(held.alpha, orientation),
        metadata=Metadata(
            source=source,
            format=format_name,
            bit_depth=16 if held.pixels.dtype == np.uint16 else 8,
            **carried._asdict(),
            jpeg=held.coding,
            lost=tuple(lost),
            notes=tuple(notes),
        ),
    )


def decode_jpeg(data: bytes, notes: list[str]) -> Array:
    """The RGB pixels, H×W×3 uint8, of a JPEG that libjpeg-turbo's binding refuses; CMYK through its profile.

    Raises:
        CorruptPicture: the data is truncated or damaged.
    """
    decoders.silence_pillow()
    with decoders.decoding("jpeg", "the picture"), decoders.open_as(data, "jpeg") as opened:
        return decoders.eight_bit(opened, notes)[0]


def _open(data: bytes, format_name: str, name: str) -> decoders.PictureFile:
    if format_name == "png":
        return png.PngFile(data, name)
    if format_name == "tiff":
        return _TiffFile(data, name)
    if format_name == "webp":
        return _WebpFile(data, name)
    if format_name == "avif":
        return _AvifFile(data, name)
    if format_name == "jxl":
        from enhance_cli.imaging.codecs import jxl

        return jxl.JxlFile(data)
    if format_name == "raw":
        from enhance_cli.imaging.codecs import raw

        return raw.RawFile(data)
    return _PillowFile(data, format_name, name)


class _PillowFile:
    """A file that Pillow, or a plugin of its kind, opens."""

    def __init__(self, data: bytes, format_name: str, name: str) -> None:
        self.data, self.name = data, name
        if format_name == "psd" and int.from_bytes(data[22:24], "big") in (16, 32):
            raise UnsupportedFormat(f"{name} is a Photoshop file of more than 8 bits a sample; save it as 16-bit TIFF.")
        self.opened = decoders.open_as(data, format_name)
        self.coded_depth = self.opened.info.get("bit_depth", 8)  # which pillow-heif tells
        self.height, self.width = self.opened.height, self.opened.width
        self.depth = 16 if self._is_deep() else 8

    def _is_deep(self) -> bool:
        opened = self.opened
        if isinstance(opened, TiffImagePlugin.TiffImageFile):
            return tiff.depth_of(opened) > 8
        return self.coded_depth > 8 or opened.mode.startswith("I") or _ppm_largest(self.data) > 255

    def read(self, notes: list[str]) -> decoders.Held:
        with self.opened as opened:
            lost: tuple[str, ...] = ()
            if _has_further_frames(opened):
                notes.append(decoders.FIRST_FRAME)
                lost = (FURTHER_FRAMES,)
            carried = _carried(opened, notes)
            pixels, alpha = self._samples(notes)
            if opened.mode in ("CMYK", "LAB"):
                carried = carried._replace(icc=None)  # it described the colours that have been converted
        return decoders.Held(pixels, alpha, carried, lost=lost)

    def _samples(self, notes: list[str]) -> tuple[Array, Array | None]:
        """Colours and alpha at the depth of the file."""
        opened, data, name = self.opened, self.data, self.name
        if isinstance(opened, TiffImagePlugin.TiffImageFile):
            return tiff.samples_of(opened, data, name, notes)
        if (largest := _ppm_largest(data)) > 255:
            return decoders.spread(decoders.sixteen_bit(data), largest), None
        if opened.format == "JPEG2000":
            return _jpeg2000_samples(opened, data, notes)
        if self.coded_depth > 8:
            return decoders.separated(_deep_heif(data), self.coded_depth)
        if opened.mode in ("F", "I"):
            raise UnsupportedFormat(decoders.odd_samples(name))
        return decoders.eight_bit(opened, notes)


class _TiffFile:
    """A TIFF, of whose pages the first that is no thumbnail is read."""

    def __init__(self, data: bytes, name: str) -> None:
        self.layout = tiff_pages.layout(data)
        self.file: decoders.PictureFile
        if self.layout is not None:
            kind = tiff_pages.refusal(self.layout.picture)
            if kind is not None:
                raise UnsupportedFormat(f"{name} is a TIFF {kind}; {tiff_pages.READ}.")
            if not self.layout.first:
                data = tiff_pages.beginning_with(data, self.layout.picture)
        self.name, self.magic = name, data[:4]
        with self._naming_the_coding():
            if self.layout is not None and self.layout.picture.is_float:
                self.file = tiff.FloatFile(data, name, self.layout.picture)
            else:
                self.file = _PillowFile(data, "tiff", name)
        self.height, self.width, self.depth = self.file.height, self.file.width, self.file.depth

    def read(self, notes: list[str]) -> decoders.Held:
        with self._naming_the_coding():
            held = self.file.read(notes)
        if self.layout is None:
            return held
        if not self.layout.first:
            notes.append("its first page is a thumbnail: the first full page was enhanced")
        elif self.layout.copies:
            notes.append("smaller copies of the picture inside were left out")
        if not self.layout.others:
            return held
        notes.append(decoders.FIRST_FRAME)
        pages = "a further page" if self.layout.others == 1 else f"{self.layout.others} further pages"
        return held._replace(lost=(*held.lost, pages))

    @contextmanager
    def _naming_the_coding(self) -> Iterator[None]:
        """Say of a page that is not decoded how it is coded, where that is in a way that not every decoder knows."""
        try:
            yield
        except decoders.FAILURES as error:
            why = None if self.layout is None else tiff_pages.unread_coding(self.layout.picture, self.magic)
            if why is None:
                raise
            raise UnsupportedFormat(f"{self.name} is a TIFF {why}; save it with LZW or ZIP compression.") from error


class _WebpFile:
    """A WebP, of which only the header is read at first: libwebp allocates the canvas when a file is merely opened."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data, self.name = data, name
        self.header = headers.read_webp(data)
        self.height, self.width = self.header.size
        self.depth = 8

    def read(self, notes: list[str]) -> decoders.Held:
        held = _PillowFile(self.data, "webp", self.name).read(notes)
        if self.header.signed:
            notes.append(extras.DROPPED[extras.SIGNATURE])
            held = held._replace(lost=(*held.lost, extras.SIGNATURE))
        return held._replace(coding=JpegCoding(DEFAULT_WEBP_QUALITY, "420") if self.header.lossy else None)


class _AvifFile:
    """An AVIF, whose depth, subsampling and colour tag Pillow does not tell."""

    def __init__(self, data: bytes, name: str) -> None:
        self.header = headers.read_avif(data)
        height, width = self.header.largest
        if height * width > _AVIF_PIXELS:
            raise PictureTooLarge(
                f"{name} has {width}x{height} pixels, more than the {_AVIF_PIXELS:,} "
                "that the AVIF decoder reads; convert it to another format."
            )
        self.file = _PillowFile(data, "avif", name)
        self.height, self.width, self.depth = self.file.height, self.file.width, self.file.depth

    def read(self, notes: list[str]) -> decoders.Held:
        held = self.file.read(notes)
        if self.header.depth > 8:  # OpenCV has more, but takes video range for full range where there is no colour
            notes.append(f"its {self.header.depth} bits a sample were read as 8")
        icc = held.carried.icc or profiles.icc_of_cicp(self.header.cicp, notes)
        coding = JpegCoding(DEFAULT_AVIF_QUALITY, self.header.subsampling)
        return held._replace(carried=held.carried._replace(icc=icc), coding=coding)


def _carried(opened: Pillow.Image, notes: list[str]) -> Carried:
    """The blocks that Pillow found, and those that it keeps for whoever asks: a TIFF's tags, a PSD's resources."""
    info = opened.info
    exif, packet, iptc, density = info.get("exif"), info.get("xmp"), None, None
    if isinstance(opened, TiffImagePlugin.TiffImageFile):
        exif, iptc, density = tiff.exif_of(opened, notes), tiff.iptc_of(opened), tiff.density_of(opened)
    elif all(info.get("dpi", (0,))):
        across, down = info["dpi"][:2]
        density = Density(float(across), float(down))
    if isinstance(opened, PsdImagePlugin.PsdImageFile):
        resources = {number: body for number, _, body in opened.resources}
        exif, packet, iptc = (resources.get(number) for number in _PSD_RESOURCES)
    for block in info.get("metadata", ()):  # of pillow-heif
        if block["type"] == "iptc":
            iptc = block["data"]
    icc = info.get("icc_profile")
    if tag := info.get("nclx_profile"):  # of pillow-heif
        icc = icc or profiles.icc_of_cicp(Cicp(tag["color_primaries"], tag["transfer_characteristics"]), notes)
    packet = packet.encode() if isinstance(packet, str) else packet
    return Carried(icc, exif, packet, iptc=iptc, density=density)


def _has_further_frames(opened: Pillow.Image) -> bool:
    """Whether there is more than one frame or page, found without walking through all of them."""
    if isinstance(opened, TiffImagePlugin.TiffImageFile):
        return False  # see _TiffFile
    return opened.format != "PSD" and bool(getattr(opened, "is_animated", False))  # a PSD's frames are its layers


def _deep_heif(data: bytes) -> Array:
    """H×W (×C) samples of more than 8 bits, in the low bits of 16."""
    import pillow_heif

    opened = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False, hdr_to_16bit=False)
    samples: Array = np.asarray(opened)
    return samples


def _ppm_largest(data: bytes) -> int:
    """The largest value of a PGM or PPM, 0 for the other kinds: the third number of its header."""
    if data[:2] not in (b"P2", b"P3", b"P5", b"P6"):
        return 0
    numbers: list[bytes] = []
    for line in data[2:4096].split(b"\n"):
        numbers += line.partition(b"#")[0].split()[: 3 - len(numbers)]
        if len(numbers) == 3:
            return int(numbers[2])
    return 0


def _jpeg2000_samples(opened: Pillow.Image, data: bytes, notes: list[str]) -> tuple[Array, Array | None]:
    if opened.mode in ("I;16", "I"):  # Pillow has spread grey to the whole 16 bits
        return np.array(opened).astype(np.uint16), None
    place = data.find(b"\xff\x51")  # the segment that tells sizes; the depth follows 40 bytes later
    depth = (data[place + 40] & 0x7F) + 1 if 0 <= place < len(data) - 40 else 8
    if depth > 8:
        notes.append(f"its {depth} bits a sample were read as 8")
    return decoders.eight_bit(opened, notes)


# --- writing -----------------------------------------------------------------------------------------------


def encode(image: Image, format_name: str, *, quality: int | None = None) -> tuple[bytes, tuple[str, ...]]:
    """Encode grey or RGB, with or without alpha, with its metadata.

    Args:
        image: no JPEG planes; 16 bits only for PNG and TIFF.
        format_name: `png`, `tiff`, `webp`, `avif`, `heif` or `bmp`.
        quality: of a lossy coding, 1..100; None means the default, or lossless WebP where the source was.

    Returns:
        The file, and a note for whatever it cannot hold.

    Raises:
        UnsupportedFormat: a side is longer than the format allows, or its encoder is not installed.
    """
    decoders.silence_pillow()
    longest = _LONGEST_SIDE.get(format_name)
    if longest is not None and max(image.height, image.width) > longest:
        raise UnsupportedFormat(
            f"{image.metadata.source or 'The picture'} of {image.width}x{image.height} pixels is too long for "
            f"{format_name} (at most {longest} a side); give --format png."
        )
    if format_name == "png":
        return png.encode(image), ()
    if format_name == "tiff":
        return tiff.encode(image)
    if format_name == "jxl":
        from enhance_cli.imaging.codecs import jxl

        return jxl.encode(image, quality=quality)
    if format_name == "heif":
        return _encode_heif(image, quality)
    try:
        return _encode_pillow(image, format_name, quality), ()
    except decoders.FAILURES:
        if image.metadata.exif is None:
            raise
        # The AVIF writer takes EXIF apart, and stumbles where it is damaged.
        stripped = image.replace(metadata=replace(image.metadata, exif=None))
        return _encode_pillow(stripped, format_name, quality), (EXIF_LEFT_OUT,)


JPEG_SUBSAMPLINGS = ("444", "422", "420")


def jpeg_room(pixels: int, quality: int) -> int:
    """The bytes that Pillow keeps free for a progressive or optimised JPEG; one that is larger fails."""
    return max(2**16, pixels * (2 if quality >= 95 else 1))


def encode_jpeg(image: Image, coding: JpegCoding) -> bytes:
    """A bare JPEG, progressive or optimised, of 8-bit grey, RGB or planes.

    Chroma is replicated, because the encoder takes the mean of what it will subsample: the stored samples again.
    """
    picture = Pillow.fromarray(image.pixels)
    if image.chroma is not None:
        size = (picture.width, picture.height)
        across, down = {"444": (1, 1), "422": (2, 1), "420": (2, 2)}[coding.subsampling]
        planes = (plane.repeat(down, axis=0).repeat(across, axis=1) for plane in image.chroma)
        picture = Pillow.merge("YCbCr", [picture, *(Pillow.fromarray(plane).crop((0, 0, *size)) for plane in planes)])
    packed = io.BytesIO()
    way = {"progressive": True} if coding.progressive else {"optimize": True}
    picture.save(packed, "JPEG", quality=coding.quality, subsampling=":".join(coding.subsampling), **way)
    return packed.getvalue()


def _encode_pillow(image: Image, format_name: str, quality: int | None) -> bytes:
    meta = image.metadata
    details: dict[str, Any] = {}
    if format_name == "webp":
        if quality is None and meta.jpeg is None:
            details = {"lossless": True, "quality": 60, "exact": True}  # colours under full transparency stay too
        else:
            details = {"quality": quality or (meta.jpeg.quality if meta.jpeg else DEFAULT_WEBP_QUALITY), "method": 4}
    elif format_name == "avif":
        details = {"quality": quality or DEFAULT_AVIF_QUALITY, "speed": 8}  # 6, the default, takes seven times as long
        if image.pixels.ndim == 3 and meta.jpeg is not None and meta.jpeg.subsampling in ("444", "422", "420"):
            details["subsampling"] = ":".join(meta.jpeg.subsampling)
    if format_name == "bmp":
        details = {} if meta.density is None else {"dpi": meta.density[:2]}
    else:
        named = (("icc_profile", meta.icc), ("exif", meta.exif), ("xmp", meta.xmp))
        details |= {name: value for name, value in named if value}
    packed = io.BytesIO()
    Pillow.fromarray(colour.interleaved(image)).save(packed, format_name.upper(), **details)
    return packed.getvalue()


def _encode_heif(image: Image, quality: int | None) -> tuple[bytes, tuple[str, ...]]:
    import pillow_heif

    if not pillow_heif.libheif_info()["encoders"]:
        raise UnsupportedFormat("The installed pillow-heif has no HEIC encoder; give --format jpeg or avif.")
    notes: tuple[str, ...] = ()
    if image.alpha is not None and image.pixels.ndim == 2:
        image, notes = colour.grey_as_rgb(image)
    meta = image.metadata
    packed = io.BytesIO()
    picture = Pillow.fromarray(colour.interleaved(image))
    if meta.icc:
        picture.info["icc_profile"] = meta.icc
    wanted = quality or DEFAULT_HEIF_QUALITY
    # x265's own preset takes eight times as long, for 5 dB above what is 57 dB already.
    fast = {"preset": "ultrafast"}
    pillow_heif.from_pillow(picture).save(packed, quality=wanted, exif=meta.exif, xmp=meta.xmp, enc_params=fast)
    return packed.getvalue(), notes
