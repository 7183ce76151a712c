"""How IRLE's networks are trained: from dark photos alone, several shots of one scene teaching each other.

Stage 2 learns from real twins (two exposures of one scene have independent noise) and simulated ones (one photo
darkened twice, for the correlated noise of phones and JPEG); the purely internal variant from single shots. Stage 1
learns from its own sub-images and the pseudo ground truth. No bright reference enters a loss: the validation alone
looks at some. The loop and the export are those of `enhance_cli.training`.
"""

from __future__ import annotations

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

from enhance_cli.methods.irle import network, pseudo_ground_truth, tone
from enhance_cli.methods.irle.training import losses
from enhance_cli.methods.irle.training.data import (
    Album,
    Batch,
    Draws,
    Shot,
    log_gain,
    planes,
    proxy_of,
    single_batch,
    twin_batch,
)
from enhance_cli.methods.irle.training.growth import grow
from enhance_cli.quality.reference import mean_matched, psnr, ssim
from enhance_cli.training import loop
from enhance_cli.training.dataset import Pair
from enhance_cli.training.degradations import generator
from enhance_cli.training.export import Exported, Trained, export, read_configuration, read_weights
from enhance_cli.training.options import TrainOptions
from enhance_cli.training.sheet import write_sheet

Codes = NDArray[np.uint8]
Picture = NDArray[np.float32]

BALANCE = 0.5
"""Default share of the white balance, by matched PSNR of 90 training pairs: 24.8 dB at 0, 25.0 at 0.3, 0.5 and 0.7."""


@dataclass(frozen=True, slots=True)
class DenoiserRecipe:
    """Every number of a denoiser's training, with its reason."""

    schedule: loop.Schedule
    configuration: Mapping[str, Any]
    draws: Draws = field(default_factory=Draws)

    texture: float = 10.0
    colour: float = 2.0  # docs/papers.md, I9

    grown_from: str | None = None
    """The stem of a smaller network, trained before into the same folder, which this one starts from."""

    internal: bool = False
    """Learn from single shots by the blind-spot loss alone: the purely internal variant."""


@dataclass(frozen=True, slots=True)
class StageOneRecipe:
    """Every number of stage 1's training, with its reason."""

    schedule: loop.Schedule
    draws: Draws = field(default_factory=lambda: Draws(batch=2, side=256, simulated=0.1, resampled=0.0))
    """Sub-images of 128 pixels, on which patches of 64 have room."""

    reconstruction: float = 0.3
    """Below the others: L R = I asks for a local quotient, which bright references are not (docs/papers.md, I8)."""

    cross: float = 0.5
    """Of the other view's reflectance: as in Noise2Noise, the only term that tells noise from texture."""

    reference: float = 1.0
    illumination: float = 0.1
    sisc: float = 0.1
    iap: float = 0.2
    exposure: float = 0.1
    """What docs/papers.md, I5, adds up."""


def _denoiser_schedule(iterations: int) -> loop.Schedule:
    return loop.Schedule(
        iterations=iterations, learning_rate=1e-3, averaging=0.998, validate_every=500, checkpoint_every=250
    )


LITE = {"kind": "blind", "widths": [32, 64], "blocks": [1, 3], "gain": 8, "first": 16, "acutance": 0.25}
"""Two levels, 0.30 M parameters: 1.5 s a megapixel on one core; it looks less than 96 pixels far."""

FULL = {"kind": "blind", "widths": [64, 120], "blocks": [1, 4], "gain": 8, "first": 16, "acutance": 0.25}
"""1.3 M parameters, as the paper's; the lite network has room in it, and it is grown out of that one."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All networks, in the order in which they are trained."""

    denoisers: Mapping[str, DenoiserRecipe] = field(
        default_factory=lambda: {
            "denoiser-lite": DenoiserRecipe(_denoiser_schedule(1500), LITE),
            "denoiser-full": DenoiserRecipe(
                replace(_denoiser_schedule(250), learning_rate=5e-4, averaging=0.98),
                FULL,
                Draws(batch=4),
                grown_from="denoiser-lite",
            ),
            "denoiser-internal": DenoiserRecipe(
                replace(_denoiser_schedule(300), averaging=0.98), {**LITE, "share": False}, internal=True
            ),
        }
    )
    stage_one: StageOneRecipe | None = field(
        default_factory=lambda: StageOneRecipe(
            loop.Schedule(
                iterations=120, learning_rate=1e-3, averaging=0.97, warm_up=30, validate_every=200, checkpoint_every=100
            )
        )
    )


