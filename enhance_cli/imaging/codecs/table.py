"""The table of formats, and what is asked of it by suffix, name and first bytes."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from enhance_cli.imaging.codecs import (
    avif,
    bmp,
    exr,
    gif,
    hdr,
    heif,
    jp2,
    jpeg,
    jxl,
    png,
    ppm,
    psd,
    raw,
    tiff,
    webp,
)
from enhance_cli.imaging.codecs.codec import Codec

FORMATS: dict[str, Codec] = {
    item.CODEC.name: item.CODEC
    for item in (jpeg, png, webp, tiff, bmp, avif, heif, gif, ppm, jp2, psd, jxl, raw, exr, hdr)
}
"""Every format by its name, in the order in which documents name them and files are recognised."""

_BY_SUFFIX = {suffix: codec for codec in FORMATS.values() for suffix in codec.suffixes}
_BY_NAME = {name: codec for codec in FORMATS.values() for name in (codec.name, *codec.aliases)}


def format_named(name: str) -> Codec:
    """The writable format a user means by `jpg`, `.jpeg`, `PNG`, `webp`, `tif` ...

    Raises:
        ValueError: no such format, or one that is only read.
    """
    found = _BY_NAME.get(name.lower().lstrip("."))
    if found is None or not found.writable:
        raise ValueError(f"a format is one of {', '.join(writable_formats())}, not {name!r}.")
    return found


def writable_formats() -> tuple[str, ...]:
    """The names that `--format` takes."""
    return tuple(codec.name for codec in FORMATS.values() if codec.writable)


def is_installed(format_name: str) -> bool:
    """Whether the extra packages that a format needs are installed."""
    module = FORMATS[format_name].module
    return module is None or find_spec(module) is not None


def format_of_suffix(path: Path) -> Codec | None:
    """The format that a file's name announces, or None."""
    return _BY_SUFFIX.get(path.suffix.lower())


def sniff(data: bytes) -> Codec | None:
    """The format that a file's first bytes announce, or None."""
    return next((codec for codec in FORMATS.values() if codec.sniff(data)), None)
