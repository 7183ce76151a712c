"""The networks of clode by their numbers, what training draws, and a training of a few steps end to end."""

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
from enhance_cli.methods.clode import HALO, network  # noqa: E402
from enhance_cli.methods.clode.training import data as training_data  # noqa: E402
from enhance_cli.methods.clode.training import recipe as training_recipe  # noqa: E402
from enhance_cli.methods.clode.training import train as training  # noqa: E402
from enhance_cli.training import loop  # noqa: E402
from enhance_cli.training.degradations import generator  # noqa: E402
from enhance_cli.training.options import TrainOptions  # noqa: E402
from tests.pictures import noise_tensor  # noqa: E402

KINDS = ("full", "lite")


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def fresh(part: str, kind: str) -> torch.nn.Module:
    torch.manual_seed(0)
    module = network.build({"part": part, "kind": kind}).eval()
    for name, value in module.named_parameters():
        if name.startswith("last"):  # starts at zero: give it something to say
            torch.nn.init.normal_(value)
    return module


# --- networks ----------------------------------------------------------------------------------------------


def test_the_full_networks_have_the_papers_sizes() -> None:
    denoiser, estimator = fresh("denoiser", "full"), fresh("estimator", "full")
    assert parameters(denoiser) == 22_275
    assert parameters(estimator) == 207_105
    assert parameters(estimator) - parameters(estimator.denoiser) == 184_830


def test_the_lite_networks_are_small() -> None:
    assert parameters(fresh("estimator", "lite")) <= 10_000
    assert parameters(fresh("denoiser", "lite")) <= 10_000


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(3, 3), (5, 17), (40, 24)])
def test_rates_are_bounded_at_any_size_and_time(kind: str, size: tuple[int, int]) -> None:
    estimator = fresh("estimator", kind)
    for time in (-3.0, 0.0, 5.0):
        (rate,) = estimator(noise_tensor(1, 3, *size), torch.tensor([time]))
        assert rate.shape == (1, 3, *size)
        assert rate.abs().max() < 1.0


def test_a_lite_rate_hardly_differs_between_channels() -> None:
    estimator = fresh("estimator", "lite")
    (rate,) = estimator(noise_tensor(1, 3, 16, 16), torch.tensor([1.0]))
    apart = rate - rate.mean(dim=1, keepdim=True)
    assert apart.abs().max() <= 4 / 3 * estimator.deviation


@pytest.mark.parametrize("kind", KINDS)
def test_a_denoiser_looks_no_further_than_its_halo(kind: str) -> None:
    denoiser = fresh("denoiser", kind)
    image = noise_tensor(1, 3, 48, 56)
    halo = network.HALO[kind]
    assert halo <= HALO
    (whole,) = denoiser(image)
    (part,) = denoiser(image[:, :, 8:40, 12:44])
    inside = (..., slice(halo, -halo), slice(halo, -halo))
    assert torch.allclose(part[inside], whole[:, :, 8:40, 12:44][inside], atol=1e-6)


def test_the_lite_estimator_takes_a_single_pixel() -> None:
    (rate,) = fresh("estimator", "lite")(torch.rand(1, 3, 1, 1), torch.tensor([3.0]))
    assert torch.isfinite(rate).all()


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(ValueError, match="no network of clode"):
        network.build({"part": "estimator", "kind": "huge"})


# --- the goal and the solve --------------------------------------------------------------------------------


def test_the_goal_grows_with_time_and_arrives() -> None:
    before = torch.tensor([0.06, 0.2, 0.5, 0.8])
    goal = training_recipe.Goal()
    at = torch.stack([goal.means(before, time) for time in (-3.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0)])
    assert (at[1:] > at[:-1]).all()
    assert torch.allclose(at[2], before, atol=1e-6)
    assert torch.allclose(at[5][:2], torch.tensor([0.5, 0.5]), atol=1e-4)
    assert goal.means(before, -goal.departure)[3].item() == pytest.approx(0.5, abs=1e-4)


