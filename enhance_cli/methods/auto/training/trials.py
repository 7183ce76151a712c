"""What every option makes of every sample, and how near that is to what the sample should look like.

A fold is tried with a predictor of exposure that has not seen its scenes (`Recipe.folds`).
"""

from __future__ import annotations

import math
import shutil
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from enhance_cli import methods
from enhance_cli.engines import open_engine
from enhance_cli.engines.weights import weights_folder
from enhance_cli.exposure.predictor import Predictor
from enhance_cli.exposure.training import train as exposure
from enhance_cli.methods.auto.candidates import CANDIDATES, OPTIONS, blended, tried
from enhance_cli.methods.auto.features import COUNT, features
from enhance_cli.methods.auto.measure import measure
from enhance_cli.methods.auto.training.data import Sample
from enhance_cli.methods.auto.training.recipe import Recipe

if TYPE_CHECKING:
    from enhance_cli.training.options import TrainOptions
    from enhance_cli.types import Array, Enhancer

LARGEST = 40.0
"""PSNR in decibels of what equals the reference."""

_FILE = "trials.npz"


@dataclass(frozen=True, eq=False)
class Trials:
    """One row for each sample."""

    kinds: Array
    scenes: Array
    features: Array
    """N×options×`COUNT` float32."""

    psnr: Array
    """N×options float32, in decibels; the mean over a sample's references."""

    least: Array
    """The same from the reference that is furthest: what is learned, as a choice should be good by either reference."""

    def save(self, folder: Path) -> None:
        """Write them, so that a resumed training need not try again."""
        part = folder / f"{_FILE}.part.npz"
        np.savez(part, **vars(self))
        part.replace(folder / _FILE)

    @classmethod
    def load(cls, folder: Path) -> Trials | None:
        """Those of an earlier run, if there are."""
        if not (folder / _FILE).exists():
            return None
        with np.load(folder / _FILE) as found:
            names = cls.__dataclass_fields__
            return cls(**{name: found[name] for name in names}) if {*names} <= {*found} else None


def make(samples: Sequence[Sample], options: TrainOptions, recipe: Recipe, log: Callable[[str], None]) -> Trials:
    """Train a predictor for each fold, and try all options on the fold's samples."""
    made = np.zeros((len(samples), len(OPTIONS), COUNT), np.float32)
    psnr, least = np.zeros((2, len(samples), len(OPTIONS)), np.float32)
    for fold in range(recipe.folds):
        log(f"Fold {fold + 1} of {recipe.folds}: a predictor of exposure from the other scenes.")
        predictor, opened = _opened(fold, options, recipe)
        places = [place for place, sample in enumerate(samples) if fold_of(sample.scene, recipe) == fold]
        for done, place in enumerate(places, 1):
            made[place], near = _tried(samples[place], predictor, opened)
            psnr[place], least[place] = near.mean(axis=1), near.min(axis=1)
            if done % 200 == 0 or done == len(places):
                log(f"Tried {done} of {len(places)} photos.")
    kinds, scenes = (np.array([getattr(sample, name) for sample in samples]) for name in ("kind", "scene"))
    return Trials(kinds, scenes, made, psnr, least)


def fold_of(scene: str, recipe: Recipe) -> int:
    """The fold of a scene: the same for all photos of it."""
    return zlib.crc32(scene.encode()) % recipe.folds


def _opened(fold: int, options: TrainOptions, recipe: Recipe) -> tuple[Predictor, dict[str, Enhancer]]:
    """A predictor that has not seen a fold, and the methods with it, as `--weights` gives it to them."""
    folder = options.out / f"fold{fold}"
    trained = replace(options, out=folder / "exposure", iterations=None)
    exposure.train(trained, recipe=recipe.exposure, scenes=lambda scene: fold_of(scene, recipe) != fold)
    opened = {}
    for name in CANDIDATES:
        method = methods.get(name)
        own = folder / name.replace("-", "_")
        shutil.copytree(weights_folder() / own.name, own, dirs_exist_ok=True)
        shutil.copytree(folder / "exposure", own / "exposure", dirs_exist_ok=True)
        opened[name] = methods.open_enhancer(method, _engine(own))
    return Predictor(_engine(folder)), opened


def _engine(own: Path) -> Any:
    return open_engine("cpu", threads=1, weights=own)


def _tried(sample: Sample, predictor: Predictor, opened: dict[str, Enhancer]) -> tuple[Array, Array]:
    """Features of all options, and their PSNR from each reference: options×references."""
    small = sample.codes
    wanted = predictor.predict_light(np.ascontiguousarray(small.transpose(2, 0, 1) / np.float32(255.0)))
    results = {name: tried(candidate, small, opened[name]) for name, candidate in CANDIDATES.items()}
    made = features(small, measure(small), wanted, results)
    near = [
        [_psnr(blended(small, results[name], amount) if name else small, goal) for goal in sample.references]
        for name, amount in OPTIONS
    ]
    return np.stack([made[place] for place in range(len(OPTIONS))]), np.array(near, np.float32)


def _psnr(result: Array, reference: Array) -> float:
    error = float(cv2.norm(result, reference, cv2.NORM_L2SQR)) / result.size
    return LARGEST if error == 0.0 else min(LARGEST, 10.0 * math.log10(255.0**2 / error))
