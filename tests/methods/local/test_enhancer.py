"""local end to end: kernels against slow formulas, windows, the lock, the degree, the fall-off, report and command."""

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
from enhance_cli.imaging.tiles import tiles
from enhance_cli.methods.local import HALO, LocalControls, kernels_cpu
from enhance_cli.methods.local.enhancer import Local
from enhance_cli.methods.local.review import spearman
from enhance_cli.pipeline.recipe import Recipe
from enhance_cli.quality.reference import psnr
from enhance_cli.types import Image, Window
from tests.pictures import dark

ROOT = Path(__file__).parents[3]
CPU = CpuEngine(2)
BACKBONES = ("deepupe", "star")
DISC = "circle:50%,50%,30%"


@pytest.fixture(scope="module")
def local():
    return Local(CPU)


def enhanced(local, pixels, **controls):
    return Recipe(CPU, local, LocalControls(**{"mask": DISC, **controls})).enhance(Image(pixels))


def dim(height=96, width=128, level=0.15, **details):
    """A dark scene whose right part is brighter by a share of its level."""
    return dark(height, width, level, 0.006, edge=0.8 * level, edge_at=0.6, waves=(11.0, 8.0), **details)


def decision(backbone, seed=0):
    """Field, guide and tail that no network made: every number says something."""
    rng = np.random.default_rng(seed)
    tail = rng.normal(0, 0.03, (3, 37)).astype(np.float32)
    if backbone == "star":
        return rng.uniform(-0.6, 0.1, (5, 7, 24)).astype(np.float32), np.empty((0, 6), np.float32), tail
    field = rng.normal(0, 1, (5, 7, 4, 12)).astype(np.float32)
    return field, rng.normal(0, 1, (9, 6)).astype(np.float32), tail


# --- the formulas, slow and obvious --------------------------------------------------------------------------


def between(field, at, axis):
    """Linear between neighbours along an axis, the ends repeated."""
    at = np.clip(at, 0, field.shape[axis] - 1)
    low = np.minimum(np.floor(at).astype(int), max(field.shape[axis] - 2, 0))
    high = np.minimum(low + 1, field.shape[axis] - 1)
    share = (at - low).reshape([-1 if i == axis else 1 for i in range(field.ndim)])
    return np.take(field, low, axis) * (1 - share) + np.take(field, high, axis) * share


def oracle(pixels, t, field, guide, tail, degree, lock):
    """The picture in floats, rounded half up, by docs/papers.md, L2, L3, L8 and L9, word for word."""
    white = np.iinfo(pixels.dtype).max
    light = pixels / white
    height, width = t.shape
    ramp = t * t * (3 - 2 * t)
    maps = between(field.astype(float), (np.arange(height) + 0.5) * field.shape[0] / height - 0.5, 0)
    maps = between(maps, (np.arange(width) + 0.5) * field.shape[1] / width - 0.5, 1)
    if field.ndim == 3:
        lit = light.copy()
        rates = maps * t[..., None]
        rates = np.clip(rates - ((1 / degree - 1) * ramp)[..., None] * np.abs(rates), -1, 1)
        for step in range(8):
            lit += rates[..., 3 * step : 3 * step + 3] * (lit * lit - lit)
    else:
        inputs = np.dstack((np.sqrt(light), t))
        hidden = np.maximum(inputs @ guide[:-1, :4].T + guide[:-1, 4], 0)
        tone = 1 / (1 + np.exp(-(hidden @ guide[:-1, 5] + guide[-1, 5])))
        at = np.clip(tone * field.shape[2] - 0.5, 0, field.shape[2] - 1)
        low = np.minimum(at.astype(int), field.shape[2] - 2)
        y, x = np.mgrid[:height, :width]
        up = (at - low)[..., None]
        matrix = (maps[y, x, low] * (1 - up) + maps[y, x, low + 1] * up).reshape(height, width, 3, 4)
        decided = (matrix[..., :3] * light[:, :, None, :]).sum(-1) + matrix[..., 3]
        illumination = light + (1 - light) / (1 + np.exp(-decided))
        illumination = 1 / (1 + t[..., None] * (1 / np.maximum(illumination, 1e-4) - 1))
        illumination *= (1 + (degree - 1) * ramp)[..., None]
        lit = light / np.maximum(np.maximum(illumination, light), 1e-8)
    padded = np.pad(np.dstack((lit, t)), ((1, 1), (1, 1), (0, 0)), mode="edge")
    weights = tail[:, :36].reshape(3, 4, 3, 3)
    refined = lit + tail[:, 36]
    for i in range(3):
        for j in range(3):
            refined = refined + padded[i : i + height, j : j + width] @ weights[:, :, i, j].T
    out = np.clip(refined, 0, 1)
    if lock:
        part = np.minimum(4 * t, 1)
        out = light + (part * part * (3 - 2 * part))[..., None] * (out - light)
    return out * white


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("lock", [True, False])
@pytest.mark.parametrize("degree", [1.0, 0.7, 1.6])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_kernels_are_the_formulas(backbone, lock, degree, dtype):
    pixels = dim(50, 70, level=0.3, dtype=dtype)
    rng = np.random.default_rng(3)
    part = cv2.GaussianBlur(rng.random((30, 40)), (0, 0), 3)
    part = np.clip((part - part.min()) / np.ptp(part) * 1.6 - 0.3, 0, 1)
    codes = np.rint(part * 65535).astype(np.uint16)
    t = np.zeros((50, 70))
    t[8:38, 20:60] = codes / 65535
    field, guide, tail = decision(backbone)
    cells = (field.shape[0] / 50, 0.0, field.shape[1] / 70, 0.0)
    arguments = (codes, field, guide, tail, degree, lock, (8, 20), cells)
    expected = oracle(pixels, t, field, guide, tail, degree, lock)
    allowed = 0.51 if dtype == np.uint8 else 4.0  # single precision, and an exponential to 3e-6
    assert np.abs(kernels_cpu.render(pixels, *arguments) - expected).max() <= allowed

    torch = pytest.importorskip("torch")
    from enhance_cli.methods.local import kernels_cuda

    tensors = [torch.from_numpy(item) if isinstance(item, np.ndarray) else item for item in arguments]
    twin = kernels_cuda.render(torch.from_numpy(pixels), *tensors).numpy()
    assert np.abs(twin - expected).max() <= allowed


