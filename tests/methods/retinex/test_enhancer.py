"""retinex as shipped: what is promised of outputs, the controls, stacks, the report and the command."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest

import enhance_cli
from benchmarks.lib.sets import DATA
from benchmarks.lib.two_tone import two_tone_flatness, two_tone_pictures
from enhance_cli.engines import weights
from enhance_cli.engines.cpu import CpuEngine
from enhance_cli.errors import UsageError
from enhance_cli.exposure import TONES_KEPT
from enhance_cli.imaging.area import area_means
from enhance_cli.imaging.blocks import Region
from enhance_cli.imaging.tiles import tiles
from enhance_cli.methods.retinex import HALO, METHOD, RetinexControls, formulas, parse_fuse
from enhance_cli.methods.retinex.enhancer import Retinex
from enhance_cli.methods.retinex.plan import CANDIDATES, RetinexPlan
from enhance_cli.pipeline.recipe import Recipe
from enhance_cli.quality.blind import hue_change
from enhance_cli.quality.lab import lab
from enhance_cli.quality.reference import psnr
from enhance_cli.types import Image, Window
from tests.pictures import backlit

PHOTOS = Path(__file__).parents[3] / "examples" / "photos"
ENGINE = CpuEngine(2)


@pytest.fixture(scope="module")
def retinex():
    return Retinex(ENGINE)


def enhanced(retinex, pixels, frames=(), **controls):
    image = Image(pixels, frames=tuple(Image(frame) for frame in frames))
    return Recipe(ENGINE, retinex, RetinexControls(**controls)).enhance(image)


def photographs(*parts, most=6):
    """Some photographs of the data folder."""
    found = sorted((DATA.joinpath(*parts)).glob("*.jpg"))
    if not found:
        pytest.skip("the photos are not here")
    places = np.unique(np.linspace(0, len(found) - 1, most).astype(int))
    return [read(found[place]) for place in places]


def read(path, longest=512):
    pixels = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    scale = min(1.0, longest / max(pixels.shape[:2]))
    return cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


# --- promises --------------------------------------------------------------------------------------------------


def test_each_model_has_as_many_parameters_as_promised():
    counts = {
        stem: sum(array.size for array in weights.read_arrays(weights.find(METHOD, stem, "safetensors")).values())
        for stem in METHOD.weights
    }
    assert 4000 < counts["illumination"] + counts["fusion"] + counts["restoration"] <= 5000
    assert counts["illumination-full"] + counts["fusion-full"] <= 60_000


def test_the_full_model_has_networks_of_its_own(retinex):
    paper, full = RetinexControls(), RetinexControls(model="full")
    stems = [[one.path.stem for one in retinex.prepare(controls)] for controls in (paper, full)]
    assert stems[0] == ["illumination", "fusion", "restoration", "predictor"]
    assert stems[1] == ["illumination-full", "fusion-full", "restoration", "predictor"]
    plans = [retinex.estimate(Image(backlit()), controls) for controls in (paper, full)]
    assert [plan.describe()["model"] for plan in plans] == ["paper", "full"]
    assert plans[0].forward.shape == plans[1].forward.shape
    assert not np.array_equal(plans[0].forward, plans[1].forward)
    assert plans[0].biases.shape == plans[1].biases.shape
    for unknown in ("small", ""):
        with pytest.raises(UsageError, match="--model"):
            RetinexControls(model=unknown)
    with pytest.raises(UsageError, match="--model does not apply"):
        RetinexControls(fuse=3, model="full")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_all_controls_at_zero_return_the_input(retinex, dtype):
    pixels = backlit(dtype=dtype)
    assert np.array_equal(enhanced(retinex, pixels, under=0, over=0, denoise=0).image.pixels, pixels)


@pytest.mark.parametrize("model", ["paper", "full"])
def test_the_dark_rises_with_under_and_the_bright_falls_with_over(retinex, model):
    pictures = [backlit(), *(read(path, 256) for path in sorted(PHOTOS.glob("*.jpg"))[:3])]
    for pixels in pictures:
        luma = pixels @ np.array([0.299, 0.587, 0.114])
        dark, bright = luma <= np.quantile(luma, 0.3), luma >= np.quantile(luma, 0.7)
        levels = [
            enhanced(retinex, pixels, under=u, over=0, denoise=0, model=model).image.pixels[dark].mean() for u in STEPS
        ]
        assert (np.diff(levels) >= -0.02).all(), levels  # a fiftieth of a level is rounding
        assert levels[-1] > levels[0] + 1.0, levels
        levels = [
            enhanced(retinex, pixels, under=0, over=o, denoise=0, model=model).image.pixels[bright].mean()
            for o in STEPS
        ]
        assert (np.diff(levels) <= 0.02).all(), levels
        assert levels[-1] < levels[0], levels


STEPS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)


def noise_of(retinex, pixels, **controls):
    """The light before the restoration and the map that it adds, of the whole picture."""
    plan = retinex.estimate(Image(pixels), RetinexControls(**controls))
    height, width = pixels.shape[:2]
    return retinex.light_and_noise([pixels], Region(height, width, 0, 0, 0, 0, height, width), plan)


def test_denoise_0_is_the_fused_picture_and_1_adds_the_whole_map(retinex):
    pixels = backlit(dtype=np.uint16)
    light, noise = noise_of(retinex, pixels)
    for denoise, expected in ((0.0, light), (1.0, light + noise)):
        out = enhanced(retinex, pixels, denoise=denoise).image.pixels
        assert np.abs(out / 65535.0 - np.moveaxis(expected, 0, 2).clip(0, 1)).max() <= 1e-5


def test_nothing_is_added_to_white_and_little_to_what_is_nearly_white(retinex):
    pixels = backlit()
    pixels[:60] = 255 - np.random.default_rng(1).integers(0, 12, pixels[:60].shape) // 2
    light, noise = noise_of(retinex, pixels)
    near = np.clip((1.0 - light) / formulas.RESTORED, 0.0, 1.0)
    assert (near == 0.0).any()
    assert not noise[near <= 0.0].any()
    strongest = np.abs(noise[near == 1.0]).max()
    assert np.abs(noise[near < 0.1]).max() < 0.5 * strongest


def test_the_energy_of_the_applied_noise_rises_with_denoise(retinex):
    pixels = backlit()
    whole = noise_of(retinex, pixels)[1]
    energies = [np.square(noise_of(retinex, pixels, denoise=d)[1]).sum() for d in (0.001, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)]
    assert (np.diff(energies) >= 0).all(), energies
    assert energies[0] < 0.01 * energies[-1]
    assert energies[-1] == np.square(whole).sum()


# --- the target ------------------------------------------------------------------------------------------------


def bright():
    """A photo too bright, of which nothing is clipped."""
    return (255.0 * (backlit() / 255.0) ** 0.5).clip(0, 220).astype(np.uint8)


def mean_luma(pixels):
    return float((pixels @ np.array([0.299, 0.587, 0.114])).mean() / 255.0)


@pytest.mark.parametrize("powers", [{}, {"under": 0.8, "over": 0.6}])
def test_a_target_is_the_mean_luma_of_the_result(retinex, powers):
    pixels = backlit()
    plain = mean_luma(enhanced(retinex, pixels, target="none", denoise=0, **powers).image.pixels)
    for target in (plain - 0.03, plain + 0.03):
        result = enhanced(retinex, pixels, target=target, denoise=0, **powers)
        assert mean_luma(result.image.pixels) == pytest.approx(target, abs=0.02)
        told = result.plan.describe()
        assert told["target"] == {"luma": round(target, 4), "predicted": False}
        assert (told["under"] < powers.get("under", 1.0)) == (target < plain)
        assert (told["over"] > powers.get("over", 1.0)) == (target < plain)


def test_a_target_out_of_reach_is_noted(retinex):
    plan = retinex.estimate(Image(backlit()), RetinexControls(target=0.95))
    assert (plan.under, plan.over) == (2.0, 0.0)
    assert len(plan.notes) == 1
    assert "not the target of 0.95" in plan.notes[0]


def test_photos_brighter_than_predicted_are_darkened_halfway(retinex):
    plan = retinex.estimate(Image(bright()), RetinexControls())
    assert plan.predicted
    assert plan.under < 1.0 < plan.over
    means = [mean_luma(enhanced(retinex, bright(), target=t, denoise=0).image.pixels) for t in ("none", "auto")]
    assert means[1] == pytest.approx((means[0] + plan.target) / 2, abs=0.02)
    assert retinex.prepare(RetinexControls())[-1].path.stem == "predictor"


def test_a_high_key_photo_keeps_its_light(retinex, rng):
    pixels = rng.integers(212, 238, (96, 96, 3)).astype(np.uint8)
    pixels[40:, 40:56] = rng.integers(10, 60, (56, 16, 3))
    plan = retinex.estimate(Image(pixels), RetinexControls())
    assert (plan.under, plan.over) == (0.0, 0.0)
    assert mean_luma(enhanced(retinex, pixels).image.pixels) == pytest.approx(mean_luma(pixels), abs=0.02)


def test_much_light_skin_is_darkened_less_than_as_much_of_another_colour(retinex, rng):
    pixels = np.full((96, 96, 3), 250, np.uint8)
    pixels[16:80, 20:76] = (226, 190, 170)
    pixels[30:40, 30:60] = (90, 60, 50)
    pixels = np.clip(pixels + rng.normal(0, 3, pixels.shape), 0, 255).astype(np.uint8)
    face, other = np.zeros((96, 96), bool), np.ascontiguousarray(pixels[..., ::-1])
    face[44:76, 24:72] = True
    skin = enhanced(retinex, pixels).image.pixels
    assert mean_luma(skin[face][None]) > 0.55
    overs = [retinex.estimate(Image(one), RetinexControls()).over for one in (pixels, other)]
    assert overs[0] < overs[1]


def test_what_is_not_clipped_does_not_end_in_the_dark_for_what_is(retinex, rng):
    pixels = np.full((96, 96, 3), 255, np.uint8)
    pixels[40:, 24:72] = rng.integers(170, 200, (56, 48, 1))
    pixels[60:, 30:40] = 120
    free = pixels.min(axis=-1) < 255
    plan = retinex.estimate(Image(pixels), RetinexControls(denoise=0.0))
    after = enhanced(retinex, pixels, denoise=0).image.pixels
    kept = mean_luma(after[free][None]) / mean_luma(pixels[free][None])
    assert plan.over < 1.0
    assert kept == pytest.approx(TONES_KEPT, abs=0.02)
    bare = enhanced(retinex, pixels, denoise=0, target="none").image.pixels
    assert mean_luma(bare[free][None]) < mean_luma(after[free][None])


@pytest.mark.parametrize("controls", [{}, {"target": "none"}, {"under": 0.9}, {"over": 0.9}])
def test_dark_photos_and_settings_are_left_to_the_networks(retinex, controls):
    pixels = backlit() // 2 if not controls else bright()
    plan = retinex.estimate(Image(pixels), RetinexControls(**controls))
    assert (plan.under, plan.over) == (controls.get("under", 1.0), controls.get("over", 1.0))
    assert (plan.describe()["target"] is None) == bool(controls)


@pytest.mark.parametrize("wrong", ["bright", 0.01, 0.99, float("nan")])
def test_what_target_refuses(wrong):
    with pytest.raises(UsageError, match="--target"):
        RetinexControls(target=wrong)


def test_illumination_is_never_below_the_channel_and_weights_sum_to_1(retinex):
    for pixels in (backlit(), backlit()[:, ::-1] // 2, *two_tones()):
        plan = retinex.estimate(Image(np.ascontiguousarray(pixels)), RetinexControls())
        light = area_means(np.ascontiguousarray(pixels), 64, 64)
        for grid, channel in ((plan.forward, light.max(axis=0)), (plan.inverse, (1 - light).max(axis=0))):
            illumination = formulas.illumination(grid, channel)
            assert (illumination >= channel - 1e-6).all()
            assert (illumination <= 1.0 + 1e-6).all()
        candidates = formulas.candidates(light, plan.grids, (1.0, 1.0))
        shares = formulas.weights(candidates, retinex.fusion(plan.biases, plan.model))
        assert np.abs(shares.sum(axis=0) - 1.0).max() < 1e-6
        assert (shares >= 0).all()


def two_tones():
    return [picture.pixels for picture in two_tone_pictures()]


def test_simulated_errors_of_exposure_are_corrected(retinex):
    """At least 5 dB better than the input, over good photographs made darker and brighter."""
    gains = []
    for pixels in photographs("test", "clean", most=8):
        linear = (pixels / 255.0) ** 2.2
        for stops in (-3.0, -2.0, 1.5):
            wrong = ((linear * 2.0**stops).clip(0, 1) ** (1 / 2.2) * 255 + 0.5).astype(np.uint8)
            gains.append(psnr(enhanced(retinex, wrong).image.pixels, pixels) - psnr(wrong, pixels))
    assert np.mean(gains) >= 5.0, np.mean(gains)


# --- halos, colours, harm --------------------------------------------------------------------------------------


def test_two_tones_stay_flat(retinex):
    """docs/papers.md, T1: a tenth in the median picture, a quarter in the worst."""
    scores = [two_tone_flatness(pixels, enhanced(retinex, pixels).image.pixels) for pixels in two_tones()]
    assert np.median(scores) <= 0.10, scores
    assert max(scores) <= 0.25, scores


@pytest.mark.parametrize("part", [("test", "clean"), ("test", "exposure", "sice512"), ("test", "unpaired_dark")])
def test_hues_stay(retinex, part):
    """docs/papers.md, T2: a median turn of at most 8 degrees where there is colour."""
    turns = [hue_change(pixels, enhanced(retinex, pixels).image.pixels) for pixels in photographs(*part)]
    assert np.median([turn for turn in turns if turn is not None]) <= 8.0


@pytest.mark.parametrize("model", ["paper", "full"])
def test_white_stays_white(retinex, model):
    pixels = backlit()
    pixels[:60, 120:] = 255
    out = enhanced(retinex, pixels, model=model).image.pixels
    assert out[10:50, 135:].min() >= 250


def test_clipped_frames_keep_white_and_gain_no_colour(retinex):
    """Frames of stacks, a fiftieth of them white: white stays white, chroma grows to 1.5 times at most."""
    ratios = []
    for pixels in photographs("test", "exposure", "sice512", most=69):
        white = pixels.min(axis=2) >= 250
        if white.mean() < 0.02:
            continue
        out = enhanced(retinex, pixels).image.pixels
        assert np.median(out[white] @ np.array([0.299, 0.587, 0.114])) >= 250
        ratios.append(chroma(out) / chroma(pixels))
    assert len(ratios) > 5
    assert np.median(ratios) <= 1.5, ratios


def chroma(pixels):
    """The mean of C*ab."""
    values = lab(pixels.astype(np.float64))
    return np.hypot(values[..., 1], values[..., 2]).mean()


# --- windows ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    "controls", [{}, {"under": 0.5, "over": 0.3, "denoise": 0.4}, {"denoise": 0.0}, {"model": "full"}]
)
def test_tiles_are_the_whole(retinex, dtype, controls):
    pixels = backlit(213, 171, dtype)
    plan = retinex.estimate(Image(pixels), RetinexControls(**controls))
    whole = retinex.render(Window(pixels, 0, 0), plan)
    for sides in ((64, 64), (37, 51), (100, 29)):
        assert np.array_equal(stitched(retinex, [pixels], plan, sides), whole)


def test_tiles_of_a_stack_are_the_whole(retinex):
    frames = stack()
    image = Image(frames[0], frames=tuple(Image(frame) for frame in frames[1:]))
    for denoise in (1.0, 0.4, 0.0):
        plan = retinex.estimate(image, RetinexControls(fuse="all", denoise=denoise))
        whole = retinex.render(Window(frames[0], 0, 0, tuple(frames[1:])), plan)
        assert np.array_equal(stitched(retinex, frames, plan, (61, 75)), whole)


def stitched(retinex, frames, plan, sides):
    out = np.empty_like(frames[0])
    for tile in tiles(*frames[0].shape[:2], *sides, HALO):
        first, *others = (frame[tile.outer] for frame in frames)
        window = Window(first, tile.outer_top, tile.outer_left, tuple(others))
        out[tile.inner] = retinex.render(window, plan)[tile.inner_of_outer]
    return out


def test_a_plan_survives_its_bytes(retinex):
    pixels = backlit()
    plan = retinex.estimate(Image(pixels), RetinexControls(under=0.7))
    again = RetinexPlan.from_bytes(plan.to_bytes())
    assert np.array_equal(retinex.render(Window(pixels, 0, 0), again), retinex.render(Window(pixels, 0, 0), plan))


# --- stacks ----------------------------------------------------------------------------------------------------


def stack():
    """Three exposures of one scene, two stops apart."""
    linear = (backlit() / 255.0) ** 2.2
    return [((linear * 2.0**stops).clip(0, 1) ** (1 / 2.2) * 255 + 0.5).astype(np.uint8) for stops in (-2, 0, 2)]


def test_a_stack_takes_the_dark_from_its_bright_frame_and_the_bright_from_its_dark_one(retinex):
    frames = stack()
    result = enhanced(retinex, frames[0], frames[1:], fuse="all", denoise=0)
    out = result.image.pixels.astype(float)
    middle = frames[0].shape[1] // 2
    assert out[:, : middle - 8].mean() > frames[1][:, : middle - 8].mean()
    assert out[:, middle + 8 :].mean() < frames[2][:, middle + 8 :].mean()
    assert (out >= np.min(frames, axis=0) - 1.0).all()
    assert (out <= np.max(frames, axis=0) + 1.0).all()


def test_equal_frames_fuse_to_themselves(retinex):
    pixels = backlit()
    assert np.array_equal(enhanced(retinex, pixels, [pixels], fuse="all", denoise=0).image.pixels, pixels)


def test_the_order_of_frames_changes_nothing(retinex):
    one, two, three = stack()
    forth = enhanced(retinex, one, [two, three], fuse="all").image.pixels.astype(int)
    back = enhanced(retinex, three, [two, one], fuse="all").image.pixels.astype(int)
    assert np.abs(forth - back).max() <= 1  # sums are rounded in their order


def test_python_fuses_pictures():
    frames = stack()
    with enhance_cli.open("retinex", device="cpu") as opened:
        result = opened.fuse(frames, denoise=0)
        assert result.array.shape == frames[0].shape
        assert [row["name"] for row in result.report["plan"]["candidates"]] == ["frame 1", "frame 2", "frame 3"]
        with pytest.raises(UsageError, match="two exposures"):
            opened.fuse(frames[:1])
        with pytest.raises(UsageError, match="must be alike"):
            opened.fuse([frames[0], frames[1][:-1]])
        with pytest.raises(UsageError, match=r"Opened\.fuse"):
            opened.enhance(frames[0], fuse="all")
    with enhance_cli.open("clode", device="cpu") as opened, pytest.raises(UsageError, match="does not fuse"):
        opened.fuse(frames)


def test_what_fuse_takes():
    assert parse_fuse("3") == 3
    assert parse_fuse("Folder") == "folder"
    assert parse_fuse("all") == "all"
    assert parse_fuse(r"(.+)_e\d") == r"(.+)_e\d"
    for wrong in ("1", "0", "-2", "name", "(", ""):
        with pytest.raises(UsageError, match="--fuse"):
            RetinexControls(fuse=wrong)
    for given in ({"under": 0.5}, {"target": 0.4}, {"target": "none"}):
        with pytest.raises(UsageError, match="--under, --over and --target"):
            RetinexControls(fuse=3, **given)


# --- the report, the maps, the command -------------------------------------------------------------------------


def test_the_description_says_what_was_decided(retinex):
    plan = retinex.estimate(Image(backlit()), RetinexControls())
    told = plan.describe()
    assert [row["name"] for row in told["candidates"]] == list(CANDIDATES)
    assert sum(row["weight"] for row in told["candidates"]) == pytest.approx(1.0, abs=1e-4)
    assert sum(row["wins"] for row in told["candidates"]) == pytest.approx(1.0, abs=1e-4)
    for name in ("illumination", "inverse_illumination"):
        assert 0 < told[name]["p05"] <= told[name]["median"] <= told[name]["p95"] <= 1
    noise = noise_of(retinex, backlit())[1]
    assert told["noise_energy"] == pytest.approx(np.square(noise).mean(), rel=0.5, abs=1e-9)  # patches, not all


def test_maps_show_five_panels_for_a_picture_and_one_for_a_frame(retinex):
    pixels = backlit(100, 120)
    maps = enhanced(retinex, pixels, maps=True).illustrations["maps"]
    assert maps.shape == (2 * 128, 3 * 120, 3)
    plan = retinex.estimate(Image(pixels), RetinexControls())
    light = area_means(pixels, 100, 120)
    expected = formulas.illumination(plan.forward, light.max(axis=0))
    assert np.abs(maps[:100, :120, 0] / 255.0 - expected).max() <= 0.5 / 255 + 1e-6
    frames = stack()
    assert enhanced(retinex, frames[0], frames[1:], fuse="all", maps=True).illustrations["maps"].shape[0] == 150 + 28


def test_the_command_fuses_by_pattern_and_reports(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from enhance_cli.cli.app import build

    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for place, frame in enumerate(stack()):
        for scene in ("lake", "hut"):
            cv2.imwrite(f"in/{scene}_e{place}.png", frame)
    cv2.imwrite("in/other.png", stack()[0])

    def enhance(*arguments):
        return CliRunner().invoke(build(), ["retinex", "--device", "cpu", *arguments])

    result = enhance("--fuse", r"(.+)_e\d", "--maps", "in", "out")
    assert result.exit_code == 0, result.stderr
    assert "1 photo left out" in result.stderr
    names = ["hut.png", "hut_maps.png", "lake.png", "lake_maps.png"]
    assert sorted(path.name for path in Path("out").iterdir()) == ["enhance-report.jsonl", *names]
    schema = json.loads((Path(__file__).parents[3] / "docs" / "report.schema.json").read_text())
    for line in map(json.loads, Path("out/enhance-report.jsonl").read_text().splitlines()):
        jsonschema.validate(line, schema)
        scene = Path(line["output"]).stem
        assert line["source"] == f"in/{scene}_e0.png"
        assert [row["name"] for row in line["plan"]["candidates"]] == [f"{scene}_e{place}.png" for place in range(3)]

    cv2.imwrite("in/lake_e1.png", stack()[1][:-2])
    spoilt = enhance("--fuse", r"(.+)_e\d", "in", "out2")
    assert spoilt.exit_code == 1
    assert "in/lake_e1.png is 211x148" in spoilt.stderr
    assert Path("out2/hut.png").exists()

    single = enhance("--over", "0", "in/other.png", "out3/other.png")
    assert single.exit_code == 0, single.stderr
    jsonschema.validate(json.loads(Path("out3/enhance-report.jsonl").read_text()), schema)
