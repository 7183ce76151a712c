"""Images of every layout and depth, and what is compared of them: for the tests of codecs."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps

from enhance_cli.types import Image, Metadata

LAYOUTS = {"grey": (), "grey and alpha": (2,), "rgb": (3,), "rgba": (4,)}


def samples(layout, depth=np.uint8, height=21, width=34, seed=5):
    shape = (height, width, *LAYOUTS[layout])
    return np.random.default_rng(seed).integers(0, np.iinfo(depth).max, shape, depth, endpoint=True)


def image_of(layout, depth=np.uint8, **meta):
    whole = samples(layout, depth)
    metadata = Metadata(bit_depth=8 * whole.itemsize, **meta)
    if layout in ("grey", "rgb"):
        return Image(whole, metadata=metadata)
    colours = whole[..., 0] if layout == "grey and alpha" else whole[..., :3]
    return Image(np.ascontiguousarray(colours), alpha=np.ascontiguousarray(whole[..., -1]), metadata=metadata)


def saved(picture, format_name, **details):
    packed = io.BytesIO()
    picture.save(packed, format_name, **details)
    return packed.getvalue()


def assert_same(image, other):
    assert image.pixels.dtype == other.pixels.dtype
    assert np.array_equal(image.pixels, other.pixels)
    assert (image.alpha is None) == (other.alpha is None)
    if image.alpha is not None:
        assert np.array_equal(image.alpha, other.alpha)


def assert_as_pillow(image, data):
    """The same colours, and the same alpha, as Pillow's own reading, upright."""
    with Pillow.open(io.BytesIO(data)) as opened:
        upright = ImageOps.exif_transpose(opened)
        assert np.array_equal(
            colours_of(image), np.array(upright.convert("RGBA" if image.alpha is not None else "RGB"))
        )
    assert_fit_for_rendering(image)


def colours_of(image):
    pixels = image.pixels if image.pixels.ndim == 3 else np.repeat(image.pixels[..., None], 3, axis=2)
    return pixels if image.alpha is None else np.dstack((pixels, image.alpha))


def assert_fit_for_rendering(image):
    for plane in (image.pixels, *(() if image.alpha is None else (image.alpha,))):
        assert plane.flags.c_contiguous
        assert plane.flags.writeable
        assert plane.dtype in (np.uint8, np.uint16)