def test_a_field_of_one_cell_is_the_same_everywhere():
    pixels = np.full((20, 30, 3), 60, np.uint8)
    full = np.full((20, 30), 65535, np.uint16)
    for backbone in BACKBONES:
        field, guide, tail = decision(backbone)
        field, tail = np.ascontiguousarray(field[:1, :1]), np.zeros_like(tail)
        out = kernels_cpu.render(pixels, full, field, guide, tail, 1.0, True, (0, 0), (1 / 20, 0.0, 1 / 30, 0.0))
        assert (out == out[0, 0]).all()


def test_illumination_of_one_is_the_picture():
    pixels = dim()
    full = np.full(pixels.shape[:2], 65535, np.uint16)
    field, guide, tail = decision("deepupe")
    field[...] = 0
    field[..., 3::4] = 40.0  # the sigmoid is 1
    cells = (5 / 96, 0.0, 7 / 128, 0.0)
    out = kernels_cpu.render(pixels, full, field, guide, np.zeros_like(tail), 1.0, False, (0, 0), cells)
    assert np.array_equal(out, pixels)


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize(("size", "apart"), [((96, 192), 0.6), ((192, 96), 0.6), ((150, 131), 3.0), ((300, 200), 3.0)])
def test_what_is_rendered_is_what_the_shipped_network_makes(local, monkeypatch, backbone, size, apart):
    """Exports, proxies, planes and kernels against the trained module at full resolution, nothing locked.

    The module makes its mask small for each layer from all pixels, the export from 96×96 of them: where the sides are
    no multiples of 96, their cells differ a little.
    """
    torch = pytest.importorskip("torch")
    from enhance_cli.engines import weights
    from enhance_cli.methods.local import METHOD, enhancer, network

    monkeypatch.setattr(enhancer, "WHOLE", 0.0)
    monkeypatch.setattr(enhancer, "noise", lambda *_: None)
    from enhance_cli.training.export import read_configuration, read_weights

    path = weights.find(METHOD, backbone, "safetensors").path
    estimator = network.build(read_configuration(path))
    read_weights(estimator, path)
    pixels = dim(*size)
    result = enhanced(local, pixels, backbone=backbone, lock=False, transition="15%")
    plan = result.plan
    t = np.zeros(size, np.float32)
    t[plan.top : plan.top + plan.fall_off.shape[0], plan.left : plan.left + plan.fall_off.shape[1]] = plan.fall_off
    t /= np.float32(65535)
    mask = torch.from_numpy(np.stack([(t == 1).astype(np.float32), t]))[None]
    picture = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).float()[None] / 255
    with torch.no_grad():
        lit = estimator.eval().localised(picture, mask)[0][0].clamp(0, 1).numpy().transpose(1, 2, 0) * 255
    assert np.abs(result.image.pixels - lit).max() <= apart


