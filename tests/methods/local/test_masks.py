"""Masks of local: what is written, what is drawn, where the areas lie, and what is said of masks that cannot be."""

from __future__ import annotations

import math
import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enhance_cli.errors import UsageError
from enhance_cli.methods.local import Length, LocalControls, Mask
from enhance_cli.methods.local import distance as by_distance
from enhance_cli.methods.local import drawn as by_hand
from enhance_cli.methods.local.covers import FULL, INSIDE, OUTSIDE
from enhance_cli.methods.local.masks import Regions, fall_off, regions
from enhance_cli.methods.local.overlay import draw_regions
from enhance_cli.pipeline.companions import HandedOver
from enhance_cli.types import Image, Metadata


def blank(height=120, width=160, **more):
    """A black photograph."""
    return Image(np.zeros((height, width, 3), np.uint8), metadata=Metadata(source="photo.jpg"), **more)


def whole(found: Regions):
    """t of every pixel of the picture, 0..1."""
    t = np.zeros((found.height, found.width))
    rows, columns = found.fall_off.shape
    t[found.top : found.top + rows, found.left : found.left + columns] = found.fall_off / FULL
    return t


def drawn(mask, height=120, width=160, **controls):
    """t of a blank photograph under a mask, without transition unless it is given."""
    return whole(regions(blank(height, width), LocalControls(mask=mask, **{"transition": 0, **controls})))


def disc(height=120, width=160, y=60.0, x=80.0, radius=30.0):
    down, across = np.mgrid[:height, :width] + 0.5
    return np.hypot(down - y, across - x) <= radius


def nearest(part):
    """Pixels from every pixel to the nearest of `part`, by looking at all of them."""
    y, x = np.nonzero(part)
    down, across = np.mgrid[: part.shape[0], : part.shape[1]]
    return np.sqrt(((down[..., None] - y) ** 2 + (across[..., None] - x) ** 2).min(axis=-1))


# --- what is written ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number", "percent"),
    [("40", 40, False), ("40px", 40, False), (" 5.5 %", 5.5, True), ("-3%", -3, True), (".5", 0.5, False)],
)
def test_lengths_are_pixels_or_percent(text, number, percent):
    assert Length.parse(text) == (number, percent)


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        ("", "there is nothing in it"),
        ("circle:5", "write circle:x,y,radius"),
        ("circle:5,5,-1", "has no extent: its radius must be above 0"),
        ("circle:5,5,nan", "'nan' is neither pixels, such as 40, nor percent"),
        ("circle:5,5,1e999", "is neither pixels"),
        ("rect:1,2,3", "write rect:x,y,width,height"),
        ("rect:1,2,3,0", "its sizes must be above 0"),
        ("ellipse:1,2,3,4,5,6", "write ellipse:x,y,rx,ry or ellipse:x,y,rx,ry,degrees"),
        ("ellipse:1,2,3,4,5%", "the degrees of 'ellipse:1,2,3,4,5%' are a plain number"),
        ("polygon:1,2;3,4", "write polygon:x,y;x,y;x,y and further corners"),
        ("polygon:1,2;3,4;5", "write polygon"),
        ("polygon:1,2,3,4,5,6", "write polygon"),
        ("star:1,2,3", "'star:1,2,3' is not a shape; shapes are circle, rect, ellipse, polygon"),
        ("circle:1,2,3+", "'' is not a shape"),
        ("luma<2", "write luma< and a number above 0"),
        ("luma>0.2", "write luma< and a number above 0"),
        ("luma<x", "write luma<"),
        ("nowhere.png", "nowhere.png does not exist; give a shape such as circle:50%,40%,25%"),
    ],
)
def test_a_mask_that_cannot_be_read_is_told_in_one_sentence(mask, sentence):
    with pytest.raises(UsageError, match=r"^--mask: ") as caught:
        LocalControls(mask=mask)
    assert sentence in str(caught.value)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_no_mask_is_a_mistake_of_usage():
    with pytest.raises(UsageError, match="local needs --mask: a shape such as"):
        LocalControls()


