"""irle end to end: kernels against slow formulas, windows, what each control promises.

Where arithmetic is judged the denoiser is a small function that is known; where quality is, the shipped one.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest

from benchmarks.lib.sets import DATA
from benchmarks.lib.two_tone import two_tone_flatness, two_tone_pictures
from enhance_cli.engines.cpu import CpuEngine
from enhance_cli.engines.weights import Weights
from enhance_cli.errors import UsageError
from enhance_cli.imaging.finish import UNCHANGED, Tones, finished, fit
from enhance_cli.imaging.tiles import tiles
from enhance_cli.methods.irle import HALO, METHOD, IrleControls, blocks, kernels_cpu, tone
from enhance_cli.methods.irle import pseudo_ground_truth as reference_room
from enhance_cli.methods.irle.empty import HELD, Empty, empty_grid, held
from enhance_cli.methods.irle.enhancer import Irle
from enhance_cli.methods.irle.plan import NETWORK_HALO, REACH, IrlePlan
from enhance_cli.pipeline.recipe import Recipe
from enhance_cli.quality.blind import hue_change
from enhance_cli.quality.pictures import read_rgb
from enhance_cli.types import Image, Window
from tests.networks import Known
from tests.pictures import dark

ROOT = Path(__file__).resolve().parents[3]
ENGINE, SHIPPED = CpuEngine(1), CpuEngine(2)


class Fake:
    """A denoiser that knows each pixel's neighbours at some distance, and how many blocks it was asked for."""

    calls = 0

    def network(self, image, gain):
        self.calls += 1
        assert image.shape[2] % 16 == image.shape[3] % 16 == 0
        assert image.shape[2:] == gain.shape[2:]
        clean = np.pad(image, ((0, 0), (0, 0), (90, 90), (90, 90)))  # as a network's padding: nothing wraps around
        for axis in (2, 3):
            length = image.shape[axis]
            parts = (clean.take(range(90 + step, 90 + step + length), axis) for step in (-90, -1, 0, 1, 90))
            clean = sum(parts) / np.float32(5.0)
        return {"clean": (clean + np.float32(0.01) * gain).astype(np.float32)}

    def on(self, engine):
        engine.network = lambda method, stem: (Known(self.network), Weights("irle/fake", "0" * 64, Path("fake")))
        return Irle(engine)


@pytest.fixture
def fake():
    return Fake()


@pytest.fixture
def irle(fake):
    return fake.on(CpuEngine(1))


@pytest.fixture(scope="module")
def shipped():
    return Irle(SHIPPED)


scene = partial(dark, level=0.05, noise=0.008, edge=0.1)


def enhanced(irle, pixels, **controls):
    return Recipe(ENGINE, irle, IrleControls(**controls)).enhance(Image(pixels))


def rendered(irle, pixels, **controls):
    return enhanced(irle, pixels, **controls).image.pixels


# --- kernels -------------------------------------------------------------------------------------------------


def tables(curve, dtype, balance=(1.1, 1.0, 0.8)):
    white = np.iinfo(dtype).max
    light = np.arange(white + 1, dtype=np.float32) * (np.asarray(balance, np.float32) / np.float32(white))[:, None]
    return light, curve(light)


