"""Images that tests draw, the same on every machine: H×W×3, RGB, uint8, where a docstring does not say otherwise.

A `seed` is a number, or a generator to draw from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    import torch

Array = np.ndarray[Any, Any]
Seed = int | np.random.Generator


def codes(light: Array, dtype: Any = np.uint8, white: int | None = None) -> Array:
    """Values of 0 to 1 (those beyond are clipped) as integers from 0 to `white`, by default the most of `dtype`."""
    return np.rint(light.clip(0, 1) * (white or np.iinfo(dtype).max)).astype(dtype)


# --- noise and gradients -----------------------------------------------------------------------------------------


def noise(*shape: int, dtype: Any = np.uint8, seed: Seed = 0) -> Array:
    """Uniform noise of any shape over all integers of `dtype`, or from 0 to 1 for a float."""
    rng = np.random.default_rng(seed)
    if np.issubdtype(dtype, np.floating):
        return rng.random(shape, dtype)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def noise_tensor(*shape: int, seed: Seed = 0) -> torch.Tensor:
    """Uniform noise from 0 to 1, float32, as a tensor."""
    import torch

    return torch.from_numpy(noise(*shape, dtype=np.float32, seed=seed))


def gradient(height: int = 96, width: int = 128) -> Array:
    """Luma rises to the right, colour turns downwards."""
    y, x = np.mgrid[:height, :width]
    return np.stack((x * 2, (x + y), 255 - y * 2), axis=2).clip(0, 255).astype(np.uint8)


def ramps(height: int = 48, width: int = 64) -> Array:
    """A ramp of its own in each channel, without noise: right, down and left."""
    y, x = np.mgrid[:height, :width]
    return np.stack((x * 3, y * 4, 255 - x), axis=2).astype(np.uint8)


def slope(height: int = 60, width: int = 90, seed: Seed = 0) -> Array:
    """Grey that rises to the right, with noise: float32, 0 to 1."""
    light = np.linspace(0.05, 0.95, width)[None, :, None] * np.ones((height, 1, 3))
    return np.clip(light + np.random.default_rng(seed).normal(0, 0.02, light.shape), 0, 1).astype(np.float32)


# --- scenes that want enhancing ------------------------------------------------------------------------------------


def scene(height: int = 96, width: int = 128, seed: Seed = 0) -> Array:
    """A dim scene with a gradient, an edge and some noise, BGR."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(10, 90, width)[None, :, None] * np.array([0.8, 1.0, 1.1])
    light = np.repeat(ramp, height, axis=0)
    light[height // 3 : height // 2, width // 4 : width // 2] += 60
    return np.clip(light + rng.normal(0, 2, light.shape), 0, 255).astype(np.uint8)


def dark(
    height: int = 150,
    width: int = 220,
    level: float = 0.12,
    noise: float = 0.01,
    edge: float = 0.35,
    edge_at: float = 0.7,
    waves: tuple[float, float] = (25.0, 19.0),
    seed: Seed = 0,
    dtype: Any = np.uint8,
) -> Array:
    """Dark waves with a little colour, noise, and an edge behind which it is brighter.

    `level`, `noise` (a standard deviation) and `edge` are of a range of 0 to 1, `edge_at` is a share of the width, and
    `waves` are lengths in pixels, across and down.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    light = level * (1 + 0.5 * np.sin(x / waves[0]) + 0.4 * np.cos(y / waves[1])) + edge * (x > edge_at * width)
    return codes(light[..., None] * np.array([1.0, 0.85, 0.7]) + rng.normal(0, noise, (height, width, 3)), dtype)


def dark_blocks(height: int = 96, width: int = 128, level: float = 14.0, seed: Seed = 0) -> Array:
    """A dark scene of flat blocks around `level`, with noise."""
    rng = np.random.default_rng(seed)
    blocks = cv2.resize(
        rng.uniform(0.3, 2.0, (8, 10)).astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST
    )
    light = level * blocks[..., None] * np.array([1.0, 0.95, 0.9], np.float32)
    return np.rint(np.clip(light + rng.normal(0.0, 2.0, light.shape), 0, 255)).astype(np.uint8)


def night(height: int = 120, width: int = 160, seed: Seed = 1) -> Array:
    """A dark scene with noise, a brighter building and two lamps."""
    y, x = np.mgrid[:height, :width]
    light = 12.0 + 10.0 * y / height + 40.0 * ((x > 50) & (x < 110) & (y > 40))
    for lamp_y, lamp_x in ((30, 30), (50, 130)):
        light += 220.0 * np.exp(-((y - lamp_y) ** 2 + (x - lamp_x) ** 2) / 40.0)
    tinted = light[..., None] * np.array([1.0, 0.9, 0.75])
    return (tinted + np.random.default_rng(seed).normal(0, 3, tinted.shape)).round().clip(0, 255).astype(np.uint8)


def backlit(height: int = 150, width: int = 211, dtype: Any = np.uint8) -> Array:
    """A dark left half before a bright right one, both with texture, colour and some noise."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:height, :width]
    level = np.where(x < width // 2, 0.06, 0.78) * (1.0 + 0.2 * np.sin(x / 5.0) * np.cos(y / 7.0))
    return codes(level[..., None] * np.array([1.0, 0.9, 0.8]) + rng.normal(0, 0.01, (height, width, 3)), dtype)


# --- scenes that want nothing ----------------------------------------------------------------------------------------


def soft(
    height: int,
    width: int,
    cells: tuple[int, int] = (6, 8),
    low: float = 0.0,
    high: float = 1.0,
    seed: Seed = 0,
    dtype: Any = np.float64,
) -> Array:
    """Random colours of `low` to `high` in cells, and cubic curves between them, which may go beyond: floats."""
    colours = np.random.default_rng(seed).uniform(low, high, (*cells, 3)).astype(dtype)
    return cv2.resize(colours, (width, height), interpolation=cv2.INTER_CUBIC)


def waves(height: int, width: int, dtype: Any = np.uint8, channels: int = 3, seed: Seed = 0) -> Array:
    """Mid-tones in waves, with an edge and noise: H×W×3, or H×W for one channel."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    base = 0.3 + 0.2 * np.sin(x / 9.0) + 0.15 * np.cos(y / 7.0) + 0.2 * (x > width / 2)
    light = np.clip(base[..., None] * np.array([1.0, 0.9, 0.7]) + rng.normal(0, 0.01, (height, width, 3)), 0, 1)
    samples = (light * np.iinfo(dtype).max).astype(dtype)
    return samples if channels == 3 else np.ascontiguousarray(samples[..., 1])


def colour_waves(height: int, width: int, dtype: Any = np.uint8, seed: Seed = 1) -> Array:
    """Waves across, down and along the diagonal, another in each channel, below 0.35 of white."""
    y, x = np.mgrid[:height, :width] / width
    light = np.stack([np.sin(9 * x + 3 * y), np.sin(5 * y + 2 * x + 1), np.cos(7 * x - 4 * y)], axis=2)
    return codes((0.5 + 0.4 * light) * 0.35 + np.random.default_rng(seed).normal(0, 0.01, light.shape), dtype)


def structured(*shape: int, seed: int = 0) -> Array:
    """Smooth structure with noise, and a black corner: of the shape H×W or H×W×3."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    light = 110 + 90 * np.sin(x / 7 + seed) * np.cos(y / 9)
    if len(shape) == 3:
        light = light[..., None] * rng.uniform(0.3, 1.2, 3)
    light = light + rng.normal(0, 8, shape)
    light[: shape[0] // 4, : shape[1] // 4] = 0
    return np.clip(light, 0, 255).astype(np.uint8)


def landscape(height: int = 72, width: int = 96, seed: Seed = 0) -> Array:
    """A bright sky, darker ground with texture, and a few patches."""
    rng = np.random.default_rng(seed)
    rows = np.linspace(0, 1, height)[:, None]
    light = np.where(rows < rng.uniform(0.3, 0.6), 0.85 - 0.2 * rows, 0.35) * np.ones((1, width))
    light += cv2.GaussianBlur(rng.normal(0, 1.0, (height, width)), (0, 0), 2) * (rows > 0.4)
    for _ in range(4):
        top, left = int(rng.integers(0, height - 16)), int(rng.integers(0, width - 16))
        light[top : top + 16, left : left + 16] = rng.uniform(0, 1)
    light += rng.normal(0, 0.01, light.shape)
    return np.clip(np.stack([light, light * 0.95, light * 0.9], axis=-1) * 255, 0, 255).astype(np.uint8)


def natural_tensor(side: int = 256, seed: Seed = 0, falloff: float = 1.2) -> torch.Tensor:
    """The spectrum of photos, amplitudes that fall as 1/f^`falloff`: a tensor of 1×3×side×side, float32, 0 to 1."""
    import torch

    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None])
    frequency[0, 0] = 1.0
    planes = []
    for _ in range(3):
        spectrum = np.fft.fft2(rng.normal(size=(side, side))) / frequency**falloff
        spectrum[0, 0] = 0.0
        plane = np.fft.ifft2(spectrum).real
        planes.append(0.5 + 0.12 * plane / plane.std())
    planes = [0.8 * planes[0] + 0.2 * plane for plane in planes]
    return torch.from_numpy(np.stack(planes).clip(0.05, 0.95).astype(np.float32))[None]


# --- planes for histograms ---------------------------------------------------------------------------------------


def shapes(height: int, width: int, seed: Seed = 0, dtype: Any = np.uint8, channels: tuple[int, ...] = ()) -> Array:
    """Soft shapes of some range of tones under some noise, so that tiles differ: H×W, or H×W×`channels`."""
    rng = np.random.default_rng(seed)
    cells = rng.uniform(0, 255, (height // 16 + 2, width // 16 + 2, *channels)).astype(np.float32)
    tones = cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC).reshape(height, width, *channels)
    tones = tones * rng.uniform(0.2, 1) + rng.normal(0, rng.uniform(0, 12), tones.shape)
    white = np.iinfo(dtype).max
    return np.clip(tones * (white / 255), 0, white).astype(dtype)


def grain(height: int, width: int, seed: Seed = 0) -> Array:
    """Smooth light and noise, clipped at both ends, so that tiles have full and empty bins as photos do: H×W."""
    rng = np.random.default_rng(seed)
    light = cv2.GaussianBlur(rng.normal(128, 250, (height, width)).astype(np.float32), (0, 0), 5)
    return np.clip(light * 1.5 - 40 + rng.normal(0, 6, (height, width)), 0, 255).astype(np.uint8)


# --- photos that need nothing, and what is no photo ------------------------------------------------------------


def well_exposed(height: int = 120, width: int = 180, seed: Seed = 3) -> Array:
    """A photo with nothing wrong: all tones, some colour, some grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    light = 0.47 + 0.25 * np.sin(x / 19.0) * np.cos(y / 23.0) + 0.2 * np.sin(x / 61.0 + y / 47.0)
    return codes(light[..., None] * np.array([1.04, 1.0, 0.94]) + rng.normal(0, 0.02, (height, width, 3)))


def screenshot(height: int = 240, width: int = 360) -> Array:
    """A window with a title, text and a button: few colours, all flat."""
    page = np.full((height, width, 3), 246, np.uint8)
    page[: height // 10] = (40, 90, 160)
    page[190:215, 260:330] = (210, 60, 40)
    for row in range(50, 170, 14):
        page[row : row + 4, 30 : 300 - row // 2] = 20
    return page
