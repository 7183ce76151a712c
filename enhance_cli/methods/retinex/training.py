"""How retinex's networks are trained: real pairs, simulated faults and retouched pictures, with a reason per number.

Illumination-Net and Fusion-Net learn first and together, on whole pictures made small: what light a picture lacks is
told by its tones. Restoration-Net learns then, at native pixels, on what the first two, now fixed, make of noisy
photographs. The loop, the data sets and the export are those of `enhance_cli.training`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from enhance_cli.methods.retinex import faults, losses, network, retouch
from enhance_cli.quality.reference import psnr, ssim
from enhance_cli.training import loop
from enhance_cli.training.dataset import Pair, Sources, by_exposure, put_aside, put_pairs_aside
from enhance_cli.training.degradations import generator
from enhance_cli.training.export import Exported, Trained, export
from enhance_cli.training.options import TrainOptions
from enhance_cli.training.sheet import write_sheet
from enhance_cli.training.two_tone import two_tones

Codes = NDArray[np.uint8]
Picture = NDArray[np.float32]

HELD_OUT_EVERY = 16
"""Of the scenes of every kind, in order of name, the last of every sixteen validates."""

CACHED = 96
"""Sides of the squares that stage 1 cuts its own from: a third of the scene may be cut away."""


TWO_TONE_PICTURES = 64
"""Synthetic pictures of two tones that stage 2 learns from, half with noise; half as many of one tone join them."""


@dataclass(frozen=True, slots=True)
class MendingRecipe:
    """Every number of the first stage (illumination and fusion), with its reason."""

    schedule: loop.Schedule
    batch: int = 8
    hidden: int = 24  # of the statistics; half and double are in the ablations
    fusion_width: int = 16
    scales: tuple[int, ...] = (3, 7)  # packs around a place that it is told of: what mends backlit pictures

    # Shares of the pictures in a batch; what is left are good photographs that must stay what they are.
    stacks: float = 0.5  # real frames too dark and too bright
    lowlight: float = 0.17  # real and very dark: more of them and everything else gets too bright
    exposure: float = 0.03  # simulated: stacks and dark pairs teach nearly the same, by real frames
    backlight: float = 0.2  # simulated; at .3 shade is mended better, but dark and bright frames lose half a decibel
    two_tones: float = 0.03  # without them places draw halos
    retouched: float = 0.0  # pictures whose target is the retoucher's: see the ablations on the card

    distance: str = "root_huber"  # each picture's error counts alike; "huber" is the paper's, "squared" its ablation
    similarity: float = 0.3  # 1 - SSIM: structure, once the exposure is about right
    perceptual: float = 0.0  # beside the similarity it brings nothing (card)
    smoothness: float = 0.002  # [P]
    flatness: float = 1.0  # two tones stay flat
    plain: bool = False  # the ablation's U-Net of 3,000 parameters in the place of both networks


@dataclass(frozen=True, slots=True)
class RestorationRecipe:
    """Every number of the second stage, with its reason."""

    schedule: loop.Schedule
    batch: int = 8
    side: int = 64
    """Native pixels: noise must not be shrunk away."""

    width: int = 10

    # Shares of the crops in a batch; what is left are crops of stacks, whose JPEG is worn but whose light is good.
    lowlight: float = 0.42  # the noise that is amplified most; at .6 stacks came out too smooth, half a decibel worse
    noisy: float = (
        0.2  # good photographs, one in four with simulated noise and JPEG; the others must keep their texture
    )
    two_tones: float = 0.15  # and single ones: without them the sides of edges were coloured, and black frames greyed

    similarity: float = 0.5  # texture against grain: this is where SSIM is won
    chroma: float = 1.0  # held to the mended picture's: without it dark pictures turn grey, and hues by 15 degrees
    variation: float = 1e-4  # [P]
    flatness: float = 1.0
    stillness: float = 3.0  # absolute error of flat tones: the other losses forgive the last levels, eyes do not


@dataclass(frozen=True, slots=True)
class Recipe:
    """Both stages and the retoucher."""

    mending: MendingRecipe = field(
        default_factory=lambda: MendingRecipe(
            loop.Schedule(iterations=5000, learning_rate=3e-3, averaging=0.99, validate_every=500, checkpoint_every=250)
        )
    )
    restoration: RestorationRecipe = field(
        default_factory=lambda: RestorationRecipe(
            loop.Schedule(
                iterations=8000,
                learning_rate=6e-3,
                averaging=0.99,
                validate_every=500,
                checkpoint_every=250,
            )
        )
    )
    retouch: retouch.Search = field(default_factory=retouch.Search)
    read_side: int = 640
    """Photographs are shrunk to this once: LOL's pictures stay native, which their noise needs."""