CURVE = tone.ToneCurve(0.5, 2.4, 40.0)
DEEP = replace(CURVE, black=0.04)
NUMBERS = (0.8, 0.7, 1.2, 1.03)
NOWHERE = Empty(np.empty((0, 0, 0), np.float32), 1, 1, 0, 0)
TONES = fit(np.linspace(0.2, 0.8, 99), black=0.05, contrast=0.3, chroma=1.3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_stage_one_by_look_up_is_the_formula(rng, dtype):
    codes = (rng.random((60, 83, 3)) ** 3 * np.iinfo(dtype).max).astype(dtype)
    codes[:4, :4] = 0
    codes[4:8, :4] = 77  # grey, and so without a span between its channels but for the balance
    light, bright = tables(CURVE, dtype)
    picture, luma = kernels_cpu.first_stage(codes, light, bright)
    expected = codes.astype(np.float32) * (np.float32([1.1, 1.0, 0.8]) / np.float32(np.iinfo(dtype).max))
    np.testing.assert_allclose(picture.transpose(1, 2, 0), CURVE.picture(expected), atol=3e-6)
    np.testing.assert_allclose(luma, expected @ reference_room.LUMA, atol=1e-6)
    smooth = cv2.GaussianBlur(expected @ reference_room.LUMA, (0, 0), 4.0)
    for curve in (CURVE, DEEP):
        np.testing.assert_allclose(kernels_cpu.log_gain(luma, curve.gain_numbers), curve.log_gain(smooth), atol=1e-5)


def test_the_end_of_the_way_is_the_formula(rng):
    picture, clean = (rng.random((3, 41, 37)).astype(np.float32) for _ in range(2))
    gain = rng.uniform(-1.0, 4.0, (41, 37)).astype(np.float32)
    share = 0.8 * np.clip(gain / 0.7, 0.0, 1.0)
    mixed = (picture + share * (clean - picture)).transpose(1, 2, 0)
    light = np.clip(reference_room.coloured(mixed, gain, 1.2) * 1.03, 0.0, 1.0).transpose(2, 0, 1)
    for dtype in (np.uint8, np.uint16):
        out = np.empty((41, 37, 3), dtype)
        white = np.iinfo(dtype).max
        codes = (rng.random((41, 37, 3)) ** 0.3 * white).astype(dtype)
        for tones in (UNCHANGED, TONES):
            kernels_cpu.finish(picture, clean, gain, codes, NUMBERS, tones, NOWHERE, out)
            source = codes.transpose(2, 0, 1) / np.float32(white)
            expected = finished(light, source, tones, follows=reference_room.SKIN_FOLLOWS).transpose(1, 2, 0)
            assert np.abs(out - expected * white).max() <= 0.5 + 2e-5 * white
            grid = rng.random((5, 4, 9)).astype(np.float32)
            kernels_cpu.finish(picture, clean, gain, codes, NUMBERS, tones, Empty(grid, 41, 37, 0, 0), out)
            expected = held(expected, codes / np.float32(white), grid)
            assert np.abs(out - expected * white).max() <= 0.5 + 4e-5 * white


def test_colour_follows_the_gain_and_no_hue_turns(rng):
    picture = rng.random((40, 40, 3)).astype(np.float32)
    grey = picture @ reference_room.LUMA
    for gain, factor in ((0.0, 1.0), (0.5, 1.25), (1.9, 1.0), (4.1, 0.3)):
        out = reference_room.coloured(picture, np.full((40, 40), gain, np.float32))
        np.testing.assert_allclose(out @ reference_room.LUMA, grey, atol=1e-5)
        assert out.min() >= -1e-5
        assert out.max() <= 1.0 + 1e-5
        colour, after = picture - grey[..., None], out - grey[..., None]
        grown = (after * colour).sum(axis=2) / np.maximum(np.square(colour).sum(axis=2), 1e-6)
        np.testing.assert_allclose(after, grown[..., None] * colour, atol=1e-5)
        assert grown.max() <= factor + 1e-3
        assert np.median(grown) == pytest.approx(factor, abs=0.02 if factor <= 1.0 else 0.1)


def test_enlarging_a_constant_or_a_ramp_gives_it_again():
    small = np.full((5, 7, 3), 0.25, np.float32)
    out = np.empty((50, 70, 3), np.uint8)
    kernels_cpu.enlarge(small, 50, 70, 0, 0, out)
    assert (out == 64).all()
    ramp = np.repeat(np.arange(8, dtype=np.float32)[None, :, None] / 8, 4, 0).repeat(3, 2)
    out = np.empty((40, 80, 3), np.uint16)
    kernels_cpu.enlarge(ramp, 40, 80, 0, 0, out)
    expected = np.clip((np.arange(80) + 0.5) / 10 - 0.5, 0, 7) / 8 * 65535
    assert np.abs(out[3, :, 1] - expected).max() <= 0.51
    part = np.empty((11, 23, 3), np.uint16)
    kernels_cpu.enlarge(ramp, 40, 80, 20, 31, part)
    assert np.array_equal(part, out[20:31, 31:54])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_kernels_of_both_engines_agree(rng, dtype):
    torch = pytest.importorskip("torch")
    from enhance_cli.methods.irle import kernels_cuda

    codes = (rng.random((50, 71, 3)) ** 2 * np.iinfo(dtype).max).astype(dtype)
    arrays = codes, *tables(CURVE, dtype)
    one = kernels_cpu.first_stage(*arrays)
    two = kernels_cuda.first_stage(*(torch.from_numpy(array) for array in arrays))
    for mine, its in zip(one, two, strict=True):
        np.testing.assert_allclose(its.numpy(), mine, atol=2e-6)
    curve = DEEP.gain_numbers
    for luma in (one[1], one[1][:1], one[1][:7, :9]):  # also smaller than the blur reaches
        luma = np.ascontiguousarray(luma)
        gain = kernels_cpu.log_gain(luma, curve)
        np.testing.assert_allclose(kernels_cuda.log_gain(torch.from_numpy(luma), curve).numpy(), gain, atol=1e-5)
    gain = kernels_cpu.log_gain(one[1], curve)
    clean = np.clip(one[0] + rng.normal(0, 0.05, one[0].shape), 0, 1).astype(np.float32)
    outs = np.empty_like(codes), torch.zeros(codes.shape, dtype=two[0].new_tensor(0).dtype).to(torch.int32)
    its_out = torch.from_numpy(np.empty_like(codes))
    its = [torch.from_numpy(array) for array in (one[0], clean, gain, codes)]
    levels = 1 if dtype == np.uint8 else 8
    place = (90, 130, 31, 17)
    for grid in (NOWHERE.grid, rng.random((5, 4, 9)).astype(np.float32)):
        kernels_cpu.finish(one[0], clean, gain, codes, NUMBERS, TONES, Empty(grid, *place), outs[0])
        kernels_cuda.finish(*its, NUMBERS, TONES, Empty(torch.from_numpy(grid), *place), its_out)
        assert np.abs(its_out.numpy().astype(int) - outs[0]).max() <= levels
    small = rng.random((9, 13, 3)).astype(np.float32)
    kernels_cpu.enlarge(small, 90, 120, 7, 5, outs[0])
    kernels_cuda.enlarge(torch.from_numpy(small), 90, 120, 7, 5, its_out)
    assert np.abs(its_out.numpy().astype(int) - outs[0]).max() <= levels


# --- windows -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("height", "width", "tile", "block", "stage"),
    [
        (589, 240, 130, 192, "2"),
        (40, 240, 30, 192, "2"),
        (300, 641, 97, 64, "2"),
        (430, 410, 256, 128, "2"),
        (411, 505, 120, 128, "1"),
        (200, 333, 61, 64, "reference"),
    ],
)
def test_windows_are_the_whole_bit_for_bit(irle, height, width, tile, block, stage):
    pixels = scene(height, width)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", block)
        plan = replace(irle.estimate(Image(pixels), IrleControls(stage=stage)), notes=())
        whole = irle.render(Window(pixels, 0, 0), plan)
        stitched = np.empty_like(pixels)
        for part in tiles(height, width, tile, tile + 17, HALO):
            window = Window(pixels[part.outer], part.outer_top, part.outer_left)
            stitched[part.inner] = irle.render(window, plan)[part.inner_of_outer]
    assert np.array_equal(stitched, whole)


