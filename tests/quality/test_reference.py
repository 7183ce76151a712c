"""PSNR, SSIM, mean matching and delta E: equal to scikit-image where it has them, and their properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from enhance_cli.quality.lab import ciede2000, lab
from enhance_cli.quality.pictures import levels
from enhance_cli.quality.reference import delta_e_2000, mean_matched, psnr, ssim
from tests.pictures import structured

SHAPES = [(11, 11, 3), (40, 57, 3), (75, 20, 3), (139, 64, 3), (33, 90)]


def degraded(picture: np.ndarray, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.clip(picture * 0.7 + 20 + rng.normal(0, 12, picture.shape), 0, 255).astype(np.uint8)


def skimage_ssim(first: np.ndarray, second: np.ndarray, **options: object) -> object:
    return structural_similarity(
        first,
        second,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=-1 if first.ndim == 3 else None,
        data_range=255,
        **options,
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_ssim_equals_scikit_image(shape):
    picture = structured(*shape)
    assert ssim(degraded(picture), picture) == pytest.approx(skimage_ssim(degraded(picture), picture), abs=1e-12)


def test_ssim_is_the_mean_of_scikit_images_map_over_the_valid_area():
    picture = structured(60, 80, 3)
    _, everywhere = skimage_ssim(degraded(picture), picture, full=True)
    assert ssim(degraded(picture), picture) == pytest.approx(everywhere[5:-5, 5:-5].mean(), abs=1e-12)
    assert ssim(degraded(picture), picture) != pytest.approx(everywhere.mean(), abs=1e-4)


@pytest.mark.parametrize(("first", "second"), [(0, 255), (10, 250), (255, 255)])
def test_ssim_of_flat_pictures_keeps_its_digits(first, second):
    a, b = (np.full((30, 30, 3), value, np.uint8) for value in (first, second))
    c1 = (0.01 * 255) ** 2
    luminance = (2 * first * second + c1) / (first**2 + second**2 + c1)
    assert ssim(a, b) == pytest.approx(luminance, abs=1e-10)


def test_ssim_refuses_pictures_smaller_than_its_window():
    with pytest.raises(ValueError, match="11x11"):
        ssim(structured(10, 40, 3), structured(10, 40, 3))


@pytest.mark.parametrize("shape", SHAPES)
def test_psnr_equals_scikit_image(shape):
    picture = structured(*shape)
    expected = peak_signal_noise_ratio(picture, degraded(picture), data_range=255)
    assert psnr(degraded(picture), picture) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_identical_pictures(shape):
    picture = structured(*shape)
    assert psnr(picture, picture) == math.inf
    assert ssim(picture, picture) == pytest.approx(1.0, abs=1e-12)
    assert delta_e_2000(picture, picture) == 0.0
    assert np.array_equal(mean_matched(picture, picture), picture)


def test_lab_equals_scikit_image():
    colours = structured(64, 64, 3, seed=3)
    assert np.allclose(lab(levels(colours)), rgb2lab(colours), atol=1e-9)


def test_ciede2000_equals_scikit_image_on_every_corner_of_the_cube():
    rng = np.random.default_rng(5)
    corners = np.array([[r, g, b] for r in (0, 128, 255) for g in (0, 128, 255) for b in (0, 128, 255)])
    colours = np.concatenate([corners, rng.integers(0, 256, (300, 3))]).astype(np.uint8)
    first, second = np.broadcast_arrays(colours[:, None], colours[None, :])
    expected = deltaE_ciede2000(rgb2lab(first), rgb2lab(second))
    assert np.allclose(ciede2000(lab(levels(first)), lab(levels(second))), expected, atol=1e-9)


# Pairs 1, 7, 9, 16 and 25 of the table of Sharma, Wu and Dalal (2005).
@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
        ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0009), 7.1792),
        ((50.0, 2.5, 0.0), (50.0, 0.0, -2.5), 4.3065),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ],
)
def test_ciede2000_equals_its_authors(first, second, expected):
    assert float(ciede2000(np.array(first), np.array(second))) == pytest.approx(expected, abs=5e-5)


def test_delta_e_is_the_mean_of_scikit_images():
    picture = structured(80, 70, 3)
    expected = deltaE_ciede2000(rgb2lab(picture), rgb2lab(degraded(picture))).mean()
    assert delta_e_2000(degraded(picture), picture) == pytest.approx(expected, abs=1e-9)


def test_mean_matching_forgives_a_global_factor():
    rng = np.random.default_rng(2)
    dark = rng.integers(0, 60, (50, 60, 3), dtype=np.uint8)
    reference = dark * np.uint8(4)
    assert np.array_equal(mean_matched(dark, reference), reference)
    assert psnr(mean_matched(dark, reference), reference) == math.inf


def test_mean_matching_reaches_the_mean_of_the_reference():
    picture = structured(60, 60, 3)
    reference = np.clip(picture * 0.6, 0, 255).astype(np.uint8)
    assert mean_matched(picture, reference).mean() == pytest.approx(reference.mean(), abs=0.5)


def test_mean_matching_leaves_black_black():
    black = np.zeros((20, 20, 3), np.uint8)
    assert not mean_matched(black, structured(20, 20, 3)).any()


def test_depths_agree():
    picture = structured(40, 50, 3)
    worse = degraded(picture)
    sixteen = (picture.astype(np.uint16) * 257, worse.astype(np.uint16) * 257)
    floating = (picture / 255.0, worse.astype(np.float32) / np.float32(255))
    for figure in (psnr, ssim, delta_e_2000):
        expected = figure(worse, picture)
        assert figure(sixteen[1], sixteen[0]) == pytest.approx(expected, abs=1e-9)
        assert figure(floating[1], floating[0]) == pytest.approx(expected, abs=1e-4)
        assert figure(sixteen[1], picture) == pytest.approx(expected, abs=1e-9)
    assert np.array_equal(mean_matched(sixteen[1], sixteen[0]), mean_matched(worse, picture))


def test_grey_beside_colour_is_repeated():
    grey = structured(30, 40)
    colour = np.repeat(grey[..., None], 3, axis=2)
    worse = degraded(grey)
    for figure in (psnr, ssim, delta_e_2000):
        assert figure(worse, colour) == pytest.approx(figure(worse, grey), abs=1e-9)


@pytest.mark.parametrize(
    "broken",
    [
        np.zeros((20, 21, 3), np.uint8),
        np.zeros((20, 20, 4), np.uint8),
        np.zeros((0, 20, 3), np.uint8),
        np.zeros((20, 20, 3), np.int32),
        np.full((20, 20, 3), 255.0),
        np.full((20, 20, 3), np.nan),
    ],
    ids=["size", "alpha", "empty", "int32", "float 0..255", "nan"],
)
def test_what_is_no_such_picture_is_refused(broken):
    good = np.zeros((20, 20, 3), np.uint8)
    for figure in (psnr, ssim, delta_e_2000, mean_matched):
        with pytest.raises(ValueError, match="image"):
            figure(broken, good)
