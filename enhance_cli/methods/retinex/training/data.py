"""The training photos of retinex's networks, and the images drawn from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from enhance_cli.methods.retinex.formulas import PROXY
from enhance_cli.methods.retinex.training import faults
from enhance_cli.methods.retinex.training.recipe import FullRecipe, MendingRecipe, Recipe
from enhance_cli.training import loop
from enhance_cli.training.dataset import Pair, Sources, by_exposure, put_aside, put_pairs_aside, scene_of
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
class Frame:
    """A frame of a stack as a square of `CACHED`, and what it may become; one of the two is there."""

    image: Codes
    best: Codes | None
    """The best frame; None if no frame is named so, or this is it."""

    fused: Codes | None
    """The fused stack; None if it has too few frames."""


@dataclass(frozen=True, slots=True)
class Album:
    """The photos in memory, what of them is put aside, and squares of them made small."""

    stacks: Sequence[Pair]
    lowlight: Sequence[Pair]
    clean: Sequence[Codes]
    held_out: Mapping[str, Sequence[Pair]]
    """`lowlight`, `under`, `over`, `under fused`, `over fused` and `backlit`."""

    squares: Mapping[str, Sequence[tuple[Codes, Codes]]]
    """The same as squares of `CACHED`; clean ones are their own targets."""

    frames: Sequence[Frame]
    """Squares of all frames, for the large network: of stacks without a best frame, and the best frames, too."""

    @property
    def examples(self) -> list[Pair]:
        """A few held-out images of each kind, for the sheet."""
        return [pair for pairs in self.held_out.values() for pair in pairs[:3]]

    @classmethod
    def read(cls, data: Path, recipe: Recipe, log: loop.Log) -> Album:
        """Read the data that is present, and hold out every sixteenth scene."""
        sources = Sources.read(data, recipe.read_side, fuse=True)
        lowlight, lowlight_aside = put_pairs_aside(sources.lowlight, HELD_OUT_EVERY)
        stacks, stacks_aside = put_pairs_aside(list(filter(_has_best, sources.stacks)), HELD_OUT_EVERY)
        aside = {scene_of(pair.name) for pair in stacks_aside}
        frames = [pair for pair in sources.stacks if scene_of(pair.name) not in aside]
        fused_aside = [
            Pair(pair.name, pair.degraded, pair.fused)
            for pair in sources.stacks
            if pair.fused is not None and scene_of(pair.name) in aside
        ]
        photographs, photographs_aside = put_aside(list(sources.clean.items()), HELD_OUT_EVERY, lambda item: item[0])
        clean = [photograph for _, photograph in photographs]
        held_out = {
            "lowlight": lowlight_aside,
            **by_exposure(stacks_aside),
            **{f"{kind} fused": found for kind, found in by_exposure(fused_aside).items()},
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
        held_out = {kind: found for kind, found in held_out.items() if found}
        return cls(stacks, lowlight, clean, held_out, squares, list(map(_frame, frames)))

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

    def scene(self, random: np.random.Generator, recipe: FullRecipe) -> Drawn:
        """An image for the large illumination, PROXY×PROXY: most of a photo, made small."""
        shares = {
            "frames": recipe.frames * bool(self.frames),
            "lowlight": recipe.lowlight * bool(self.squares["lowlight"]),
            "two tones": recipe.two_tones,
        }
        spoilt = {
            "exposure": recipe.exposure,
            "backlight": recipe.backlight,
            "veil": recipe.veil,
            "empty dark": recipe.empty_dark,
        }
        if self.clean:
            shares |= spoilt
            shares["clean"] = max(0.0, 1.0 - sum(shares.values()))
        kind = draw_kind(random, shares)
        if kind == "two tones":
            image, bright = two_tones(random, PROXY)
            return Drawn(image, image, bright)
        if kind == "frames":
            frame = self.frames[int(random.integers(len(self.frames)))]
            return Drawn(*cut((frame.image, target_of(frame, random, recipe)), random))
        pairs = self.squares["lowlight" if kind == "lowlight" else "clean"]
        image, target = cut(pairs[int(random.integers(len(pairs)))], random)
        match kind:
            case "exposure":
                image = faults.exposed(image, random.uniform(-4.0, 2.2))
            case "backlight":
                image = faults.backlight(image, random)
            case "veil":
                image = faults.veil(image, random)
            case "empty dark":
                image, target = faults.empty_dark(image, random)
        return Drawn(image, target)


def target_of(frame: Frame, random: np.random.Generator, recipe: FullRecipe) -> Codes:
    """What a frame should become in this draw: the fused stack or the best frame."""
    if frame.best is None or frame.fused is None:
        found = frame.fused if frame.best is None else frame.best
        assert found is not None
        return found
    dark = frame.image.mean() < frame.fused.mean()
    return frame.fused if random.random() < (recipe.fused_of_dark if dark else recipe.fused_of_bright) else frame.best


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


def tensor(pictures: Sequence[Picture]) -> Tensor:
    """H×W×3 images, or H×W maps, as N×C×H×W."""
    stacked = np.stack([one if one.ndim == 3 else one[..., None] for one in pictures])
    return torch.from_numpy(np.ascontiguousarray(stacked.transpose(0, 3, 1, 2)))


def _has_best(pair: Pair) -> bool:
    """Whether the stack of a frame has a best frame, and this is another."""
    return pair.reference is not pair.fused and pair.reference is not pair.degraded


def _frame(pair: Pair) -> Frame:
    best = shrunk(pair.reference) if _has_best(pair) else None
    return Frame(shrunk(pair.degraded), best, None if pair.fused is None else shrunk(pair.fused))


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