class Constant(torch.nn.Module):
    """The same rate everywhere."""

    def forward(self, image: torch.Tensor, time: torch.Tensor) -> tuple[torch.Tensor]:
        return (torch.full_like(image, 0.5),)


@pytest.mark.parametrize("heun", [False, True])
@pytest.mark.parametrize("end", [-2.0, 3.0])
def test_a_constant_rate_gives_the_closed_form(end: float, heun: bool) -> None:
    image = noise_tensor(1, 3, 8, 8)
    solution = training.solve(Constant(), image, end, 4, heun=heun)
    expected = torch.sigmoid(torch.logit(image.double()) + 0.5 * end)
    assert torch.allclose(solution.states[-1].double(), expected, atol=1e-6)
    assert solution.times[-1] == pytest.approx(end)
    assert len(solution.rates) == 4


def test_black_and_white_stay() -> None:
    ends = torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2).expand(1, 3, 1, 2)
    assert torch.equal(training.shifted(ends, torch.full_like(ends, 2.5)), ends)


def test_brightened_reaches_the_middle_and_never_darkens() -> None:
    dark = 0.2 * noise_tensor(1, 3, 16, 16)
    assert 0.4 < training.brightened(dark).mean() < 0.6
    bright = 0.5 + 0.5 * noise_tensor(1, 3, 16, 16)
    assert torch.equal(training.brightened(bright), bright)


# --- data --------------------------------------------------------------------------------------------------


