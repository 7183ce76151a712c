"""The predictor in torch, for training and export; `predictor.forward` is the same on NumPy arrays."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from enhance_cli.exposure.features import DOUBT, FIGURES, RANGE

OUTPUTS = ("figures", "doubts")


class ExposureNetwork(nn.Module):
    """From standardised statistics to the wanted figures and the error expected of each."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, inputs: int, width: int = 64, dropout: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))
        self.first = nn.Linear(inputs, width)
        self.second = nn.Linear(width, width)
        self.head = nn.Linear(width, 2 * FIGURES)
        self.dropout = nn.Dropout(dropout)

    def forward(self, statistics: Tensor) -> tuple[Tensor, Tensor]:
        """Figures in 0..1 and expected errors, both N×4, for statistics N×`inputs` (`features.statistics`)."""
        values = ((statistics - self.mean) / self.deviation).clamp(-RANGE, RANGE)
        values = self.dropout(torch.relu(self.first(self.dropout(values))))
        values = self.head(self.dropout(torch.relu(self.second(values))))
        return torch.sigmoid(values[:, :FIGURES]), torch.exp(values[:, FIGURES:].clamp(*DOUBT))
