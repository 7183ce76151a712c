"""What every method promises; a new method is tested by existing."""

from __future__ import annotations

import contextlib
import io
import json
import random
from importlib import import_module

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.dispatcher import Dispatcher

from enhance_cli import methods
from enhance_cli.engines import open_engine
from enhance_cli.errors import UsageError
from enhance_cli.imaging.tiles import tiles
from enhance_cli.pipeline.recipe import Recipe
from enhance_cli.plan import Plan
from enhance_cli.report_fields import report_of, schema_of
from enhance_cli.types import Image, Window
from tests.pictures import waves

CPU = open_engine("cpu", threads=2)

VARIETIES = {name: [{}] for name in methods.names()} | {
    "clahe-adaptive": [{}, {"chroma": "keep"}],
    "clode": [{}, {"colour": "ratio"}, {"denoise": 0.0}, {"denoise": 0.5}],
    "irle": [{}, {"stage": "1"}, {"stage": "reference"}],
    "local": [{}, {"backbone": "star"}, {"lock": False}, {"degree": 0.6, "backbone": "star", "lock": False}],
    "retinex": [{}, {"denoise": 0.0}, {"denoise": 0.5}, {"under": 0.5, "over": 0.7}, {"model": "full"}],
}
"""Controls under which other kernels of a method run."""


@pytest.fixture(params=methods.names(), scope="module")
def enhancer(request):
    return methods.open_enhancer(methods.get(request.param), CPU)


def tried(enhancer, **controls):
    """Controls of a method, with those that have no default."""
    return enhancer.method.controls(**{**dict(enhancer.method.example), **controls})


def enhanced(enhancer, samples, **controls):
    recipe = Recipe(CPU, enhancer, tried(enhancer, **controls))
    return recipe.enhance(Image(samples))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (37, 1), (53, 71), (128, 96)])
def test_shape_depth_and_range_are_kept(enhancer, size, channels, dtype):
    samples = waves(*size, dtype, channels)
    before = samples.copy()
    result = enhanced(enhancer, samples)
    assert result.image.pixels.shape == samples.shape
    assert result.image.pixels.dtype == dtype
    assert np.array_equal(samples, before)
    assert 0 <= result.exposure["after"]["mean"] <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_black_and_white_stored_in_colour_stays_black_and_white(enhancer, dtype):
    rng = np.random.default_rng(3)
    ramp = np.linspace(0.02, 0.4, 120)[None, :] + rng.normal(0, 0.01, (90, 120))
    grey = np.rint(ramp.clip(0, 1) * np.iinfo(dtype).max).astype(dtype)
    out = enhanced(enhancer, np.repeat(grey[..., None], 3, axis=2)).image.pixels
    assert np.array_equal(out, np.repeat(out[..., :1], 3, axis=2))
    assert np.array_equal(out[..., 0], enhanced(enhancer, grey).image.pixels)


@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
def test_a_flat_picture_stays_flat(enhancer, level):
    out = enhanced(enhancer, np.full((64, 80, 3), level, np.uint8)).image.pixels
    assert np.ptp(out.reshape(-1, 3), axis=0).max() <= 1


def test_the_same_input_gives_the_same_bytes(enhancer):
    samples = waves(90, 130)
    assert np.array_equal(enhanced(enhancer, samples).image.pixels, enhanced(enhancer, samples).image.pixels)


def test_amount_zero_is_the_input(enhancer):
    samples = waves(64, 64)
    assert np.array_equal(enhanced(enhancer, samples, amount=0.0).image.pixels, samples)


def test_the_description_is_as_the_plan_declares_it(enhancer):
    for plan in plans_of(enhancer):
        schema, told = schema_of(report_of(type(plan))), plan.describe()
        jsonschema.validate(json.loads(json.dumps(told, allow_nan=False)), schema)
        assert list(told) == list(schema["properties"])


# --- plans from files ----------------------------------------------------------------------------------------


def packed(method, values):
    """The bytes of a plan with these values, whatever they are."""
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    plain = {name: value for name, value in values.items() if name not in arrays} | {"method": method}
    buffer = io.BytesIO()
    np.savez(buffer, __json__=np.array(json.dumps(plain)), **arrays)
    return buffer.getvalue()


def plans_of(enhancer):
    """A plan under each of the controls that other kernels run under."""
    for controls in VARIETIES[enhancer.method.name]:
        yield enhanced(enhancer, waves(40, 56), **controls).plan


def test_a_kept_plan_renders_the_same(enhancer):
    window = Window(waves(40, 56), 0, 0)
    for plan in plans_of(enhancer):
        again = type(plan).from_bytes(plan.to_bytes())
        assert np.array_equal(enhancer.render(window, again), enhancer.render(window, plan))


def test_every_array_of_a_plan_is_declared(enhancer):
    for plan in plans_of(enhancer):
        assert {name for name, value in vars(plan).items() if isinstance(value, np.ndarray)} <= set(plan.arrays)


WRONG_ARRAYS = {
    "a value more": lambda array: np.concatenate([array, array[..., :1]], axis=-1),
    "a value less": lambda array: array[..., :-1],
    "an axis more": lambda array: array[None],
    "an axis less": lambda array: array[0, ...],
    "another type": lambda array: array.astype(np.int64),
    "other bytes": lambda array: array.astype(array.dtype.newbyteorder() if array.dtype.itemsize > 1 else np.int8),
    "no number": lambda array: np.full_like(array, np.nan) if array.dtype.kind == "f" else array.astype("S4"),
    "huge": lambda array: np.full_like(array, 3e38) if array.dtype.kind == "f" else array.astype("S4"),
}


