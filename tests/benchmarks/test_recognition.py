"""The benchmark of recognition, without the weights and readers of other packages."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks import recognition
from benchmarks.lib import imagenet


def test_a_line_is_read_with_a_few_wrong_characters():
    assert recognition.among("Digital Image", ["noise", "digital lmage"])
    assert not recognition.among("Digital Image", ["Digital", "Image"])
    assert not recognition.among("Digital Image", [])


def test_plain_scaling_reaches_its_mean():
    picture = np.random.default_rng(0).integers(0, 60, (20, 30, 3), dtype=np.uint8)
    assert abs(recognition.scaled(picture).mean() / 255.0 - 0.45) < 0.02
    assert recognition.scaled(np.zeros((4, 4, 3), np.uint8)).max() == 0


class Drawn(dict):
    """Random weights, of the shapes that MobileNetV2 has; keeps what was asked for."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(0)
        self.asked: set[str] = set()

    def __missing__(self, name: str) -> torch.Tensor:
        self.asked.add(name)
        return torch.rand(self.shape(name), generator=self.generator) + 0.5

    def shape(self, name: str) -> tuple[int, ...]:
        widths = [32, 16, *[24] * 2, *[32] * 3, *[64] * 4, *[96] * 3, *[160] * 3, 320, 1280]
        part, block, *rest = name.split(".")
        if part == "classifier":
            return (1000, 1280) if rest == ["weight"] else (1000,)
        number = int(block)
        narrow, wide = widths[number - 1], widths[number - 1] * (1 if number == 1 else 6)
        if number in (0, 18):
            kernel = (32, 3, 3, 3) if number == 0 else (1280, 320, 1, 1)
            return kernel if rest[0] == "0" else (kernel[0],)
        layer = ".".join(rest[1:-1])
        if number == 1:
            layer = {"0.0": "1.0", "0.1": "1.1", "1": "2", "2": "3"}[layer]
        kernels = {"0.0": (wide, narrow, 1, 1), "1.0": (wide, 1, 3, 3), "2": (widths[number], wide, 1, 1)}
        return kernels.get(layer) or ((widths[number],) if layer == "3" else (wide,))


def test_the_classifier_uses_all_weights_of_mobilenet():
    drawn = Drawn()
    with torch.inference_mode():
        assert imagenet.scores(drawn, torch.rand(1, 3, 64, 64)).shape == (1, 1000)
    assert len(drawn.asked) == 2 + 52 * 5  # the last layer, and 52 convolutions with their normalisation
