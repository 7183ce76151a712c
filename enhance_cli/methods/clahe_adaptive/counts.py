"""The counts from which clip limits are estimated: by kernels, or weighted by opacity if the image has transparency."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from enhance_cli.imaging import opacity
from enhance_cli.imaging.luma import luma as rgb_luma
from enhance_cli.methods.clahe_adaptive.statistics import THUMBNAIL, weighted_histograms
from enhance_cli.methods.clahe_adaptive.structure import noise_grid, weighted_diagonals

if TYPE_CHECKING:
    from enhance_cli.engines import Engine
    from enhance_cli.types import Array, Image


class Counts(NamedTuple):
    """Counts for the tiles of an image. What only the network needs is computed on demand."""

    histograms: Array
    """rows×columns×256 counts of luma."""

    whole: Array | None
    """256 counts of the whole image, if they are not the sum over its tiles; else None."""

    thumbnail: Callable[[], Array]
    """Luma, float32 `THUMBNAIL`×`THUMBNAIL` in 0..1."""

    diagonals: Callable[[], Array]
    """Counts of diagonal differences (`kernels_cpu.diagonal_counts`), in the tiles of `structure.noise_grid`."""


def count(image: Image, rows: int, columns: int, engine: Engine, kernels: Any) -> Counts:
    """Count an image, H×W luma or H×W×3 RGB, in rows×columns tiles."""
    convert = kernels.luma if image.pixels.ndim == 3 else _as_it_is
    weights = opacity.weights_of(image)
    noise = noise_grid(image.height, image.width)
    if weights is None:
        plane = engine.run(convert, image.pixels)
        return Counts(
            engine.in_bands(kernels.tile_histograms, rows, plane, rows, columns),
            None,
            lambda: engine.call(kernels.thumbnail, plane, THUMBNAIL),
            lambda: engine.in_bands(kernels.diagonal_counts, noise[0], plane, *noise),
        )
    # Weighed on the host, which has the pixels; only counts would have to come down from a device, but no plane.
    luma = rgb_luma(image.pixels) if image.pixels.ndim == 3 else image.pixels
    return Counts(
        *weighted_histograms(luma, weights, rows, columns),
        lambda: opacity.weighted_means(luma, weights, THUMBNAIL, THUMBNAIL),
        lambda: weighted_diagonals(luma, weights, *noise),
    )


def _as_it_is(luma: Any) -> Any:
    return luma
