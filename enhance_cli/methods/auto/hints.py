"""What EXIF says of the light and of the photographer's wish moves the mean that a photo should have, a little.

It never moves it by more than the predictor's own doubt: pixels decide, EXIF tips the scales.
"""

from __future__ import annotations

from enhance_cli.exposure import Wanted
from enhance_cli.imaging.shooting import Shooting

NIGHT, DIM = 1.0, 5.0
"""Exposure values at ISO 100: lit streets by night have no more than the first, rooms in the evening the second."""

SUN = 13.0
"""Exposure value from which on the sun is out: a photo that is dark then is so by its exposure."""

SHARE_OF_BIAS = 0.5
"""Share of the doubt for each stop of exposure compensation."""

SHARE_OF_SUN = 0.5
"""Share of the doubt in sunlight."""


def hinted(wanted: Wanted, shot: Shooting) -> tuple[Wanted, str]:
    """The mean as it should be with what EXIF says; and that in words, empty where it says nothing that counts.

    Night counts -1 and sun +0.5 of the predictor's doubt, exposure compensation 0.5 for each stop; the sum stays
    within -1 and 1. Where the flash fired, the light of the scene says nothing.
    """
    share, told = 0.0, []
    dark = 0.0 if shot.light is None or shot.flash else min(1.0, max(0.0, (DIM - shot.light) / (DIM - NIGHT)))
    if shot.night:
        share, told = -1.0, ["a night scene"]
    elif dark > 0.0:
        share, told = -dark, [f"{'light as by night' if dark == 1.0 else 'dim light'} ({shot.light:.0f} EV)"]
    elif shot.light is not None and shot.light >= SUN and not shot.flash:
        share, told = SHARE_OF_SUN, [f"sunlight ({shot.light:.0f} EV)"]
    if shot.bias:
        share += SHARE_OF_BIAS * shot.bias
        told.append(f"exposure compensation of {shot.bias:+.1f} EV")
    if not told:
        return wanted, ""
    moved = min(1.0, max(-1.0, share)) * wanted.doubt
    luma = min(0.95, max(0.05, wanted.luma + moved))
    return wanted._replace(luma=luma), f" ({moved:+.2f} for {' and '.join(told)}, by EXIF)"