def test_blocks_show_no_seams(shipped):
    """With all that a network can see around a block, blocks are the whole picture to a rounding."""
    pixels = scene(300, 420)
    plan = shipped.estimate(Image(pixels), IrleControls(model="lite"))
    whole = shipped.render(Window(pixels, 0, 0), plan)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", 128)
        parts = Irle(SHIPPED).render(Window(pixels, 0, 0), plan)
    assert np.abs(parts.astype(int) - whole).max() <= 1
    assert (parts != whole).mean() < 1e-3


def test_halos_are_the_networks(shipped):
    pytest.importorskip("torch")
    from enhance_cli.engines import weights
    from enhance_cli.methods.irle import network
    from enhance_cli.training.export import read_configuration

    for model, halo in NETWORK_HALO.items():
        if not (weights.weights_folder() / "irle" / f"denoiser-{model}.json").exists():
            continue
        module = network.build(read_configuration(weights.find(METHOD, f"denoiser-{model}", "safetensors").path))
        assert module.halo <= halo
        assert halo % blocks.MULTIPLE == blocks.BORDER % blocks.MULTIPLE == blocks.BLOCK % blocks.MULTIPLE == 0
        assert blocks.MULTIPLE % module.multiple == 0
    assert max(NETWORK_HALO.values()) + REACH <= HALO
    assert REACH == kernels_cpu.REACH


