"""The page in a real browser, the system's Chromium: what people do with it, asserted on the page's state."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from enhance_cli.gallery import page as pages
from enhance_cli.gallery.build import build
from enhance_cli.gallery.summary import summarise
from enhance_cli.pipeline.inputs import find
from tests.gallery.conftest import a_line, jpeg, page_data, write_report
from tests.gallery.test_build import HOSTILE, SCRIPT
from tests.pictures import dark, gradient

pytestmark = pytest.mark.browser

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("there is no Chromium here", allow_module_level=True)
playwright_api = pytest.importorskip("playwright.sync_api")

NAMES = ["b2.jpg", "b10.jpg", "a.jpg", "dark.jpg", "failed.jpg", "gone.jpg"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for all tests."""
    with playwright_api.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of six photos: one failed, the output of one gone, two with notes, one with a map."""
    root = tmp_path_factory.mktemp("shoot")
    out = root / "out"
    lines = []
    for number, name in enumerate(NAMES):
        large = name == "b2.jpg"
        source = jpeg(root / "in" / name, dark(1500, 2000, seed=9) if large else dark(96, 128, seed=number))
        output = jpeg(out / name, gradient(1500, 2000) if large else gradient(96, 128))
        line = a_line(source, output, out, size=[2000, 1500] if large else [128, 96])
        line["ms"]["render"] = 10.0 * (5 - number)
        line |= {
            "verdict": "dark" if number % 2 else "fine",
            "reason": f"reason {number}",
            "certainty": 0.9 - number / 10,
        }
        lines.append(line)
    lines[1]["notes"] = ["grid reduced"]
    map_file = jpeg(out / "a_heatmap.png", gradient(96, 128)[::-1])
    lines[2]["written"].append({"path": map_file.name, "bytes": 1, "modified_ns": 1, "sha256": None})
    lines[3]["method"] = "clode"
    lines[4] |= {"status": "failed", "written": [], "exposure": None, "ms": None}
    lines[4]["error"] = {"kind": "corrupt", "message": "failed.jpg is damaged."}
    (out / "failed.jpg").unlink()
    (out / "gone.jpg").unlink()
    write_report(out, lines)
    return build(out).page


class Page:
    """A page, and what must not happen in it."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.context = browser.new_context(viewport={"width": 1200, "height": 800}, accept_downloads=True, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.problems: list[str] = []
        self.page.on("console", lambda message: self.problems.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: (self.problems.append("dialog"), dialog.dismiss()))
        self.page.on("request", self._see)
        self.path = path
        self.load()

    def _see(self, request: Any) -> None:
        if not request.url.startswith(("file://", "blob:")):
            self.problems.append(f"request: {request.url}")

    def load(self) -> None:
        self.page.goto(self.path.as_uri())
        self.page.wait_for_selector("html[data-ready]")

    def shown(self) -> list[str]:
        """Names of the tiles in sight, in order."""
        script = "all => all.filter(one => one.offsetParent).map(one => one.querySelector('.name').textContent)"
        return self.page.eval_on_selector_all("#grid .tile", script)

    def open(self, name: str) -> None:
        self.page.locator(".tile", has_text=name).first.click()
        self.page.wait_for_selector("#photo[open]")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def style(self, selector: str, name: str) -> str:
        return self.page.eval_on_selector(selector, f"one => getComputedStyle(one).{name}")

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def wait_until(self, script: str) -> None:
        """Wait until an expression holds. Playwright's own wait is evaluated in the page, whose policy forbids that."""
        for _ in range(1200):
            if self.page.evaluate(script):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"never true: {script}")


@pytest.fixture
def page(browser: Any, gallery: Path) -> Iterator[Page]:
    """The gallery, opened; after the test nothing was printed to the console and nothing asked of a network."""
    opened = Page(browser, gallery)
    yield opened
    opened.context.close()
    assert opened.problems == []


def left_of_edge(page: Page) -> float:
    """The edge between original and result, as the result is clipped: a share of the width."""
    return float(page.style(".pane.after", "clipPath").split()[-1].rstrip("%)")) / 100


