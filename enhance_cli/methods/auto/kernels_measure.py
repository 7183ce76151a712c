"""Compiled loops over small copies: sums that are the same however memory lies, unlike those of vectorised libraries.

They are taken in the order of pixels, so that a training that is repeated sees the same features to the last bit.
"""

from __future__ import annotations

import math

import numpy as np

from enhance_cli.engines.compiled import kernel


@kernel
def lowest_and_chroma(codes, lowest):  # type: ignore[no-untyped-def]
    """The smallest channel of each pixel, into `lowest` H×W uint8; and the mean length of BT.601 chroma, 0..1.

    Args:
        codes: H×W×3 uint8.
        lowest: receives the smallest channel.
    """
    height, width, _ = codes.shape
    total = np.float64(0.0)
    for y in range(height):
        row = np.float32(0.0)
        for x in range(width):
            r, g, b = codes[y, x, 0], codes[y, x, 1], codes[y, x, 2]
            lowest[y, x] = min(min(r, g), b)
            red, green, blue = np.float32(r), np.float32(g), np.float32(b)
            luma = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
            u, v = np.float32(0.564) * (blue - luma), np.float32(0.713) * (red - luma)
            row += np.sqrt(u * u + v * v)
        total += row
    return total / (255.0 * height * width)


@kernel
def change(before, after, black, white):  # type: ignore[no-untyped-def]
    """Share of pixels that are black or white only afterwards, and the mean change of samples, 0..1.

    Args:
        before: H×W×3 uint8.
        after: of the same shape.
        black: largest level, in all channels, of what is black.
        white: smallest level, in all channels, of what is white.
    """
    height, width, _ = before.shape
    newly, moved = 0, np.int64(0)
    for y in range(height):
        for x in range(width):
            r, g, b = np.int64(before[y, x, 0]), np.int64(before[y, x, 1]), np.int64(before[y, x, 2])
            red, green, blue = np.int64(after[y, x, 0]), np.int64(after[y, x, 1]), np.int64(after[y, x, 2])
            moved += abs(red - r) + abs(green - g) + abs(blue - b)
            if (max(red, green, blue) <= black or min(red, green, blue) >= white) and not (
                max(r, g, b) <= black or min(r, g, b) >= white
            ):
                newly += 1
    return newly / (height * width), moved / (765.0 * height * width)


@kernel
def turn(before, after, coloured):  # type: ignore[no-untyped-def]
    """Mean turn of hue in degrees over pixels that have a colour before and after, weighted by chroma.

    The angle of a pixel's hue is that of (2 R - G - B, sqrt(3) (G - B)).

    Args:
        before: H×W×3 uint8, smoothed.
        after: the same of the result.
        coloured: levels between the channels from which on a pixel has a colour.

    Returns:
        0 if fewer than one pixel in a hundred has.
    """
    height, width, _ = before.shape
    found, total = 0, np.int64(0)
    turned = 0.0
    for y in range(height):
        for x in range(width):
            r, g, b = np.int64(before[y, x, 0]), np.int64(before[y, x, 1]), np.int64(before[y, x, 2])
            red, green, blue = np.int64(after[y, x, 0]), np.int64(after[y, x, 1]), np.int64(after[y, x, 2])
            chroma = min(max(r, g, b) - min(r, g, b), max(red, green, blue) - min(red, green, blue))
            if chroma >= coloured:
                found += 1
                total += chroma
                along, across = 2 * r - g - b, g - b
                then, over = 2 * red - green - blue, green - blue
                crossed = np.float32(along * over - across * then) * np.float32(math.sqrt(3.0))
                turned += chroma * abs(math.atan2(crossed, np.float32(along * then + 3 * across * over)))
    if found < 0.01 * (height * width) or total == 0:
        return 0.0
    return math.degrees(turned / total)
