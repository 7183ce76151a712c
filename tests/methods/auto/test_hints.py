"""EXIF tips the scales of what a photo should be like, and never by more than the predictor doubts."""

from __future__ import annotations

import numpy as np
import pytest

import enhance_cli
from enhance_cli.exposure import Wanted
from enhance_cli.imaging.colour import from_array
from enhance_cli.imaging.shooting import Shooting
from enhance_cli.methods.auto.hints import hinted
from enhance_cli.types import Metadata
from tests import pictures
from tests.imaging.test_shooting import exif_with

WANTED = Wanted(0.4, 0.05, 0.2, 0.1, 0.06)


@pytest.mark.parametrize(
    ("shot", "moved", "said"),
    [
        (Shooting(), 0.0, ""),
        (Shooting(light=9.0, bias=0.0, flash=False), 0.0, ""),
        (Shooting(light=0.0), -0.06, "light as by night"),
        (Shooting(light=3.0), -0.03, "dim light"),
        (Shooting(light=0.0, flash=True), 0.0, ""),
        (Shooting(light=14.0), 0.03, "sunlight"),
        (Shooting(night=True), -0.06, "a night scene"),
        (Shooting(bias=1.0), 0.03, "compensation of +1.0 EV"),
        (Shooting(bias=-3.0), -0.06, "compensation of -3.0 EV"),
        (Shooting(night=True, bias=-3.0), -0.06, "a night scene and exposure"),
    ],
)
def test_a_hint_moves_the_expected_mean_within_the_doubt_and_is_told(shot, moved, said):
    found, told = hinted(WANTED, shot)
    assert found.luma == pytest.approx(WANTED.luma + moved)
    assert found._replace(luma=WANTED.luma) == WANTED
    assert said in told
    assert bool(told) == bool(said)


def test_a_dark_photo_is_brightened_less_if_exif_says_night():
    with enhance_cli.open("auto", device="cpu", threads=1) as auto:
        photo = from_array((0.8 * pictures.dark()).astype(np.uint8))
        night = exif_with(time=(1, 8), aperture=(2, 1), speed=3200)
        means = {}
        for name, exif in (("none", None), ("night", night), ("damaged", night[:40])):
            result = auto.enhance(photo.replace(metadata=Metadata(exif=exif)), methods="clode")
            means[name] = result.array.mean()
            assert ("light as by night" in result.report["plan"]["reason"]) == (name == "night")
    assert means["none"] == means["damaged"]
    assert np.diff([means["night"], means["none"]])[0] > 2.0