def test_the_stream_computes_no_block_twice(irle, fake):
    pixels = scene(40, 3 * blocks.BLOCK + 300)  # narrower than the halo, the last one would be done twice
    plan = replace(irle.estimate(Image(pixels), IrleControls()), notes=())
    fake.calls = 0
    Recipe(ENGINE, irle, IrleControls(), plan=plan).enhance(Image(pixels))
    assert fake.calls == 4


# --- what is promised ------------------------------------------------------------------------------------------


def test_denoise_zero_is_stage_one_exactly(shipped):
    """Without denoising, what stage 1 made is unchanged."""
    pixels = scene()
    one = rendered(shipped, pixels, stage="1")
    assert np.array_equal(rendered(shipped, pixels, denoise=0), one)
    assert not np.array_equal(rendered(shipped, pixels), one)
    assert np.array_equal(rendered(shipped, pixels, stage="1", denoise=0.3), one)


def test_stage_one_is_the_formula_on_the_whole_picture(irle):
    pixels = scene(211, 173)
    plan = irle.estimate(Image(pixels), IrleControls(stage="1"))
    light = pixels.astype(np.float32) * (np.asarray(plan.balance, np.float32) / np.float32(255.0))
    gain = plan.curve.log_gain(cv2.GaussianBlur(light @ reference_room.LUMA, (0, 0), 4.0))
    expected = reference_room.coloured(plan.curve.picture(light), gain, plan.chroma) * plan.level
    planes = np.clip(expected, 0, 1).transpose(2, 0, 1), pixels.transpose(2, 0, 1) / np.float32(255.0)
    tones = Tones(plan.tones, plan.toned_chroma)
    expected = finished(*planes, tones, follows=reference_room.SKIN_FOLLOWS).transpose(1, 2, 0)
    out = irle.render(Window(pixels, 0, 0), plan)
    assert np.abs(out - expected * 255).max() <= 0.52


def test_a_share_of_the_noise_goes_in_between(shipped):
    pixels = scene()
    none, half, all_ = (rendered(shipped, pixels, denoise=share).astype(float) for share in (0.0, 0.5, 1.0))
    # Roundings; a few samples in a thousand are colours that the gamut bounds, which end elsewhere.
    assert np.percentile(np.abs(half - 0.5 * (none + all_)), 99.5) <= 2.5


@pytest.mark.parametrize("target", [0.25, 0.4, 0.47])
def test_the_exposure_is_what_was_asked_for(shipped, target):
    done = enhanced(shipped, scene(), exposure=target)
    assert done.image.pixels.mean() / 255 == pytest.approx(target, abs=0.02)
    assert done.plan.describe()["exposure"]["after"] == pytest.approx(target, abs=0.02)
    assert not done.plan.notes


def test_an_exposure_that_lights_or_black_hold_back_is_a_note(irle):
    for pixels, target in ((scene(), 0.8), (np.zeros((64, 64, 3), np.uint8), 0.47)):
        done = enhanced(irle, pixels, exposure=target)
        assert done.image.pixels.mean() / 255 < target - 0.05
        assert any(f"not the {target:.2f} aimed for" in note for note in done.plan.notes)


@pytest.mark.parametrize("exposure", [0.3, 0.47])
def test_a_bright_picture_is_left_alone_and_there_is_no_step_on_the_way_there(shipped, exposure):
    bright = np.clip(scene(level=0.5, noise=0.002).astype(float) + 20, 0, 255).astype(np.uint8)
    assert bright.mean() / 255 > 0.47
    assert np.array_equal(rendered(shipped, bright, exposure=exposure, white_balance=0), bright)
    # A little darker than what is asked for: it is changed a little, and white stays white.
    just = float(bright.mean() / 255) + 0.004
    assert np.abs(rendered(shipped, bright, exposure=just, white_balance=0).astype(int) - bright).max() <= 4


def test_a_factor_below_one_gives_way_to_a_gentler_curve(irle):
    pixels = np.clip(scene(level=0.33, noise=0.0).astype(int), 0, 255).astype(np.uint8)
    pixels[:30] = 250
    plan = irle.estimate(Image(pixels), IrleControls(white_balance=0, exposure=0.47))
    assert plan.factor == 1.0
    assert plan.exponent < 1.0
    out = irle.render(Window(pixels, 0, 0), plan)
    assert out[:10].min() >= 245
    assert out.mean() / 255 == pytest.approx(0.47, abs=0.02)


