"""The benchmark of recognition, without the weights and readers of other packages."""

from __future__ import annotations

import json

import numpy as np
import torch
from torch.nn import functional

from benchmarks import recognition
from benchmarks.lib import imagenet
from benchmarks.lib.sets import MARKS


def test_a_line_is_read_with_a_few_wrong_characters():
    assert recognition.among("Digital Image", ["noise", "digital lmage"])
    assert not recognition.among("Digital Image", ["Digital", "Image"])
    assert not recognition.among("Digital Image", [])


def test_numbers_and_single_signs_are_no_text():
    assert [words for words in ("注意", "No. 1", "10", "A", "--") if recognition.is_text(words)] == ["注意", "No. 1"]


def test_plain_scaling_reaches_its_mean():
    picture = np.random.default_rng(0).integers(0, 60, (20, 30, 3), dtype=np.uint8)
    assert abs(recognition.scaled(picture).mean() / 255.0 - 0.45) < 0.02
    assert recognition.scaled(np.zeros((4, 4, 3), np.uint8)).max() == 0


def drawn_weights() -> dict[str, torch.Tensor]:
    """Random weights with the names and shapes of MobileNetV2's, as torchvision saves them."""
    torch.manual_seed(0)
    state = {"classifier.1.weight": torch.rand(1000, 1280), "classifier.1.bias": torch.rand(1000)}

    def unit(convolution: str, norm: str, wide: int, narrow: int, side: int = 1) -> None:
        state[f"{convolution}.weight"] = torch.rand(wide, narrow, side, side) - 0.5
        state.update({f"{norm}.{part}": torch.rand(wide) + 0.5 for part in ("weight", "bias", "running_var")})
        state[f"{norm}.running_mean"] = torch.rand(wide) - 0.5

    widths = [32, 16, *[24] * 2, *[32] * 3, *[64] * 4, *[96] * 3, *[160] * 3, 320]
    unit("features.0.0", "features.0.1", 32, 3, 3)
    for block in range(1, 18):
        name, first = f"features.{block}.conv", 0 if block == 1 else 1
        wide = widths[block - 1] * (6 if first else 1)
        if first:
            unit(f"{name}.0.0", f"{name}.0.1", wide, widths[block - 1])
        unit(f"{name}.{first}.0", f"{name}.{first}.1", wide, 1, 3)
        unit(f"{name}.{first + 1}", f"{name}.{first + 2}", widths[block], wide)
    unit("features.18.0", "features.18.1", 1280, 320)
    return state


def test_the_classifier_uses_the_weights_that_torchvision_saves():
    state = imagenet.folded(drawn_weights())
    with torch.inference_mode():
        assert imagenet.scores(state, torch.rand(1, 3, 64, 64)).shape == (1, 1000)


def test_folding_keeps_what_a_convolution_and_its_normalisation_give():
    state = drawn_weights()
    x = torch.rand(1, 3, 16, 16)
    plain = functional.conv2d(x, state["features.0.0.weight"], padding=1)
    parts = (state[f"features.0.1.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
    wanted = functional.batch_norm(plain, *parts)
    found = imagenet.folded(state)
    folded = functional.conv2d(x, found["features.0.0.weight"], found["features.0.0.bias"], padding=1)
    assert torch.allclose(folded, wanted, atol=1e-4)


def test_photos_that_are_marked_have_boxes_within_them_or_text():
    marks = json.loads(MARKS.read_text(encoding="utf-8"))
    assert set(marks) == {"skin", "empty-dark", "text"}
    for boxes in (*marks["skin"].values(), *marks["empty-dark"].values()):
        assert boxes
        assert all(0 <= left < right <= 1 and 0 <= top < bottom <= 1 for left, top, right, bottom in boxes)
    assert len(set(marks["text"])) == len(marks["text"])