def test_cut_is_native_where_it_should_be() -> None:
    photograph = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
    piece = training_data.cut(photograph, generator(0, 0), 32, native=True)
    assert piece.shape == (32, 32, 3)
    values = {tuple(pixel) for pixel in photograph.reshape(-1, 3).tolist()}
    assert {tuple(pixel) for pixel in np.rint(piece * 255).astype(int).reshape(-1, 3).tolist()} <= values
    assert training_data.cut(photograph, generator(0, 0), 32, native=False).shape == (32, 32, 3)
    assert training_data.cut(photograph[:20, :20], generator(0, 0), 32, native=True).shape == (32, 32, 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A little of everything: dark pairs, a stack, clean photographs."""
    data = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    small = random.integers(40, 220, (12, 16, 3)).astype(np.uint8)

    def write(path: Path, scale: float) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = cv2.resize(small, (96, 72), interpolation=cv2.INTER_CUBIC).astype(np.float32) * scale
        noisy = picture + random.normal(0.0, 2.0, picture.shape)
        cv2.imwrite(str(path), noisy.clip(0, 255).astype(np.uint8))

    for index in range(9):
        write(data / "paired_lowlight" / "low" / f"{index}.png", 0.1)
        write(data / "paired_lowlight" / "high" / f"{index}.png", 1.0)
    for stack in range(8):
        for frame, scale in (("e0", 0.4), ("e1_ref", 1.0), ("e2", 1.3)):
            write(data / "exposure" / "sice512" / f"sice_{stack}_{frame}.png", scale)
    write(data / "unpaired_dark" / "a.png", 0.15)
    write(data / "clean" / "b.png", 1.0)
    return data


def test_an_album_puts_scenes_aside_and_draws_by_number_alone(folder: Path) -> None:
    album = training_data.Album.read(folder, training.Recipe(), lambda sentence: None)
    assert (len(album.dark), len(album.stacks), len(album.clean)) == (9, 21, 1)
    assert {kind: len(pairs) for kind, pairs in album.held_out.items()} == {"lowlight": 1, "under": 1, "over": 1}
    first, again, other = (album.batch(generator(0, index), 3, 24) for index in (5, 5, 6))
    assert first.shape == (3, 3, 24, 24)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_references_never_enter_training(folder: Path) -> None:
    album = training_data.Album.read(folder, training.Recipe(), lambda sentence: None)
    assert max(float(photograph.mean()) for photograph in album.dark) < 60


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no photos"):
        training.train(TrainOptions(data=tmp_path, out=tmp_path / "out"))


# --- a training --------------------------------------------------------------------------------------------


def tiny() -> training.Recipe:
    recipe = training.Recipe()
    schedule = loop.Schedule(iterations=6, learning_rate=1e-3, journal_every=2, validate_every=6, checkpoint_every=3)
    estimator = replace(recipe.estimator_lite, schedule=schedule, batch=3, sides=(32,), steps=2)
    denoiser = replace(recipe.denoiser_lite, schedule=schedule, batch=2, side=32)
    return replace(
        recipe,
        estimator_lite=replace(estimator, plain=0),
        estimator_full=replace(estimator, plain=3),
        denoiser_lite=denoiser,
        denoiser_full=replace(denoiser, imitation=3),
    )


def test_all_four_networks_train_and_are_written(folder: Path, tmp_path: Path) -> None:
    said: list[str] = []
    trained = training.train(TrainOptions(folder, tmp_path / "out"), said.append, tiny())
    assert set(trained.exported) == {"estimator-full", "estimator-lite", "denoiser-full", "denoiser-lite"}
    assert trained.sheets[0].is_file()
    for stem, exported in trained.exported.items():
        assert exported.parity < 1e-4
        assert exported.manifest.name == f"{stem}.json"
        lines = [json.loads(line) for line in (tmp_path / "out" / stem / loop.JOURNAL).read_text().splitlines()]
        assert [line["iteration"] for line in lines] == [2, 4, 6]
    estimator = network.build({"part": "estimator", "kind": "full"})
    denoiser = network.build({"part": "denoiser", "kind": "full"})
    training.read_weights(estimator, trained.exported["estimator-full"].safetensors)
    training.read_weights(denoiser, trained.exported["denoiser-full"].safetensors)
    for name, value in denoiser.state_dict().items():
        assert torch.equal(value, estimator.denoiser.state_dict()[name])  # g inside h, frozen


def test_the_plain_start_is_the_shift_of_the_goal(folder: Path) -> None:
    goal = training_recipe.Goal()
    image = torch.rand(5, 3, 12, 16, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [0.1, 0.3, 0.6, 1.0, 0.01]
    ).reshape(5, 1, 1, 1)
    time = torch.tensor([3.0, 1.0, -1.0, -0.5, 0.5])
    shift = goal.shift(image, time)
    reached = training.shifted(image, shift[:, None, None, None]).mean(dim=(1, 2, 3))
    assert torch.allclose(reached[1:4], goal.means(image.mean(dim=(1, 2, 3)), time)[1:4], atol=1e-3)
    assert (shift.abs() <= time.abs()).all()
    assert shift[4].item() == pytest.approx(0.5, abs=1e-3)  # no shift goes further than its time


def test_the_plain_start_is_learnt(folder: Path) -> None:
    album = training_data.Album.read(folder, training.Recipe(), lambda sentence: None)
    numbers = tiny().estimator_full
    module = fresh("estimator", "lite")
    optimizer = torch.optim.Adam(module.parameters(), 4e-3)
    costs = []
    for iteration in range(60):
        cost = training.tone_loss(module, album, numbers, 0, iteration)
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
        costs.append(cost.item())
    assert np.mean(costs[-10:]) < 0.6 * np.mean(costs[:10])


def test_an_interruption_changes_nothing(folder: Path, tmp_path: Path) -> None:
    recipe = replace(tiny(), parts=("estimator-lite",))
    whole = training.train(TrainOptions(folder, tmp_path / "whole"), recipe=recipe)
    out = tmp_path / "parts"

    class Stop(Exception):
        """Stands for the plug being pulled."""

    def stop(sentence: str) -> None:
        if sentence.startswith("6 of 6"):  # before the last checkpoint
            raise Stop

    with pytest.raises(Stop):
        training.train(TrainOptions(folder, out), stop, recipe)
    assert (out / "estimator-lite" / loop.CHECKPOINT).is_file()
    resumed = training.train(TrainOptions(folder, out, resume=True), recipe=recipe)
    first, second = (load_file(run.exported["estimator-lite"].safetensors) for run in (whole, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first)