# --- windows -------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(data=st.data(), height=st.integers(4, 90), width=st.integers(4, 90), deep=st.booleans(), lock=st.booleans())
def test_tiles_are_the_whole(local, data, height, width, deep, lock):
    backbone = data.draw(st.sampled_from(BACKBONES))
    x, y, radius = (data.draw(st.integers(0, 100)) for _ in range(3))
    mask = f"circle:{x}%,{y}%,{radius + 1}%+rect:{100 - x}%,{y}%,20%,10%+rect:40%,40%,5%,5%"
    samples = dim(height, width, dtype=np.uint16 if deep else np.uint8)
    controls = LocalControls(
        mask=mask, backbone=backbone, lock=lock, degree=data.draw(st.sampled_from([0.7, 1.0, 1.5])),
        transition=data.draw(st.sampled_from(["auto", 0, "20%"])),
    )  # fmt: skip
    plan = local.estimate(Image(samples), controls)
    whole = local.render(Window(samples, 0, 0), plan)
    stitched = np.empty_like(samples)
    for tile in tiles(height, width, data.draw(st.integers(1, 64)), data.draw(st.integers(1, 64)), HALO):
        window = Window(samples[tile.outer], tile.outer_top, tile.outer_left)
        stitched[tile.inner] = local.render(window, plan)[tile.inner_of_outer]
    assert np.array_equal(stitched, whole)


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("lock", [True, False])
def test_both_engines_light_a_disc_alike_in_any_window(local, backbone, lock):
    pytest.importorskip("torch")
    from enhance_cli.engines.cuda import CudaEngine

    twin = Local(CudaEngine("cpu"))
    samples = dim(90, 120)
    controls = LocalControls(mask="circle:60%,40%,30%", backbone=backbone, lock=lock)
    plan, other = local.estimate(Image(samples), controls), twin.estimate(Image(samples), controls)
    whole = local.render(Window(samples, 0, 0), plan)
    assert plan.monotony == pytest.approx(other.monotony, abs=0.02)
    for tile in tiles(90, 120, 40, 35, HALO):
        window = Window(samples[tile.outer], tile.outer_top, tile.outer_left)
        part = twin.render(window, other)[tile.inner_of_outer]
        assert np.abs(part.astype(int) - whole[tile.inner]).max() <= 1


# --- the lock, empty and full ----------------------------------------------------------------------------------


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_area_c_is_the_input_bit_by_bit(local, backbone, dtype):
    pixels = dim(dtype=dtype)
    result = enhanced(local, pixels, backbone=backbone)
    plan, out = result.plan, result.image.pixels
    outside = np.ones(pixels.shape[:2], bool)
    rows, columns = plan.fall_off.shape
    outside[plan.top : plan.top + rows, plan.left : plan.left + columns] = plan.fall_off == 0
    assert outside.any()
    assert np.array_equal(out[outside], pixels[outside])
    assert (out[~outside] != pixels[~outside]).any()


