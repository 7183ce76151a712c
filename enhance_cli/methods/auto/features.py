"""What the chooser sees of an option: quantities of the photo, of what it should be, and of the option's result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from enhance_cli.exposure import Wanted
from enhance_cli.methods.auto.candidates import OPTIONS, blended
from enhance_cli.methods.auto.guard import smoothed, turn_of
from enhance_cli.methods.auto.kernels_measure import change
from enhance_cli.methods.auto.measure import BLACK, NAMES, WHITE, Quantities, measure

if TYPE_CHECKING:
    from enhance_cli.types import Array

_LEAST_DOUBT = 0.02

_RESULT = (
    "mean above the wanted",
    "its distance",
    "deviation above the wanted",
    "its distance",
    "mean above the wanted, in doubts",
    "change of chroma",
    "chroma above the wanted",
    "turn of hue",
    "newly clipped",
    "mean change",
)

COUNT = len(NAMES) + len(Wanted._fields) + len(NAMES) + len(_RESULT) + len(OPTIONS)
"""Features of an option: of the photo, of what it should be, changes by the result, more of the result, and which
option it is."""


def features(small: Array, seen: Quantities, wanted: Wanted, results: Mapping[str, Array]) -> dict[int, Array]:
    """The features of every option whose method was tried, by its place in `OPTIONS`; that of nothing is 0.

    Args:
        small: the photo's copy, H×W×3 uint8 in sRGB.
        seen: `measure` of it.
        wanted: what the predictor of exposure would have of it.
        results: what each method made of the copy.

    Returns:
        float32 vectors of `COUNT` numbers.
    """
    hues = smoothed(small)
    found = {}
    for place, (name, amount) in enumerate(OPTIONS):
        if name and name not in results:
            continue
        result = blended(small, results[name], amount) if name else small
        after = measure(result) if name else seen
        newly, moved = change(small, result, BLACK, WHITE) if name else (0.0, 0.0)
        mean, deviation = after["mean"] - wanted.luma, after["deviation"] - wanted.contrast
        more = (
            mean,
            abs(mean),
            deviation,
            abs(deviation),
            mean / max(wanted.doubt, _LEAST_DOUBT),
            after.chroma - seen.chroma,
            after.chroma - wanted.chroma,
            turn_of(hues, smoothed(result)) / 90.0 if name else 0.0,
            newly,
            moved,
        )
        which = np.arange(len(OPTIONS)) == place
        parts = (seen.values, wanted, after.values - seen.values, more, which)
        found[place] = np.concatenate([np.asarray(part, np.float32) for part in parts])
    return found
