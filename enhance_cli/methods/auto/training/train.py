"""Training of the chooser: try every option on every photo, then learn to score what was tried."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from enhance_cli.methods.auto.candidates import OPTIONS
from enhance_cli.methods.auto.chooser import NOTHING, RESTRAINT
from enhance_cli.methods.auto.features import COUNT
from enhance_cli.methods.auto.training import data, trials
from enhance_cli.methods.auto.training.network import OUTPUTS, ChoiceNetwork
from enhance_cli.methods.auto.training.recipe import Recipe
from enhance_cli.methods.auto.training.trials import Trials
from enhance_cli.training import loop
from enhance_cli.training.dataset import put_aside
from enhance_cli.training.degradations import generator
from enhance_cli.training.export import Exported, Trained, export
from enhance_cli.training.options import TrainOptions

IDENTITY = "auto/chooser-1"

HELD_OUT_EVERY = 6
"""The last of every six scenes, in order of name, is held out for validation and for the certainty's spread."""


def train(
    options: TrainOptions, log: Callable[[str], None] = lambda sentence: None, recipe: Recipe | None = None
) -> Trained:
    """Train the chooser from a folder of photos and export it.

    The folder may hold `clean/`, `exposure/sice512/` (stacks) and `paired_lowlight/low` and `high`, as
    docs/training.md says, or the photos themselves, which then count as clean.

    Args:
        options: where the photos are, where the results go, seed and device.
        log: receives progress messages.
        recipe: the numbers; None takes those of the shipped weights.

    Raises:
        UsageError: a part is named, no photos, one that cannot be decoded, or a checkpoint of another schedule.
    """
    options.parts_of(())
    recipe = recipe or Recipe()
    torch.set_num_threads(options.threads)
    found = trials.Trials.load(options.out) if options.resume else None
    if found is None:
        found = trials.make(data.read(options.data, recipe, options.seed), options, recipe, log)
        found.save(options.out)
    kept, aside = put_aside(range(len(found.kinds)), HELD_OUT_EVERY, lambda place: str(found.scenes[place]))
    learned, held_out = _part(found, kept), _part(found, aside)
    torch.manual_seed(options.seed)
    network = ChoiceNetwork(COUNT, recipe.members, recipe.hidden)
    rows = torch.from_numpy(learned.features.reshape(-1, COUNT))
    network.mean.copy_(rows.mean(dim=0))
    network.deviation.copy_(rows.std(dim=0).clamp_min(1e-3))
    network.to(options.device)
    draw = _Draws(learned, recipe, options)
    trained = loop.train(
        network,
        lambda iteration: _loss(network, *draw(iteration), recipe),
        lambda module: figures(module, held_out),
        recipe.schedule.lasting(options.iterations),
        options.out,
        resume=options.resume,
        log=log,
    )
    assert isinstance(trained, ChoiceNetwork)
    trained.spread.fill_(_spread(trained, held_out))
    exported = deliver(trained.cpu(), options, recipe)
    return Trained({"chooser": exported}, {"chooser": figures(trained.eval(), held_out)}, [])


def deliver(network: ChoiceNetwork, options: TrainOptions, recipe: Recipe) -> Exported:
    """Write the network's files."""
    random = generator(0, 3)
    sample = network.mean + network.deviation * torch.from_numpy(random.normal(0, 1, (3, COUNT)).astype(np.float32))
    return export(
        network,
        options.out,
        "chooser",
        identity=IDENTITY,
        configuration={"inputs": COUNT, "members": recipe.members, "hidden": recipe.hidden},
        samples=[{"features": sample.numpy()}],
        outputs=OUTPUTS,
        dynamic_axes={"features": {0: "options"}, "scores": {0: "options"}},
    )


