"""Building: previews once for every state of a file, nothing that is not ours touched, and any report survived."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from enhance_cli.errors import OutputError, UsageError
from enhance_cli.gallery import page, photos
from enhance_cli.gallery.build import build
from enhance_cli.gallery.previews import Previews
from enhance_cli.imaging.previews import preview, reduced
from enhance_cli.pipeline.scan import scan
from tests.gallery.conftest import a_line, jpeg, page_data, records, write_report
from tests.pictures import gradient

HOSTILE = '\'><img src=x onerror=alert(1)> & 100% #1 "q" \U0001f600\nnew.jpg'
SCRIPT = "</script><script>alert(1)</script><!--"


def previews_in(folder: Path) -> set[str]:
    return {path.name for path in (folder / "gallery" / "previews").iterdir()}


def test_a_page_with_previews_of_both_sides(shoot) -> None:
    out = shoot("a.jpg", "b.jpg")
    built = build(out)
    assert (built.photos, built.made, built.missing) == (2, 2, 0)
    record = records(built)["a.jpg"]
    for side in ("before", "after", "thumbnail"):
        assert (built.page.parent / record[side]).read_bytes().startswith(b"\xff\xd8\xff")
    assert record["before"] != record["after"]
    assert record["change"] > 0.1
    assert len(record["histogram"]["before"]) == 64
    assert record["clipped"] == pytest.approx(0.01)
    assert record["state"]["modified_ns"] == str((out / "a.jpg").stat().st_mtime_ns)
    assert "enhance clahe-adaptive --strength=1.6" in [choice["command"] for choice in record["redo"]]


def test_previews_have_a_long_side_of_1280(tmp_path: Path) -> None:
    for height, width in ((3000, 4000), (2000, 1000)):
        data = simplejpeg.encode_jpeg(np.full((height, width, 3), 90, np.uint8), 80)
        small = preview(data, 1280)
        assert max(small.pixels.shape) == 1280
        assert (small.height, small.width) == (height, width)
        assert abs(int(small.pixels.mean()) - 90) <= 1
    assert reduced(gradient(96, 128), 1280).shape == (96, 128, 3)


@pytest.mark.timeout(30)
def test_a_source_that_is_a_pipe_is_not_opened(shoot) -> None:
    """Such a photo fails in a run; its gallery would wait forever for a writer, or read a device without end."""
    out = shoot("a.jpg")
    source = out.parent / "in" / "a.jpg"
    source.unlink()
    os.mkfifo(source)
    assert records(build(out))["a.jpg"]["missing"] == {
        "source": f"The source {source} cannot be read: it is not a regular file."
    }


def test_building_again_makes_only_what_is_new(shoot, tmp_path: Path) -> None:
    out = shoot("a.jpg", "b.jpg")
    build(out)
    before = previews_in(out)
    assert build(out).made == 0
    report = out / "enhance-report.jsonl"
    source = jpeg(tmp_path / "in" / "c.jpg", gradient())
    with report.open("a") as file:
        file.write(json.dumps(a_line(source, jpeg(out / "c.jpg", gradient()), out)) + "\n")
    assert build(out).made == 1
    assert before < previews_in(out)


def test_a_build_that_was_stopped_goes_on(shoot, monkeypatch: pytest.MonkeyPatch) -> None:
    out = shoot(*(f"{number}.jpg" for number in range(6)))
    real, made = Previews._made, []

    def stops(self, photo, states):
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(photo.key)
        return real(self, photo, states)

    with monkeypatch.context() as patch:
        patch.setattr(Previews, "_made", stops)
        with pytest.raises(KeyboardInterrupt):
            build(out, jobs=1)
    assert not (out / "gallery" / "index.html").exists()
    with (out / "gallery" / "measured.jsonl").open("a") as file:
        file.write('{"of": "half a li')  # killed while it was written
    built = build(out)
    assert (built.photos, built.made) == (6, 3)


def test_what_no_photo_needs_any_more_is_removed(shoot) -> None:
    out = shoot("a.jpg")
    first = records(build(out))["a.jpg"]
    jpeg(out / "a.jpg", gradient(96, 128)[::-1])
    second = records(build(out))["a.jpg"]
    assert first["before"] == second["before"]
    assert first["after"] != second["after"]
    assert Path(first["after"]).name not in previews_in(out)


def test_originals_are_not_copied(shoot) -> None:
    out = shoot("a.jpg")
    build(out)
    files = [path.read_bytes() for path in (out / "gallery").rglob("*.jpg")]
    assert (out.parent / "in" / "a.jpg").read_bytes() not in files
    assert (out / "a.jpg").read_bytes() not in files


def test_the_last_line_of_an_output_holds(shoot) -> None:
    out = shoot("a.jpg")
    line = json.loads((out / "enhance-report.jsonl").read_text())
    write_report(out, [line, line | {"method": "clode"}, line | {"status": "skipped", "method": "irle"}])
    assert records(build(out))["a.jpg"]["method"] == "clode"


def test_missing_files_are_sentences(shoot) -> None:
    out = shoot("a.jpg", "b.jpg", "c.jpg")
    (out / "a.jpg").unlink()
    (out.parent / "in" / "b.jpg").unlink()
    (out / "c.jpg").write_bytes(b"\xff\xd8\xff cut off")
    built = build(out)
    assert built.missing == 3
    found = records(built)
    assert found["a.jpg"]["missing"] == {"output": f"The output is not there: {out / 'a.jpg'}"}
    assert found["b.jpg"]["missing"] == {"source": f"The source is not there: {out.parent / 'in' / 'b.jpg'}"}
    assert "cannot be decoded" in found["c.jpg"]["missing"]["output"]
    assert found["a.jpg"]["thumbnail"], "the original is shown instead"


def test_a_gallery_replaces_nothing_else(shoot) -> None:
    out = shoot("a.jpg")
    (out / "gallery").mkdir()
    (out / "gallery" / "mine.jpg").write_bytes(b"mine")
    with pytest.raises(UsageError, match="left alone; name another with --to"):
        build(out)
    assert [path.name for path in (out / "gallery").iterdir()] == ["mine.jpg"]
    assert build(out, out.parent / "elsewhere").page == out.parent / "elsewhere" / "index.html"


def test_two_builds_at_once_are_one_too_many(shoot) -> None:
    out = shoot("a.jpg")
    build(out)
    with Previews(out / "gallery"), pytest.raises(OutputError, match="Another build"):
        build(out)


def test_a_later_run_does_not_take_previews_for_photos(shoot, tmp_path: Path) -> None:
    out = shoot("a.jpg")
    build(out)
    found = scan([str(out), str(tmp_path / "again")], recursive=True)
    assert [job.source.name for job in found.jobs] == ["a.jpg"]


@pytest.mark.parametrize("place", ["nothing", "in", "in/a.jpg"])
def test_what_is_no_report_is_refused(shoot, place: str) -> None:
    shoot("a.jpg")
    with pytest.raises(UsageError, match="OUTPUT folder of a run"):
        build(shoot("a.jpg").parent / place)


def test_names_and_notes_cannot_leave_their_places(shoot) -> None:
    out = shoot(HOSTILE, notes=[SCRIPT, HOSTILE], verdict=SCRIPT, method=SCRIPT, reason=SCRIPT)
    built = build(out)
    text = built.page.read_text(encoding="utf-8")
    assert text.count("<script") == text.count("</script>") == 2, "the data and the script of the page"
    assert "<img src=x" not in text
    assert "onerror=" not in re.sub(r'<script type="application/json".*?</script>', "", text, flags=re.DOTALL)
    record = records(built)[HOSTILE]
    assert record["notes"] == [SCRIPT, HOSTILE]
    assert record["outputFile"].startswith("../%27%3E%3Cimg%20src%3Dx")
    assert "\n" not in record["outputFile"]
    assert "%0A" in record["outputFile"]


def test_the_policy_forbids_what_the_page_does_not_hold(shoot) -> None:
    text = build(shoot("a.jpg")).page.read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert not re.findall(r"<[^>]+\s(?:on\w+|style)=", text), "no handlers and no styles in tags"
    assert not re.findall(r'(?:src|href)="(?!#|\./|\.\./)', text), "nothing is loaded but previews"


@pytest.mark.parametrize(
    "changes",
    [
        {"method": 7, "controls": [], "notes": {"a": 1}, "exposure": 3, "ms": [1], "plan": "x", "size": [1]},
        {"exposure": {"before": {"mean": float("nan")}, "after": {"mean": 1e400}}, "ms": {"decode": 10**400}},
        {"controls": {"grid": [[1] * 300] * 300, "time": {"a": 1}, "strength": float("inf")}, "method": "clode"},
        {"written": [{"path": "\ud800.jpg"}, {"path": "a\0b_map.png"}], "source": "\udcff\ud800\0"},
        {"written": [{"path": "x" * 5000, "bytes": -1, "modified_ns": "soon"}], "certainty": "very", "verdict": []},
        {"status": "failed", "error": {"kind": 3, "message": None}, "written": [], "output": "a\0b"},
        {"review": "no", "frames": ["a"] * 1000, "settings": 5, "read": [3], "size": [float("nan"), 2]},
    ],
)
def test_any_report_line_makes_a_page(shoot, changes) -> None:
    out = shoot("a.jpg")
    line = json.loads((out / "enhance-report.jsonl").read_text())
    report = write_report(out, [line | changes, line | {"source": 3}, line])
    report.write_bytes(report.read_bytes() + b'\xff not JSON\n[]\n{"schema":')
    assert "a.jpg" in records(build(out))


def test_bytes_that_are_not_utf_8_stay_what_they_are(shoot) -> None:
    out = shoot("\udce9t\udce9.jpg")
    record = records(build(out))["\udce9t\udce9.jpg"]
    assert record["outputFile"] == "../%E9t%E9.jpg"
    assert record["after"]


def test_a_relative_source_is_found_from_where_the_report_is(shoot, tmp_path: Path, monkeypatch) -> None:
    out = shoot("a.jpg")
    line = json.loads((out / "enhance-report.jsonl").read_text())
    write_report(out, [line | {"source": "in/a.jpg"}])
    monkeypatch.chdir("/")
    (photo,) = photos.read([out / "enhance-report.jsonl"])
    assert photo.source == tmp_path / "in" / "a.jpg"


def test_the_command_says_what_to_open(shoot, enhance) -> None:
    out = shoot("a.jpg")
    ended = enhance("gallery", "--json", out)
    assert ended.exit_code == 0
    assert json.loads(ended.stdout) == {
        "schema": "enhance-gallery/1",
        "page": str(out / "gallery" / "index.html"),
        "photos": 1,
        "made": 1,
        "missing": 0,
    }
    assert "1 photo. Open" in ended.stderr
    assert enhance("gallery", out / "nowhere").exit_code == 2


def test_a_run_ends_with_its_gallery(tmp_path: Path, enhance) -> None:
    jpeg(tmp_path / "in" / "a.jpg", gradient())
    quick = ("clahe-adaptive", "--clip-limit", "2", "--device", "cpu", "--heatmap", "--gallery")
    ended = enhance(*quick, tmp_path / "in", tmp_path / "out")
    assert ended.exit_code == 0, ended.stderr
    record = records(tmp_path / "out" / "gallery" / "index.html")["a.jpg"]
    assert [name for name, _ in record["maps"]] == ["heatmap"]
    refused = enhance(*quick, "--report", "none", tmp_path / "in", tmp_path / "out")
    assert refused.exit_code == 2
    assert "--gallery" in refused.stderr


def test_without_jinja_a_sentence_says_what_to_install(shoot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install jinja2"):
        build(shoot("a.jpg"))


def test_the_page_knows_where_it_belongs(shoot) -> None:
    out = shoot("a.jpg")
    data = page_data(build(out))
    assert data["folder"] == str(out)
    assert data["reports"] == [str(out / "enhance-report.jsonl")]
