"""The training photos of CLODE's networks, and the images drawn from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from enhance_cli.methods.clode.training.recipe import Recipe
from enhance_cli.training import degradations, loop
from enhance_cli.training.dataset import (
    Pair,
    by_exposure,
    put_aside,
    put_pairs_aside,
    read_pairs,
    read_photographs,
    read_stacks,
    scene_of,
)
from enhance_cli.training.two_tone import two_tones

Codes = NDArray[np.uint8]
Picture = NDArray[np.float32]

HELD_OUT_EVERY = 8
"""The last of every eight dark photos, stacks and clean photos, in order of name, is held out for validation."""


@dataclass(frozen=True, slots=True)
class Album:
    """The photos in memory by kind, and those held out."""

    dark: Sequence[Codes]
    stacks: Sequence[Codes]
    clean: Sequence[Codes]
    held_out: Mapping[str, Sequence[Pair]]
    """`lowlight`, `under` and `over`: pairs whose references only the validation sees."""

    recipe: Recipe

    @property
    def examples(self) -> list[tuple[str, Codes]]:
        """A few held-out images of each kind, for the sheet."""
        return [(pair.name, pair.degraded) for pairs in self.held_out.values() for pair in pairs[:2]]

    @classmethod
    def read(cls, data: Path, recipe: Recipe, log: loop.Log) -> Album:
        """Read the data that is present, and hold out every eighth scene."""
        side = recipe.read_side
        low, unpaired, sice = data / "paired_lowlight", data / "unpaired_dark", data / "exposure" / "sice512"
        pairs = read_pairs(low / "low", low / "high", side) if (low / "low").is_dir() else []
        lit, lit_aside = put_pairs_aside(pairs, HELD_OUT_EVERY)
        dark = [pair.degraded for pair in lit]
        if unpaired.is_dir():
            dark += list(read_photographs(unpaired, side).values())
        frames = read_photographs(sice, side) if sice.is_dir() else {}
        # All frames, including the references: training needs no pairs.
        kept, aside = put_aside(list(frames), HELD_OUT_EVERY, scene_of)
        stacks = [frames[stem] for stem in kept]
        of_stacks = [pair for pair in (read_stacks(sice, side) if frames else []) if pair.name in aside]
        folder = data / "clean" if (data / "clean").is_dir() else data
        clean = list(read_photographs(folder, side).values()) if (not dark and not frames) or folder != data else []
        held_out = {
            "lowlight": lit_aside,
            **by_exposure(of_stacks),
        }
        log(
            f"Training on {len(dark)} dark photographs, {len(stacks)} stack frames and {len(clean)} clean ones; "
            f"{', '.join(f'{len(found)} {kind}' for kind, found in held_out.items())} held out."
        )
        return cls(dark, stacks, clean, {kind: found for kind, found in held_out.items() if found}, recipe)

    def picture(self, random: np.random.Generator, side: int, native: bool) -> Picture:
        """An image of side×side in 0..1: a crop of a photo at native resolution, or most of the photo downscaled."""
        recipe = self.recipe
        shares = np.array([recipe.dark * bool(self.dark), recipe.stacks * bool(self.stacks), recipe.clean])
        if not self.clean:
            shares[2] = 0.0
        if native:
            shares[1] *= 0.2  # compression has removed their noise
        kind = int(random.choice(3, p=shares / shares.sum()))
        photographs = (self.dark, self.stacks, self.clean)[kind]
        piece = cut(photographs[int(random.integers(len(photographs)))], random, side, native)
        if kind < 2:
            return piece
        fault = random.random()
        if native or fault < 0.5:
            return degradations.lowlight(piece, random).astype(np.float32) / np.float32(255.0)
        return degradations.overexpose(piece, random).astype(np.float32) / np.float32(255.0) if fault < 0.75 else piece

    def batch(self, random: np.random.Generator, count: int, side: int, native: bool = False) -> Tensor:
        """Images as N×3×side×side."""
        pictures = np.stack([self.picture(random, side, native) for _ in range(count)])
        return torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))


def cut(photograph: Codes, random: np.random.Generator, side: int, native: bool) -> Picture:
    """A random square of a photo, mirrored half of the time, in 0..1.

    At native resolution; or half to all of each side, reduced to the square by area means: the light of the whole
    image, as in the proxy that production uses.
    """
    height, width = photograph.shape[:2]
    share = 1.0 if native else random.uniform(0.5, 1.0)
    rows, columns = (min(side, height), min(side, width)) if native else (round(height * share), round(width * share))
    top, left = int(random.integers(height - rows + 1)), int(random.integers(width - columns + 1))
    piece = photograph[top : top + rows, left : left + columns]
    if piece.shape[:2] != (side, side):
        piece = np.asarray(cv2.resize(piece, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    if random.random() < 0.5:
        piece = piece[:, ::-1]
    return piece.astype(np.float32) / np.float32(255.0)


def tones(random: np.random.Generator, side: int) -> tuple[Picture, Picture]:
    """An image of two flat tones, 3×side×side, and the mask of the bright one, 1×side×side."""
    picture, bright = two_tones(random, side)
    return np.ascontiguousarray(picture.transpose(2, 0, 1)), bright[None]