def test_the_slider_by_mouse_and_by_keys(page: Page) -> None:
    page.open("a.jpg")
    assert left_of_edge(page) == 0.5
    box = page.page.locator("#frame").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + box["width"] * 0.25, middle, steps=4)
    page.page.mouse.up()
    assert left_of_edge(page) == pytest.approx(0.25, abs=0.01)
    page.page.focus("#slider")
    page.press("ArrowRight", "ArrowRight")
    assert left_of_edge(page) == pytest.approx(0.26, abs=0.01)
    page.press("Home")
    assert left_of_edge(page) == 0
    assert page.page.get_attribute("#slider", "aria-valuetext") == "0 % original"
    assert page.text("#name") == "a.jpg", "arrows moved the slider, not the photo"


def test_the_space_bar_shows_the_original_while_it_is_held(page: Page) -> None:
    page.open("a.jpg")
    page.page.keyboard.down(" ")
    assert page.style(".pane.after", "visibility") == "hidden"
    page.page.keyboard.up(" ")
    assert page.style(".pane.after", "visibility") == "visible"
    page.page.click('[data-decision="clear"]')  # a button that was clicked does not take the space bar
    page.page.keyboard.down(" ")
    assert page.page.get_attribute("#original", "aria-pressed") == "true"
    page.page.keyboard.up(" ")
    assert page.page.get_attribute("#original", "aria-pressed") == "false"


def test_zoom_moves_both_panes_together(page: Page) -> None:
    page.open("b2.jpg")
    page.press("s", "z")
    assert page.text("#scale") == "100 %"
    assert page.page.evaluate("document.getElementById('after').getBoundingClientRect().width") == 2000
    page.wait_until("document.getElementById('after').naturalWidth === 2000")
    assert page.page.get_attribute("#after", "src") == "../b2.jpg", "the file itself"

    def places() -> list[str]:
        return [page.style(f"#{when}", "transform") for when in ("before", "after")]

    first = places()
    assert first[0] == first[1]
    box = page.page.locator("#stage").bounding_box()
    page.page.mouse.move(box["x"] + 100, box["y"] + 300)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + 40, box["y"] + 250, steps=3)
    page.page.mouse.up()
    second = places()
    assert second[0] == second[1]
    moved = [a - b for a, b in zip(_shift(second[0]), _shift(first[0]), strict=True)]
    assert moved == pytest.approx([-60, -50], abs=1)
    page.press("z")
    assert page.text("#scale") != "100 %"


def _shift(matrix: str) -> list[float]:
    return [float(part) for part in matrix.rstrip(")").split(",")[-2:]]


def test_filters_and_orders(page: Page) -> None:
    assert page.shown() == NAMES
    page.page.select_option("#sort", "name")
    assert page.shown() == ["a.jpg", "b2.jpg", "b10.jpg", "dark.jpg", "failed.jpg", "gone.jpg"]
    page.page.select_option("#sort", "slowest")
    assert page.shown()[:2] == ["b2.jpg", "b10.jpg"]
    page.page.select_option("#sort", "certainty")
    assert page.shown()[0] == "gone.jpg"
    page.page.select_option("#sort", "change")
    assert page.shown()[-2:] == ["failed.jpg", "gone.jpg"], "those without a change come last"
    for name, value, expected in (
        ("status", "failed", ["failed.jpg"]),
        ("method", "clode", ["dark.jpg"]),
        ("note", "grid reduced", ["b10.jpg"]),
    ):
        page.page.select_option(f"#by-{name}", value)
        assert page.shown() == expected
        page.page.select_option(f"#by-{name}", "")
    page.page.select_option("#by-verdict", "dark")
    assert len(page.shown()) == 3
    page.page.fill("#search", "B10")
    assert page.shown() == ["b10.jpg"]
    assert page.text("#count").startswith("1 of 6 photos")
    page.page.fill("#search", "nothing")
    assert page.page.is_visible("#nothing")


