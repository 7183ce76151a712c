"""The kernels of retinex against formulas in numpy, the networks in torch, a whole cosine transform, and each other."""

from __future__ import annotations

import numpy as np
import pytest

from enhance_cli.imaging.blocks import Region
from enhance_cli.imaging.finish import UNCHANGED, fit
from enhance_cli.methods.retinex import formulas
from enhance_cli.methods.retinex import kernels_cpu as kernels
from enhance_cli.methods.retinex.arrays import FusionWeights, RestorationWeights
from enhance_cli.methods.retinex.noise_map import RADIUS, low_pass


def whole(height, width):
    return Region(height, width, 0, 0, 0, 0, height, width)


def fusion_weights(rng, candidates=3):
    shapes = ((16, 4), (candidates, 16), (8, 16), (8,), (8,))
    return FusionWeights(*(rng.normal(0, 0.5, shape).astype(np.float32) for shape in shapes))


def restoration_state(rng, width=10):
    shapes = {f"convs.{i}.weight": (width, 13 if i == 0 else width, 3, 3) for i in range(3)}
    shapes |= {f"convs.{i}.bias": (width,) for i in range(3)}
    shapes |= {f"heads.{i}.weight": (12, width, 1, 1) for i in range(3)} | {f"heads.{i}.bias": (12,) for i in range(3)}
    return {name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}


def grids(rng, rows=1, columns=1):
    return tuple(rng.normal(0, 2, (rows, columns, 12, 2)).astype(np.float32) for _ in range(2))


def planes(pixels):
    return np.moveaxis(pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max), 2, 0)


def codes(light, dtype):
    full = np.iinfo(dtype).max
    return np.floor(np.moveaxis(light, 0, 2).clip(0, 1) * full + 0.5)


TONES = fit(np.linspace(0.2, 0.8, 99), black=0.05, contrast=0.3, chroma=1.3)
"""A curve that takes a veil away."""