def train(
    options: TrainOptions, log: Callable[[str], None] = lambda sentence: None, recipe: Recipe | None = None
) -> Trained:
    """Train all three networks from a folder of photographs and export them.

    The folder may hold `exposure/sice512/` (stacks), `paired_lowlight/low` and `high`, and `clean/`, as
    `shared/data/train` does, or the photographs themselves, which then count as clean.

    Args:
        options: where the photographs are, where the results go, seed and device. `iterations` are those of each
            stage.
        log: receives sentences for people.
        recipe: the numbers; None takes those of the shipped weights.

    Raises:
        UsageError: no photographs, one that cannot be decoded, or a checkpoint of another schedule.
    """
    recipe = recipe or Recipe()
    torch.set_num_threads(options.threads)
    album = Album.read(options.data, recipe, log)
    if recipe.mending.retouched:
        album = album.with_retouched(options, recipe.retouch, log)
    log("Training illumination and fusion.")
    mending = train_mending(album, options, recipe.mending, log)
    figures = {"mending": mending_figures(mending, album)}
    log("Training restoration.")
    restoration = train_restoration(mending, album, options, recipe.restoration, log)
    figures["restoration"] = restoration_figures(mending, restoration, album)
    assert isinstance(mending, network.Mending)
    exported = deliver(mending, restoration, options.out)
    sheet = options.out / "validation.png"
    write_sheet(sheet, [_row(mending, restoration, pair) for pair in album.examples])
    log(f"Wrote {sheet}.")
    return Trained(exported, figures, [sheet])


def deliver(mending: network.Mending, restoration: network.Restoration, out: Path) -> dict[str, Exported]:
    """Write the files of the three networks."""
    random = generator(0, 1)

    def sample(count: int, channels: int, height: int, width: int) -> Picture:
        return random.random((count, channels, height, width), np.float32)

    side = network.PROXY
    picture = {0: "count", 2: "height", 3: "width"}
    statistics = len(network.LUMA_QUANTILES) + 1
    fusion, illumination = mending.fusion, mending.illumination
    with warnings.catch_warnings():
        # Shapes are asked for while networks are traced; the samples have several.
        warnings.simplefilter("ignore")
        return {
            "illumination": export(
                illumination.cpu(),
                out,
                "illumination",
                identity="retinex/illumination-1",
                configuration={
                    "part": "illumination",
                    "hidden": illumination.context.out_features,
                    "bins": illumination.bins,
                    "scales": list(illumination.scales),
                    "pack": illumination.pack,
                },
                samples=[{"image": sample(1, 3, side, side)}, {"image": sample(1, 3, side, side) ** 4}],
                outputs=illumination.outputs,
                dynamic_axes={},
            ),
            "fusion": export(
                fusion.cpu(),
                out,
                "fusion",
                identity="retinex/fusion-1",
                configuration={"part": "fusion", "width": fusion.first.out_features},
                samples=[
                    {"image": sample(count, 3, 9, 13), "statistics": random.random((count, statistics), np.float32)}
                    for count in (1, 3)
                ],
                outputs=fusion.outputs,
                dynamic_axes={"image": picture, "statistics": {0: "count"}, "score": picture},
            ),
            "restoration": export(
                restoration.cpu(),
                out,
                "restoration",
                identity="retinex/restoration-1",
                configuration={"part": "restoration", "width": restoration.convs[0].out_channels},
                samples=[{"image": sample(1, 4, 24, 30)}, {"image": sample(2, 4, 2, 4)}],
                outputs=restoration.outputs,
                dynamic_axes={"image": picture, "noise": picture},
            ),
        }


