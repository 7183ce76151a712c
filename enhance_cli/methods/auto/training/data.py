"""Photos to learn choosing from: copies as small as those that are chosen from, each with what it should look like.

Frames of stacks against the frame marked `_ref` and against the whole stack fused; dark shots against bright ones of
their scene; good photos against themselves, and with a fault, or as dull as before retouching, against what they were.
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
    """`under`, `over`, `reference` (the best frame of a stack), `dark pair`, `clean`, `faulty` or `dull`."""

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
    found = [*_stacks(sources.stacks, recipe, seed), *_dark(sources.lowlight, recipe), *_clean(sources.clean, seed)]
    if len({sample.scene for sample in found}) < 2:
        raise UsageError(f"{data} holds fewer than two scenes; docs/training.md says which folders are looked for.")
    return found


def _stacks(frames: Sequence[Pair], recipe: Recipe, seed: int) -> Iterator[Sample]:
    for index, (scene, group) in enumerate(groupby(frames, key=lambda frame: scene_of(frame.name))):
        ordered = sorted(group, key=lambda frame: float(frame.degraded.mean()))
        places = np.linspace(0, len(ordered) - 1, min(recipe.frames, len(ordered))).round().astype(int)
        for place in places:
            frame = ordered[place]
            goals = tuple(goal for goal in (frame.reference, frame.fused) if goal is not None)
            kind = "under" if frame.degraded.mean() < frame.reference.mean() else "over"
            yield Sample("reference" if frame.name.endswith("_ref") else kind, scene, frame.degraded, goals)
        for best in (frame.degraded for frame in ordered if frame.name.endswith("_ref")):
            yield Sample("dull", scene, dulled(_light(best), degradations.generator(seed, 5, index)), (best,))


def _dark(pairs: Sequence[Pair], recipe: Recipe) -> Iterator[Sample]:
    for pair in pairs[:: recipe.every_pair]:
        yield Sample("dark pair", place_of(pair.name), pair.degraded, (pair.reference,))


def _clean(photos: Mapping[str, Codes], seed: int) -> Iterator[Sample]:
    for index, (name, codes) in enumerate(photos.items()):
        yield Sample("clean", name, codes, (codes,))
        random = degradations.generator(seed, index)
        faulty = FAULTS[int(random.integers(len(FAULTS)))](_light(codes), random)
        yield Sample("faulty", name, faulty, (codes,))
        yield Sample("dull", name, dulled(_light(codes), degradations.generator(seed, 6, index)), (codes,))


def _light(codes: Codes) -> Picture:
    return codes.astype(np.float32) / np.float32(255.0)


def dulled(picture: Picture, random: np.random.Generator) -> Codes:
    """A photo as it was before somebody retouched it: a random few of six mild faults.

    It is up to 1.7 stops darker, or 0.3 brighter: half of the time in linear light, half of the time by a curve that
    keeps white. It has down to 0.55 of its contrast around the mean and 0.4 of its chroma, black is lifted by up to
    0.12, white falls to 0.8, and channels are off by 3.5 %.

    Args:
        picture: H×W×3 float32, 0 to 1, sRGB.
        random: of this draw.

    Returns:
        H×W×3 uint8.
    """
    darker, flatter, paler, lifted, dimmer, cast = random.random(6) < (0.85, 0.75, 0.75, 0.5, 0.4, 0.5)
    if darker:
        stops = random.uniform(-1.7, 0.3)
        gamma = np.float32(degradations.DISPLAY_GAMMA)
        if random.random() < 0.5:
            picture = np.clip(picture**gamma * np.float32(2.0**stops), 0.0, 1.0) ** (1.0 / gamma)
        else:
            picture = picture ** np.float32(2.0 ** (-0.55 * stops))
    if flatter:
        mean = picture.mean()
        picture = mean + np.float32(random.uniform(0.55, 1.0)) * (picture - mean)
    if paler:
        grey = (picture @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
        picture = grey + np.float32(random.uniform(0.4, 1.0)) * (picture - grey)
    black = random.uniform(0.0, 0.12) if lifted else 0.0
    white = random.uniform(0.8, 1.0) if dimmer else 1.0
    gains = np.exp(random.normal(0.0, 0.035, 3)) if cast else np.ones(3)
    dull = (black + (1.0 - black) * picture) * white * gains
    return np.asarray(np.rint(np.clip(dull, 0.0, 1.0) * 255.0), np.uint8)


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
