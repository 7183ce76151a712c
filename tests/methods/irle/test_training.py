"""What irle's trainings draw, a training of a few steps end to end, and tuning on one picture."""

from __future__ import annotations

import builtins
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402 - torch may be missing

from enhance_cli.engines.weights import find  # noqa: E402
from enhance_cli.errors import UsageError  # noqa: E402
from enhance_cli.methods.irle import METHOD, adapt, network  # noqa: E402
from enhance_cli.methods.irle.training import data as training_data  # noqa: E402
from enhance_cli.methods.irle.training import train as training  # noqa: E402
from enhance_cli.training import loop  # noqa: E402
from enhance_cli.training.options import TrainOptions  # noqa: E402

TINY = {"kind": "blind", "widths": [6, 8], "blocks": [1, 1], "gain": 2, "first": 4}
FEW = loop.Schedule(iterations=4, learning_rate=1e-3, warm_up=2, averaging=0.9, validate_every=4, checkpoint_every=2)
SMALL = training_data.Draws(batch=3, side=64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine scenes of two shots each and one of one, their references, and two clean photographs."""
    random = np.random.default_rng(4)
    data = tmp_path_factory.mktemp("data")
    for part in ("paired_lowlight/low", "paired_lowlight/high", "clean"):
        (data / part).mkdir(parents=True)
    for scene in range(10):
        rough = cv2.GaussianBlur(random.random((96, 136, 3)).astype(np.float32), (0, 0), 2.0)
        high = (rough - rough.min()) / np.ptp(rough)
        for shot, light in enumerate((18.0, 34.0) if scene else (25.0,)):
            low = (high * light + random.normal(0.0, 1.0, high.shape)).clip(0, 255)
            cv2.imwrite(str(data / f"paired_lowlight/low/{scene}_{shot}.png"), np.rint(low).astype(np.uint8))
            cv2.imwrite(str(data / f"paired_lowlight/high/{scene}_{shot}.png"), np.rint(high * 200).astype(np.uint8))
        if scene < 2:
            cv2.imwrite(str(data / f"clean/{scene}.png"), np.rint(high * 220).astype(np.uint8))
    return data


@pytest.fixture(scope="module")
def album(folder: Path) -> training_data.Album:
    return training_data.Album.read(folder, lambda sentence: None)


# --- data --------------------------------------------------------------------------------------------------


def test_an_album_knows_scenes_and_puts_whole_ones_aside(album: training_data.Album) -> None:
    assert [len(scene) for scene in album.scenes] == [2] * 8
    assert len(album.clean) == 2
    assert [pair.name for pair in album.held_out] == ["8_0", "8_1"]
    assert album.held_out[0].reference.mean() > 3 * album.held_out[0].degraded.mean()


def test_no_reference_is_needed(folder: Path) -> None:
    alone = training_data.Album.read(folder / "paired_lowlight" / "low", lambda sentence: None)
    assert len(alone.scenes) == 8
    assert not alone.held_out
    assert not alone.clean


def test_a_folder_without_twins_is_refused_and_one_with_clean_photographs_is_not(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "low").mkdir()
    picture = (folder / "paired_lowlight/low/0_0.png").read_bytes()
    (tmp_path / "low/one.png").write_bytes(picture)
    with pytest.raises(UsageError, match="no two dark shots of one scene"):
        training_data.Album.read(tmp_path / "low", lambda sentence: None)
    (tmp_path / "low" / "clean").mkdir()
    (tmp_path / "low" / "clean" / "a.png").write_bytes((folder / "clean/0.png").read_bytes())
    album = training_data.Album.read(tmp_path / "low", lambda sentence: None)
    assert training_data.twin_batch(album, SMALL, 0, 0).noisy.shape == (3, 3, 64, 64)


def test_a_draw_is_a_function_of_seed_and_number(album: training_data.Album) -> None:
    one, same, other = (training_data.twin_batch(album, SMALL, seed, 7) for seed in (0, 0, 1))
    assert torch.equal(one.noisy, same.noisy)
    assert torch.equal(one.twin, same.twin)
    assert not torch.equal(one.noisy, other.noisy)
    assert one.noisy.shape == (3, 3, 64, 64)
    assert one.gain.shape == (3, 1, 64, 64)
    assert one.weight.shape == (3,)


def test_a_twin_shows_the_same_piece_under_the_same_curve(album: training_data.Album) -> None:
    """Brought to one exposure, twins differ by noise alone: their low-passes agree, their noise does not."""
    draws = replace(SMALL, simulated=0.0, resampled=0.0, batch=6)
    batch = training_data.twin_batch(album, draws, 0, 0)
    difference = batch.noisy - batch.twin
    smooth = torch.nn.functional.avg_pool2d(difference, 16)
    assert smooth.abs().mean() < 0.03
    assert difference.std() > 2 * smooth.std()
    for noisy, twin in zip(batch.noisy, batch.twin, strict=True):
        assert np.corrcoef(noisy.ravel(), twin.ravel())[0, 1] > 0.5


def test_weights_tell_which_shot_is_brighter(album: training_data.Album) -> None:
    draws = replace(SMALL, simulated=0.0, batch=16)
    weights = training_data.twin_batch(album, draws, 0, 1).weight
    assert set(weights.tolist()) == {0.0, 1.0}


# --- training ----------------------------------------------------------------------------------------------


def recipe() -> training.Recipe:
    return training.Recipe(
        denoisers={
            "denoiser-lite": training.DenoiserRecipe(FEW, TINY, SMALL),
            "denoiser-full": training.DenoiserRecipe(
                FEW, {**TINY, "widths": [8, 10]}, SMALL, grown_from="denoiser-lite"
            ),
        }
    )


def test_a_training_of_a_few_steps_end_to_end_and_resumed(folder: Path, tmp_path: Path) -> None:
    whole = training.train(TrainOptions(folder, tmp_path / "whole"), recipe=recipe())
    assert set(whole.exported) == {"denoiser-lite", "denoiser-full"}
    assert whole.sheets[0].exists()
    for stem, exported in whole.exported.items():
        assert exported.parity < 1e-4
        assert json.loads(exported.manifest.read_text())["id"] == f"irle/{stem}-1"
    assert all(np.isfinite(list(figures.values())).all() for figures in whole.figures.values())

    halted = tmp_path / "halted"
    part = recipe()
    album = training_data.Album.read(folder, lambda sentence: None)
    numbers = part.denoisers["denoiser-lite"]

    class Stopped(Exception):
        pass

    original = training.denoiser_loss

    def interrupted(*arguments: Any) -> torch.Tensor:
        if arguments[4] == 3:
            raise Stopped
        return original(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "denoiser_loss", interrupted)
        with pytest.raises(Stopped):
            training.train_denoiser("denoiser-lite", album, TrainOptions(folder, halted), numbers, lambda s: None)
    resumed = TrainOptions(folder, halted, resume=True)
    module = training.train_denoiser("denoiser-lite", album, resumed, numbers, lambda s: None)
    expected = load_file(whole.exported["denoiser-lite"].safetensors)
    for name, value in module.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_the_iterations_of_the_command_line_hold(folder: Path, tmp_path: Path) -> None:
    only = replace(recipe(), denoisers={"denoiser-lite": recipe().denoisers["denoiser-lite"]})
    training.train(TrainOptions(folder, tmp_path, iterations=2), recipe=only)
    lines = (tmp_path / "denoiser-lite" / "training.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["iteration"] == 2


def test_training_takes_noise_away(album: training_data.Album) -> None:
    """Sixty steps of a tiny network on twins: nearer to the other shot than the noisy one is."""
    numbers = training.DenoiserRecipe(FEW, TINY, replace(SMALL, simulated=0.0, resampled=0.0))
    module = training.fresh(TINY, 0)
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)
    for iteration in range(60):
        optimizer.zero_grad()
        training.denoiser_loss(module, album, numbers, 0, iteration).backward()
        optimizer.step()
    batch = training_data.twin_batch(album, numbers.draws, 1, 0)
    with torch.no_grad():
        clean = module(batch.noisy, batch.gain)[0]
    assert (clean - batch.twin).square().mean() < 0.8 * (batch.noisy - batch.twin).square().mean()


def test_without_strength_the_denoiser_changes_nothing(album: training_data.Album) -> None:
    picture, module = album.held_out[0].degraded, training.fresh(TINY, 0)
    none = training.restored(module, picture, strength=0.0)
    assert np.array_equal(none, training.restored(None, picture))
    assert not np.array_equal(none, training.restored(module, picture))


@pytest.mark.parametrize("size", [(64, 64), (37, 53), (5, 9)])
def test_pictures_of_any_size_are_denoised(size: tuple[int, int]) -> None:
    module = training.fresh(TINY, 0)
    random = np.random.default_rng(0)
    bright = random.random((*size, 3), np.float32)
    assert training.denoised(module, bright, random.random(size, np.float32)).shape == (*size, 3)


# --- --adapt -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training.deliver(training.fresh(TINY, 0), tmp_path_factory.mktemp("weights"), "tiny").safetensors


def noisy_piece(seed: int = 0) -> tuple[adapt.Piece, np.ndarray]:
    """A soft wave of 80×100 under noise, as pieces, and what lies under the noise."""
    random = np.random.default_rng(seed)
    wave = 0.5 + 0.3 * np.sin(np.arange(100, dtype=np.float32) * np.pi / 50.0)
    clean = np.broadcast_to(wave[None, :, None], (80, 100, 3)).astype(np.float32)
    noisy = clean + random.normal(0.0, 0.05, clean.shape).astype(np.float32)

    def piece(top: int, left: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        window = np.s_[top : top + height, left : left + width]
        return noisy[window], np.ones((height, width), np.float32)

    return piece, clean


def test_no_steps_leave_the_shipped_weights(weights: Path) -> None:
    piece, _ = noisy_piece()
    flat = adapt.adapt(weights, piece, 80, 100, 0)
    assert np.array_equal(flat, np.concatenate([v.numpy().ravel() for v in network_parameters(weights)]))
    image, gain = (
        np.random.default_rng(0).random((1, 4, 32, 32), np.float32)[:, :3],
        np.ones((1, 1, 32, 32), np.float32),
    )
    module = training.fresh(TINY, 0)
    with torch.no_grad():
        expected = module(torch.from_numpy(image), torch.from_numpy(gain))[0].numpy()
    assert np.array_equal(adapt.network_of(weights, flat)(image, gain), expected)


def network_parameters(path: Path) -> list[torch.Tensor]:
    module = network.build(TINY)
    module.load_state_dict(load_file(path))
    return [value.detach() for value in module.parameters()]


def test_steps_repeat_and_help_on_the_very_picture() -> None:
    shipped = find(METHOD, "denoiser-lite", "safetensors").path
    piece, clean = noisy_piece()
    flat = adapt.adapt(shipped, piece, 80, 100, 8)
    assert np.array_equal(flat, adapt.adapt(shipped, piece, 80, 100, 8))
    noisy, gain = piece(8, 8, 64, 80)
    image = np.ascontiguousarray(noisy.transpose(2, 0, 1)[None])

    def error(weights_of: np.ndarray) -> float:
        found = adapt.network_of(shipped, weights_of)(image, gain[None, None])[0].transpose(1, 2, 0)
        return float(((found - clean[8:72, 8:88])[16:-16, 16:-16] ** 2).mean())

    assert error(flat) < 0.9 * error(adapt.adapt(shipped, piece, 80, 100, 0))


def test_a_picture_smaller_than_a_piece_can_be_tuned_to(weights: Path) -> None:
    random = np.random.default_rng(0)
    small = random.random((5, 7, 3), np.float32)
    flat = adapt.adapt(weights, lambda *_: (small, np.ones((5, 7), np.float32)), 5, 7, 2)
    assert np.isfinite(flat).all()


def test_weights_of_another_network_are_refused(weights: Path) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        adapt.network_of(weights, np.zeros(3, np.float32))


def test_without_torch_the_sentence_says_so(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "torch":
            raise ImportError(name)
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(UsageError, match=r"needs torch.*pip install torch"):
        adapt.adapt(weights, noisy_piece()[0], 80, 100, 1)
