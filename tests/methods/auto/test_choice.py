"""What is chosen for a photo, the guard, and the words for it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import enhance_cli
from enhance_cli import methods
from enhance_cli.engines import open_engine
from enhance_cli.errors import UsageError
from enhance_cli.exposure import Wanted
from enhance_cli.imaging.colour import from_array
from enhance_cli.imaging.profiles import BT709, icc_profile, primaries_to_d50
from enhance_cli.methods.auto import CHOICES, HALO, METHOD, guard, words
from enhance_cli.methods.auto.candidates import OPTIONS, blended
from enhance_cli.methods.auto.chooser import RESTRAINT, SURE, choose
from enhance_cli.methods.auto.decision import Decision
from enhance_cli.methods.auto.features import COUNT, features
from enhance_cli.methods.auto.measure import NAMES, flatness, measure
from enhance_cli.methods.auto.scores import Scores
from enhance_cli.methods.auto.shift import table
from enhance_cli.types import Metadata
from tests import pictures


@pytest.fixture(scope="module")
def well_exposed():
    return pictures.well_exposed()


@pytest.fixture(scope="module")
def screenshot():
    return pictures.screenshot()


@pytest.fixture(scope="module")
def auto():
    with enhance_cli.open("auto", device="cpu", threads=1) as opened:
        yield opened


def test_what_is_not_certain_enough_is_left_alone(auto):
    result = auto.enhance(pictures.dark(), min_certainty=1.0)
    assert np.array_equal(result.array, pictures.dark())
    plan = result.report["plan"]
    assert (plan["verdict"], plan["method"], plan["amount"]) == ("left alone", None, 0.0)
    assert plan["runner_up"], "what would have been done"
    assert "dark" in plan["reason"]


def test_a_drawing_is_left_alone_and_called_one(auto, screenshot):
    result = auto.enhance(screenshot)
    assert np.array_equal(result.array, screenshot)
    assert result.report["plan"]["reason"].startswith("not a photo")


def test_a_dark_photo_is_brightened_with_a_reason_and_its_quantities(auto):
    result = auto.enhance(pictures.dark())
    plan = result.report["plan"]
    assert plan["verdict"] == "enhanced"
    assert result.report["exposure"]["after"]["mean"] > 1.5 * result.report["exposure"]["before"]["mean"]
    assert "dark" in plan["reason"]
    assert len(plan["quantities"]) >= 2
    assert plan["plan"], "the method's own plan is told"


def test_only_the_methods_that_are_named_are_chosen(auto):
    plan = auto.enhance(pictures.dark(), methods="retinex").report["plan"]
    assert plan["method"] in ("retinex", None)
    with pytest.raises(UsageError, match="auto chooses among"):
        auto.enhance(pictures.dark(), methods="local")


def test_strength_scales_the_change(auto):
    photo = pictures.dark()
    full, half, none = (auto.enhance(photo, strength=share).array.astype(int) for share in (1.0, 0.5, 0.0))
    assert np.array_equal(none, photo)
    assert np.abs(half - (full + photo) / 2).max() <= 1


def test_a_shift_moves_photos_that_are_left_alone_too(auto, well_exposed):
    brighter = auto.enhance(well_exposed, shift=0.5, min_certainty=1.0)
    assert brighter.array.mean() > well_exposed.mean() + 10
    assert brighter.report["plan"]["shift"] == 0.5


@pytest.mark.parametrize("stops", [-2.0, -0.5, 0.5, 2.0])
def test_a_shift_moves_mid_grey_by_its_stops_and_keeps_black_white_and_order(stops):
    levels = table(stops, 65535).astype(np.int64)
    assert (levels[0], levels[-1]) == (0, 65535)
    assert (np.diff(levels) >= 0).all()
    encode = lambda light: 1.055 * light ** (1 / 2.4) - 0.055  # noqa: E731
    assert levels[round(encode(0.18) * 65535)] == pytest.approx(encode(0.18 * 2**stops) * 65535, abs=30)


def test_quantities_are_what_they_say(well_exposed):
    seen = measure(np.full((40, 60, 3), 255, np.uint8))
    assert (seen["mean"], seen["white"], seen["bright"], seen["dark"]) == (1.0, 1.0, 1.0, 0.0)
    half = np.zeros((40, 60, 3), np.uint8)
    half[:, 30:] = 200
    seen = measure(half)
    assert (seen["dark"], seen["bright"]) == (0.5, 0.5)
    assert seen["two tones"] == pytest.approx(1.0)
    assert len(measure(well_exposed).values) == len(NAMES)
    assert words.finding(seen).kind == "backlit"


@pytest.mark.parametrize(("paper", "ink"), [(228, 48), (30, 215)], ids=["scan", "dark mode"])
def test_a_page_of_text_is_no_photo(paper, ink):
    """Letters are blurred to less than half of their contrast on the small copy, and a scan has some grain."""
    page = np.full((1100, 850, 3), paper, np.uint8)
    for row in range(40, 1080, 28):
        text = f"The quick brown fox jumps over the lazy dog {row}"
        cv2.putText(page, text, (30, row), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (ink,) * 3, 1, cv2.LINE_AA)
    grain = np.random.default_rng(0).normal(0.0, 3.0, page.shape)
    small = cv2.resize((page + grain).clip(0, 255).astype(np.uint8), (124, 160), interpolation=cv2.INTER_AREA)
    found = words.not_a_photo(flatness(small))
    assert found is not None
    assert found.text.startswith("not a photo")


def test_a_page_full_of_numbers_is_no_photo_and_fog_has_no_fine_detail():
    page = np.full((900, 1400, 3), 255, np.uint8)
    for row in range(0, 900, 30):
        cv2.line(page, (0, row), (1400, row), (200, 200, 200), 1)
        for column in range(5, 1400, 120):
            text = str(10007 * (row + column) % 99991)
            cv2.putText(page, text, (column, row + 22), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    small = cv2.resize(page, (160, 103), interpolation=cv2.INTER_AREA)
    found = words.not_a_photo(flatness(small))
    assert found is not None
    assert "fine detail" in found.text
    fog = pictures.codes(0.8 + 0.03 * pictures.soft(100, 160))
    told = words.not_a_photo(flatness(fog))
    assert told is None or "fine detail" not in told.text, "it is flat"


def test_noise_keeps_a_photo_from_being_a_drawing(screenshot):
    assert words.not_a_photo(flatness(screenshot)) is not None
    noisy = pictures.codes(screenshot / 255 + np.random.default_rng(0).normal(0, 0.02, screenshot.shape))
    assert words.not_a_photo(flatness(noisy)) is None


def test_a_very_dark_photo_is_no_drawing():
    """Most of its neighbours are equal to the level, and it has few colours."""
    dark = pictures.dark(level=0.012, noise=0.001, edge=0.02)
    assert flatness(dark).flat > 0.5
    assert words.not_a_photo(flatness(dark)) is None


def wanted(luma=0.45, contrast=0.2, doubt=0.05):
    return Wanted(luma, 0.05, contrast, 0.1, doubt)


def test_features_are_of_the_options_that_were_tried(well_exposed):
    seen = measure(well_exposed)
    brighter = (well_exposed.astype(int) * 5 // 4).clip(0, 255).astype(np.uint8)
    found = features(well_exposed, seen, wanted(), {"retinex": brighter})
    assert [OPTIONS[place] for place in found] == [("", 0.0), ("retinex", 1.0), ("retinex", 0.5)]
    assert all(values.shape == (COUNT,) and np.isfinite(values).all() for values in found.values())
    nothing, whole, half = found.values()
    changes = slice(len(NAMES) + len(wanted()), 2 * len(NAMES) + len(wanted()))
    assert not nothing[changes].any(), "nothing changes nothing"
    place = changes.start + NAMES.index("mean")
    assert whole[place] == pytest.approx(measure(brighter)["mean"] - seen["mean"], abs=1e-6)
    assert 0 < half[place] < whole[place]


def _scores_that_prefer(*ranked):
    """Scores in which options come in this order, ten decibels apart."""

    class Fixed(Scores):
        def of(self, features):
            order = {option: -10.0 * place for place, option in enumerate(ranked)}
            return {place: order.get(OPTIONS[place], -100.0) for place in features}

    return Fixed(METHOD)


@pytest.fixture(scope="module")
def opened():
    engine = open_engine("cpu", threads=1)
    return lambda name: methods.open_enhancer(methods.get(name), engine)


def test_the_option_that_scores_highest_is_chosen(opened):
    photo = cv2.resize(pictures.dark(), (96, 64))
    scores = _scores_that_prefer(("clode", 0.5), ("clode", 1.0), ("irle", 1.0))
    decision = choose(photo, wanted(), METHOD.controls(), opened, scores)
    assert (decision.method, decision.controls, decision.runner_up) == ("clode", {"time": "auto"}, "irle")
    assert decision.amount <= 0.5
    assert decision.certainty > 0.9
    assert decision.quantities["mean after"] > measure(photo)["mean"]
    among = METHOD.controls(methods=("retinex",))
    assert choose(photo, wanted(), among, opened, _scores_that_prefer(("clode", 1.0), ("retinex", 1.0))).method == (
        "retinex"
    )


def test_a_change_must_gain_more_than_the_restraint(opened):
    photo = cv2.resize(pictures.dark(), (96, 64))

    class Close(Scores):
        def of(self, features):
            return {place: (RESTRAINT - 0.1) * (OPTIONS[place] == ("irle", 1.0)) for place in features}

    decision = choose(photo, wanted(), METHOD.controls(), opened, Close(METHOD))
    assert (decision.method, decision.runner_up) == ("", "irle")
    assert 0.5 < decision.certainty < 0.7


def test_a_change_of_which_little_is_expected_is_gentle_and_the_report_says_so(opened):
    photo = cv2.resize(pictures.dark(), (96, 64))

    def chosen(gain):
        class Leads(Scores):
            def of(self, features):
                return {place: gain * (OPTIONS[place] == ("irle", 1.0)) for place in features}

        return choose(photo, wanted(), METHOD.controls(), opened, Leads(METHOD))

    gentle, whole = chosen(SURE - 0.1), chosen(SURE + 0.1)
    assert (gentle.method, whole.method, whole.amount, whole.guard) == ("irle", "irle", 1.0, "")
    assert 0.0 < gentle.amount < 1.0
    assert "little is expected" in gentle.guard


def test_a_hint_moves_what_clode_aims_for(opened):
    photo = cv2.resize(pictures.dark(), (96, 64))
    scores = _scores_that_prefer(("clode", 1.0))
    decision = choose(photo, wanted(luma=0.3), METHOD.controls(), opened, scores, hint=", as it was taken at night")
    assert decision.controls == {"time": "auto", "target": 0.3}
    assert "night" in decision.reason


def test_certainty_is_half_without_a_lead_and_grows_with_it():
    scores = Scores(METHOD)
    leads = [scores.certainty(lead) for lead in (0.0, 0.5, 2.0, 1000.0)]
    assert leads[0] == 0.5
    assert leads == sorted(leads)
    assert leads[-1] <= 1.0


def test_the_shipped_chooser_brightens_what_is_dark_and_leaves_what_is_good(auto, well_exposed):
    good = auto.enhance(well_exposed).report["plan"]
    assert good["verdict"] == "left alone"
    darker = np.rint(255 * ((well_exposed / 255.0) ** 2.2 / 8.0) ** (1 / 2.2)).astype(np.uint8)
    dark = auto.enhance(darker).report["plan"]
    assert dark["verdict"] == "enhanced"
    after = next(quantity["value"] for quantity in dark["quantities"] if quantity["name"] == "mean after")
    assert after > 1.5 * measure(darker)["mean"]


@pytest.mark.parametrize("amount", [0.3, 1.0, 1.5])
def test_a_blend_is_linear_and_clips(amount):
    before, after = np.full((2, 2, 3), 100, np.uint8), np.full((2, 2, 3), 220, np.uint8)
    assert np.array_equal(blended(before, after, amount), np.full((2, 2, 3), min(255, 100 + 120 * amount), np.uint8))


def test_where_little_is_expected_a_photo_is_moved_by_little(well_exposed):
    brighter = np.clip(well_exposed.astype(int) + 30, 0, 255).astype(np.uint8)
    amount, told = guard.gentle(well_exposed, brighter, 1.0)
    assert amount < 0.5
    assert "little is expected" in told
    moved = blended(well_exposed, brighter, amount).astype(float) - well_exposed
    assert np.sqrt(np.square(moved).mean()) == pytest.approx(guard.GENTLE, abs=0.6)
    assert guard.gentle(well_exposed, brighter, 0.1) == (0.1, "")
    assert guard.gentle(well_exposed, well_exposed, 1.0) == (1.0, "")


def test_the_guard_halves_what_clips_and_gives_up_what_still_does(well_exposed):
    same = guard.held(well_exposed, well_exposed, 1.0)
    assert same == (1.0, "")
    brighter = (well_exposed.astype(int) * 3 // 2).clip(0, 255).astype(np.uint8)
    amount, told = guard.held(well_exposed, brighter, 1.0)
    assert amount in (0.25, 0.5)
    assert "clips" in told
    assert "reduced" in told
    amount, told = guard.held(well_exposed, np.full_like(well_exposed, 255), 1.0)
    assert amount in (0.0, 0.25, 0.5)
    turned = np.ascontiguousarray(pictures.ramps()[..., [1, 2, 0]])
    assert "hues" in guard.held(pictures.ramps(), turned, 1.0)[1]
    assert "order" in guard.held(well_exposed, 255 - well_exposed, 0.9)[1]


def test_the_guard_halves_what_lifts_noise():
    grain = np.random.default_rng(0).normal(0.0, 2.5, (120, 160, 3))
    dark = (np.linspace(20, 40, 160)[None, :, None] + grain).clip(0, 255)
    before, after = np.rint(dark).astype(np.uint8), np.rint(dark * 5.0).clip(0, 255).astype(np.uint8)
    amount, told = guard.held(before, after, 1.0)
    assert amount == 0.5
    assert "amplifies noise in dark flat parts from 2." in told
    smooth = np.rint(np.broadcast_to(np.linspace(20, 40, 160)[None, :, None], dark.shape))
    assert guard.held(smooth.astype(np.uint8), (smooth * 5.0).astype(np.uint8), 1.0) == (1.0, "")


def test_the_guard_does_not_take_texture_that_keeps_its_contrast_for_lifted_noise():
    texture = np.random.default_rng(0).normal(60.0, 15.0, (120, 160, 3)).clip(5, 250)
    before, after = texture.astype(np.uint8), (texture * 1.4).clip(0, 255).astype(np.uint8)
    assert guard.breach(before, after) is None


def test_a_decision_reads_back_from_its_line():
    decision = Decision("clode", {"time": 2}, 0.5, "dark", {"mean": 0.1}, "irle", 0.75, "")
    assert Decision.from_json(decision.to_json(), "x") == decision
    alone = Decision("", reason="fine", quantities={"mean": 0.5}, certainty=0.9)
    assert Decision.from_json(alone.to_json(), "x") == alone


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"verdict": "improve"}, "verdict"),
        ({"method": "sharpen"}, "no method 'sharpen'"),
        ({"controls": [1]}, "controls"),
        ({"amount": 3}, "amount"),
        ({"certainty": "high"}, "certainty"),
    ],
)
def test_a_line_that_says_what_cannot_be_done_is_refused(change, said):
    line = Decision("clode", {"time": 2}, 0.5).to_json() | change
    with pytest.raises(UsageError, match=rf"file, line 3.*{said}"):
        Decision.from_json(line, "file, line 3")


def test_a_window_has_the_context_that_any_method_looks_at():
    assert max(methods.get(name).halo for name in CHOICES) <= HALO


ADOBE = (*BT709[:4], 0.21, 0.71, *BT709[6:])
PROPHOTO = (0.3457, 0.3585, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001)
DISPLAY_P3 = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)


def in_profile(light, chromaticities, gamma):
    """Linear light of sRGB's primaries, 0 to 1, as a 16-bit image in another space, with its profile."""
    matrix = np.linalg.solve(primaries_to_d50(chromaticities), primaries_to_d50(BT709))
    codes = np.rint((light @ matrix.T).clip(0, 1) ** (1 / gamma) * 65535).astype(np.uint16)
    return from_array(codes).replace(metadata=Metadata(icc=icc_profile("a", chromaticities, (gamma,)), bit_depth=16))


