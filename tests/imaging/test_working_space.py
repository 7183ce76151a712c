"""Methods work in sRGB whatever the profile, and what they leave alone comes back bit by bit."""

import struct

import numpy as np
import pytest

import enhance_cli
from enhance_cli.imaging import profiles
from enhance_cli.imaging.colour import from_array
from enhance_cli.imaging.icc import srgb_light
from enhance_cli.imaging.profiles import BT709, SRGB_CURVE, Cicp, icc_of_cicp, icc_profile
from enhance_cli.imaging.view import view_of
from enhance_cli.imaging.working_space import space_of
from enhance_cli.types import Image, Metadata

ADOBE = (*BT709[:4], 0.21, 0.71, *BT709[6:])
PROPHOTO = (0.3457, 0.3585, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001)
PROFILES = {
    "p3": icc_of_cicp(Cicp(12, 13), []),
    "adobe": icc_profile("a", ADOBE, (563 / 256,)),
    "prophoto": icc_profile("a", PROPHOTO, (1.8,)),
    "linear": icc_profile("a", BT709, (1.0,)),
    "rec2020": icc_of_cicp(Cicp(9, 1), []),
}
WHOLE = slice(None), slice(None)


def tags_of(icc):
    """Name and data of every tag of a profile."""
    tags = {}
    for place in range(132, 132 + 12 * int.from_bytes(icc[128:132], "big"), 12):
        name, start, length = struct.unpack(">4sII", icc[place : place + 12])
        tags[name] = icc[start : start + length]
    return tags


def to_version_2(icc, table):
    """The same with its curves as a table of samples, in version 2."""
    curve = b"curv" + bytes(4) + struct.pack(f">I{len(table)}H", len(table), *table)
    made = profiles.assembled({name: curve if name.endswith(b"TRC") else data for name, data in tags_of(icc).items()})
    return made[:8] + bytes((2, 0x10, 0, 0)) + made[12:]


def grey_profile(gamma):
    tag = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    made = profiles.assembled({b"kTRC": tag, b"wtpt": tags_of(PROFILES["linear"])[b"wtpt"]})
    return made[:16] + b"GRAY" + made[20:]


def tagged(pixels, icc):
    image = from_array(pixels)
    return image.replace(metadata=Metadata(icc=icc, bit_depth=image.metadata.bit_depth))


def in_profile(light, chromaticities, gamma):
    """Light of sRGB's primaries as 16-bit samples of another space, by plain numpy."""
    matrix = np.linalg.solve(profiles.primaries_to_d50(chromaticities), profiles.primaries_to_d50(BT709))
    return np.rint((light @ matrix.T).clip(0, 1) ** (1 / gamma) * 65535).astype(np.uint16)


def test_what_is_srgb_has_no_view():
    table = np.rint(srgb_light()[np.linspace(0, 65535, 1024).astype(int)] * 65535).astype(int)
    srgb = icc_profile("sRGB", BT709, SRGB_CURVE)
    for icc in (None, srgb, to_version_2(srgb, table)):
        assert space_of(icc, grey=False) == (None, None)
    for name, icc in PROFILES.items():
        assert space_of(icc, grey=False)[0] is not None, name


@pytest.mark.parametrize("icc", [b"", b"?" * 200, grey_profile(2.2), PROFILES["p3"][:300]])
def test_profiles_that_cannot_be_used_are_noted(icc):
    space, note = space_of(icc, grey=False)
    assert space is None
    assert "taken as sRGB" in note
    with enhance_cli.open("retinex", device="cpu", threads=1) as method:
        result = method.enhance(tagged(np.full((16, 16, 3), 90, np.uint8), icc))
    assert note in result.report["notes"]


