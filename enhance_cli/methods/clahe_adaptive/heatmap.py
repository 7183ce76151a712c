"""The clip-limit map drawn over the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from enhance_cli.imaging import colour
from enhance_cli.types import Image

if TYPE_CHECKING:
    from enhance_cli.types import Array

_LONG_SIDE = 1600
_LEGEND_HEIGHT = 44


def draw_clip_limits(image: Image, clip_limits: Array) -> Array:
    """Colour every tile by its clip limit (viridis, dark is low) and print the number if it fits.

    Args:
        image: the image before enhancement.
        clip_limits: rows×columns, multiples of the uniform bin height.

    Returns:
        H×W×3 uint8 RGB, long side at most 1600 pixels, with a legend below.
    """
    rgb = colour.to_rgb(colour.to_eight_bit(image)).pixels
    scale = min(1.0, _LONG_SIDE / max(image.height, image.width))
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)

    low, high = float(clip_limits.min()), float(clip_limits.max())
    span = max(high - low, 1e-6)
    levels = np.rint((clip_limits - low) / span * 255).astype(np.uint8)
    tiles = cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS)[..., ::-1]
    coloured = cv2.resize(np.ascontiguousarray(tiles), size, interpolation=cv2.INTER_NEAREST)
    drawn = cv2.addWeighted(grey, 0.45, coloured, 0.55, 0)
    _print_numbers(drawn, clip_limits)
    return np.vstack((drawn, _legend(size[0], low, high)))


def _print_numbers(drawn: Array, clip_limits: Array) -> None:
    rows, columns = clip_limits.shape
    height, width = drawn.shape[0] / rows, drawn.shape[1] / columns
    if width < 34 or height < 16:
        return
    font_scale = min(0.6, width / 110)
    for row in range(rows):
        for column in range(columns):
            text = f"{clip_limits[row, column]:.2f}"
            (text_width, text_height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, font_scale, 1)
            place = (
                round((column + 0.5) * width - text_width / 2),
                round((row + 0.5) * height + text_height / 2),
            )
            for colour_of_text, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
                cv2.putText(
                    drawn,
                    text,
                    place,
                    cv2.FONT_HERSHEY_SIMPLEX,
                    font_scale,
                    colour_of_text,
                    thickness,
                    cv2.LINE_AA,
                )


def _legend(width: int, low: float, high: float) -> Array:
    ramp = np.linspace(0, 255, width).astype(np.uint8)[None].repeat(_LEGEND_HEIGHT // 2, axis=0)
    bar = cv2.applyColorMap(ramp, cv2.COLORMAP_VIRIDIS)[..., ::-1]
    words = np.full((_LEGEND_HEIGHT - bar.shape[0], width, 3), 255, np.uint8)
    cv2.putText(words, f"clip limit {low:.2f}", (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    text = f"{high:.2f}"
    (text_width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)
    cv2.putText(
        words,
        text,
        (max(0, width - text_width - 4), 16),
        cv2.FONT_HERSHEY_SIMPLEX,
        0.45,
        (0, 0, 0),
        1,
        cv2.LINE_AA,
    )
    return np.vstack((np.ascontiguousarray(bar), words))
