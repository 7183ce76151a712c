"""Companion files of a photo are found by its path first, and by its bare name only if that is unique."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

from enhance_cli.cli.app import build
from enhance_cli.errors import UsageError
from enhance_cli.methods.clahe_adaptive import ClipMap
from enhance_cli.methods.clode import ClodeControls
from enhance_cli.methods.local import LocalControls
from enhance_cli.pipeline.scan import scan
from enhance_cli.types import SourceName
from tests.commands import contents, pixels
from tests.pictures import scene


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Make empty files by their names; the working folder is theirs."""
    monkeypatch.chdir(tmp_path)

    def make(*names):
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).touch()

    return make


def found(*arguments, masks="masks", **options):
    """The mask of every source of a run; its sentence where there is none."""
    controls = LocalControls(mask=masks)
    told = {}
    for job in scan([*arguments, "out"], names=controls.looks_for_names, recursive=True, **options).jobs:
        try:
            told[str(job.source)] = str(controls.companions(job.name)["mask"])
        except UsageError as error:
            told[str(job.source)] = str(error)
    return told


def test_a_tree_beside_a_tree(files):
    files("in/a.jpg", "in/day1/a.jpg", "in/day2/a.jpg", "masks/a.png", "masks/day1/a.png", "masks/day2/a.png")
    expected = {"in/a.jpg": "masks/a.png"} | {f"in/day{n}/a.jpg": f"masks/day{n}/a.png" for n in (1, 2)}
    assert found("in") == expected
    assert found(str(Path("in").resolve()), masks=Path("masks").resolve()) == {
        str(Path(source).resolve()): str(Path(mask).resolve()) for source, mask in expected.items()
    }
    # A part of the tree, and photos that are named themselves.
    assert found("in/day2") == {"in/day2/a.jpg": "masks/a.png"}
    assert found("in/day2/a.jpg") == {"in/day2/a.jpg": "masks/day2/a.png"}


def test_a_bare_name_where_it_is_the_only_one(files):
    files("in/day1/a.jpg", "in/day2/b.jpg", "masks/a.png", "masks/more/b.png")
    assert found("in") == {"in/day1/a.jpg": "masks/a.png", "in/day2/b.jpg": "masks/more/b.png"}


def test_a_bare_name_of_two_photographs_is_refused_with_both(files):
    files("in/day1/a.jpg", "in/day2/a.jpg", "masks/a.png")
    told = found("in")
    for source in told:
        assert "a.png in masks could belong to" in told[source]
        assert "in/day1/a.jpg" in told[source]
        assert "in/day2/a.jpg" in told[source]


def test_a_bare_name_of_two_masks_is_refused_with_both(files):
    files("in/a.jpg", "masks/x/a.png", "masks/y/a.png")
    assert "several: x/a.png, y/a.png named a" in found("in")["in/a.jpg"]


def test_what_lies_deeper_gets_no_mask_of_another(files):
    files("in/day1/a.jpg", "in/deep/day1/a.jpg", "masks/day1/a.png")
    told = found("in")
    assert told["in/day1/a.jpg"] == "masks/day1/a.png"
    assert "could belong to" in told["in/deep/day1/a.jpg"]


def test_two_suffixes_in_one_folder_are_one_photograph(files):
    files("in/a.jpg", "in/a.dng", "masks/a.png")
    assert found("in", format=None) == {"in/a.dng": "masks/a.png", "in/a.jpg": "masks/a.png"}


def test_two_inputs_in_place_do_not_share_a_mask(files):
    files("one/a.jpg", "two/a.jpg", "masks/a.png")
    controls = LocalControls(mask="masks")
    for arguments in (["one", "two"], ["one/a.jpg", "two/a.jpg"]):
        for job in scan(arguments, in_place=True, names=True).jobs:
            with pytest.raises(UsageError, match=r"one/a\.jpg.*two/a\.jpg|two/a\.jpg.*one/a\.jpg"):
                controls.companions(job.name)
    files("masks/one/a.png", "masks/two/a.png")
    controls = LocalControls(mask="masks")
    chosen = [
        str(controls.companions(job.name)["mask"]) for job in scan(["one", "two"], in_place=True, names=True).jobs
    ]
    assert chosen == ["masks/one/a.png", "masks/two/a.png"]


def test_a_part_of_a_run_knows_the_names_of_the_whole(files):
    from enhance_cli.pipeline.shards import Shard

    files("in/day1/a.jpg", "in/day2/a.jpg", "masks/a.png")
    told = {}
    for number in range(1, 9):
        told |= found("in", shard=Shard(number, 8))
    assert len(told) == 2
    assert all("could belong to" in text for text in told.values())


def test_references_are_found_alike(files):
    files("in/day1/a.jpg", "refs/day1/a.png", "refs/day2/a.png")
    controls = ClodeControls(time="best", reference="refs")
    (job,) = scan(["in", "out"], recursive=True, names=True).jobs
    assert controls.companions(job.name) == {"reference": Path("refs/day1/a.png")}


