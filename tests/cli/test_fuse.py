"""Stacks of exposures in the stream: restarts, children, parts, plans and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import jsonschema
import pytest
from typer.testing import CliRunner

from enhance_cli.cli.app import build
from tests.commands import contents, lines, pixels
from tests.pictures import scene

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text())


@pytest.fixture
def brackets(tmp_path, monkeypatch):
    """in/0_a.png, in/0_b.png, in/1_a.png ... : two exposures of each of some scenes."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()

    def make(count):
        for number in range(count):
            picture = scene(48, 64, seed=number)
            cv2.imwrite(f"in/{number}_a.png", picture // 2)
            cv2.imwrite(f"in/{number}_b.png", picture)

    return make


@pytest.fixture
def fuse():
    """Run `enhance retinex --fuse 2`, without the restoration, in this process."""
    application, runner = build(), CliRunner()

    def run(*arguments, rule="2"):
        words = ["retinex", "--fuse", rule, "--denoise", "0", "--device", "cpu", *map(str, arguments)]
        return runner.invoke(application, words)

    return run


def test_a_changed_frame_makes_its_stack_anew(brackets, fuse):
    brackets(2)
    first = fuse("in", "out")
    assert first.exit_code == 0, first.stderr
    before = contents()
    assert sorted(before) == ["0_a.png", "1_a.png"]
    assert "Nothing to do: 2 photos done by an earlier run and unchanged." in fuse("in", "out").stderr
    cv2.imwrite("in/1_b.png", scene(48, 64, seed=7) // 3)
    planned = fuse("--dry-run", "--json", "in", "out")
    assert "would enhance in/1_a.png, in/1_b.png -> out/1_a.png" in planned.stderr
    assert json.loads(planned.stdout)["jobs"] == [
        {"source": "in/1_a.png", "frames": ["in/1_b.png"], "output": "out/1_a.png"}
    ]
    again = fuse("in", "out")
    assert "1 photo enhanced, 1 done already" in again.stderr
    after = contents()
    assert after["0_a.png"] == before["0_a.png"]
    assert after["1_a.png"] != before["1_a.png"]
    last = lines()[-1]
    assert (last["source"], last["frames"]) == ("in/1_a.png", ["in/1_b.png"])
    assert [item["path"] for item in last["read"]] == ["in/1_a.png", "in/1_b.png"]
    for line in lines():
        jsonschema.validate(line, SCHEMA)


def test_frames_are_told_by_their_hash_too(brackets, fuse):
    brackets(1)
    assert fuse("--check", "hash", "in", "out").exit_code == 0
    Path("in/0_b.png").touch()
    assert "Nothing to do" in fuse("--check", "hash", "in", "out").stderr
    cv2.imwrite("in/0_b.png", scene(48, 64, seed=7))
    assert "1 photo enhanced" in fuse("--check", "hash", "in", "out").stderr


def test_a_child_gets_the_frames(brackets, fuse):
    brackets(1)
    assert fuse("in", "here").exit_code == 0
    found = fuse("--isolate", "in", "there")
    assert found.exit_code == 0, found.stderr
    assert contents("there") == contents("here")


def test_parts_hold_whole_stacks_and_join_without_gaps(brackets, fuse):
    brackets(6)
    for part in ("1/2", "2/2"):
        assert fuse("--shard", part, "in", "out").exit_code == 0
    stacks = [(line["source"], line["frames"]) for line in lines("out/enhance-report.1-of-2.jsonl")]
    others = [(line["source"], line["frames"]) for line in lines("out/enhance-report.2-of-2.jsonl")]
    assert stacks
    assert others
    assert sorted(stacks + others) == [(f"in/{number}_a.png", [f"in/{number}_b.png"]) for number in range(6)]
    joined = CliRunner().invoke(build(), ["report", "merge", "--inputs", "in", "out", "out/all.jsonl"])
    assert joined.exit_code == 0, joined.stderr


def test_a_plan_fits_as_many_exposures_as_it_was_made_for(brackets, fuse):
    brackets(1)
    assert fuse("--save-plans", "plans", "in", "out").exit_code == 0
    plan = "plans/0_a.png.plan.npz"
    replayed = fuse("--plan", plan, "in", "again")
    assert replayed.exit_code == 0, replayed.stderr
    assert pixels("again") == pixels("out")
    alone = CliRunner().invoke(build(), ["retinex", "--device", "cpu", "--plan", plan, "in/0_a.png", "alone"])
    assert alone.exit_code == 6  # all of them
    assert "in/0_a.png is made of 1 exposure, and the plan was made for 2 exposures" in alone.stderr


@pytest.mark.parametrize("shape", [(48, 65), (24, 64)])
def test_frames_of_another_size_fail_in_a_line_that_names_them(brackets, fuse, shape):
    brackets(1)
    cv2.imwrite("in/1_a.png", scene(48, 64))
    cv2.imwrite("in/1_b.png", scene(*shape))
    assert fuse("in", "out").exit_code == 1
    failed = next(line for line in lines() if line["status"] == "failed")
    assert (failed["source"], failed["frames"]) == ("in/1_a.png", ["in/1_b.png"])
    assert f"in/1_b.png is {shape[1]}x{shape[0]}" in failed["error"]["message"]
    assert sorted(contents()) == ["0_a.png"]


def test_room_is_taken_for_every_frame(brackets, tmp_path):
    from enhance_cli.engines import open_engine
    from enhance_cli.methods import get, open_enhancer
    from enhance_cli.pipeline.files import Coding
    from enhance_cli.pipeline.process import process
    from enhance_cli.pipeline.recipe import Recipe
    from enhance_cli.types import Job

    brackets(1)
    method, engine = get("retinex"), open_engine("cpu", threads=1)
    recipe = Recipe(engine, open_enhancer(method, engine), method.controls(fuse="all", denoise=0.0))
    asked: list[int] = []
    job = Job(0, Path("in/0_a.png"), tmp_path / "0.png", (Path("in/0_b.png"), Path("in/0_b.png")))
    list(process(job, recipe, Coding(), asked.append, lambda line: None))
    assert asked == [48 * 64 * (3 * 3 + 5)]  # RGB of each frame, and what their decoder holds beside


def test_in_place_is_refused(brackets, fuse):
    brackets(1)
    refused = fuse("--in-place", "in")
    assert refused.exit_code == 2
    assert "--in-place replaces each photo, and --fuse makes one of several: give an OUTPUT." in refused.stderr


def test_one_file_of_a_folder_may_not_lie_in_it(brackets, fuse):
    brackets(1)
    refused = fuse("in", "in/fused.png", rule="all")
    assert refused.exit_code == 2
    assert "would be in the INPUT in" in refused.stderr
    assert fuse("in", "fused.png", rule="all").exit_code == 0
    assert "Nothing to do" in fuse("in", "fused.png", rule="all").stderr
