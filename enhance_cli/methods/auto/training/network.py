"""The chooser in torch, for training and export; `scores.forward` is the same on NumPy arrays."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from enhance_cli.methods.auto.scores import RANGE

OUTPUTS = ("scores",)


class ChoiceNetwork(nn.Module):
    """From standardised features of an option to its score: one hidden layer, which is that of all members."""

    mean: Tensor
    deviation: Tensor
    spread: Tensor

    def __init__(self, inputs: int, members: int, hidden: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))
        self.register_buffer("spread", torch.ones(()))  # decibels, see `Scores.certainty`
        self.members = members
        self.first = nn.Linear(inputs, members * hidden)
        self.head = nn.Linear(members * hidden, 1, bias=False)

    def forward(self, features: Tensor) -> tuple[Tensor]:
        """Scores, N, alone in a tuple, for features N×`inputs` (`features.features`)."""
        return (self.head(torch.tanh(self.first(self.standardised(features))))[:, 0],)

    def standardised(self, features: Tensor) -> Tensor:
        """Features by their deviation over the training photos, clipped."""
        return ((features - self.mean) / self.deviation).clamp(-RANGE, RANGE)

    def of_members(self, standardised: Tensor) -> Tensor:
        """What each member says, members×B×options, for its own batch: members×B×options×inputs."""
        weights = self.first.weight.unflatten(0, (self.members, -1))
        biases = self.first.bias.unflatten(0, (self.members, -1))
        hidden = torch.tanh(torch.einsum("mboi,mhi->mboh", standardised, weights) + biases[:, None, None])
        shares = self.members * self.head.weight[0].unflatten(0, (self.members, -1))
        return torch.einsum("mboh,mh->mbo", hidden, shares)