def test_decisions_undo_and_a_reload(page: Page) -> None:
    page.open("b2.jpg")
    page.press("k", "x", "1")  # each goes on to the next photo
    assert page.text("#name") == "dark.jpg"
    assert page.text("#count") == "6 photos; 1 keep, 1 reject, 1 redo"
    page.press("u")
    assert page.text("#name") == "a.jpg"
    assert page.text("#decision") == "Not decided."
    page.page.uncheck("#advance")
    page.page.click("#choices button >> nth=1")
    assert page.text("#decision").startswith("redo: clahe-adaptive --strength=0.62")
    page.load()
    assert page.text("#count") == "6 photos; 1 keep, 1 reject, 1 redo"
    page.page.keyboard.press("Escape")
    page.page.select_option("#by-flag", "reject")
    assert page.shown() == ["b10.jpg"]
    page.page.focus(".tile >> visible=true")
    page.press("c")
    assert page.text("#count").endswith("1 keep, 1 redo")


def test_the_export(page: Page, tmp_path: Path) -> None:
    page.open("b2.jpg")
    page.press("k", "x", "2", "Escape")
    page.page.click("#export")
    assert page.text("#decided") == "Decided: 1 keep, 1 reject, 1 redo, of 6 photos."
    for name in ("review.json", "keep.txt", "reject.txt", "redo.txt"):
        with page.page.expect_download() as download:
            page.page.click(f"#files button:has-text('{name}')")
        assert download.value.suggested_filename == name
        download.value.save_as(tmp_path / name)
    told = json.loads((tmp_path / "review.json").read_text())
    assert [(Path(one["source"]).name, one["decision"]) for one in told["photos"]] == [
        ("b2.jpg", "keep"),
        ("b10.jpg", "reject"),
        ("a.jpg", "redo"),
    ]
    assert told["photos"][2]["redo"] == {"method": "clahe-adaptive", "options": {"strength": 0.62}}
    root = page.path.parents[2]
    for decision, name in (("keep", "b2.jpg"), ("reject", "b10.jpg"), ("redo", "a.jpg")):
        (found,) = find([f"@{tmp_path / decision}.txt"], None, False, [])
        assert found.source == root / "in" / name


def test_what_stands_beside_a_photo(page: Page) -> None:
    page.open("a.jpg")
    facts = page.text("#facts")
    for text in ("clahe-adaptive", "reason 2", "70 %", "--strength", "global factor", "Mean change", "bright"):
        assert text in facts
    assert page.page.locator("#chart polygon.after").count() == 1
    page.page.select_option("#layer", "heatmap")
    assert page.page.get_attribute("#after", "src") != page.page.evaluate("document.getElementById('before').src")
    page.wait_until("document.getElementById('after').complete")
    page.press("n", "n")
    assert page.text("#name") == "failed.jpg"
    assert "failed.jpg is damaged." in page.text(".pane.after")
    page.press("n")
    assert "The output is not there" in page.text(".pane.after")
    assert page.page.is_disabled("#next")
    page.press("Escape")
    assert not page.page.is_visible("#photo")
    assert "clahe-adaptive, failed" in page.text("#grid"), "with its original"
    assert "The output is not there" in page.text("#grid .grey"), "not with its original, which it is not"


@pytest.mark.parametrize("view", ["grid", "photo", "dark photo"])
def test_nothing_stands_in_anybodys_way(browser: Any, gallery: Path, view: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    opened = Page(browser, gallery, color_scheme="dark" if "dark" in view else "light")
    opened.page.click("#summary > summary")
    if "photo" in view:
        opened.open("a.jpg")
    found = axe.Axe().run(opened.page).response["violations"]
    grave = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]
    opened.context.close()
    assert grave == []


