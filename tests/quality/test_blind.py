"""Exposure, entropy, contrast, clipping, noise, lightness order and hue of known images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import lab2rgb

from enhance_cli.quality.blind import clipped, contrast, entropy, exposure, hue_change, loe, noise


def histogram(codes: np.ndarray, bins: int) -> np.ndarray:
    return np.bincount(codes.ravel(), minlength=bins)


def test_exposure_of_one_tone():
    counts = np.zeros(256, np.int64)
    counts[51] = 1000
    assert exposure(counts) == pytest.approx(
        {"mean": 0.2, "median": 0.2, "p01": 0.2, "p99": 0.2, "dark": 0.0, "bright": 0.0, "entropy": 0.0}
    )


def test_exposure_of_a_uniform_histogram():
    block = exposure(np.ones(256, np.uint32))
    assert block["mean"] == pytest.approx(0.5)
    assert block["median"] == pytest.approx(127 / 255)
    assert (block["p01"], block["p99"]) == pytest.approx((2 / 255, 253 / 255))
    assert (block["dark"], block["bright"]) == pytest.approx((1 / 256, 1 / 256))
    assert block["entropy"] == pytest.approx(8.0)


def test_exposure_names_and_order_are_those_of_the_report():
    assert list(exposure(np.ones(256))) == ["mean", "median", "p01", "p99", "dark", "bright", "entropy"]


@pytest.mark.parametrize(
    ("code", "key", "share"), [(0, "dark", 1), (1, "dark", 0), (254, "bright", 0), (255, "bright", 1)]
)
@pytest.mark.parametrize("bins", [256, 65536])
def test_dark_and_bright_begin_one_level_from_the_ends(code, key, share, bins):
    counts = np.zeros(bins)
    counts[code * (bins // 256 if bins == 256 else 257)] = 7
    assert exposure(counts)[key] == share


@settings(max_examples=50)
@given(st.lists(st.integers(0, 255), min_size=1, max_size=200))
def test_exposure_agrees_with_numpy_and_between_depths(values):
    codes = np.array(values)
    block = exposure(histogram(codes, 256))
    assert block["mean"] == pytest.approx(codes.mean() / 255)
    for key, q in (("median", 0.5), ("p01", 0.01), ("p99", 0.99)):
        assert block[key] * 255 == pytest.approx(np.quantile(codes, q, method="inverted_cdf"))
    assert exposure(histogram(codes * 257, 65536)) == pytest.approx(block)


@pytest.mark.parametrize("counts", [np.ones(255), np.zeros(256), np.ones((256, 1))])
def test_exposure_refuses_what_is_no_histogram(counts):
    with pytest.raises(ValueError, match="histogram"):
        exposure(counts)


def test_entropy_counts_bits():
    two = np.zeros((10, 10), np.uint8)
    two[:, 5:] = 200
    assert entropy(two) == pytest.approx(1.0)
    assert entropy(np.arange(256, dtype=np.uint8).reshape(16, 16)) == pytest.approx(8.0)
    assert entropy(np.arange(256, dtype=np.uint16).reshape(16, 16) * 257) == pytest.approx(8.0)


def test_contrast_is_the_spread_of_luma():
    halves = np.zeros((10, 10, 3), np.uint8)
    halves[:, 5:] = 255
    assert contrast(halves) == pytest.approx(0.5)
    assert contrast(halves[:5, :5]) == 0.0


def test_clipped_counts_samples():
    picture = np.full((10, 10, 3), 128, np.uint8)
    picture[0, :, 0] = 0
    picture[0, :, 1] = 255
    picture[1] = 1
    picture[2] = 254
    assert clipped(picture) == pytest.approx((10 / 300, 10 / 300))
    assert clipped(picture.astype(np.uint16) * 257) == pytest.approx((10 / 300, 10 / 300))


@pytest.mark.parametrize("sigma", [1.0, 4.0, 12.0])
def test_noise_is_found_behind_structure(sigma):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:200, :300]
    structure = 100 + 40 * np.sin(x / 30) + 0.2 * y + 60 * ((x // 50 + y // 50) % 2)
    noisy = np.clip(structure + rng.normal(0, sigma, structure.shape), 0, 255).round().astype(np.uint8)
    assert noise(noisy) == pytest.approx(sigma, rel=0.12)


def test_noise_of_a_clean_ramp_and_of_nothing_but_clipping():
    ramp = np.tile(np.arange(256, dtype=np.uint8), (20, 1))
    assert noise(ramp) == 0.0
    assert noise(np.full((9, 9, 3), 255, np.uint8)) == 0.0


def loe_by_the_book(output: np.ndarray, before: np.ndarray) -> float:
    """The definition, sample by sample."""
    samples = []
    for picture in (output, before):
        lightness = np.pad(picture.max(axis=2).astype(int), 7, mode="reflect")
        height, width = picture.shape[:2]
        step = min(height, width) // 50
        samples.append(
            [
                lightness[y : y + 15, x : x + 15].max()
                for y in range(step - 1, height, step)
                for x in range(step - 1, width, step)
            ]
        )
    first, second = map(np.array, samples)
    wrong = sum(int(((a >= first) != (b >= second)).sum()) for a, b in zip(first, second, strict=True))
    return wrong / len(first)


def test_loe_equals_its_definition():
    rng = np.random.default_rng(1)
    before = rng.integers(0, 256, (104, 110, 3), dtype=np.uint8) // 2
    output = np.clip(before + rng.integers(0, 60, before.shape), 0, 255).astype(np.uint8)
    before, output = before[:100:2, :104:2].repeat(2, 0).repeat(2, 1), output[:100:2, :104:2].repeat(2, 0).repeat(2, 1)
    assert loe(output, before) == pytest.approx(loe_by_the_book(output, before))
    assert loe(output, before) > 0


def test_loe_is_zero_for_a_strictly_monotone_curve():
    rng = np.random.default_rng(1)
    before = rng.integers(0, 100, (120, 90, 3), dtype=np.uint8)
    assert loe(before * 2 + 11, before) == 0.0


def test_hue_does_not_move_with_lightness_and_moves_by_the_angle_turned():
    angle = np.deg2rad(np.linspace(0, 350, 30))
    for turn in (0.0, 10.0, 60.0):
        pictures = []
        for lightness, extra in ((60.0, 0.0), (70.0, np.deg2rad(turn))):
            hue = angle + extra
            colours = np.stack([np.full(30, lightness), 25 * np.cos(hue), 25 * np.sin(hue)], axis=-1)
            pictures.append(np.clip(lab2rgb(colours[None]), 0, 1))
        assert hue_change(*pictures) == pytest.approx(turn, abs=0.05)


def test_grey_has_no_hue():
    grey = np.full((20, 20, 3), 90, np.uint8)
    assert hue_change(grey, grey) is None
    assert hue_change(grey[..., 0], grey[..., 0]) is None


def test_only_pixels_coloured_before_count():
    before = np.full((20, 20, 3), 90, np.uint8)
    after = before.copy()
    after[:10] = (10, 200, 30)
    assert hue_change(before, after) is None
    before[10:] = (180, 40, 40)
    after[10:] = (180, 40, 40)
    assert hue_change(before, after) == 0.0