def test_without_a_number_the_exposure_is_predicted_and_reported(irle):
    plan = irle.estimate(Image(scene()), IrleControls())
    assert plan.describe()["target"] == {"luma": round(plan.target, 4), "predicted": True}
    assert 0.3 < plan.target < 0.6
    fixed = irle.estimate(Image(scene()), IrleControls(exposure=0.3))
    assert fixed.describe()["target"] == {"luma": 0.3, "predicted": False}
    assert irle.prepare(IrleControls(stage="1", exposure=0.3)) == ()
    assert [found.id for found in irle.prepare(IrleControls(stage="1"))] == ["exposure/predictor-1"]


def test_bright_photos_keep_light_and_colours(irle):
    """The colour cast too: what is lit was meant to look like that."""
    warm = np.rint(scene(level=0.6, noise=0.0) * np.array([1.1, 1.0, 0.7])).clip(0, 255).astype(np.uint8)
    plan = irle.estimate(Image(warm), IrleControls(exposure=0.4))
    assert plan.leaves_light
    assert np.array_equal(irle.render(Window(warm, 0, 0), plan), warm)
    dark_one = np.rint(scene(level=0.05, noise=0.0) * np.array([1.1, 1.0, 0.7])).clip(0, 255).astype(np.uint8)
    assert irle.estimate(Image(dark_one), IrleControls()).balance[2] > 1.05


def test_a_night_sky_stays_black_and_a_dark_wall_does_not(irle, rng):
    night = (10.0 + rng.normal(0, 1.5, (200, 300, 3))).clip(0, 255)
    wall = night.copy()
    night[120:, 60:240] = rng.uniform(40, 255, (80, 180, 1))
    for pixels, empty in ((night, True), (wall, False)):
        codes = np.rint(pixels).astype(np.uint8)
        plan = irle.estimate(Image(codes), IrleControls(stage="1"))
        assert (plan.black > 0.0) is empty
        sky = irle.render(Window(codes, 0, 0), plan)[:100].mean()
        assert sky < 40 if empty else sky > 60


def test_what_is_clipped_stays_white(irle):
    pixels = np.rint(scene(level=0.1) * np.array([1.2, 1.0, 0.8])).clip(0, 255).astype(np.uint8)
    pixels[20:60, 30:90] = 255
    out = rendered(irle, pixels, white_balance=1.0)
    assert out[24:56, 34:86].min() >= 252


def test_the_gain_is_bounded(irle):
    pixels = scene(noise=0.0)
    out = rendered(irle, pixels, max_gain=3, stage="1", white_balance=0).astype(int)
    assert (out <= 3 * 1.1 * pixels.max(axis=2, keepdims=True) + 1).all()
    assert out.mean() < rendered(irle, pixels, stage="1").mean()


def test_a_cast_is_taken_away_by_the_share_asked_for(irle):
    """A cast is taken away by half at least."""
    grey = scene(noise=0.0, level=0.1)[..., :1].repeat(3, axis=2)
    tinted = np.rint(grey * np.array([1.2, 1.0, 0.8])).clip(0, 255).astype(np.uint8)

    def cast(pixels):
        mean = pixels.reshape(-1, 3).astype(float).mean(axis=0)
        return abs(math.log(mean[0] / mean[2]))

    casts = [cast(rendered(irle, tinted, white_balance=share, stage="1")) for share in (0.0, 0.5, 1.0)]
    assert casts[2] < 0.5 * casts[0]
    assert casts[2] < casts[1] < casts[0]


def test_a_cast_that_cannot_be_undone_is_a_note(irle):
    tinted = (scene(level=0.15).astype(float) * np.array([1.0, 0.25, 0.05])).astype(np.uint8)

    def noted(pixels, **controls):
        return any("tinted too strongly" in note for note in enhanced(irle, pixels, **controls).plan.notes)

    assert noted(tinted)
    assert not noted(tinted, white_balance=0)
    assert not noted(scene())


def test_the_reference_is_smooth_and_of_the_asked_exposure(irle, fake):
    pixels = scene(noise=0.02)
    out = rendered(irle, pixels, stage="reference", exposure=0.47)
    assert fake.calls == 0
    assert out.mean() / 255 == pytest.approx(0.47, abs=0.03)
    fine = [np.diff(picture.astype(float), axis=1).std() for picture in (out, rendered(irle, pixels, stage="1"))]
    assert fine[0] < 0.25 * fine[1]


