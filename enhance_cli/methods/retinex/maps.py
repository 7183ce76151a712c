"""`--maps`: the illuminations and the weights of an image, side by side in grey."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from enhance_cli.imaging import colour
from enhance_cli.imaging.area import area_means
from enhance_cli.methods.retinex import formulas

if TYPE_CHECKING:
    from enhance_cli.methods.retinex.arrays import FusionWeights
    from enhance_cli.methods.retinex.plan import RetinexPlan
    from enhance_cli.types import Array, Image

_LONG_SIDE = 640
_LEGEND = 28


def draw_maps(image: Image, plan: RetinexPlan, fusion: FusionWeights) -> Array:
    """A panel for each map, black 0 and white 1: illumination, that of the negative, weight of each candidate.

    Args:
        image: the image before enhancement.
        plan: what was decided for it.
        fusion: the network with the plan's biases.

    Returns:
        uint8 RGB, three panels to a row, each at most 640 pixels long with its name below.
    """
    scale = min(1.0, _LONG_SIDE / max(image.height, image.width))
    size = max(1, round(image.height * scale)), max(1, round(image.width * scale))
    candidates = [area_means(colour.to_rgb(frame).pixels, *size) for frame in (image, *image.frames)]
    panels: dict[str, Array] = {}
    if plan.grids is not None:
        light = candidates[0]
        panels["illumination"] = formulas.illumination(plan.forward, light.max(axis=0))
        panels["illumination of the negative"] = formulas.illumination(plan.inverse, (1.0 - light).max(axis=0))
        powers = formulas.scored_powers((plan.under, plan.over))
        candidates = formulas.candidates(light, plan.grids, powers)
    for name, weight in zip(plan.candidates, formulas.weights(candidates, fusion), strict=True):
        panels[f"weight: {name}"] = weight
    drawn = [_panel(values, name) for name, values in panels.items()]
    blank = np.full_like(drawn[0], 24)
    drawn += [blank] * (-len(drawn) % 3)
    rows = [np.hstack(drawn[i : i + 3]) for i in range(0, len(drawn), 3)]
    return np.repeat(np.vstack(rows)[..., None], 3, axis=2)


def _panel(values: Array, name: str) -> Array:
    height, width = values.shape
    panel = np.full((height + _LEGEND, max(width, 8)), 24, np.uint8)
    panel[:height, :width] = np.rint(np.clip(values, 0.0, 1.0) * 255.0)
    size = min(0.5, width / 400)
    cv2.putText(panel, name, (6, height + 19), cv2.FONT_HERSHEY_SIMPLEX, size, 220, 1, cv2.LINE_AA)
    return panel