def train(
    options: TrainOptions, log: Callable[[str], None] = lambda sentence: None, recipe: Recipe | None = None
) -> Trained:
    """Train the networks from a folder of dark photos and export them.

    The folder holds `paired_lowlight/low` (and `high`, which only the validation sees) and `clean`, of which dark
    twins are simulated, as docs/training.md says; or dark photos themselves. Shots of one scene are found by
    their looks.

    Args:
        options: where the photos are, where the results go, seed and device.
        log: receives sentences for people.
        recipe: the numbers; None takes those of the shipped weights.

    Raises:
        UsageError: a part is named, no photos, one that cannot be decoded, none that suits, or a checkpoint of
            another schedule.
    """
    options.parts_of(())
    recipe = recipe or Recipe()
    torch.set_num_threads(options.threads)
    album = Album.read(options.data, log)
    exported: dict[str, Exported] = {}
    figures: dict[str, Mapping[str, float]] = {}
    denoisers = {}
    for stem, numbers in recipe.denoisers.items():
        log(f"Training {stem}.")
        denoisers[stem] = train_denoiser(stem, album, options, numbers, log)
        figures[stem] = denoiser_figures(denoisers[stem], album.held_out)
        exported[stem] = deliver(denoisers[stem], options.out, stem)
    if recipe.stage_one is not None:
        log("Training stage 1.")
        first = train_stage_one("stage-1", album, options, recipe.stage_one, log).cpu().eval()
        figures["stage-1"] = stage_one_figures(first, album.held_out)
        for stem, part in (("illumination", first.illumination), ("reflectance", first.reflectance)):
            exported[stem] = deliver(part, options.out, stem)
    for stem, found in figures.items():
        log(f"{stem}: " + ", ".join(f"{name} {value:.2f}" for name, value in found.items()))
    sheets = []
    if album.held_out:
        sheets.append(options.out / "validation.png")
        write_sheet(sheets[0], [_row(pair, denoisers) for pair in album.held_out[:6]], height=400)
        log(f"Wrote {sheets[0]}.")
    return Trained(exported, figures, sheets)


# --- stage 2 -------------------------------------------------------------------------------------------------


def train_denoiser(
    stem: str, album: Album, options: TrainOptions, recipe: DenoiserRecipe, log: loop.Log
) -> network.Network:
    """Train one denoiser from its random start."""
    module = fresh(recipe.configuration, options.seed)
    if recipe.grown_from is not None:
        path = options.out / f"{recipe.grown_from}.safetensors"
        if path.exists():
            small = network.build(read_configuration(path))
            read_weights(small, path)
            grow(small, module)
        else:
            log(f"{path} is not there to start from; {stem} starts from random weights.")
    module.to(options.device)
    loop.train(
        module,
        lambda iteration: denoiser_loss(module, album, recipe, options.seed, iteration, options.device),
        lambda _: denoiser_figures(module, album.held_out[::2]),
        recipe.schedule.lasting(options.iterations),
        options.out / stem,
        resume=options.resume,
        log=log,
    )
    module.cpu().eval()
    return module


def denoiser_loss(
    module: nn.Module, album: Album, recipe: DenoiserRecipe, seed: int, iteration: int, device: str = "cpu"
) -> Tensor:
    """What the pieces of one iteration cost; a function of seed and number alone."""
    if recipe.internal:
        noisy, gain = (plane.to(device) for plane in single_batch(album, recipe.draws, seed, iteration)[:2])
        return recipe.texture * losses.blind_spot(module(noisy, gain)[-1], noisy)
    batch: Batch = twin_batch(album, recipe.draws, seed, iteration).to(device)
    output = module(batch.noisy, batch.gain)[0]
    texture, colour = losses.decoupled(output, batch.twin, batch.brighter, batch.weight)
    return recipe.texture * texture + recipe.colour * colour


def restored(
    module: network.Network | None,
    pixels: Codes,
    *,
    strength: float = 1.0,
    target: float = tone.TARGET,
    balance: float = BALANCE,
) -> Codes:
    """A whole image through white balance, curve and denoiser: the plain reference that production is held to.

    Args:
        module: the denoiser; None leaves stage 1.
        pixels: H×W×3.
        strength: `--denoise`.
        target: mean to reach.
        balance: share of the white balance.
    """
    shot = Shot.of(pixels)
    light, curve, bright = shot.lit(pixels, balance, target=target)
    gain = log_gain(light, curve)[0]
    clean = bright if module is None else bright + strength * (denoised(module, bright, gain) - bright)
    return finished(clean, gain, shot, curve, balance)


def finished(picture: Picture, gain: Picture, shot: Shot, curve: tone.ToneCurve, balance: float) -> Codes:
    """Shadows desaturated, and the mean that the curve gives, which denoising moves a little, set again."""
    result = pseudo_ground_truth.desaturated_shadows(picture, gain)
    reached = tone.mean_after(shot.counts, curve, pseudo_ground_truth.balanced_with(shot.cast, balance))
    result *= reached / max(float(result.clip(0.0, 1.0).mean()), 1e-3)
    return np.rint(result.clip(0.0, 1.0) * 255.0).astype(np.uint8)


