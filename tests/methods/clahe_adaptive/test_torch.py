"""CLAHE in torch: equal to OpenCV where it should be, with true gradients where it is real-valued."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from enhance_cli.methods.clahe_adaptive import kernels_cuda as kernels
from enhance_cli.methods.clahe_adaptive.tiles import bin_edges, fit_grid, tile_geometry
from tests.pictures import grain

CASES = range(24)


def drawn_case(seed: int) -> tuple[np.ndarray, int, int, float]:
    random = np.random.default_rng(seed)
    height, width = (int(side) for side in random.integers(40, 420, 2))
    rows, columns = (int(count) for count in random.integers(1, 13, 2))
    clip_limit = float(random.choice([0.3, 1.0, 2.0, 4.0, 20.0, 40.0, 256.0]))
    return grain(height, width, random), rows, columns, clip_limit


def uniform(rows: int, columns: int, clip_limit: float) -> torch.Tensor:
    return torch.full((rows, columns), clip_limit)


def area(luma: np.ndarray, rows: int, columns: int) -> int:
    tile_height, tile_width = tile_geometry(*luma.shape, rows, columns)
    return tile_height * tile_width


@pytest.mark.parametrize("seed", CASES)
def test_a_uniform_limit_equals_opencv(seed: int) -> None:
    luma, rows, columns, clip_limit = drawn_case(seed)
    plane = torch.from_numpy(luma)
    histograms = kernels.tile_histograms(plane, rows, columns)
    curves = kernels.opencv_tile_curves(histograms, uniform(rows, columns, clip_limit), area(luma, rows, columns))
    ours = kernels.render_luma(plane, curves, *luma.shape).numpy().astype(int)
    theirs = cv2.createCLAHE(clip_limit, (columns, rows)).apply(luma).astype(int)
    assert abs(ours - theirs).max() <= 1
    assert (ours == theirs).mean() >= 0.995


@pytest.mark.parametrize("sides", [(64, 64), (65, 64), (64, 65), (61, 67), (9, 300)])
def test_padding_keeps_the_quirk_of_opencv(sides: tuple[int, int]) -> None:
    """A side that divides is still padded by a whole row of tiles when the other does not."""
    luma = grain(*sides, seed=1)
    plane = torch.from_numpy(luma)
    histograms = kernels.tile_histograms(plane, 8, 8)
    assert histograms.sum() == 64 * area(luma, 8, 8)
    curves = kernels.opencv_tile_curves(histograms, uniform(8, 8, 3.0), area(luma, 8, 8))
    theirs = cv2.createCLAHE(3.0, (8, 8)).apply(luma).astype(int)
    assert abs(kernels.render_luma(plane, curves, *sides).numpy() - theirs).max() <= 1


@pytest.mark.parametrize("clip_limit", [0.25, 1.0, 2.0, 4.0, 8.0])
def test_the_real_path_stays_near_the_integer_path_on_large_tiles(clip_limit: float) -> None:
    """On tiles of 64x64 OpenCV puts a residue of r < 256 counts into r bins at the front.

    Against an even spread a curve is off by at most r (1 - r / 256) 255 / 4096 <= 4 grey levels, and by its rounding.
    """
    luma = grain(64 * 4, 64 * 5, seed=2)
    histograms = kernels.tile_histograms(torch.from_numpy(luma), 4, 5)
    limits = uniform(4, 5, clip_limit)
    difference = kernels.tile_curves(histograms, limits, 4096) - kernels.opencv_tile_curves(histograms, limits, 4096)
    assert difference.abs().max() <= 4.5
    assert difference.abs().mean() <= 1.5


def test_without_clipping_it_is_histogram_equalisation() -> None:
    luma = grain(90, 120, seed=3)
    histograms = kernels.tile_histograms(torch.from_numpy(luma), 3, 4)
    classic = np.round(255.0 * np.cumsum(histograms.numpy(), axis=-1) / 900)
    exact = kernels.opencv_tile_curves(histograms, uniform(3, 4, 256.0), 900)
    assert abs(exact.numpy() - classic).max() <= 1  # the product in float32 may round a half the other way
    assert abs(kernels.tile_curves(histograms, uniform(3, 4, 256.0), 900).numpy() - classic).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("tile", [8, 16, 64])
def test_a_vanishing_limit_changes_nothing(tile: int) -> None:
    """So `--strength 0` is the identity to two grey levels even on tiles of 64 pixels."""
    luma = grain(tile * 3, tile * 3, seed=4)
    plane = torch.from_numpy(luma)
    curves = kernels.tile_curves(kernels.tile_histograms(plane, 3, 3), uniform(3, 3, 0.01), tile * tile)
    assert abs(kernels.render_luma(plane, curves, *luma.shape).numpy().astype(int) - luma).max() <= 2


def test_curves_never_fall_and_end_at_white() -> None:
    luma = grain(80, 80, seed=5)
    limits = torch.linspace(0.01, 60.0, 25).view(5, 5)
    curves = kernels.tile_curves(kernels.tile_histograms(torch.from_numpy(luma), 5, 5), limits, 256)
    assert (curves.diff(dim=-1) >= 0).all()
    torch.testing.assert_close(curves[..., -1], torch.full((5, 5), 255.0))


def test_one_tile_is_one_curve() -> None:
    luma = grain(50, 70, seed=6)
    plane = torch.from_numpy(luma)
    curves = kernels.tile_curves(kernels.tile_histograms(plane, 1, 1), uniform(1, 1, 3.0), 3500)
    expected = curves[0, 0].round().clamp(0, 255)[plane.long()]
    assert torch.equal(kernels.render_luma(plane, curves, 50, 70).float(), expected)


# --- gradients ---------------------------------------------------------------------------------------------


def gradient_case() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Luma, target, histograms and limits whose counts C' are not within .001 of a whole number (a kink)."""
    random = np.random.default_rng(7)
    plane = torch.from_numpy(grain(64, 64, random))
    target = torch.from_numpy(random.uniform(0, 255, (64, 64)))
    limits = torch.from_numpy(random.uniform(0.3, 2.0, (2, 2)))
    counts = limits * 1024 / 256
    assert ((counts - counts.round()).abs() > 1e-2).all()
    return plane, target, kernels.tile_histograms(plane, 2, 2), limits


