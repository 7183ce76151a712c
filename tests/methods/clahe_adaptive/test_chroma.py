"""Chroma follows luma: bounded, without its noise, on skin and near white less; and alike in a JPEG's own planes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

import enhance_cli
from enhance_cli.methods.clahe_adaptive import kernels_cpu as kernels
from enhance_cli.quality.faults import skin_like
from enhance_cli.quality.lab import hue_turns, lab
from tests.pictures import landscape

NO_TINT = np.zeros((1, 1, 2), np.float32)


def lifted(rgb, factor, noise=0.5, tint=NO_TINT):
    """With a curve that multiplies luma."""
    curves = np.minimum(np.arange(256) * factor, 255).astype(np.float32)[None, None]
    return kernels.render_rgb_followed(rgb, curves, tint, noise, *rgb.shape[:2]).astype(float)


def patch(*colour):
    return np.full((16, 16, 3), colour, np.uint8)


def chroma(pixels):
    return float(np.hypot(*np.moveaxis(lab(np.asarray(pixels, float)), -1, 0)[1:]).mean())


def test_a_dark_colour_keeps_its_saturation_when_it_is_lifted():
    after = lifted(patch(10, 20, 40), 2.5)
    assert after[0, 0] == pytest.approx(2.5 * np.array([10, 20, 40]), abs=2)


def test_growth_is_bounded():
    after = lifted(patch(2, 6, 12), 12.0)
    grey = kernels.luma(patch(2, 6, 12))[0, 0]
    assert after[0, 0] - 12 * grey == pytest.approx(3 * (np.array([2, 6, 12]) - grey), abs=2)


def test_a_curve_that_changes_nothing_changes_no_colour():
    rgb = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    tint = np.random.default_rng(1).uniform(-30, 30, (4, 4, 2)).astype(np.float32)
    assert np.array_equal(lifted(rgb, 1.0, 3.0, tint), rgb)


def test_noise_grows_less_than_the_mean_colour():
    noise = np.random.default_rng(2).normal(0, 2.5, (64, 64, 3))
    rgb = np.rint(np.clip(np.array([16, 12, 30]) + noise, 0, 255)).astype(np.uint8)
    grey = rgb.mean(axis=(0, 1)) @ [0.299, 0.587, 0.114]
    mean = rgb.mean(axis=(0, 1)) - grey
    means = np.tile(mean[[0, 2]].astype(np.float32), (2, 2, 1))
    plain, smooth = lifted(rgb, 3.0, 0.5), lifted(rgb, 3.0, 5.0, means)

    def spread(pixels):
        return (pixels[..., 2] - pixels[..., 0]).std()

    assert spread(smooth) < 0.75 * spread(plain)
    assert (smooth[..., 2] - smooth[..., 0]).mean() > 2 * (rgb[..., 2].astype(float) - rgb[..., 0]).mean()


def test_skin_grows_by_a_third_at_most_and_does_not_turn():
    colours = [(120, 90, 75), (90, 62, 50), (150, 112, 95), (70, 48, 40)]
    for colour in colours:
        before = np.full((32, 32, 3), colour, np.uint8)
        assert skin_like(before).all()
        after = lifted(before, 1.6)
        assert chroma(after) <= 1.36 * chroma(before)
        assert np.rad2deg(hue_turns(lab(before.astype(float)), lab(after))).max() < 6


def test_near_white_nothing_grows_and_nothing_leaves_the_range_on_one_side():
    before = patch(215, 205, 180)
    after = lifted(before, 1.2)
    assert chroma(after) <= chroma(before)
    assert np.rad2deg(hue_turns(lab(before.astype(float)), lab(after))).max() < 6


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_a_jpeg_in_its_planes_looks_as_its_pixels_do(tmp_path, subsampling):
    pixels = (landscape(150, 211, seed=3) // 3).astype(np.uint8)
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "JPEG", quality=98, subsampling=subsampling)
    (tmp_path / "a.jpg").write_bytes(packed.getvalue())
    with enhance_cli.open("clahe-adaptive", device="cpu") as opened:
        for controls in ({}, {"chroma": "keep"}, {"amount": 0.5}):
            wanted = opened.enhance(np.asarray(Image.open(packed).convert("RGB")), **controls).array.astype(float)
            got = opened.enhance(tmp_path / "a.jpg", **controls).array.astype(float)
            assert np.abs(got - wanted).mean() < 4
            assert chroma(got) == pytest.approx(chroma(wanted), rel=0.1)


def test_a_dark_photo_becomes_more_colourful_than_with_chroma_kept():
    pixels = (landscape(150, 211, seed=3) // 5).astype(np.uint8)
    with enhance_cli.open("clahe-adaptive", device="cpu") as opened:
        follow, keep = (opened.enhance(pixels, chroma=choice).array for choice in ("follow", "keep"))
    assert chroma(follow) > 1.2 * chroma(keep)
    assert np.abs(kernels.luma(follow).astype(int) - kernels.luma(keep)).mean() < 4
