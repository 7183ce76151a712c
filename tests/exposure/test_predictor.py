"""The predictor of exposure: what it is told, what it may not depend on, and what it says of photos."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from enhance_cli.engines import weights
from enhance_cli.engines.cpu import CpuEngine
from enhance_cli.errors import WeightsError
from enhance_cli.exposure import OWNER, Wanted
from enhance_cli.exposure.features import SIDE, figures, statistics
from enhance_cli.exposure.predictor import Predictor, forward, reduced
from enhance_cli.exposure.tones import LEAST_CHROMA, MOST_CHROMA, MOST_CONTRAST, tones_for
from enhance_cli.imaging.area import area_means
from enhance_cli.imaging.finish import finished, luma
from enhance_cli.types import Image
from tests.pictures import codes, dark, noise, soft


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(CpuEngine(1))


@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_flat_photos_get_figures_in_range(predictor: Predictor, level: int) -> None:
    wanted = predictor.predict(Image(np.full((9, 13, 3), level, np.uint8)))
    assert all(np.isfinite(wanted))
    assert 0.05 <= wanted.luma <= 0.95
    assert all(0.0 <= value <= 1.0 for value in wanted)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (70, 5), (64, 64), (201, 333)])
def test_photos_of_any_size_are_reduced_as_the_proxies_of_methods_are(size: tuple[int, int]) -> None:
    pixels = noise(*size, 3, seed=1)
    light = np.moveaxis(pixels, 2, 0).astype(np.float32) / 255
    assert np.abs(reduced(light, SIDE, SIDE) - area_means(pixels, SIDE, SIDE)).max() < 1e-5


def test_depth_grey_and_repetition_change_nothing(predictor: Predictor) -> None:
    pixels = dark(120, 170)
    wanted = predictor.predict(Image(pixels))
    assert predictor.predict(Image(pixels)) == wanted
    assert np.allclose(predictor.predict(Image(pixels.astype(np.uint16) * 257)), wanted, atol=1e-5)
    grey = pixels[..., 1]
    assert predictor.predict(Image(grey)) == predictor.predict(Image(np.dstack([grey] * 3)))


def test_transparent_pixels_do_not_count(predictor: Predictor) -> None:
    pixels, alpha = dark(128, 128), np.full((128, 128), 255, np.uint8)
    alpha[:, 64:] = 0
    left = np.where(alpha[..., None] > 0, pixels, 0).astype(np.uint8)
    right = np.where(alpha[..., None] > 0, pixels, 255).astype(np.uint8)
    assert predictor.predict(Image(left, alpha=alpha)) == predictor.predict(Image(right, alpha=alpha))
    assert predictor.predict(Image(left, alpha=alpha)) != predictor.predict(Image(left))


def test_a_copy_gets_what_the_photo_gets(predictor: Predictor) -> None:
    pixels = soft(256, 256)
    light = area_means(codes(pixels), 128, 128)
    assert np.allclose(predictor.predict(Image(codes(pixels))), predictor.predict_light(light), atol=1e-4)


def test_the_figures_are_those_of_luma_and_chroma() -> None:
    light = np.zeros((3, 64, 64), np.float32)
    light[:, :, 32:] = 0.5
    assert np.allclose(figures(light), [0.25, 0.0, 0.25, 0.0], atol=1e-6)
    light[0] = 1.0
    assert figures(light)[3] > 0.2


def test_it_is_the_network_that_was_trained() -> None:
    torch = pytest.importorskip("torch")
    from enhance_cli.exposure.training.network import ExposureNetwork

    found = weights.find(OWNER, "predictor", "safetensors")
    tensors = weights.read_arrays(found)
    network = ExposureNetwork(**weights.sizes(found)["configuration"]).eval()
    network.load_state_dict({name: torch.from_numpy(value) for name, value in tensors.items()})
    light = noise(3, SIDE, SIDE, dtype=np.float32) * np.float32(0.3)
    with torch.no_grad():
        wanted, doubts = network(torch.from_numpy(statistics(light))[None])
    assert np.allclose(forward(tensors, light), [*wanted[0].tolist(), float(doubts[0, 0])], atol=1e-5)


def test_altered_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "exposure"
    folder.mkdir()
    for path in (weights.weights_folder() / "exposure").glob("predictor.*"):
        (folder / path.name).write_bytes(path.read_bytes())
    own = Predictor(CpuEngine(1, own_weights=tmp_path))
    assert own.weights.own
    (folder / "predictor.safetensors").write_bytes(b"0" * 100)
    with pytest.raises(WeightsError, match="is not the file that `enhance train` wrote"):
        Predictor(CpuEngine(1, own_weights=tmp_path)).predict(Image(dark()))


# --- tones ---------------------------------------------------------------------------------------------------


def test_tones_lift_a_veil_and_keep_the_mean(rng: np.random.Generator) -> None:
    source = rng.uniform(0.0, 1.0, (3, 40, 60)).astype(np.float32) * np.float32(0.6)
    veiled = np.float32(0.2) + np.float32(0.5) * source
    wanted = Wanted(0.4, 0.03, 0.2, 0.2, 0.05)
    result = finished(veiled, veiled, tones_for(veiled, veiled, wanted))
    before, after = luma(veiled), luma(result)
    assert abs(after.mean() - before.mean()) < 0.02
    assert np.quantile(after, 0.02) < np.quantile(before, 0.02) - 0.05
    assert before.std() < after.std() < 1.5 * MOST_CONTRAST[1] * before.std()


def test_what_was_dark_gets_less_contrast_than_what_was_lit(rng: np.random.Generator) -> None:
    source = rng.uniform(0.35, 0.55, (3, 40, 60)).astype(np.float32)
    wanted = Wanted(0.45, 0.05, 0.25, 0.1, 0.05)
    lit, dark = (
        luma(finished(source, given, tones_for(source, given, wanted))).std() for given in (source, source / 4)
    )
    assert lit > 1.2 * dark > 1.2 * luma(source).std()


def test_tones_are_bounded(rng: np.random.Generator) -> None:
    light = rng.uniform(0.3, 0.6, (3, 40, 60)).astype(np.float32)
    tones = tones_for(light, light, Wanted(0.5, 0.0, 0.5, 1.0, 0.05))
    assert tones.chroma == MOST_CHROMA
    assert (np.diff(tones.gains * np.linspace(0, 1, len(tones.gains))) >= -1e-6).all()
    pale = Wanted(0.5, 1.0, 0.0, 0.0, 0.05)
    assert tones_for(light, light, pale).chroma == LEAST_CHROMA[0]
    assert tones_for(light, light / 16, pale).chroma == LEAST_CHROMA[1]


# --- photos --------------------------------------------------------------------------------------------------


@pytest.mark.data
def test_good_photos_find_back_to_their_brightness(predictor: Predictor) -> None:
    """Darkened and brightened by known amounts, they should come nearer to it than a mean of 0.5 for all does."""
    if not (folder := os.environ.get("ENHANCE_BENCHMARK_DATA")):
        pytest.skip("needs ENHANCE_BENCHMARK_DATA")
    errors: list[float] = []
    plain: list[float] = []
    for path in sorted((Path(folder) / "test" / "clean").iterdir()):
        pixels = np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
        own = float(luma(np.moveaxis(pixels, 2, 0) / 255.0).mean())
        for stops in (-3.0, -1.5, 0.0, 1.0):
            light = np.clip((pixels / 255.0) ** 2.2 * 2.0**stops, 0.0, 1.0) ** (1 / 2.2)
            errors.append(abs(predictor.predict(Image(codes(light))).luma - own))
            plain.append(abs(0.5 - own))
    assert np.mean(errors) < 0.8 * np.mean(plain)
