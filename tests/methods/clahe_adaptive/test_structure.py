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


def seen(plane):
    """The small copy of a photo, and where it shows structure."""
    small = kernels.thumbnail(plane, 256)
    noise_in = structure.noise_deviations(kernels.diagonal_counts(plane, *structure.noise_grid(*plane.shape)))
    return small, structure.structure_map(small, noise_in, *plane.shape)


def shares(plane, rows=8, columns=8):
    """The share of structure in every tile."""
    by_level = structure.structured_shares(*seen(plane), *plane.shape, rows, columns)
    return structure.structured_tiles(kernels.tile_histograms(plane, rows, columns), by_level)


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
    assert shares(plane).min() > 0.8
    grainy = (plane // 2 + noise(2.0, 20.0)).astype(np.uint8)
    assert shares(grainy).mean() > 0.4


def test_a_lamp_makes_no_structure_of_a_sky():
    plane = noise(1.0, 5.0)
    plane[5:12, 5:12] = 250
    assert shares(plane)[0, 0] < 0.2
    by_level = structure.structured_shares(*seen(plane), *plane.shape, 1, 1)[0, 0]
    assert by_level[3:8].max() < 0.03
    assert by_level[245:].min() > 0.5


def test_a_blown_sky_does_not_hide_the_structure_below():
    plane = texture(300, 400)
    plane[:240] = 255
    by_level = structure.structured_shares(*seen(plane), *plane.shape, 1, 1)[0, 0]
    assert by_level[20:80].min() > 0.8
    assert by_level[253:].max() < 0.1


def test_both_depths_have_the_same_structure():
    plane = three_parts()
    assert shares(plane, *GRID) == pytest.approx(shares(plane.astype(np.uint16) * 257, *GRID), abs=1e-4)


@pytest.mark.parametrize("grid", [(1, 1), (8, 8), (256, 256), (3, 97)])
def test_shares_lie_within_0_and_1_in_tiles_without_a_cell_too(grid):
    plane = three_parts()
    by_level = structure.structured_shares(*seen(plane), *plane.shape, *grid)
    assert by_level.shape == (*grid, 256)
    assert by_level.min() >= 0
    assert by_level.max() <= 1


def lights(plane):
    """The plane with lamps."""
    lit = plane.copy()
    lit[100:130, 50:60] = 250
    return lit


def test_a_night_is_one_with_lights_and_grain():
    def night(plane):
        small, field = seen(plane)
        noise_in = structure.noise_deviations(kernels.diagonal_counts(plane, *structure.noise_grid(*plane.shape)))
        return structure.night(small, field, noise_in, kernels.tile_histograms(plane, 1, 1)[0, 0])

    grain, smooth = noise(5.0, 8.0), noise(0.5, 12.0)
    assert night(lights(grain)) == 1
    assert night(grain) == 0  # dark all over: to be brightened
    assert night(lights(smooth)) > 0.9  # black, with a lamp
    assert night(np.maximum(lights(smooth), texture(300, 400))) < 0.2
    assert night(np.full((300, 400), 200, np.uint8)) == 0


def test_empty_dark_is_bounded_and_photos_without_it_are_not():
    counts = np.zeros(256)
    counts[:20] = 500
    counts[100:200] = 30
    bound = structure.dark_bound(counts, np.where(np.arange(256) < 20, 0.0, 1.0).astype(np.float32))
    assert bound[18] <= 40
    assert np.diff(bound).min() > 0
    assert bound[60] > 255
    assert structure.dark_bound(counts, np.ones(256, np.float32)).min() >= 255


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


def test_flat_and_noisy_parts_of_a_night_are_left_in_peace_and_texture_is_not(opened):
    plane = three_parts()
    plane[100:150, 400:410] = 250  # a lamp: without, it is a dark room
    result = opened.enhance(plane, grid=GRID)
    before, after = plane.astype(float), result.array.astype(float)
    flat, noisy, textured = (np.s_[:, left : left + 100] for left in (40, 220, 420))
    assert np.abs(after[flat] - before[flat]).max() <= 30
    assert after[noisy].std() <= 3.5 * before[noisy].std()
    assert (after[noisy] > 40).mean() < 0.05
    assert after[textured].mean() > 1.2 * before[textured].mean()
    found = np.array(result.report["plan"]["structure"])
    assert found.shape == GRID
    assert found[:, :5].max() < 0.2
    assert found[:, 7:].min() > 0.8


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
        assert all(
            plan[name] is None for name in ("structure", "local_shares", "photo_limit", "retention", "blackness")
        )


def test_strength_multiplies_limits_and_nothing_else(opened):
    plane = three_parts()
    one, half = (opened.enhance(plane, strength=strength).report["plan"] for strength in (1.0, 0.5))
    for name in ("structure", "local_shares", "retention", "blackness"):
        assert half[name] == one[name]
    assert np.allclose(half["clip_limits"], 0.5 * np.array(one["clip_limits"]), rtol=1e-6)
    assert half["photo_limit"] == pytest.approx(0.5 * one["photo_limit"], rel=1e-6)


@pytest.mark.parametrize("tones", [(20, 153), (5, 77), (77, 230)])
def test_surfaces_keep_one_tone_beside_others(opened, tones):
    """No halo along an edge, at any distance from it."""
    y, x = np.mgrid[:256, :384]
    tower = np.abs(x - 230) < 40
    tower &= y > 60
    plane = np.where(tower, *tones).astype(np.uint8)
    after = opened.enhance(plane).array.astype(float)
    step = abs(np.median(after[tower]) - np.median(after[~tower]))
    for part in (tower, ~tower):
        assert np.ptp(np.percentile(after[part], (1, 99))) < 0.05 * step


def test_white_stays_white_and_skies_get_no_contours(opened):
    plane = np.minimum(texture(300, 400) + 150, 255).astype(np.uint8)
    plane[:120] = np.linspace(236, 255, 400).astype(np.uint8)
    for grid in ("1x1", "8x8"):
        after = opened.enhance(plane, grid=grid).array.astype(int)
        assert after[plane >= 252].min() >= 250
        assert np.abs(np.diff(after[:120], axis=1)).max() <= 6


def test_a_plan_that_was_saved_before_structure_still_loads(opened):
    plan = opened.enhance(three_parts()).plan
    fields = {name: value for name, value in vars(plan).items() if name != "structure"}
    assert isinstance(plan, Plan)
    assert type(plan)(**fields).structure is None
    again = type(plan).from_bytes(plan.to_bytes())
    assert np.array_equal(again.structure, plan.structure)