@pytest.mark.parametrize("backbone", BACKBONES)
def test_without_the_lock_area_c_is_the_networks(local, backbone):
    """Area C stays within 38 dB without the lock, on a picture that is no photograph."""
    pixels = dim(240, 320)
    locked, bare = (enhanced(local, pixels, backbone=backbone, lock=lock) for lock in (True, False))
    plan = bare.plan
    outside = np.ones(pixels.shape[:2], bool)
    rows, columns = plan.fall_off.shape
    outside[plan.top : plan.top + rows, plan.left : plan.left + columns] = plan.fall_off == 0
    assert psnr(bare.image.pixels[outside][None], pixels[outside][None]) >= 38
    inside = plan.fall_off == 65535
    part = np.s_[plan.top : plan.top + rows, plan.left : plan.left + columns]
    assert np.array_equal(bare.image.pixels[part][inside], locked.image.pixels[part][inside])


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_person_is_lit_without_an_aura(local, backbone):
    """Hard masks that are images: the background beside them stays, and 12 pixels inside there is all the light."""
    pixels = np.full((240, 320, 3), (36, 38, 44), np.uint8)
    mask = np.zeros((240, 320), np.uint8)
    mask[58:, 118:202] = 255
    pixels[60:, 120:200] = (60, 45, 34)
    pixels = np.clip(pixels + np.random.default_rng(0).normal(0, 2, pixels.shape), 0, 255).astype(np.uint8)
    result = enhanced(local, pixels, mask=mask, backbone=backbone)
    assert (result.plan.mode, result.plan.fitted) == ("erode", True)
    assert not any("narrow" in note for note in result.plan.notes)
    change = result.image.pixels.mean(axis=2) - pixels.mean(axis=2)
    ring, inside = np.s_[100:220, 110:118], np.s_[100:220, 132:188]
    assert change[ring].mean() < 1
    assert change[100:220, 118:120].mean() < 4  # covered by the mask, but not the person
    assert change[inside].mean() > 15
    assert change[100:220, 122:124].mean() > 0.5 * change[inside].mean()  # no dark rim
    glow = enhanced(local, pixels, mask=mask, backbone=backbone, transition_mode="dilate")
    assert (glow.plan.mode, glow.plan.fitted) == ("dilate", False)
    assert (glow.image.pixels.mean(axis=2) - pixels.mean(axis=2))[ring].mean() > 10


@pytest.mark.parametrize("backbone", BACKBONES)
def test_an_empty_mask_lights_nothing_and_says_so(local, backbone):
    pixels = dim()
    result = enhanced(local, pixels, mask=np.zeros((96, 128), np.uint8), backbone=backbone)
    assert np.array_equal(result.image.pixels, pixels)
    assert result.plan.notes == ("the mask is empty: nothing is lit",)
    areas = result.plan.describe()["areas"]
    assert (areas["A"]["share"], areas["A"]["luma_before"], areas["C"]["share"]) == (0.0, None, 1.0)


def test_a_full_mask_says_so_and_has_no_transition(local):
    result = enhanced(local, dim(), mask="rect:0,0,100%,100%")
    assert "the mask covers the whole photo" in result.plan.notes
    told = result.plan.describe()
    assert told["transition"]["gain_stops"] == []
    assert told["areas"]["C"]["luma_after"] is None


# --- the degree ------------------------------------------------------------------------------------------------


@settings(max_examples=15)
@given(
    seed=st.integers(0, 999), level=st.floats(0.03, 0.35), backbone=st.sampled_from(BACKBONES), x=st.integers(20, 80)
)
def test_a_smaller_degree_is_strictly_brighter_in_area_a_and_nothing_in_area_c(local, seed, level, backbone, x):
    pixels = dim(seed=seed, level=level)
    means = []
    for degree in (0.5, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 2.0):
        result = enhanced(local, pixels, mask=f"circle:{x}%,50%,25%", degree=degree, backbone=backbone)
        plan = result.plan
        rows, columns = plan.fall_off.shape
        part = result.image.pixels[plan.top : plan.top + rows, plan.left : plan.left + columns]
        means.append(part[plan.fall_off == 65535].mean())
        outside = np.ones(pixels.shape[:2], bool)
        outside[plan.top : plan.top + rows, plan.left : plan.left + columns] = plan.fall_off == 0
        assert np.array_equal(result.image.pixels[outside], pixels[outside])
    assert (np.diff(means) < 0).all()


def test_an_unusual_degree_is_noted(local):
    assert any("0.6 lies outside" in note for note in enhanced(local, dim(), degree=0.6).plan.notes)
    assert not any("degree" in note for note in enhanced(local, dim(), degree=1.3).plan.notes)