@pytest.mark.parametrize(
    ("chromaticities", "gamma"),
    [(ADOBE, 563 / 256), (DISPLAY_P3, 2.2), (PROPHOTO, 1.8), (BT709, 1.0)],
    ids=["adobe", "display-p3", "prophoto", "linear"],
)
@pytest.mark.parametrize("photo", [pictures.dark, pictures.well_exposed], ids=["dark", "well exposed"])
def test_the_same_scene_in_another_profile_gets_the_same_verdict(auto, photo, chromaticities, gamma):
    codes = photo()
    light = np.where(codes <= 10, codes / 255 / 12.92, ((codes / 255 + 0.055) / 1.055) ** 2.4)
    plain = auto.enhance(codes).report["plan"]
    other = auto.enhance(in_profile(light, chromaticities, gamma)).report["plan"]
    assert (other["verdict"], other["method"], other["options"]) == (
        plain["verdict"],
        plain["method"],
        plain["options"],
    )
    assert other["amount"] == pytest.approx(plain["amount"], rel=0.03)


def test_own_weights_do_not_apply(tmp_path):
    enhancer = methods.open_enhancer(METHOD, open_engine("cpu", threads=1, weights=tmp_path))
    with pytest.raises(UsageError, match="--weights does not apply"):
        enhancer.prepare(METHOD.controls())
