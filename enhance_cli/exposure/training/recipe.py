"""Every number of the predictor's training, with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from enhance_cli.training import loop


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of training photo."""

    share: float
    """Of all draws."""

    weight: float
    """Of its loss."""


def _kinds() -> Mapping[str, Kind]:
    return {
        # Fused stacks are nearly equal in brightness, and best frames were chosen by a machine; but without much weight
        # on both, dark frames are taken for scenes that ought to be dark.
        "fused": Kind(0.16, 1.5),
        "stacks": Kind(0.16, 1.5),
        "lowlight": Kind(0.2, 1.0),
        # Good photos, as they are and wrongly exposed: only from these can the brightness of a scene be learned.
        "clean": Kind(0.32, 1.2),
        "references": Kind(0.08, 0.5),
        "lit": Kind(0.08, 0.5),  # the bright ones of dark pairs
    }


@dataclass(frozen=True, slots=True)
class Recipe:
    """Data, network and schedule."""

    kinds: Mapping[str, Kind] = field(default_factory=_kinds)

    draws: int = 16_000
    """Photos drawn once, before training; double gains nothing."""

    read_side: int = 160
    """Longer side that photos are shrunk to when they are read: crops of them still have 64 pixels."""

    crop: float = 0.6
    """Least side of a crop, as a share of the photo's."""

    unchanged: float = 0.25
    """Share of good photos that keep their exposure, so that good photos are left as they are."""

    veiled: float = 0.2
    """Share of good photos with a veil: haze, flare or a flat curve."""

    width: int = 64
    dropout: float = 0.2
    batch: int = 64

    others: float = 0.3
    """Weight of black point, contrast and chroma; brightness has 1."""

    schedule: loop.Schedule = field(
        default_factory=lambda: loop.Schedule(
            iterations=4000, learning_rate=2e-3, averaging=0.995, validate_every=1000, checkpoint_every=1000
        )
    )
