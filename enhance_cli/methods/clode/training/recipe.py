"""Every number of the training of CLODE's networks, and what exposure its estimators are to reach at each time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from enhance_cli.training import loop


@dataclass(frozen=True, slots=True)
class Goal:
    """Which mean luma a picture is to have at each time: the meaning of the knob.

    In logits of the mean: a dark picture gets to `target` at time `arrival` on a straight line, a bright one at
    `-departure`; where the way is short or leads elsewhere, the least speeds keep the knob alive.
    """

    target: float = 0.5
    """Mean at arrival; `--time auto` aims at the same by default."""

    arrival: float = 3.0
    """The paper's T."""

    departure: float = 1.5
    """Clipped lights do not move and the rate is at most 1: most bright pictures need all of it, up to T = -3."""

    least_up: float = 0.1
    """Logits per unit of time that a bright picture still brightens: at T = 3 it is hardly touched."""

    least_down: float = 0.3
    """Logits per unit of time that a dark picture darkens."""

    beyond: float = 0.2
    """Logits per unit of time after the target is reached: T = 4 is a little brighter, not white."""

    fastest: float = 1.2
    """A mean follows its shift no faster: |S| <= T."""

    def means(self, before: Tensor, time: Tensor | float) -> Tensor:
        """The wanted mean at a time, or at a time for each, of pictures with the given means at time 0."""
        time = torch.as_tensor(time, dtype=before.dtype, device=before.device)
        start = torch.logit(before.clamp(1e-3, 0.98))
        distance = math.log(self.target / (1.0 - self.target)) - start
        up = (distance / self.arrival).clamp(self.least_up, self.fastest)
        down = (-distance / self.departure).clamp(self.least_down, self.fastest)
        way = up * time.clamp(0.0, self.arrival) + self.beyond * (time - self.arrival).clamp(min=0.0)
        way = way - down * (-time).clamp(0.0, self.departure) - self.beyond * (-time - self.departure).clamp(min=0.0)
        return torch.sigmoid(start + way)

    def shift(self, image: Tensor, time: Tensor) -> Tensor:
        """The shift, the same for all of a picture, that gives it the wanted mean at its time; |S| < |T|.

        Args:
            image: N×3×H×W.
            time: N.
        """
        wanted = self.means(image.mean(dim=(1, 2, 3)), time)
        low, high = -time.abs(), time.abs()
        for _ in range(16):  # to 1e-4 of a logit
            middle = 0.5 * (low + high)
            short = shifted(image, middle[:, None, None, None]).mean(dim=(1, 2, 3)) < wanted
            low, high = torch.where(short, middle, low), torch.where(short, high, middle)
        return 0.5 * (low + high)


@dataclass(frozen=True, slots=True)
class EstimatorRecipe:
    """Every number of an estimator's training, with its reason."""

    schedule: loop.Schedule
    batch: int = 8
    sides: tuple[int, ...] = (40, 48, 64)
    """Sides of the squares that training sees: GroupNorm must meet several, and small ones train as well."""

    steps: int = 4
    """Euler steps in logits of one solve; errors of the solver are far below those of the exposure."""

    goal: Goal = field(default_factory=Goal)

    spatial: float = 1.0  # as in Zero-DCE, the same family
    mean_exposure: float = 30.0  # where the picture as a whole is to be: this decides
    local_exposure: float = 0.3  # what single regions gain: little, as it also makes halos and veils
    chromaticity: float = 20.0  # docs/papers.md, O9
    variation: float = 2.0  # docs/papers.md, O7
    unevenness: float = 0.1  # a shift without places or tones is hard to beat: each must earn its deviation
    channels: float = 0.2  # the full network's three rates are free: without this they tint
    order: float = 10.0  # rarely active: the goal itself grows with time
    two_tone: float = 2.0  # one picture of each batch is synthetic, see `tones`

    plain: int = 0
    """Iterations at the start that learn the shift without places or tones, at half the side: they cost a tenth of a
    solve, and from random weights the paper's network needs thousands of solves."""


@dataclass(frozen=True, slots=True)
class DenoiserRecipe:
    """Every number of a denoiser's training, with its reason."""

    schedule: loop.Schedule
    batch: int = 8
    side: int = 80
    """Native pixels: noise must not be shrunk away."""

    imitation: int = 0
    """Iterations at the start that copy what the lite denoiser calls noise, where there is one: by ZS-N2N alone the
    paper's g takes away half as many decibels in as many iterations."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All four networks. The denoisers come first: the full estimator holds the full one, frozen."""

    denoiser_lite: DenoiserRecipe = field(
        default_factory=lambda: DenoiserRecipe(
            loop.Schedule(iterations=1200, learning_rate=3e-3, averaging=0.995, validate_every=400)
        )
    )
    denoiser_full: DenoiserRecipe = field(
        default_factory=lambda: DenoiserRecipe(
            loop.Schedule(
                iterations=2000, learning_rate=2e-3, averaging=0.995, validate_every=500, checkpoint_every=250
            ),
            batch=4,
            side=64,
            imitation=1200,
        )
    )
    estimator_lite: EstimatorRecipe = field(
        default_factory=lambda: EstimatorRecipe(
            loop.Schedule(
                iterations=1200, learning_rate=4e-3, averaging=0.99, validate_every=400, checkpoint_every=100
            ),
            plain=500,
        )
    )
    estimator_full: EstimatorRecipe = field(
        default_factory=lambda: EstimatorRecipe(
            loop.Schedule(
                iterations=1200,
                learning_rate=2e-3,
                averaging=0.99,
                journal_every=50,
                validate_every=200,
                checkpoint_every=50,
            ),
            batch=4,
            sides=(32, 40, 48),
            steps=3,
            variation=5.0,  # it sees 8 % of a picture at once: without more pull it equalises neighbourhoods
            two_tone=5.0,
            plain=500,
        )
    )

    dark: float = 0.35
    """Share of real dark photographs among the pictures; the rest of the shares below fill up."""

    stacks: float = 0.35
    """Share of frames of exposure stacks, over-exposed ones among them."""

    clean: float = 0.30
    """Share of good photographs: half darkened with noise, a quarter over-exposed, a quarter as they are."""

    parts: tuple[str, ...] = ("denoiser-lite", "denoiser-full", "estimator-lite", "estimator-full")
    """In this order: the full networks learn from the lite ones first, if those are in the folder of the results."""

    read_side: int = 640
    """Photographs are shrunk to this once: LOL's pictures stay native, which their noise needs."""


def shifted(image: Tensor, shift: Tensor) -> Tensor:
    """sigmoid(logit(I) + S), exact at 0 and 1."""
    bright = image * torch.exp(shift)
    return bright / (1.0 - image + bright)