def test_gradients_agree_with_finite_differences() -> None:
    plane, target, histograms, limits = gradient_case()

    def error(at: torch.Tensor) -> torch.Tensor:
        enhanced = kernels.blend_curves(plane, kernels.tile_curves(histograms, at, 1024), 64, 64)
        return (enhanced - target).square().mean()

    limits.requires_grad_()
    (analytic,) = torch.autograd.grad(error(limits), limits)
    step = 1e-4
    for index in np.ndindex(2, 2):
        nudge = torch.zeros(2, 2, dtype=torch.float64)
        nudge[index] = step
        numeric = (error(limits + nudge) - error(limits - nudge)) / (2 * step)
        torch.testing.assert_close(analytic[index], numeric.detach(), rtol=1e-6, atol=1e-9)


def test_clipping_conserves_mass_and_so_does_its_derivative() -> None:
    """The excess goes to all bins: dh'(p)/dC' = 1[clipped] - n/256, which sums to zero (docs/papers.md, C8)."""
    _, _, histograms, limits = gradient_case()
    jacobian = torch.autograd.functional.jacobian(
        lambda at: kernels.tile_curves(histograms[:1, :1], at, 1024)[0, 0], limits[:1, :1]
    )[:, 0, 0]
    torch.testing.assert_close(jacobian[-1], torch.zeros((), dtype=torch.float64), atol=1e-9, rtol=0)
    per_bin = torch.cat([jacobian[:1], jacobian.diff()]) * (1024 / 255) * (256 / 1024)  # d h'(p) / d C'
    clipped = (histograms[0, 0] > limits[0, 0] * 1024 / 256).to(torch.float64)
    assert clipped.sum() > 0
    torch.testing.assert_close(per_bin, clipped - clipped.sum() / 256, atol=1e-9, rtol=0)


def test_gradcheck_of_the_blend() -> None:
    random = np.random.default_rng(8)
    plane = torch.from_numpy(random.integers(0, 256, (6, 7)).astype(np.uint8))
    curves = torch.from_numpy(random.uniform(0, 255, (2, 3, 256))).requires_grad_()
    assert torch.autograd.gradcheck(lambda at: kernels.blend_curves(plane, at, 6, 7), (curves,))


def test_a_limit_above_the_largest_bin_has_no_gradient() -> None:
    """The dead zone that the pull of the recipe's loss is for."""
    _, _, histograms, _ = gradient_case()
    limits = torch.full((2, 2), 256.0, dtype=torch.float64, requires_grad=True)
    kernels.tile_curves(histograms, limits, 1024).sum().backward()
    assert limits.grad is not None
    assert (limits.grad == 0).all()


