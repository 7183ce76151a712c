"""Pillow's decoders and encoders, opened one by one.

Pillow's file classes are opened directly: its own pixel limit, a process-wide global, is not changed, and only the
detected format is tried.
"""

from __future__ import annotations

import ctypes
import io
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageCms, _imaging

from enhance_cli.errors import UnsupportedFormat
from enhance_cli.imaging import colour
from enhance_cli.imaging.codecs.codec import Encoded, Held
from enhance_cli.imaging.codecs.failures import FAILURES
from enhance_cli.imaging.codecs.lost import FIRST_FRAME, FURTHER_FRAMES
from enhance_cli.imaging.codecs.samples import odd_samples
from enhance_cli.imaging.metadata import EXIF_LEFT_OUT, Carried
from enhance_cli.types import Density, Image

if TYPE_CHECKING:
    from enhance_cli.types import Array


def silence() -> None:
    """Silence Pillow's warnings about metadata, and what libtiff prints about damaged files.

    Set anew each time, because filters come and go with `warnings.catch_warnings`; that itself is not for
    threads. Setting a filter that is already in front changes nothing.
    """
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.|enhance_cli\.imaging\.codecs\.")
    _silence_libtiff()


@cache
def _silence_libtiff() -> None:
    """Set no handler of errors in the libtiff that Pillow uses: it prints a line for each bad tag, up to hundreds.

    Errors are returned to Pillow all the same. Of a Pillow that was built in another way, libtiff goes on printing.
    """
    with suppress(OSError, AttributeError):
        handler = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
        handler.argtypes, handler.restype = [ctypes.c_void_p], ctypes.c_void_p
        handler(None)


class PillowFile:
    """A file that Pillow, or a plugin of its kind, has opened (`codec.PictureFile`).

    What a format does in a way of its own is given as a function; each is called while the file is open, and adds to
    the notes.
    """

    def __init__(
        self,
        opened: Pillow.Image,
        name: str,
        *,
        depth: int | None = None,
        frames: bool = True,
        carried: Callable[[list[str]], Carried] | None = None,
        samples: Callable[[list[str]], tuple[Array, Array | None]] | None = None,
    ) -> None:
        """Wrap an opened file.

        Args:
            opened: by the file class of its format.
            name: of the file, for messages.
            depth: bits that a sample will have, 8 or 16; None for what its mode tells.
            frames: whether what Pillow takes for further frames is that.
            carried: gives the blocks that stand in the file; None for those that Pillow found.
            samples: gives colours (H×W or H×W×3) and alpha; None for those of 8 bits.
        """
        self.opened, self.name = opened, name
        self.height, self.width = opened.height, opened.width
        self.depth = depth or (16 if opened.mode.startswith("I") else 8)
        self._frames, self._carried, self._samples = frames, carried, samples

    def read(self, notes: list[str]) -> Held:
        """Decode the first frame."""
        lost: tuple[str, ...] = ()
        with self.opened as opened:
            if self._frames and getattr(opened, "is_animated", False):  # found without walking through all of them
                notes.append(FIRST_FRAME)
                lost = (FURTHER_FRAMES,)
            carried = blocks(opened) if self._carried is None else self._carried(notes)
            if self._samples is not None:
                pixels, alpha = self._samples(notes)
            elif opened.mode in ("F", "I"):
                raise UnsupportedFormat(odd_samples(self.name))
            else:
                pixels, alpha = eight_bit(opened, notes)
            if opened.mode in ("CMYK", "LAB"):
                carried = carried._replace(icc=None)  # it described the colours that have been converted
        return Held(pixels, alpha, carried, lost=lost)


def blocks(opened: Pillow.Image) -> Carried:
    """The blocks that Pillow found."""
    info = opened.info
    density = None
    if all(info.get("dpi", (0,))):
        across, down = info["dpi"][:2]
        density = Density(float(across), float(down))
    packet = info.get("xmp")
    packet = packet.encode() if isinstance(packet, str) else packet
    return Carried(info.get("icc_profile"), info.get("exif"), packet, density=density)


def eight_bit(opened: Pillow.Image, notes: list[str]) -> tuple[Array, Array | None]:
    """Colours (H×W or H×W×3 uint8) and alpha of an opened image: palettes as their colours, CMYK and Lab as sRGB."""
    mode = opened.mode
    if mode == "CMYK":
        return _rgb_from_cmyk(opened, notes), None
    if mode == "LAB":
        return _rgb_from_lab(opened, notes), None
    grey = mode in ("1", "L", "LA", "La")
    palette_alpha = opened.palette is not None and opened.palette.mode == "RGBA"
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in opened.info or palette_alpha:
        samples = np.array(opened if mode == "RGBA" else _to_rgba(opened))
        colours = samples[..., 0] if grey else samples[..., :3]
        return np.ascontiguousarray(colours), np.ascontiguousarray(samples[..., 3])
    converted = opened if mode in ("L", "RGB") else opened.convert("L" if grey else "RGB")
    return np.array(converted), None  # a copy: Pillow's own buffer is read-only, and methods render in place


def _to_rgba(opened: Pillow.Image) -> Pillow.Image:
    if opened.mode == "La":  # premultiplied; Pillow knows the way back only to LA
        return opened.convert("LA").convert("RGBA")
    return opened.convert("RGBA")


def _rgb_from_cmyk(opened: Pillow.Image, notes: list[str]) -> Array:
    profile = opened.info.get("icc_profile")
    if profile:
        try:
            converted = ImageCms.profileToProfile(
                opened,
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                outputMode="RGB",
            )
            notes.append("converted from CMYK to sRGB through its colour profile")
            return np.array(converted)
        except (ImageCms.PyCMSError, OSError):
            pass  # no profile, or not one of CMYK
    notes.append("converted from CMYK to RGB without a colour profile: colours are approximate")
    return np.array(opened.convert("RGB"))


def _rgb_from_lab(opened: Pillow.Image, notes: list[str]) -> Array:
    converted = ImageCms.profileToProfile(
        opened, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    notes.append("converted from Lab to sRGB")
    return np.array(converted)


# --- writing -----------------------------------------------------------------------------------------------


def encode(image: Image, format_name: str, **details: Any) -> bytes:
    """Encode with one of Pillow's encoders and the details that it takes."""
    silence()
    packed = io.BytesIO()
    Pillow.fromarray(colour.interleaved(image)).save(packed, format_name, **details)
    return packed.getvalue()


def encode_with_blocks(image: Image, format_name: str, **details: Any) -> Encoded:
    """The same with colour profile, EXIF and XMP. EXIF that is damaged is left out where the encoder needs it whole."""
    try:
        return encode(image, format_name, **details, **_blocks_to_write(image)), ()
    except FAILURES:
        if image.metadata.exif is None:
            raise
        # The AVIF encoder takes EXIF apart, and stumbles where it is damaged.
        stripped = image.replace(metadata=replace(image.metadata, exif=None))
        return encode(stripped, format_name, **details, **_blocks_to_write(stripped)), (EXIF_LEFT_OUT,)


def _blocks_to_write(image: Image) -> dict[str, bytes]:
    meta = image.metadata
    named = (("icc_profile", meta.icc), ("exif", meta.exif), ("xmp", meta.xmp))
    return {name: value for name, value in named if value}
