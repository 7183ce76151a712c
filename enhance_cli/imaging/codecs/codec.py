"""The interface of a format: the `Codec` that its module declares, and its opened files.

A format's module (or the `__init__.py` of its folder) needs the standard library alone, because `--help` reads the
table. Decoders and encoders are imported by the functions of a Codec when its format first occurs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from enhance_cli.imaging.codecs.jpeg.on_card import CardDecoder
    from enhance_cli.imaging.metadata import Carried
    from enhance_cli.types import Array, Image, JpegCoding, Metadata

BLOCKS = {
    "colour profile": "icc",
    "EXIF": "exif",
    "XMP": "xmp",
    "extended XMP": "xmp_extension",
    "IPTC": "iptc",
    "density": "density",
}
"""What an image may hold besides pixels, and the field of `types.Metadata` for it."""

Check = Callable[[int, int, int], None]
"""Called with (height, width, bits of a sample) from the header, before anything is decoded; may raise, or wait."""

Encoded = tuple[bytes, tuple[str, ...]]
"""An encoded file, and a note for everything that it could not hold."""


class Held(NamedTuple):
    """The content of a file: samples and metadata blocks as stored."""

    pixels: Array
    """H×W or H×W×3, uint8 or uint16."""

    alpha: Array | None
    carried: Carried
    coding: JpegCoding | None = None
    lost: tuple[str, ...] = ()
    """Other content of the file that is lost when it is written again, each with its article."""


class Small(NamedTuple):
    """A photo decoded at a fraction of its size, upright."""

    pixels: Array
    """H×W×3 RGB or H×W grey, uint8."""

    icc: bytes | None
    exif: bytes | None
    height: int
    width: int
    """Of the whole photo, upright."""


class PictureFile(Protocol):
    """A file of one format, opened: its size and depth are known, its pixels are not decoded yet."""

    height: int
    width: int
    depth: int
    """Bits per sample when read: 8 or 16; 32 for floating point, which takes that much memory to read."""

    def read(self, notes: list[str]) -> Held:
        """Decode the first frame, not turned; adds to `notes` what the user should know."""
        ...


class Decode(Protocol):
    """Decodes a whole file at once, upright, with its metadata."""

    def __call__(
        self, data: bytes, *, source: str, planes: bool, check: Check, card: CardDecoder | None = None
    ) -> Image:
        """See `codecs.decode`; `check` is called once."""
        ...


class Encode(Protocol):
    """Encodes an image that was reduced to what the format takes."""

    def __call__(self, image: Image, *, quality: int | None) -> Encoded:
        """`quality`, 1..100, is that of a lossy coding; None follows the source, or is the format's default."""
        ...


@dataclass(frozen=True, slots=True)
class Codec:
    """One format: how its files are recognised, named, read and written, and what they hold."""

    name: str
    suffixes: tuple[str, ...]
    """Lower case, the usual one first."""

    sniff: Callable[[bytes], bool]
    """Whether a file's first bytes are those of this format. The first match in the table decides."""

    open: Callable[[bytes, str], PictureFile] | None = None
    """Open a file, given its bytes and its name for messages; `codecs.reading` then does what all formats share."""

    decode: Decode | None = None
    """Used instead of `open` by formats with a decoder of their own."""

    small: Callable[[bytes, int], Small | None] | None = None
    """Decode a file so that its longer side keeps at least as many pixels as given, or all that it has, in less time
    than the whole takes; gives None for files that have to be decoded whole. None where the format has no such way."""

    encode: Encode | None = None
    """None for a format that is only read."""

    aliases: tuple[str, ...] = ()
    """Further names of the format, such as `tif`."""

    sixteen_bit: bool = False
    """Whether 16 bits per sample can be written; reading is independent of this."""

    alpha: bool = False
    coding: Literal["lossless", "lossy", "either"] = "lossy"
    """Of what is written; `either` is lossless where neither the source was lossy nor a quality is given."""

    carries: tuple[str, ...] = ("colour profile", "EXIF", "XMP")
    """What it can hold besides pixels, as names of `BLOCKS`."""

    xmp_limit: int | None = None
    """The maximum bytes of XMP, if there is a relevant limit."""

    planes: bool = False
    """Whether it stores luma and subsampled chroma, which are read and written as they are (`Image.chroma`)."""

    trailer: bool = False
    """Whether data after the image is kept (`types.Trailer`)."""

    in_browsers: bool = False
    """Whether browsers show its files."""

    longest_side: int | None = None
    """The longest side in pixels that its encoder accepts, unless `encode` checks this itself."""

    turned_by_decoder: bool = False
    """Whether the format itself stores the orientation, so that its decoder rotates and XMP only repeats it."""

    boxes: bool = False
    """Whether its files consist of boxes (ISO 14496-12), which list other content (`codecs.boxes`)."""

    written_as: str | None = None
    """The format to write images of this format in, if it has no useful encoder."""

    extra: str | None = None
    """The extra of the package that it needs; None if it needs none."""

    module: str | None = None
    """The module that the extra installs, to test whether it is available."""

    refusal: str | None = None
    """Why it is not read, for the message; such formats are listed so that no image is skipped silently."""

    @property
    def writable(self) -> bool:
        """Whether it may be asked for with `--format`."""
        return self.encode is not None

    @property
    def readable(self) -> bool:
        """Whether its files can be read, given its extra."""
        return self.refusal is None

    def is_lossless(self, metadata: Metadata, quality: int | None) -> bool:
        """Whether an image is written losslessly."""
        return self.coding == "lossless" or (self.coding == "either" and not (quality or metadata.jpeg))
