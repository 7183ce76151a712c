"""CIE L*a*b* of sRGB images and the CIEDE2000 colour difference, in numpy.

The numbers are those of scikit-image: its sRGB matrix, the white point D65 of the 2-degree observer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from enhance_cli.quality.pictures import Levels

_XYZ_FROM_RGB = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])
_TO_WHITE = (_XYZ_FROM_RGB / _WHITE[:, None]).T


def lab(samples: Levels) -> NDArray[np.float64]:
    """L*, a*, b* of sRGB samples in 8-bit levels; ...×3 float64 in and out, L* in 0..100."""
    encoded = samples / 255.0
    linear = np.where(encoded > 0.04045, ((encoded + 0.055) / 1.055) ** 2.4, encoded / 12.92)
    relative = linear @ _TO_WHITE
    f = np.where(relative > 0.008856, np.cbrt(relative), 7.787 * relative + 16.0 / 116.0)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)


def ciede2000(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """The colour difference of two ...×3 L*a*b* arrays, one number a pixel, kL = kC = kH = 1.

    The equations are those of Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula", 2005.
    """
    lightness1, a1, b1 = first[..., 0], first[..., 1], first[..., 2]
    lightness2, a2, b2 = second[..., 0], second[..., 1], second[..., 2]

    # Eq. 2-7: a* is stretched near the neutral axis, then chroma and hue are read off.
    stretch = 1.5 - 0.5 * _saturation(0.5 * (_length(a1, b1) + _length(a2, b2)))
    a1, a2 = a1 * stretch, a2 * stretch
    chroma1, chroma2 = _length(a1, b1), _length(a2, b2)
    hue1 = np.arctan2(b1, a1) % (2.0 * np.pi)
    hue2 = np.arctan2(b2, a2) % (2.0 * np.pi)

    # Eq. 8-11.
    colourless = chroma1 * chroma2 == 0.0
    turn = hue2 - hue1
    turn = np.where(turn > np.pi, turn - 2.0 * np.pi, np.where(turn < -np.pi, turn + 2.0 * np.pi, turn))
    turn = np.where(colourless, 0.0, turn)
    delta_hue = 2.0 * np.sqrt(chroma1 * chroma2) * np.sin(0.5 * turn)
    delta_lightness = lightness2 - lightness1
    delta_chroma = chroma2 - chroma1

    # Eq. 12-14: the mean hue lies on the shorter arc.
    lightness_bar = 0.5 * (lightness1 + lightness2)
    chroma_bar = 0.5 * (chroma1 + chroma2)
    total = hue1 + hue2
    wrapped = np.where(total < 2.0 * np.pi, total + 2.0 * np.pi, total - 2.0 * np.pi)
    total = np.where(~colourless & (np.abs(hue1 - hue2) > np.pi), wrapped, total)
    hue_bar = np.where(colourless, total, 0.5 * total)

    # Eq. 15-21.
    t = (
        1.0
        - 0.17 * np.cos(hue_bar - np.deg2rad(30.0))
        + 0.24 * np.cos(2.0 * hue_bar)
        + 0.32 * np.cos(3.0 * hue_bar + np.deg2rad(6.0))
        - 0.20 * np.cos(4.0 * hue_bar - np.deg2rad(63.0))
    )
    from_blue = (np.rad2deg(hue_bar) - 275.0) / 25.0
    rotation = -np.sin(2.0 * np.deg2rad(30.0 * np.exp(-(from_blue**2)))) * 2.0 * _saturation(chroma_bar)
    offset2 = (lightness_bar - 50.0) ** 2
    lightness_term = delta_lightness / (1.0 + 0.015 * offset2 / np.sqrt(20.0 + offset2))
    chroma_term = delta_chroma / (1.0 + 0.045 * chroma_bar)
    hue_term = delta_hue / (1.0 + 0.015 * chroma_bar * t)

    # Eq. 22. The rotation term can push the sum a rounding error below zero.
    squared = lightness_term**2 + chroma_term**2 + hue_term**2 + rotation * chroma_term * hue_term
    difference: NDArray[np.float64] = np.sqrt(np.maximum(squared, 0.0))
    return difference


def hue_turns(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """The angles between the hues of two ...×3 L*a*b* arrays: radians in 0..pi, one number a pixel."""
    # By cross and dot product of (a*, b*): there is no wrapping to undo.
    cross = first[..., 1] * second[..., 2] - first[..., 2] * second[..., 1]
    dot = first[..., 1] * second[..., 1] + first[..., 2] * second[..., 2]
    turns: NDArray[np.float64] = np.abs(np.arctan2(cross, dot))
    return turns


def _length(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """sqrt(a² + b²); np.hypot guards against overflow that L*a*b* cannot reach, at several times the cost."""
    length: NDArray[np.float64] = np.sqrt(a * a + b * b)
    return length


def _saturation(chroma: NDArray[np.float64]) -> NDArray[np.float64]:
    """sqrt(C⁷ / (C⁷ + 25⁷)), the power by products: np.power is ten times slower."""
    squared = chroma * chroma
    seventh = squared * squared * squared * chroma
    saturation: NDArray[np.float64] = np.sqrt(seventh / (seventh + 25.0**7))
    return saturation