def test_the_model_follows_the_device(fake):
    for preferred in ("lite", "full"):
        engine = CpuEngine(1)
        engine.model = preferred
        irle = fake.on(engine)
        for asked, model in (("auto", preferred), ("lite", "lite"), ("full", "full")):
            assert irle.estimate(Image(scene(40, 50)), IrleControls(model=asked)).model == model


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        ({"exposure": 1.0}, "--exposure: it is auto or a number"),
        ({"white_balance": -1}, "--white-balance: it is auto or a number"),
        ({"denoise": 2}, "--denoise must lie"),
        ({"stage": 3}, "--stage is one of"),
        ({"model": "huge"}, "--model is one of"),
        ({"max_gain": 0.5}, "--max-gain must lie"),
        ({"adapt": -1}, "--adapt must lie"),
        ({"adapt": "many"}, "--adapt: "),
    ],
)
def test_controls_that_make_no_sense_are_a_sentence(given_, sentence):
    with pytest.raises(UsageError, match=sentence):
        IrleControls(**given_)


def test_stages_may_be_given_as_numbers_from_python():
    assert IrleControls(stage=1).stage == "1"


# --- adapting ------------------------------------------------------------------------------------------------


def test_adapting_tunes_the_network_on_this_picture_and_says_so(shipped):
    pytest.importorskip("torch")
    pixels = scene(112, 128, noise=0.02)
    plain, tuned = enhanced(shipped, pixels), enhanced(shipped, pixels, adapt=2)
    assert tuned.plan.describe()["adapted"] == 2
    assert plain.plan.describe()["adapted"] == 0
    assert 0 < plain.plan.describe()["halo"] <= HALO
    assert not np.array_equal(plain.image.pixels, tuned.image.pixels)
    assert np.abs(plain.image.pixels.astype(int) - tuned.image.pixels).mean() < 8
    again = IrlePlan.from_bytes(tuned.plan.to_bytes())
    assert np.array_equal(shipped.render(Window(pixels, 0, 0), again), tuned.image.pixels)


def test_adapting_without_torch_is_a_sentence(shipped, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UsageError, match=r"--adapt .* torch"):
        enhanced(shipped, scene(64, 64), adapt=1)


# --- quality -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("white_balance", ["auto", 0.5])
def test_two_tones_stay_flat(shipped, white_balance):
    """docs/papers.md, T1."""
    scores = [
        two_tone_flatness(tones.pixels, rendered(shipped, tones.pixels, white_balance=white_balance))
        for tones in two_tone_pictures()
    ]
    assert np.median(scores) <= 0.06
    assert max(scores) <= 0.10


def test_noise_goes_from_flat_dark_patches(shipped):
    """Noise falls where it is flat, as the report says."""
    y = np.mgrid[0:192, 0:256][0]
    rng = np.random.default_rng(5)
    flat = np.where(y < 96, 0.04, 0.09)[..., None] * np.array([1.0, 0.9, 0.8])
    pixels = np.rint((flat + rng.normal(0, 0.012, flat.shape)).clip(0, 1) * 255).astype(np.uint8)
    noise = enhanced(shipped, pixels).plan.describe()["noise"]
    assert noise["brightened"] > 2 * noise["before"] > 0
    assert noise["after"] <= 0.7 * noise["brightened"]


def test_a_sketch_is_the_plan_without_the_noise_that_reports_tell(shipped):
    plan, sketch = (look(Image(dark()), IrleControls()) for look in (shipped.estimate, shipped.sketch))
    assert plan.noise is not None
    assert sketch.noise is None
    assert replace(plan, noise=None).to_bytes() == sketch.to_bytes()


@pytest.mark.skipif(not (DATA / "train").is_dir(), reason="the photographs are not here")
def test_hues_of_photographs_stay(shipped):
    """docs/papers.md, T2, on dark photographs of the training set."""
    turned = []
    for path in sorted((DATA / "train" / "unpaired_dark").iterdir())[:6]:
        pixels = read_rgb(path)[:480, :640]
        turned.append(hue_change(pixels, rendered(shipped, np.ascontiguousarray(pixels), white_balance=0)))
    assert np.median([turn for turn in turned if turn is not None]) <= 8.0


