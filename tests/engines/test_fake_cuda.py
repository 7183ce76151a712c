"""Every kernel, network, estimate and render of every method on a CUDA device without a card (see `fake_cuda`)."""

from __future__ import annotations

import inspect
from importlib import import_module

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from enhance_cli import methods  # noqa: E402
from enhance_cli.pipeline.recipe import Recipe  # noqa: E402
from enhance_cli.types import Image  # noqa: E402
from tests import pictures  # noqa: E402
from tests.fake_cuda import FakeCuda, Recording, Wrong, device_guard  # noqa: E402

HEIGHT, WIDTH = 72, 96

CASES = {
    "clahe-adaptive": [{}, {"clip_limit": 2.0}],
    "clode": [{}, {"denoise": 0.5}],
    "irle": [{}, {"stage": "reference"}],
    "local": [{}, {"backbone": "star"}],
    "retinex": [{}, {"denoise": 0.5}],
    "auto": [{}],
}
"""Controls that no others share all kernels with."""

FURTHER = {
    "clahe-adaptive": [{"chroma": "keep"}, {"grid": "1x1"}],
    "clode": [{"time": "auto"}, {"denoise": 0.5, "model": "lite", "colour": "ratio"}],
    "irle": [{"stage": "1"}, {"model": "lite"}],
    "local": [{"lock": False}],
    "retinex": [{"denoise": 0.0}, {"under": 0.5, "over": 0.7}],
}
"""Controls under which they run in another order, or without some."""


