"""The predictor on NumPy arrays: a small network of three layers, the same on every device, in under a millisecond."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from enhance_cli.engines import weights as weight_files
from enhance_cli.engines.once import Once
from enhance_cli.exposure import OWNER, Wanted
from enhance_cli.exposure.features import DOUBT, FIGURES, RANGE, SIDE, luma_of, statistics
from enhance_cli.exposure.high_key import high_key
from enhance_cli.imaging import opacity
from enhance_cli.imaging.measures import MEASURES
from enhance_cli.types import Image

if TYPE_CHECKING:
    from enhance_cli.engines import Engine
    from enhance_cli.engines.weights import Weights
    from enhance_cli.types import Array

LEAST_LUMA, MOST_LUMA = 0.05, 0.95
"""Bounds of the predicted mean."""


class Predictor:
    """The predictor of one engine: its weights are read once."""

    def __init__(self, engine: Engine) -> None:
        """Remember where own weights are, and where pixels are measured."""
        self._engine, self._own = engine, engine.own_weights
        self._made: Once[Any] = Once()

    @property
    def weights(self) -> Weights:
        """The file, shipped or `exposure/` in the folder of own weights.

        Raises:
            WeightsError: it is missing or altered.
        """
        return self._made.get("file", self._find)  # type: ignore[no-any-return]

    def _find(self) -> Weights:
        (stem,) = OWNER.weights
        folder = None if self._own is None else self._own / OWNER.name
        return weight_files.find(OWNER, stem, "safetensors", folder if folder is not None and folder.is_dir() else None)

    def predict(self, image: Image) -> Wanted:
        """What a photo should be like; pixels count by their opacity.

        Args:
            image: in the working space of methods, H×W×3 or H×W, of 8 or 16 bits.
        """
        if image.pixels.ndim == 2:
            image = image.replace(pixels=np.repeat(image.pixels[..., None], 3, axis=2))
        means = partial(self._engine.measured, MEASURES, "area_means")
        return self.predict_light(opacity.area_means(image, SIDE, SIDE, means))

    def predict_light(self, light: Array) -> Wanted:
        """The same for a downscaled copy: float32 3×h×w in 0..1, of any size. High-key photos stay as bright."""
        tensors = self._made.get("tensors", lambda: weight_files.read_arrays(self.weights))
        small = reduced(light, SIDE, SIDE)
        luma, black, contrast, chroma, doubt = forward(tensors, small)
        luma += high_key(small) * (float(luma_of(small).mean()) - luma)
        return Wanted(min(max(luma, LEAST_LUMA), MOST_LUMA), black, contrast, chroma, doubt)


def reduced(light: Array, height: int, width: int) -> Array:
    """Area means of light 3×h×w: 3×height×width, of the cells of `imaging.area.area_means`."""
    for axis, count in ((1, height), (2, width)):
        length = light.shape[axis]
        if length == count:
            continue
        edges = np.arange(count + 1) * length
        starts, ends = edges[:-1] // count, -(-edges[1:] // count)
        running = np.insert(np.cumsum(light, axis=axis, dtype=np.float64), 0, 0.0, axis=axis)
        sums = running.take(ends, axis=axis) - running.take(starts, axis=axis)
        shape = [1, 1, 1]
        shape[axis] = count
        light = (sums / (ends - starts).reshape(shape)).astype(np.float32)
    return light


def forward(tensors: dict[str, Array], light: Array) -> list[float]:
    """`training.network.ExposureNetwork` for light 3×64×64: the four figures, and the doubt about the first."""
    values = np.clip((statistics(light) - tensors["mean"]) / tensors["deviation"], -RANGE, RANGE)
    for layer in ("first", "second"):
        values = np.maximum(tensors[f"{layer}.weight"] @ values + tensors[f"{layer}.bias"], 0.0)
    values = tensors["head.weight"] @ values + tensors["head.bias"]
    doubt = np.exp(np.clip(values[FIGURES], *DOUBT))
    return [*(1.0 / (1.0 + np.exp(-values[:FIGURES]))).astype(float).tolist(), float(doubt)]
