"""The end of every render: tones, colour, and highlights that stay white."""

from __future__ import annotations

import numpy as np
import pytest

from enhance_cli.imaging.finish import (
    HIGHLIGHT,
    SKIN_GROWTH,
    UNCHANGED,
    Tones,
    bounded_skin,
    finished,
    fit,
    luma,
    skin_likeness,
)
from enhance_cli.imaging.finish_rows import finish_row
from enhance_cli.quality.lab import lab

RNG = np.random.default_rng()


def drawn(kind: str = "any", side: int = 40) -> np.ndarray:
    light = RNG.random((3, side, side), np.float32)
    return {"any": light, "dark": light**4, "bright": 1 - light**4}[kind].astype(np.float32)


TONES = {
    "unchanged": UNCHANGED,
    "deeper": fit(RNG.uniform(0.2, 0.8, 500), black=0.05, contrast=0.25, chroma=1.4),
    "flatter": fit(RNG.uniform(0.0, 1.0, 500), contrast=0.2, mean=0.4, chroma=0.7),
    "paler": fit(RNG.uniform(0.0, 1.0, 500), contrast=0.25, mean=0.5, chroma=0.5),
}


@pytest.mark.parametrize("name", TONES)
@pytest.mark.parametrize("kind", ["any", "dark", "bright"])
def test_rows_follow_the_formulas(name: str, kind: str) -> None:
    light, source, tones = drawn(kind), drawn(), TONES[name]
    rows = light.reshape(3, -1).copy()
    finish_row(*rows, *source.reshape(3, -1), tones.gains, tones.chroma)
    assert np.abs(rows.reshape(light.shape) - finished(light, source, tones)).max() < 1e-4


@pytest.mark.parametrize("name", TONES)
def test_torch_follows_the_formulas(name: str) -> None:
    torch = pytest.importorskip("torch")
    from enhance_cli.imaging import finish_torch

    light, source, tones = drawn(), drawn("bright"), TONES[name]
    found = finish_torch.finished(torch.from_numpy(light), torch.from_numpy(source), tones).numpy()
    assert np.abs(found - finished(light, source, tones)).max() < 1e-4


@pytest.mark.parametrize("name", TONES)
def test_white_stays_white_whatever_was_made_of_it(name: str) -> None:
    source = np.full((3, 8, 8), 252 / 255, np.float32)
    after = finished(drawn("dark", 8), source, TONES[name])
    assert after.min() > 250 / 255


def test_a_darkened_highlight_comes_back_in_order_and_without_a_step() -> None:
    codes = np.arange(256, dtype=np.float32) / 255
    source = np.tile(codes, (3, 1, 1))
    after = finished(0.7 * source, source)[0, 0] * 255
    steps = np.diff(after)
    assert steps.min() > 0
    assert steps[219:].max() < 5.0  # a step that shows is one of more than 6 levels
    assert after[round(HIGHLIGHT[0] * 255) - 1] == pytest.approx(0.7 * (round(HIGHLIGHT[0] * 255) - 1))


def test_nothing_brightened_is_changed_by_highlights() -> None:
    source = drawn("bright")
    light = np.minimum(source * 1.2, 1.0)
    assert np.array_equal(finished(light, source), light)


def test_a_veil_is_lifted() -> None:
    grey = 0.25 + 0.4 * RNG.random((64, 64))
    tones = fit(grey, black=0.05, contrast=0.2)
    light = np.tile(grey, (3, 1, 1)).astype(np.float32)
    after = luma(finished(light, light, tones))
    assert np.percentile(after, 2) < 0.6 * np.percentile(grey, 2)
    assert after.std() == pytest.approx(0.2, abs=0.04)
    assert after.mean() == pytest.approx(grey.mean(), abs=0.02)


def test_a_fit_reaches_a_mean_counts_opacity_and_asks_for_nothing_by_default() -> None:
    grey = 0.2 + 0.5 * RNG.random((32, 32))
    half = np.zeros((32, 32))
    half[:, :16] = 1.0
    spoilt = np.where(half > 0, grey, 1.0)
    for found in (fit(grey, mean=0.4), fit(spoilt, half, mean=0.4)):
        light = np.tile(grey, (3, 1, 1)).astype(np.float32)
        assert luma(finished(light, light, found)).mean() == pytest.approx(0.4, abs=0.03)
    assert fit(grey) is UNCHANGED
    assert fit(grey, np.zeros((32, 32)), mean=0.4) is UNCHANGED


