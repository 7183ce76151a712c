"""The retoucher: its smoothing against a direct solve, its candidates against the formula, its search repeated."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from enhance_cli.methods.retinex import faults, retouch
from enhance_cli.quality.backlit import shade_along


def scene(seed: int = 1, light: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.random((5, 6, 3)), (60, 48), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    return np.rint(coarse * 255 * light).astype(np.uint8)


def test_rows_are_solved_as_the_linear_system_says() -> None:
    rng = np.random.default_rng(2)
    plane = rng.random((4, 9)).astype(np.float32)
    ties = rng.random((4, 8)).astype(np.float32)
    solved = plane.copy()
    retouch._solve_rows(solved, ties, np.float32(7.0))
    for row in range(4):
        system = np.eye(9)
        for i, tie in enumerate(ties[row]):
            system[i, i] += 7.0 * tie
            system[i + 1, i + 1] += 7.0 * tie
            system[i, i + 1] -= 7.0 * tie
            system[i + 1, i] -= 7.0 * tie
        assert np.allclose(solved[row], np.linalg.solve(system, plane[row]), atol=1e-5)


def test_smoothing_flattens_texture_and_keeps_edges() -> None:
    rng = np.random.default_rng(3)
    step = np.where(np.arange(64) < 32, 0.2, 0.8).astype(np.float32)[None].repeat(48, axis=0)
    noisy = step + rng.normal(0, 0.01, step.shape).astype(np.float32)
    smoothed = retouch.smooth(noisy, 900.0, 0.06, noisy)
    assert smoothed[:, :30].std() < 0.3 * noisy[:, :30].std()
    assert smoothed[:, 31].mean() < 0.25
    assert smoothed[:, 32].mean() > 0.75
    assert np.array_equal(retouch.smooth(noisy, 0.0, 0.06, noisy), noisy)
    assert smoothed.min() >= noisy.min() - 1e-5
    assert smoothed.max() <= noisy.max() + 1e-5


def test_illumination_is_never_below_the_bright_channel() -> None:
    image = scene().astype(np.float32) / 255.0
    assert (retouch.illumination(image, retouch.Coefficients()) >= image.max(axis=2)).all()


def test_candidates_are_the_quotients_of_the_paper() -> None:
    image = scene(light=0.4).astype(np.float32) / 255.0
    coefficients = retouch.Coefficients(under=(0.5, 0.9), over=(0.7,))
    found = retouch.candidates(image, coefficients)
    assert len(found) == 4
    assert found[0] is image
    light = retouch.illumination(image, coefficients)[..., None]
    of_negative = retouch.illumination(1 - image, coefficients)[..., None]
    assert np.allclose(found[2], (image / (light**0.9 + 1e-3)).clip(0, 1), atol=1e-5)
    assert np.allclose(found[3], 1 - ((1 - image) / (of_negative**0.7 + 1e-3)).clip(0, 1), atol=1e-5)
    assert found[2].mean() > found[1].mean() > image.mean() > found[3].mean()


def test_dark_photographs_rise_bright_ones_fall_and_detail_is_lifted() -> None:
    plain = retouch.Coefficients(detail=0.0)
    dark, bright = scene(light=0.15), 255 - scene(light=0.15)
    assert retouch.retouched(dark, plain).mean() > dark.mean() + 20
    assert retouch.retouched(bright, plain).mean() < bright.mean() - 10
    textured = (
        (scene().astype(int) + np.random.default_rng(4).integers(-9, 10, (48, 60, 1))).clip(0, 255).astype(np.uint8)
    )
    sharp = cv2.Laplacian(retouch.retouched(textured, retouch.Coefficients(detail=0.6)), cv2.CV_64F).std()
    assert sharp > 1.1 * cv2.Laplacian(retouch.retouched(textured, plain), cv2.CV_64F).std()


def test_the_objective_prefers_a_good_exposure_and_kept_order() -> None:
    good = scene()
    good = (128 + 60 * (good - good.mean()) / good.std()).clip(1, 254).astype(np.uint8)
    assert retouch.objective(good, good) > retouch.objective(good // 4, good)
    assert retouch.objective(good, good) > retouch.objective(255 - good, good)
    crushed = np.where(good > 128, 255, 0).astype(np.uint8)
    assert retouch.objective(good, good) > retouch.objective(crushed, good)


def test_histograms_count_all_pixels_below_each_step() -> None:
    photograph = np.zeros((4, 4, 3), np.uint8)
    photograph[:2, :, 1] = 130
    photograph[0, 0] = 255
    found = retouch.cumulative_histogram(photograph)
    assert found.shape == (64,)
    assert found[:32] == pytest.approx(0.5)
    assert found[32] == pytest.approx(15 / 16)
    assert found[63] == 1.0


def test_the_search_is_repeatable_and_its_table_survives_json() -> None:
    pytest.importorskip("sklearn")
    photographs = [scene(i, light) for i in range(4) for light in (0.2, 1.0)]
    size = retouch.Search(clusters=2, tries=3, members=2, side=32)
    one, two = (retouch.search(photographs, size, np.random.default_rng(9)) for _ in range(2))
    assert one.rows == two.rows
    read = retouch.Table.from_json(json.loads(json.dumps(one.to_json())))
    assert read.rows == one.rows
    for photograph in photographs:
        assert read.coefficients(photograph) == one.coefficients(photograph)
    assert one.centres.shape == (2, 64)
    default = [retouch.objective(retouch.retouched(p, retouch.Coefficients()), p) for p in photographs]
    chosen = [retouch.objective(retouch.retouched(p, one.coefficients(p)), p) for p in photographs]
    assert np.mean(chosen) >= np.mean(default) - 0.3  # members are judged small, photographs as they are


# --- faults ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [faults.backlight, faults.wrong_exposure, faults.camera_noise])
def test_faults_follow_from_their_generator_and_stay_in_range(fault) -> None:
    picture = scene().astype(np.float32) / 255.0
    one, two = (fault(picture, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one, two)
    assert one.shape == picture.shape
    assert one.dtype == np.float32
    assert one.min() >= 0.0
    assert one.max() <= 1.0
    assert not np.array_equal(one, picture)


def test_backlight_takes_light_from_a_part_only() -> None:
    picture = np.full((64, 64, 3), 0.6, np.float32)
    for seed in range(8):
        dark = faults.backlight(picture, np.random.default_rng(seed))
        assert dark.min() < 0.6 * 2.0 ** (-0.6 / 2.2)
        assert dark.max() >= 0.6 - 1e-6


def test_noise_grows_with_light() -> None:
    spreads = []
    for level in (0.1, 0.8):
        flat = np.full((64, 64, 3), level, np.float32)
        noisy = np.mean([faults.camera_noise(flat, np.random.default_rng(i)).std() for i in range(12)])
        spreads.append(noisy * level**1.2)  # back in linear light
    assert spreads[1] > spreads[0]


def test_shade_follows_the_edges_of_the_photograph() -> None:
    photograph = np.full((80, 80, 3), 220, np.uint8)
    photograph[:, 41:] = 40
    rough = np.zeros((80, 80), np.float32)
    rough[:, 40:] = 1.0
    shade = shade_along(photograph, rough)
    assert shade[:, 41:].min() > 0.99
    assert shade[:, :41].max() < 0.01  # the rough place began a pixel before the edge
