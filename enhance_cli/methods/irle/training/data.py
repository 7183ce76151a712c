"""Training data of IRLE's networks: crops of dark photos under jittered curves, in pairs of one scene ("twins").

Every draw depends on the seed and the iteration alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from enhance_cli.errors import UsageError
from enhance_cli.methods.irle import pseudo_ground_truth, tone
from enhance_cli.methods.irle.training import twins
from enhance_cli.training import loop
from enhance_cli.training.dataset import Pair, read_photographs, read_rgb
from enhance_cli.training.degradations import generator

Codes = NDArray[np.uint8]
Picture = NDArray[np.float32]

HELD_OUT_EVERY = 8
"""The last of every eight scenes with twins, in order of name, is held out for validation and never trained on."""


@dataclass(frozen=True, slots=True)
class Draws:
    """How crops are drawn, with a reason for every number."""

    batch: int = 6
    side: int = 96
    """Native pixels; a multiple of every network's own. Small pieces give more steps an hour, and as good ones."""

    exponent_jitter: float = 0.06
    factor_jitter: tuple[float, float] = (0.7, 1.3)
    """Exposures that `--exposure` asks for."""

    balance: tuple[float, float] = (0.0, 1.0)
    """Shares of the white balance: the networks must serve any."""

    simulated: float = 0.2
    """Share of simulated twins: phones and JPEG."""

    resampled: float = 0.25
    """Share of twins made larger or smaller: correlated and fainter noise."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One dark photo, and the measurements that its curve is derived from."""

    pixels: Codes
    counts: NDArray[np.int64]
    cast: pseudo_ground_truth.Cast

    exponent: float
    """Of the curve that gives the mean `tone.TARGET`."""

    @classmethod
    def of(cls, pixels: Codes) -> Shot:
        """Measure a photo."""
        counts = tone.histogram(pixels)
        cast = pseudo_ground_truth.robust_white_balance(proxy_of(pixels))
        return cls(pixels, counts, cast, tone.exponent_of(counts))

    def lit(
        self,
        window: Codes,
        balance: float,
        steeper: float = 0.0,
        more: float = 1.0,
        like: Shot | None = None,
        target: float = tone.TARGET,
    ) -> tuple[Picture, tone.ToneCurve, Picture]:
        """A window's white-balanced light, the curve, and the curve of that light.

        Args:
            window: h×w×3 of this photo.
            balance: share of the white balance.
            steeper: added to the curve's exponent.
            more: factor of the curve's own.
            target: mean that the curve is to give the whole photo.
            like: another shot, whose curve is to be used; this one's light is first brought to its exposure.
        """
        shot = like or self
        factors = pseudo_ground_truth.balanced_with(shot.cast, balance)
        mean = tone.mean_of(shot.counts)
        exponent = shot.exponent if target == tone.TARGET else tone.exponent_of(shot.counts, target)
        curve = tone.fitted(shot.counts, target=target, balance=factors, exponent=exponent + steeper)
        curve = replace(curve, factor=curve.factor * more)
        light = window.astype(np.float32) * (np.asarray(factors, np.float32) / np.float32(255.0))
        if like is None:
            return light, curve, curve.picture(light)
        return light, curve, curve.picture(light * np.float32(mean / max(tone.mean_of(self.counts), 1e-4)))


def proxy_of(pixels: Codes) -> Picture:
    """The downscaled image on which everything global is decided, in 0..1."""
    scale = min(1.0, pseudo_ground_truth.PROXY_SIDE / max(pixels.shape[:2]))
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) / np.float32(255.0)