def test_curves_rise() -> None:
    for _ in range(40):
        found = fit(
            RNG.random(300) ** RNG.uniform(0.3, 3),
            black=RNG.uniform(0, 0.2),
            contrast=RNG.uniform(0.05, 0.35),
            mean=RNG.uniform(0.1, 0.9),
        )
        tones = found.gains * np.linspace(0, 1, len(found.gains))
        assert np.all(np.diff(tones) >= 0)
        assert tones[-1] == pytest.approx(1.0)


def test_colour_grows_but_not_on_skin_near_black_or_out_of_range() -> None:
    tones = Tones(np.ones(257, np.float32), 1.5)
    colours = {"blue": (0.2, 0.3, 0.5), "skin": (0.7, 0.5, 0.4), "vivid": (0.9, 0.1, 0.1)}
    for name, colour in colours.items():
        light = np.array(colour, np.float32)[:, None, None]
        after = finished(light, light, tones)
        grown = np.ptp(after) / np.ptp(light)
        assert {"blue": grown > 1.4, "skin": grown < 1.05, "vivid": after.max() <= 1 and grown < 1.2}[name]
        assert float(luma(after)[0, 0]) == pytest.approx(float(luma(light)[0, 0]), abs=1e-3)
    blue = np.array(colours["blue"], np.float32)[:, None, None]
    assert np.array_equal(finished(blue, np.zeros_like(blue), tones), blue)


def test_skin_of_all_complexions_is_like_skin_and_sky_is_not() -> None:
    skins = np.array([(0.92, 0.76, 0.66), (0.7, 0.5, 0.4), (0.45, 0.3, 0.22), (0.25, 0.17, 0.13)], np.float32)
    assert skin_likeness(skins.T[:, None]).min() > 0.8
    others = np.array([(0.3, 0.5, 0.8), (0.2, 0.5, 0.2), (0.5, 0.5, 0.5), (0.6, 0.3, 0.6)], np.float32)
    assert skin_likeness(others.T[:, None]).max() == 0.0


SKINS = np.array([(0.7, 0.58, 0.5), (0.7, 0.5, 0.4), (0.45, 0.3, 0.22), (0.24, 0.18, 0.19)], np.float32)


def chroma(light: np.ndarray) -> np.ndarray:
    return np.hypot(*np.moveaxis(lab(255.0 * np.moveaxis(light, 0, -1).astype(np.float64))[..., 1:], -1, 0))


@pytest.mark.parametrize("gain", [0.6, 1.0, 1.3])
def test_colour_of_skin_grows_by_a_third_at_most_and_keeps_hue_and_luma(gain: float) -> None:
    source = SKINS.T[:, None]
    grey = gain * luma(source)
    vivid = grey + 1.45 * max(gain, 1.0) * (source - luma(source))
    after = bounded_skin(vivid, source)
    assert (chroma(after) / chroma(source)).max() < 1.35 < (chroma(vivid) / chroma(source)).min()
    same = bounded_skin(source, source)
    assert np.array_equal(same, source)
    np.testing.assert_allclose(luma(after), grey, atol=1e-4)
    cosine = ((after - luma(after)) * (source - luma(source))).sum(axis=0)
    cosine /= np.linalg.norm(after - luma(after), axis=0) * np.linalg.norm(source - luma(source), axis=0)
    assert cosine.min() > 0.999


def test_skin_out_of_shade_and_from_under_a_veil_gets_its_colour_and_other_colours_are_free() -> None:
    skin, blue = (np.array(c, np.float32)[:, None, None] for c in ((0.2, 0.14, 0.11), (0.2, 0.3, 0.5)))
    assert np.ptp(bounded_skin(3 * skin, skin)) > 0.75 * 3 * np.ptp(skin)
    veiled = bounded_skin(luma(skin) + 1.7 * (skin - luma(skin)), skin, 1.4)
    assert np.ptp(veiled) > 1.179 * SKIN_GROWTH * np.ptp(skin)  # by half of the factor of 1.4, within a hundredth
    richer = luma(blue) + 1.6 * (blue - luma(blue))
    assert np.array_equal(bounded_skin(richer, blue), richer)