# --- the fall-off ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("level", [20, 45, 80])
@pytest.mark.parametrize("transition", ["auto", "12%", "30%"])
def test_light_falls_off_without_step_or_ring(local, backbone, level, transition):
    """On flat grey, lock off: mean luma along the distance to the mask's edge is monotone."""
    pixels = np.full((300, 400, 3), level, np.uint8)
    result = enhanced(local, pixels, mask="circle:50%,50%,25%", backbone=backbone, transition=transition, lock=False)
    out = result.image.pixels.mean(axis=2)
    y, x = np.mgrid[:300, :400] + 0.5
    radius = np.hypot(y - 150, x - 200)
    edge = 75.0
    end = edge + result.plan.transition
    rings = np.arange(edge, end, max(1.0, (end - edge) / 24))
    means = [out[(radius >= near) & (radius < near + 1)].mean() for near in rings]
    assert spearman(tuple(-rings), tuple(means)) > 0.95
    # No ring: neither brighter than area A nor darker than C, and no step of more than a fifth of the whole way.
    lit = [out[(radius >= near) & (radius < near + 2)].mean() for near in range(0, 73, 8)]
    inside, outside = max(lit), out[radius > end + 2].mean()
    assert min(means) >= min(outside, level) - 1.0
    assert max(means) <= inside + 1.0
    assert np.abs(np.diff(means)).max() <= 0.2 * (inside - outside) + 1.0
    # Area A itself is as even as that: its rings differ by an eighth of the way at most.
    assert np.ptp(lit) <= 0.125 * (inside - outside)


def test_spearman_is_scipys():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    for _ in range(20):
        one, two = rng.integers(0, 9, (2, 12)).astype(float)
        assert spearman(tuple(one), tuple(two)) == pytest.approx(stats.spearmanr(one, two).statistic)
    assert spearman((1.0, 2.0), (3.0, 3.0)) == 0.0


@pytest.mark.parametrize("backbone", BACKBONES)
def test_flat_tones_stay_flat_under_a_full_mask(local, backbone):
    """The two-tone test (docs/papers.md, T1)."""
    uneven = []
    for picture in two_tone_pictures():
        out = enhanced(local, picture.pixels, mask="rect:0,0,100%,100%", backbone=backbone).image.pixels
        uneven.append(two_tone_flatness(picture.pixels, out))
    assert np.median(uneven) <= 0.10
    assert max(uneven) <= 0.25


# --- what is told ------------------------------------------------------------------------------------------------


def test_the_report_counts_and_measures_the_areas(local):
    pixels = dim(120, 160)
    result = enhanced(local, pixels)
    told = result.plan.describe()
    plan = result.plan
    t = np.zeros(pixels.shape[:2])
    rows, columns = plan.fall_off.shape
    t[plan.top : plan.top + rows, plan.left : plan.left + columns] = plan.fall_off / 65535
    areas = {"A": t == 1, "B": (t > 0) & (t < 1), "C": t == 0}
    for when, image in (("luma_before", pixels), ("luma_after", result.image.pixels)):
        grey = image @ np.array([0.299, 0.587, 0.114]) / 255
        for name, area in areas.items():
            assert told["areas"][name][when] == pytest.approx(grey[area].mean(), abs=0.003)
    for name, area in areas.items():
        assert told["areas"][name]["share"] == pytest.approx(area.mean(), abs=1e-6)
    assert told["transition"]["width"] == pytest.approx(0.22 * 36, rel=0.01)
    assert told["transition"]["gain_stops"][0] > told["transition"]["gain_stops"][-1]


def test_a_narrow_transition_is_noted(local):
    assert any(
        "a transition of 2 pixels is narrow here" in note for note in enhanced(local, dim(), transition=2).plan.notes
    )


def test_a_plan_survives_packing(local):
    pixels = dim()
    plan = enhanced(local, pixels).plan
    copy = type(plan).from_bytes(plan.to_bytes())
    assert np.array_equal(local.render(Window(pixels, 0, 0), copy), local.render(Window(pixels, 0, 0), plan))
    assert copy.describe() == plan.describe()


def test_the_regions_are_drawn_over_the_picture(local):
    pixels = dim(120, 160)
    result = enhanced(local, pixels, show_mask=True)
    drawn = result.illustrations["show_mask"]
    assert drawn.shape == pixels.shape
    assert drawn.dtype == np.uint8
    assert drawn[60, 80, 0] > drawn[60, 80, 2] + 20  # A is amber
    assert np.ptp(drawn[5, 5].astype(int)) <= 1  # C is grey
    assert enhanced(local, pixels).illustrations == {}
    big = enhanced(local, np.zeros((20, 3200, 3), np.uint8), show_mask=True).illustrations["show_mask"]
    assert big.shape == (10, 1600, 3)


# --- the command -------------------------------------------------------------------------------------------------


