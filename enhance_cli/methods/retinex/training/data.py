"""The training photos of retinex's networks, and the images drawn from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from enhance_cli.methods.retinex.formulas import PROXY
from enhance_cli.methods.retinex.training import faults
from enhance_cli.methods.retinex.training.recipe import MendingRecipe, Recipe
from enhance_cli.training import loop
from enhance_cli.training.dataset import Pair, Sources, by_exposure, put_aside, put_pairs_aside
from enhance_cli.training.degradations import generator
from enhance_cli.training.two_tone import two_tones

Codes = NDArray[np.uint8]
Picture = NDArray[np.float32]

HELD_OUT_EVERY = 16
"""The last of every sixteen scenes of each kind, in order of name, is held out for validation."""

CACHED = 96
"""Sides of the squares that stage 1 cuts its own from: a third of the scene may be cut away."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """One image of a batch: H×W×3 in 0..1, what it should become, and which tone is where if it is synthetic."""

    image: Picture
    target: Picture
    bright: Picture | None = None
    """H×W, 1 in the brighter of two flat tones; None for photos."""


@dataclass(frozen=True, slots=True)
class Album:
    """The photos in memory, what of them is put aside, and squares of them made small."""

    stacks: Sequence[Pair]
    lowlight: Sequence[Pair]
    clean: Sequence[Codes]
    held_out: Mapping[str, Sequence[Pair]]
    """`lowlight`, `under`, `over` and `backlit`."""

    squares: Mapping[str, Sequence[tuple[Codes, Codes]]]
    """The same as squares of `CACHED`; clean ones are their own targets."""

    @property
    def examples(self) -> list[Pair]:
        """A few held-out images of each kind, for the sheet."""
        return [pair for pairs in self.held_out.values() for pair in pairs[:3]]

    @classmethod
    def read(cls, data: Path, recipe: Recipe, log: loop.Log) -> Album:
        """Read the data that is present, and hold out every sixteenth scene."""
        sources = Sources.read(data, recipe.read_side)
        lowlight, lowlight_aside = put_pairs_aside(sources.lowlight, HELD_OUT_EVERY)
        stacks, stacks_aside = put_pairs_aside(sources.stacks, HELD_OUT_EVERY)
        photographs, photographs_aside = put_aside(list(sources.clean.items()), HELD_OUT_EVERY, lambda item: item[0])
        clean = [photograph for _, photograph in photographs]
        held_out = {
            "lowlight": lowlight_aside,
            **by_exposure(stacks_aside),
            "backlit": [_backlit(index, photograph) for index, (_, photograph) in enumerate(photographs_aside)],
        }
        log(
            f"Training on {len(stacks)} frames of exposure stacks, {len(lowlight)} dark and {len(clean)} clean "
            f"photographs; {', '.join(f'{len(found)} {kind}' for kind, found in held_out.items())} held out."
        )
        squares = {
            "stacks": [(shrunk(pair.degraded), shrunk(pair.reference)) for pair in stacks],
            "lowlight": [(shrunk(pair.degraded), shrunk(pair.reference)) for pair in lowlight],
            "clean": [(square, square) for square in map(shrunk, clean)],
        }
        return cls(stacks, lowlight, clean, {kind: found for kind, found in held_out.items() if found}, squares)

    def small(self, random: np.random.Generator, recipe: MendingRecipe) -> Drawn:
        """An image of stage 1, PROXY×PROXY: most of a photo, made small."""
        shares = {
            "stacks": recipe.stacks * bool(self.squares["stacks"]),
            "lowlight": recipe.lowlight * bool(self.squares["lowlight"]),
            "two tones": recipe.two_tones,
            "exposure": recipe.exposure * bool(self.clean),
            "backlight": recipe.backlight * bool(self.clean),
        }
        shares["clean"] = max(0.0, 1.0 - sum(shares.values())) * bool(self.clean)
        kind = draw_kind(random, shares)
        if kind == "two tones":
            image, bright = two_tones(random, PROXY)
            return Drawn(image, image, bright)
        pairs = self.squares[kind if kind in self.squares else "clean"]
        image, target = cut(pairs[int(random.integers(len(pairs)))], random)
        if kind == "exposure":
            image = faults.wrong_exposure(image, random)
        elif kind == "backlight":
            image = faults.backlight(image, random)
        return Drawn(image, target)


def draw_kind(random: np.random.Generator, shares: Mapping[str, float]) -> str:
    """One of the kinds, by their shares, which need not sum to 1."""
    weights = np.array(list(shares.values()))
    return list(shares)[int(random.choice(len(weights), p=weights / weights.sum()))]


def shrunk(codes: Codes, side: int = CACHED) -> Codes:
    """A photo reduced to a square by area means."""
    return np.asarray(cv2.resize(codes, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def floats(codes: Codes) -> Picture:
    """Codes as 0..1."""
    return codes.astype(np.float32) / np.float32(255.0)


def codes_of(picture: Picture) -> Codes:
    """0..1 as codes, rounded."""
    return np.asarray(np.rint(np.clip(picture, 0.0, 1.0) * 255.0), np.uint8)


def _backlit(index: int, photograph: Codes) -> Pair:
    dark = faults.backlight(floats(photograph), generator(0, 3, index))
    return Pair(f"backlit {index}", codes_of(dark), photograph)


def cut(pair: tuple[Codes, Codes], random: np.random.Generator) -> tuple[Picture, Picture]:
    """The same random square of both, two thirds to all of each side, mirrored half of the time, PROXY×PROXY."""
    whole = pair[0].shape[0]
    side = round(whole * random.uniform(0.65, 1.0))
    top, left = (int(at) for at in random.integers(whole - side + 1, size=2))
    mirrored = random.random() < 0.5

    def one(codes: Codes) -> Picture:
        piece = floats(shrunk(codes[top : top + side, left : left + side], PROXY))
        return np.ascontiguousarray(piece[:, ::-1]) if mirrored else piece

    return one(pair[0]), one(pair[1])