def denoised(module: network.Network, bright: Picture, gain: Picture) -> Picture:
    """A bright noisy H×W×3 image, cleaned; sides of any length, borders reflected."""
    device = next(module.parameters()).device
    height, width = gain.shape
    border, multiple = 32, module.multiple
    bottom, right = border + -(height + 2 * border) % multiple, border + -(width + 2 * border) % multiple
    stacked = np.dstack([bright, gain])
    padded = cv2.copyMakeBorder(stacked, border, bottom, border, right, cv2.BORDER_REFLECT_101)
    maps = torch.from_numpy(planes(padded))[None].to(device)
    with torch.no_grad():
        clean = module(maps[:, :3], maps[:, 3:])[0][0].cpu().numpy().transpose(1, 2, 0)
    return np.ascontiguousarray(clean[border : border + height, border : border + width])


def denoiser_figures(module: network.Network | None, pairs: Sequence[Pair]) -> dict[str, float]:
    """PSNR and SSIM, plain and mean-matched, of held-out pairs: means."""
    return figures([(restored(module, pair.degraded), pair.reference) for pair in pairs])


def figures(pairs: Sequence[tuple[Codes, Codes]]) -> dict[str, float]:
    """Means over (output, reference) of PSNR and of SSIM in hundredths, plain and mean-matched."""
    rows = []
    for output, reference in pairs:
        matched = mean_matched(output, reference)
        rows.append(
            (
                psnr(output, reference),
                100.0 * ssim(output, reference),
                psnr(matched, reference),
                100.0 * ssim(matched, reference),
            )
        )
    names = ("psnr", "ssim", "matched psnr", "matched ssim")
    return dict(zip(names, map(float, np.mean(rows, axis=0)), strict=True)) if rows else {}


# --- stage 1 -------------------------------------------------------------------------------------------------


class StageOne(nn.Module):
    """L-Net and R-Net together, as they are trained; each is exported alone."""

    def __init__(self) -> None:
        super().__init__()
        self.illumination = network.build({"kind": "illumination"})
        self.reflectance = network.build({"kind": "reflectance"})

    def forward(self, bright: Tensor, gain: Tensor) -> tuple[Tensor, Tensor]:
        """L, N×1×H×W, and R, N×3×H×W, of the curve's image and its ln(gain)."""
        correction = self.illumination(bright, gain)[0]
        reflectance = self.reflectance((bright * torch.exp(correction)).clamp(0.0, 1.0), gain + correction)[0]
        return torch.exp(-(gain + correction)), reflectance


def train_stage_one(stem: str, album: Album, options: TrainOptions, recipe: StageOneRecipe, log: loop.Log) -> StageOne:
    """Train L-Net and R-Net on the checker-pattern sub-images of single shots."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        module = StageOne()
    module = module.to(options.device)
    features = losses.Gabor()

    def loss(iteration: int) -> Tensor:
        batch = single_batch(album, recipe.draws, options.seed, iteration)
        return stage_one_loss(module, [plane.to(options.device) for plane in batch], recipe, features)

    loop.train(
        module,
        loss,
        lambda trained: stage_one_figures(trained, album.held_out[::2]),
        recipe.schedule.lasting(options.iterations),
        options.out / stem,
        resume=options.resume,
        log=log,
    )
    return module


def stage_one_loss(
    module: nn.Module, batch: Sequence[Tensor], recipe: StageOneRecipe, features: losses.Features
) -> Tensor:
    """docs/papers.md, I5, on the two views of every piece.

    Args:
        module: bright image and ln(gain) to L and R.
        batch: bright image, ln(gain), light before the curve, pseudo ground truth.
        recipe: the weights.
        features: of IAP.
    """
    views = [losses.sub_images(plane) for plane in batch]
    solved = [module(views[0][i], views[1][i]) for i in (0, 1)]
    # The noise of both views is independent: half of it is gone from what structure is compared with.
    quiet = 0.5 * (views[2][0] + views[2][1])
    total = torch.zeros((), device=quiet.device)
    for i, (light, reflectance) in enumerate(solved):
        dark, other = views[2][i], solved[1 - i][1]
        total = total + recipe.reconstruction * losses.reconstruction(light, reflectance, dark)
        total = total + recipe.cross * losses.reconstruction(light, other, dark)
        total = total + recipe.reference * losses.pseudo_ground_truth(reflectance, views[3][i])
        prior = torch.exp(-views[1][i])
        total = total + recipe.illumination * losses.illumination_prior(light, prior, dark)
        total = total + recipe.exposure * losses.exposure(reflectance, tone.TARGET)
        total = total + recipe.sisc * losses.sisc(reflectance, losses.aligned(quiet, reflectance).detach())
        total = total + recipe.iap * losses.iap(reflectance, quiet, features)
    total = total + recipe.sisc * losses.sisc(solved[0][1], solved[1][1])
    return 0.5 * total


def first_stage(module: StageOne, pixels: Codes, *, reflect: bool = True, balance: float = BALANCE) -> Codes:
    """A whole image through stage 1: curve, L-Net's correction from the proxy, and R-Net if asked for."""
    shot = Shot.of(pixels)
    light, curve, bright = shot.lit(pixels, balance)
    gain = log_gain(light, curve)[0]
    correction = illumination_correction(module.illumination, shot, curve, balance)
    guide = pseudo_ground_truth.guide_of(light)
    bend = pseudo_ground_truth.slice_of(correction, guide)
    bright, gain = np.clip(bright * np.exp(bend)[..., None], 0.0, 1.0), gain + bend
    result = denoised(module.reflectance, bright, gain) if reflect else bright
    return finished(result, gain, shot, curve, balance)