@pytest.mark.parametrize(
    ("controls", "sentence"),
    [
        ({"transition": "wide"}, "--transition: 'wide' is neither pixels"),
        ({"transition": -1}, "--transition: the transition is at least 0 wide"),
        ({"transition_mode": "grow"}, "--transition-mode is one of auto, dilate, erode, both"),
        ({"degree": 0.4}, "--degree must lie between 0.5 and 2"),
        ({"degree": math.nan}, "--degree must lie between 0.5 and 2"),
        ({"backbone": "unet"}, "--backbone is one of deepupe, star"),
        ({"mask_outer": "alpha"}, "--mask-outer: alpha is not a file"),
        ({"mask_outer": "circle:1,1,1"}, "--mask-outer: circle:1,1,1 is not a file"),
        ({"mask_outer": np.ones((4, 4)), "transition": 3}, "--mask-outer replaces --transition"),
    ],
)
def test_other_controls_are_told_too(controls, sentence):
    with pytest.raises(UsageError) as caught:
        LocalControls(mask="circle:50%,50%,20%", **controls)
    assert sentence in str(caught.value)


def test_controls_read_what_the_report_shows():
    controls = LocalControls(mask="circle:50%,50%,20%+rect:1,2,3px,4", transition="6%", lock=False)
    shown = controls.to_json()
    assert (shown["mask"], shown["transition"], shown["lock"]) == ("circle:50%,50%,20%+rect:1,2,3px,4", "6%", False)
    assert LocalControls(mask=shown["mask"], transition=shown["transition"], lock=False) == controls


# --- shapes ------------------------------------------------------------------------------------------------


def test_a_circle_is_in_percent_of_width_height_and_the_shorter_side():
    assert np.array_equal(drawn("circle:50%,50%,25%") == 1, disc())
    assert np.array_equal(drawn("circle:80,60,30"), drawn("circle:50%,50%,25%"))
    tall = drawn("circle:50%,25%,25%", 160, 120) == 1
    assert np.array_equal(tall, disc(160, 120, 40, 60))


def test_a_rectangle_is_what_its_numbers_say():
    expected = np.zeros((120, 160))
    expected[12:72, 16:56] = 1
    assert np.array_equal(drawn("rect:10%,10%,25%,50%"), expected)
    assert np.array_equal(drawn("rect:16,12,40,60"), expected)


def test_an_ellipse_turns_clockwise():
    lying, standing = drawn("ellipse:50%,50%,30%,10%"), drawn("ellipse:50%,50%,30%,10%,90")
    assert lying.sum() == pytest.approx(math.pi * 36 * 12, rel=0.01)
    assert np.array_equal(standing[20:100, 40:120], lying[20:100, 40:120].T)
    turned = drawn("ellipse:50%,50%,30%,10%,45")
    assert turned[60 + 20, 80 + 20] == 1  # down and to the right
    assert turned[60 - 20, 80 + 20] == 0


def test_a_polygon_joins_its_corners():
    triangle = drawn("polygon:10%,10%;90%,10%;50%,90%")
    assert triangle.sum() == pytest.approx(0.5 * 128 * 96, rel=0.03)
    assert triangle[60, 80] == 1
    assert triangle[100, 20] == 0


def test_shapes_joined_by_plus_are_their_union():
    one, two = drawn("circle:30,30,12"), drawn("rect:100,50,40,40")
    assert np.array_equal(drawn("circle:30,30,12+rect:100,50,40,40"), np.maximum(one, two))


def test_what_reaches_out_of_the_picture_is_cut_and_what_lies_outside_is_refused():
    assert drawn("circle:0,0,30")[0, 0] == 1
    assert drawn("rect:-1000%,-1000%,3000%,3000%").all()
    assert drawn("polygon:-1e9,-1e9;1e9,-1e9;0,1e9").any()
    with pytest.raises(
        UsageError, match=r"--mask: circle:150%,50%,10% covers no pixel of photo.jpg, which is 160x120;"
    ):
        drawn("circle:150%,50%,10%")


def test_a_shape_smaller_than_a_pixel_is_the_pixel_it_lies_in():
    for mask in ("circle:40,50,0.1", "rect:39.9,49.9,0.2,0.2", "ellipse:40,50,.1,.1"):
        t = drawn(mask)
        assert t.sum() == 1
        assert t[49:51, 39:41].sum() == 1


# --- pictures as masks -------------------------------------------------------------------------------------


def picture_mask(values, name="mask", **controls):
    """t of a blank photograph whose mask is a picture beside it."""
    image = blank().replace(companions={name: values if isinstance(values, Image) else Image(values)})
    mask = Mask("mask.png", source="picture")
    return regions(image, LocalControls(mask=mask, **{"transition": 0, **controls}))


