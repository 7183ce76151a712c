"""The tone curve, the pseudo ground truth and the twins of irle: formulas by hand, bounds, and what they are for."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from enhance_cli.methods.irle import pseudo_ground_truth as reference
from enhance_cli.methods.irle import tone
from enhance_cli.methods.irle.training import twins
from tests.pictures import dark_blocks

Codes = NDArray[np.uint8]


# --- the tone curve ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mean", "expected"), [(2**-5.5, 0.42), (2**-2.5, 0.7), (2**-4.0, 0.56), (0.001, 0.42)])
def test_the_exponent_follows_the_mean(mean: float, expected: float) -> None:
    assert tone.exponent_for(mean) == pytest.approx(expected)


def test_a_curve_is_a_power_with_a_shoulder_by_hand() -> None:
    curve = tone.ToneCurve(0.5, 2.0)
    assert curve(np.array([0.04, 0.09])) == pytest.approx([0.4, 0.6], abs=1e-6)
    # 2 sqrt(.25) = 1 lies one room above the knee, white six.
    assert curve(np.array([0.25, 1.0])) == pytest.approx([0.8 + 0.2 * (1.0 + 1.0 / 36.0) / 2.0, 1.0], abs=1e-6)
    assert tone.ToneCurve(0.5, 2.0, knee=1.0)(np.array([0.25, 0.5])) == pytest.approx([1.0, 1.0])


def test_a_curve_rises_smoothly_from_black_to_white() -> None:
    values = tone.ToneCurve(0.5, 3.0)(np.linspace(0.0, 1.0, 1001))
    assert values[0] == 0.0
    assert values[-1] == pytest.approx(1.0, abs=1e-6)
    assert np.all(np.diff(values) > 0.0)
    # No kink at the knee: neighbouring slopes are alike.
    slopes = np.diff(values)[60:]
    assert np.abs(np.diff(slopes)).max() < 5e-4


def test_the_curve_of_a_picture_keeps_hue_and_the_curve_of_its_ends() -> None:
    picture = dark_blocks().astype(np.float32) / 255.0
    curve = tone.ToneCurve(0.55, 2.5)
    found, channels = curve.picture(picture), curve(picture)
    np.testing.assert_allclose(found.max(axis=2), channels.max(axis=2), atol=1e-6)
    np.testing.assert_allclose(found.min(axis=2), channels.min(axis=2), atol=1e-6)
    # The hexagonal hue is the middle channel's place between the others.
    coloured = np.ptp(picture, axis=2) > 0.02
    for one in (picture, found):
        assert np.array_equal(np.argmax(one, axis=2)[coloured], np.argmax(picture, axis=2)[coloured])
    places = []
    for one in (picture[coloured], found[coloured]):
        low, middle, high = np.sort(one, axis=1).T
        places.append((middle - low) / (high - low))
    np.testing.assert_allclose(*places, atol=1e-4)
    grey = np.full((2, 2, 3), 0.1)
    np.testing.assert_allclose(curve.picture(grey), curve(grey), atol=1e-6)


def test_the_gain_is_bounded() -> None:
    light = np.linspace(0.0, 1.0, 300)
    curve = tone.ToneCurve(0.45, 4.0, max_gain=5.0)
    assert np.all(curve(light) <= 5.0 * light + 1e-6)
    assert np.all(curve.log_gain(light) <= np.log(5.0) + 1e-6)
    free = tone.ToneCurve(0.45, 4.0)
    assert free(np.array([0.01]))[0] > 5.0 * 0.01


@pytest.mark.parametrize("balance", [(1.0, 1.0, 1.0), (1.4, 1.0, 0.8)])
def test_a_fitted_curve_reaches_the_mean_exactly(balance: tuple[float, float, float]) -> None:
    picture = dark_blocks()
    curve = tone.fitted(tone.histogram(picture), target=0.42, balance=balance)
    rendered = curve(np.clip(picture / 255.0 * np.asarray(balance), 0.0, 1.0))
    assert rendered.mean() == pytest.approx(0.42, abs=1e-4)


def test_a_dim_picture_keeps_contrast_and_a_dark_one_its_exponent() -> None:
    ramp = np.linspace(0.1, 0.5, 256)[None, :, None].repeat(64, 0).repeat(3, 2)
    dim = np.rint(ramp * 255).astype(np.uint8)
    curve = tone.fitted(tone.histogram(dim))
    assert curve.exponent > tone.exponent_for(dim.mean() / 255) + 0.1
    after, flat = (one(dim / 255.0) for one in (curve, tone.fitted(tone.histogram(dim), exponent=0.7)))
    assert after.mean() == pytest.approx(flat.mean(), abs=0.01)
    assert flat.std() + 0.01 < after.std() <= tone.CONTRAST + 0.01
    dark = np.rint(ramp * 25).astype(np.uint8)
    assert tone.fitted(tone.histogram(dark)).exponent == tone.exponent_for(tone.mean_of(tone.histogram(dark)))


def test_black_and_veil_hold_light_down_smoothly() -> None:
    light = np.linspace(0.0, 1.0, 2001)
    free = tone.ToneCurve(0.6, 2.0)
    for curve in (replace(free, black=0.05), replace(free, veil=0.06)):
        values = curve(light)
        assert values[0] == pytest.approx(0.0, abs=1e-6)
        assert values[-1] == pytest.approx(1.0, abs=0.01)
        assert np.all(np.diff(values) >= 0.0)
        assert np.all((values <= free(light) + 1e-4)[free(light) < 0.8])
    deep = replace(free, black=0.05)
    assert deep(np.array([0.05]))[0] <= tone.DEEP
    assert deep(np.array([0.3]))[0] == pytest.approx(free(np.array([0.3]))[0], rel=0.05)
    assert np.all(deep.log_gain(light[:100]) <= free.log_gain(light[:100]))


def test_a_veil_is_taken_away_with_the_light_that_is_added() -> None:
    random = np.random.default_rng(3)
    hazy = random.integers(60, 110, (80, 80, 3)).astype(np.uint8)
    counts = tone.histogram(hazy)
    before = hazy.mean() / 255
    full, some = (tone.reaching(counts, before + more, balance=(1.0, 1.0, 1.0)) for more in (0.12, 0.03))
    assert 0.0 < some.veil < full.veil <= tone.VEIL
    assert full(hazy / 255.0).mean() == pytest.approx(before + 0.12, abs=0.01)


@pytest.mark.parametrize(("doubt", "expected"), [(0.0, 0.3), (1.0, 0.47), (tone.SPREAD, 0.385)])
def test_a_doubtful_prediction_is_drawn_to_the_usual_mean(doubt: float, expected: float) -> None:
    assert tone.aim(0.3, doubt, 0.05) == pytest.approx(expected, abs=2e-3)


def test_near_to_the_predicted_mean_nothing_changes() -> None:
    assert tone.aim(0.4, 0.0, 0.385) == 0.385
    assert tone.aim(0.4, 0.0, 0.45) <= 0.45
    assert 0.34 < tone.aim(0.4, 0.0, 0.34) < 0.4


def test_a_night_with_lamps_is_not_lifted_until_a_tenth_is_white() -> None:
    night = np.full((100, 100, 3), 4, np.uint8)
    night[:30] = 60  # three tenths that would go white long before the mean is reached
    curve = tone.fitted(tone.histogram(night))
    lifted = curve(night / 255.0)
    assert (lifted > tone.WHITE + 1e-4).mean() <= tone.BLOWN
    assert 0.25 < lifted[:30].mean() <= tone.WHITE + 1e-3
    assert lifted.mean() < tone.TARGET - 0.05


def test_sixteen_bits_get_the_curve_of_eight() -> None:
    picture = dark_blocks()
    one, other = (tone.fitted(tone.histogram(p)) for p in (picture, picture.astype(np.uint16) * 257))
    assert one.exponent == pytest.approx(other.exponent)
    assert one.factor == pytest.approx(other.factor)


def test_a_black_picture_stays_black_and_the_factor_is_bounded() -> None:
    black = np.zeros((32, 32, 3), np.uint8)
    curve = tone.fitted(tone.histogram(black))
    assert curve.factor <= tone.LARGEST_FACTOR
    assert curve(black / 255.0).max() == 0.0
    assert np.isfinite(curve.log_gain(np.zeros(3))).all()


def test_the_log_gain_is_that_of_the_curve() -> None:
    curve = tone.ToneCurve(0.6, 2.0)
    light = np.array([0.05, 0.1])
    expected = np.log(curve(light + tone.PEDESTAL) / (light + tone.PEDESTAL))
    np.testing.assert_allclose(curve.log_gain(light), expected, atol=1e-5)


# --- white balance -----------------------------------------------------------------------------------------


def test_a_cast_on_grey_cards_is_more_than_halved() -> None:
    """A cast is taken away by half at least, and gains stay bounded."""
    grey = dark_blocks(level=60.0).mean(axis=2, keepdims=True).repeat(3, axis=2) / 255.0
    tinted = np.clip(grey * np.array([1.2, 1.0, 0.8]), 0.0, 1.0).astype(np.float32)
    cast = reference.robust_white_balance(tinted)
    restored = tinted * np.asarray(reference.balanced_with(cast, 0.7))
    spread = [np.ptp(np.log(picture.reshape(-1, 3).mean(axis=0))) for picture in (tinted, restored)]
    assert spread[1] <= 0.5 * spread[0]
    assert not cast.beyond
    assert cast.tint[0] > 1.0 > cast.tint[2]


def test_white_balance_keeps_luma_and_stays_in_its_bounds() -> None:
    tinted = (dark_blocks(level=60.0) / 255.0 * np.array([1.0, 0.4, 0.1])).astype(np.float32)
    cast = reference.robust_white_balance(tinted)
    assert cast.beyond
    # Luma is normalised after the bounds, so their ratio is what holds.
    assert max(cast.balance) / min(cast.balance) <= reference.HEAVIEST_CAST / reference.LIGHTEST_CAST + 1e-6
    smooth = (tinted @ reference.LUMA).mean()
    assert (tinted * np.asarray(cast.balance, np.float32) @ reference.LUMA).mean() == pytest.approx(smooth, rel=0.05)


def test_no_share_of_the_white_balance_changes_nothing() -> None:
    cast = reference.robust_white_balance(dark_blocks() / 255.0)
    assert reference.balanced_with(cast, 0.0) == (1.0, 1.0, 1.0)
    assert reference.balanced_with(cast, 1.0) == pytest.approx(cast.balance)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_black_and_white_have_no_cast(value: float) -> None:
    cast = reference.robust_white_balance(np.full((20, 30, 3), value, np.float32))
    assert cast.balance == pytest.approx((1.0, 1.0, 1.0))


def test_a_transparent_photo_has_no_cast() -> None:
    """No pixel counts, so nothing is averaged, and no warning of NumPy's reaches the terminal."""
    cast = reference.robust_white_balance(dark_blocks() / 255.0, np.zeros(dark_blocks().shape[:2], np.float32))
    assert cast.balance == (1.0, 1.0, 1.0)


