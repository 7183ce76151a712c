"""Simulated degradations for training retinex, in addition to real ones: backlight, wrong exposure, veils, noise.

Every function takes an H×W×3 image in 0..1 (float32, sRGB-encoded) and an explicit generator, and gives the image
with the fault, in 0..1 and of the same shape. They are for training, at any size.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from enhance_cli.quality.backlit import GAMMA, light_behind, shade_along, shaded

Picture = NDArray[np.float32]
Codes = NDArray[np.uint8]


def backlight(picture: Picture, random: np.random.Generator) -> Picture:
    """Take 0.7 to 3.8 stops from one part of an image, along its edges; in a sixth the rest gets up to one stop more.

    The part is one side of a bent line, a figure in the image, or all but a window. Of three such parts that one is
    taken which the rest outshines most, since a light that blinds comes from what is bright; its edge follows the
    image's own (`quality.backlit.shade_along`), as it does where things stand before a light.
    """
    codes = np.rint(picture * 255.0).astype(np.uint8)
    shade = shade_along(codes, _darkest_part(codes, random), steps=int(random.integers(2, 6)))
    dark = shaded(picture, shade, float(random.uniform(0.7, 3.8)))
    if random.random() < 1.0 / 6.0:
        dark = shaded(dark, np.float32(1.0) - shade, -float(random.uniform(0.0, 1.0)))
    return np.asarray(np.clip(dark, 0.0, 1.0), np.float32)


def _darkest_part(codes: Codes, random: np.random.Generator) -> Picture:
    """Of three random parts of an image the one that the rest outshines most: H×W, 0 or 1."""
    return max((_part(random, *codes.shape[:2]) for _ in range(3)), key=lambda part: light_behind(codes, part))


def _part(random: np.random.Generator, height: int, width: int) -> Picture:
    """Some part of an image, neither all of it nor nothing: H×W, 0 or 1."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y, x = (y + 0.5) / height - 0.5, (x + 0.5) / width - 0.5
    angle, place, bend = random.uniform(0.0, 2.0 * math.pi), random.uniform(-0.2, 0.2), random.uniform(-0.8, 0.8)
    across, along = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    if random.random() < 0.6:
        inside = across + bend * along * along < place
    else:
        centre = random.uniform(-0.25, 0.25, 2)
        radii = random.uniform(0.15, 0.4, 2)
        inside = ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 < 1.0
        if random.random() < 0.3:
            inside = ~inside
    if inside.all() or not inside.any():
        inside = y > 0.0
    return np.asarray(inside, np.float32)


def wrong_exposure(picture: Picture, random: np.random.Generator) -> Picture:
    """The whole image 4 stops under to 3 over, in linear light, clipped."""
    gain = 2.0 ** random.uniform(-4.0, 3.0)
    return np.asarray(np.clip(picture * np.float32(gain ** (1.0 / GAMMA)), 0.0, 1.0), np.float32)


def exposed(picture: Picture, stops: float) -> Picture:
    """Exposed longer or shorter by `stops`, in linear light, clipped."""
    return np.asarray(np.clip(picture * np.float32(2.0 ** (stops / GAMMA)), 0.0, 1.0), np.float32)


def veil(picture: Picture, random: np.random.Generator) -> Picture:
    """What takes contrast and the black point: a flat curve, haze that thickens towards the top, or flare.

    Haze is light + (air - light) times a share (Koschmieder); flare adds light from all over the image to every pixel.
    """
    rows, columns = picture.shape[:2]
    light = picture ** np.float32(GAMMA)
    match int(random.integers(3)):
        case 0:
            black, white = random.uniform(0.02, 0.22), random.uniform(0.75, 1.0)
            tinted = black * (1.0 + random.normal(0.0, 0.03, 3))
            return np.asarray(
                np.clip(tinted + (white - black) * picture ** random.uniform(0.8, 1.3), 0.0, 1.0), np.float32
            )
        case 1:
            air = random.uniform(0.2, 0.9) * (1.0 + random.normal(0.0, 0.04, 3))
            top, bottom = random.uniform(0.1, 0.75), random.uniform(0.0, 0.4)
            veiled = light + (air - light) * np.linspace(top, bottom, rows)[:, None, None]
        case _:
            glow = cv2.GaussianBlur(light, (0, 0), columns * random.uniform(0.15, 0.5))
            veiled = light + random.uniform(0.05, 0.35) * glow * (1.0 + random.normal(0.0, 0.1, 3))
            veiled = veiled + random.uniform(0.0, 0.02)
    return np.asarray(np.clip(veiled, 0.0, 1.0), np.float32) ** np.float32(1.0 / GAMMA)


def empty_dark(picture: Picture, random: np.random.Generator) -> tuple[Picture, Picture]:
    """A night sky or an unlit wall in place of the darkest part of an image, and, in half of the draws, less light.

    Returns:
        The image, and what it should become: as lit as before, its empty part as dark as it is.
    """
    codes = np.rint(picture * 255.0).astype(np.uint8)
    place = shade_along(codes, _darkest_part(codes, random), steps=6)[..., None]
    level = random.uniform(0.0, 0.11) * np.clip(1.0 + random.normal(0.0, 0.1, 3), 0.6, 1.3)
    sky = level + random.normal(0.0, 0.004, picture.shape)
    dimmed = exposed(picture, random.uniform(-1.5, 0.0)) if random.random() < 0.5 else picture

    def before(sight: Picture) -> Picture:
        return np.asarray(np.clip(sight + place * (sky - sight), 0.0, 1.0), np.float32)

    return before(dimmed), before(picture)


def camera_noise(picture: Picture, random: np.random.Generator) -> Picture:
    """Noise that grows with light, then 8 bits, and in half of the draws a JPEG of quality 40 to 95.

    CBDNet's model (docs/papers.md, R8): N(0, l s² + c²) in linear light, s up to 0.06 and c up to 0.03; in half of the
    draws a 3×3 box correlates it, as demosaicing does.
    """
    light = picture ** np.float32(GAMMA)
    shot, read = random.uniform(0.0, 0.06), random.uniform(0.0, 0.03)
    noise = random.normal(0.0, 1.0, picture.shape).astype(np.float32)
    noise = noise * np.sqrt(light * np.float32(shot**2) + np.float32(read**2))
    if random.random() < 0.5:
        noise = np.asarray(cv2.blur(noise, (3, 3)), np.float32)
    noisy = np.clip(light + noise, 0.0, 1.0) ** np.float32(1.0 / GAMMA)
    codes = np.rint(noisy * 255.0).astype(np.uint8)
    if random.random() < 0.5:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(40, 96))]
        _, packed = cv2.imencode(".jpg", np.ascontiguousarray(codes[..., ::-1]), quality)
        codes = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
    return np.asarray(codes / np.float32(255.0), np.float32)
