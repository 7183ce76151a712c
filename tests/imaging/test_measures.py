"""Measures of a whole image: the same on both engines, and without a copy where the device does not hold it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from enhance_cli.engines.cpu import CpuEngine
from enhance_cli.engines.cuda import CudaEngine
from enhance_cli.imaging.area import extremes
from enhance_cli.imaging.measures import MEASURES


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("name", "numbers", "layout"),
    [
        ("luma_counts", (), (37, 53)),
        ("luma_counts", (), (37, 53, 3)),
        ("channel_counts", (), (37, 53, 3)),
        ("area_means", (7, 11), (37, 53, 3)),
        ("area_means", (40, 60), (37, 53, 3)),
    ],
)
def test_both_engines_measure_the_same_and_nothing_is_copied_for_it(rng, name, numbers, layout, dtype):
    pixels = rng.integers(0, np.iinfo(dtype).max + 1, layout).astype(dtype)
    engine = CudaEngine("cpu")
    expected = CpuEngine().measured(MEASURES, name, pixels, *numbers)
    assert np.array_equal(engine.measured(MEASURES, name, pixels, *numbers), expected)
    assert (engine.traffic.others_up, engine.traffic.others_down) == (0, 0)  # it is not held
    with engine.resident([pixels]):
        found = engine.measured(MEASURES, name, pixels, *numbers)
    assert (engine.traffic.others_up, engine.traffic.others_down) == (0, 1)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=2e-7)
    if name != "area_means":
        assert np.array_equal(found, expected)


def test_what_kernels_have_written_is_measured_before_it_comes_down():
    engine, source, out = CudaEngine("cpu"), np.full((4, 6), 9, np.uint8), np.zeros((4, 6), np.uint8)
    with engine.resident([source], written=[out]):
        assert engine.measured(MEASURES, "luma_counts", out)[0] == 24  # nothing is written: the host has it
        engine.into(out, lambda values, out: out.copy_(values + 1), source)
        assert engine.measured(MEASURES, "luma_counts", out)[10] == 24
        assert not out.any()


def test_extremes_are_the_least_and_the_most_of_three_channels():
    pixels = np.random.default_rng(3).random((7, 5, 3), np.float32)
    least, most = extremes(pixels)
    assert np.array_equal(least, pixels.min(axis=2))
    assert np.array_equal(most, pixels.max(axis=2))
    assert least.dtype == most.dtype == np.float32
