"""The decoders of Pillow and OpenCV, opened one by one: samples at the depth of the file, failures as ours.

Pillow squeezes 16-bit RGB into 8 bits without a word, so depth is read from the file itself and 16-bit
pictures go through OpenCV. Pillow's file classes are opened directly: its own limit on pixels, a global of the
whole process, is not touched, and nothing but the format that was sniffed is tried.
"""

from __future__ import annotations

import importlib
import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from PIL import Image as Pillow
from PIL import ImageCms

from enhance_cli.errors import CorruptPicture, PictureTooLarge
from enhance_cli.imaging.metadata import Carried
from enhance_cli.types import JpegCoding

if TYPE_CHECKING:
    from enhance_cli.types import Array

_FILE_CLASSES = {
    "jpeg": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "png": ("PIL.PngImagePlugin", "PngImageFile"),
    "webp": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "tiff": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "bmp": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "avif": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "heif": ("pillow_heif", "HeifImageFile"),
    "gif": ("PIL.GifImagePlugin", "GifImageFile"),
    "ppm": ("PIL.PpmImagePlugin", "PpmImageFile"),
    "jp2": ("PIL.Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "psd": ("PIL.PsdImagePlugin", "PsdImageFile"),
}


FURTHER_FRAMES = "further frames"
FIRST_FRAME = "only the first of its frames or pages was enhanced"

# What decoders raise on hostile bytes, found by fuzzing; wide, and therefore only around their own calls.
FAILURES = (
    OSError,
    ValueError,
    SyntaxError,
    LookupError,
    EOFError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    BufferError,
    struct.error,
    zlib.error,
)


def silence_pillow() -> None:
    """What Pillow thinks of a file's metadata is not for the user's terminal.

    Set anew each time, because filters come and go with `warnings.catch_warnings`; that itself is not for
    threads. Setting a filter that is already in front changes nothing.
    """
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.|enhance_cli\.imaging\.codecs\.")


@contextmanager
def decoding(format_name: str, name: str) -> Iterator[None]:
    """Turn a decoder's failure into one of ours."""
    try:
        yield
    except Pillow.DecompressionBombError as error:
        raise PictureTooLarge(f"{name} announces more pixels than its decoder takes.") from error
    except MemoryError as error:
        raise PictureTooLarge(f"{name} needs more memory than there is.") from error
    except FAILURES as error:
        reason = " ".join(str(error).split())
        why = f" ({reason})" if reason and "<" not in reason else ""  # no addresses of objects
        raise CorruptPicture(f"its {format_name} data is truncated, damaged or of an unknown kind{why}") from error


def open_as(data: bytes, format_name: str) -> Pillow.Image:
    """Open a file as one of that format, with Pillow or a plugin of its kind, whatever else it may look like."""
    module, name = _FILE_CLASSES[format_name]
    opened: Pillow.Image = getattr(importlib.import_module(module), name)(io.BytesIO(data))
    return opened


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
    """Bits that a sample will have when it is read: 8 or 16."""

    def read(self, notes: list[str]) -> Held:
        """Decode the first frame, not turned; adds to `notes` what the user should know."""
        ...


# --- samples -----------------------------------------------------------------------------------------------


def odd_samples(name: str) -> str:
    """The sentence for samples that are not read."""
    return f"{name} holds 32-bit or floating-point samples; enhance reads 8 and 16-bit integers."


def eight_bit(opened: Pillow.Image, notes: list[str]) -> tuple[Array, Array | None]:
    """Colours (H×W or H×W×3 uint8) and alpha of an opened picture: palettes as their colours, CMYK and Lab as sRGB."""
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


def sixteen_bit(data: bytes) -> Array:
    """Decode 16-bit samples with OpenCV: H×W or H×W×3 RGB or H×W×4 RGBA.

    Raises:
        ValueError: OpenCV cannot decode it, or not at 16 bits.
    """
    import cv2

    try:
        samples: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ValueError(error.err) from error
    if samples is None or samples.dtype != np.uint16:
        raise ValueError("its 16-bit samples cannot be decoded")
    if samples.ndim == 3:
        samples = samples[..., (2, 1, 0) if samples.shape[2] == 3 else (2, 1, 0, 3)]
    return np.ascontiguousarray(samples)


def spread(samples: Array, largest: int) -> Array:
    """Samples of 0..`largest` over the whole of 16 bits, rounded."""
    return ((samples.astype(np.uint32) * 65535 + largest // 2) // largest).astype(np.uint16)


def separated(samples: Array, depth: int) -> tuple[Array, Array | None]:
    """H×W, H×W×3 or H×W×4 samples of `depth` bits as 16-bit colours and alpha."""
    whole = spread(samples, 2**depth - 1)
    if whole.ndim == 2 or whole.shape[2] == 3:
        return whole, None
    return np.ascontiguousarray(whole[..., :3]), np.ascontiguousarray(whole[..., 3])