class _Draws:
    """Batches, one for each member, in which kinds have their shares."""

    def __init__(self, learned: Trials, recipe: Recipe, options: TrainOptions) -> None:
        self._features = torch.from_numpy(learned.features).to(options.device)
        goals = np.minimum(learned.least, recipe.enough)
        goals += recipe.beyond * (np.clip(learned.least, recipe.enough, recipe.most) - recipe.enough)
        self._goals = torch.from_numpy(goals - goals.mean(axis=1, keepdims=True)).to(options.device)
        shares = np.array([recipe.shares[kind] / (learned.kinds == kind).sum() for kind in learned.kinds])
        self._ends = np.cumsum(shares / shares.sum())
        self._size = (recipe.members, recipe.batch)
        self._seed = options.seed

    def __call__(self, iteration: int) -> tuple[Tensor, Tensor, Tensor]:
        """Features and goals of members×batch samples, and noise."""
        random = generator(self._seed, 4, iteration)
        places = np.minimum(np.searchsorted(self._ends, random.random(self._size)), len(self._ends) - 1)
        noise = random.normal(0.0, 1.0, (*self._size, 1, COUNT)).astype(np.float32)
        return self._features[places], self._goals[places], torch.from_numpy(noise).to(self._features.device)


def _loss(network: ChoiceNetwork, features: Tensor, goals: Tensor, noise: Tensor, recipe: Recipe) -> Tensor:
    """Minus the score expected if options were drawn by a softmax, and a regression of all scores."""
    scores = network.of_members(network.standardised(features) + recipe.noise * noise)
    scores = scores - scores.mean(dim=-1, keepdim=True)
    chosen = torch.softmax(scores / recipe.temperature, dim=-1)
    regression = nn.functional.huber_loss(scores, goals, delta=2.0)
    expected = (chosen * goals).sum(dim=-1).mean()
    decay = recipe.decay * network.first.weight.square().sum()
    loss: Tensor = network.members * (recipe.regression * regression - expected) + decay
    return loss


def figures(network: nn.Module, held_out: Trials) -> dict[str, float]:
    """PSNR by kind if each held-out photo is treated as chosen, and the share of clean ones left alone in percent."""
    if not len(held_out.kinds):
        return {}
    scores = _scores(network, held_out)
    scores[:, NOTHING] += RESTRAINT
    choices = scores.argmax(axis=1)
    reached = held_out.psnr[np.arange(len(choices)), choices]
    found = {str(kind): float(reached[held_out.kinds == kind].mean()) for kind in np.unique(held_out.kinds)}
    clean = held_out.kinds == "clean"
    return found | ({"left alone": 100.0 * float((choices[clean] == NOTHING).mean())} if clean.any() else {})


@torch.no_grad()
def _scores(network: nn.Module, of: Trials) -> np.ndarray:
    device = next(network.parameters()).device
    rows = torch.from_numpy(of.features.reshape(-1, COUNT)).to(device)
    return np.asarray(network(rows)[0].cpu().numpy().reshape(-1, len(OPTIONS)))


def _spread(network: nn.Module, held_out: Trials) -> float:
    """The spread s for which 1 / (1 + e^(-lead / s)) says best how often the option that leads is the better one.

    By maximum likelihood over pairs of options of different methods in held-out photos.
    """
    if not len(held_out.kinds):
        return 1.0
    scores = _scores(network, held_out)
    order = np.argsort(-scores, axis=1)
    leads, right = [], []
    for row, ranked in enumerate(order):
        first = ranked[0]
        other = next(place for place in ranked if OPTIONS[place][0] != OPTIONS[first][0])
        leads.append(scores[row, first] - scores[row, other])
        right.append(held_out.psnr[row, first] >= held_out.psnr[row, other])
    spreads = np.geomspace(0.1, 20.0, 200)
    steps = np.array(leads)[:, None] / spreads
    signed = np.where(np.array(right)[:, None], steps, -steps)
    return float(spreads[np.logaddexp(0.0, -signed).sum(axis=0).argmin()])


def _part(of: Trials, places: list[int]) -> Trials:
    return Trials(**{name: values[places] for name, values in vars(of).items()})
