"""`finish.finished` on torch tensors, for devices other than the CPU."""

from __future__ import annotations

import torch
from torch import Tensor

from enhance_cli.imaging.finish import (
    BRIGHT,
    DARK,
    FADED,
    HIGHLIGHT,
    LEAST,
    ROSY_HUES,
    ROSY_SATURATION,
    SKIN_FOLLOWS,
    SKIN_GROWTH,
    SKIN_HUES,
    SKIN_LIGHT,
    SKIN_SATURATION,
    UNCHANGED,
    YELLOWER,
    Tones,
)


def finished(
    light: Tensor,
    source: Tensor,
    tones: Tones = UNCHANGED,
    highlight: tuple[float, float] = HIGHLIGHT,
    follows: float = SKIN_FOLLOWS,
) -> Tensor:
    """Tones, colour and highlights of a method's light; see `finish.finished`.

    Args:
        light: 3×h×w in 0..1, the method's result.
        source: 3×h×w in 0..1 on the same device, the photo's light.
        tones: the curve of the photo.
        highlight: another range than `HIGHLIGHT`.
        follows: another share than `SKIN_FOLLOWS`.

    Returns:
        3×h×w in 0..1.
    """
    if len(tones.gains):
        light = _toned(light, source, torch.as_tensor(tones.gains, device=light.device), tones.chroma)
    return kept_highlights(bounded_skin(light, source, tones.chroma, follows), source, highlight)


def kept_highlights(light: Tensor, source: Tensor, highlight: tuple[float, float] = HIGHLIGHT) -> Tensor:
    """The highlights of …×3×h×w, without tones and colour."""
    kept = _smoothstep(luma(source.movedim(-3, 0)).unsqueeze(-3), *highlight)
    return light + kept * (source - light).clamp(min=0.0)


def _toned(light: Tensor, source: Tensor, gains: Tensor, chroma: float) -> Tensor:
    grey = luma(light).clamp(0.0, 1.0)
    at = grey * (len(gains) - 1)
    node = at.to(torch.int64).clamp(max=len(gains) - 2)
    gain = gains[node] + (at - node) * (gains[node + 1] - gains[node])
    toned = grey * gain
    faded = min(max((FADED[1] - chroma) / (FADED[1] - FADED[0]), 0.0), 1.0)
    spared = (1.0 - skin_likeness(light)) * _smoothstep(luma(source), 0.0, DARK)
    colour = (chroma - 1.0) * (spared + faded * (1.0 - spared))
    colour = 1.0 + colour * (1.0 - _smoothstep(grey, *BRIGHT))
    above = ((light.amax(dim=0) - grey) * gain).clamp(min=LEAST)
    below = (grey - light.amin(dim=0)).clamp(min=LEAST)
    inside = torch.minimum((1.0 - toned).clamp(min=0.0) / above, (grey / below).clamp(min=1.0))
    return (toned + torch.minimum(colour, inside) * gain * (light - grey)).clamp(0.0, 1.0)


def bounded_skin(light: Tensor, source: Tensor, chroma: float = 1.0, follows: float = SKIN_FOLLOWS) -> Tensor:
    """See `finish.bounded_skin`."""
    before, after = luma(source), luma(light)
    narrow, wide = ((each.amax(dim=0) - each.amin(dim=0)).clamp(min=LEAST) for each in (source, light))
    growth = SKIN_GROWTH * (0.5 + 0.5 * max(chroma, 1.0))
    most = growth * (5.0 * after + 3.0 * before) / (3.0 * after + 5.0 * before).clamp(min=LEAST)
    hue, saturation = _hue_and_saturation(source)
    yellow = ((hue - YELLOWER[0]) / (YELLOWER[1] - YELLOWER[0])).clamp(0.0, 1.0)
    most = torch.maximum(most, (follows + (1.0 - follows) * yellow) * after / before.clamp(min=LEAST))
    share = _likeness(hue, saturation, ROSY_HUES)
    for value, (low, high) in ((before, SKIN_LIGHT), (saturation, SKIN_SATURATION)):
        share = share * ((value - low) / (high - low)).clamp(0.0, 1.0)
    low, high = ROSY_SATURATION
    share = share * ((high + yellow - saturation) / (high - low)).clamp(0.0, 1.0)
    return light - share * (1.0 - (most * narrow / wide).clamp(max=1.0)) * (light - after)


def skin_likeness(light: Tensor) -> Tensor:
    """See `finish.skin_likeness`: h×w in 0..1 of 3×h×w."""
    return _likeness(*_hue_and_saturation(light), SKIN_HUES)


def _hue_and_saturation(light: Tensor) -> tuple[Tensor, Tensor]:
    red, green, blue = light
    span = red - blue
    return (green - blue) / span.clamp(min=LEAST), span / red.clamp(min=LEAST)


def _likeness(hue: Tensor, saturation: Tensor, hues: tuple[float, float]) -> Tensor:
    kind = ((hue - hues[0]) / (hues[1] - hues[0])).clamp(0.0, 1.0) * ((0.95 - hue) / 0.2).clamp(0.0, 1.0)
    likeness: Tensor = kind * ((0.9 - saturation) / 0.3).clamp(0.0, 1.0)
    return likeness


def luma(light: Tensor) -> Tensor:
    """BT.601 luma, h×w, of light 3×h×w."""
    return 0.299 * light[0] + 0.587 * light[1] + 0.114 * light[2]


def _smoothstep(values: Tensor, low: float, high: float) -> Tensor:
    at = ((values - low) / (high - low)).clamp(0.0, 1.0)
    return at * at * (3.0 - 2.0 * at)
