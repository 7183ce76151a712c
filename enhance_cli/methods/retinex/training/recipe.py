"""Every number of the training of retinex's networks, with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field

from enhance_cli.training import loop


@dataclass(frozen=True, slots=True)
class IlluminationRecipe:
    """Every number of the first stage (illumination and fusion), with its reason."""

    full: loop.Schedule
    """Of the large illumination and the fusion, together."""

    paper: loop.Schedule
    """Of the paper's illumination, with that fusion, which stays as it is."""

    batch: int = 10
    hidden: int = 24  # of the paper's network; half loses a quarter of a decibel, double gains a sixth
    scales: tuple[int, ...] = (3, 7)  # cells around a place that the paper's network is told of: it corrects backlight
    widths: tuple[int, ...] = (12, 24, 32)  # of the large network: 52,700 parameters
    fusion_width: int = 16

    # Shares of the images in a batch; what is left are good photos that must stay what they are.
    stacks: float = 0.52  # real frames too dark and too bright
    lowlight: float = 0.14  # real and very dark: more of them and everything else gets too bright
    exposure: float = 0.1  # simulated: how bright a photo should be, which fused stacks do not teach
    backlight: float = (
        0.09  # simulated; at .3 shade is corrected better, but dark and bright frames lose half a decibel
    )
    veil: float = 0.05  # simulated: flat curves, haze and flare; without them the black point stays too high
    empty_dark: float = 0.02  # simulated: night skies and black frames stay dark
    two_tones: float = 0.03  # without them places draw halos

    fused: float = 0.75  # of the stacks' targets; the others are their best single exposures, which keep more contrast
    exposed_again: float = 0.3  # of the stacks' frames: up to 0.7 stops darker or brighter, as there are few stacks

    # Beside `losses.root_huber`, with weight 1:
    similarity: float = 0.3  # 1 - SSIM: structure, once the exposure is about right
    smoothness: float = 0.002  # the paper's
    flatness: float = 1.0  # two tones stay flat


@dataclass(frozen=True, slots=True)
class RestorationRecipe:
    """Every number of one phase of the second stage, with its reason."""

    schedule: loop.Schedule
    batch: int = 8
    side: int = 64
    """Native pixels: noise must not be shrunk away."""

    # Shares of the crops in a batch; what is left are crops of stacks, with artefacts of JPEG but well exposed.
    lowlight: float = 0.42  # the noise that is amplified most; at .6 stacks came out too smooth, half a decibel worse
    noisy: float = 0.2  # good photos, one in four with simulated noise and JPEG; the others must keep their texture
    two_tones: float = 0.15  # and single ones: without them the sides of edges were coloured, and black frames greyed

    similarity: float = 0.5  # texture against grain: this is where SSIM is won
    colour_of_target: bool = False
    """Whether colour is held to the target's; else to what it was before: hues of dark photos must not turn."""

    chroma: float = 1.0  # without it dark photos turn grey, and hues by 15 degrees
    variation: float = 1e-4  # the paper's
    flatness: float = 1.0
    stillness: float = 3.0  # absolute error of flat tones: the other losses forgive the last levels, eyes do not


@dataclass(frozen=True, slots=True)
class Recipe:
    """Both stages."""

    illumination: IlluminationRecipe = field(
        default_factory=lambda: IlluminationRecipe(_schedule(4000, 3e-3), _schedule(2500, 3e-3))
    )
    restoration: tuple[RestorationRecipe, ...] = field(
        default_factory=lambda: (
            RestorationRecipe(
                _schedule(4000, 6e-3), side=80, lowlight=0.6, noisy=0.08, colour_of_target=True, chroma=0.5
            ),
            RestorationRecipe(_schedule(2000, 2e-3)),
        )
    )
    """Phases, each from the weights of the one before. The first learns what noise is, the second what is to stay."""

    restoration_width: int = 10
    read_side: int = 640
    """Photos are shrunk to this once: LOL's photos stay native, which their noise needs."""


def _schedule(iterations: int, learning_rate: float) -> loop.Schedule:
    return loop.Schedule(iterations, learning_rate, averaging=0.99, validate_every=1000, checkpoint_every=500)
