"""Every number of the chooser's training, with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from enhance_cli.exposure.training.recipe import Recipe as ExposureRecipe
from enhance_cli.training import loop


@dataclass(frozen=True, slots=True)
class Recipe:
    """Data, goal, network and schedule."""

    shares: Mapping[str, float] = field(
        default_factory=lambda: {
            "under": 0.2,
            "over": 0.2,
            "dark pair": 0.18,
            "clean": 0.2,
            "faulty": 0.15,
            "dull": 0.17,
            "reference": 0.07,
        }
    )
    """Of the draws, by kind of sample, in proportion. Without dull ones, photos as before retouching come out 0.6 dB
    worse; at 0.3 they gain 0.2 dB more, and dark frames of stacks lose 0.2."""

    frames: int = 4
    """Frames of a stack, spread over its exposures."""

    every_pair: int = 3
    """Of so many dark pairs one is taken: up to five shots are of one scene."""

    folds: int = 2
    """Parts that the scenes are split into. Each is tried with a predictor of exposure that was trained on the others:
    of scenes that it has seen, it knows the brightness by heart, and methods that use it would look better than they
    are by 1 dB."""

    exposure: ExposureRecipe = field(default_factory=ExposureRecipe)
    """How these predictors are trained."""

    enough: float = 24.0
    """PSNR in decibels above which a gain counts for less."""

    beyond: float = 0.1
    """What it counts for there. At 0 good photos are changed for nothing; at 0.3 dark and bright ones are left alone,
    which costs 0.1 to 0.3 dB."""

    most: float = 34.0
    """PSNR above which nothing is gained."""

    members: int = 5
    """Networks that are trained side by side, whose mean is the result: with one, choices depend on the seed."""

    hidden: int = 12
    """Units of each; 20 gain nothing, 6 lose 0.05 dB."""

    noise: float = 0.08
    """Deviation of the noise that is added to standardised features."""

    temperature: float = 1.5
    """Decibels between two options at which one is e times as likely to be chosen, in training."""

    regression: float = 0.3
    """Weight of the regression of all scores, beside the expected score of the choice."""

    batch: int = 96

    decay: float = 1e-3
    """Weight of the squared norm of the first layer."""

    schedule: loop.Schedule = field(
        default_factory=lambda: loop.Schedule(
            iterations=1500, learning_rate=8e-3, averaging=0.98, validate_every=500, checkpoint_every=500
        )
    )