@dataclass(frozen=True, slots=True)
class Album:
    """The dark photos in memory by scene, and those held out."""

    scenes: Sequence[Sequence[Shot]]
    """Scenes of two shots and more."""

    clean: Sequence[Codes]
    held_out: Sequence[Pair]

    @classmethod
    def read(cls, data: Path, log: loop.Log) -> Album:
        """Read `paired_lowlight/low`, and of `high` only what the validation needs.

        Raises:
            UsageError: no photos, one that cannot be decoded, or nothing that twins could be made of.
        """
        folder = data / "paired_lowlight" / "low"
        photographs = read_photographs(folder if folder.is_dir() else data, 4096)
        found = twins.groups(photographs)
        several = [names for names in found if len(names) > 1]
        aside = several[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
        held = {name for names in aside for name in names}
        scenes = [[Shot.of(photographs[name]) for name in names] for names in several if names[0] not in held]
        pairs = []
        for name in sorted(held):
            reference = next(iter((data / "paired_lowlight" / "high").glob(f"{name}.*")), None)
            if reference is not None:
                pairs.append(Pair(name, photographs[name], read_rgb(reference)))
        log(
            f"Training on {len(scenes)} scenes of {sum(map(len, scenes))} dark photographs; {len(aside)} scenes of "
            f"{len(pairs)} photographs held out."
        )
        clean = list(read_photographs(data / "clean", 640).values()) if (data / "clean").is_dir() else []
        if not scenes and not clean:
            raise UsageError(
                f"{data} holds no two dark shots of one scene and no folder clean to simulate some of; add one of both."
            )
        return cls(scenes, clean, pairs)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one iteration of a denoiser sees: tensors N×3×side×side but for `gain` and `weight`."""

    noisy: Tensor
    gain: Tensor
    """ln(gain), N×1×side×side."""

    twin: Tensor
    """The other shot under the first one's curve."""

    brighter: Tensor
    """The other shot under its own curve."""

    weight: Tensor
    """1 where the other shot is not darker."""

    def to(self, device: str) -> Batch:
        """The same on a device."""
        return Batch(*(getattr(self, item.name).to(device) for item in fields(self)))


def twin_batch(album: Album, draws: Draws, seed: int, iteration: int) -> Batch:
    """Pieces of twins under jittered curves; a function of seed and number alone."""
    random = generator(seed, iteration)
    rows = [_pair(album, draws, random) for _ in range(draws.batch)]
    stacked = [torch.from_numpy(np.stack(planes)) for planes in zip(*rows, strict=True)]
    return Batch(*stacked)


def _pair(album: Album, draws: Draws, random: np.random.Generator) -> tuple[NDArray[Any], ...]:
    side = draws.side
    if album.clean and (not album.scenes or random.random() < draws.simulated):
        piece = _piece(album.clean[int(random.integers(len(album.clean)))], random, max(side, 160))
        pair = twins.simulated(piece.astype(np.float32) / np.float32(255.0), random)
        one, other = (Shot.of(codes) for codes in pair)
    else:
        scene = album.scenes[int(random.integers(len(album.scenes)))]
        one, other = (scene[int(index)] for index in random.permutation(len(scene))[:2])
    resampled = random.random() < draws.resampled
    # Smaller pieces made larger have correlated noise, as demosaicing leaves it; larger ones made smaller have less.
    taken = side if not resampled else round(side * float(random.choice((0.5, 0.67, 1.5))))
    height, width = one.pixels.shape[:2]
    taken = min(taken, height, width)
    top, left = int(random.integers(height - taken + 1)), int(random.integers(width - taken + 1))
    turn, mirror = int(random.integers(4)), random.random() < 0.5
    balance = float(random.uniform(*draws.balance))
    steeper = float(random.uniform(-draws.exponent_jitter, draws.exponent_jitter))
    more = float(random.uniform(*draws.factor_jitter))

    def window(shot: Shot) -> Codes:
        piece = shot.pixels[top : top + taken, left : left + taken]
        if taken != side:
            how = cv2.INTER_CUBIC if taken < side else cv2.INTER_AREA
            piece = np.asarray(cv2.resize(piece, (side, side), interpolation=how), np.uint8)
        return np.ascontiguousarray(np.rot90(piece[:, ::-1] if mirror else piece, turn))

    light, curve, noisy = one.lit(window(one), balance, steeper, more)
    _, _, twin = other.lit(window(other), balance, steeper, more, like=one)
    _, _, own = other.lit(window(other), balance, steeper, more)
    brighter = np.float32(tone.mean_of(other.counts) >= tone.mean_of(one.counts))
    return planes(noisy), log_gain(light, curve), planes(twin), planes(own), np.asarray(brighter)


def _piece(photograph: Codes, random: np.random.Generator, side: int) -> Codes:
    height, width = photograph.shape[:2]
    rows, columns = min(side, height), min(side, width)
    top, left = int(random.integers(height - rows + 1)), int(random.integers(width - columns + 1))
    return photograph[top : top + rows, left : left + columns]


def log_gain(light: Picture, curve: tone.ToneCurve) -> Picture:
    """Log of the curve's gain at the smoothed luma: 1×H×W."""
    smooth = cv2.GaussianBlur(light @ pseudo_ground_truth.LUMA, (0, 0), 4.0)
    return curve.log_gain(smooth)[None]


def planes(picture: NDArray[Any]) -> NDArray[Any]:
    """H×W×C to C×H×W, contiguous."""
    return np.ascontiguousarray(picture.transpose(2, 0, 1))
