"""The tone curve that brings a method's result to the black point, contrast and colour that a photo should have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from enhance_cli.exposure import Wanted
from enhance_cli.exposure.features import chroma_of, luma_of
from enhance_cli.imaging import opacity
from enhance_cli.imaging.finish import Tones, finished, fit

if TYPE_CHECKING:
    from enhance_cli.types import Array

MOST_CONTRAST, LEAST_CONTRAST = 1.35, 0.85
"""Bounds of the contrast by that of the result: more would be visible where the predictor errs."""

DEEPER = 0.7
"""The black point that is aimed for, by the predicted one: that is a median over scenes with and without true black.
A lower one than that is left alone."""

MOST_CHROMA, LEAST_CHROMA = 1.35, 1.0
"""Bounds of the factor of colour."""

_NOTHING = 1e-3


def tones_for(light: Array, source: Array, wanted: Wanted, weights: Array | None = None) -> Tones:
    """The curve for a downscaled result. It keeps the mean, or darkens towards the wanted one.

    Args:
        light: 3×h×w in 0..1, a method's result.
        source: 3×h×w in 0..1, the photo.
        wanted: what the photo should have.
        weights: opacity, h×w; None if all pixels count alike.
    """
    grey = luma_of(light)
    mean = opacity.mean(grey, weights)
    contrast = np.sqrt(opacity.mean(np.square(grey - mean), weights))
    bounded = min(max(wanted.contrast, LEAST_CONTRAST * contrast), MOST_CONTRAST * contrast)
    tones = fit(grey, weights, black=DEEPER * wanted.black, contrast=float(bounded), mean=min(wanted.luma, mean))
    after = finished(light, source, tones)
    chroma = opacity.mean(chroma_of(after, luma_of(after)), weights)
    factor = min(max(wanted.chroma / max(chroma, _NOTHING), LEAST_CHROMA), MOST_CHROMA)
    return tones._replace(chroma=factor)