def photo(layout, dtype):
    pixels = pictures.dark(HEIGHT, WIDTH, dtype=dtype)
    white = int(np.iinfo(dtype).max)
    if layout == "large":  # larger than the proxy of clode
        return Image(pictures.dark(24, 400, dtype=dtype))
    if layout == "grey":
        return Image(pixels[..., 1].copy())
    if layout == "planes":
        chroma = [np.full((HEIGHT // 2, WIDTH // 2), level, np.uint8) for level in (120, 134)]
        return Image(pixels[..., 1].copy(), chroma=tuple(chroma))
    if layout == "alpha":
        alpha = np.full((HEIGHT, WIDTH), white, dtype)
        alpha[:20, :30], alpha[40:50] = 0, white // 3
        return Image(pixels, alpha=alpha)
    return Image(pixels)


def enhanced(engine, name, controls, image):
    method = methods.get(name)
    enhancer = methods.open_enhancer(method, engine)
    recipe = Recipe(engine, enhancer, method.controls(**{**dict(method.example), **controls}))
    return recipe.enhance(image)


@pytest.fixture(scope="module")
def engines():
    """The recording engine and the fake one; networks are opened once."""
    with device_guard():
        yield Recording(), FakeCuda()


def on_a_fake_card(engines, name, controls, layout="colour", dtype=np.uint8):
    recording, fake = engines
    recording.came_down.clear()
    expected = enhanced(recording, name, controls, photo(layout, dtype))
    fake.expect(recording.came_down)
    found = enhanced(fake, name, controls, photo(layout, dtype))
    assert fake.all_came_down()
    assert np.array_equal(found.image.pixels, expected.image.pixels)


@pytest.mark.parametrize(
    ("name", "controls"),
    [(name, it) for name, cases in CASES.items() for it in cases]
    + [pytest.param(name, it, marks=pytest.mark.slow) for name, cases in FURTHER.items() for it in cases],
    ids=str,
)
def test_paths_of_every_method(engines, name, controls):
    on_a_fake_card(engines, name, controls)


@pytest.mark.parametrize("name", [name for name in CASES if methods.get(name).half])
def test_paths_in_single_precision(engines, name):
    on_a_fake_card((Recording(half=False), FakeCuda(half=False)), name, {})


def test_networks_on_a_fake_card_are_in_half_precision(engines):
    network, _ = engines[1].network(methods.get("local"), "deepupe")
    assert {it.dtype for it in network._network._module.parameters()} == {torch.float16}


LAYOUTS = [
    *((name, "colour", np.uint16) for name in CASES if name != "auto"),
    ("clahe-adaptive", "alpha", np.uint8),
    ("clahe-adaptive", "planes", np.uint8),
    ("clahe-adaptive", "grey", np.uint16),
    ("clode", "large", np.uint8),
]

FURTHER_LAYOUTS = [
    *((name, "alpha", dtype) for name in CASES for dtype in (np.uint8, np.uint16)),
    *((name, "grey", np.uint8) for name in CASES),
    ("auto", "colour", np.uint16),
]
"""Methods other than clahe-adaptive see colour, and weigh by opacity on the host."""


@pytest.mark.parametrize(
    ("name", "layout", "dtype"), LAYOUTS + [pytest.param(*it, marks=pytest.mark.slow) for it in FURTHER_LAYOUTS]
)
def test_layouts_and_depths_of_every_method(engines, name, layout, dtype):
    on_a_fake_card(engines, name, {}, layout, dtype)


@pytest.mark.parametrize("frames", [2])
def test_exposures_are_fused(engines, frames):
    recording, fake = engines
    recording.came_down.clear()
    stack = photo("colour", np.uint8).replace(frames=(Image(pictures.dark(HEIGHT, WIDTH, level=0.3)),) * (frames - 1))
    enhanced(recording, "retinex", {"fuse": frames}, stack)
    fake.expect(recording.came_down)
    enhanced(fake, "retinex", {"fuse": frames}, stack)
    assert fake.all_came_down()


def test_convolutions_on_a_card_are_not_rounded_to_ten_bits(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    FakeCuda()
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32  # torch's default


# --- what the tests above would find -------------------------------------------------------------------------


WITHOUT_THE_DEVICE = {
    "clahe-adaptive": (
        "torch.arange(start, start + length, device=like.device,",
        "torch.arange(start, start + length,",
    ),
    "clode": ("torch.from_numpy(cell).to(like.device), share", "torch.from_numpy(cell), share"),
    "irle": ("count)).to(luma.device)", "count))"),
    "local": ("dtype=torch.float64, device=like.device)", "dtype=torch.float64)"),
    "retinex": ("return places, torch.from_numpy(places).to(device)", "return places, torch.from_numpy(places)"),
}
"""In the kernels of each method one tensor that is put on the device, and the same without."""


@pytest.mark.parametrize("name", WITHOUT_THE_DEVICE)
def test_a_tensor_left_on_the_host_is_found(engines, monkeypatch, name):
    module = import_module(methods.get(name).module("kernels_cuda"))
    source, (wanted, left_out) = inspect.getsource(module), WITHOUT_THE_DEVICE[name]
    assert wanted in source
    changed = dict(vars(module))
    exec(compile(source.replace(wanted, left_out), module.__file__, "exec"), changed)
    for key, value in changed.items():
        monkeypatch.setattr(module, key, value, raising=False)
    with pytest.raises((Wrong, RuntimeError), match=r"device|host"):
        on_a_fake_card(engines, name, {}, "large")


WRONG = {
    "arithmetic of 16 bits": lambda codes: codes + codes,
    "an index of 16 bits": lambda codes: codes[:, torch.zeros(2, dtype=torch.int64, device=codes.device)],
    "a reduction of 16 bits": lambda codes: codes.amax(),
    "an index on the host": lambda codes: codes.to(torch.int32)[torch.zeros(2, dtype=torch.int64)],
    "a copy to the host": lambda codes: codes.cpu(),
    "an array without a copy": lambda codes: codes.numpy(),
    "a number without a copy": lambda codes: codes.to(torch.int32).sum().item(),
    "a condition": lambda codes: 1 if codes.to(torch.int32).sum() > 0 else 0,
    "two devices": lambda codes: codes.to(torch.float32) * torch.ones(3),
}


@pytest.mark.parametrize("fault", WRONG)
def test_what_a_card_refuses_is_found(engines, fault):
    with pytest.raises((Wrong, RuntimeError)):
        engines[1].run(WRONG[fault], np.zeros((4, 5, 3), np.uint16))


def test_what_a_card_does_is_let_pass(engines):
    def copied(codes):
        codes[1:].copy_(codes[:-1].to(torch.int32).clamp(max=5))
        return codes.to(torch.float32).sum()

    engines[1].run(copied, np.zeros((4, 5, 3), np.uint16))
