"""Comparing settings, and a report in figures."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from enhance_cli.cli.console import sparkline
from enhance_cli.gallery.choices import choices_of
from enhance_cli.gallery.summary import summarise
from tests.gallery.conftest import jpeg, page_data, write_report
from tests.pictures import dark

GENTLE, STRONG = "clahe-adaptive --clip-limit 2", "clahe-adaptive --clip-limit 4 --amount 0.5"


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.chdir(tmp_path)
    return [jpeg(Path(f"in/{name}.jpg"), dark(96, 128, seed=seed)) for seed, name in enumerate(("a", "b"))]


def test_a_column_for_each_setting(photos, enhance) -> None:
    ended = enhance(
        *("compare", *photos, "out", "--device", "cpu"),
        *("--try", GENTLE, "--try", STRONG, "--sheet", "sheet.png"),
    )
    assert ended.exit_code == 0, ended.stderr
    assert ended.stdout.splitlines() == [f"enhance {GENTLE}", f"enhance {STRONG}"]
    assert "out/gallery/index.html" in ended.stderr
    data = page_data(Path("out/gallery/index.html"))
    assert [column["command"] for column in data["columns"]] == ended.stdout.splitlines()
    places = [(Path(record["row"]).name, record["column"]) for record in data["photos"]]
    assert sorted(places) == [("a.jpg", 0), ("a.jpg", 1), ("b.jpg", 0), ("b.jpg", 1)]
    assert cv2.imread("sheet.png").shape[0] > 400, "two rows"
    again = enhance("compare", *photos, "out", "--device", "cpu", "--try", STRONG)
    assert again.exit_code == 0, again.stderr
    assert len(page_data(Path("out/gallery/index.html"))["photos"]) == 2, "what is not compared now is left out"


def test_a_list_of_times_is_a_column_each(photos, enhance) -> None:
    ended = enhance("compare", photos[0], "out", "--device", "cpu", "--try", "clode --model lite --time 0,1")
    assert ended.exit_code == 0, ended.stderr
    assert ended.stdout.splitlines() == [
        "enhance clode --time=0 --model=lite",
        "enhance clode --time=1 --model=lite",
    ]
    data = page_data(Path("out/gallery/index.html"))
    assert sorted(record["column"] for record in data["photos"]) == [0, 1]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "at least one --try"),
        (("--try", "nothing --at all"), "no method 'nothing'"),
        (("--try", ""), "no method ''"),
        (("--try", "clahe-adaptive 'x"), "quote"),
        (("--try", "clahe-adaptive in/a.jpg"), "give photos and OUT separately"),
        (("--try", "clahe-adaptive --overwrite"), "--overwrite is not a setting"),
        (("--try", "clahe-adaptive --grid x"), "--grid"),
        (("--try", "local"), "mask"),
        (("--try", GENTLE, "--sheet", "in/a.jpg"), "ends in .png"),
    ],
)
def test_what_cannot_be_tried_is_a_sentence(photos, enhance, words, sentence: str) -> None:
    ended = enhance("compare", *photos, "out", *words)
    assert ended.exit_code == 2
    assert sentence in ended.stderr
    assert not Path("out").exists()


@pytest.fixture
def report(tmp_path: Path, shoot) -> Path:
    """A report with two photos done and one failed."""
    out = shoot("a.jpg", "b.jpg", verdict="dark")
    lines = [json.loads(line) for line in (out / "enhance-report.jsonl").read_text().splitlines()]
    failed = {"status": "failed", "error": {"kind": "corrupt", "message": "c.jpg: its <b>data</b> is \x1b[31mdamaged."}}
    nothing = {"output": str(out / "c.jpg"), "written": [], "exposure": None, "ms": None, "verdict": None}
    return write_report(out, [*lines, lines[0] | failed | nothing])


def test_a_report_in_the_terminal(report, enhance) -> None:
    ended = enhance("report", "show", report)
    assert ended.exit_code == 0, ended.stderr
    for text in ("done", "failed", "clahe-adaptive", "dark", "mean luma", "0.200", "0.400", "estimate", "corrupt"):
        assert text in ended.stdout
    assert "█" in ended.stdout
    assert "\x1b" not in ended.stdout


def test_a_report_as_a_page(report, enhance, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    for _ in range(2):  # an earlier page is replaced
        assert enhance("report", "show", report.parent, "--html", page).exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert "script-src 'none'" in text
    assert "<script" not in text
    assert "&lt;b&gt;data&lt;/b&gt;" in text
    page.write_text("mine")
    assert enhance("report", "show", report, "--html", page).exit_code == 2
    assert page.read_text() == "mine"


def test_a_report_as_json(report, enhance) -> None:
    told = json.loads(enhance("report", "show", "--json", report).stdout)
    assert (told["photos"], told["statuses"], told["verdicts"]) == (3, {"done": 2, "failed": 1}, {"dark": 2})
    assert sum(told["before"]) == sum(told["after"]) == 2


def test_a_summary_of_nothing() -> None:
    assert summarise([]).photos == 0
    assert summarise(
        [("a", {"status": "done", "exposure": {"before": {"mean": 2.0}, "after": {"mean": -1.0}}})]
    ).before[-1]


def test_bars_of_a_sparkline() -> None:
    assert sparkline([0, 1, 8]) == " ▁█"
    assert sparkline([0, 0]) == "  "
    assert sparkline([]) == ""


@pytest.mark.parametrize(
    ("line", "commands"),
    [
        (
            {"method": "clode", "controls": {"time": "auto", "model": "lite"}, "plan": {"time": 2.0}},
            ["clode --time=2.8 --model=lite", "clode --time=1.43 --model=lite"],
        ),
        ({"method": "clode", "controls": {"time": 0.0}, "plan": {}}, ["clode --time=0.5", "clode --time=-0.5"]),
        (
            {"method": "retinex", "controls": {}, "plan": {}},
            ["retinex --under=1.4 --over=1.4", "retinex --under=0.71 --over=0.71"],
        ),
        (
            {"method": "clahe-adaptive", "controls": {"grid": [4, 6], "strength": 1.0}, "plan": {}},
            ["clahe-adaptive --grid=4x6 --strength=1.6", "clahe-adaptive --grid=4x6 --strength=0.62"],
        ),
        ({"method": "gone", "controls": {}, "plan": {}}, []),
    ],
)
def test_choices_to_redo_with(line, commands) -> None:
    own = [choice for choice in choices_of(line) if choice["label"] != "other method"]
    found = [choice["command"].removeprefix("enhance ") for choice in own]
    assert sorted(found[0].split()) == sorted(commands[0].split()) if commands else not found
    assert len(found) == len(commands)
    others = {choice["method"] for choice in choices_of(line)} - {line["method"]}
    assert "local" not in others, "it needs a mask"
    assert others
