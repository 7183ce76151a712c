"""clahe-adaptive leaves flat and noisy parts alone: what it takes for structure, and what then happens to pictures."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

import enhance_cli
from enhance_cli.methods.clahe_adaptive import kernels_cpu as kernels
from enhance_cli.methods.clahe_adaptive import structure
from enhance_cli.plan import Plan

GRID = (6, 9)


@pytest.fixture(scope="module")
def opened():
    with enhance_cli.open("clahe-adaptive", device="cpu") as one:
        yield one


def noise(deviation, level=12.0, shape=(300, 400), seed=0):
    plane = np.random.default_rng(seed).normal(level, deviation, shape)
    return np.rint(plane.clip(0, 255)).astype(np.uint8)


def texture(height, width):
    y, x = np.mgrid[:height, :width] / 90.0
    waves = 45 + 40 * np.sin(9 * x + 3 * y) + 15 * np.cos(31 * y - 14 * x)
    return np.rint(waves.clip(0, 255)).astype(np.uint8)


def three_parts():
    """Flat, noise and texture side by side, three columns of tiles each: 360×540."""
    return np.hstack((np.full((360, 180), 8, np.uint8), noise(2.0, shape=(360, 180)), texture(360, 180)))


def shares(plane, rows=8, columns=8):
    return structure.structure(
        kernels.tile_histograms(plane, rows, columns), kernels.diagonal_counts(plane, rows, columns)
    )


# --- what is measured ---


@pytest.mark.parametrize("deviation", [1.0, 2.0, 5.0, 12.0])
@pytest.mark.parametrize("size", [(300, 400), (1500, 2000)])
def test_the_deviation_of_noise_is_found(deviation, size):
    plane = noise(deviation, 100.0, size)
    found = structure.noise_deviations(kernels.diagonal_counts(plane, 4, 4))
    assert found == pytest.approx(deviation, rel=0.15)


def test_a_slope_and_upright_edges_are_no_noise():
    plane = np.tile(np.arange(240, dtype=np.uint8), (240, 1))
    plane[:, 100:] //= 2
    assert structure.noise_deviations(kernels.diagonal_counts(plane, 4, 4)).max() < 0.4


@pytest.mark.parametrize("plane", [np.full((300, 400), 8, np.uint8), noise(0.7), noise(2.0), noise(9.0, 90.0)])
def test_nothing_and_noise_have_no_structure(plane):
    assert shares(plane).max() < 0.02


def test_textures_are_structure_with_noise_too():
    plane = texture(300, 400)
    assert shares(plane).min() == 1
    grainy = (plane // 2 + noise(4.0, 20.0)).astype(np.uint8)
    assert shares(grainy).min() == 1


def test_a_lamp_makes_no_structure_of_a_sky():
    plane = noise(1.0, 5.0)
    plane[5:12, 5:12] = 250
    assert shares(plane)[0, 0] < 0.02


def test_a_blown_sky_does_not_hide_the_structure_below():
    plane = texture(300, 400)
    plane[:240] = 255
    assert shares(plane, 1, 1).min() == 1
    assert shares(np.full((300, 400), 255, np.uint8)).max() == 0


def test_both_depths_have_the_same_structure():
    plane = three_parts()
    assert np.array_equal(shares(plane, *GRID), shares(plane.astype(np.uint16) * 257, *GRID))


def test_one_surface_is_treated_alike():
    """A wall of noise, in some tiles of which a shade of structure is found, does not come out in patches."""
    plane = noise(1.5, 10.0, (320, 320))
    plane[80:160, 80:160] += np.linspace(0, 6, 80).astype(np.uint8)[:, None]
    found = shares(plane)
    assert np.abs(np.diff(found, axis=0)).max() < 0.45
    assert np.abs(np.diff(found, axis=1)).max() < 0.45


@pytest.mark.parametrize("shape", [(1, 1), (8, 300), (65, 64), (801, 97)])
def test_counts_are_the_same_by_rows_of_tiles_and_in_any_shape(shape):
    plane = noise(20.0, 90.0, shape)
    rows, columns = max(1, shape[0] // 8), max(1, shape[1] // 8)
    whole = kernels.diagonal_counts(plane, rows, columns)
    middle = rows // 2
    parts = [kernels.diagonal_counts(plane, rows, columns, *part) for part in ((0, middle), (middle, rows))]
    assert np.array_equal(whole, np.concatenate(parts))
    assert np.isfinite(shares(plane, rows, columns)).all()


def test_opacity_weighs_what_is_counted():
    plane = noise(6.0, 90.0, (60, 80))
    even = np.full(plane.shape, 7, np.uint8)
    assert np.array_equal(structure.weighted_diagonals(plane, even, 3, 4), 7 * kernels.diagonal_counts(plane, 3, 4))
    deep, opaque = plane.astype(np.uint16) * 257, np.full(plane.shape, 65535, np.uint16)
    counted = structure.weighted_diagonals(deep, opaque, 3, 4)
    assert np.array_equal(counted, 65535 * kernels.diagonal_counts(deep, 3, 4))
    even[:, 40:] = 0
    other = plane.copy()
    other[:, 40:] = 0
    hidden = structure.weighted_diagonals(plane, even, 3, 4)
    assert np.array_equal(hidden, structure.weighted_diagonals(other, even, 3, 4))
    assert hidden[:, 2:].sum() == 0


# --- what happens to pictures ---


def test_flat_and_noisy_parts_are_left_in_peace_and_texture_is_not(opened):
    plane = three_parts()
    result = opened.enhance(plane, grid=GRID)
    before, after = plane.astype(float), result.array.astype(float)
    flat, noisy, textured = (np.s_[:, left : left + 100] for left in (40, 220, 420))
    assert np.abs(after[flat] - before[flat]).max() <= 2
    assert after[noisy].std() <= 3 * before[noisy].std()
    assert (after[noisy] > 40).mean() < 0.05
    assert after[textured].mean() > 1.2 * before[textured].mean()
    found = np.array(result.report["plan"]["structure"])
    assert found.shape == GRID
    assert found[:, :6].max() < 0.1
    assert found[:, 6:].min() > 0.9


@pytest.mark.parametrize("level", [0, 3, 127, 255])
@pytest.mark.parametrize("grid", [(1, 1), (8, 8)])
def test_an_even_picture_keeps_its_level(opened, level, grid):
    after = opened.enhance(np.full((200, 300, 3), level, np.uint8), grid=grid).array
    assert np.abs(after.astype(int) - level).max() <= 1


@pytest.mark.parametrize("quality", [40, 75, 95])
def test_noise_that_jpeg_made_blocks_of_stays_dark(opened, quality):
    sky = np.repeat(noise(1.2, 5.0, (320, 480))[..., None], 3, 2)
    packed = io.BytesIO()
    Image.fromarray(sky).save(packed, "JPEG", quality=quality)
    blocks = np.asarray(Image.open(packed))
    after = opened.enhance(blocks).array
    assert (after > 40).mean() < 0.05
    assert after.std() <= 3 * max(blocks.std(), 0.5)


def test_given_limits_are_applied_as_given(opened):
    plane = three_parts()
    for controls in ({"clip_limit": 6.0}, {"clip_map": [[6.0]]}):
        plan = opened.enhance(plane, **controls).report["plan"]
        assert np.ravel(plan["clip_limits"]).tolist() == [6.0] * np.size(plan["clip_limits"])
        assert plan["structure"] is None


def test_strength_multiplies_what_structure_leaves(opened):
    plane = three_parts()
    one, half = (opened.enhance(plane, strength=strength).report["plan"] for strength in (1.0, 0.5))
    assert half["structure"] == one["structure"]
    assert np.allclose(half["clip_limits"], 0.5 * np.array(one["clip_limits"]), rtol=1e-6)


def test_a_plan_that_was_saved_before_structure_still_loads(opened):
    plan = opened.enhance(three_parts()).plan
    fields = {name: value for name, value in vars(plan).items() if name != "structure"}
    assert isinstance(plan, Plan)
    assert type(plan)(**fields).structure is None
    again = type(plan).from_bytes(plan.to_bytes())
    assert np.array_equal(again.structure, plan.structure)
