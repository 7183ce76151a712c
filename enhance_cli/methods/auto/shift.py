"""`--shift`: brightens or darkens by a power of linear light that moves mid grey by so many stops.

x -> x^g with 0.18^g = 0.18 2^EV: black and white stay, the order of tones stays, and nothing clips.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from enhance_cli.types import Array

GREY = 0.18
"""Mid grey in linear light."""


def exponent(stops: float) -> float:
    """The power for a number of stops; it approaches 0 from above where mid grey would become white."""
    return math.log(min(GREY * 2.0**stops, 0.9)) / math.log(GREY)


@cache
def table(stops: float, white: int) -> Array:
    """The level that each level becomes: `white` + 1 entries, uint8 or uint16, of sRGB-encoded samples."""
    codes = np.arange(white + 1) / white
    light = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4) ** exponent(stops)
    shown = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(shown * white), np.uint8 if white == 255 else np.uint16)
