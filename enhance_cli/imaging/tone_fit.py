"""The search for the curve of `finish.fit`, compiled: it evaluates the curve at hundreds of tones some 250 times."""

from __future__ import annotations

import math

import numpy as np

from enhance_cli.engines.compiled import kernel

ROUNDS, STEPS = 5, 20
"""Rounds over veil, contrast and mean, which depend on each other, and halvings of the range of each."""


@kernel
def searched(values, weights, darkest, black, contrast, mean, thickest, bends, gammas):  # type: ignore[no-untyped-def]
    """Exponent g, veil b, bend c and pivot of the curve of `finish.fit`.

    Args:
        values: n tones in 0..1, float64.
        weights: how much each counts, float64.
        darkest: the tone that is brought to `black`.
        black: wanted value of it; NaN to take no veil away.
        contrast: wanted standard deviation; NaN to leave it.
        mean: wanted mean.
        thickest: largest veil.
        bends: least and greatest c.
        gammas: least and greatest g.
    """
    gamma, veil, bend = 1.0, 0.0, 1.0
    pivot = min(max(mean, 0.15), 0.85)
    logarithms = np.log(np.maximum(values, 1e-300))
    tones = np.empty_like(values)
    for _ in range(ROUNDS):
        before = gamma, veil, bend
        if not math.isnan(black):
            least, most = 0.0, thickest
            if curve_at(darkest**gamma, least, bend, pivot) <= black:
                veil = least
            elif curve_at(darkest**gamma, most, bend, pivot) >= black:
                veil = most
            else:
                for _ in range(STEPS):
                    middle = 0.5 * (least + most)
                    if curve_at(darkest**gamma, middle, bend, pivot) > black:
                        least = middle
                    else:
                        most = middle
                veil = 0.5 * (least + most)
        if not math.isnan(contrast):
            for i in range(len(values)):
                tones[i] = unveiled(math.exp(gamma * logarithms[i]), veil)
            least, most = bends
            if deviation(tones, weights, least, pivot) >= contrast:
                bend = least
            elif deviation(tones, weights, most, pivot) <= contrast:
                bend = most
            else:
                for _ in range(STEPS):
                    middle = 0.5 * (least + most)
                    if deviation(tones, weights, middle, pivot) < contrast:
                        least = middle
                    else:
                        most = middle
                bend = 0.5 * (least + most)
        least, most = gammas
        if mean_after(logarithms, weights, least, veil, bend, pivot) <= mean:
            gamma = least
        elif mean_after(logarithms, weights, most, veil, bend, pivot) >= mean:
            gamma = most
        else:
            for _ in range(STEPS):
                middle = 0.5 * (least + most)
                if mean_after(logarithms, weights, middle, veil, bend, pivot) > mean:
                    least = middle
                else:
                    most = middle
            gamma = 0.5 * (least + most)
        if (gamma, veil, bend) == before:
            break
    return gamma, veil, bend, pivot


@kernel
def deviation(tones, weights, bend, pivot):  # type: ignore[no-untyped-def]
    """Standard deviation after contrast is changed, of tones without their veil."""
    total = first = second = 0.0
    for i in range(len(tones)):
        value = bent(tones[i], bend, pivot)
        total += weights[i]
        first += weights[i] * value
        second += weights[i] * value * value
    mean = first / total
    return math.sqrt(max(second / total - mean * mean, 0.0))


@kernel
def mean_after(logarithms, weights, gamma, veil, bend, pivot):  # type: ignore[no-untyped-def]
    """Mean of the tones with these logarithms after the curve."""
    total = first = 0.0
    for i in range(len(logarithms)):
        total += weights[i]
        first += weights[i] * bent(unveiled(math.exp(gamma * logarithms[i]), veil), bend, pivot)
    return first / total


@kernel
def curve_at(value, veil, bend, pivot):  # type: ignore[no-untyped-def]
    """The curve at a tone that the power was applied to already."""
    return bent(unveiled(value, veil), bend, pivot)


@kernel
def unveiled(value, veil):  # type: ignore[no-untyped-def]
    """A tone without the light of a veil, scaled to 0..1."""
    least = soft(-veil, veil)
    return (soft(value - veil, veil) - least) / (soft(1.0 - veil, veil) - least)


@kernel
def bent(value, bend, pivot):  # type: ignore[no-untyped-def]
    """A tone moved away from the pivot, or towards it."""
    if value < pivot:
        return pivot * math.exp(bend * math.log(max(value, 1e-300) / pivot))
    return 1.0 - (1.0 - pivot) * math.exp(bend * math.log(max(1.0 - value, 1e-300) / (1.0 - pivot)))


@kernel
def soft(value, veil):  # type: ignore[no-untyped-def]
    """`value` above 0, and less and less of it below; smooth."""
    return 0.5 * (value + math.sqrt(value * value + veil * veil / 9.0))
