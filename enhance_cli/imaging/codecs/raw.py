"""Camera raw files, developed by LibRaw (the extra `raw`): the camera's white balance, sRGB, 16 bits, nothing else.

Nothing writes them, so their images are written as TIFF. LibRaw's own brightening stays off: light is what the
methods are for.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from enhance_cli.errors import CorruptPicture
from enhance_cli.imaging.codecs.codec import Codec, Held
from enhance_cli.imaging.codecs.tiff import is_camera_raw, is_tiff

if TYPE_CHECKING:
    from enhance_cli.imaging.metadata import Carried

_SUFFIXES = (
    *(".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".raf", ".rw2", ".orf", ".pef", ".srw"),
    *(".3fr", ".erf", ".iiq", ".mef", ".mos", ".mrw", ".rwl", ".x3f"),
)
_BEGINNINGS = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM")

_SRGB_GAMMA = (2.4, 12.92)


def _is_raw(data: bytes) -> bool:
    """Whether a file is a camera's raw one, be it a TIFF or of a kind of its own."""
    if data.startswith(_BEGINNINGS) or data[4:12] == b"ftypcrx " or data[6:14] == b"HEAPCCDR":
        return True
    return is_tiff(data) and is_camera_raw(data)


class RawFile:
    """A raw file, of which only the header is read at first (`codec.PictureFile`)."""

    def __init__(self, data: bytes, name: str) -> None:
        import rawpy

        self.data = data
        with _failures():
            self.file: Any = rawpy.imread(io.BytesIO(data))
        self.height, self.width, self.depth = self.file.sizes.iheight, self.file.sizes.iwidth, 16

    def read(self, notes: list[str]) -> Held:
        """Develop at 16 bits, upright."""
        import rawpy

        with self.file, _failures():
            carried = self._carried()
            pixels = self.file.postprocess(
                use_camera_wb=True,
                no_auto_bright=True,
                output_bps=16,
                output_color=rawpy.ColorSpace.sRGB,
                gamma=_SRGB_GAMMA,
            )
        notes.append("developed from camera raw: the camera's white balance, sRGB, 16 bits")
        return Held(pixels, None, carried)

    def _carried(self) -> Carried:
        """EXIF and XMP of the preview inside, which most cameras give all, or else of the file's own tags."""
        import rawpy

        from enhance_cli.imaging.codecs.failures import FAILURES
        from enhance_cli.imaging.codecs.jpeg import segments
        from enhance_cli.imaging.codecs.tiff import tags
        from enhance_cli.imaging.metadata import Carried, upright_exif

        try:
            carried = segments.read_header(self.file.extract_thumb().data).carried
        except (*FAILURES, rawpy.LibRawError, CorruptPicture):
            carried = Carried()
        _, exif = upright_exif(carried.exif or tags.exif_of_file(self.data))
        return Carried(exif=exif, xmp=carried.xmp)


@contextmanager
def _failures() -> Iterator[None]:
    """LibRaw's errors as such that `failures.decoding` knows."""
    import rawpy

    try:
        yield
    except rawpy.LibRawError as error:
        reason = error.args[0] if error.args else b""
        raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from error


CODEC = Codec(
    "raw",
    _SUFFIXES,
    sniff=_is_raw,
    open=RawFile,
    turned_by_decoder=True,
    written_as="tiff",
    extra="raw",
    module="rawpy",
)
