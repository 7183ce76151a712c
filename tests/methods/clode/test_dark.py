"""What is empty in a night scene: it stays dark, with its noise, and nothing else changes."""

from __future__ import annotations

import numpy as np

from enhance_cli.engines.cpu import CpuEngine
from enhance_cli.imaging import bilateral_grid
from enhance_cli.methods.clode.curve import guide
from enhance_cli.methods.clode.dark import LARGEST, bounded, bounded_grid, empty_places
from enhance_cli.methods.clode.enhancer import Clode
from tests.methods.clode.test_enhancer import enhanced


def night(rng: np.random.Generator, height: int = 128, width: int = 192, noise: float = 0.01) -> np.ndarray:
    """A black, noisy sky over houses under orange lamps: 3×h×w in 0..1."""
    light = np.full((3, height, width), 0.03, np.float32)
    light[:, height // 2 :] = np.array((0.6, 0.4, 0.2), np.float32)[:, None, None]
    light[:, height // 2 :, ::9] *= 0.3
    light[:, height // 2 - 6 : height // 2, np.arange(width) % 48 < 9] = 1.0  # the lamps
    return (light + rng.normal(0.0, noise, light.shape).astype(np.float32)).clip(0.0, 1.0)


def test_a_night_sky_is_empty_and_lit_houses_and_days_are_not(rng: np.random.Generator) -> None:
    light = night(rng)
    pixels = np.rint(light.transpose(1, 2, 0) * 255.0).astype(np.uint8)
    places = empty_places(light, None, pixels, 1.0)
    assert places is not None
    assert places[10:50].mean() > 0.9
    assert places[66:].max() < 0.1
    assert empty_places(np.full((3, 40, 60), 0.4, np.float32), None, np.full((40, 60), 102, np.uint8), 1.0) is None


def test_only_what_is_empty_is_bounded() -> None:
    shift = np.array([[-1.0, 0.1, 2.0, 2.0]], np.float32)
    found = bounded(shift, np.array([[1.0, 1.0, 1.0, 0.0]], np.float32))
    assert np.allclose(found, [[-1.0, 0.1, LARGEST, 2.0]])


def test_noise_above_the_tone_of_the_sky_is_bounded_too(rng: np.random.Generator) -> None:
    light = night(rng, noise=0.0)
    places = np.zeros(light.shape[1:], np.float32)
    places[:64] = 1.0
    grid = np.full((11, 17, 25, 3), 2.0, np.float32)
    noisy = guide(night(rng, noise=0.02))[:40]
    assert noisy.max() > guide(light)[:40].max() + 0.05
    shifts = [bilateral_grid.slice_grid(bounded_grid(grid, light, places, spread), noisy) for spread in (0.0, 0.2)]
    assert shifts[1].max() < LARGEST + 0.1
    assert shifts[1].max() <= shifts[0].max()


def test_a_night_sky_stays_dark_where_houses_get_light(rng: np.random.Generator) -> None:
    light = night(rng, 256, 384)
    light[:, 128:] *= 0.9
    pixels = np.ascontiguousarray(np.rint(np.moveaxis(light, 0, 2) * 255).astype(np.uint8))
    out = enhanced(Clode(CpuEngine(1)), pixels, time=2, denoise=0).image.pixels
    before, after = pixels[10:100].astype(float), out[10:100].astype(float)
    assert after.mean() < 2.5 * before.mean()  # 3.4 and more without the bound
    assert after.std() < 2.5 * before.std()
    assert out[180:].mean() > 1.1 * pixels[180:].mean()