# --- telling -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("controls", [{}, {"stage": "1"}, {"stage": "reference"}, {"denoise": 0.5}])
def test_the_report_fits_its_schema(shipped, controls):
    schema = json.loads((ROOT / "docs" / "report.schema.json").read_text(encoding="utf-8"))
    recipe = Recipe(SHIPPED, shipped, IrleControls(**controls))
    for pixels in (scene(), scene(20, 20), np.zeros((70, 70, 3), np.uint8)):
        done = recipe.enhance(Image(pixels))
        line = recipe.line("in.png", "out.png", enhanced=done, ms=done.ms)
        jsonschema.validate(json.loads(json.dumps(line, allow_nan=False)), schema)
        assert set(line["plan"]) == set(schema["$defs"]["irle"]["required"])


def test_plans_survive_packing(irle):
    pixels = scene()
    plan = irle.estimate(Image(pixels), IrleControls())
    again = IrlePlan.from_bytes(plan.to_bytes())
    assert again.describe() == plan.describe()
    assert np.array_equal(irle.render(Window(pixels, 0, 0), again), irle.render(Window(pixels, 0, 0), plan))


def test_maps_show_illumination_and_gain(irle):
    pixels = scene(noise=0.0)
    assert enhanced(irle, pixels).illustrations == {}
    drawn = enhanced(irle, pixels, maps=True).illustrations["maps"]
    light, gain = drawn[:, :220, 0].astype(float), drawn[:, 220:, 0].astype(float)
    assert drawn.shape == (150, 440, 3)
    assert drawn.dtype == np.uint8
    # Where there is less light there is more gain.
    assert np.corrcoef(light.ravel(), gain.ravel())[0, 1] < -0.9
    np.testing.assert_allclose(2.0 ** (-gain / 32.0), light / 255.0, atol=0.02)


def test_the_sky_of_a_night_stays_dark_and_windows_of_any_size_agree(rng):
    """A noisy black sky over houses under orange lamps."""
    light = np.full((192, 256, 3), 0.03)
    light[96:] = 0.6, 0.4, 0.2
    light[96:, ::9] *= 0.55
    light[88:96, np.arange(256) % 64 < 12] = 1.0
    pixels = np.rint((light + rng.normal(0.0, 0.012, light.shape)).clip(0.0, 1.0) * 255.0).astype(np.uint8)
    method = Irle(SHIPPED)
    plan = method.sketch(Image(pixels), IrleControls(stage="1", exposure=0.45))
    assert plan.empty.size
    plan = replace(plan, exponent=0.5, factor=1.2, veil=0.0, black=0.0, tones=UNCHANGED.gains)
    whole = method.render(Window(pixels, 0, 0), plan)
    lifted = method.render(Window(pixels, 0, 0), replace(plan, empty=np.empty((0, 0, 0), np.float32)))
    assert lifted[8:60].mean() > 2.5 * pixels[8:60].mean()
    assert whole[8:60].mean() < 1.1 * HELD * pixels[8:60].mean()
    assert np.abs(whole[130:].astype(int) - lifted[130:]).mean() < 0.5
    for part in tiles(*pixels.shape[:2], 100, 117, HALO):
        window = Window(pixels[part.outer], part.outer_top, part.outer_left)
        assert np.array_equal(method.render(window, plan)[part.inner_of_outer], whole[part.inner])


def test_what_is_lit_in_a_night_keeps_its_tones(rng, monkeypatch):
    """A facade under orange lamps of many tones, which the mean alone would bring to white."""
    light = np.full((192, 256, 3), 0.02)
    light[96:] = rng.uniform(0.2, 0.75, (96, 256, 1)) * (1.0, 0.7, 0.4)
    light[88:96, np.arange(256) % 64 < 12] = 1.0
    pixels = np.rint((light + rng.normal(0.0, 0.008, light.shape)).clip(0.0, 1.0) * 255.0).astype(np.uint8)
    method, controls = Irle(SHIPPED), IrleControls(stage="1", exposure=0.6)
    plan = method.sketch(Image(pixels), controls)
    assert plan.empty.max() > 0.9
    monkeypatch.setattr("enhance_cli.methods.irle.tone.BLOWN_AT_NIGHT", tone.BLOWN)
    by_day = method.sketch(Image(pixels), controls)
    white = [(method.render(Window(pixels, 0, 0), one)[96:] > 255 * tone.WHITE).mean() for one in (plan, by_day)]
    assert white[0] < 0.6 * white[1]


def test_a_dark_room_is_not_held():
    room = dark(192, 256)
    light = np.asarray(room, np.float32) / 255.0
    assert empty_grid(room, light, None).size == 0
