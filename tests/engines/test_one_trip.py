"""Pixels go to the device once and come back once, counted by the CUDA engine on the CPU."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

pytest.importorskip("torch")

from enhance_cli import methods
from enhance_cli.engines.cpu import CpuEngine
from enhance_cli.engines.cuda import CudaEngine
from enhance_cli.engines.residence import Residence
from enhance_cli.methods.auto.decision import Decision
from enhance_cli.methods.auto.enhancer import Auto
from enhance_cli.pipeline.recipe import Recipe
from enhance_cli.types import Image, Metadata
from tests import pictures

SIZE = 400, 600

PATHS = [
    ("clahe-adaptive", {}),
    ("clode", {}),
    ("clode", {"denoise": 0.5, "model": "lite"}),
    ("irle", {"model": "lite"}),
    ("local", {}),
    ("retinex", {}),
    ("retinex", {"denoise": 0.5}),
]


def recipe_of(engine, name, controls):
    method = methods.get(name)
    made = method.controls(**{**dict(method.example), **controls})
    return Recipe(engine, methods.open_enhancer(method, engine), made)


def photo(dtype=np.uint8, size=SIZE):
    return Image(pictures.dark(*size, dtype=dtype))


@pytest.mark.parametrize(("name", "controls"), PATHS, ids=str)
def test_pixels_go_up_once_and_come_down_once(name, controls):
    # local reviews samples, which of a smaller photo are all of its pixels
    engine, image = CudaEngine("cpu"), photo(np.uint16, (660, 800) if name == "local" else SIZE)
    found = recipe_of(engine, name, controls).enhance(image)
    traffic = engine.traffic
    assert (traffic.trips_up, traffic.trips_down) == (1, 1)
    assert image.nbytes <= traffic.trip_bytes_up < image.nbytes + 1024
    assert found.image.nbytes <= traffic.trip_bytes_down < image.nbytes + 1024
    if name == "local":  # its mask is a picture too
        assert traffic.largest_other <= image.nbytes // 3
    elif name == "irle":  # counts of all codes
        assert traffic.largest_other <= 3 * 8 * 2**16
    else:  # a proxy of 256×171 in float32 is the largest
        assert traffic.largest_other < image.nbytes // 2


@pytest.mark.parametrize("controls", [{}, {"chroma": "keep"}, {"amount": 0.5}])
def test_planes_travel_together(controls):
    pixels = pictures.dark(*SIZE)
    chroma = tuple(np.ascontiguousarray(pixels[::2, ::2, channel]) + 90 for channel in (2, 0))
    image = Image(pixels[..., 1].copy(), chroma=chroma)
    before = [plane.copy() for plane in (image.pixels, *chroma)]
    engine = CudaEngine("cpu")
    found = recipe_of(engine, "clahe-adaptive", controls).enhance(image).image
    expected = recipe_of(CpuEngine(), "clahe-adaptive", controls).enhance(image).image
    assert (engine.traffic.trips_up, engine.traffic.trips_down) == (1, 1)
    assert all(map(np.array_equal, (image.pixels, *chroma), before))
    for one, two in zip((found.pixels, *found.chroma), (expected.pixels, *expected.chroma), strict=True):
        assert np.abs(one.astype(int) - two.astype(int)).max() <= 1


def test_exposures_travel_together():
    engine = CudaEngine("cpu")
    stack = photo().replace(frames=(Image(pictures.dark(*SIZE, level=0.3)),))
    recipe_of(engine, "retinex", {"fuse": 2}).enhance(stack)
    assert (engine.traffic.trips_up, engine.traffic.trips_down) == (1, 1)
    assert engine.traffic.trip_bytes_up >= stack.nbytes


@pytest.mark.parametrize(("name", "controls"), PATHS, ids=str)
def test_a_photo_that_does_not_fit_is_rendered_by_tiles(name, controls):
    """And equals what is rendered whole, bit for bit; the photo given is not touched."""
    image = photo()
    before = image.pixels.copy()
    large, small = CudaEngine("cpu"), CudaEngine("cpu", card_memory=image.nbytes)
    whole = recipe_of(large, name, controls).enhance(image).image.pixels
    tiled = recipe_of(small, name, controls).enhance(image).image.pixels
    assert (small.traffic.trips_up, small.traffic.trips_down) == (0, 0)
    assert np.array_equal(whole, tiled)
    assert np.array_equal(image.pixels, before)


def test_the_photo_may_be_given_up():
    image = photo()
    expected = recipe_of(CudaEngine("cpu"), "clahe-adaptive", {}).enhance(image).image.pixels
    found = recipe_of(CudaEngine("cpu"), "clahe-adaptive", {}).enhance(image, reuse=True).image.pixels
    assert found is image.pixels
    assert np.array_equal(found, expected)


SHOWN = [
    ("clahe-adaptive", 1.0, 0.0),
    ("clahe-adaptive", 0.6, 0.0),
    ("clahe-adaptive", 1.2, 0.5),
    ("clode", 0.6, 0.5),
    ("", 0.0, 0.5),
]
"""Methods that auto chose, the amount of their change, and its shift."""


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("chosen", "amount", "shift"), SHOWN)
def test_auto_blends_and_shifts_where_the_pixels_are(monkeypatch, chosen, amount, shift, dtype):
    controls = {"denoise": 0.0, "model": "lite"} if chosen == "clode" else {}
    decision = Decision(chosen, controls, amount)
    monkeypatch.setattr(Auto, "_decided", lambda *_: decision)
    engine, image = CudaEngine("cpu"), photo(dtype)
    recipe_of(engine, "auto", {"shift": shift}).enhance(image)
    traffic = engine.traffic
    assert (traffic.trips_up, traffic.trips_down) == (1, 1)
    assert traffic.trip_bytes_up < image.nbytes + 1024
    assert traffic.trip_bytes_down < image.nbytes + 1024
    # A proxy in float32 is the largest, of a photo as small as this.
    assert traffic.largest_other < max(image.nbytes // 2, 600_000)


def test_the_solver_of_clode_keeps_its_state_on_the_device():
    """Its light goes up once; the shift comes down at the points that are looked at, and not at each evaluation."""
    engine, image = CudaEngine("cpu"), photo()
    plan = recipe_of(engine, "clode", {"time": 3.0, "model": "lite", "denoise": 0.0}).enhance(image).plan
    height, width = plan.proxy
    proxy = 3 * 4 * height * width
    assert plan.evaluations > plan.steps
    assert engine.traffic.other_bytes_up < 2 * proxy
    assert engine.traffic.other_bytes_down < (plan.steps + 2) * proxy


@pytest.mark.parametrize("name", ["clahe-adaptive", "retinex"])
def test_an_amount_is_blended_after_the_one_trip(name):
    engine, image = CudaEngine("cpu"), photo()
    recipe_of(engine, name, {"amount": 0.5}).enhance(image)
    assert (engine.traffic.trips_up, engine.traffic.trips_down) == (1, 1)
    assert engine.traffic.trip_bytes_down < image.nbytes + 1024


def test_the_mask_of_local_goes_up_once():
    """It is a picture of its own, drawn on the host; what the review samples has a bounded size."""

    class Engine(CudaEngine):
        sent: ClassVar[list[int]] = []

        def _send(self, array):
            self.sent.append(array.nbytes)
            return super()._send(array)

    engine, image = Engine("cpu"), photo(size=(1330, 1400))
    recipe_of(engine, "local", {"mask": "rect:0,0,100%,100%"}).enhance(image)
    mask = 2 * image.height * image.width
    assert (engine.traffic.trips_up, engine.traffic.trips_down) == (1, 1)
    assert [size for size in Engine.sent if size >= mask // 2] == [mask]


@pytest.mark.parametrize("name", ["clahe-adaptive", "retinex"])
def test_a_photo_of_another_colour_space_goes_up_as_methods_see_it(name):
    """By tiles, at 16 bits and with their halo, because the host converts them; an estimate may see the whole too."""
    from enhance_cli.imaging.profiles import Cicp, icc_of_cicp

    icc = icc_of_cicp(Cicp(9, 13), [])
    engine, image = CudaEngine("cpu"), photo().replace(metadata=Metadata(icc=icc))
    recipe_of(engine, name, {}).enhance(image)
    traffic, seen = engine.traffic, 2 * image.nbytes
    assert (traffic.trips_up, traffic.trips_down) == (0, 0)
    assert seen <= traffic.other_bytes_up < 1.5 * seen + image.nbytes + 2**21
    assert seen <= traffic.other_bytes_down < 1.5 * seen + 2**21


def test_small_arrays_go_up_together():
    """Such as curves and weights: in one copy for each kernel, in all types, orders and containers."""
    engine = CudaEngine("cpu")
    rng = np.random.default_rng(2)
    arrays = [
        rng.integers(0, 200, (3, 5)).astype(dtype).T
        for dtype in (np.uint8, np.uint16, np.int64, np.float32, np.float64)
    ]
    arrays += [np.zeros((0, 3), np.float32), np.array(True), np.arange(6, dtype=np.int32)[::2]]
    back = engine.call(
        lambda one, two, *, named: (one, *two["rest"], named), arrays[0], {"rest": arrays[1:]}, named=arrays[3]
    )
    for sent, found in zip([*arrays, arrays[3]], back, strict=True):
        assert found.dtype == sent.dtype
        assert np.array_equal(found, sent)
    assert engine.traffic.others_up == 2  # what is empty is on its own
    recipe = recipe_of(engine, "retinex", {})
    before = engine.traffic.others_up
    recipe.enhance(photo())
    assert engine.traffic.others_up - before < 40  # 16 of them for the patches that noise is measured in


def test_views_of_what_is_held_are_views():
    engine = CudaEngine("cpu")
    codes = np.arange(60, dtype=np.uint16).reshape(5, 12)
    with engine.resident([codes]):
        engine.traffic.others_up = 0
        for view in (codes, codes[1:4, 2:9], codes[::2, 1::3], codes.T, codes[2]):
            assert np.array_equal(engine.numpy(engine.run(lambda it: it.to(it.dtype), view)), view)
        assert engine.traffic.others_up == 0
        engine.run(lambda it: it, codes[::-1].copy())
        assert engine.traffic.others_up == 1
    engine.run(lambda it: it, codes)
    assert engine.traffic.others_up == 2


def test_what_kernels_write_stays_until_the_end():
    engine = CudaEngine("cpu")
    source, out, between = (np.zeros((4, 6), np.uint8) for _ in range(3))
    source[:] = 7

    def doubled(values, out):
        out.copy_(values * 2)

    with engine.resident([source], written=[out], discarded=[between]):
        engine.into(between, doubled, source)
        engine.into(out[1:3], doubled, engine.made(between)[1:3])
        engine.copy(out[0], source[0])
        engine.copy(out[3], source[3])
        assert not out.any()
    assert out[:, 0].tolist() == [7, 28, 28, 7]
    assert not between.any()


def test_what_numpy_wrote_is_left_alone():
    engine = CudaEngine("cpu")
    one, two = np.zeros((2, 4), np.uint8)
    with engine.resident(written=[one, two]):
        one[:] = 3
        engine.copy(two, np.full(4, 5, np.uint8))
    assert [one[0], two[0]] == [3, 5]
    assert engine.traffic.trips_down == 1
    with engine.resident(written=[one]):
        one[:] = 4
    assert (one[0], engine.traffic.trips_down) == (4, 1)


def test_nothing_comes_down_after_an_error():
    engine = CudaEngine("cpu")
    out = np.zeros(4, np.uint8)

    def failing():
        with engine.resident(written=[out]):
            engine.copy(out, np.ones(4, np.uint8))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert not out.any()
    engine.copy(out, np.ones(4, np.uint8))
    assert out.all()


def test_other_memory_is_not_found():
    held = Residence()
    array = np.zeros((4, 5), np.uint16)
    held.add(array, "held")
    assert held.find(array[1:, 2:]) == ("held", 7, (5, 1))
    for other in (array.copy(), array.view(np.uint8), array[::-1], array[:0]):
        assert held.find(other) is None
    held.remove([array])
    assert held.find(array) is None