@pytest.mark.parametrize("size", [(120, 160), (60, 80), (480, 640), (119, 159), (3, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_picture_of_any_size_is_scaled(size, dtype):
    values = np.zeros(size, dtype)
    values[:, : size[1] // 2] = np.iinfo(dtype).max
    t = whole(picture_mask(values))
    assert set(np.unique(t)) <= {0.0, 1.0}  # hard stays hard
    assert t.mean() == pytest.approx((size[1] // 2) / size[1], abs=0.02)
    assert t[60, 10] == 1
    assert t[60, 150] == 0


def test_a_picture_of_other_proportions_is_refused():
    with pytest.raises(UsageError, match=r"mask.png is 120x160, not of the proportions of photo.jpg, 160x120;"):
        picture_mask(np.zeros((160, 120), np.uint8))


def test_a_cut_out_is_a_mask_by_its_alpha_and_others_by_their_luma():
    half = np.zeros((120, 160), np.uint8)
    half[:60] = 255
    white = np.full((120, 160, 3), 255, np.uint8)
    assert np.array_equal(whole(picture_mask(Image(white, alpha=half))), half / 255)
    opaque = np.full((120, 160), 255, np.uint8)
    assert np.array_equal(whole(picture_mask(Image(np.repeat(half[..., None], 3, 2), alpha=opaque))), half / 255)


def test_the_pictures_own_alpha():
    alpha = np.zeros((120, 160), np.uint8)
    alpha[disc()] = 255
    t = whole(regions(blank(alpha=alpha), LocalControls(mask="alpha", transition=0)))
    assert np.array_equal(t == 1, disc())
    with pytest.raises(UsageError, match=r"--mask alpha: photo.jpg has no transparency; give a shape"):
        drawn("alpha")


@pytest.mark.parametrize("given", [disc(), disc().astype(np.uint8) * 255, disc().astype(np.float32)])
def test_arrays_from_python(given):
    assert np.array_equal(drawn(given) == 1, disc())


def test_arrays_that_are_no_mask():
    with pytest.raises(UsageError, match="--mask: A floating-point image holds values from 0 to 1"):
        drawn(np.full((120, 160), 2.0))
    with pytest.raises(UsageError, match="--mask: the mask is 160x60, not of the proportions"):
        drawn(np.zeros((60, 160), np.uint8))


def test_dark_regions():
    pixels = np.full((120, 160, 3), 200, np.uint8)
    pixels[:, :80] = 20
    t = whole(regions(Image(pixels), LocalControls(mask="luma<0.2")))
    assert (t[:, :70] == 1).all()
    assert (t[:, 90:] == 0).all()
    assert (np.diff(t[60]) <= 1e-6).all()


def test_inverted():
    assert np.array_equal(drawn("circle:80,60,30", mask_invert=True) == 1, ~disc())
    assert not drawn("rect:0,0,100%,100%", mask_invert=True).any()


# --- soft masks --------------------------------------------------------------------------------------------


def soft_disc():
    down, across = np.mgrid[:120, :160] + 0.5
    return np.clip((40.0 - np.hypot(down - 60, across - 80)) / 20.0, 0, 1)


def test_soft_masks_keep_their_softness():
    mask = soft_disc()
    found = regions(blank(), LocalControls(mask=mask))
    t = whole(found)
    assert found.soft
    assert np.allclose(t, np.clip((mask - OUTSIDE) / (INSIDE - OUTSIDE), 0, 1), atol=2e-4)
    assert (np.abs(mask[(t == 1) != (mask >= INSIDE)] - INSIDE) < 1e-4).all()
    assert found.transition == pytest.approx(20 * (INSIDE - OUTSIDE), rel=0.1)


def test_a_transition_that_is_asked_for_joins_the_softness():
    mask = soft_disc()
    plain = drawn(mask, transition="auto")
    wider = drawn(mask, transition=30, transition_mode="dilate")
    narrower = drawn(mask, transition=30)  # of an image, inside
    assert (wider >= plain).all()
    assert (wider[plain == 1] == 1).all()
    assert (narrower <= plain).all()
    assert (narrower[plain == 0] == 0).all()
    assert wider.sum() > plain.sum() > narrower.sum()


def test_smooth_drawing_is_no_softness():
    smooth = cv2.GaussianBlur(disc().astype(np.float32), (0, 0), 0.5)
    found = regions(blank(), LocalControls(mask=np.clip(smooth, 0, 1)))
    assert not found.soft
    assert found.fitted
    outside = regions(blank(), LocalControls(mask=np.clip(smooth, 0, 1), transition_mode="dilate"))
    assert not outside.fitted
    assert outside.transition == pytest.approx(0.22 * 30, rel=0.02)


# --- transitions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 5, 12.5, 40])
def test_the_transition_is_linear_in_the_distance(width):
    inside = disc(48, 64, 24, 32, 12)
    distance = nearest(inside)
    expected = np.where(inside, 1.0, np.clip(1 - distance / (width + 1), 0, 1))
    assert np.allclose(drawn("circle:32,24,12", 48, 64, transition=width), expected, atol=2e-5)
    within = np.clip(nearest(~inside) / (width + 1), 0, 1)
    eroded = drawn("circle:32,24,12", 48, 64, transition=width, transition_mode="erode")
    assert np.allclose(eroded, within, atol=2e-5)


def test_wide_transitions_are_measured_small_and_hardly_differ():
    inside = disc(600, 800, 300, 400, 110)
    t = fall_off(inside.astype(np.float32), 150)
    distance = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    assert np.abs(t - np.clip(1 - distance / 151, 0, 1)).max() < 0.015
    assert np.array_equal(t == 1, inside)


def test_where_the_transition_lies():
    mask = "rect:40,30,80,60"
    inside = drawn(mask) == 1
    out, into, both = (drawn(mask, transition=10, transition_mode=mode) for mode in ("dilate", "erode", "both"))
    assert np.array_equal(out == 1, inside)
    assert np.array_equal(into > 0, inside)
    assert both[60, 80] == 1
    edge = both[60, 30:50]
    assert edge[9] < 0.5 < edge[10]  # the mask's edge is half way
    assert ((edge > 0) & (edge < 1)).sum() == 10


def test_an_eroded_mask_does_not_fade_at_the_border_of_the_picture():
    t = drawn("rect:0,0,50%,100%", transition=20, transition_mode="erode")
    assert (t[:, :50] == 1).all()


def test_percent_of_a_transition_are_of_the_shorter_side():
    assert np.array_equal(drawn("circle:80,60,30", transition="10%"), drawn("circle:80,60,30", transition=12))


def test_auto_is_a_share_of_the_radius():
    found = regions(blank(), LocalControls(mask="circle:80,60,30"))
    assert found.transition == pytest.approx(0.22 * 30, rel=0.01)
    two = regions(blank(), LocalControls(mask="rect:20,20,40,40"))
    assert two.transition == pytest.approx(0.22 * 40 / math.sqrt(math.pi))


def test_a_transition_drawn_by_hand():
    outer = disc(radius=50)
    found = regions(blank(), LocalControls(mask=disc(radius=20), mask_outer=outer))
    t = whole(found)
    assert np.array_equal(t == 1, disc(radius=20))
    assert np.array_equal(t > 0, outer)
    assert found.transition == pytest.approx(30, rel=0.05)
    down, across = np.mgrid[:120, :160] + 0.5
    expected = (50 - np.hypot(down - 60, across - 80)) / 30
    between = outer & ~disc(radius=20)
    assert np.abs(t - expected)[between].max() < 0.06
    inverted = whole(regions(blank(), LocalControls(mask=disc(radius=20), mask_outer=outer, mask_invert=True)))
    assert np.array_equal(inverted == 1, ~outer)
    assert np.array_equal(inverted == 0, disc(radius=20))


def test_an_outer_mask_alone_has_no_area_a():
    t = whole(regions(blank(), LocalControls(mask=np.zeros((120, 160)), mask_outer=disc())))
    assert np.array_equal(t > 0, disc())
    assert t.max() < 1


# --- properties --------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(data=st.data(), height=st.integers(1, 90), width=st.integers(1, 90))
def test_regions_partition_the_picture(data, height, width):
    percent = st.integers(0, 100)
    kind = data.draw(st.sampled_from(["circle", "rect", "ellipse", "polygon", "soft", "noise"]))
    x, y, one, two, turn = (data.draw(percent) for _ in range(5))
    mask = {
        "circle": f"circle:{x}%,{y}%,{one + 1}%",
        "rect": f"rect:{min(x, 99)}%,{min(y, 99)}%,{one + 1}%,{two + 1}%",
        "ellipse": f"ellipse:{x}%,{y}%,{one + 1}%,{two + 1}%,{turn * 3}",
        "polygon": f"polygon:{x}%,{y}%;{one}%,{two}%;{turn}%,50%;50%,50%",
    }.get(kind)
    if mask is None:
        mask = np.random.default_rng(x).random((height, width))
        mask = mask if kind == "soft" else (mask > y / 100).astype(float)
    mode = data.draw(st.sampled_from(["dilate", "erode", "both"]))
    transition = data.draw(st.sampled_from(["auto", 0, 1, 7.5, "20%", "90%"]))
    controls = LocalControls(
        mask=mask, transition=transition, transition_mode=mode, mask_invert=data.draw(st.booleans())
    )
    found = regions(blank(height, width), controls)
    t = whole(found)
    areas = np.array([t == 1, (t > 0) & (t < 1), t == 0])
    assert (areas.sum(axis=0) == 1).all()
    assert sum(found.shares) == pytest.approx(1, abs=1e-12)
    assert np.allclose(found.shares, areas.mean(axis=(1, 2)), atol=1e-12)
    assert found.fall_off.dtype == np.uint16
    bare = whole(
        regions(blank(height, width), LocalControls(mask=mask, transition=0, mask_invert=controls.mask_invert))
    )
    if mode == "dilate":
        assert np.array_equal(t == 1, bare == 1)
        assert (t >= bare).all()
    if mode == "erode" and not found.fitted:
        assert np.array_equal(t > 0, bare > 0)
        assert (t <= bare).all()


@settings(max_examples=30)
@given(
    height=st.integers(1, 70), width=st.integers(1, 70), rows=st.integers(1, 24), columns=st.integers(1, 24),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_planes_are_area_means_of_the_whole(height, width, rows, columns, seed):
    mask = np.random.default_rng(seed).random((height, width)) ** 2
    found = regions(blank(height, width), LocalControls(mask=mask, transition=0))
    t = whole(found)
    planes = found.planes(rows, columns)
    assert planes.dtype == np.float32
    for i in range(rows):
        for j in range(columns):
            part = t[
                i * height // rows : -(-(i + 1) * height // rows), j * width // columns : -(-(j + 1) * width // columns)
            ]
            assert planes[1, i, j] == pytest.approx(part.mean(), abs=1e-6)
            assert planes[0, i, j] == pytest.approx((part == 1).mean(), abs=1e-6)


def test_two_masks_of_a_large_picture_are_worked_on_in_bands(monkeypatch):
    """The same fall-off, but for the rounding of distances."""
    inner = np.zeros((900, 300), np.uint8)
    inner[200:700, 40:200] = 255
    outer = np.zeros_like(inner)
    outer[180:705, 35:230] = 255
    controls = LocalControls(mask=inner, mask_outer=outer)
    alone = regions(blank(900, 300), controls)
    monkeypatch.setattr(by_hand, "LARGE", 0)
    bands = regions(blank(900, 300), controls)
    assert (bands.top, bands.left, bands.transition) == (alone.top, alone.left, alone.transition)
    assert np.abs(bands.fall_off.astype(int) - alone.fall_off).max() <= 1


def peak_of(work):
    """Bytes of arrays that a call holds at most beside what was there before."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_what_a_large_picture_takes_beside_its_fall_off(monkeypatch):
    """The fall-off takes 2 bytes a pixel, and each mask that is handed over 1 until it is used."""
    monkeypatch.setattr(by_hand, "LARGE", 0)
    monkeypatch.setattr(by_distance, "LARGE", 0)
    side = 2000
    image = Image(np.zeros((side, side, 3), np.uint8))
    picture = Mask("mask.png", source="picture")

    def drawn_by_hand():
        inner, outer = np.zeros((side, side), np.uint8), np.full((side, side), 255, np.uint8)
        inner[300:1500, 300:1500] = 255
        outer[1950:] = outer[:, 1950:] = outer[:50] = outer[:, :50] = 0
        handed = HandedOver({"mask": Image(inner), "mask_outer": Image(outer)})
        del inner, outer
        regions(image.replace(companions=handed), LocalControls(mask=picture, mask_outer=picture))

    assert peak_of(drawn_by_hand) < 3.2 * side**2  # 4 with both masks to the end
    assert peak_of(lambda: regions(image, LocalControls(mask="circle:50%,50%,30%", transition=52))) < 6 * side**2


def test_a_drawing_of_the_regions_takes_little_beside_itself():
    image = Image(np.zeros((1600, 1600, 3), np.uint8))
    fall_off = np.full((1600, 1600), FULL, np.uint16)
    assert peak_of(lambda: draw_regions(image, fall_off, (0, 0))) < 20 * 1600**2  # 70 and more in one piece
