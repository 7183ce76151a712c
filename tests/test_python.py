"""The Python interface."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest

import enhance_cli
from enhance_cli.errors import UsageError
from enhance_cli.types import Plan

SCHEMA = json.loads((Path(__file__).parents[1] / "docs" / "report.schema.json").read_text())


@pytest.fixture(scope="module")
def opened():
    with enhance_cli.open("clahe-adaptive", device="cpu") as one:
        yield one


@pytest.fixture
def picture():
    rng = np.random.default_rng(0)
    return (rng.integers(0, 80, (90, 120, 3)) + np.linspace(0, 60, 120)[None, :, None]).astype(np.uint8)


def test_an_array(opened, picture):
    before = picture.copy()
    result = opened.enhance(picture, grid=(4, 4))
    assert result.array.shape == picture.shape
    assert result.array.dtype == np.uint8
    assert np.array_equal(picture, before)  # never in place
    jsonschema.validate(json.loads(json.dumps(result.report)), SCHEMA)
    assert result.report["plan"]["grid"] == [4, 4]


def test_a_read_only_array(opened, picture):
    picture.setflags(write=False)
    assert opened.enhance(picture).array.shape == picture.shape


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_shapes_and_depths(opened, picture, dtype):
    scale = {np.uint8: 1, np.uint16: 257, np.float32: 1 / 255}[dtype]
    samples = (picture.astype(np.float64) * scale).astype(dtype)
    colour = opened.enhance(samples).array
    assert colour.dtype == (np.uint16 if dtype == np.float32 else dtype)
    assert opened.enhance(samples[..., 0]).array.shape == picture.shape[:2]
    with_alpha = np.dstack((samples, samples[..., 0]))
    alpha = opened.enhance(with_alpha).array[..., 3]
    assert np.array_equal(alpha, opened.enhance(with_alpha).image.alpha)


@pytest.mark.parametrize(
    "array", [np.zeros((3, 4, 5), np.uint8), np.zeros((0, 4), np.uint8), np.full((4, 4), 2.0), np.zeros((4, 4), bool)]
)
def test_what_is_no_picture(opened, array):
    with pytest.raises(UsageError, match="picture"):
        opened.enhance(array)


def test_an_unknown_control_is_named(opened, picture):
    with pytest.raises(UsageError, match="no control 'gird'; it has grid"):
        opened.enhance(picture, gird=(8, 8))


def test_many_paths_in_order_and_a_failure_as_a_value(opened, picture, tmp_path):
    paths = []
    for index in range(7):
        path = tmp_path / f"{index}.png"
        cv2.imwrite(str(path), picture + index)
        paths.append(path)
    paths.insert(3, tmp_path / "missing.png")
    results = list(opened.enhance_many(paths, grid=(2, 2), memory=200_000))
    assert [result.report["source"] for result in results] == [str(path) for path in paths]
    assert results[3].image is None
    assert results[3].report["error"]["kind"] == "missing"
    with pytest.raises(UsageError, match="missing"):
        _ = results[3].array
    alone = opened.enhance(paths[5], grid=(2, 2))
    assert np.array_equal(alone.array, results[5].array)  # never depends on its neighbours


def test_a_plan_survives_packing(opened, picture):
    plan = opened.enhance(picture).plan
    again = type(plan).from_bytes(plan.to_bytes())
    assert np.array_equal(again.curves, plan.curves)
    assert (again.tile, again.global_factor, again.notes) == (plan.tile, plan.global_factor, plan.notes)
    with pytest.raises(UsageError, match="no plan"):
        Plan.from_bytes(b"nonsense")


def test_one_call(picture):
    assert enhance_cli.enhance(picture, "clahe-adaptive", clip_limit=2.0).report["weights"] is None


def test_no_such_method():
    with pytest.raises(UsageError, match="clahe-adaptive"):
        enhance_cli.open("sharpen")
