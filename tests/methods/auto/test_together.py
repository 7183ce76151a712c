"""Which photos are decided on together, and what they agree on."""

from __future__ import annotations

import pytest

from enhance_cli.methods.auto.together import agreed, groups


def names_of(found, names):
    return [[names[place] for place in group] for group in found]


def test_times_within_two_seconds_make_a_burst():
    names = ["a/1.jpg", "a/2.jpg", "a/3.jpg", "a/4.jpg", "b/5.jpg", "b/6.jpg", "b/7.jpg"]
    taken = [100.0, 101.5, 103.0, 200.0, 103.0, 103.2, None]
    assert names_of(groups(names, taken, "burst"), names) == [["a/1.jpg", "a/2.jpg", "a/3.jpg"]]


def test_names_that_say_series_make_one_and_plain_numbers_do_not():
    names = [f"in/{stem}.jpg" for stem in ("IMG_1", "IMG_2", "IMG_3", "Burst_01", "burst02", "x_BURST001", "burst-3")]
    found = names_of(groups(names, [None] * len(names), "burst"), names)
    assert found == [["in/Burst_01.jpg", "in/burst02.jpg", "in/burst-3.jpg"]]


def test_a_folder_is_a_group_if_asked_and_none_are_none():
    names = ["a/1.jpg", "b/1.jpg", "a/2.jpg", "a/3.jpg"]
    assert groups(names, [None] * 4, "folder") == [[0, 2, 3]]
    assert groups(names, [1.0] * 4, "none") == []


def line(method, luma=0.2, amount=1.0, certainty=0.5):
    verdict = "enhance" if method else "left alone"
    what = {"method": method, "controls": {"time": 2} if method else {}, "amount": amount if method else 0.0}
    return {"verdict": verdict, "luma": luma, "certainty": certainty, "reason": "dark", **what}


def test_the_verdict_with_the_most_certainty_wins_with_the_median_of_its_amounts():
    lines = [line("clode", amount=1.0), line("irle", certainty=0.9), line("clode", amount=0.5), line(None)]
    done, outliers = agreed(lines)
    assert outliers == []
    assert {(one["method"], one["amount"], one["verdict"]) for one in done} == {("clode", 0.75, "enhance")}
    assert all("together with 3 neighbours" in one["reason"] for one in done)


def test_a_flash_frame_keeps_its_own_verdict():
    flicker = [0.2 * 2 ** (0.3 * (number % 3 - 1)) for number in range(12)]
    lines = [line("clode", luma) for luma in flicker]
    lines[5] = line(None, 0.55, certainty=0.99)
    done, outliers = agreed(lines)
    assert outliers == [5]
    assert done[5] == lines[5]
    assert {one["method"] for place, one in enumerate(done) if place != 5} == {"clode"}


def test_a_burst_that_flickers_is_brightened_alike_and_its_flash_frame_is_not():
    """Twelve frames within 0.3 stops of each other; the mean that is expected of each wavers, too."""
    lines = []
    for number in range(12):
        luma = 0.2 * 2 ** (0.15 * (number % 3 - 1))
        wavering = {"time": "auto"} | ({"target": 0.41} if number == 7 else {})
        lines.append(line("clode", luma) | {"controls": wavering, "quantities": {"expected mean": 0.42 + luma / 10}})
    lines[5] = line(None, 0.55, certainty=0.99) | {"quantities": {}}
    done, outliers = agreed(lines)
    assert outliers == [5]
    assert done[5] == lines[5]
    inside = [one for place, one in enumerate(done) if place != 5]
    assert {(one["verdict"], one["method"], one["amount"], one["controls"]["time"]) for one in inside} == {
        ("enhance", "clode", 1.0, "auto")
    }
    aims = {one["luma"]: one["controls"]["target"] for one in inside}
    assert aims[0.2] == pytest.approx(0.44, abs=0.001), "the median of what is expected"
    darkest, brightest = min(aims), max(aims)
    assert aims[brightest] - aims[darkest] == pytest.approx(0.6 * (brightest - darkest), abs=0.002)


def test_frames_that_differ_much_from_each_other_have_no_outlier_but_one_that_differs_more():
    lines = [line("irle", luma) for luma in (0.1, 0.14, 0.2, 0.28, 0.36)]
    assert agreed(lines)[1] == []
    assert agreed([line("irle", luma) for luma in (0.2, 0.21, 0.2, 0.19, 0.29)])[1] == [4]


def test_photos_that_are_darkened_keep_their_own_aims():
    lines = [line("clode", 0.8) | {"controls": {"time": "auto"}, "quantities": {"expected mean": 0.5}}] * 3
    assert all(one["controls"] == {"time": "auto"} for one in agreed(lines)[0])
