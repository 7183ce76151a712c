"""The backlit test: what it takes, and that it sees what is given back."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.lib import backlit


@pytest.fixture
def photographs() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(6)
    y, x = np.mgrid[:90, :120]
    found = {}
    for name, light in (("meadow", 200 - 1.5 * y), ("tree", 90 + 0.9 * x)):
        found[name] = (light[..., None] + rng.normal(0, 6, (90, 120, 3))).clip(0, 255).astype(np.uint8)
    return found


def test_twenty_pictures_of_one_to_three_and_a_half_stops(photographs) -> None:
    made = backlit.backlit_pictures(photographs)
    assert len(made) == 20
    assert len({picture.name for picture in made}) == 20
    assert sorted(picture.stops for picture in made) == pytest.approx(np.linspace(1.0, 3.5, 20))
    for picture in made:
        dark, light = picture.shade > 0.9, picture.shade < 0.1
        assert min(dark.mean(), light.mean()) > 0.05
        ratio = (picture.pixels[dark] + 1.0).mean() / (picture.original[dark] + 1.0).mean()
        assert ratio == pytest.approx(2.0 ** (-picture.stops / 2.2), rel=0.12)
        assert np.abs(picture.pixels[light].astype(int) - picture.original[light]).max() <= 30 * picture.stops / 2.2


def test_the_shade_stands_before_the_light(photographs) -> None:
    first = backlit.backlit_pictures(photographs, 2)
    assert "bottom" in first[0].name  # the meadow under a bright sky
    assert "left" in first[1].name


def test_recovery_of_nothing_and_of_everything(photographs) -> None:
    picture = backlit.backlit_pictures(photographs, 3)[2]
    nothing = backlit.recovery(picture, picture.pixels)
    assert nothing == pytest.approx((0.0, 0.0))
    everything = backlit.recovery(picture, picture.original)
    assert everything.regained == pytest.approx(1.0)
    assert everything.moved < 2.0
    brighter = backlit.recovery(picture, np.minimum(picture.pixels.astype(int) + 10, 255).astype(np.uint8))
    assert brighter.moved == pytest.approx(10.0, abs=0.5)
    with pytest.raises(ValueError, match="differ in size"):
        backlit.recovery(picture, picture.pixels[1:])


def test_there_must_be_photographs() -> None:
    with pytest.raises(ValueError, match="need photographs"):
        backlit.backlit_pictures({})
