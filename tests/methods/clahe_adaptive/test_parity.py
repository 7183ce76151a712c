"""The two kernel files of clahe-adaptive do the same: numpy here, torch (on CPU tensors) there."""

from __future__ import annotations

import numpy as np
import pytest

from enhance_cli.methods.clahe_adaptive import kernels_cpu as here
from enhance_cli.methods.clahe_adaptive.tiles import tile_geometry

torch = pytest.importorskip("torch")
there = pytest.importorskip("enhance_cli.methods.clahe_adaptive.kernels_cuda")


def cases():
    """30 shapes, grids and depths: from a pixel to a small photograph, most of them not divisible."""
    rng = np.random.default_rng(11)
    for index in range(30):
        height, width = (int(side) for side in 2 ** rng.uniform(0, 8.5, 2))
        rows, columns = (int(count) for count in rng.integers(1, 13, 2))
        yield height, width, rows, columns, (np.uint8, np.uint16)[index % 2]


@pytest.mark.parametrize(("height", "width", "rows", "columns", "depth"), list(cases()))
def test_the_kernel_files_agree_to_one_grey_level(height, width, rows, columns, depth):
    rng = np.random.default_rng(height * width)
    white = np.iinfo(depth).max
    tones = rng.uniform(0, 0.6) + rng.uniform(0, 0.4) * rng.random((height, width, 3)) ** 2
    rgb = (tones * white).astype(depth)
    plane = here.luma(rgb)
    rgb_there = torch.from_numpy(rgb)
    plane_there = there.luma(rgb_there)
    assert np.array_equal(plane, plane_there.numpy())
    assert here.thumbnail(plane, 48) == pytest.approx(there.thumbnail(plane_there, 48).numpy(), abs=1e-5)

    histograms = here.tile_histograms(plane, rows, columns)
    histograms_there = there.tile_histograms(plane_there, rows, columns)
    assert np.array_equal(histograms, histograms_there.numpy())
    diagonals = there.diagonal_counts(plane_there, rows, columns)
    assert np.array_equal(here.diagonal_counts(plane, rows, columns), diagonals.numpy())

    tile_height, tile_width = tile_geometry(height, width, rows, columns)
    area = tile_height * tile_width
    limits = rng.uniform(0.01, 6, (rows, columns))
    limits_there = torch.from_numpy(limits)
    assert np.array_equal(here.integer_limits(limits, area), there.integer_limits(limits_there, area).numpy())
    exact = here.opencv_tile_curves(histograms, limits, area)
    assert np.array_equal(exact, there.opencv_tile_curves(histograms_there, limits_there, area).numpy())
    curves = here.tile_curves(histograms, limits, area)
    curves_there = there.tile_curves(histograms_there, limits_there, area).to(torch.float32)
    assert curves == pytest.approx(curves_there.numpy(), abs=1e-4)

    level = white // 255
    size = (height, width)
    for name, pixels, pixels_there in [
        ("render_luma", plane, plane_there),
        ("render_rgb", rgb, rgb_there),
        ("render_rgb_scaled", rgb, rgb_there),
    ]:
        rendered = getattr(here, name)(pixels, curves, *size).astype(int)
        rendered_there = getattr(there, name)(pixels_there, curves_there, *size).numpy().astype(int)
        assert np.abs(rendered - rendered_there).max() <= level, name