SIZES = [(1, 1), (2, 3), (37, 61), (64, 600)]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cells", [(1, 1), (5, 3), (1, 4)])
@pytest.mark.parametrize("powers", [(1.0, 1.0), (0.4, 0.0), (1.6, 0.7)])
def test_slicing_dividing_and_fusing_are_the_formulas(rng, size, dtype, cells, powers):
    pixels = rng.integers(0, np.iinfo(dtype).max + 1, (*size, 3)).astype(dtype)
    fusion, maps = fusion_weights(rng), grids(rng, *cells)
    candidates = formulas.candidates(planes(pixels), maps, powers)
    scored = formulas.candidates(planes(pixels), maps, formulas.scored_powers(powers))
    weights = formulas.weights(scored, fusion)
    for tones in (UNCHANGED, TONES):
        expected = formulas.fused(candidates, weights, planes(pixels), tones)
        out = kernels.render([pixels], whole(*size), maps, powers, tones, fusion, None)
        # The roots and powers of vectors differ from the library's in the sixth digit, and a curve's slope is above 1.
        assert np.abs(out - codes(expected, dtype)).max() <= (1 if dtype == np.uint8 else 16 if tones is TONES else 4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_clipped_white_stays_white_and_tones_near_it_stay_in_order(rng, dtype):
    white = np.iinfo(dtype).max
    ramp = np.linspace(0.6, 1.0, 200)
    pixels = np.rint(np.repeat(ramp[None, :, None], 3, axis=2).repeat(4, axis=0) * white).astype(dtype)
    # An inverse illumination that darkens everything as much as it can.
    maps = np.zeros((1, 1, 12, 2), np.float32), np.full((1, 1, 12, 2), -8.0, np.float32)
    fusion = fusion_weights(rng)._replace(third=np.zeros_like(fusion_weights(rng).third))
    out = kernels.render([pixels], whole(4, 200), maps, (0.0, 1.0), UNCHANGED, fusion, None)[0, :, 0] / white
    assert (out[ramp >= 0.985] >= pixels[0, ramp >= 0.985, 0] / white - 1e-6).all()
    assert out[100] < ramp[100] - 0.05
    assert (np.diff(out) >= 0).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("count", [2, 5])
def test_fusing_frames_is_the_formula(rng, dtype, count):
    frames = [rng.integers(0, np.iinfo(dtype).max + 1, (31, 45, 3)).astype(dtype) for _ in range(count)]
    fusion = fusion_weights(rng, count)
    candidates = [planes(frame) for frame in frames]
    expected = formulas.fused(candidates, formulas.weights(candidates, fusion))
    out = kernels.render(frames, whole(31, 45), None, (1.0, 1.0), UNCHANGED, fusion, None)
    assert np.abs(out - codes(expected, dtype)).max() <= 1


@pytest.mark.parametrize("width", [6, 10])
@pytest.mark.parametrize("size", SIZES)
def test_the_cascade_is_the_network(rng, size, width):
    torch = pytest.importorskip("torch")
    from enhance_cli.methods.retinex import network

    state = restoration_state(rng, width)
    module = network.Restoration(width)
    module.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    pixels = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    maps = grids(rng, 2, 2)
    light, noise = kernels.render_light(
        [pixels], whole(*size), maps, (0.7, 0.6), TONES, fusion_weights(rng), RestorationWeights.of(state)
    )
    dark = formulas.illumination(maps[0], planes(pixels).max(axis=0))
    even = [(0, 0), (0, size[0] % 2), (0, size[1] % 2)]
    given = np.pad(np.concatenate([light, dark[None]]), even, mode="edge")
    with torch.no_grad():
        (expected,) = module(torch.from_numpy(given)[None])
    faded = np.clip((1.0 - light) / formulas.RESTORED, 0.0, 1.0)
    assert np.abs(noise - faded * expected[0, :, : size[0], : size[1]].numpy()).max() < 2e-5


def test_the_formulas_are_those_of_training(rng):
    """Torch trains, and runs on CUDA; NumPy estimates."""
    torch = pytest.importorskip("torch")
    from enhance_cli.methods.retinex import formulas_torch, network
    from enhance_cli.methods.retinex.training.mending import illumination

    light = rng.random((3, 40, 56)).astype(np.float32)
    maps = grids(rng, 4, 6)
    image, tensors = torch.from_numpy(light)[None], [torch.from_numpy(grid)[None] for grid in maps]
    forward = illumination(tensors[0], formulas_torch.bright_channel(image))
    inverse = illumination(tensors[1], formulas_torch.bright_channel(1.0 - image))
    parts = formulas.candidates(light, maps, (1.0, 1.0))
    assert np.abs(formulas.illumination(maps[0], light.max(axis=0)) - forward[0, 0].numpy()).max() < 1e-5
    for ours, theirs in zip(parts, formulas_torch.candidates(image, forward, inverse), strict=True):
        assert np.abs(ours - theirs[0].numpy()).max() < 2e-5
    statistics = formulas_torch.luma_statistics(formulas_torch.thinned(image))
    assert np.abs(formulas.luma_statistics(light) - statistics[0].numpy()).max() < 1e-6
    module = network.Fusion()
    tensors = {name: value.detach().numpy() for name, value in module.state_dict().items()}
    known = np.stack([formulas.luma_statistics(part) for part in parts])
    biases = known @ tensors["statistics.weight"].T + tensors["first.bias"]
    second = tensors["second.weight"], tensors["second.bias"]
    fusion = FusionWeights(tensors["first.weight"], biases, *second, tensors["third.weight"][0])
    with torch.no_grad():
        scores = module(torch.from_numpy(np.stack(parts)), torch.from_numpy(known))[0]
    assert np.abs(formulas.weights(parts, fusion) - torch.softmax(scores, dim=0)[:, 0].numpy()).max() < 1e-5


@pytest.mark.parametrize("strength", [0.0, 0.2, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("size", [(48, 70), (9, 12), (1, 33)])
def test_the_rule_of_denoise_weighs_the_cosine_transform_of_the_whole_map(rng, strength, size):
    """docs/papers.md, R7: coefficients above 1 - strength stay, with a soft edge, to 1e-5."""
    from scipy.fft import dctn, idctn

    noise = rng.normal(0, 1, (3, *size)).astype(np.float32)
    taps = low_pass(strength)
    applied = kernels.high_pass(noise, taps, whole(*size), whole(*size))
    low = []
    for length in size:
        angle = np.pi * np.arange(length)[:, None] / length * np.arange(1, RADIUS + 1)
        low.append(taps[0] + 2.0 * (taps[1:] * np.cos(angle)).sum(axis=1))
        assert (low[-1] >= -1e-6).all()
        assert (low[-1] <= 1 + 1e-6).all()
    kept = 1.0 - low[0][:, None] * low[1][None]
    expected = idctn(dctn(noise, axes=(1, 2), norm="ortho") * kept, axes=(1, 2), norm="ortho")
    assert np.abs(applied - expected).max() < 1e-5
    if strength in (0.0, 1.0):
        assert np.abs(applied - strength * noise).max() < 1e-6


def test_every_frequency_is_kept_more_with_strength():
    angles = np.linspace(0, np.pi, 200)[:, None] * np.arange(1, RADIUS + 1)
    spectra = []
    for strength in np.linspace(0, 1, 21):
        taps = low_pass(strength).astype(float)
        spectra.append(taps[0] + 2.0 * (taps[1:] * np.cos(angles)).sum(axis=1))
    assert (np.diff(spectra, axis=0) <= 1e-6).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("frames", [1, 3])
def test_both_engines_render_alike(rng, dtype, frames):
    pytest.importorskip("torch")
    from enhance_cli.engines.cuda import CudaEngine
    from enhance_cli.methods.retinex import kernels_cuda

    engine = CudaEngine("cpu")
    height, width = 90, 131
    pictures = [rng.integers(0, np.iinfo(dtype).max + 1, (50, 80, 3)).astype(dtype) for _ in range(frames)]
    region = Region(height, width, 17, 31, 25, 39, 59, 103)  # a window inside, and its middle
    maps = grids(rng, 4, 3) if frames == 1 else None
    fusion, restoration = fusion_weights(rng), RestorationWeights.of(restoration_state(rng))
    level = 1 if dtype == np.uint8 else 257
    for network, powers in ((None, (0.8, 1.0)), (restoration, (1.5, 0.7))):
        one, two = np.zeros_like(pictures[0]), np.zeros_like(pictures[0])
        arguments = pictures, region, maps, powers, TONES, fusion, network
        kernels.render(*arguments, one)
        engine.into(two, kernels_cuda.render, *arguments)
        assert np.abs(one.astype(int) - two.astype(int)).max() <= level
        for found in (one, two):  # outside of the region it is the frame
            assert np.array_equal(found[:8], pictures[0][:8])
            assert np.array_equal(found[:, 72:], pictures[0][:, 72:])
            assert not np.array_equal(found[8:42, 8:72], pictures[0][8:42, 8:72])
    wanted, around = region._replace(top=45, left=60, bottom=50, right=71), whole(height, width)
    noise = rng.normal(0, 0.1, (3, height, width)).astype(np.float32)
    found = engine.call(kernels_cuda.high_pass, noise, low_pass(0.4), around, wanted)
    assert np.abs(found - kernels.high_pass(noise, low_pass(0.4), around, wanted)).max() < 1e-5


def test_logarithms_and_powers_of_rows():
    from enhance_cli.imaging.vector_math import exp_row, log2_row

    values = np.geomspace(1e-6, 4.0, 10001).astype(np.float32)
    whole_, row = np.empty(len(values), np.int32), values.copy()
    log2_row(row, whole_)
    assert np.abs(row - np.log2(values.astype(float))).max() < 2e-6
    ones = np.ones(8, np.float32)
    log2_row(ones, whole_)
    assert (ones == 0).all()
    exponents = np.linspace(-80, 80, 10001).astype(np.float32)
    row = exponents.copy()
    exp_row(row, whole_)
    assert np.abs(row / np.exp(exponents.astype(float)) - 1).max() < 1e-5