# --- pixels ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("seed", range(5))
def test_windows_equal_the_whole_bit_for_bit(seed: int, dtype: type) -> None:
    random = np.random.default_rng(seed)
    height, width = (int(side) for side in random.integers(40, 160, 2))
    rgb = torch.from_numpy(random.integers(0, np.iinfo(dtype).max + 1, (height, width, 3)).astype(dtype))
    rows, columns = fit_grid(height, width, *(int(n) for n in random.integers(1, 9, 2)))
    tile_height, tile_width = tile_geometry(height, width, rows, columns)
    limits = torch.from_numpy(random.uniform(0.1, 9.0, (rows, columns)).astype(np.float32))
    histograms = kernels.tile_histograms(kernels.luma(rgb), rows, columns)
    curves = kernels.tile_curves(histograms, limits, tile_height * tile_width)
    top, left = int(random.integers(0, height - 8)), int(random.integers(0, width - 8))
    window = rgb[top : top + 23, left : left + 31]
    tint = torch.from_numpy(random.uniform(-20, 20, (4, 4, 2)).astype(np.float32))

    def followed(
        pixels: torch.Tensor, curves: torch.Tensor, *place: int, out: torch.Tensor | None = None
    ) -> torch.Tensor:
        return kernels.render_rgb_followed(pixels, curves, tint, 2.0, *place, out=out)

    for render in (kernels.render_rgb, followed):
        whole = render(rgb, curves, height, width).numpy()[top : top + 23, left : left + 31]
        into = torch.empty_like(window)
        part = render(window, curves, height, width, top, left, out=into)
        assert part is into
        np.testing.assert_array_equal(part.numpy(), whole)
    whole_luma = kernels.render_luma(kernels.luma(rgb), curves, height, width).numpy()
    part_luma = kernels.render_luma(kernels.luma(window), curves, height, width, top, left).numpy()
    np.testing.assert_array_equal(part_luma, whole_luma[top : top + 23, left : left + 31])


def test_luma_is_the_fixed_point_of_opencv() -> None:
    rgb = np.random.default_rng(9).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    np.testing.assert_array_equal(
        kernels.luma(torch.from_numpy(rgb)).numpy(), cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)[..., 0]
    )
    white = torch.full((1, 1, 3), 65535, dtype=torch.uint16)
    assert kernels.luma(white).item() == 65535


def test_sixteen_bits_look_like_eight() -> None:
    luma = grain(96, 96, seed=10)
    deep = torch.from_numpy(luma.astype(np.uint16) * 257)
    plane = torch.from_numpy(luma)
    histograms = kernels.tile_histograms(deep, 4, 4)
    assert torch.equal(histograms, kernels.tile_histograms(plane, 4, 4))
    curves = kernels.tile_curves(histograms, uniform(4, 4, 2.0), 576)
    eight = kernels.render_luma(plane, curves, 96, 96).numpy()
    sixteen = kernels.render_luma(deep, curves, 96, 96).numpy()
    assert abs(sixteen / 257 - eight).max() <= 0.5 + 1 / 257
    torch.testing.assert_close(kernels.thumbnail(deep, 32), kernels.thumbnail(plane, 32))


def test_sixteen_bits_keep_their_gradations() -> None:
    """Codes between two knots come out between them, in order: no posterising to 256 levels."""
    ramp = torch.arange(20000, 20600, dtype=torch.int32).to(torch.uint16)[None].repeat(64, 1)
    curves = kernels.tile_curves(kernels.tile_histograms(ramp, 1, 1), uniform(1, 1, 1.5), 64 * 600)
    row = kernels.render_luma(ramp, curves, 64, 600)[0].to(torch.int64)
    assert (row.diff() >= 0).all()
    assert row.unique().numel() > 400


def test_thumbnail_averages_overlapping_bins() -> None:
    luma = grain(37, 50, seed=11)
    rows, columns = bin_edges(37, 16), bin_edges(50, 16)
    expected = [[luma[a:b, c:d].mean() / 255 for c, d in columns] for a, b in rows]
    got = kernels.thumbnail(torch.from_numpy(luma), 16)
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-6)
    assert kernels.thumbnail(torch.from_numpy(luma), 256).shape == (256, 256)  # a small picture is repeated


def test_rgb_changes_by_the_change_of_luma() -> None:
    rgb = torch.from_numpy(np.random.default_rng(12).integers(60, 190, (64, 64, 3)).astype(np.uint8))
    before = kernels.luma(rgb)
    curves = kernels.tile_curves(kernels.tile_histograms(before, 2, 2), uniform(2, 2, 0.5), 1024)
    change = kernels.render_luma(before, curves, 64, 64).int() - before.int()
    after = kernels.render_rgb(rgb, curves, 64, 64)
    inside = ((after > 0) & (after < 255)).all(dim=-1)
    assert torch.equal((after.int() - rgb.int())[inside], change[inside][:, None].expand(-1, 3))


def test_arithmetic_of_tiles() -> None:
    assert tile_geometry(64, 64, 8, 8) == (8, 8)
    assert tile_geometry(65, 64, 8, 8) == (9, 9)
    assert fit_grid(70, 33, 8, 8) == (8, 4)
    assert fit_grid(5, 5, 8, 8) == (1, 1)
    with pytest.raises(ValueError, match="cannot lay"):
        tile_geometry(0, 5, 1, 1)
