"""Hidden pixels decide nothing, and visible ones count by their opacity."""

import numpy as np
import pytest

import enhance_cli
from enhance_cli.imaging import codecs, opacity
from enhance_cli.imaging.colour import from_array
from enhance_cli.pipeline.recipe import exposure_of
from enhance_cli.types import Image
from tests.pictures import colour_waves

EVERY = {
    "clahe-adaptive": {},
    "clode": {"time": "auto"},
    "retinex": {},
    "irle": {},
    "local": {"mask": "luma<0.3"},
}
HEIGHT, WIDTH = 90, 130


@pytest.fixture(scope="module", params=EVERY)
def opened(request):
    with enhance_cli.open(request.param, device="cpu", threads=1) as method:
        yield method, EVERY[request.param]


def cut_out(dtype=np.uint8):
    """Opaque in the middle, in part at its edge, hidden around."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    distance = np.hypot(y - 45, x - 60)
    return np.rint(np.clip((32 - distance) / 4, 0, 1) * np.iinfo(dtype).max).astype(dtype)


def with_hidden(colour, dtype):
    pixels, alpha = colour_waves(HEIGHT, WIDTH, dtype), cut_out(dtype)
    white = np.iinfo(dtype).max
    hidden = np.random.default_rng(2).integers(0, white, pixels.shape) if colour == "noise" else round(colour * white)
    return np.dstack((np.where(alpha[..., None] == 0, np.asarray(hidden, dtype), pixels), alpha))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_hidden_colours_decide_nothing_and_stay(opened, dtype):
    method, controls = opened
    results = []
    for colour in (0.0, 1.0, "noise"):
        picture = with_hidden(colour, dtype)
        result = method.enhance(picture, **controls)
        hidden = picture[..., 3] == 0
        assert np.array_equal(result.array[hidden], picture[hidden])
        results.append((np.where(hidden[..., None], 0, result.array), result.report["exposure"], result.report["plan"]))
    (first, exposure, plan), *others = results
    assert not np.array_equal(first[..., :3], np.where(hidden[..., None], 0, picture[..., :3]))
    for other in others:
        assert np.array_equal(first, other[0])
        assert (exposure, plan) == other[1:]


def test_opacity_that_is_the_same_everywhere_changes_nothing(opened):
    method, controls = opened
    bare = method.enhance(colour_waves(HEIGHT, WIDTH), **controls)
    for level in (255, 128):
        alpha = np.full((HEIGHT, WIDTH), level, np.uint8)
        result = method.enhance(np.dstack((colour_waves(HEIGHT, WIDTH), alpha)), **controls)
        assert np.array_equal(result.array[..., :3], bare.array)
        assert result.report["exposure"] == bare.report["exposure"]


def test_a_fully_transparent_picture_passes(opened):
    method, controls = opened
    picture = np.dstack((colour_waves(HEIGHT, WIDTH), np.zeros((HEIGHT, WIDTH), np.uint8)))
    assert np.array_equal(method.enhance(picture, **controls).array, picture)


@pytest.mark.parametrize("method", ["clahe-adaptive", "clode", "retinex", "irle"])
def test_what_is_hardly_seen_hardly_counts(method):
    """A dark half and a bright half: with the bright one at 1/255 the dark one comes out as where it is hidden."""
    picture = colour_waves(HEIGHT, WIDTH)
    picture[:, WIDTH // 2 :] = 255 - picture[:, WIDTH // 2 :] // 2
    outcomes = {}
    with enhance_cli.open(method, device="cpu", threads=1) as opened:
        for level in (0, 1, 255):
            alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
            alpha[:, WIDTH // 2 :] = level
            result = opened.enhance(np.dstack((picture, alpha)), **EVERY[method])
            outcomes[level] = result.array[:, : WIDTH // 4, :3].mean()
    assert abs(outcomes[1] - outcomes[0]) < 0.35 * abs(outcomes[255] - outcomes[0]) + 1.0


def test_exposure_weighs_by_opacity():
    """Twice the opacity counts as the pixel twice."""
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8) * 3
    alpha = np.full((8, 8), 100, np.uint8)
    alpha[4:] = 200
    twice = np.concatenate([grey, grey[4:]])
    assert exposure_of(from_array(grey).replace(alpha=alpha)) == exposure_of(Image(twice))


def test_weighted_means_are_plain_means_where_weights_are_equal():
    from enhance_cli.imaging.area import area_means

    picture = colour_waves(HEIGHT, WIDTH, np.uint16)
    weights = np.full((HEIGHT, WIDTH), 77, np.uint8)
    for sides in ((7, 9), (90, 130), (100, 200)):
        plain = area_means(picture, *sides)
        assert np.abs(opacity.weighted_means(picture, weights, *sides) - plain).max() < 1e-6


def test_tile_histograms_weigh_and_sum_to_the_tile():
    from enhance_cli.methods.clahe_adaptive.statistics import weighted_histograms

    luma = np.zeros((32, 32), np.uint8)
    luma[:, 16:] = 200
    alpha = np.full((32, 32), 255, np.uint8)
    alpha[:16, :16] = 0
    alpha[16:, 16:] = 85
    counts, whole = weighted_histograms(luma, alpha, 2, 1)
    assert (counts.sum(axis=2) == 16 * 32).all()
    assert counts[0, 0, 200] == 16 * 32
    assert counts[1, 0, 0] == 3 * counts[1, 0, 200] == 384
    assert whole[[0, 200]].tolist() == [256 * 255, 256 * (255 + 85)]


def test_a_fill_is_the_same_by_windows():
    pixels, alpha = colour_waves(HEIGHT, WIDTH), cut_out()
    fill = opacity.Fill(lambda place: pixels[place], alpha)
    whole = fill.fill(pixels, (slice(0, HEIGHT), slice(0, WIDTH)))
    assert np.array_equal(whole[alpha > 0], pixels[alpha > 0])
    for top, left in ((0, 0), (3, 61), (50, 99)):
        place = slice(top, top + 23), slice(left, left + 31)
        assert np.array_equal(fill.fill(pixels[place], place), whole[place])


@pytest.mark.parametrize(("format_name", "quality"), [("webp", 60), ("avif", 60)])
def test_lossy_coding_spreads_nothing_that_is_hidden(format_name, quality):
    seen = []
    for colour in (0.0, 1.0, "noise"):
        picture = from_array(with_hidden(colour, np.uint8))
        again = codecs.decode(codecs.encode(picture, format_name, quality=quality)[0])
        seen.append(np.where((again.alpha > 0)[..., None], again.pixels, 0))
    assert all(np.array_equal(seen[0], other) for other in seen[1:])
