"""Photos to learn choosing from: copies as small as those that are chosen from, each with what it should look like.

Frames of stacks against the frame marked `_ref` and against the whole stack fused; dark shots against bright ones of
their scene; good photos against themselves, and with a fault against what they were.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from enhance_cli.errors import UsageError
from enhance_cli.methods.auto.measure import SIDE
from enhance_cli.training import degradations
from enhance_cli.training.dataset import Codes, Pair, Sources, place_of, scene_of

if TYPE_CHECKING:
    from enhance_cli.methods.auto.training.recipe import Recipe
    from enhance_cli.training.degradations import Picture


@dataclass(frozen=True, slots=True)
class Sample:
    """A photo and what it should look like."""

    kind: str
    """`under`, `over`, `reference` (the best frame of a stack), `dark pair`, `clean` or `faulty`."""

    scene: str
    codes: Codes
    references: Sequence[Codes]
    """One or two; the furthest counts."""


def read(data: Path, recipe: Recipe, seed: int) -> list[Sample]:
    """All samples of a training folder.

    Raises:
        UsageError: it holds no photos, or one that cannot be decoded.
    """
    sources = Sources.read(data, SIDE, fuse=True)
    found = [*_stacks(sources.stacks, recipe), *_dark(sources.lowlight, recipe), *_clean(sources.clean, seed)]
    if len({sample.scene for sample in found}) < 2:
        raise UsageError(f"{data} holds fewer than two scenes; docs/training.md says which folders are looked for.")
    return found


def _stacks(frames: Sequence[Pair], recipe: Recipe) -> Iterator[Sample]:
    for scene, group in groupby(frames, key=lambda frame: scene_of(frame.name)):
        ordered = sorted(group, key=lambda frame: float(frame.degraded.mean()))
        places = np.linspace(0, len(ordered) - 1, min(recipe.frames, len(ordered))).round().astype(int)
        for place in places:
            frame = ordered[place]
            goals = tuple(goal for goal in (frame.reference, frame.fused) if goal is not None)
            kind = "under" if frame.degraded.mean() < frame.reference.mean() else "over"
            yield Sample("reference" if frame.name.endswith("_ref") else kind, scene, frame.degraded, goals)


def _dark(pairs: Sequence[Pair], recipe: Recipe) -> Iterator[Sample]:
    for pair in pairs[:: recipe.every_pair]:
        yield Sample("dark pair", place_of(pair.name), pair.degraded, (pair.reference,))


def _clean(photos: Mapping[str, Codes], seed: int) -> Iterator[Sample]:
    for index, (name, codes) in enumerate(photos.items()):
        yield Sample("clean", name, codes, (codes,))
        random = degradations.generator(seed, index)
        faulty = FAULTS[int(random.integers(len(FAULTS)))](codes.astype(np.float32) / np.float32(255.0), random)
        yield Sample("faulty", name, faulty, (codes,))


def _wrongly_exposed(picture: Picture, random: np.random.Generator) -> Codes:
    """Exposed by -2.5 to 1.5 stops in linear light, at least a third of a stop either way."""
    stops = random.uniform(-2.5, 1.5)
    stops = np.sign(stops) * max(abs(stops), 1 / 3)
    gamma = np.float32(degradations.DISPLAY_GAMMA)
    light = np.clip(picture**gamma * np.float32(2.0**stops), 0.0, 1.0) ** (1.0 / gamma)
    return np.asarray(np.rint(light * 255.0), np.uint8)


def _veiled(picture: Picture, random: np.random.Generator) -> Codes:
    """Haze or flare: contrast is lost towards a light grey."""
    share, grey = random.uniform(0.15, 0.6), random.uniform(0.5, 0.9)
    return np.asarray(np.rint((picture * (1.0 - share) + grey * share).clip(0.0, 1.0) * 255.0), np.uint8)


FAULTS = (
    _wrongly_exposed,
    _veiled,
    degradations.compress_shift,
    degradations.lowlight,
    degradations.overexpose,
    degradations.nonuniform,
    degradations.tone_curve,
)
"""What is done to good photos, one of these each."""
