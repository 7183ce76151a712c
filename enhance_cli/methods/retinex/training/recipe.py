"""Every number of the training of retinex's networks, with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field

from enhance_cli.training import loop


@dataclass(frozen=True, slots=True)
class MendingRecipe:
    """Every number of the first stage (illumination and fusion), with its reason."""

    schedule: loop.Schedule
    batch: int = 8
    hidden: int = 24  # of the statistics; half loses a quarter of a decibel, double gains a sixth
    fusion_width: int = 16
    scales: tuple[int, ...] = (3, 7)  # packs around a place that it is told of: what mends backlit pictures

    # Shares of the pictures in a batch; what is left are good photographs that must stay what they are.
    stacks: float = 0.5  # real frames too dark and too bright
    lowlight: float = 0.17  # real and very dark: more of them and everything else gets too bright
    exposure: float = 0.03  # simulated: stacks and dark pairs teach nearly the same, by real frames
    backlight: float = 0.2  # simulated; at .3 shade is mended better, but dark and bright frames lose half a decibel
    two_tones: float = 0.03  # without them places draw halos

    # Beside `losses.root_huber`, with weight 1:
    similarity: float = 0.3  # 1 - SSIM: structure, once the exposure is about right
    smoothness: float = 0.002  # the paper's
    flatness: float = 1.0  # two tones stay flat


@dataclass(frozen=True, slots=True)
class FullRecipe:
    """Every number of the large illumination and its fusion, which starts from the first stage's."""

    schedule: loop.Schedule
    batch: int = 12
    widths: tuple[int, ...] = (12, 24, 32)  # 52,672 parameters

    # Shares of the images in a batch; what is left, a twentieth, are good photos that must stay what they are: with a
    # hundredth they lose 2 dB, with a tenth bright frames lose half a decibel.
    frames: float = 0.58  # of stacks
    lowlight: float = 0.19
    exposure: float = 0.03  # simulated: good photos must find back to their own brightness
    backlight: float = 0.09  # simulated
    veil: float = 0.02  # simulated
    empty_dark: float = 0.01  # simulated: night skies and black frames stay dark
    two_tones: float = 0.03  # without them places draw halos

    fused_of_dark: float = 0.75  # of the dark frames' targets: light in the shade; the others are best frames
    fused_of_bright: float = 0.0  # of the bright ones': fused stacks are brighter

    highlight: tuple[float, float] = (0.88, 0.985)
    """As `Mending` takes it: a little later than when a photo is enhanced (`formulas.HIGHLIGHT`)."""

    # As in `MendingRecipe`:
    similarity: float = 0.3
    smoothness: float = 0.002
    flatness: float = 1.0


@dataclass(frozen=True, slots=True)
class RestorationRecipe:
    """Every number of one phase of the second stage, with its reason."""

    schedule: loop.Schedule
    batch: int = 8
    side: int = 64
    """Native pixels: noise must not be shrunk away."""

    # Which photos: one of so many.
    lowlight_every: int = 3  # scenes come several times
    stacks_every: int = 8  # spread over scenes and exposures
    noise_every: int = 4  # of the good photos, one in so many gets simulated noise and JPEG; the others keep texture

    # Shares of the crops in a batch; what is left are crops of stacks, with artefacts of JPEG but well exposed.
    lowlight: float = 0.42  # the noise that is amplified most; at .6 stacks came out too smooth, half a decibel worse
    noisy: float = 0.2  # good photos
    two_tones: float = 0.15  # and single ones: without them the sides of edges were coloured, and black frames greyed

    similarity: float = 1.0  # texture against grain: this is where SSIM is won
    colour_of_target: bool = False
    """Whether colour is held to the target's; else to what it was before: hues of dark photos must not turn."""

    colour_pool: int = 32  # side of the means in which colour is held; blotches are smaller
    chroma: float = 1.3  # without it dark photos turn grey, and hues by 15 degrees; at 2 casts of dark photos stay
    variation: float = 1e-4  # the paper's
    flatness: float = 2.0
    stillness: float = 6.0  # absolute error of flat tones: the other losses forgive the last levels, eyes do not

    # Without these two most channels of the second and third layers are 0 everywhere after 500 steps, and stay so:
    activity: float = 0.3  # of `losses.inactivity`
    slope: float = 0.0  # of the ReLUs below 0, at first
    leaky: float = 0.6  # share of the steps after which that slope is 0, as it is when a photo is enhanced

    def slope_at(self, iteration: int, iterations: int) -> float:
        """The slope of the ReLUs below 0 in one step: it falls linearly to 0."""
        return self.slope * max(0.0, 1.0 - iteration / (self.leaky * iterations))


@dataclass(frozen=True, slots=True)
class Recipe:
    """All networks."""

    mending: MendingRecipe = field(
        default_factory=lambda: MendingRecipe(
            loop.Schedule(iterations=5000, learning_rate=3e-3, averaging=0.99, validate_every=500, checkpoint_every=250)
        )
    )
    full: FullRecipe = field(
        default_factory=lambda: FullRecipe(
            # Longer, it learns the training scenes by heart: 0.2 dB lost on dark frames by 4,000. By a rate of 3e-3 one
            # training of nine ended in another minimum, 3 dB worse.
            loop.Schedule(iterations=2400, learning_rate=2e-3, averaging=0.99, validate_every=600, checkpoint_every=300)
        )
    )
    restoration: tuple[RestorationRecipe, ...] = field(
        default_factory=lambda: (
            RestorationRecipe(
                _slow(6500, 4e-3),
                side=80,
                lowlight_every=2,
                stacks_every=10,
                noise_every=1,
                lowlight=0.6,
                noisy=0.08,
                colour_of_target=True,
                colour_pool=4,
                chroma=1.0,
                flatness=1.0,
                stillness=3.0,
                slope=0.2,
            ),
            RestorationRecipe(_slow(1500, 1.5e-3)),
        )
    )
    """Phases, each from the weights of the one before. The first learns what noise is, the second what is to stay."""

    restoration_width: int = 10
    read_side: int = 640
    """Photographs are shrunk to this once: LOL's pictures stay native, which their noise needs."""


def _slow(iterations: int, learning_rate: float) -> loop.Schedule:
    return loop.Schedule(iterations, learning_rate, averaging=0.99, validate_every=2000, checkpoint_every=250)
