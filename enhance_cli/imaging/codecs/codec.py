"""What one format is to this package: the `Codec` that its module declares, and what its files give when opened.

A format's module (or the `__init__.py` of its folder) needs the standard library alone, because `--help` reads the
table. What decodes and encodes is imported by the functions that a Codec holds, when its format first turns up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
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
"""What an image may carry besides pixels, and the field of `types.Metadata` that holds it."""

Check = Callable[[int, int, int], None]
"""Called with (height, width, bits of a sample) from the header, before anything is decoded; may raise, or wait."""

Encoded = tuple[bytes, tuple[str, ...]]
"""A file, and a note for everything that it could not hold."""


class Held(NamedTuple):
    """What a file turned out to hold: samples as they are stored, and blocks as they stand there."""

    pixels: Array
    """H×W or H×W×3, uint8 or uint16."""

    alpha: Array | None
    carried: Carried
    coding: JpegCoding | None = None
    lost: tuple[str, ...] = ()
    """What else the file holds that is lost when it is written anew, each with its article."""


class PictureFile(Protocol):
    """A file of one format, opened: its size and depth are known, its pixels are not decoded yet."""

    height: int
    width: int
    depth: int
    """Bits that a sample will have when it is read: 8 or 16; 32 for floating point, which takes that much to read."""

    def read(self, notes: list[str]) -> Held:
        """Decode the first frame, not turned; adds to `notes` what the user should know."""
        ...


class Decode(Protocol):
    """Decodes a whole file at once, upright, with its metadata."""

    def __call__(self, data: bytes, *, source: str, planes: bool, check: Check) -> Image:
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
    """Whether a file's first bytes are those of this format. The first of the table that says so has it."""

    open: Callable[[bytes, str], PictureFile] | None = None
    """Open a file, given its bytes and its name for messages; what all formats share is done with what it gives."""

    decode: Decode | None = None
    """In place of `open`, for a format that is decoded in a way of its own."""

    encode: Encode | None = None
    """None for a format that is only read."""

    aliases: tuple[str, ...] = ()
    """Further names of the format, such as `tif`."""

    sixteen_bit: bool = False
    """Whether 16 bits a sample are written; reading is another matter."""

    alpha: bool = False
    coding: Literal["lossless", "lossy", "either"] = "lossy"
    """Of what is written; `either` is lossless where neither the source was lossy nor a quality is given."""

    carries: tuple[str, ...] = ("colour profile", "EXIF", "XMP")
    """What it holds besides pixels, among the names of `BLOCKS`."""

    xmp_limit: int | None = None
    """The most bytes of XMP that it holds, where there is a limit that matters."""

    planes: bool = False
    """Whether it stores luma and subsampled chroma, which are read and written as they are (`Image.chroma`)."""

    trailer: bool = False
    """Whether what follows the image stays (`types.Trailer`)."""

    longest_side: int | None = None
    """The most pixels of a side that its encoder takes, where `encode` does not look itself."""

    turned_by_decoder: bool = False
    """Whether the format itself tells the orientation, so that its decoder turns the pixels and XMP only repeats it."""

    boxes: bool = False
    """Whether its files are boxes (ISO 14496-12), which tell what else is there (`codecs.boxes`)."""

    written_as: str | None = None
    """The format that images of this one are written in, where it has no encoder worth using."""

    extra: str | None = None
    """The extra of the package that reads and writes it; None where nothing more is needed."""

    module: str | None = None
    """The module that the extra installs, by which one sees whether it is there."""

    refusal: str | None = None
    """Why it is not read, for the one sentence about it; such a format is known so that no image is passed over."""

    @property
    def writable(self) -> bool:
        """Whether it may be asked for with `--format`."""
        return self.encode is not None

    @property
    def readable(self) -> bool:
        """Whether its files can be read, given its extra."""
        return self.refusal is None

    def is_lossless(self, metadata: Metadata, quality: int | None) -> bool:
        """Whether an image is written so that every sample comes back as it was."""
        return self.coding == "lossless" or (self.coding == "either" and not (quality or metadata.jpeg))