def test_a_hostile_report_is_shown_and_does_nothing(browser: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    lines = []
    for name in (HOSTILE, "\udce9.jpg", "plain.jpg"):
        source, output = jpeg(tmp_path / "in" / name, dark(96, 128)), jpeg(out / name, gradient(96, 128))
        lines.append(a_line(source, output, out, notes=[SCRIPT], verdict=SCRIPT, reason=HOSTILE, method=SCRIPT))
    lines[2] |= {"status": "failed", "written": [], "error": {"kind": SCRIPT, "message": SCRIPT}}
    lines[2] |= {"output": "http://example.com/x.jpg", "source": "//example.com/x.jpg"}
    write_report(out, lines)
    page = Page(browser, build(out).page)
    visible = HOSTILE.replace("\n", "\\n")
    assert page.shown()[:2] == [visible, "\\xe9.jpg"]
    page.page.click("#summary > summary")
    page.page.locator(".tile").first.click()
    assert page.text("#name") == visible
    assert SCRIPT in page.text("#facts")
    assert page.page.locator("dialog img, dialog script").count() == 2, "the two layers"
    page.press("z")
    page.wait_until("document.getElementById('after').complete")
    assert page.page.evaluate("document.getElementById('after').naturalWidth") == 128, "linked rightly"
    page.page.eval_on_selector("#finding", "one => one.setAttribute('onclick', 'alert(2)')")
    page.page.evaluate("document.getElementById('finding').click()")  # the policy forbids it
    refusals = [problem for problem in page.problems if "Content Security Policy" not in problem]
    page.press("k", "x")
    page.page.keyboard.press("Escape")
    page.page.click("#export")
    with page.page.expect_download() as download:
        page.page.click("#files button:has-text('keep.txt')")
    download.value.save_as(tmp_path / "keep.txt")
    (found,) = find([f"@{tmp_path / 'keep.txt'}"], None, False, [])
    assert found.source == tmp_path / "in" / HOSTILE
    page.context.close()
    assert refusals == []


def test_a_comparison(browser: Any, tmp_path: Path) -> None:
    from enhance_cli.gallery.build import Column

    out = tmp_path / "out"
    lines, columns = [], []
    for number in (1, 2):
        folder = out / str(number)
        source, output = jpeg(tmp_path / "in" / "a.jpg", dark(96, 128)), jpeg(folder / "a.jpg", gradient(96, 128))
        line = a_line(source, output, out)
        lines.append(line)
        columns.append(Column(f"setting {number}", f"enhance clode --time {number}", folder, line["controls"]))
    write_report(out, lines)
    page = Page(browser, build(out, columns=columns).page)
    assert page.page.locator("#comparison tbody tr").count() == 1
    assert [" ".join(text.split()) for text in page.page.locator("#comparison thead th").all_inner_texts()] == [
        "original",
        "setting 1 enhance clode --time 1",
        "setting 2 enhance clode --time 2",
    ]
    page.page.locator("#comparison td .tile").first.click()
    page.press("n", "k")
    assert page.text("#name") == "2/a.jpg"
    assert not page.page.is_visible('[data-decision="keep"]')
    page.context.close()
    assert page.problems == []


@pytest.mark.slow
def test_two_thousand_photos_open_at_once(browser: Any, gallery: Path) -> None:
    """In seconds of processor time, so that a busy machine changes nothing."""
    data = page_data(gallery)
    records = data["photos"]
    data["photos"] = [
        records[number % len(records)] | {"key": f"{number:016x}", "name": f"{number}.jpg"} for number in range(2000)
    ]
    path = gallery.with_name("many.html")
    path.write_bytes(pages.gallery(data, summarise([])))
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    page = context.new_page()
    page.set_default_timeout(200_000)
    told = context.new_cdp_session(page)
    told.send("Performance.enable")
    page.goto(path.as_uri(), wait_until="commit")
    page.wait_for_selector("html[data-ready]", state="attached")
    metrics = {item["name"]: item["value"] for item in told.send("Performance.getMetrics")["metrics"]}
    context.close()
    assert metrics["ThreadTime"] < 2.0
    assert metrics["JSHeapUsedSize"] < 150e6
