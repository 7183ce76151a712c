"""How IRLE's networks are trained: from dark photos alone, several shots of one scene teaching each other.

Stage 2 learns from real twins (two exposures of one scene have independent noise) and simulated ones (one photo
darkened twice, for the correlated noise of phones and JPEG). No bright reference enters a loss: the validation
alone looks at some. The loop and the export are those of `enhance_cli.training`.
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
        }
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
    """Colour that follows the gain, and the mean that the curve gives, which denoising moves a little, set again."""
    result = pseudo_ground_truth.coloured(picture.clip(0.0, 1.0), gain)
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
