"""The curves and the matrix of a colour profile: what takes its samples to the light of sRGB's primaries.

Profiles of a matrix and three curves (ICC.1:2010, 8.3.3 and 8.4.3), and grey ones of one curve, are read here. Those
that hold nothing but tables of colours go through Little CMS, which tells the curve of their greys.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from enhance_cli.imaging.profiles import BT709, SRGB_CURVE, primaries_to_d50

if TYPE_CHECKING:
    from enhance_cli.types import Array

SAMPLES = 65536
"""Entries of a curve, one for each 16-bit sample."""

_GREYS = 33
"""Knots of a grey curve that is read off 8-bit answers: far fewer than their levels, whose steps then do not show."""


class UnreadableProfile(ValueError):
    """A profile that tells no curve; the message is a clause that says why."""


class Profile(NamedTuple):
    """From samples to linear light."""

    curves: Array
    """3×65536 float64, from 16-bit samples to light in 0..1; none ever falls."""

    matrix: Array
    """3×3 float64, from that light to the light of sRGB's primaries; rows sum to 1, so greys stay grey."""


def read(icc: bytes, *, grey: bool) -> Profile:
    """Take a profile apart.

    Args:
        icc: the whole profile.
        grey: whether the image has one channel.

    Raises:
        UnreadableProfile: it is damaged, or of another number of channels than the image.
    """
    if len(icc) < 132 or icc[36:40] != b"acsp":
        raise UnreadableProfile("is damaged")
    space = icc[16:20]
    if space not in (b"RGB ", b"GRAY") or (space == b"GRAY" and not grey):
        raise UnreadableProfile("is not one of RGB" if not grey else "is neither one of grey nor of RGB")
    tags = _tags(icc)
    try:
        if space == b"GRAY":
            curve = _curve(tags[b"kTRC"])
            return Profile(np.stack([curve] * 3), np.eye(3))
        names = (b"r", b"g", b"b")
        if all(name + end in tags for name in names for end in (b"XYZ", b"TRC")):
            curves = np.stack([_curve(tags[name + b"TRC"]) for name in names])
            columns = np.stack([_xyz(tags[name + b"XYZ"]) for name in names], axis=1)
            return Profile(curves, _to_srgb(columns))
    except (KeyError, struct.error, IndexError) as error:
        raise UnreadableProfile("is damaged") from error
    curve = _curve_of_greys(icc)
    return Profile(np.stack([curve] * 3), np.eye(3))


def srgb_light() -> Array:
    """The curve of sRGB: 65536 float64, from 16-bit samples to light in 0..1."""
    return _parametric(3, SRGB_CURVE)


def _tags(icc: bytes) -> dict[bytes, bytes]:
    count = min(int.from_bytes(icc[128:132], "big"), 200)
    tags = {}
    for entry in range(132, 132 + 12 * count, 12):
        name, start, length = icc[entry : entry + 4], *struct.unpack(">II", icc[entry + 4 : entry + 12].ljust(8, b"\0"))
        if start + length <= len(icc):
            tags[name] = icc[start : start + length]
    return tags


def _curve(tag: bytes) -> Array:
    """A curve's tag as 65536 values of light."""
    kind = tag[:4]
    if kind == b"curv":
        count = int.from_bytes(tag[8:12], "big")
        if count == 0:
            return _checked(np.linspace(0.0, 1.0, SAMPLES))
        stored = np.frombuffer(tag[12 : 12 + 2 * count], ">u2")
        if len(stored) != count:
            raise UnreadableProfile("is damaged")
        if count == 1:
            return _parametric(0, (float(stored[0]) / 256.0,))
        places = np.linspace(0.0, count - 1.0, SAMPLES)
        return _checked(np.interp(places, np.arange(count), stored / 65535.0))
    if kind == b"para":
        function = int.from_bytes(tag[8:10], "big")
        length = (1, 3, 4, 5, 7)[function]
        numbers = struct.unpack_from(f">{length}i", tag, 12)
        return _parametric(function, tuple(number / 65536.0 for number in numbers))
    raise UnreadableProfile("holds a curve of an unknown kind")


def _parametric(function: int, numbers: tuple[float, ...]) -> Array:
    """ICC's parametric curves, by their numbers (ICC.1:2010, table 65)."""
    x = np.linspace(0.0, 1.0, SAMPLES)
    gamma, a, b, c, d, e, f = (*numbers, *(1.0, 0.0, 0.0, 0.0, 0.0, 0.0)[len(numbers) - 1 :])
    if function in (1, 2):  # c is an offset here, and the curve begins where a x + b does
        e = f = c if function == 2 else 0.0
        c, d = 0.0, -b / a if a else 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        curve = np.where(x >= d, np.maximum(a * x + b, 0.0) ** gamma + e, c * x + f)
    return _checked(curve)


def _checked(curve: Array) -> Array:
    """A curve within 0..1 that never falls and leads somewhere."""
    if not np.isfinite(curve).all():
        raise UnreadableProfile("holds a curve without end")
    rising: Array = np.maximum.accumulate(np.clip(curve, 0.0, 1.0))
    if rising[-1] - rising[0] < 0.1 or np.abs(rising - np.clip(curve, 0.0, 1.0)).max() > 0.01:
        raise UnreadableProfile("holds a curve that cannot be undone")
    return rising


def _xyz(tag: bytes) -> Array:
    return np.array(struct.unpack_from(">3i", tag, 8)) / 65536.0


def _to_srgb(columns: Array) -> Array:
    """From the light of primaries (XYZ of D50 in columns) to that of sRGB's."""
    srgb = primaries_to_d50(BT709)
    assert srgb is not None
    matrix = np.linalg.solve(srgb, columns)
    sums = matrix.sum(axis=1, keepdims=True)
    if not (np.isfinite(matrix).all() and np.abs(sums - 1.0).max() < 0.2 and abs(np.linalg.det(matrix)) > 1e-3):
        raise UnreadableProfile("spans no colour space")
    whole: Array = matrix / sums
    return whole


def _curve_of_greys(icc: bytes) -> Array:
    """What Little CMS makes of greys, as light. It answers in 8 bits, which are smoothed."""
    from PIL import Image, ImageCms

    ramp = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        answer: Array = np.asarray(
            ImageCms.profileToProfile(Image.fromarray(ramp), profile, ImageCms.createProfile("sRGB"), intent)
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        raise UnreadableProfile("is refused by Little CMS") from error
    level = answer[0].astype(np.float64) @ np.array((0.2126, 0.7152, 0.0722)) / 255.0
    knots = np.linspace(0, 255, _GREYS)
    means = [level[max(round(knot) - 3, 0) : round(knot) + 4].mean() for knot in knots]
    means[0], means[-1] = level[0], level[-1]
    curve = np.interp(np.linspace(0, 255, SAMPLES), knots, np.maximum.accumulate(means))
    return _checked(np.interp(curve, np.linspace(0.0, 1.0, SAMPLES), srgb_light()))
