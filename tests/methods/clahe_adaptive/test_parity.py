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
def test_the_kernel_files_agree(height, width, rows, columns, depth):
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

    # The loops and the tensor operations take the same steps in the same order: the same curves give the same bits.
    size, tint = (height, width), rng.uniform(-40, 40, (6, 6, 2)).astype(np.float32)
    arrays = curves.astype(np.float32), tint
    curves, tint, curves_there, tint_there = *arrays, *map(torch.from_numpy, arrays)
    for name, given, given_there in [
        ("render_luma", (plane, curves), (plane_there, curves_there)),
        ("render_rgb", (rgb, curves), (rgb_there, curves_there)),
        ("render_rgb_followed", (rgb, curves, tint, 3.3), (rgb_there, curves_there, tint_there, 3.3)),
    ]:
        rendered = getattr(here, name)(*given, *size)
        assert np.array_equal(rendered, getattr(there, name)(*given_there, *size).numpy()), name


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("follow", [False, True])
def test_curves_that_differ_by_rounding_change_no_sample_by_more_than_a_level(follow, depth):
    """As those do whose clip limits come from two libraries for networks, also where a colour is saturated."""
    rng = np.random.default_rng(5)
    rgb = (rng.random((256, 384, 3)) ** 3 * np.iinfo(depth).max).astype(depth)
    curves = (np.sort(rng.uniform(0, 255, (4, 4, 256)), axis=-1) // 1 + 0.5).astype(np.float32)  # many ties
    near = curves + rng.uniform(-1e-4, 1e-4, curves.shape).astype(np.float32)
    tint = rng.uniform(-40, 40, (6, 6, 2)).astype(np.float32)
    if follow:
        results = [here.render_rgb_followed(rgb, it, tint, 3.0, *rgb.shape[:2]) for it in (curves, near)]
    else:
        results = [here.render_rgb(rgb, it, *rgb.shape[:2]) for it in (curves, near)]
    one, two = (it.astype(np.int64) for it in results)
    assert (one != two).any()
    assert np.abs(one - two).max() <= 1


@pytest.mark.parametrize("block", [(1, 1), (2, 2), (1, 2), (2, 1), (1, 4)])
@pytest.mark.parametrize(("height", "width"), [(64, 96), (61, 83), (7, 9)])
def test_the_kernel_files_agree_on_stored_chroma(block, height, width):
    rng = np.random.default_rng(height)
    plane = rng.integers(0, 256, (height, width)).astype(np.uint8)
    stored = -(-height // block[0]), -(-width // block[1])
    blue, red = rng.integers(60, 200, (2, *stored)).astype(np.uint8)
    curves = np.sort(rng.uniform(0, 255, (3, 2, 256)), axis=-1).astype(np.float32)
    tint = rng.uniform(-40, 40, (6, 6, 2)).astype(np.float32)
    made = here.render_chroma(blue, red, plane, curves, tint, 3.0, *stored, (height, width))
    arrays = (torch.from_numpy(array) for array in (blue, red, plane, curves, tint))
    made_there = there.render_chroma(*arrays, 3.0, *stored, (height, width))
    for one, other in zip(made, made_there, strict=True):
        assert np.array_equal(one, other.numpy())
    middle = stored[0] // 2
    rows = plane[middle * block[0] :]
    part = here.render_chroma(blue[middle:], red[middle:], rows, curves, tint, 3.0, *stored, (height, width), middle)
    assert np.array_equal(part, [plane[middle:] for plane in made])


def test_curves_of_photos_agree():
    rng = np.random.default_rng(3)
    histograms = rng.integers(0, 50, (3, 4, 256))
    area = 9000
    shares = rng.random((3, 4, 256), np.float32)
    limits, local = rng.uniform(0.1, 9, (3, 4)).astype(np.float32), rng.random((3, 4), np.float32)
    whole, of_whole = histograms.sum((0, 1)).astype(np.float32), rng.random(256, np.float32)
    bound = np.linspace(0, 600, 256).astype(np.float32)
    curves = here.photo_curves(histograms, shares, limits, local, whole, of_whole, 2.5, 0.4, bound, 0.7, area)
    arrays = [torch.from_numpy(array) for array in (histograms, shares, limits, local, whole, of_whole)]
    curves_there = there.photo_curves(*arrays, 2.5, 0.4, torch.from_numpy(bound), 0.7, area)
    assert curves == pytest.approx(curves_there.numpy(), abs=1e-3)
    assert np.diff(curves, axis=-1).min() >= -1e-4
    assert curves[..., 252:].min() >= 250
