"""Training of the exposure predictor: draw all samples once, then fit a small network to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from enhance_cli.exposure import OWNER
from enhance_cli.exposure.features import FIGURES
from enhance_cli.exposure.training.data import Album, Samples
from enhance_cli.exposure.training.network import OUTPUTS, ExposureNetwork
from enhance_cli.exposure.training.recipe import Recipe
from enhance_cli.training import loop
from enhance_cli.training.degradations import generator
from enhance_cli.training.export import Exported, Trained, export
from enhance_cli.training.options import TrainOptions

IDENTITY = "exposure/predictor-1"


def train(
    options: TrainOptions,
    log: Callable[[str], None] = lambda sentence: None,
    recipe: Recipe | None = None,
    scenes: Callable[[str], bool] = lambda scene: True,
) -> Trained:
    """Train the predictor from a folder of photos and export it.

    The folder may hold `clean/`, `exposure/sice512/` (stacks) and `paired_lowlight/low` and `high`, as
    docs/training.md says, or the photos themselves, which then count as clean.

    Args:
        options: where the photos are, where the results go, seed and device.
        log: receives progress messages.
        recipe: the numbers; None takes those of the shipped weights.
        scenes: which scenes to train on, by their names; all for the shipped weights.

    Raises:
        UsageError: a part is named, no photos, one that cannot be decoded, or a checkpoint of another schedule.
    """
    options.parts_of(())
    recipe = recipe or Recipe()
    torch.set_num_threads(options.threads)
    album = Album.read(options.data, recipe, log, scenes)
    samples = album.draw(recipe, options.seed)
    log(f"Drew {recipe.draws} photos.")
    torch.manual_seed(options.seed)
    network = ExposureNetwork(samples.statistics.shape[1], recipe.width, recipe.dropout)
    network.mean.copy_(torch.from_numpy(samples.statistics.mean(axis=0)))
    network.deviation.copy_(torch.from_numpy(samples.statistics.std(axis=0) + np.float32(1e-3)))
    network.to(options.device)
    trained = loop.train(
        network,
        lambda iteration: _loss(network, samples, recipe, options, iteration),
        lambda module: errors(module, album.held_out),
        recipe.schedule.lasting(options.iterations),
        options.out,
        resume=options.resume,
        log=log,
    )
    assert isinstance(trained, ExposureNetwork)
    exported = deliver(trained, options)
    return Trained({"predictor": exported}, {"predictor": errors(trained.eval(), album.held_out)}, [])


def deliver(network: ExposureNetwork, options: TrainOptions) -> Exported:
    """Write the network's files."""
    inputs, width = network.first.in_features, network.first.out_features
    random = generator(0, 3)
    sample = (network.mean + network.deviation * torch.from_numpy(random.normal(0, 1, inputs).astype(np.float32))).cpu()
    (stem,) = OWNER.weights
    return export(
        network,
        options.out,
        stem,
        identity=IDENTITY,
        configuration={"inputs": inputs, "width": width},
        samples=[{"statistics": sample.numpy()[None]}],
        outputs=OUTPUTS,
        dynamic_axes={},
    )


def _loss(network: ExposureNetwork, samples: Samples, recipe: Recipe, options: TrainOptions, iteration: int) -> Tensor:
    """The negative logarithm of a Laplace density, whose scale is the doubt, over one batch."""
    rows = generator(options.seed, 4, iteration).integers(len(samples.weights), size=recipe.batch)
    torch.manual_seed(options.seed + iteration)  # of the dropout, so that a resumed run draws the same
    statistics, wanted, weights = (
        torch.from_numpy(part[rows]).to(options.device)
        for part in (samples.statistics, samples.figures, samples.weights)
    )
    found, doubts = network(statistics)
    each = (found - wanted).abs() / doubts + torch.log(doubts)
    of_figures = torch.tensor([1.0] + [recipe.others] * (FIGURES - 1), device=each.device)
    loss: Tensor = (each * of_figures * weights[:, None]).sum(dim=1).mean()
    return loss


@torch.no_grad()
def errors(network: nn.Module, held_out: Mapping[str, Samples]) -> dict[str, float]:
    """Mean absolute error of the brightness of held-out photos, in percent of white."""
    device = next(network.parameters()).device
    found = {}
    for kind, samples in held_out.items():
        luma = network(torch.from_numpy(samples.statistics).to(device))[0][:, 0].cpu().numpy()
        found[kind] = 100.0 * float(np.abs(luma - samples.figures[:, 0]).mean())
    return found