@pytest.mark.parametrize("change", WRONG_ARRAYS)
def test_no_kernel_sees_an_array_that_is_no_plans(enhancer, change):
    """They check no index: a wrong shape or a NaN would make them read foreign memory."""
    window = Window(waves(40, 56), 0, 0)
    for plan in plans_of(enhancer):
        for name in (name for name, array in vars(plan).items() if isinstance(array, np.ndarray) and array.size):
            wrong = WRONG_ARRAYS[change](getattr(plan, name))
            held = packed(plan.method, vars(plan) | {name: wrong})
            if change.startswith("a value") and isinstance(plan.arrays[name][0].shape[-1], str):
                with contextlib.suppress(UsageError):  # a length that any plan may have
                    enhancer.render(window, type(plan).from_bytes(held))
                continue
            with pytest.raises(UsageError, match="is not a plan saved by enhance"):
                type(plan).from_bytes(held)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, 10**30, True, "x", [], [[]], {}, None])
def test_no_kernel_sees_a_value_that_is_no_plans(enhancer, value):
    for plan in plans_of(enhancer):
        for name, kept in vars(plan).items():
            if isinstance(kept, int | float | tuple) and not isinstance(kept, bool) and kept not in ((), 0.0):
                if (value is None and "None" in str(type(plan).__annotations__.get(name))) or (
                    value == [] and "..." in str({**Plan.__annotations__, **type(plan).__annotations__}[name])
                ):
                    continue
                with pytest.raises(UsageError, match="is not a plan saved by enhance"):
                    type(plan).from_bytes(packed(plan.method, vars(plan) | {name: value}))


SIDES = st.one_of(st.integers(1, 3), st.integers(1, 64))
"""Of tiles. The smallest are drawn often: in them the compiler's loops have nothing but elements left over."""

PICTURES = {
    "height": st.integers(1, 120),
    "width": st.integers(1, 120),
    "tile_height": SIDES,
    "tile_width": SIDES,
    "colour": st.booleans(),
    "deep": st.booleans(),
    "seed": st.integers(0, 2**16),
}
_ENOUGH = 24  # tiles of a picture; rendering each of thousands would try nothing new


def assert_tiles_are_the_whole(enhancer, height, width, tile_height, tile_width, colour, deep, seed):
    samples = waves(height, width, np.uint16 if deep else np.uint8, 3 if colour else 1, seed)
    controls = VARIETIES[enhancer.method.name][seed % len(VARIETIES[enhancer.method.name])]
    controls = tried(enhancer, **controls)
    if samples.ndim == 2 and not enhancer.reads_planes(controls):
        samples = np.repeat(samples[..., None], 3, axis=2)
    plan = enhancer.estimate(Image(samples), controls)
    whole = enhancer.render(Window(samples, 0, 0), plan)
    cut = list(tiles(height, width, tile_height, tile_width, enhancer.method.halo))
    if len(cut) > _ENOUGH:
        cut = random.Random(seed).sample(cut, _ENOUGH)
    for tile in cut:
        window = Window(samples[tile.outer], tile.outer_top, tile.outer_left)
        part = enhancer.render(window, plan)[tile.inner_of_outer]
        assert np.array_equal(part, whole[tile.inner]), tile


WITH_KERNELS = [name for name in methods.names() if not methods.get(name).uses]


@pytest.mark.parametrize("name", [*(f"methods.{name.replace('-', '_')}" for name in WITH_KERNELS), "imaging"])
def test_no_kernel_takes_liberties_with_floating_point(name):
    """What the compiler may contract or reassociate it does otherwise in the elements that a vector leaves over."""
    modules = ["kernels_cpu"] if name != "imaging" else ["area", "bilateral_grid", "luma", "vector_math"]
    loaded = [import_module(f"enhance_cli.{name}.{module}") for module in modules]
    kernels = [it for module in loaded for it in vars(module).values() if isinstance(it, Dispatcher)]
    assert kernels
    assert [it.py_func.__name__ for it in kernels if it.targetoptions.get("fastmath")] == []


@settings(max_examples=25)
@given(**PICTURES)
def test_rendering_by_tiles_is_rendering_whole(enhancer, **drawn):
    assert_tiles_are_the_whole(enhancer, **drawn)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=2000)
@given(**PICTURES)
def test_rendering_by_tiles_is_rendering_whole_at_length(enhancer, **drawn):
    assert_tiles_are_the_whole(enhancer, **drawn)


def test_both_engines_agree_to_a_grey_level(enhancer):
    """The CUDA engine's code on a CPU device, against the CPU engine."""
    pytest.importorskip("torch")
    from enhance_cli.engines.cuda import CudaEngine

    twin = methods.open_enhancer(enhancer.method, CudaEngine("cpu"))
    for samples in (waves(120, 170), waves(77, 91, np.uint16), waves(64, 80, channels=1)):
        controls = tried(enhancer)
        if samples.ndim == 2 and not enhancer.reads_planes(controls):
            continue
        one = enhancer.render(Window(samples, 0, 0), enhancer.estimate(Image(samples), controls))
        two = twin.render(Window(samples, 0, 0), twin.estimate(Image(samples), controls))
        level = 257 if samples.dtype == np.uint16 else 1
        assert np.abs(one.astype(np.int64) - two.astype(np.int64)).max() <= level
