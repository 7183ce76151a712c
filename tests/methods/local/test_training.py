"""What local's training draws, what its loss asks for, and a training of a few steps end to end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from typer.testing import CliRunner  # noqa: E402 - torch may be missing

from enhance_cli.cli.app import build  # noqa: E402
from enhance_cli.errors import UsageError  # noqa: E402
from enhance_cli.methods.local import network  # noqa: E402
from enhance_cli.methods.local.training import losses, sampler  # noqa: E402
from enhance_cli.methods.local.training import train as training  # noqa: E402
from enhance_cli.training import loop  # noqa: E402
from enhance_cli.training.degradations import generator  # noqa: E402
from enhance_cli.training.export import read_weights  # noqa: E402
from enhance_cli.training.options import TrainOptions  # noqa: E402
from enhance_cli.training.two_tone import two_tones  # noqa: E402
from tests.pictures import soft  # noqa: E402

RECIPE = training.Recipe(
    schedule=loop.Schedule(iterations=4, learning_rate=1e-3, averaging=0.5, validate_every=4, checkpoint_every=2),
    batch=4,
    read_side=64,
)


def photograph(seed: int, height: int = 60, width: int = 80) -> np.ndarray:
    """Smooth colours with a few edges."""
    picture = soft(height, width, (4, 5), 40, 230, seed, np.float32)
    picture[height // 3 :, width // 2 :] *= 0.6
    return picture.clip(0, 255).astype(np.uint8)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Nine dark pairs, nine stacks of three frames, and three clean photographs."""
    folders = {name: tmp_path / "data" / name for name in ("paired_lowlight/low", "paired_lowlight/high", "clean")}
    folders["stacks"] = tmp_path / "data" / "exposure" / "sice512"
    for folder in folders.values():
        folder.mkdir(parents=True)
    for index in range(9):
        good = photograph(index)
        cv2.imwrite(str(folders["paired_lowlight/high"] / f"lol_{index}.png"), good)
        cv2.imwrite(str(folders["paired_lowlight/low"] / f"lol_{index}.png"), good // 8)
        for name, frame in (("e0", good // 3), ("e1_ref", good), ("e2", np.minimum(good, 180) + 70)):
            cv2.imwrite(str(folders["stacks"] / f"sice_{index:03d}_{name}.png"), frame)
    for index in range(3):
        cv2.imwrite(str(folders["clean"] / f"good_{index}.png"), photograph(20 + index))
    return tmp_path / "data"


@pytest.fixture
def album(data: Path) -> training.Album:
    return training.Album.read(data, RECIPE, lambda sentence: None)


# --- masks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sampler.SHARES)
@pytest.mark.parametrize("seed", range(5))
def test_masks_have_an_area_a_and_a_fall_off_around_it(kind: str, seed: int) -> None:
    inside, fall_off = sampler.draw(generator(seed), 64, kind)
    assert set(np.unique(inside)) <= {0.0, 1.0}
    assert fall_off.min() >= 0.0
    assert fall_off.max() <= 1.0
    assert (fall_off[inside == 1.0] == 1.0).all()
    assert (fall_off[inside == 0.0] < 1.0).all()
    if kind == "full":
        assert inside.all()
    elif kind == "empty":
        assert not fall_off.any()
    else:
        assert 0.0 < inside.mean() < 1.0
        assert ((fall_off > 0.0) & (inside == 0.0)).any()


def test_every_kind_of_mask_is_drawn() -> None:
    assert sum(sampler.SHARES.values()) == pytest.approx(1.0)
    shares = [sampler.draw(generator(seed), 32)[0].mean() for seed in range(60)]
    assert {0.0, 1.0} <= set(shares)
    assert len(set(shares)) > 20


# --- pictures ----------------------------------------------------------------------------------------------


def test_scenes_are_put_aside_and_bright_frames_left_out(album: training.Album) -> None:
    assert [pair.name for pair in album.held_out["low"]] == ["lol_7"]
    assert [pair.name for pair in album.held_out["under"]] == ["sice_007_e0"]
    assert len(album.low) == 8
    assert {pair.name[-2:] for pair in album.stacks} == {"e0"}
    assert not any(pair.name.startswith("sice_007") for pair in album.stacks)


def test_a_batch_is_a_function_of_seed_and_number(album: training.Album) -> None:
    first, again, other = album.batch(0, 3), album.batch(0, 3), album.batch(0, 2)
    assert all(torch.equal(a, b) for a, b in zip(vars_of(first), vars_of(again), strict=True))
    assert not torch.equal(first.image, other.image)


def vars_of(batch: training.Batch) -> tuple[torch.Tensor, ...]:
    return batch.image, batch.reference, batch.mask, batch.bright


def test_a_batch_ends_with_two_tones_of_which_the_last_is_lit_everywhere(album: training.Album) -> None:
    batch = album.batch(0, 3)
    assert batch.image.shape == batch.reference.shape == (4, 3, 96, 96)
    assert batch.mask.shape == (4, 2, 96, 96)
    assert batch.bright.shape == (2, 1, 96, 96)
    assert batch.mask[-1].min() == 1.0
    for index in (-1, -2):
        assert len(batch.image[index].unique()) == 2
        assert torch.equal(batch.image[index], batch.reference[index])


def test_training_begins_with_whole_pictures(album: training.Album) -> None:
    long = replace(album, recipe=replace(RECIPE, schedule=replace(RECIPE.schedule, iterations=100)))
    assert all(long.batch(0, iteration).mask.min() == 1.0 for iteration in range(20))
    assert any(long.batch(0, iteration).mask.min() == 0.0 for iteration in range(20, 26))


def test_photographs_alone_are_a_data_set_too(data: Path) -> None:
    album = training.Album.read(data / "clean", RECIPE, lambda sentence: None)
    assert (len(album.low), len(album.stacks), len(album.clean)) == (0, 0, 3)
    assert album.batch(0, 0).image.shape == (4, 3, 96, 96)


# --- the loss ----------------------------------------------------------------------------------------------


class Given(torch.nn.Module):
    """A network that answers with what it was given."""

    def __init__(self, output: torch.Tensor, light: torch.Tensor) -> None:
        super().__init__()
        self.output, self.light = output, light

    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.output, self.light


@pytest.mark.parametrize("part", training.PARTS)
def test_the_loss_prefers_light_in_a_an_even_fall_and_nothing_in_c(album: training.Album, part: str) -> None:
    batch = next(
        found
        for found in (album.batch(0, iteration) for iteration in range(1, 50))
        if all(area.any() for area in losses.areas(found.mask[:-2]))
    )
    share = batch.mask[:, 1:]
    blended = batch.image * (1.0 - share) + batch.reference * share
    inside, between, outside = losses.areas(batch.mask)
    stepped = torch.where(share > 0.5, batch.reference, batch.image)

    def cost(output: torch.Tensor) -> float:
        return training.batch_loss(Given(output, torch.full_like(output, 0.5)), batch, part, RECIPE).item()

    best = cost(blended)
    assert cost(blended + 0.1 * inside) > best
    assert cost(blended + 0.1 * outside) > best
    rough = blended + 0.1 * between * torch.rand(blended.shape, generator=torch.Generator().manual_seed(0))
    assert cost(rough) > best
    assert cost(stepped) > best


def test_uneven_tones_cost() -> None:
    image, bright = two_tones(generator(0), 96, *training.TONES)
    tones = torch.from_numpy(image.transpose(2, 0, 1).copy())[None].expand(2, -1, -1, -1)
    photograph = torch.full((1, 3, 96, 96), 0.5)
    whole = torch.cat([photograph, tones])
    both = torch.from_numpy(bright)[None, None].expand(2, -1, -1, -1)
    batch = training.Batch(whole, whole, torch.ones(3, 2, 96, 96), both)
    shaded = whole.clone()
    shaded[1:] *= torch.linspace(0.8, 1.2, 96)

    def cost(output: torch.Tensor) -> float:
        light = torch.full_like(output, 0.5)
        return training.batch_loss(Given(output, light), batch, "deepupe", RECIPE).item()

    assert cost(shaded) > cost(whole) + 0.1


# --- trainings ---------------------------------------------------------------------------------------------


def interrupted_at(call: int) -> Callable[..., torch.Tensor]:
    """A loss that ends the training when it is asked for the given time."""
    honest, calls = training.batch_loss, []

    def loss(*arguments: Any) -> torch.Tensor:
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return honest(*arguments)

    return loss


def test_a_training_leaves_weights_journal_and_sheet_and_resumes_to_the_same(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = TrainOptions(data=data, out=tmp_path / "once", parts=("star",))
    trained = training.train(once, recipe=RECIPE)
    assert set(trained.exported) == {"star"}
    assert set(trained.figures["star"]) == {"low A", "under A", "C"}
    assert all(path.stat().st_size > 0 for path in trained.sheets)
    lines = (once.out / "star" / loop.JOURNAL).read_text().splitlines()
    assert json.loads(lines[-1])["iteration"] == 4

    again = TrainOptions(data=data, out=tmp_path / "again", parts=("star",), resume=True)
    with monkeypatch.context() as patched:
        patched.setattr(training, "batch_loss", interrupted_at(3))
        with pytest.raises(KeyboardInterrupt):
            training.train(again, recipe=RECIPE)
    assert (again.out / "star" / loop.CHECKPOINT).exists()
    resumed = training.train(again, recipe=RECIPE)
    assert resumed.exported["star"].sha256 == trained.exported["star"].sha256

    module = network.assemble("star")
    read_weights(network.estimator(module), resumed.exported["star"].safetensors)
    album = training.Album.read(data, RECIPE, lambda sentence: None)
    image, _, mask = album.task(album.held_out["low"][0], 0)
    assert training.lit(module.eval(), image, mask).shape == (1, 3, 192, 192)


def test_normalisation_keeps_its_statistics_at_the_end() -> None:
    module = network.assemble("star").train()
    training.freeze_statistics(module)
    kept = module.network.head_norm.normalise.running_mean.clone()
    module(torch.rand(2, 3, 96, 96), torch.ones(2, 2, 96, 96))
    assert torch.equal(module.network.head_norm.normalise.running_mean, kept)


def test_an_unknown_part_is_refused_and_so_is_one_where_there_are_none(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no part 'deepupe-huge'"):
        training.train(TrainOptions(data=data, out=tmp_path, parts=("deepupe-huge",)), recipe=RECIPE)
    found = CliRunner().invoke(
        build(), ["train", "clahe-adaptive", str(data), "--part", "star", "--out", str(tmp_path)]
    )
    assert found.exit_code == 2
    assert "it is trained as a whole" in found.output