@pytest.mark.parametrize(("chromaticities", "gamma"), [(ADOBE, 563 / 256), (PROPHOTO, 1.8), (BT709, 1.0)])
def test_colours_become_those_of_srgb(rng, chromaticities, gamma):
    codes = rng.integers(0, 65536, (64, 64, 3), np.uint16)
    stored = in_profile(srgb_light()[codes], chromaticities, gamma)
    space, _ = space_of(icc_profile("a", chromaticities, (gamma,)), grey=False)
    seen = space.to_srgb(stored)
    error = np.abs(seen.astype(int) - codes)[codes.min(axis=2) > 3000]
    assert error.max() < 65535 / 255 / 4


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_left_alone_comes_back(rng, name, dtype):
    pixels = rng.integers(0, np.iinfo(dtype).max, (40, 50, 3), dtype, endpoint=True)
    _, view, _ = view_of(tagged(pixels, PROFILES[name]))
    seen = view.window(view.image.pixels, WHOLE)
    assert np.array_equal(view.back(view.image.pixels, WHOLE, seen, seen), pixels)
    moved = np.where(seen < 65535, seen + np.uint16(1), seen - np.uint16(1))
    near = np.abs(view.back(view.image.pixels, WHOLE, seen, moved).astype(int) - pixels)
    assert np.median(near) <= (0 if dtype == np.uint8 else 4)


@pytest.mark.parametrize("name", PROFILES)
def test_gradients_keep_their_order(name):
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    _, view, _ = view_of(tagged(np.stack([ramp] * 3, axis=2), PROFILES[name]))
    seen = view.window(view.image.pixels, WHOLE)
    assert (seen[..., 0] == seen[..., 2]).mean() > 0.99  # greys stay grey
    darker = np.rint(seen * 0.98).astype(np.uint16)
    back = view.back(view.image.pixels, WHOLE, seen, darker)[..., 1].ravel().astype(int)
    # Where the method leaves off changing, samples that share one of sRGB's come back apart: by no more than that one.
    assert np.diff(back).min() >= -5
    if name == "adobe":
        assert len(np.unique(back)) > 0.98 * 59_000
        assert len(np.unique(seen[..., 1])) >= 59_000


def test_colours_beyond_srgb_keep_their_places():
    """Brightened by a factor of light, a saturated green of AdobeRGB is brightened by that factor."""
    green = np.array([[[6000, 40000, 6000]]], np.uint16)
    _, view, _ = view_of(tagged(green, PROFILES["adobe"]))
    seen = view.window(view.image.pixels, WHOLE)
    light = srgb_light()
    brighter = np.interp(1.2 * light[seen], light, np.arange(65536)).astype(np.uint16)
    wanted = green * 1.2 ** (256 / 563)
    assert seen.min() == 0
    assert np.abs(view.back(view.image.pixels, WHOLE, seen, brighter) - wanted).max() < 40


def test_grey_pictures_follow_their_own_profile():
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    _, view, _ = view_of(tagged(ramp, grey_profile(1.0)))
    seen = view.window(view.image.pixels, WHOLE)
    assert np.abs(srgb_light()[seen] - ramp / 65535).max() < 1e-4
    assert np.array_equal(view.back(view.image.pixels, WHOLE, seen, seen), ramp)
    assert np.abs(view.back(view.image.pixels, WHOLE, seen, seen ^ 1).astype(int) - ramp).max() <= 3


EVERY = {
    "clahe-adaptive": {},
    "clode": {"time": "auto"},
    "retinex": {},
    "irle": {"stage": "1"},
    "local": {"mask": "luma<0.2"},
}


@pytest.mark.parametrize("method", EVERY)
def test_a_scene_comes_out_the_same_in_every_space(method, night):
    light = srgb_light()
    codes = night.astype(np.uint16) * 257
    with enhance_cli.open(method, device="cpu", threads=1) as opened:
        wanted = opened.enhance(codes, **EVERY[method]).array
        for chromaticities, gamma in ((ADOBE, 563 / 256), (PROPHOTO, 1.8), (BT709, 1.0)):
            stored = tagged(in_profile(light[codes], chromaticities, gamma), icc_profile("a", chromaticities, (gamma,)))
            result = opened.enhance(stored, **EVERY[method])
            seen = view_of(result.image)[1].window(result.image.pixels, WHOLE)
            error = np.square((seen.astype(float) - wanted) / 65535).mean()
            assert error < 10**-4.5


def test_jpeg_planes_of_phones_stay_planes():
    planes = Image(
        np.full((8, 8), 90, np.uint8),
        chroma=(np.full((4, 4), 120, np.uint8),) * 2,
        metadata=Metadata(icc=PROFILES["p3"], format="jpeg"),
    )
    image, view, _ = view_of(planes)
    assert view is None
    assert image is planes
    for name in ("adobe", "prophoto"):
        merged = view_of(planes.replace(metadata=Metadata(icc=PROFILES[name], format="jpeg")))[0]
        assert merged.pixels.ndim == 3