# --- data --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Drawn:
    """One picture of a batch: H×W×3 in 0..1, what it should become, and which tone is where if it is synthetic."""

    image: Picture
    target: Picture
    bright: Picture | None = None
    """H×W, 1 in the brighter of two flat tones; None for photographs."""


@dataclass(frozen=True, slots=True)
class Album:
    """The photographs in memory, what of them is put aside, and squares of them made small."""

    stacks: Sequence[Pair]
    lowlight: Sequence[Pair]
    clean: Sequence[Codes]
    held_out: Mapping[str, Sequence[Pair]]
    """`lowlight`, `under`, `over` and `backlit`."""

    squares: Mapping[str, Sequence[tuple[Codes, Codes]]]
    """The same as squares of `CACHED`; clean ones are their own targets. `retouched` where there are some."""

    @property
    def examples(self) -> list[Pair]:
        """A few held-out pictures of each kind, for the sheet."""
        return [pair for pairs in self.held_out.values() for pair in pairs[:3]]

    @classmethod
    def read(cls, data: Path, recipe: Recipe, log: loop.Log) -> Album:
        """Read what there is, and put every sixteenth scene of it aside."""
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
            "stacks": [(_square(pair.degraded), _square(pair.reference)) for pair in stacks],
            "lowlight": [(_square(pair.degraded), _square(pair.reference)) for pair in lowlight],
            "clean": [(square, square) for square in map(_square, clean)],
        }
        return cls(stacks, lowlight, clean, {kind: found for kind, found in held_out.items() if found}, squares)

    def with_retouched(self, options: TrainOptions, search: retouch.Search, log: loop.Log) -> Album:
        """Search the retoucher's coefficients, or read those found before, and retouch every photograph with them."""
        path = options.out / "coefficients.json"
        pictures = [degraded for kind in ("stacks", "lowlight", "clean") for degraded, _ in self.squares[kind]]
        if options.resume and path.exists():
            table = retouch.Table.from_json(json.loads(path.read_text(encoding="utf-8")))
        else:
            log("Searching the retoucher's coefficients.")
            table = retouch.search(pictures, search, generator(options.seed, 2))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(table.to_json(), indent=1) + "\n", encoding="utf-8")
        retouched = [(picture, retouch.retouched(picture, table.coefficients(picture))) for picture in pictures]
        log(f"Retouched {len(retouched)} photographs.")
        return replace(self, squares={**self.squares, "retouched": retouched})

    def small(self, random: np.random.Generator, recipe: MendingRecipe) -> Drawn:
        """A picture of stage 1, PROXY×PROXY: most of a photograph, made small."""
        shares = {
            "stacks": recipe.stacks * bool(self.squares["stacks"]),
            "lowlight": recipe.lowlight * bool(self.squares["lowlight"]),
            "retouched": recipe.retouched * bool(self.squares.get("retouched")),
            "two tones": recipe.two_tones,
            "exposure": recipe.exposure * bool(self.clean),
            "backlight": recipe.backlight * bool(self.clean),
        }
        shares["clean"] = max(0.0, 1.0 - sum(shares.values())) * bool(self.clean)
        kind = _drawn(random, shares)
        if kind == "two tones":
            image, bright = two_tones(random, network.PROXY)
            return Drawn(image, image, bright)
        pairs = self.squares[kind if kind in self.squares else "clean"]
        image, target = cut(pairs[int(random.integers(len(pairs)))], random)
        if kind == "exposure":
            image = faults.wrong_exposure(image, random)
        elif kind == "backlight":
            image = faults.backlight(image, random)
        return Drawn(image, target)