# --- twins -------------------------------------------------------------------------------------------------


def test_shots_of_one_scene_are_found_whatever_their_exposure() -> None:
    random = np.random.default_rng(5)
    scenes = [cv2.GaussianBlur(random.random((200, 300, 3)).astype(np.float32), (0, 0), 3.0) for _ in range(3)]
    scenes = [(picture - picture.min()) / np.ptp(picture) for picture in scenes]
    photographs = {}
    for index, picture in enumerate(scenes):
        for shot, factor in enumerate((30.0, 70.0) if index < 2 else (50.0,)):
            noisy = picture * factor + random.normal(0.0, 1.0, picture.shape)
            photographs[f"{index}-{shot}"] = np.rint(noisy.clip(0, 255)).astype(np.uint8)
    assert twins.groups(photographs) == [("0-0", "0-1"), ("1-0", "1-1"), ("2-0",)]
    assert twins.groups({}) == []


def test_shots_of_other_sizes_are_no_twins() -> None:
    picture = dark_blocks()
    assert twins.groups({"a": picture, "b": picture[:, :-8]}) == [("a",), ("b",)]


def test_simulated_twins_are_dark_alike_and_of_independent_noise() -> None:
    random = np.random.default_rng(2)
    flat, noisy = np.full((64, 64, 3), 0.6, np.float32), 0
    for _ in range(6):
        one, other = twins.simulated(flat, random)
        assert one.dtype == other.dtype == np.uint8
        assert one.mean() < 0.6 * 255
        assert other.mean() >= one.mean() - 1.0
        noises = [(codes - cv2.blur(codes.astype(np.float32), (9, 9))).ravel() for codes in (one, other)]
        if min(noise.std() for noise in noises) > 1.0:
            assert abs(np.corrcoef(*noises)[0, 1]) < 0.1
            noisy += 1
    assert noisy > 0
