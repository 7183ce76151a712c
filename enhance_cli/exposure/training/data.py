"""Photos that the predictor learns from: what it is shown, and the figures that the photo should have had."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from enhance_cli.errors import UsageError
from enhance_cli.exposure.features import SIDE, figures, luma_of, statistics
from enhance_cli.exposure.training.recipe import Recipe
from enhance_cli.training import loop
from enhance_cli.training.dataset import Pair, Sources, by_exposure, put_aside, put_pairs_aside
from enhance_cli.training.degradations import DISPLAY_GAMMA, generator

Codes = NDArray[np.uint8]
Picture = NDArray[np.float32]

HELD_OUT_EVERY = 8
"""The last of every eight scenes of each kind, in order of name, is held out for validation."""

HELD_OUT_STOPS = {"as they are": 0.0, "-1 stop": -1.0, "-3 stops": -3.0, "+1 stop": 1.0, "+2 stops": 2.0}


@dataclass(frozen=True, slots=True)
class Samples:
    """Photos as the network sees them, and what it should say of them."""

    statistics: Picture
    """N×inputs."""

    figures: Picture
    """N×4, see `features.figures`."""

    weights: Picture
    """N: of the loss."""

    @classmethod
    def of(cls, drawn: Sequence[tuple[Picture, Picture, float]]) -> Samples:
        """Samples of (3×64×64 light, figures, weight)."""
        lights, wanted, weights = zip(*drawn, strict=True)
        return cls(np.stack([*map(statistics, lights)]), np.stack(wanted), np.array(weights, np.float32))


@dataclass(frozen=True, slots=True)
class Album:
    """The photos in memory: for each kind what is shown and its target, which are the same for good photos."""

    photos: Mapping[str, Sequence[tuple[Codes, Codes]]]
    held_out: Mapping[str, Samples]

    @classmethod
    def read(
        cls, data: Path, recipe: Recipe, log: loop.Log, scenes: Callable[[str], bool] = lambda scene: True
    ) -> Album:
        """Read the data that is present, of the scenes that are wanted, and hold out every eighth scene.

        Raises:
            UsageError: no photos are left, or one cannot be decoded.
        """
        sources = Sources.read(data, recipe.read_side, fuse=True).only(scenes)
        lowlight, lowlight_aside = put_pairs_aside(sources.lowlight, HELD_OUT_EVERY)
        stacks, stacks_aside = put_pairs_aside(sources.stacks, HELD_OUT_EVERY)
        clean, clean_aside = put_aside(list(sources.clean.items()), HELD_OUT_EVERY, lambda item: item[0])
        photos = {
            "fused": [(pair.degraded, pair.fused) for pair in stacks if pair.fused is not None],
            "stacks": [(pair.degraded, pair.reference) for pair in stacks if not pair.name.endswith("_ref")],
            "lowlight": [(pair.degraded, pair.reference) for pair in lowlight],
            "clean": [(photo, photo) for _, photo in clean],
            "references": [(pair.degraded, pair.degraded) for pair in stacks if pair.name.endswith("_ref")],
            "lit": [(pair.reference, pair.reference) for pair in lowlight],
        }
        photos = {kind: found for kind, found in photos.items() if found}
        if not photos:
            raise UsageError(f"{data} holds too few scenes to train on; docs/training.md says what is looked for.")
        held_out = {"lowlight": lowlight_aside, **by_exposure(stacks_aside)}
        samples = {kind: Samples.of([*map(_sample, pairs)]) for kind, pairs in held_out.items() if pairs}
        for name, stops in HELD_OUT_STOPS.items() if clean_aside else ():
            samples[name] = Samples.of([_exposed(photo, stops, index) for index, (_, photo) in enumerate(clean_aside)])
        log(
            f"Training on {len(lowlight)} dark pairs, {len(stacks)} frames of stacks and {len(clean)} clean "
            f"photographs; {', '.join(f'{len(part.weights)} {kind}' for kind, part in samples.items())} held out."
        )
        return cls(photos, samples)

    def draw(self, recipe: Recipe, seed: int) -> Samples:
        """All samples of a training; each is a function of seed and number alone."""
        kinds = [kind for kind in recipe.kinds if kind in self.photos]
        shares = np.array([recipe.kinds[kind].share for kind in kinds])
        drawn = []
        for index in range(recipe.draws):
            random = generator(seed, 1, index)
            kind = kinds[int(random.choice(len(kinds), p=shares / shares.sum()))]
            of_kind = self.photos[kind]
            drawn.append(_drawn(kind, of_kind[int(random.integers(len(of_kind)))], recipe, random))
        return Samples.of(drawn)


def _drawn(
    kind: str, pair: tuple[Codes, Codes], recipe: Recipe, random: np.random.Generator
) -> tuple[Picture, Picture, float]:
    colour = _colour(random)
    shown, target = (_coloured(part, *colour) for part in _cropped(pair, recipe.crop, random))
    wanted = figures(target)
    if kind == "lowlight" and random.random() < 0.7:
        shown = _quantised(_display(_linear(shown) * np.float32(2.0 ** random.uniform(-1.0, 2.0))))
    elif kind not in ("lowlight", "stacks", "fused"):
        shown = _veiled(target, random) if random.random() < recipe.veiled else target
        shown = shown if random.random() < recipe.unchanged else wrongly_exposed(shown, random)
    return shown, wanted, recipe.kinds[kind].weight


def wrongly_exposed(light: Picture, random: np.random.Generator) -> Picture:
    """A photo up to 6 stops darker, or 2.3 brighter: gain in linear light, cast, noise, and 8 bits again.

    Two thirds are darker. The noise is that of means over many pixels, as a downscaled photo has it.
    """
    if random.random() < 2 / 3:
        stops = -random.uniform(0.3, 6.0) if random.random() < 0.6 else -random.uniform(0.2, 2.5)
    else:
        stops = random.uniform(0.2, 2.3)
    linear = _linear(light)
    if random.random() < 0.3:
        linear = linear ** np.float32(random.uniform(0.8, 1.35))  # another camera's curve
    linear = linear * np.float32(2.0**stops)
    if random.random() < 0.5:
        linear = linear * np.exp(random.normal(0.0, 0.08, (3, 1, 1))).astype(np.float32)
    if stops > 0.0 and random.random() < 0.5:
        shoulder = 0.8 + 0.2 * (1.0 - np.exp(-(linear - 0.8) / 0.2))
        linear = np.where(linear > 0.8, shoulder, linear).astype(np.float32)
    shot, read = 10.0 ** random.uniform(-4.5, -3.0), 10.0 ** random.uniform(-4.0, -2.3)
    deviation = np.sqrt(np.maximum(linear, 0.0) * np.float32(shot) + np.float32(read**2))
    return _quantised(_display(linear + random.normal(0.0, 1.0, light.shape).astype(np.float32) * deviation))


def _veiled(light: Picture, random: np.random.Generator) -> Picture:
    """Less contrast, more light in black, and paler colours."""
    contrast = random.uniform(0.55, 1.0)
    veil, saturation = random.uniform(0.0, 0.8) * (1.0 - contrast), random.uniform(0.5, 1.0)
    grey = luma_of(light)
    veiled: Picture = ((grey + saturation * (light - grey)) * contrast + veil).astype(np.float32)
    return veiled.clip(0.0, 1.0)


def _cropped(pair: tuple[Codes, Codes], least: float, random: np.random.Generator) -> list[Picture]:
    """The same random part of both, mirrored half of the time, squeezed to 3×64×64 light."""
    shares, places = random.uniform(least, 1.0, 2), random.random(2)
    mirrored = random.random() < 0.5
    parts = []
    for codes in pair:
        sizes = [round(side * share) for side, share in zip(codes.shape, shares, strict=False)]
        top, left = (round((side - size) * at) for side, size, at in zip(codes.shape, sizes, places, strict=False))
        part = _light(codes[top : top + sizes[0], left : left + sizes[1]])
        parts.append(part[:, :, ::-1] if mirrored else part)
    return parts


def _light(codes: Codes) -> Picture:
    small = cv2.resize(codes.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small.transpose(2, 0, 1) / np.float32(255.0))


def _colour(random: np.random.Generator) -> tuple[Picture, np.float32]:
    """Gains of the channels, and saturation."""
    return np.exp(random.normal(0.0, 0.05, (3, 1, 1))).astype(np.float32), np.float32(random.uniform(0.75, 1.25))


def _coloured(light: Picture, gains: Picture, saturation: np.float32) -> Picture:
    grey = luma_of(light)
    coloured: Picture = (grey + saturation * (light - grey)) * gains
    return coloured.clip(0.0, 1.0)


def _sample(pair: Pair) -> tuple[Picture, Picture, float]:
    return _light(pair.degraded), figures(_light(pair.reference)), 1.0


def _exposed(photo: Codes, stops: float, index: int) -> tuple[Picture, Picture, float]:
    light = _light(photo)
    if stops == 0.0:
        return light, figures(light), 1.0
    noise = generator(0, 2, index).normal(0.0, 0.002, light.shape).astype(np.float32)
    return _quantised(_display(_linear(light) * np.float32(2.0**stops) + noise)), figures(light), 1.0


def _linear(light: Picture) -> Picture:
    return light ** np.float32(DISPLAY_GAMMA)


def _display(light: Picture) -> Picture:
    return light.clip(0.0, 1.0) ** np.float32(1.0 / DISPLAY_GAMMA)


def _quantised(light: Picture) -> Picture:
    codes: Picture = np.rint(light * np.float32(255.0)) / np.float32(255.0)
    return codes
