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
from enhance_cli.methods.retinex import formulas  # noqa: E402
from enhance_cli.methods.retinex.training import data as training_data  # noqa: E402
from enhance_cli.methods.retinex.training import train as training  # noqa: E402
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
    monkeypatch.setattr(training, "TWO_TONE_PICTURES", 4)


def tiny() -> training.Recipe:
    recipe = training.Recipe()
    schedule = replace(
        recipe.mending.schedule, iterations=4, warm_up=2, journal_every=2, validate_every=4, checkpoint_every=2
    )
    return replace(
        recipe,
        mending=replace(recipe.mending, schedule=schedule, batch=3),
        restoration=replace(recipe.restoration, schedule=schedule, batch=3, side=24, width=4),
    )


def album(folder: Path) -> training_data.Album:
    return training_data.Album.read(folder, tiny(), lambda sentence: None)


def test_every_second_scene_is_put_aside_here_and_none_is_in_both_halves(folder: Path) -> None:
    read = album(folder)
    assert {kind: len(found) for kind, found in read.held_out.items()} == {
        "lowlight": 2,
        "under": 2,
        "over": 2,
        "backlit": 2,
    }
    aside = {pair.name for kind in ("lowlight", "under", "over") for pair in read.held_out[kind]}
    scenes = {name.rsplit("_e", 1)[0] for name in aside}
    assert scenes.isdisjoint(pair.name.rsplit("_e", 1)[0] for pair in (*read.stacks, *read.lowlight))
    assert len(read.stacks) == 4
    assert len(read.clean) == 2


@pytest.mark.parametrize("kind", ["stacks", "lowlight", "exposure", "backlight", "two_tones"])
def test_each_kind_is_drawn_as_it_should_be(folder: Path, kind: str) -> None:
    none = dict.fromkeys(("stacks", "lowlight", "exposure", "backlight", "two_tones"), 0.0)
    recipe = replace(training.Recipe().mending, **{**none, kind: 1.0})
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
    recipe = replace(training.Recipe().mending, stacks=0, lowlight=0, exposure=0, backlight=0, two_tones=0)
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
    module = training.fresh_mending(recipe, 0)
    values = [training.mending_loss(module, read, recipe, 0, number).item() for number in (1, 1, 2)]
    assert values[0] == values[1] != values[2]
    assert training.mending_loss(module, read, replace(recipe, similarity=0.0), 0, 1).item() < values[0]


def test_stage_1_learns(folder: Path) -> None:
    recipe, read = tiny().mending, album(folder)
    module = training.fresh_mending(recipe, 0)
    optimizer = torch.optim.Adam(module.parameters(), 5e-3)

    def mean() -> float:
        with torch.no_grad():
            return float(np.mean([training.mending_loss(module, read, recipe, 7, i).item() for i in range(8)]))

    before = mean()
    for number in range(40):
        optimizer.zero_grad()
        training.mending_loss(module, read, recipe, 0, number).backward()
        optimizer.step()
    assert mean() < 0.85 * before


def test_the_crop_of_another_frame_is_brought_to_the_mended_light() -> None:
    mended, target = np.full((40, 40, 3), 60, np.uint8), np.full((40, 40, 3), 100, np.uint8)
    light = np.full((40, 40), 99, np.uint8)
    for scaled, expected in ((True, 60), (False, 100)):
        picture = training.Worn(mended, light, target, scaled=scaled)
        crop = training.crop_of(picture, np.random.default_rng(1), 16)
        assert crop[0].shape == (16, 16, 3)
        assert crop[2] == pytest.approx(expected / 255.0, abs=1e-5)
        assert crop[1] == pytest.approx(99 / 255.0)
        assert not crop[3].any()


def test_both_stages_train_and_are_written(folder: Path, tmp_path: Path) -> None:
    said: list[str] = []
    trained = training.train(TrainOptions(folder, tmp_path), said.append, tiny())
    assert set(trained.exported) == {"illumination", "fusion", "restoration"}
    assert all(exported.parity < 1e-4 for exported in trained.exported.values())
    assert trained.sheets[0].is_file()
    for stage in ("mending", "restoration"):
        lines = [json.loads(line) for line in (tmp_path / stage / loop.JOURNAL).read_text().splitlines()]
        assert [line["iteration"] for line in lines] == [2, 4]
        assert set(trained.figures[stage]) >= {"lowlight", "under SSIM", "backlit"}
    assert any("held out" in sentence for sentence in said)


def test_an_interruption_changes_nothing(folder: Path, tmp_path: Path) -> None:
    whole = training.train(TrainOptions(folder, tmp_path / "whole"), recipe=tiny())
    out, ends = tmp_path / "parts", 0

    class Stop(Exception):
        """Stands for the plug being pulled."""

    def stop(sentence: str) -> None:
        nonlocal ends
        ends += sentence.startswith("4 of 4")
        if ends == 2:  # at the end of stage 2, before its last checkpoint
            raise Stop

    with pytest.raises(Stop):
        training.train(TrainOptions(folder, out), stop, tiny())
    assert (out / "restoration" / loop.CHECKPOINT).is_file()
    resumed = training.train(TrainOptions(folder, out, resume=True), recipe=tiny())
    for stem in whole.exported:
        first, second = (load_file(run.exported[stem].safetensors) for run in (whole, resumed))
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_folder_of_photographs_alone_counts_as_clean(folder: Path, tmp_path: Path) -> None:
    read = training_data.Album.read(folder / "clean", tiny(), lambda sentence: None)
    assert len(read.clean) == 2
    assert not read.stacks
    drawn = [read.small(generator(0, i), training.Recipe().mending) for i in range(5)]
    assert all(one.image.shape == (formulas.PROXY, formulas.PROXY, 3) for one in drawn)
    with pytest.raises(UsageError):
        training_data.Album.read(tmp_path / "nowhere", tiny(), lambda sentence: None)