def _drawn(random: np.random.Generator, shares: Mapping[str, float]) -> str:
    weights = np.array(list(shares.values()))
    return list(shares)[int(random.choice(len(weights), p=weights / weights.sum()))]


def _square(codes: Codes, side: int = CACHED) -> Codes:
    return np.asarray(cv2.resize(codes, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _floats(codes: Codes) -> Picture:
    return codes.astype(np.float32) / np.float32(255.0)


def _codes(picture: Picture) -> Codes:
    return np.asarray(np.rint(np.clip(picture, 0.0, 1.0) * 255.0), np.uint8)


def _backlit(index: int, photograph: Codes) -> Pair:
    dark = faults.backlight(_floats(photograph), generator(0, 3, index))
    return Pair(f"backlit {index}", _codes(dark), photograph)


def cut(pair: tuple[Codes, Codes], random: np.random.Generator) -> tuple[Picture, Picture]:
    """The same random square of both, two thirds to all of each side, mirrored half of the time, PROXY×PROXY."""
    whole = pair[0].shape[0]
    side = round(whole * random.uniform(0.65, 1.0))
    top, left = (int(at) for at in random.integers(whole - side + 1, size=2))
    mirrored = random.random() < 0.5

    def one(codes: Codes) -> Picture:
        piece = _floats(_square(codes[top : top + side, left : left + side], network.PROXY))
        return np.ascontiguousarray(piece[:, ::-1]) if mirrored else piece

    return one(pair[0]), one(pair[1])


def tensor(pictures: Sequence[Picture]) -> Tensor:
    """H×W×3 pictures, or H×W maps, as N×C×H×W."""
    stacked = np.stack([one if one.ndim == 3 else one[..., None] for one in pictures])
    return torch.from_numpy(np.ascontiguousarray(stacked.transpose(0, 3, 1, 2)))


# --- stage 1 -----------------------------------------------------------------------------------------------


def train_mending(album: Album, options: TrainOptions, recipe: MendingRecipe, log: loop.Log) -> nn.Module:
    """Train illumination and fusion, or the ablation's U-Net in their place."""
    module = fresh_mending(recipe, options.seed).to(options.device)
    features = losses.mobile_features(options.device) if recipe.perceptual else None
    return loop.train(
        module,
        lambda iteration: mending_loss(module, album, recipe, options.seed, iteration, options.device, features),
        lambda trained: mending_figures(trained, album),
        _schedule(recipe.schedule, options),
        options.out / "mending",
        resume=options.resume,
        log=log,
    )


def fresh_mending(recipe: MendingRecipe, seed: int) -> nn.Module:
    """Freshly initialised networks, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if recipe.plain:
            return PlainUNet()
        illumination = network.Illumination(hidden=recipe.hidden, scales=recipe.scales)
        return network.Mending(illumination, network.Fusion(recipe.fusion_width))


def mending_loss(
    module: nn.Module,
    album: Album,
    recipe: MendingRecipe,
    seed: int,
    iteration: int,
    device: str = "cpu",
    features: losses.Features | None = None,
) -> Tensor:
    """The loss of one batch, a function of seed and number alone."""
    random = generator(seed, iteration)
    drawn = sorted((album.small(random, recipe) for _ in range(recipe.batch)), key=lambda one: one.bright is not None)
    photographs = sum(one.bright is None for one in drawn)
    image = tensor([one.image for one in drawn]).to(device)
    output, _, light, light_of_negative = module(image)
    image = network.thinned(image)
    total = torch.zeros((), device=device)
    if photographs:
        mended = output[:photographs]
        target = network.thinned(tensor([one.target for one in drawn[:photographs]])).to(device)
        distance = {"root_huber": losses.root_huber, "huber": losses.huber, "squared": losses.squared}[recipe.distance]
        total = total + distance(mended, target)
        if recipe.similarity:
            total = total + recipe.similarity * losses.dissimilarity(mended, target)
        if features is not None:
            total = total + recipe.perceptual * losses.perceptual(mended, target, features)
    if recipe.smoothness:
        total = total + recipe.smoothness * (
            losses.illumination_smoothness(light, image) + losses.illumination_smoothness(light_of_negative, image)
        )
    if recipe.flatness and photographs < recipe.batch:
        bright = tensor([one.bright for one in drawn[photographs:] if one.bright is not None]).to(device)
        flatness = losses.two_tone(output[photographs:], network.thinned(bright))
        total = total + recipe.flatness * (recipe.batch - photographs) * flatness
    return total


def mending_figures(module: nn.Module, album: Album) -> dict[str, float]:
    """PSNR and SSIM of held-out pictures of every kind, made small."""
    figures = {}
    for kind, pairs in album.held_out.items():
        ratios, likenesses = [], []
        for pair in pairs[:48]:
            image, target = (_square(codes, network.PROXY) for codes in (pair.degraded, pair.reference))
            target = np.ascontiguousarray(target[::2, ::2])
            with torch.no_grad():
                output = _picture(module(tensor([_floats(image)]))[0])
            ratios.append(psnr(output, target))
            likenesses.append(ssim(output, target))
        figures[kind], figures[f"{kind} SSIM"] = float(np.mean(ratios)), float(np.mean(likenesses))
    return figures


def _picture(output: Tensor) -> Codes:
    return _codes(output[0].detach().cpu().numpy().transpose(1, 2, 0))


class PlainUNet(nn.Module):
    """The ablation's plain network: a picture in, the mended one out, with no illumination and nothing to fuse."""

    def __init__(self, width: int = 7) -> None:
        super().__init__()
        self.down = nn.ModuleList([nn.Conv2d(3, width, 3, padding=1)])
        self.down += [nn.Conv2d(width, width, 3, stride=2, padding=1) for _ in range(2)]
        self.up = nn.ModuleList([nn.Conv2d(2 * width, width, 3, padding=1) for _ in range(2)])
        self.last = nn.Conv2d(width, 3, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As `network.Mending.forward`; there are no weights and no light: empty, and ones."""
        first = torch.relu(self.down[0](image))
        second = torch.relu(self.down[1](first))
        third = torch.relu(self.down[2](second))
        for layer, skip in zip(self.up, (second, first), strict=True):
            larger = functional.interpolate(third, size=skip.shape[2:], mode="bilinear")
            third = torch.relu(layer(torch.cat([larger, skip], dim=1)))
        output = network.thinned(torch.sigmoid(self.last(third)))
        ones = torch.ones_like(output[:, :1])
        return output, ones[:, :0], ones, ones


# --- stage 2 -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Worn:
    """A photograph as stage 1 leaves it, at its own size, and what it should look like in that light."""

    mended: Codes
    light: Codes
    """L of the picture, H×W."""

    target: Codes
    scaled: bool = False
    """Whether the target is another frame, whose crop is to be brought to the mended one's mean luma."""

    bright: Codes | None = None


def worn(album: Album, mending: network.Mending, seed: int) -> dict[str, list[Worn]]:
    """What stage 2 learns from, by kind. Stage 1 is fixed by then, so every photograph is mended once."""
    made: dict[str, list[Worn]] = {"lowlight": [], "stacks": [], "noisy": [], "two tones": []}
    for pair in album.lowlight[::3]:  # scenes come several times
        made["lowlight"].append(Worn(*mended(mending, pair.degraded), pair.reference, scaled=True))
    for pair in album.stacks[::8]:  # spread over scenes and exposures
        made["stacks"].append(Worn(*mended(mending, pair.degraded), pair.reference, scaled=True))
    for index, photograph in enumerate(album.clean[::4]):
        before, _ = good = mended(mending, photograph)
        if index % 4 == 0:
            noisy = _codes(faults.camera_noise(_floats(photograph), generator(seed, 4, index)))
            good = mended(mending, noisy)
        made["noisy"].append(Worn(*good, before))
    for index in range(TWO_TONE_PICTURES):
        random = generator(seed, 5, index)
        tones, bright = two_tones(random, 160)
        flat = _codes(tones)
        grains = _codes(faults.camera_noise(tones, random)) if index % 2 else flat
        made["two tones"].append(Worn(*mended(mending, grains), mended(mending, flat)[0], bright=_codes(bright)))
    for index in range(TWO_TONE_PICTURES // 2):
        random = generator(seed, 6, index)
        # From black on, and more dark ones: letterboxes and night skies are flat, and their light is the least.
        level = 255.0 * (index / max(TWO_TONE_PICTURES // 2 - 1, 1)) ** 2
        colour = random.uniform(0.6, 1.0, 3) if index % 2 and level < 255.0 else np.ones(3)
        flat = np.broadcast_to(np.rint(level * colour), (160, 160, 3)).astype(np.uint8)
        left, light = mended(mending, flat)
        made["two tones"].append(Worn(left, light, left, bright=np.zeros_like(light)))
    return {kind: found for kind, found in made.items() if found}


def train_restoration(
    mending: nn.Module, album: Album, options: TrainOptions, recipe: RestorationRecipe, log: loop.Log
) -> network.Restoration:
    """Train the restoration on what the fixed first stage gives."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        module = network.Restoration(recipe.width).to(options.device)
    assert isinstance(mending, network.Mending)
    mending.eval()
    log("Mending the photographs that restoration learns from.")
    pictures = worn(album, mending.cpu(), options.seed)
    trained = loop.train(
        module,
        lambda iteration: restoration_loss(module, pictures, recipe, options.seed, iteration, options.device),
        lambda network: restoration_figures(mending, network, album),
        _schedule(recipe.schedule, options),
        options.out / "restoration",
        resume=options.resume,
        log=log,
    )
    assert isinstance(trained, network.Restoration)
    return trained


def restoration_loss(
    module: nn.Module,
    pictures: Mapping[str, Sequence[Worn]],
    recipe: RestorationRecipe,
    seed: int,
    iteration: int,
    device: str = "cpu",
) -> Tensor:
    """The loss of one batch of crops, a function of seed and number alone."""
    random = generator(seed, iteration, 1)
    shares = {"lowlight": recipe.lowlight, "noisy": recipe.noisy, "two tones": recipe.two_tones}
    shares["stacks"] = max(0.0, 1.0 - sum(shares.values()))
    shares = {kind: share for kind, share in shares.items() if kind in pictures}
    kinds = [_drawn(random, shares) for _ in range(recipe.batch)]
    kinds.sort(key=lambda kind: kind == "two tones")
    crops = [_crop(pictures[kind][int(random.integers(len(pictures[kind])))], random, recipe.side) for kind in kinds]
    image, light, target = (tensor([crop[part] for crop in crops]).to(device) for part in range(3))
    noise = module(torch.cat([image, light], dim=1))[0]
    output = image + noise
    total = losses.root_huber(output, target) + recipe.similarity * losses.dissimilarity(output, target)
    total = total + recipe.chroma * losses.chroma(output, image) + recipe.variation * losses.total_variation(output)
    synthetic = kinds.count("two tones")
    if synthetic:
        bright = tensor([crop[3] for crop in crops[-synthetic:]]).to(device)
        total = total + recipe.flatness * synthetic * losses.two_tone(output[-synthetic:], bright)
        still = (output[-synthetic:] - target[-synthetic:]).abs().mean()
        total = total + recipe.stillness * synthetic / recipe.batch * still
    return total


def _crop(picture: Worn, random: np.random.Generator, side: int) -> tuple[Picture, Picture, Picture, Picture]:
    """The same random square of the mended picture, its light, its target and its tones, turned and mirrored alike."""
    height, width = picture.light.shape
    rows, columns = (min(side, size) for size in (height, width))
    # Even places: production packs 2×2 blocks of whole pictures, and JPEG's blocks start at even pixels.
    top, left = (2 * int(random.integers((size - part) // 2 + 1)) for size, part in ((height, rows), (width, columns)))
    turns, mirrored = int(random.integers(4)), random.random() < 0.5

    def one(codes: Codes) -> Picture:
        piece = np.rot90(_floats(codes[top : top + rows, left : left + columns]), turns)
        return np.ascontiguousarray(piece[:, ::-1] if mirrored else piece)

    mended, light, target = one(picture.mended), one(picture.light), one(picture.target)
    if picture.scaled:
        # The light is stage 1's affair: what is learned here must not be punished for it.
        target = np.clip(target * np.clip(mended.mean() / max(float(target.mean()), 1e-3), 0.5, 2.0), 0.0, 1.0)
    return mended, light, target, one(picture.bright) if picture.bright is not None else np.zeros_like(light)


@torch.no_grad()
def mended(mending: network.Mending, photograph: Codes) -> tuple[Codes, Codes]:
    """What stage 1 makes of a photograph at its own size, and L."""
    image = tensor([_floats(photograph)])
    small = tensor([_floats(_square(photograph, network.PROXY))])
    grid, grid_of_negative = mending.illumination(small)

    def candidates(picture: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        light = network.illumination(grid, network.bright_channel(picture))
        of_negative = network.illumination(grid_of_negative, network.bright_channel(1.0 - picture))
        parts = (network.divided(picture, light), picture, network.divided_negative(picture, of_negative))
        return parts, light

    statistics = network.luma_statistics(torch.cat(candidates(small)[0]))
    parts, light = candidates(image)
    weights = torch.softmax(mending.fusion(torch.cat(parts), statistics)[0], dim=0)
    output = (weights * torch.cat(parts)).sum(dim=0, keepdim=True)
    return _picture(output), _codes(light[0, 0].numpy())


@torch.no_grad()
def enhanced(mending: network.Mending, restoration: nn.Module, photograph: Codes) -> Codes:
    """The whole method on a photograph, for validation; production has its own kernels."""
    before, light = mended(mending, photograph)
    height, width = light.shape
    image = tensor([np.dstack([_floats(before), _floats(light)])])
    padded = functional.pad(image, (0, width % 2, 0, height % 2), mode="replicate")
    noise = restoration(padded)[0][:, :, :height, :width]
    return _picture(image[:, :3] + noise)


def restoration_figures(mending: nn.Module, module: nn.Module, album: Album) -> dict[str, float]:
    """PSNR and SSIM of held-out pictures at their own size, a middle piece of each."""
    assert isinstance(mending, network.Mending)
    figures = {}
    for kind, pairs in album.held_out.items():
        ratios, likenesses = [], []
        for pair in pairs[:6]:
            output = enhanced(mending, module, pair.degraded)
            ratios.append(psnr(output, pair.reference))
            likenesses.append(ssim(output, pair.reference))
        figures[kind], figures[f"{kind} SSIM"] = float(np.mean(ratios)), float(np.mean(likenesses))
    return figures


# --- delivery ----------------------------------------------------------------------------------------------


def _schedule(schedule: loop.Schedule, options: TrainOptions) -> loop.Schedule:
    return schedule if options.iterations is None else replace(schedule, iterations=options.iterations)


def _row(mending: network.Mending, restoration: nn.Module, pair: Pair) -> list[tuple[str, Any]]:
    before, light = mended(mending, pair.degraded)
    return [
        (pair.name, pair.degraded),
        ("illumination", light),
        ("mended", before),
        ("restored", enhanced(mending, restoration, pair.degraded)),
        ("reference", pair.reference),
    ]