def illumination_correction(
    module: network.Network, shot: Shot, curve: tone.ToneCurve, balance: float
) -> NDArray[np.float32]:
    """L-Net's correction of a shot's proxy, as the bilateral grid that full resolution slices."""
    factors = np.asarray(pseudo_ground_truth.balanced_with(shot.cast, balance), np.float32)
    light = np.clip(proxy_of(shot.pixels) * factors, 0.0, 1.0)
    height, width = light.shape[:2]
    gain = log_gain(light, curve)[0]
    multiple = module.multiple
    stacked = np.dstack([curve.picture(light), gain])
    padded = cv2.copyMakeBorder(stacked, 0, -height % multiple, 0, -width % multiple, cv2.BORDER_REPLICATE)
    maps = torch.from_numpy(planes(padded))[None].to(next(module.parameters()).device)
    with torch.no_grad():
        correction = module(maps[:, :3], maps[:, 3:])[0][0, 0].cpu().numpy()[:height, :width]
    return pseudo_ground_truth.grid_of(pseudo_ground_truth.guide_of(light), correction)


def stage_one_figures(module: nn.Module, pairs: Sequence[Pair]) -> dict[str, float]:
    """As `denoiser_figures`, after stage 1: with R-Net, and with L-Net alone (matched PSNR)."""
    assert isinstance(module, StageOne)
    found = figures([(first_stage(module, pair.degraded), pair.reference) for pair in pairs])
    alone = figures([(first_stage(module, pair.degraded, reflect=False), pair.reference) for pair in pairs])
    return found | {f"L-Net alone, {name}": value for name, value in alone.items() if name.endswith("psnr")}


# --- delivery ------------------------------------------------------------------------------------------------


def fresh(configuration: Mapping[str, Any], seed: int) -> network.Network:
    """A freshly initialised network, the same for the same seed, as its configuration says."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return network.build(configuration)


def deliver(module: network.Network, out: Path, stem: str) -> Exported:
    """Write the files of one network."""
    random = generator(0, 1)
    multiple = module.multiple

    def sample(rows: int, columns: int) -> dict[str, Picture]:
        size = (rows * multiple, columns * multiple)
        return {
            "image": random.random((1, 3, *size), np.float32),
            "gain": (3.0 * random.random((1, 1, *size))).astype(np.float32),
        }

    free = {2: "height", 3: "width"}
    names: tuple[str, ...] = module.outputs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sizes are asked for while tracing; the samples have several
        return export(
            module,
            out,
            stem,
            identity=f"irle/{stem}-1",
            configuration=module.configuration,
            samples=[sample(4, 6), sample(3, 2), sample(7, 5)],
            outputs=names,
            dynamic_axes=dict.fromkeys(("image", "gain", *names), free),
        )


def _row(pair: Pair, denoisers: Mapping[str, network.Network]) -> list[tuple[str, Codes]]:
    """A held-out image's middle at its own pixels: input, stage 1, each denoiser, and the reference."""
    height, width = pair.degraded.shape[:2]
    window = np.s_[max(0, height // 2 - 200) : height // 2 + 200, max(0, width // 2 - 200) : width // 2 + 200]
    cells = [(pair.name, pair.degraded), ("stage 1", restored(None, pair.degraded))]
    cells += [(stem, restored(module, pair.degraded)) for stem, module in denoisers.items()]
    return [(label, codes[window]) for label, codes in (*cells, ("reference", pair.reference))]
