"""Masks as regions of one picture: A is lit, C stays, and B between them is the transition.

One number per pixel defines all three, the fall-off t: 1 in A, 0 in C, and between in B, linear in the distance
to A, or the softness of a soft mask. It is kept in 16 bits, 65535 in A and 0 in C, so regions never overlap or gape.

Paper: "Local low-light image enhancement via region-aware normalization", whose masks are circles, a second radius
1.2 to 1.25 of the first, and portraits with an eroded copy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from enhance_cli.methods.local import LocalControls
from enhance_cli.methods.local.covers import FULL, Cover, bands, cut, grown, inverted, length_of_edge
from enhance_cli.methods.local.distance import add_transition, softened
from enhance_cli.methods.local.drawn import Bits, draw_between
from enhance_cli.methods.local.fitting import fit
from enhance_cli.methods.local.reading import read
from enhance_cli.types import Image

if TYPE_CHECKING:
    from enhance_cli.types import Array

OF_RADIUS = 0.22
"""A transition's width where none is given, as a share of the radius of a disc of the mask's area: the middle of the
paper's, whose outer radius is 1.2 to 1.25 of the inner."""

NARROW = 1 / 32
"""Of the shorter side: a narrower transition may look like an edge."""


@dataclass(frozen=True)
class Regions:
    """Where the areas of a picture lie."""

    height: int
    width: int
    fall_off: Array
    """h×w uint16, the part of the picture outside which all is C; 0×0 where nothing is lit."""

    top: int = 0
    left: int = 0
    transition: float = 0.0
    """Width of B in pixels: as asked for, else B's area over the length of its middle line."""

    soft: bool = False
    """Whether B is a mask's own softness."""

    fitted: bool = False
    """Whether the mask's edge was fitted to the photo's."""

    @cached_property
    def shares(self) -> tuple[float, float, float]:
        """Shares of the picture's pixels in A, B and C; they sum to 1."""
        whole = self.height * self.width
        inside = sum(int(np.count_nonzero(self.fall_off[band] == FULL)) for band in bands(self.fall_off))
        lit = int(np.count_nonzero(self.fall_off))
        return inside / whole, (lit - inside) / whole, (whole - lit) / whole

    def planes(self, rows: int, columns: int) -> Array:
        """Area A and the fall-off as area means over the whole picture: float32 2×rows×columns in 0..1.

        Bins are those of `imaging.area.area_means`.
        """
        sums = np.zeros((2, rows, columns))
        bottom, right = self.top + self.fall_off.shape[0], self.left + self.fall_off.shape[1]
        starts = np.arange(columns) * self.width // columns
        ends = -(-np.arange(1, columns + 1) * self.width // columns)
        for i in range(rows):
            first, last = i * self.height // rows, -(-(i + 1) * self.height // rows)
            band = self.fall_off[max(first - self.top, 0) : max(min(last, bottom) - self.top, 0)]
            if not band.size:
                continue
            totals = np.zeros((2, self.width + 1))
            totals[0, 1 + self.left : 1 + right] = (band == FULL).sum(axis=0, dtype=np.uint32)
            totals[1, 1 + self.left : 1 + right] = band.sum(axis=0, dtype=np.uint32) / FULL
            totals = totals.cumsum(axis=1)
            sums[:, i] = (totals[:, ends] - totals[:, starts]) / ((last - first) * (ends - starts))
        return sums.astype(np.float32)


def regions(image: Image, controls: LocalControls) -> Regions:
    """The areas of a picture under its controls.

    Raises:
        UsageError: the mask does not fit the picture: it lies outside, is shaped differently, or needs an alpha
            channel that is not there.
    """
    assert controls.mask is not None
    if controls.mask_outer is not None:
        inner, outer = (
            Bits.of(read(image, mask, role), image.height, image.width)
            for mask, role in ((controls.mask, "mask"), (controls.mask_outer, "mask_outer"))
        )
        # Inverted, what was outside the outer one is lit, and what was inside the inner one stays.
        values, width = draw_between(~outer, ~inner) if controls.mask_invert else draw_between(inner, outer)
        return _trimmed(image.height, image.width, Cover(values, 0, 0, False), width)
    cover = read(image, controls.mask, "mask")
    if controls.mask_invert:
        cover = inverted(image, cover)
    if not cover.values.size:
        return Regions(image.height, image.width, np.empty((0, 0), np.uint16))
    mode = controls.place
    width = _transition(image, cover, controls)
    if mode == "erode" and controls.mask.is_picture and not cover.soft and width > 0.0:
        return _fitted(image, cover, None if controls.transition == "auto" else width)
    # The inside of an eroded mask needs no more than its own pixels, but one beyond them where it ends.
    area = grown(image, cover, 1 if mode == "erode" else math.ceil(width) + 1)
    area = area._replace(values=softened(area.values, owned=area.owned))
    soft = cover.soft and width == 0.0
    del cover  # of a large picture it takes as much as the result
    add_transition(area.values, width, mode)
    found = _trimmed(image.height, image.width, area, None if soft else width)
    return replace(found, soft=soft and found.transition > 0.0)


def _fitted(image: Image, cover: Cover, width: float | None) -> Regions:
    """The areas of a hard mask of a person or a thing, whose edge follows the photo's; None is the width of the fit."""
    area = fit(image, cover)
    del cover
    if width is not None:
        add_transition(area.values, width, "erode")
    return replace(_trimmed(image.height, image.width, area, width), fitted=True)


def fall_off(mask: Array, width: float, mode: Literal["dilate", "erode", "both"] = "dilate") -> Array:
    """The fall-off of a mask of a whole picture.

    Args:
        mask: h×w floats in 0..1, hard or soft.
        width: of the transition in pixels.
        mode: whether it lies outside the mask, inside it, or half and half.

    Returns:
        float32 h×w: 1 in A, 0 in C; hard masks fall by 1 / (width + 1) a pixel.
    """
    values = softened(np.rint(np.asarray(mask, np.float32) * FULL).astype(np.uint16), owned=True)
    add_transition(values, width, mode)
    return values / np.float32(FULL)


def _transition(image: Image, cover: Cover, controls: LocalControls) -> float:
    """The width of the transition in pixels, beside the mask's own softness."""
    if controls.transition != "auto":
        return controls.transition.pixels(min(image.height, image.width))
    if cover.soft:
        return 0.0
    area = float(cover.values.sum(dtype=np.float64)) / np.iinfo(cover.values.dtype).max
    return OF_RADIUS * math.sqrt(area / math.pi)


def _trimmed(height: int, width: int, found: Cover, transition: float | None) -> Regions:
    """The regions of a fall-off; a transition of no known width is measured."""
    lit = cut(found, 0.0)
    values = _packed(lit.values)
    between = sum(np.count_nonzero((values[band] > 0) & (values[band] < FULL)) for band in bands(values))
    if not between:
        transition = 0.0
    elif transition is None:
        transition = between / max(length_of_edge(values, FULL // 2), 1.0)
    return Regions(height, width, values, lit.top, lit.left, float(transition))


def _packed(values: Array) -> Array:
    """The values side by side, in the memory that they are a window of where that is of one piece."""
    whole = values.base
    if values.flags.c_contiguous or whole is None or not whole.flags.c_contiguous or whole.dtype != values.dtype:
        return np.ascontiguousarray(values)
    line = whole.reshape(-1)
    rows, columns = values.shape
    for y in range(rows):  # towards the beginning: a row never lies before where it goes
        line[y * columns : (y + 1) * columns] = values[y]
    return line[: rows * columns].reshape(rows, columns)
