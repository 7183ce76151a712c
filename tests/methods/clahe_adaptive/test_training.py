"""The recipe of clahe-adaptive: it learns, resumes and exports; the shipped weights are what the card says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from benchmarks.lib.sets import DATA
from enhance_cli.errors import UsageError
from enhance_cli.methods.clahe_adaptive import statistics
from enhance_cli.methods.clahe_adaptive.network import Dimensions, Estimator, limits
from enhance_cli.methods.clahe_adaptive.training import empty
from enhance_cli.methods.clahe_adaptive.training import train as training
from enhance_cli.training.dataset import luma_of, read_photographs
from enhance_cli.training.degradations import compress_shift, generator
from enhance_cli.training.export import read_configuration, read_weights, sha256_of
from enhance_cli.training.options import TrainOptions
from tests.pictures import landscape

WEIGHTS = Path(__file__).parents[3] / "weights" / "clahe_adaptive"
RECIPE = training.Recipe(long_side=96)
RECIPE = replace(
    RECIPE,
    schedule=replace(
        RECIPE.schedule, learning_rate=0.01, warm_up=2, journal_every=5, validate_every=10, checkpoint_every=8
    ),
)


def write(path: Path, rgb: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _, packed = cv2.imencode(".png", rgb[..., ::-1])
    path.write_bytes(packed.tobytes())


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training folder of every kind, in miniature."""
    folder = tmp_path_factory.mktemp("data")
    for index in range(10):
        write(folder / "clean" / f"{index}.png", landscape(seed=index))
        write(folder / "paired_lowlight" / "high" / f"{index}.png", landscape(seed=100 + index))
        write(folder / "paired_lowlight" / "low" / f"{index}.png", landscape(seed=100 + index) // 8)
        for frame, gain in enumerate((0.4, 1.0, 1.6)):
            bright = np.clip(landscape(seed=200 + index) * gain, 0, 255).astype(np.uint8)
            name = f"sice_{index}_e{frame}" + ("_ref" if frame == 1 else "")
            write(folder / "exposure" / "sice512" / f"{name}.png", bright)
    return folder


def run(data: Path, out: Path, *, iterations: int = 20, resume: bool = False, seed: int = 0) -> training.Trained:
    options = TrainOptions(data=data, out=out, seed=seed, iterations=iterations, resume=resume)
    return training.train(options, recipe=RECIPE)


def test_twenty_iterations_lower_the_loss_and_deliver_everything(photographs: Path, tmp_path: Path) -> None:
    mixture = training.Mixture.read(photographs, RECIPE, lambda sentence: None)
    examples = [mixture.draw(0, iteration) for iteration in range(20)]

    def cost(network: torch.nn.Module) -> float:
        with torch.no_grad():
            return float(np.mean([float(training.loss(network, example, RECIPE)) for example in examples]))

    trained = run(photographs, tmp_path)
    network = Estimator(Dimensions(**read_configuration(trained.exported.safetensors)))
    read_weights(network, trained.exported.safetensors)
    assert cost(network) < cost(training.build(RECIPE, 0)) - 0.004
    assert trained.exported.parity < 1e-5
    assert set(trained.figures) >= {"compressed 8x8", "under 1x1", "over 8x8", "lowlight 8x8", "clean 1x1", "spread"}
    card = trained.card.read_text()
    assert all(digest in card for digest in trained.exported.sha256.values())
    assert json.loads(trained.journal.read_text().splitlines()[-1])["iteration"] == 20
    assert trained.sheet.stat().st_size > 1000


def test_resuming_gives_the_weights_of_an_uninterrupted_run(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(photographs, tmp_path / "whole")
    draw = training.Mixture.draw

    def interrupted(mixture: training.Mixture, seed: int, iteration: int) -> training.Draw:
        if iteration == 13:
            raise KeyboardInterrupt
        return draw(mixture, seed, iteration)

    with monkeypatch.context() as patch:
        patch.setattr(training.Mixture, "draw", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(photographs, tmp_path / "parts")
    parts = run(photographs, tmp_path / "parts", resume=True)
    assert parts.exported.sha256 == whole.exported.sha256
    assert run(photographs, tmp_path / "other", seed=1).exported.sha256 != whole.exported.sha256


def test_a_folder_of_photographs_is_enough(photographs: Path, tmp_path: Path) -> None:
    trained = run(photographs / "clean", tmp_path, iterations=3)
    assert "compressed 8x8" in trained.figures
    assert "under 8x8" not in trained.figures


def test_a_single_photo_is_refused_before_anything_is_trained(photographs: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    one = sorted(path for path in photographs.rglob("*") if path.is_file())[0]
    (alone / one.name).write_bytes(one.read_bytes())
    with pytest.raises(UsageError, match="at least two"):
        training.Mixture.read(alone, RECIPE, lambda sentence: None)


def test_held_out_scenes_do_not_train(photographs: Path) -> None:
    mixture = training.Mixture.read(photographs, RECIPE, lambda sentence: None)
    kept = {pair.name.rsplit("_e", 1)[0] for pair in mixture.stacks}
    aside = {pair.name.rsplit("_e", 1)[0] for kind in ("under", "over") for pair in mixture.held_out[kind]}
    assert kept
    assert aside
    assert not kept & aside
    assert len(mixture.clean) == 9


def test_every_kind_of_pair_is_drawn_and_depends_on_its_number_alone(photographs: Path) -> None:
    mixture = training.Mixture.read(photographs, RECIPE, lambda sentence: None)
    for iteration in range(60):
        one, again = mixture.draw(0, iteration), mixture.draw(0, iteration)
        assert one.degraded.dtype == one.reference.dtype == np.uint8
        assert one.degraded.shape == one.reference.shape
        assert np.array_equal(one.degraded, again.degraded)


@pytest.mark.parametrize("make", [empty.under_a_sky, empty.in_the_dark, empty.nothing])
def test_references_of_empty_parts_have_no_noise(make: Callable[..., tuple[np.ndarray, np.ndarray]]) -> None:
    picture = luma_of(landscape(160, 200, seed=1)).astype(np.float32) / 255.0
    for seed in range(8):
        degraded, reference = make(picture, generator(5, seed))
        assert degraded.shape == reference.shape
        assert degraded.mean() <= reference.mean() + 6
        top = np.s_[:8, :8]  # sky, or as flat as the photo
        assert reference[top].astype(float).std() <= degraded[top].astype(float).std() + 2


# --- network inputs and outputs ----------------------------------------------------------------------------


@pytest.mark.parametrize("grid", [(8, 8), (1, 1), (3, 11)])
def test_numpy_and_torch_read_the_same_limits(grid: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    histograms = random.integers(0, 50, (*grid, 256))
    shares, small = random.random((*grid, 256), np.float32), random.random((256, 256), np.float32)
    whole = statistics.Whole(histograms.sum(axis=(0, 1)), shares.mean(axis=(0, 1)))
    inputs = statistics.network_inputs(histograms, shares, random.random((8, 8)), small, whole)
    assert {name: array.dtype for name, array in inputs.items()} == dict.fromkeys(inputs, np.dtype(np.float32))
    with torch.no_grad():
        outputs = Estimator()(*(torch.from_numpy(array) for array in inputs.values()))
        expected = limits(outputs, *grid)
    named = {name: tensor.numpy() for name, tensor in zip(training.OUTPUTS, outputs, strict=True)}
    got = statistics.clip_limits(named, *grid)
    assert got.shape == grid
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected.numpy(), rtol=1e-5)
    assert statistics.global_factor(named) > 0
    assert 0 < statistics.retention(named) < 1
    assert 0 < statistics.blackness(named) < 1


def test_area_pooling_counts_fractions_of_pixels() -> None:
    field = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_allclose(statistics.area_pool(field, 1, 1), [[5.5]], rtol=1e-6)
    np.testing.assert_allclose(statistics.area_pool(field, 3, 4), field, rtol=1e-6)
    np.testing.assert_allclose(
        statistics.area_pool(field, 2, 1), [[(1.5 * 2 + 5.5) / 3], [(5.5 + 9.5 * 2) / 3]], rtol=1e-6
    )


def test_descriptions_of_histograms() -> None:
    flat = np.zeros(256, np.int64)
    flat[51] = 100
    even = np.full(256, 7)
    described = statistics.describe_histograms(np.stack([flat, even]))
    assert described.shape == (2, 16)
    assert np.isfinite(described).all()
    assert described[0, 0] == pytest.approx(51 / 255)
    assert described[1, 0] == pytest.approx(0.5)
    assert described[0, 9] == pytest.approx(0, abs=1e-6)  # entropy
    assert described[1, 9] == pytest.approx(1)
    assert described[0, -1] == pytest.approx(1)  # one bin holds all: 256 times the uniform height
    np.testing.assert_array_equal(described, statistics.describe_histograms(np.stack([flat, even]) * 1000))


# --- the shipped weights -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped() -> Estimator:
    path = WEIGHTS / "estimator.safetensors"
    network = Estimator(Dimensions(**read_configuration(path)))
    read_weights(network, path)
    return network.eval()


def test_the_shipped_files_are_those_of_the_manifest_and_the_card() -> None:
    manifest = json.loads((WEIGHTS / "estimator.json").read_text())
    card = (WEIGHTS / "card.md").read_text()
    assert manifest["id"] == training.IDENTITY
    for kind, digest in manifest["sha256"].items():
        assert sha256_of(WEIGHTS / f"estimator.{kind}") == digest
        assert digest in card
    assert read_configuration(WEIGHTS / "estimator.safetensors") == training.Recipe().dimensions.to_json()


def test_the_shipped_onnx_agrees_with_the_shipped_network(shipped: Estimator) -> None:
    pytest.importorskip("onnxruntime")
    from enhance_cli.training.export import compare

    for rows, columns in ((8, 8), (1, 1), (16, 5)):
        luma = torch.from_numpy(luma_of(landscape(160, 200, seed=rows)))
        inputs = training.seen_of(luma, rows, columns).inputs()
        assert compare(shipped, WEIGHTS / "estimator.onnx", inputs) < 1e-4


@pytest.fixture(scope="module")
def clean() -> list[np.ndarray]:
    """Clean photographs that never trained, as luma."""
    if not (DATA / "test" / "clean").is_dir():
        pytest.skip("the photos are not here")
    return list(read_photographs(DATA / "test" / "clean", 320, luma=True).values())


@pytest.fixture(scope="module")
def compressed(clean: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Four fixed draws of each: what a draw leaves to gain varies by decibels, so few pairs would say little."""
    pairs = []
    for index, luma in enumerate(clean * 4):
        draws = (compress_shift(luma.astype(np.float32) / 255, generator(78, index, n)) for n in range(99))
        pairs.append((next(draw for draw in draws if abs(draw.astype(int) - luma).max() > 3), luma))
    return pairs


def decibels(first: np.ndarray, second: np.ndarray) -> float:
    return float(10 * np.log10(255.0**2 / np.mean((first.astype(float) - second) ** 2)))


def mean_decibels(pairs: list, grid: int, clip_limit: float) -> float:
    """A fixed limit, in OpenCV's own arithmetic."""
    clahe = cv2.createCLAHE(clip_limit, (grid, grid))
    return float(np.mean([decibels(clahe.apply(degraded), luma) for degraded, luma in pairs]))


@pytest.mark.data
def test_the_gates_on_compressed_photographs(shipped: Estimator, compressed: list) -> None:
    """Far above the usual limits, never below doing nothing, and not one limit for all pictures."""
    nothing = float(np.mean([decibels(degraded, luma) for degraded, luma in compressed]))
    ours, means = {}, []
    for grid in (8, 1):
        ratios = []
        for degraded, luma in compressed:
            with torch.no_grad():
                clip_limits, enhanced = training.predict(shipped, torch.from_numpy(degraded), grid, grid)
            ratios.append(decibels(enhanced.round().clamp(0, 255).numpy(), luma))
            if grid == 8:
                means.append(float(clip_limits.mean()))
        ours[grid] = float(np.mean(ratios))
    assert ours[8] >= mean_decibels(compressed, 8, 20.0) + 6
    assert ours[8] >= mean_decibels(compressed, 8, 40.0) + 6
    assert ours[8] >= mean_decibels(compressed, 8, 2.0) + 1
    assert ours[8] >= nothing - 0.1
    assert ours[1] >= nothing + 1
    assert np.std(means) >= 0.5


@pytest.mark.data
def test_limits_vary_over_tiles_and_stay_low_on_good_pictures(shipped: Estimator, clean: list) -> None:
    variations, means, dark_means = [], [], []
    for luma in clean:
        for plane, into in ((luma, means), ((luma * 0.15).astype(np.uint8), dark_means)):
            with torch.no_grad():
                clip_limits, _ = training.predict(shipped, torch.from_numpy(plane), 8, 8)
            into.append(float(clip_limits.mean()))
            variations.append(float(clip_limits.std(correction=0) / clip_limits.mean()))
    assert np.median(variations) > 0.05
    assert np.median(means) < 1
    assert np.median(dark_means) > 2 * np.median(means)
