"""Which photos are night scenes, where these are empty, and how far their noise reaches."""

import numpy as np
import pytest

from enhance_cli.imaging import night

SIDE = 64


def street(sky: float = 0.03, lamp: tuple[float, float, float] = (0.9, 0.6, 0.3)) -> np.ndarray:
    """3×64×64: a dark sky above, a lit street below that has structure."""
    light = np.full((3, SIDE, SIDE), sky, np.float32)
    checks = (np.indices((SIDE, SIDE)).sum(axis=0) % 2).astype(np.float32)
    light[:, 30, 30] = 1.0
    light[:, 40:] = np.array(lamp, np.float32)[:, None, None] * (0.5 + 0.5 * checks[40:])
    return light


def test_a_dark_sky_above_a_lamp_lit_street_is_empty_and_the_street_is_not() -> None:
    found = night.empty(street())
    assert found is not None
    assert found.shape == (SIDE, SIDE)
    assert found[:25].min() == 1.0
    assert found[43:].max() == 0.0


@pytest.mark.parametrize(
    "light",
    [
        pytest.param(0.1 * street(), id="underexposed"),
        pytest.param(0.7 * street(), id="no lamp"),
        pytest.param(street()[:, ::-1], id="sky above"),
        pytest.param(street(lamp=(0.8, 0.8, 0.82)), id="daylight through a door"),
        pytest.param(np.zeros((3, SIDE, SIDE), np.float32), id="black"),
    ],
)
def test_what_is_no_night_scene_has_no_empty_part(light: np.ndarray) -> None:
    assert night.empty(light) is None


def test_a_window_by_day_is_cooler_than_lamps_and_the_room_around_it_is_lit_all_the_same() -> None:
    night_found, room = night.empty(street()), night.empty(street(lamp=(0.75, 0.9, 0.8)))
    assert night_found is not None
    assert room is not None
    assert room[:25].max() <= night.COOL + 1e-6


def test_structure_in_the_dark_is_not_empty() -> None:
    light = street()
    light[:, :40:2] += 0.04
    light[:, :8] = 0.03
    found = night.empty(light)
    assert found is not None
    assert found[:4].min() == 1.0
    assert found[12:36].max() == 0.0


def test_hidden_pixels_are_not_empty() -> None:
    weights = np.ones((SIDE, SIDE), np.float32)
    weights[:20] = 0.0
    found = night.empty(street(), weights)
    assert found is not None
    assert found[:20].max() == 0.0
    assert found[33:37].min() == 1.0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_spread_is_that_of_the_noise_in_what_is_empty(dtype: type) -> None:
    white = np.iinfo(dtype).max
    pixels = np.full((300, 500, 3), 0.04 * white)
    pixels[100:] = white  # not empty, so of no account
    empty = np.zeros((SIDE, SIDE), np.float32)
    empty[:20] = 1.0
    assert night.spread(pixels.astype(dtype), empty) == pytest.approx(0.0, abs=0.01)
    pixels[:100:8] = 0.16 * white
    assert night.spread(pixels.astype(dtype), empty) == pytest.approx(0.2, abs=0.01)
    assert night.spread(pixels[..., 0].astype(dtype), empty) == pytest.approx(0.2, abs=0.01)


def enlarged(light: np.ndarray, side: int = 512) -> np.ndarray:
    """3×64×64 in 0..1 as side×side×3 levels of 255, not rounded."""
    return 255.0 * light.repeat(side // SIDE, axis=1).repeat(side // SIDE, axis=2).transpose(1, 2, 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("grain", "coarseness", "found"),
    [
        pytest.param(3.0, 1, True, id="noise"),
        pytest.param(0.0, 1, False, id="clean shade by day"),
        pytest.param(3.0, 8, False, id="texture"),
    ],
)
def test_noise_beside_lamps_tells_a_night_whatever_their_colour(
    dtype: type, grain: float, coarseness: int, found: bool
) -> None:
    light = street(lamp=(0.8, 0.8, 0.82))
    shape = (512 // coarseness, 512 // coarseness, 1)
    noise = np.random.default_rng(0).normal(0.0, grain, shape).repeat(coarseness, axis=0).repeat(coarseness, axis=1)
    pixels = np.rint((enlarged(light) + noise).clip(0.0, 255.0) * (np.iinfo(dtype).max / 255)).astype(dtype)
    assert night.empty(light, None) is None
    assert (night.empty(light, None, pixels) is not None) == found


def test_noise_without_lamps_is_that_of_an_underexposed_photo() -> None:
    light = 0.3 * street(sky=0.1, lamp=(0.8, 0.8, 0.82))
    noise = np.random.default_rng(0).normal(0.0, 3.0, (512, 512, 1))
    assert night.empty(light, None, (enlarged(light) + noise).clip(0.0, 255.0).astype(np.uint8)) is None


def city(window: int) -> tuple[np.ndarray, np.ndarray]:
    """Small copy and pixels of a black photo with eighty lights of 2×2 pixels and a lit square, and a faint facade."""
    pixels = np.full((512, 512, 3), 4, np.uint8)
    pixels[300:, 256:] = 14
    for at in range(40, 440, 5):
        pixels[360:362, at : at + 2] = 255
    pixels[400 : 400 + window, 20 : 20 + window] = 200
    light = pixels.reshape(SIDE, 8, SIDE, 8, 3).mean(axis=(1, 3)).transpose(2, 0, 1) / 255.0
    return light.astype(np.float32), pixels


def test_a_black_photo_with_points_of_light_is_a_night_and_what_has_light_in_it_is_not_empty() -> None:
    light, pixels = city(window=0)
    found = night.empty(light, None, pixels)
    assert found is not None
    assert found[:30].min() == 1.0
    assert found[50:, 40:].max() == 0.0
    room, pixels = city(window=100)
    assert night.empty(room, None, pixels) is None


def test_hidden_lights_are_none() -> None:
    light, pixels = city(window=0)
    weights = np.ones((SIDE, SIDE), np.float32)
    weights[44:47] = 0.0
    assert night.empty(light, weights, pixels) is None
