"""clode on synthetic pictures, with small functions for networks where arithmetic is judged."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.lib.two_tone import two_tone_flatness, two_tone_pictures
from enhance_cli.engines.cpu import CpuEngine
from enhance_cli.engines.weights import Weights
from enhance_cli.errors import UsageError
from enhance_cli.exposure import TONES_KEPT
from enhance_cli.exposure.features import luma_of as luma
from enhance_cli.exposure.predictor import Predictor
from enhance_cli.imaging import bilateral_grid
from enhance_cli.imaging.finish import UNCHANGED, finished, fit
from enhance_cli.imaging.tiles import tiles
from enhance_cli.methods.clode import HALO, METHOD, ClodeControls, parse_time
from enhance_cli.methods.clode import kernels_cpu as kernels
from enhance_cli.methods.clode.curve import RATIO_SHARE, coloured, guide, shifted, with_skin
from enhance_cli.methods.clode.denoise import noise_of, strength_for, visible_noise
from enhance_cli.methods.clode.enhancer import Clode
from enhance_cli.methods.clode.plan import ClodePlan
from enhance_cli.methods.clode.solvers import SOLVERS, Point, Rate, solve
from enhance_cli.methods.clode.trajectory import Trajectory
from enhance_cli.pipeline.recipe import Recipe
from enhance_cli.types import Image, Window
from tests.networks import Known
from tests.pictures import dark

torch = pytest.importorskip("torch")

ENGINE = CpuEngine(1)

# --- networks that are known ---------------------------------------------------------------------------------


class Fake:
    """Networks as functions: an estimator that follows tone and time, and a denoiser that knows three pixels."""

    calls = 0

    def estimator(self, image, time):
        self.calls += 1
        luma = np.tensordot(np.array([0.299, 0.587, 0.114], np.float32), image[0], (0, 0))
        rate = 0.1 + 0.8 * np.exp(-2 * (0.6 * image[0] + 0.6 * luma + 0.6 * luma.mean())) - 0.01 * float(time[0])
        return {"rate": rate[None].astype(np.float32)}

    def denoiser(self, image):
        sides = 0.25 * (np.roll(image, 1, -1) + np.roll(image, -1, -1) + np.roll(image, 1, -2) + np.roll(image, -1, -2))
        return {"noise": 0.5 * (image - sides)}

    def on(self, engine):
        engine.network = lambda method, stem: (
            Known(self.estimator if stem.startswith("estimator") else self.denoiser),
            Weights("clode/fake", "0" * 64, Path("fake")),
        )
        return Clode(engine)


@pytest.fixture
def fake():
    return Fake()


@pytest.fixture
def clode(fake):
    return fake.on(CpuEngine(1))


def planes(pixels):
    return np.ascontiguousarray(np.moveaxis(pixels, 2, 0)).astype(np.float32) / np.iinfo(pixels.dtype).max


def enhanced(clode, pixels, **controls):
    return Recipe(ENGINE, clode, ClodeControls(**controls)).enhance(Image(pixels))


# --- controls ------------------------------------------------------------------------------------------------


def test_times_are_numbers_lists_and_two_words():
    assert parse_time("3") == (3.0,) == parse_time(3)
    assert parse_time("1, 2,-0.5") == (1.0, 2.0, -0.5) == parse_time([1, 2, -0.5])
    assert (parse_time("Auto"), parse_time("best")) == ("auto", "best")
    for wrong in ("", "x", "7", "-4", "nan", "1,1", "1,,2", None, []):
        with pytest.raises(ValueError, match=r"\.$"):
            parse_time(wrong)


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        ({"time": "best"}, "--time best needs --reference"),
        ({"reference": np.zeros((4, 4, 3), np.uint8)}, "--reference needs --time best"),
        ({"time": "best", "reference": "nowhere"}, "--reference: the folder nowhere cannot be read"),
        ({"denoise": "2"}, "--denoise: it is auto or a number"),
        ({"proxy": 300}, "--proxy is one of 256"),
        ({"solver": "heun"}, "--solver is one of"),
        ({"steps": 0}, "--steps must lie"),
    ],
)
def test_controls_that_make_no_sense_are_a_sentence(given_, sentence):
    with pytest.raises(UsageError, match=sentence):
        ClodeControls(**given_)


def test_variants_name_the_times():
    sweep = ClodeControls(time="1,2.5,-1").variants()
    assert [ending for ending, _ in sweep] == ["_t1", "_t2.5", "_t-1"]
    assert [controls.time for _, controls in sweep] == [(1.0,), (2.5,), (-1.0,)]
    assert ClodeControls().variants()[0][0] == ""
    assert ClodeControls(time="1,2").to_json()["time"] == [1.0, 2.0]
    assert ClodeControls(time="auto").to_json()["time"] == "auto"


# --- the curve and its kernels -------------------------------------------------------------------------------


def test_the_curve_keeps_black_white_and_order():
    light = np.linspace(0, 1, 256, dtype=np.float32)
    for shift in (-6.0, -1.0, 0.0, 2.0, 6.0):
        curved = shifted(light, np.float32(shift))
        assert curved[0] == 0.0
        assert curved[-1] == 1.0
        assert (np.diff(curved) > 0).all() if abs(shift) < 6 else (np.diff(curved) >= 0).all()
    assert np.array_equal(shifted(light, np.float32(0.0)) * 255 + 0.5 // 1, light * 255 + 0.5 // 1)


@pytest.mark.parametrize("shift", [(-2.5, -1.5, -1.0), (-1.0, -1.5, -2.0), (0.5, 1.0, 1.5)])
def test_skin_keeps_its_hue(shift):
    skins = np.array([(0.98, 0.9, 0.84), (0.8, 0.6, 0.5), (0.5, 0.34, 0.26)], np.float32).T[:, None]
    shifts = np.broadcast_to(np.array(shift, np.float32)[:, None, None], skins.shape)
    before, free, kept = ((each[1] - each[2]) / (each[0] - each[2]) for each in (skins, *map_both(skins, shifts)))
    assert np.abs(kept - before).max() < 1e-3
    assert np.abs(free - before).max() > 0.05
    after = coloured(skins, shifts, 0.4)
    assert np.ptp(after, axis=0).max() <= 1.26 * np.ptp(skins, axis=0).max()
    sky = np.array((0.3, 0.5, 0.8), np.float32)[:, None, None]
    assert np.array_equal(with_skin(shifted(sky, shifts[:, :, :1]), sky), shifted(sky, shifts[:, :, :1]))


def map_both(light, shift):
    """The curve for each channel, and the blend that keeps skin."""
    return coloured(light, shift, 0.0), coloured(light, shift, 0.4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("colour", RATIO_SHARE)
@pytest.mark.parametrize("toned", [False, True])
def test_kernels_are_the_reference(rng, dtype, colour, toned):
    pixels = rng.integers(0, np.iinfo(dtype).max, (40, 61, 3), dtype, endpoint=True)
    pixels[0, :3] = 0
    pixels[1, :3] = np.iinfo(dtype).max
    grid = rng.normal(0, 1.5, (4, 5, 9, 3)).astype(np.float32)
    share = RATIO_SHARE[colour]
    light = planes(pixels)
    tones = fit(luma(light), black=0.02, contrast=0.3, chroma=1.2) if toned else UNCHANGED
    shift = np.moveaxis(bilateral_grid.slice_grid(grid, guide(light)), 2, 0)
    expected = finished(coloured(light, shift, share), light, tones)
    nothing = np.empty((3, 0, 0), np.float32)
    got = kernels.render_light(pixels, grid, nothing, tones, share, 40, 61)
    np.testing.assert_allclose(got, expected, atol=2e-5)
    codes = kernels.render(pixels, grid, nothing, tones, share, 40, 61)
    white = np.iinfo(dtype).max
    assert np.abs(codes - np.moveaxis(expected, 0, 2) * white).max() <= 0.5 + 2e-5 * white
    assert (codes[0, :3] == 0).all()
    assert (codes[1, :3] == white).all()

    from enhance_cli.methods.clode import kernels_cuda

    twin = kernels_cuda.render(*(torch.from_numpy(a) for a in (pixels, grid, nothing)), tones, share, 40, 61).numpy()
    assert np.abs(twin.astype(int) - codes).max() <= (1 if dtype == np.uint8 else 2)
    own = rng.normal(0, 1.5, (3, 40, 61)).astype(np.float32)
    none = np.empty((0, 0, 0, 3), np.float32)
    np.testing.assert_allclose(
        kernels.render_light(pixels, none, own, tones, share, 40, 61),
        finished(coloured(light, own, share), light, tones),
        atol=2e-5,
    )


def test_proxies_are_area_means_on_both_engines(rng):
    from enhance_cli.methods.clode import kernels_cuda

    for dtype in (np.uint8, np.uint16):
        pixels = rng.integers(0, np.iinfo(dtype).max, (60, 90, 3), dtype)
        exact = planes(pixels).reshape(3, 20, 3, 30, 3).mean((2, 4))
        np.testing.assert_allclose(kernels.proxy(pixels, 20, 30), exact, atol=1e-6)
        odd = kernels.proxy(pixels, 17, 23)
        np.testing.assert_allclose(kernels_cuda.proxy(torch.from_numpy(pixels), 17, 23).numpy(), odd, atol=1e-6)


def test_windows_that_reach_out_are_refused():
    pixels = np.zeros((8, 8, 3), np.uint8)
    grid, none = np.zeros((2, 2, 2, 3), np.float32), np.empty((3, 0, 0), np.float32)
    with pytest.raises(ValueError, match="reaches out"):
        kernels.render(pixels, grid, none, UNCHANGED, 0.0, 8, 8, 1, 0)
    with pytest.raises(ValueError, match="no cells"):
        kernels.render(pixels, np.zeros((1, 2, 2, 3), np.float32), none, UNCHANGED, 0.0, 8, 8)


# --- the bilateral grid --------------------------------------------------------------------------------------


def test_a_grid_brings_a_function_of_tone_through_edges(rng):
    tone = np.where(np.arange(240) < 120, 0.2, 0.8)[None, :] + rng.uniform(-0.05, 0.05, (160, 240))
    values = np.stack([np.cos(3 * tone), tone**2], 2).astype(np.float32)
    small, small_values = tone[1::4, 1::4].copy(), values[1::4, 1::4].copy()
    grid = bilateral_grid.fit(small, small_values, 4, 6, 16, 0.7, 2)
    assert np.abs(bilateral_grid.slice_grid(grid, tone) - values).max() < 0.03


def test_a_grid_of_a_constant_is_that_constant_everywhere():
    grid = bilateral_grid.fit(np.full((30, 40), 0.4), np.full((30, 40, 1), 1.7), 3, 4, 12, 0.7, 2)
    assert np.isfinite(grid).all()
    everywhere = bilateral_grid.slice_grid(grid, np.linspace(0, 1, 1200).reshape(30, 40))
    np.testing.assert_allclose(everywhere, 1.7, atol=0.02)


# --- solvers -------------------------------------------------------------------------------------------------

LIGHT = np.linspace(0.02, 0.98, 3 * 16 * 16, dtype=np.float32).reshape(3, 16, 16)


def end_of(solver, rate, time, *, length=0.5, tol=1e-6, engine=None):
    if engine is None:
        counted, room = Rate(rate, kernels), kernels
    else:
        room = engine.kernels(METHOD)

        def network(**inputs):
            found = rate(**{name: engine.numpy(value) for name, value in inputs.items()})["rate"]
            return {"rate": engine.run(room.itself, found)}

        counted = Rate(network, room, engine.run, engine.numpy)
    (point,) = solve(counted, LIGHT, [time], solver=solver, length=length, tol=tol, kernels=room)
    return point, counted.evaluations


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("time", [2.0, -1.0])
def test_a_constant_rate_is_the_closed_form(solver, time):
    """docs/papers.md, O2."""
    point, _ = end_of(solver, lambda image, time: {"rate": np.full_like(image, 0.7)}, time, length=0.05)
    error = np.abs(shifted(LIGHT, point.shift) - shifted(LIGHT, np.float32(0.7 * time))).max()
    assert error < {"euler": 1e-2, "midpoint": 2e-4}.get(solver, 1e-4)


@pytest.mark.parametrize(
    ("solver", "order"),
    [("logit-euler", 1), ("euler", 1), ("logit-heun", 2), ("midpoint", 2), ("logit-rk4", 4), ("rk4", 4)],
)
def test_orders_of_the_solvers(solver, order):
    """Halving the step divides the error by 2 to the order, on a rate that feels light and time."""

    def rate(image, time):
        return {"rate": np.asarray(0.9 - 0.8 * image.astype(np.float64) + 0.3 * np.sin(2.0 * time[0]))}

    def light(length):
        return shifted(LIGHT, end_of(solver, rate, 2.0, length=length)[0].shift)

    exact = shifted(LIGHT, end_of("logit-rk4", rate, 2.0, length=0.02)[0].shift)
    coarse, fine = (np.abs(light(length) - exact).max() for length in (0.5, 0.25))
    if order < 4:
        assert 2 ** (order - 0.6) < coarse / fine < 2 ** (order + 1.2)
    else:
        assert fine < 1e-4


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("time", [2.2, -0.7])
def test_both_engines_solve_alike(solver, time):
    from enhance_cli.engines.cuda import CudaEngine

    fake = Fake()
    one, _ = end_of(solver, fake.estimator, time)
    two, _ = end_of(solver, fake.estimator, time, engine=CudaEngine("cpu"))
    assert isinstance(two.shift, np.ndarray)
    assert np.abs(shifted(LIGHT, one.shift) - shifted(LIGHT, two.shift)).max() < 2e-5


@pytest.mark.parametrize("solver", SOLVERS)
def test_evaluations_reported_are_evaluations_made(solver, fake, clode):
    """The report counts what was asked of the network."""
    result = enhanced(clode, dark(40, 50), solver=solver, time=2, steps=6)
    assert result.plan.describe()["evaluations"] == fake.calls
    per_step = {"logit-euler": 1, "euler": 1, "logit-heun": 2, "midpoint": 2, "logit-rk4": 4, "rk4": 4}
    if solver in per_step:
        assert fake.calls == 4 * per_step[solver]
        assert result.plan.steps == 4


# --- estimate ------------------------------------------------------------------------------------------------


def test_time_zero_leaves_light_alone(clode):
    """The input without denoising, and input minus its noise with it."""
    pixels = dark(noise=0.03)
    assert np.array_equal(enhanced(clode, pixels, time=0, denoise=0).image.pixels, pixels)
    assert np.array_equal(enhanced(clode, pixels, time=0).image.pixels, pixels)
    light = np.pad(planes(pixels), ((0, 0), (HALO, HALO), (HALO, HALO)), mode="edge")
    noise = Fake().denoiser(light[None])["noise"][0, :, HALO:-HALO, HALO:-HALO]
    expected = np.clip(planes(pixels) - noise, 0, 1) * np.float32(255) + np.float32(0.5)
    got = enhanced(clode, pixels, time=0, denoise=1).image.pixels
    assert np.array_equal(got, np.moveaxis(expected, 0, 2).astype(np.uint8))


def test_light_stays_in_range_and_rises_with_time(clode):
    """Within range, and brighter with more time."""
    pixels = dark()
    pixels[:5, :5], pixels[-5:, -5:] = 0, 255
    means = []
    for time in (-1, 0, 1, 2, 3, 4):
        out = enhanced(clode, pixels, time=time, denoise=0).image.pixels
        assert (out[:5, :5] == 0).all()
        assert (out[-5:, -5:] == 255).all()
        means.append(out.mean())
    assert (np.diff(means) > 0.5).all()


@pytest.mark.parametrize("proxy", [256, "full"])
def test_a_sweep_is_its_times_run_apart(clode, fake, proxy):
    pixels = dark(270, 400)
    recipe = Recipe(ENGINE, clode, ClodeControls(time="1,2.3,3,-0.5", proxy=proxy, denoise=0))
    together = list(recipe.enhance_variants(Image(pixels)))
    assert fake.calls == 2 * 6 + 2 + 2  # six whole steps up, a shorter one on the side, one down
    assert [item.ending for item in together] == ["_t1", "_t2.3", "_t3", "_t-0.5"]
    for item, time in zip(together, (1, 2.3, 3, -0.5), strict=True):
        assert item.plan.time == time
        assert item.controls.time == (time,)
        apart = enhanced(clode, pixels, time=time, proxy=proxy, denoise=0)
        assert np.array_equal(item.image.pixels, apart.image.pixels)


@pytest.mark.parametrize(("level", "sign"), [(0.06, 1), (0.12, 1), (0.55, -1)])
def test_auto_reaches_its_target(clode, level, sign):
    pixels = dark(level=level, noise=0.002)
    result = enhanced(clode, pixels, time="auto", target=0.4 if sign > 0 else 0.55, dead_band=0.02)
    assert np.sign(result.plan.time) == sign
    assert result.exposure["after"]["mean"] == pytest.approx(0.4 if sign > 0 else 0.55, abs=0.02)
    assert result.plan.trajectory[0 if sign > 0 else -1][0] == 0.0
    assert not [note for note in result.plan.notes if "reaches" in note]


def test_auto_aims_for_what_is_predicted(clode):
    pixels = dark(level=0.1)
    plan = clode.estimate(Image(pixels), ClodeControls(time="auto"))
    wanted = Predictor(ENGINE).predict(Image(pixels)).luma
    assert wanted > luma(planes(pixels)).mean()
    assert plan.target == pytest.approx(wanted, abs=0.01)
    assert plan.describe()["target"] == {"luma": round(plan.target, 4), "predicted": True}
    given = clode.estimate(Image(pixels), ClodeControls(time="auto", target="0.3")).describe()
    assert given["target"] == {"luma": 0.3, "predicted": False}
    assert given["time"] < plan.time
    assert clode.estimate(Image(pixels), ClodeControls()).describe()["target"] is None


def path_of(light):
    """A trajectory along one shift for all pixels."""

    def solution(times):
        return (Point(time, np.full_like(light, time), 1) for time in times)

    return Trajectory(light, 0.4, solution, 0.5)


def test_what_is_not_clipped_does_not_end_in_the_dark_for_what_is():
    """Two fifths of the photo are white and stay so: the mean alone would take all of the darkening from the rest."""
    light = np.full((3, 20, 20), 0.7, np.float32)
    light[:, :8] = 1.0
    path = path_of(light)
    point, notes = path.reach(0.55, 0.05)
    assert "the rest is clipped" in notes[0]
    assert path.result(point.shift)[:, 8:].mean() == pytest.approx(TONES_KEPT * 0.7, abs=0.01)
    point, notes = path_of(np.full_like(light, 0.7)).reach(0.55, 0.05)
    assert not notes, "without clipped parts it is reached"


def test_what_is_predicted_is_tempered_for_bright_photos(rng):
    bright = rng.uniform(0.4, 0.7, (3, 40, 60)).astype(np.float32)
    mean = float(luma(bright).mean())
    assert path_of(bright).tempered(0.7, 0.08) == 0.7
    assert path_of(bright).tempered(mean - 0.1, 0.08) == pytest.approx(mean)
    assert path_of(bright).tempered(mean - 0.15, 0.08) == pytest.approx(mean - 0.15)
    assert path_of(bright).tempered(0.1, 0.08) == pytest.approx(0.62 * mean)
    clipped = bright.copy()
    clipped[:, :, 20:] = 1.0
    assert path_of(clipped).tempered(0.5, 0.08) > 0.65


def test_black_stays_black_where_the_scene_is_lit():
    light = np.full((3, 60, 90), 2 / 255, np.float32)
    dark_all_over = path_of(light)
    (point,) = dark_all_over.visit([3.0])
    assert luma(dark_all_over.result(point.shift)).mean() > 0.1
    light[:, 20:40, 30:60] = 0.7
    trajectory = path_of(light)
    (point,) = trajectory.visit([3.0])
    after = luma(trajectory.result(point.shift))
    assert after[:10].max() < 3 / 255
    assert after[30, 45] > 0.9


@pytest.mark.parametrize("time", ["auto", "-2", "1"])
def test_white_stays_white_without_steps(clode, time):
    """Clipped light is kept, and what comes near it stays in order."""
    ramp = np.linspace(150, 255, 256)
    pixels = np.repeat(np.rint(ramp).astype(np.uint8)[None, :, None], 60, axis=0) * np.ones(3, np.uint8)
    out = enhanced(clode, pixels, time=time, target=0.5, denoise=0).image.pixels[30, :, 1].astype(int)
    assert (out[pixels[30, :, 1] >= 252] >= 250).all()
    assert (np.diff(out) >= -1).all()


def test_auto_leaves_good_exposure_alone(clode):
    pixels = dark(level=0.4)
    mean = Recipe(ENGINE, clode, ClodeControls(time=0)).enhance(Image(pixels)).exposure["before"]["mean"]
    result = enhanced(clode, pixels, time="auto", target=round(mean + 0.05, 2))
    assert np.array_equal(result.image.pixels, pixels)
    assert result.plan.time == 0


def test_auto_says_what_it_could_not_reach(clode):
    result = enhanced(clode, np.zeros((40, 40, 3), np.uint8), time="auto", target=0.5)
    assert result.plan.notes == ("mean luma reaches 0.00, not the target of 0.5",)


def test_auto_does_not_blow_one_lit_thing_before_black():
    pixels = np.full((120, 160, 3), 8, np.uint8)
    pixels[30:90, 40:120] = (220, 190, 120)
    result = enhanced(Clode(CpuEngine(1)), pixels, time="auto", target=0.8, denoise=0)
    assert result.plan.time == pytest.approx(3.0, abs=0.01)
    (note,) = result.plan.notes
    assert note.startswith("mean luma reaches")
    assert note.endswith("more would clip what is lit")


@pytest.mark.parametrize("time", [1.3, 2.75, -0.6])
def test_best_finds_the_time_of_a_pair(clode, time):
    pixels = dark(level=0.3)
    reference = enhanced(clode, pixels, time=time, denoise=0).image.pixels
    result = enhanced(clode, pixels, time="best", reference=reference, denoise=0)
    assert result.plan.time == pytest.approx(time, abs=0.08)


def test_best_refuses_another_shape(clode):
    with pytest.raises(UsageError, match="of other proportions"):
        enhanced(clode, dark(), time="best", reference=np.zeros((100, 220, 3), np.uint8))


def test_times_outside_training_are_noted(clode):
    assert "trained for times from -3 to 5, not 5.5" in enhanced(clode, dark(60, 60), time=5.5).plan.notes[0]


def test_a_plan_survives_its_bytes(clode):
    pixels = dark(300, 300)
    plan = clode.estimate(Image(pixels), ClodeControls())
    again = ClodePlan.from_bytes(plan.to_bytes())
    assert again.describe() == plan.describe()
    window = Window(pixels, 0, 0)
    assert np.array_equal(clode.render(window, again), clode.render(window, plan))


# --- noise and tiles -----------------------------------------------------------------------------------------


def test_noise_is_visible_where_the_gain_lifts_it():
    shift = np.full((3, 20, 30), 2.5, np.float32)
    none = np.zeros_like(shift)
    noisy, clean = dark(200, 300, noise=0.02), dark(200, 300, noise=0.0)
    assert visible_noise(noisy, none) == 0.0
    assert strength_for(visible_noise(noisy, shift)) > 0.3
    assert strength_for(visible_noise(clean, shift)) == 0.0
    assert visible_noise(np.zeros((50, 50, 3), np.uint8), shift) == 0.0
    assert visible_noise(np.zeros((1, 9, 3), np.uint8), shift) == 0.0


def far_denoiser(image):
    """Looks exactly HALO pixels to each side."""
    wide = np.pad(image, ((0, 0), (0, 0), (HALO, HALO), (HALO, HALO)))
    total = sum(
        wide[..., HALO + y : HALO + y + image.shape[2], HALO + x : HALO + x + image.shape[3]]
        for y in (-HALO, 0, HALO)
        for x in (-HALO, 0, HALO)
    )
    return {"noise": np.asarray(image - total / 9)}


class FarSighted(CpuEngine):
    """Has that denoiser in place of the trained one."""

    def network(self, method, stem):
        run, weights = super().network(method, stem)
        return (Known(far_denoiser) if stem.startswith("denoiser") else run), weights


@settings(max_examples=30)
@given(
    height=st.integers(1, 180),
    width=st.integers(1, 180),
    tile=st.tuples(st.integers(20, 150), st.integers(20, 150)),
    deep=st.booleans(),
    proxy=st.sampled_from(["256", "full"]),
)
def test_denoised_tiles_are_the_denoised_whole(fake, height, width, tile, deep, proxy):
    clode = fake.on(FarSighted(1))
    pixels = dark(height, width, noise=0.03)
    pixels = pixels.astype(np.uint16) * 257 if deep else pixels
    plan = clode.estimate(Image(pixels), ClodeControls(denoise=1, proxy=proxy))
    whole = clode.render(Window(pixels, 0, 0), plan)
    stitched = np.empty_like(pixels)
    for part in tiles(height, width, *tile, METHOD.halo):
        window = Window(pixels[part.outer], part.outer_top, part.outer_left)
        stitched[part.inner] = clode.render(window, plan)[part.inner_of_outer]
    assert np.array_equal(stitched, whole)


@pytest.mark.parametrize("model", ["lite", "full"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_shipped_denoisers_are_seamless(model, dtype):
    """Their own convolutions, by ONNX Runtime, on tiles of odd sizes."""
    clode = Clode(CpuEngine(2))
    pixels = dark(200, 310, noise=0.03).astype(dtype) * (257 if dtype == np.uint16 else 1)
    plan = clode.estimate(Image(pixels), ClodeControls(denoise=1, model=model))
    whole = clode.render(Window(pixels, 0, 0), plan)
    for tile in ((61, 77), (128, 128), (200, 33)):
        stitched = np.empty_like(pixels)
        for part in tiles(200, 310, *tile, METHOD.halo):
            window = Window(pixels[part.outer], part.outer_top, part.outer_left)
            stitched[part.inner] = clode.render(window, plan)[part.inner_of_outer]
        assert np.array_equal(stitched, whole)


def test_noise_is_that_of_the_whole_picture():
    window = Window(dark(300, 170), 0, 0)
    light = planes(window.pixels)
    wide = np.pad(light, ((0, 0), (HALO, HALO), (HALO, HALO)), mode="edge")
    expected = far_denoiser(wide[None])["noise"][0, :, HALO:-HALO, HALO:-HALO]
    np.testing.assert_allclose(
        noise_of(light, window, 300, 170, far_denoiser, kernels, ENGINE.run), expected, atol=1e-6
    )


def test_two_tones_stay_flat(clode):
    scores = [two_tone_flatness(t.pixels, enhanced(clode, t.pixels).image.pixels) for t in two_tone_pictures()]
    assert np.median(scores) <= 0.06
    assert max(scores) <= 0.25


def test_hues_turn_less_as_a_ratio():
    from enhance_cli.quality.blind import hue_change

    rng = np.random.default_rng(2)
    patches = cv2.resize(rng.integers(5, 90, (12, 16, 3), np.uint8), (160, 120), interpolation=cv2.INTER_NEAREST)
    turned = []
    for share in RATIO_SHARE.values():
        out = np.moveaxis(coloured(planes(patches), np.float32(2.0) * np.ones((3, 1, 1), np.float32), share), 0, 2)
        turned.append(hue_change(patches, (out * 255 + 0.5).astype(np.uint8)))
    channel, blend, ratio = turned
    assert ratio < blend < channel


# --- the shipped networks, the command and the report ----------------------------------------------------------


def test_the_shipped_networks_brighten_the_dark():
    clode = Clode(CpuEngine(2))
    means = [enhanced(clode, dark(level=0.05), time=t, denoise=0).exposure["after"]["mean"] for t in (-1, 0, 1, 2, 3)]
    assert (np.diff(means) > 0).all()


def test_a_sweep_on_the_command_line(tmp_path, monkeypatch):
    from pathlib import Path

    from typer.testing import CliRunner

    from enhance_cli.cli.app import build

    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Path("good").mkdir()
    cv2.imwrite("in/a.png", dark(60, 80))
    cv2.imwrite("good/a.jpg", dark(60, 80, level=0.4))

    def enhance(*arguments):
        return CliRunner().invoke(build(), ["clode", "--device", "cpu", *arguments])

    result = enhance("--time", "-1,1,2.5", "in", "out")
    assert result.exit_code == 0, result.stderr
    names = ["a_t-1.png", "a_t1.png", "a_t2.5.png"]
    assert sorted(path.name for path in Path("out").iterdir()) == [*names, "enhance-report.jsonl"]
    schema = json.loads((Path(__file__).parents[3] / "docs" / "report.schema.json").read_text())
    lines = [json.loads(line) for line in Path("out/enhance-report.jsonl").read_text().splitlines()]
    for line, time, name in zip(lines, (-1, 1, 2.5), names, strict=True):
        jsonschema.validate(line, schema)
        assert (line["output"], line["controls"]["time"], line["plan"]["time"]) == (f"out/{name}", time, time)
    # Ours are redone without asking, strangers are not.
    assert enhance("--time", "1,2.5", "in", "out").exit_code == 0
    cv2.imwrite("out/a_t4.png", dark(8, 8))
    refused = enhance("--time", "3,4", "in", "out")
    assert refused.exit_code == 2
    assert "a_t4.png" in refused.stderr
    assert not Path("out/a_t3.png").exists()
    assert enhance("--time", "1,2", "in/a.png", "-").exit_code == 2

    best = enhance("--time", "best", "--reference", "good", "in", "best")
    assert best.exit_code == 0, best.stderr
    line = json.loads(Path("best/enhance-report.jsonl").read_text())
    jsonschema.validate(line, schema)
    assert line["controls"]["reference"] == "good"
    Path("good/a.jpg").rename("good/b.jpg")
    lost = enhance("--time", "best", "--reference", "good", "in", "lost")
    assert lost.exit_code == 6
    assert "good holds no image named a" in lost.stderr
