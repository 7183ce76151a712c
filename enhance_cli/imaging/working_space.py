"""Conversion between the colour space of an image's profile and sRGB, in which all methods work.

The profile's curves linearise the samples, and its matrix converts them to sRGB's primaries; out-of-gamut light is
clipped, and the method sees the rest with sRGB's curve, at 16 bits whatever the depth of the image. On the way back
the clipped light is added again, brightened like its pixel. A pixel that the method left alone is restored bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from enhance_cli.engines.compiled import kernel
from enhance_cli.imaging import icc as icc_module
from enhance_cli.imaging.luma import flat_rows

if TYPE_CHECKING:
    from enhance_cli.types import Array

KNOTS = 16384
"""Of a curve from light to samples, evenly spaced in the root of light, where such curves are nearly straight."""

MOST_GAIN = 64.0
"""Bound of the factor on light that sRGB cannot show."""

_CURVE, _MATRIX = 1 / 128, 0.02
"""How far a profile's curve, in samples of 0..1, and its matrix may be from sRGB's to be taken for it: tables of few
entries and coarse matrices of common sRGB profiles lie within, all other common spaces far outside."""

_NEAR = 0.5
"""How far a matrix may be from sRGB's for luma to be taken as it is stored. AdobeRGB and Display P3 lie within; the
primaries of Rec. 2020 and ProPhoto do not."""


@dataclass(frozen=True, eq=False)
class Space:
    """A colour space other than sRGB."""

    light: Array
    """3×65536 float32, from 16-bit samples to light in 0..1."""

    samples: Array
    """3×(KNOTS + 2) float32, from the root of light to samples in 0..1."""

    matrix: Array
    """3×3 float32, to the light of sRGB's primaries."""

    inverse: Array
    has_srgb_curve: bool
    is_near: bool
    """Whether luma as it is stored is nearly that of sRGB, but for the curve."""

    def to_srgb(self, pixels: Array) -> Array:
        """An image, H×W×3 or H×W, uint8 or uint16, as sRGB of 16 bits."""
        if pixels.ndim == 2:
            table: Array = self._grey_tables()[0]
            step = 257 if pixels.dtype == np.uint8 else 1
            return table[::step][pixels]
        height, width, _ = pixels.shape
        out = np.empty(pixels.shape, np.uint16)
        line, stride = flat_rows(pixels)
        step = 257 if pixels.dtype == np.uint8 else 1
        _to_srgb(line, stride, width, step, self.light, self.matrix, _tables()[1], out.reshape(height, 3 * width))
        return out

    def from_srgb(self, source: Array, seen: Array, rendered: Array) -> Array:
        """What a method made of an image, in the image's own space and depth.

        Args:
            source: the image, as for `to_srgb`.
            seen: what `to_srgb` made of it.
            rendered: the method's result, like `seen`.
        """
        step = 257 if source.dtype == np.uint8 else 1
        if source.ndim == 2:
            samples = self._grey_tables()[1][rendered]
            kept: Array = np.where(rendered == seen, source, ((samples + step // 2) // step).astype(source.dtype))
            return kept
        height, width, _ = source.shape
        out = np.empty(source.shape, source.dtype)
        line, before, after = (flat_rows(np.ascontiguousarray(it))[0] for it in (source, seen, rendered))
        arrays = self.light, self.samples, self.matrix, self.inverse, _tables()[0]
        _from_srgb(line, before, after, 3 * width, step, *arrays, out.reshape(height, 3 * width))
        return out

    def _grey_tables(self) -> tuple[Array, Array]:
        """From 16-bit samples to sRGB's and back, uint32 and uint16 of 65536 entries; of the second channel."""
        return _grey_tables(self)


@lru_cache(maxsize=32)
def _grey_tables(space: Space) -> tuple[Array, Array]:
    light, knots = _tables()
    forward = np.rint(_looked_up(knots, space.light[1]) * 65535.0).astype(np.uint16)
    back = np.rint(_looked_up(space.samples[1], light) * 65535.0).astype(np.uint32)
    return forward, back


@lru_cache(maxsize=32)
def space_of(icc: bytes | None, *, grey: bool) -> tuple[Space | None, str | None]:
    """The colour space of an image's profile; None for sRGB, and with a clause where the profile cannot be used.

    Args:
        icc: the profile; images without one are sRGB.
        grey: whether the image has one channel.
    """
    if icc is None:
        return None, None
    try:
        profile = icc_module.read(icc, grey=grey)
    except icc_module.UnreadableProfile as error:
        return None, f"its colour profile {error}: its colours were taken as sRGB"
    _, knots = _tables()
    known = np.linspace(0.0, 1.0, icc_module.SAMPLES)
    errors = [np.abs(_looked_up(knots, curve.astype(np.float32)) - known).max() for curve in profile.curves]
    far = float(np.abs(profile.matrix - np.eye(3)).max())
    has_srgb_curve = max(errors) < _CURVE
    if has_srgb_curve and (far < _MATRIX or grey):
        return None, None
    made = Space(
        light=profile.curves.astype(np.float32),
        samples=np.stack([_inverted(curve) for curve in profile.curves]),
        matrix=np.ascontiguousarray(profile.matrix, np.float32),
        inverse=np.ascontiguousarray(np.linalg.inv(profile.matrix), np.float32),
        has_srgb_curve=has_srgb_curve,
        is_near=far < _NEAR,
    )
    return made, None


@lru_cache(maxsize=1)
def _tables() -> tuple[Array, Array]:
    """Light of sRGB's 16-bit samples, and its samples by the root of light."""
    curve = icc_module.srgb_light()
    return curve.astype(np.float32), _inverted(curve)


def _inverted(curve: Array) -> Array:
    """Samples in 0..1 at KNOTS + 1 roots of light, and the last of them again, so that a look-up may look one ahead."""
    roots = np.linspace(0.0, 1.0, KNOTS + 1)
    ends = np.interp(np.square(roots), curve, np.linspace(0.0, 1.0, len(curve)))
    return np.append(ends, ends[-1]).astype(np.float32)


def _looked_up(knots: Array, light: Array) -> Array:
    """Samples in 0..1 of light, by numpy."""
    place = np.sqrt(np.clip(light, 0.0, 1.0)) * np.float32(KNOTS)
    first = place.astype(np.intp)
    value: Array = knots[first] + (place - first) * (knots[first + 1] - knots[first])
    return value


@kernel
def _sample(light, knots):  # type: ignore[no-untyped-def]
    """The sample, 0..1, of light in 0..1."""
    place = np.sqrt(light) * np.float32(KNOTS)
    first = np.int32(place)
    value = knots[first]
    return value + (place - np.float32(first)) * (knots[first + 1] - value)


@kernel
def _bounded(value):  # type: ignore[no-untyped-def]
    return min(max(value, np.float32(0.0)), np.float32(1.0))


@kernel
def _luminance(red, green, blue):  # type: ignore[no-untyped-def]
    """Of sRGB's primaries, never 0."""
    return np.float32(0.2126) * red + np.float32(0.7152) * green + np.float32(0.0722) * blue + np.float32(1e-4)


@kernel
def _to_srgb(line, stride, width, step, light, matrix, knots, out):  # type: ignore[no-untyped-def]
    for y in range(len(out)):
        row, target = line[y * stride : y * stride + 3 * width], out[y]
        for x in range(0, 3 * width, 3):
            red = light[0, np.intp(row[x]) * step]
            green = light[1, np.intp(row[x + 1]) * step]
            blue = light[2, np.intp(row[x + 2]) * step]
            for c in range(3):
                value = matrix[c, 0] * red + matrix[c, 1] * green + matrix[c, 2] * blue
                target[x + c] = np.uint16(_sample(_bounded(value), knots) * np.float32(65535.0) + np.float32(0.5))


@kernel
def _from_srgb(line, before, after, row, step, light, samples, matrix, inverse, srgb, out):  # type: ignore[no-untyped-def]
    white = np.float32(65535 // step)
    for y in range(len(out)):
        start, target = y * row, out[y]
        for x in range(0, row, 3):
            at = start + x
            if before[at] == after[at] and before[at + 1] == after[at + 1] and before[at + 2] == after[at + 2]:
                target[x], target[x + 1], target[x + 2] = line[at], line[at + 1], line[at + 2]
                continue
            red = light[0, np.intp(line[at]) * step]
            green = light[1, np.intp(line[at + 1]) * step]
            blue = light[2, np.intp(line[at + 2]) * step]
            old_red = matrix[0, 0] * red + matrix[0, 1] * green + matrix[0, 2] * blue
            old_green = matrix[1, 0] * red + matrix[1, 1] * green + matrix[1, 2] * blue
            old_blue = matrix[2, 0] * red + matrix[2, 1] * green + matrix[2, 2] * blue
            red, green, blue = srgb[np.intp(after[at])], srgb[np.intp(after[at + 1])], srgb[np.intp(after[at + 2])]
            low = min(old_red, old_green, old_blue)
            high = max(old_red, old_green, old_blue)
            if low < np.float32(0.0) or high > np.float32(1.0):
                cut_red, cut_green, cut_blue = _bounded(old_red), _bounded(old_green), _bounded(old_blue)
                gain = _luminance(red, green, blue) / _luminance(cut_red, cut_green, cut_blue)
                gain = min(gain, np.float32(MOST_GAIN))
                red += gain * (old_red - cut_red)
                green += gain * (old_green - cut_green)
                blue += gain * (old_blue - cut_blue)
            for c in range(3):
                value = inverse[c, 0] * red + inverse[c, 1] * green + inverse[c, 2] * blue
                target[x + c] = _sample(_bounded(value), samples[c]) * white + np.float32(0.5)
