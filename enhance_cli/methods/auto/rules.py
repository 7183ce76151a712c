"""The decision list: what to do with a photo by how it looks and by how bright it should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enhance_cli.exposure import Wanted

if TYPE_CHECKING:
    from enhance_cli.methods.auto.measure import Quantities

NEAR = 0.08
"""Distance of mean luma from the predicted one within which a photo is as bright as it should be; the predictor's own
doubt, if that is more. Within it `clode --time auto` keeps the exposure, too."""

FLAT = 0.75
"""Contrast, as a share of the predicted one, below which a photo is flat."""

LEFT_ALONE = ""
"""Stands for doing nothing among the names of candidates."""


def order(kind: str, seen: Quantities, wanted: Wanted) -> tuple[str, ...]:
    """Names of candidates in order of preference.

    Args:
        kind: how the photo looks (`words.finding`).
        seen: what was measured of it.
        wanted: what the predictor of exposure would have of it.
    """
    short = wanted.luma - seen["mean"]
    flat = seen["deviation"] < FLAT * wanted.contrast and kind in ("flat", "hazy")
    if abs(short) <= max(NEAR, wanted.doubt):
        return ("clahe-adaptive 1x1", LEFT_ALONE) if flat else (LEFT_ALONE, "clahe-adaptive 1x1")
    if short < 0.0:
        return ("retinex bright parts", "clode auto", LEFT_ALONE)
    if kind == "backlit":
        return ("retinex dark parts", "clode auto", LEFT_ALONE)
    if kind == "very dark":
        return ("irle", "clode auto", LEFT_ALONE)
    return ("clode auto", "retinex", LEFT_ALONE)
