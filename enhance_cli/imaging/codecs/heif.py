"""HEIF (HEIC) through pillow-heif (the extra `heif`): up to 12 bits are read, 8 are written."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from enhance_cli.errors import UnsupportedFormat
from enhance_cli.imaging.codecs.boxes import brands
from enhance_cli.imaging.codecs.codec import Codec

if TYPE_CHECKING:
    from PIL import Image as Pillow

    from enhance_cli.imaging.codecs.codec import Encoded, PictureFile
    from enhance_cli.imaging.metadata import Carried
    from enhance_cli.types import Array, Image

DEFAULT_QUALITY = 85

_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1", b"mif2")
_PRESET = "ultrafast"  # x265's own takes eight times as long, for 5 dB above what is 57 dB already


def _open(data: bytes, name: str) -> PictureFile:
    from pillow_heif import HeifImageFile

    from enhance_cli.imaging import profiles
    from enhance_cli.imaging.codecs import pillow, samples

    opened: Pillow.Image = HeifImageFile(io.BytesIO(data))  # type: ignore[no-untyped-call]
    depth = opened.info.get("bit_depth", 8)

    def carried(notes: list[str]) -> Carried:
        found, info = pillow.blocks(opened), opened.info
        for block in info.get("metadata", ()):
            if block["type"] == "iptc":
                found = found._replace(iptc=block["data"])
        if tag := info.get("nclx_profile"):
            cicp = profiles.Cicp(tag["color_primaries"], tag["transfer_characteristics"])
            found = found._replace(icc=found.icc or profiles.icc_of_cicp(cicp, notes))
        return found

    if depth <= 8:
        return pillow.PillowFile(opened, name, carried=carried)
    return pillow.PillowFile(
        opened, name, depth=16, carried=carried, samples=lambda notes: samples.separated(_deep(data), depth)
    )


def _deep(data: bytes) -> Array:
    """H×W (×C) samples of more than 8 bits, in the low bits of 16."""
    import numpy as np
    import pillow_heif

    opened = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False, hdr_to_16bit=False)
    samples: Array = np.asarray(opened)
    return samples


def _encode(image: Image, *, quality: int | None) -> Encoded:
    import pillow_heif
    from PIL import Image as Pillow

    from enhance_cli.imaging import colour
    from enhance_cli.imaging.codecs import pillow

    pillow.silence()
    if not pillow_heif.libheif_info()["encoders"]:
        raise UnsupportedFormat("The installed pillow-heif has no HEIC encoder; give --format jpeg or avif.")
    notes: tuple[str, ...] = ()
    if image.alpha is not None and image.pixels.ndim == 2:
        image, notes = colour.grey_as_rgb(image)
    meta = image.metadata
    picture = Pillow.fromarray(colour.interleaved(image))
    if meta.icc:
        picture.info["icc_profile"] = meta.icc
    packed = io.BytesIO()
    pillow_heif.from_pillow(picture).save(
        packed, quality=quality or DEFAULT_QUALITY, exif=meta.exif, xmp=meta.xmp, enc_params={"preset": _PRESET}
    )
    return packed.getvalue(), notes


CODEC = Codec(
    "heif",
    (".heic", ".heif", ".hif"),
    sniff=lambda data: any(brand in _BRANDS for brand in brands(data)),
    open=_open,
    encode=_encode,
    aliases=("heic",),
    alpha=True,
    longest_side=16384,
    turned_by_decoder=True,
    boxes=True,
    extra="heif",
    module="pillow_heif",
)