# --- replaying a report --------------------------------------------------------------------------------------


def clahe(*arguments):
    """clahe-adaptive without a fixed limit, so that every photo has limits of its own."""
    return CliRunner().invoke(build(), ["clahe-adaptive", "--device", "cpu", "-r", *map(str, arguments)])


@pytest.fixture
def run(photographs):
    """`clahe` over three photos, each another one, which succeeds."""
    for folder, seed in (("in", 0), ("in/day1", 1), ("in/day2", 2)):
        Path(folder).mkdir(exist_ok=True)
        cv2.imwrite(f"{folder}/a.png", (scene(seed=seed) // (seed + 1)))

    def go(*arguments):
        result = clahe(*arguments)
        assert result.exit_code == 0, result.stderr
        return result

    return go


def test_ones_own_report_gives_the_same_pictures_from_anywhere(run, tmp_path, monkeypatch):
    run("--strength", "3", "in", "out")
    run("--strength", "0.5", "--overwrite", "in", "out")  # the last line of every source holds
    expected = pixels("out")
    assert len(set(expected.values())) == 3
    report = tmp_path / "out" / "enhance-report.jsonl"
    run("--clip-map", report, "in", "again")
    assert pixels("again") == expected
    run("--clip-map", report, tmp_path / "in", "absolute")
    assert pixels("absolute") == expected
    run("--clip-map", report, "in/day2/a.png", "one")
    assert pixels("one")["a.png"] == expected["day2/a.png"]
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    run("--clip-map", report, "../in", "out")
    assert pixels("out") == expected
    monkeypatch.chdir(tmp_path / "in")
    run("--clip-map", report, ".", "../there")
    assert pixels("../there") == expected
    (tmp_path / "in").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    run("--clip-map", report, "moved", "after")
    assert pixels("after") == expected


def test_a_line_that_could_be_of_two_pictures_is_refused_with_both(tmp_path):
    report = tmp_path / "r.jsonl"
    report.write_text(
        "".join(json.dumps({"source": name, "clip_limits": [[2.0]]}) + "\n" for name in ("x/a.jpg", "y/a.jpg"))
    )
    with pytest.raises(ValueError, match=r"does not tell x/a\.jpg from y/a\.jpg for z/a\.jpg"):
        ClipMap.parse(report).for_source(SourceName("z/a.jpg"))
    assert ClipMap.parse(report).for_source(SourceName("/else/y/a.jpg")) == ((2.0,),)


def test_a_report_of_one_line_serves_its_own_photo_alone(photographs):
    photographs(2)
    Path("r.jsonl").write_text('{"source": "in/00.jpg", "clip_limits": [[2.0]]}\n')
    refused = clahe("--clip-map", "r.jsonl", "in/01.jpg", "other")
    assert refused.exit_code == 6
    assert "the clip map r.jsonl has no line for in/01.jpg, only for in/00.jpg" in refused.stderr
    assert not contents("other")
    assert clahe("--clip-map", "r.jsonl", "in/00.jpg", "its own").exit_code == 0
    Path("matrix.json").write_text("[[2.0]]")
    assert clahe("--clip-map", "matrix.json", "in/01.jpg", "any").exit_code == 0


@pytest.mark.parametrize(("line", "photo"), [("a.jpg", ""), ("a.jpg", "-"), ("-", "b.jpg"), ("", "b.jpg")])
def test_the_only_limits_serve_where_there_is_no_name_to_compare(tmp_path, line, photo):
    report = tmp_path / "r.jsonl"
    report.write_text(json.dumps({"source": line, "clip_limits": [[2.0]]}))
    assert ClipMap.parse(report).for_source(SourceName(photo)) == ((2.0,),)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000, "9" * 5000, "[[" + "9" * 400 + "]]", "[[1e999]]", "7", '"x"', "null", '{"plan": 5}', "\xff\xfe",
        "",
        '{"plan": {"clip_limits": 5}}', '{"source": 5, "clip_limits": [[1]]}', '{"clip_limits": {"a": [1]}}',
        "[[true, {}]]",
        '{"clip_limits": [[1.0]]}\nnot JSON\n{"clip_limits": [[1.0]]}\n',
    ],
)  # fmt: skip
def test_what_is_no_clip_map_is_a_sentence(photographs, enhance, text):
    photographs(1)
    Path("map").write_bytes(text.encode("latin-1"))
    result = enhance("--clip-map", "map", "in", "out")
    assert result.exit_code == 2, result.stderr
    assert "map" in result.stderr


def test_a_report_whose_last_line_was_cut_off_still_serves(tmp_path):
    report = tmp_path / "r.jsonl"
    report.write_text('{"source": "a.jpg", "clip_limits": [[2.0]]}\n{"source": "b.jpg", "clip_limits": [[3.0]]}\n{"sou')
    assert ClipMap.parse(report).for_source(SourceName("in/b.jpg")) == ((3.0,),)
