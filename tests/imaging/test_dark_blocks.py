"""Flat dark blocks of a JPEG become a smooth surface; whatever else a photo holds stays as it is stored."""

from pathlib import Path

import cv2
import numpy as np
import pytest

import enhance_cli
from enhance_cli.imaging import codecs, colour
from enhance_cli.imaging.dark_blocks import SIDE, DarkBlocks
from enhance_cli.imaging.view import view_of
from enhance_cli.types import Image
from tests import pictures

HEIGHT, WIDTH = 190, 261  # no multiples of a block
DARK = 128
"""Rows above which nothing of the street is in a block, not even chroma."""


def night(seed: int = 0) -> np.ndarray:
    """H×W×3: a slope from black to 15 levels with a little colour, above a bright, structured street."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
    light = 2.0 + 6.0 * x / WIDTH + 5.0 * y / HEIGHT
    rgb = light[..., None] * np.array([1.15, 0.95, 1.0])
    rgb[150:] = rng.integers(60, 220, (HEIGHT - 150, WIDTH, 3))
    return np.rint(rgb.clip(0, 255)).astype(np.uint8)


def as_jpeg(rgb: np.ndarray, quality: int = 50) -> bytes:
    return cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def decoded(data: bytes) -> Image:
    return colour.to_rgb(codecs.decode(data, source="photo.jpg"))


@pytest.fixture(scope="module")
def photo() -> Image:
    return decoded(as_jpeg(night()))


@pytest.fixture(scope="module")
def blocks(photo: Image) -> DarkBlocks:
    found = DarkBlocks.of(photo.pixels)
    assert found is not None
    return found


def whole(image: Image) -> tuple[slice, slice]:
    return slice(0, image.height), slice(0, image.width)


def roughness(levels: np.ndarray) -> float:
    """The greatest step from one pixel to the next in the dark part, in levels."""
    dark = levels[:DARK].astype(np.float64)
    return float(max(np.abs(np.diff(dark, axis=0)).max(), np.abs(np.diff(dark, axis=1)).max()))


def test_steps_between_blocks_become_a_slope_of_the_same_brightness(photo: Image, blocks: DarkBlocks) -> None:
    smooth = blocks.smooth(photo.pixels, whole(photo)) / 257.0
    assert roughness(photo.pixels) >= 2.0
    assert roughness(smooth) <= 0.6
    wanted = night()[:DARK].astype(np.float64)
    assert np.abs(smooth[:DARK] - wanted).mean() <= np.abs(photo.pixels[:DARK] - wanted).mean()
    assert np.abs(smooth[:DARK].mean(axis=(0, 1)) - photo.pixels[:DARK].mean(axis=(0, 1))).max() < 0.1


def test_what_has_structure_or_light_stays_as_it_is(photo: Image, blocks: DarkBlocks) -> None:
    smooth = blocks.smooth(photo.pixels, whole(photo))
    np.testing.assert_array_equal(smooth[160:], photo.pixels[160:] * np.uint16(257))


def test_an_edge_between_dark_flats_stays() -> None:
    rgb = np.full((96, 96, 3), 3, np.uint8)
    rgb[:, 48:] = 16
    blocks = DarkBlocks.of(rgb)
    assert blocks is not None
    smooth = blocks.smooth(rgb, (slice(0, 96), slice(0, 96)))
    np.testing.assert_array_equal(smooth, rgb * np.uint16(257))


@pytest.mark.parametrize("seed", range(4))
def test_any_window_has_the_bits_of_the_whole(photo: Image, blocks: DarkBlocks, seed: int) -> None:
    rng = np.random.default_rng(seed)
    top, bottom = sorted(rng.choice(HEIGHT + 1, 2, replace=False))
    left, right = sorted(rng.choice(WIDTH + 1, 2, replace=False))
    place = slice(int(top), int(bottom)), slice(int(left), int(right))
    np.testing.assert_array_equal(
        blocks.smooth(photo.pixels[place], place), blocks.smooth(photo.pixels, whole(photo))[place]
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (7, 9), (SIDE, SIDE), (9, 8)])
def test_images_smaller_than_a_few_blocks_are_smoothed_too(shape: tuple[int, int]) -> None:
    rgb = np.full((*shape, 3), 4, np.uint8)
    blocks = DarkBlocks.of(rgb)
    assert blocks is not None
    smooth = blocks.smooth(rgb, (slice(0, shape[0]), slice(0, shape[1])))
    np.testing.assert_array_equal(smooth, rgb * np.uint16(257))


def test_what_a_method_leaves_alone_comes_back_as_it_was(photo: Image, blocks: DarkBlocks) -> None:
    smooth = blocks.smooth(photo.pixels, whole(photo))
    np.testing.assert_array_equal(blocks.back(photo.pixels, smooth, smooth), photo.pixels)
    brighter = np.minimum(smooth.astype(np.int64) + 20 * 257, 65535).astype(np.uint16)
    lifted = blocks.back(photo.pixels, smooth, brighter)
    np.testing.assert_array_equal(lifted, (brighter.astype(np.int64) + 128) // 257)


@pytest.mark.parametrize("case", ["not asked", "bright", "an array", "a PNG", "in its planes"])
def test_photos_that_need_none_of_it_have_no_view(case: str, photo: Image) -> None:
    data = as_jpeg(night())
    image = {
        "not asked": lambda: photo,
        "bright": lambda: decoded(as_jpeg(pictures.gradient())),
        "an array": lambda: Image(night()),
        "a PNG": lambda: codecs.decode(cv2.imencode(".png", night())[1].tobytes(), source="photo.png"),
        "in its planes": lambda: codecs.decode(data, source="photo.jpg", planes=True),
    }[case]()
    assert view_of(image, smooth=case != "not asked")[1] is None


def test_a_lifted_night_has_no_chequerboard(tmp_path: Path, photo: Image) -> None:
    source = tmp_path / "night.jpg"
    source.write_bytes(as_jpeg(night()))
    with enhance_cli.open("clode", device="cpu", threads=1) as method:
        smooth = method.enhance(source, time=3.0, denoise=0.0).array
        stepped = method.enhance(photo.pixels, time=3.0, denoise=0.0).array
    assert roughness(stepped) > 12
    assert roughness(smooth) < 0.4 * roughness(stepped)


def test_outside_of_a_mask_blocks_stay_as_stored(tmp_path: Path, photo: Image) -> None:
    source = tmp_path / "night.jpg"
    source.write_bytes(as_jpeg(night()))
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:, :80] = 255
    with enhance_cli.open("local", device="cpu", threads=1) as method:
        result = method.enhance(source, mask=mask)
    np.testing.assert_array_equal(result.array[:, 120:], photo.pixels[:, 120:])
    assert np.abs(result.array[:DARK, 10:70].astype(int) - photo.pixels[:DARK, 10:70]).mean() > 1
