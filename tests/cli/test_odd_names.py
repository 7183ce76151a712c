"""Names that a terminal would obey, that are no UTF-8, that look like options or patterns; times far from now."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2
import pytest

from enhance_cli.cli.console import Console, shown
from tests.commands import contents, lines

ODD = ["\x1b]0;owned\x07\x1b[31m.jpg", "new\nline.jpg", "\x9b2J.jpg", "turned\u202egpj.exe.jpg", "\udcff\udcfe.jpg"]


@pytest.mark.parametrize("name", ODD, ids=ascii)
def test_no_message_holds_what_a_terminal_obeys(photographs, enhance, name):
    photographs(1)
    Path("in/00.jpg").rename(f"in/{name}")
    Path(f"in/broken-{name}").write_bytes(b"no image")
    runs = [enhance("--dry-run", "in", "out"), enhance("-v", "in", "out"), enhance(f"in/missing-{name}", "out")]
    runs.append(enhance("report", "merge", "--inputs", "in", "out", "joined.jsonl"))
    for ran in runs:
        said = ran.stderr + ran.stdout
        assert shown(said, kept="\n") == said
        assert name not in said
        assert shown(name) in said
    assert {line["source"] for line in lines()} == {f"in/{name}", f"in/broken-{name}"}  # JSON is exact
    assert contents().keys() == {name}


def test_tables_and_bars_are_escaped(capsys):
    console = Console()
    console.table(["picture", "psnr"], [[ODD[0], "1.0"], [ODD[1], "failed:", ODD[2]]])
    with console.progress(5) as progress:
        progress.above(ODD[0])
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert len(said.out.splitlines()) == 3


def test_what_is_plain_stays():
    for text in ("in/🌙 é ñ 日本 'q\" \\ [1].jpg", "a b"):
        assert shown(text) == text
    assert shown("\udc80\ud800\x7f\t") == "\\x80\\ud800\\x7f\\t"


def test_names_like_options_and_patterns(photographs, enhance):
    photographs(1)
    for name in ("-f.jpg", "--help.jpg", "a[1].jpg", "@list.jpg"):
        shutil.copy("in/00.jpg", name)
    assert enhance("--", "-f.jpg", "--help.jpg", "a[1].jpg", "@list.jpg", "out").exit_code == 0
    assert contents().keys() == {"-f.jpg", "--help.jpg", "a[1].jpg", "@list.jpg"}
    assert enhance("./-f.jpg", "out/alone").exit_code == 0


@pytest.mark.parametrize("options", [(), ("--isolate",)])
def test_heat_maps_of_pictures_of_one_stem(photographs, enhance, options):
    photographs(2)
    cv2.imwrite("in/00.png", cv2.imread("in/01.jpg"))
    assert enhance(*options, "--heatmap", "in", "out").exit_code == 0
    drawn = {name for name in contents() if "heatmap" in name}
    assert drawn == {"00.jpg_heatmap.png", "00.png_heatmap.png", "01_heatmap.png"}
    assert "Nothing to do" in enhance(*options, "--heatmap", "in", "out").stderr


@pytest.mark.parametrize("time", [0, -1, -86_400 * 365 * 10, 2**33])
def test_any_time_stamp(photographs, enhance, time):
    photographs(1)
    os.utime("in/00.jpg", (time, time))
    assert enhance("--preserve-times", "in", "out").exit_code == 0
    assert Path("out/00.jpg").stat().st_mtime == Path("in/00.jpg").stat().st_mtime
    assert "Nothing to do" in enhance("--preserve-times", "in", "out").stderr
