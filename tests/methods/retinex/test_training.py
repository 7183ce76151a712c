"""What retinex's training draws, and a training of a few steps end to end."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402 - torch may be missing

from enhance_cli.errors import UsageError  # noqa: E402
from enhance_cli.methods.retinex import METHOD, formulas, network  # noqa: E402
from enhance_cli.methods.retinex.training import data as training_data  # noqa: E402
from enhance_cli.methods.retinex.training import mending as first_stage  # noqa: E402
from enhance_cli.methods.retinex.training import restoration as second_stage  # noqa: E402
from enhance_cli.methods.retinex.training import train as training  # noqa: E402
from enhance_cli.methods.retinex.training.recipe import Recipe  # noqa: E402
from enhance_cli.training import loop  # noqa: E402
from enhance_cli.training.degradations import generator  # noqa: E402
from enhance_cli.training.options import TrainOptions  # noqa: E402
from tests.pictures import codes, soft  # noqa: E402


def write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture[..., ::-1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A few scenes of every kind."""
    data = tmp_path_factory.mktemp("data")
    for index in range(4):
        picture = codes(soft(50, 60, seed=index), white=230)
        write(data / "clean" / f"c{index}.png", picture)
        write(data / "paired_lowlight" / "low" / f"p{index}.png", picture // 6)
        write(data / "paired_lowlight" / "high" / f"p{index}.png", picture)
        for frame, gain in enumerate((0.4, 1.0, 1.7)):
            name = f"sice_{index:03d}_e{frame}{'_ref' if frame == 1 else ''}.png"
            write(data / "exposure" / "sice512" / name, (picture * gain).clip(0, 255).astype(np.uint8))
    return data


@pytest.fixture(autouse=True)
def _hold_out_every_second(monkeypatch) -> None:
    monkeypatch.setattr(training_data, "HELD_OUT_EVERY", 2)
    monkeypatch.setattr(second_stage, "TWO_TONE_PICTURES", 4)


def tiny() -> Recipe:
    recipe = Recipe()
    schedule = replace(
        recipe.mending.schedule, iterations=4, warm_up=2, journal_every=2, validate_every=4, checkpoint_every=2
    )
    return replace(
        recipe,
        mending=replace(recipe.mending, schedule=schedule, batch=3),
        full=replace(recipe.full, schedule=schedule, batch=3, widths=(4, 6, 8)),
        restoration=tuple(replace(phase, schedule=schedule, batch=3, side=24) for phase in recipe.restoration),
        restoration_width=4,
    )


def album(folder: Path) -> training_data.Album:
    return training_data.Album.read(folder, tiny(), lambda sentence: None)


def test_every_second_scene_is_put_aside_here_and_none_is_in_both_halves(folder: Path) -> None:
    read = album(folder)
    assert {kind: len(found) for kind, found in read.held_out.items()} == {
        "lowlight": 2,
        "under": 2,
        "over": 2,
        "under fused": 4,
        "over fused": 2,
        "backlit": 2,
    }
    aside = {pair.name for kind in ("lowlight", "under", "over") for pair in read.held_out[kind]}
    scenes = {name.rsplit("_e", 1)[0] for name in aside}
    assert scenes.isdisjoint(pair.name.rsplit("_e", 1)[0] for pair in (*read.stacks, *read.lowlight))
    assert len(read.stacks) == 4
    assert len(read.clean) == 2
    assert len(read.frames) == 6
    assert sum(frame.best is None for frame in read.frames) == 2


def test_a_stack_without_a_best_frame_teaches_by_its_fused_stack_alone(folder: Path, tmp_path: Path) -> None:
    for path in sorted((folder / "exposure" / "sice512").glob("sice_00[01]_*")):
        name = path.name.replace("_ref", "") if "sice_000" in path.name else path.name
        write(tmp_path / "exposure" / "sice512" / name, cv2.imread(str(path))[..., ::-1])
    write(tmp_path / "clean" / "c.png", codes(soft(50, 60, seed=9), white=230))
    read = album(tmp_path)
    frames = [frame for frame in read.frames if frame.best is None]
    assert len(frames) == 3 + 1  # the best frame of the other stack, too
    assert all(frame.fused is not None for frame in frames)
    drawn = read.scene(generator(0, 0), tiny().full)
    assert drawn.image.shape == (formulas.PROXY, formulas.PROXY, 3)


KINDS = ("frames", "lowlight", "exposure", "backlight", "veil", "empty_dark", "two_tones")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_drawn_for_the_large_illumination(folder: Path, kind: str) -> None:
    recipe = replace(tiny().full, **{**dict.fromkeys(KINDS, 0.0), kind: 1.0})
    read = album(folder)
    drawn = [read.scene(generator(0, i), recipe) for i in range(6)]
    for one, again in zip(drawn, (read.scene(generator(0, i), recipe) for i in range(6)), strict=True):
        assert one.image.shape == one.target.shape == (formulas.PROXY, formulas.PROXY, 3)
        assert np.array_equal(one.image, again.image)
        assert np.array_equal(one.target, again.target)
        assert (one.bright is not None) == (kind == "two_tones")
    if kind not in ("frames", "empty_dark", "two_tones"):
        assert not any(np.array_equal(one.image, one.target) for one in drawn)


def test_dark_frames_learn_from_fused_stacks_and_bright_ones_from_the_best_frame(folder: Path) -> None:
    read = album(folder)
    always = replace(tiny().full, fused_of_dark=1.0, fused_of_bright=0.0)
    for frame in read.frames:
        assert frame.fused is not None
        target = training_data.target_of(frame, generator(0, 0), always)
        dark = frame.image.mean() < frame.fused.mean() or frame.best is None
        assert target is (frame.fused if dark else frame.best)


@pytest.mark.parametrize("kind", ["stacks", "lowlight", "exposure", "backlight", "two_tones"])
def test_each_kind_is_drawn_as_it_should_be(folder: Path, kind: str) -> None:
    none = dict.fromkeys(("stacks", "lowlight", "exposure", "backlight", "two_tones"), 0.0)
    recipe = replace(Recipe().mending, **{**none, kind: 1.0})
    read = album(folder)
    drawn = [read.small(generator(0, i), recipe) for i in range(6)]
    for one, again in zip(drawn, (read.small(generator(0, i), recipe) for i in range(6)), strict=True):
        assert one.image.shape == one.target.shape == (formulas.PROXY, formulas.PROXY, 3)
        assert np.array_equal(one.image, again.image)
        assert (one.bright is not None) == (kind == "two_tones")
    light = np.mean([one.image.mean() / one.target.mean() for one in drawn])
    if kind in ("lowlight", "backlight"):
        assert light < 0.95
    if kind == "two_tones":
        assert all(np.array_equal(one.image, one.target) for one in drawn)


def test_what_is_left_of_the_shares_stays_as_it_is(folder: Path) -> None:
    recipe = replace(Recipe().mending, stacks=0, lowlight=0, exposure=0, backlight=0, two_tones=0)
    one = album(folder).small(generator(0, 0), recipe)
    assert np.array_equal(one.image, one.target)


def test_pairs_are_cut_and_mirrored_alike() -> None:
    picture = cv2.resize(codes(soft(50, 60, seed=3), white=230), (training_data.CACHED, training_data.CACHED))
    for seed in range(4):
        image, target = training_data.cut((picture, picture), np.random.default_rng(seed))
        assert np.array_equal(image, target)
    assert not np.array_equal(image, training_data.cut((picture, picture), np.random.default_rng(0))[0])


def test_a_loss_is_a_function_of_seed_and_number(folder: Path) -> None:
    recipe, read = tiny().mending, album(folder)
    module = first_stage.fresh_mending(recipe, 0)

    def draw(random: np.random.Generator) -> training_data.Drawn:
        return read.small(random, recipe)

    values = [first_stage.mending_loss(module, draw, recipe, 0, number).item() for number in (1, 1, 2)]
    assert values[0] == values[1] != values[2]
    assert first_stage.mending_loss(module, draw, replace(recipe, similarity=0.0), 0, 1).item() < values[0]


@pytest.mark.parametrize("full", [False, True])
def test_stage_1_learns(folder: Path, full: bool) -> None:
    recipe, read = tiny().full if full else tiny().mending, album(folder)
    module = first_stage.fresh_mending(tiny().mending, 0)
    if full:
        module = first_stage.Mending(network.SceneIllumination((4, 6, 8)), module.fusion, tiny().full.highlight)
    optimizer = torch.optim.Adam(module.parameters(), 5e-3)

    def loss(seed: int, number: int) -> torch.Tensor:
        def draw(random: np.random.Generator) -> training_data.Drawn:
            return read.scene(random, tiny().full) if full else read.small(random, tiny().mending)

        return first_stage.mending_loss(module, draw, recipe, seed, number)

    def mean() -> float:
        with torch.no_grad():
            return float(np.mean([loss(7, number).item() for number in range(8)]))

    before = mean()
    for number in range(40):
        optimizer.zero_grad()
        loss(0, number).backward()
        optimizer.step()
    assert mean() < 0.85 * before


def test_the_crop_of_another_frame_is_brought_to_the_mended_light() -> None:
    mended, target = np.full((40, 40, 3), 60, np.uint8), np.full((40, 40, 3), 100, np.uint8)
    light = np.full((40, 40), 99, np.uint8)
    for scaled, expected in ((True, 60), (False, 100)):
        picture = second_stage.Worn(mended, light, target, scaled=scaled)
        crop = second_stage.crop_of(picture, np.random.default_rng(1), 16)
        assert crop[0].shape == (16, 16, 3)
        assert crop[2] == pytest.approx(expected / 255.0, abs=1e-5)
        assert crop[1] == pytest.approx(99 / 255.0)
        assert not crop[3].any()


def test_relus_leak_less_and_less_and_at_last_not_at_all() -> None:
    first = Recipe().restoration[0]
    slopes = [first.slope_at(iteration, 100) for iteration in (0, 30, 60, 99)]
    assert slopes == pytest.approx([first.slope, first.slope / 2.0, 0.0, 0.0])
    assert first.slope > 0.0


def test_both_stages_train_and_are_written(folder: Path, tmp_path: Path) -> None:
    said: list[str] = []
    trained = training.train(TrainOptions(folder, tmp_path), said.append, tiny())
    assert set(trained.exported) == set(METHOD.weights)
    assert all(exported.parity < 1e-4 for exported in trained.exported.values())
    assert trained.sheets[0].is_file()
    for stage in ("mending", "mending-full", "restoration-1", "restoration-2"):
        lines = [json.loads(line) for line in (tmp_path / stage / loop.JOURNAL).read_text().splitlines()]
        assert [line["iteration"] for line in lines] == [2, 4]
    for figures in trained.figures.values():
        assert set(figures) >= {"lowlight", "under SSIM", "backlit"}
    assert any("held out" in sentence for sentence in said)


def test_an_interruption_changes_nothing(folder: Path, tmp_path: Path) -> None:
    whole = training.train(TrainOptions(folder, tmp_path / "whole"), recipe=tiny())
    out, ends = tmp_path / "parts", 0

    class Stop(Exception):
        """Stands for the plug being pulled."""

    def stop(sentence: str) -> None:
        nonlocal ends
        ends += sentence.startswith("4 of 4")
        if ends == 4:  # at the end of the last phase, before its last checkpoint
            raise Stop

    with pytest.raises(Stop):
        training.train(TrainOptions(folder, out), stop, tiny())
    assert (out / "restoration-2" / loop.CHECKPOINT).is_file()
    resumed = training.train(TrainOptions(folder, out, resume=True), recipe=tiny())
    for stem in whole.exported:
        first, second = (load_file(run.exported[stem].safetensors) for run in (whole, resumed))
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_folder_of_photographs_alone_counts_as_clean(folder: Path, tmp_path: Path) -> None:
    read = training_data.Album.read(folder / "clean", tiny(), lambda sentence: None)
    assert len(read.clean) == 2
    assert not read.stacks
    drawn = [read.small(generator(0, i), Recipe().mending) for i in range(5)]
    assert all(one.image.shape == (formulas.PROXY, formulas.PROXY, 3) for one in drawn)
    with pytest.raises(UsageError):
        training_data.Album.read(tmp_path / "nowhere", tiny(), lambda sentence: None)