@pytest.fixture
def enhance(tmp_path, monkeypatch):
    """Run `enhance local` beside in/a.png, in/b.jpg and masks/a.png."""
    from typer.testing import CliRunner

    from enhance_cli.cli.app import build

    monkeypatch.chdir(tmp_path)
    for folder in ("in", "masks"):
        Path(folder).mkdir()
    cv2.imwrite("in/a.png", dim()[..., ::-1])
    cv2.imwrite("in/b.jpg", dim(seed=1)[..., ::-1])
    disc = np.zeros((48, 64), np.uint8)
    cv2.circle(disc, (32, 24), 12, 255, -1)
    cv2.imwrite("masks/a.png", disc)
    return lambda *arguments: CliRunner().invoke(build(), ["local", "--device", "cpu", *arguments])


def lines(path):
    schema = json.loads((ROOT / "docs" / "report.schema.json").read_text())
    found = [json.loads(line) for line in Path(path).read_text().splitlines()]
    for line in found:
        jsonschema.validate(line, schema)
    return found


def test_a_folder_of_masks_by_name(enhance):
    result = enhance("--mask", "masks", "--show-mask", "in", "out")
    assert result.exit_code == 1, result.stderr
    assert "--mask: masks holds no image named b; it must hold one." in result.stderr
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "a_show_mask.png", "enhance-report.jsonl"]
    by_name = {Path(line["source"]).name: line for line in lines("out/enhance-report.jsonl")}
    assert by_name["a.png"]["controls"]["mask"] == "masks"
    assert by_name["b.jpg"]["error"]["kind"] == "usage"
    Path("masks/b.tif").write_bytes(b"no image")
    broken = enhance("--mask", "masks", "in", "out")
    assert broken.exit_code == 1
    assert "masks/b.tif is not an image that enhance can read" in broken.stderr
    Path("masks/b.tif").rename("masks/a.tif")
    assert "masks holds several: a.png, a.tif named a" in enhance("--mask", "masks", "in/a.png", "out").stderr


def test_one_mask_for_all_and_what_is_refused(enhance):
    assert enhance("--mask", "masks/a.png", "--transition", "6%", "--degree", "0.8", "in", "out").exit_code == 0
    for line in lines("out/enhance-report.jsonl"):
        assert line["plan"]["degree"] == 0.8
        assert line["plan"]["areas"]["A"]["luma_after"] > line["plan"]["areas"]["A"]["luma_before"]
        assert line["plan"]["areas"]["C"]["luma_after"] == line["plan"]["areas"]["C"]["luma_before"]
    missing = enhance("in", "again")
    assert missing.exit_code == 2
    assert "local needs --mask" in missing.stderr
    assert not Path("again").exists()
    outside = enhance("--mask", "circle:200%,50%,10%", "in", "again")
    assert outside.exit_code == 6
    assert "covers no pixel of in/a.png" in outside.stderr
    Path("masks/broken.png").write_bytes(Path("masks/a.png").read_bytes()[:60])
    broken = enhance("--mask", "masks/broken.png", "in/a.png", "again")
    assert broken.exit_code == 6
    assert "masks/broken.png cannot be decoded" in broken.stderr


def test_an_outer_mask_by_name(enhance):
    Path("outer").mkdir()
    wide = np.zeros((96, 128), np.uint8)
    cv2.circle(wide, (64, 48), 40, 255, -1)
    cv2.imwrite("outer/a.webp", wide)
    assert enhance("--mask", "masks", "--mask-outer", "outer", "in/a.png", "out").exit_code == 0
    (line,) = lines("out/enhance-report.jsonl")
    assert line["plan"]["transition"]["mode"] == "drawn"
    assert line["plan"]["transition"]["width"] == pytest.approx(16, abs=1.5)
    assert line["controls"]["mask_outer"] == "outer"
    lost = enhance("--mask", "masks/a.png", "--mask-outer", "outer", "in/b.jpg", "out")
    assert "--mask-outer: outer holds no image named b" in lost.stderr


def test_alpha_stays_and_is_a_mask(enhance):
    alpha = np.zeros((96, 128), np.uint8)
    alpha[20:70, 30:90] = 255
    cv2.imwrite("in/c.png", np.dstack((dim()[..., ::-1], alpha)))
    assert enhance("--mask", "alpha", "--transition", "8", "in/c.png", "out").exit_code == 0
    before, after = (cv2.imread(path, cv2.IMREAD_UNCHANGED) for path in ("in/c.png", "out/c.png"))
    assert np.array_equal(after[..., 3], alpha)
    assert after[30:60, 40:80, :3].mean() > before[30:60, 40:80, :3].mean() + 5
    assert np.array_equal(after[:10], before[:10])
