"""What is promised, on photographs, by the shipped networks and the whole path, nothing locked."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

import enhance_cli
from benchmarks.lib.sets import DATA, pairs
from enhance_cli.quality.pictures import luma, read_rgb

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not (DATA / "test").is_dir(), reason="the test photos are not here"),
]

PLACES = ("50%,50%", "35%,45%", "65%,55%", "45%,65%")


@pytest.fixture(scope="module")
def local():
    with enhance_cli.open("local", device="cpu", threads=2) as method:
        yield method


@pytest.fixture(scope="module")
def found():
    """Every third pair of lol and of under, each with a disc of the paper's size."""
    some = [pair for name in ("lol", "under") for pair in pairs(DATA, name)[::3]]
    return [
        (read_rgb(pair.input), read_rgb(pair.reference), f"circle:{PLACES[i % 4]},28.57%")
        for i, pair in enumerate(some)
    ]


def fall_off(plan):
    t = np.zeros((plan.height, plan.width))
    rows, columns = plan.fall_off.shape
    t[plan.top : plan.top + rows, plan.left : plan.left + columns] = plan.fall_off / 65535
    return t


def area_psnr(output, reference, area):
    error = float(((output[area].astype(float) - reference[area]) ** 2).mean())
    return 10 * math.log10(255**2 / max(error, 1e-5))


@pytest.mark.parametrize("backbone", ["deepupe", "star"])
def test_area_a_gains_five_decibels_and_area_c_stays(local, found, backbone):
    before, after, outside = [], [], []
    for picture, reference, mask in found:
        result = local.enhance(picture, mask=mask, backbone=backbone, lock=False)
        t = fall_off(result.plan)
        before.append(area_psnr(picture, reference, t == 1))
        after.append(area_psnr(result.array, reference, t == 1))
        outside.append(area_psnr(result.array, picture, t == 0))
    assert np.mean(after) >= np.mean(before) + 5
    assert np.median(outside) >= 38


@pytest.mark.parametrize("backbone", ["deepupe", "star"])
def test_light_turns_no_more_sharply_than_in_a_blended_reference(local, found, backbone):
    ratios = []
    for picture, reference, mask in found:
        result = local.enhance(picture, mask=mask, backbone=backbone, lock=False)
        t = fall_off(result.plan)
        blended = np.rint(picture * (1 - t[..., None]) + reference * t[..., None]).astype(np.uint8)
        ours, theirs = (bends(output, picture, t) for output in (result.array, blended))
        ratios.append(ours / theirs)
    assert np.median(ratios) <= 1.5


def bends(output, picture, t, count=24):
    """The largest second difference of the change in luma from ring to ring of equal t."""
    change = luma(output) - luma(picture)
    parts = [
        t == 0,
        *((t > low) & (t <= high) & (t < 1) for low, high in pairwise(np.linspace(0, 1, count + 1))),
        t == 1,
    ]
    means = np.array([change[part].mean() for part in parts if part.any()])
    return max(float(np.abs(np.diff(means, 2)).max()), 1e-9)


@pytest.mark.parametrize("backbone", ["deepupe", "star"])
def test_the_degree_is_monotone_on_photographs(local, found, backbone):
    for picture, _, mask in found[::3]:
        results = [local.enhance(picture, mask=mask, backbone=backbone, degree=d) for d in (0.8, 0.9, 1.0, 1.15, 1.3)]
        t = fall_off(results[0].plan)
        means = [float(luma(result.array)[t == 1].mean()) for result in results]
        assert (np.diff(means) < 0).all()
        assert all(np.array_equal(result.array[t == 0], picture[t == 0]) for result in results)


def test_a_person_is_lit_and_the_background_is_not(local):
    from enhance_cli.imaging import codecs

    folder = DATA / "portraits"
    for path in sorted((folder / "image").glob("p3m_*"))[:4]:
        image = codecs.decode(path.read_bytes(), source=path.name)
        dark = image.replace(pixels=np.rint(image.pixels * 0.35).astype(np.uint8))
        result = local.enhance(dark, mask=folder / "mask")
        plan = result.report["plan"]
        assert plan["transition"]["mode"] == "soft"
        assert plan["areas"]["A"]["luma_after"] > 1.3 * plan["areas"]["A"]["luma_before"]
        t = fall_off(result.plan)
        pixels = dark.pixels if dark.pixels.ndim == 3 else np.repeat(dark.pixels[..., None], 3, 2)
        out = result.image.pixels if result.image.pixels.ndim == 3 else np.repeat(result.image.pixels[..., None], 3, 2)
        assert np.array_equal(out[t == 0], pixels[t == 0])
