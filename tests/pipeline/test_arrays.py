"""The part of a split run, as job arrays say it in the environment."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from enhance_cli.cli.app import build
from enhance_cli.pipeline.arrays import parse
from enhance_cli.pipeline.shards import Shard


def slurm(**values: int) -> dict[str, str]:
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("value", "environment", "part"),
    [
        ("2/3", {"ENHANCE_SHARD": "1/3"}, "2/3"),  # what is typed asks nobody
        ("auto", {"ENHANCE_SHARD": "2/3"}, "2/3"),
        ("auto", {"ENHANCE_SHARD": "2/3", "ENHANCE_SHARD_FIRST": "0"}, "3/3"),
        ("auto", slurm(ID=0, COUNT=4, MIN=0, MAX=3, STEP=1), "1/4"),
        ("auto", slurm(ID=4, COUNT=4, MIN=1, MAX=4, STEP=1), "4/4"),
        ("auto", slurm(ID=30, COUNT=3, MIN=10, MAX=30, STEP=10), "3/3"),
        ("auto", slurm(ID=7, COUNT=4, MIN=1, MAX=8, STEP=2), "4/4"),
        ("auto", slurm(ID=2, COUNT=4, MIN=1), "2/4"),
        ("auto", slurm(ID=2, MIN=0, MAX=4), "3/5"),
        ("auto/6", slurm(ID=2, MIN=0), "3/6"),
        ("auto/8", {"JOB_COMPLETION_INDEX": "0"}, "1/8"),
        ("auto", {"JOB_COMPLETION_INDEX": "7", "ENHANCE_SHARDS": "8"}, "8/8"),
        ("auto", {"AWS_BATCH_JOB_ARRAY_INDEX": "1", "AWS_BATCH_JOB_ARRAY_SIZE": "2"}, "2/2"),
        (" auto/2 ", {"AWS_BATCH_JOB_ARRAY_INDEX": "1"}, "2/2"),
        ("auto/2", {"JOB_COMPLETION_INDEX": "1", "ENHANCE_SHARD": "2/2"}, "2/2"),  # two that agree
    ],
)
def test_the_part_that_the_environment_says(value: str, environment: dict[str, str], part: str) -> None:
    assert str(parse(value, environment)) == part


@pytest.mark.parametrize(
    ("value", "environment", "said"),
    [
        ("auto", {}, "auto found no part: set one of SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX"),
        ("auto/3", {"ENHANCE_SHARDS": "3"}, "auto found no part"),
        ("auto", {"JOB_COMPLETION_INDEX": "0"}, "JOB_COMPLETION_INDEX=0 no number of parts; give auto/N"),
        ("auto/3", {"JOB_COMPLETION_INDEX": "3"}, "JOB_COMPLETION_INDEX=3 is not one of the 3 parts that auto/3"),
        ("auto/3", {"JOB_COMPLETION_INDEX": "0", "ENHANCE_SHARDS": "4"}, "auto/3 and ENHANCE_SHARDS=4 contradict"),
        ("auto/3", {"ENHANCE_SHARD": "1/4"}, "auto/3 and ENHANCE_SHARD=1/4 contradict each other: 3 parts or 4"),
        (
            "auto/4",
            {"JOB_COMPLETION_INDEX": "1", **slurm(ID=4, COUNT=4, MIN=1)},
            "SLURM_ARRAY_TASK_ID=4 and SLURM_ARRAY_TASK_COUNT=4 and SLURM_ARRAY_TASK_MIN=1 and "
            "JOB_COMPLETION_INDEX=1 contradict each other: part 4 or 2",
        ),
        ("auto", slurm(ID=3, COUNT=3, MIN=1, MAX=7), "the array has gaps"),
        ("auto", slurm(ID=4, COUNT=4, MIN=1, MAX=8, STEP=2), "between two steps"),
        ("auto", slurm(ID=4, COUNT=4), "SLURM_ARRAY_TASK_MIN is not"),
        ("auto", slurm(ID=9, COUNT=4, MIN=1), "is not one of the 4 parts"),
        ("auto", slurm(ID=0, COUNT=4, MIN=1), "is not one of the 4 parts"),
        ("auto", {"ENHANCE_SHARD": "4/3"}, "ENHANCE_SHARD=4/3 is not one of the 3 parts"),
        ("auto", {"ENHANCE_SHARD": "0/3"}, "ENHANCE_SHARD=0/3 is not one of the 3 parts"),
        ("auto", {"ENHANCE_SHARD": "one"}, "ENHANCE_SHARD is I/N"),
        ("auto", {"ENHANCE_SHARD": "1/3", "ENHANCE_SHARD_FIRST": "2"}, "ENHANCE_SHARD_FIRST is 0 or 1"),
        ("auto/2", {"JOB_COMPLETION_INDEX": "-1"}, "JOB_COMPLETION_INDEX is a number, not '-1'"),
        ("auto/0", {"JOB_COMPLETION_INDEX": "0"}, "is not one of the 0 parts"),
        ("automatic", {}, "a shard is I/N"),
    ],
)
def test_what_says_no_part(value: str, environment: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=r"[a-zA-Z]") as caught:
        parse(value, environment)
    assert said in str(caught.value)


def test_a_run_takes_its_part_from_the_environment(tmp_path, monkeypatch, night) -> None:
    import cv2

    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for number in range(5):
        cv2.imwrite(f"in/{number}.png", night)
    runner = CliRunner()
    for index in range(2):
        environment = {"JOB_COMPLETION_INDEX": str(index), "ENHANCE_SHARDS": "2"}
        done = runner.invoke(
            build(), ["clahe-adaptive", "--clip-limit", "2", "--shard", "auto", "in", "out"], env=environment
        )
        assert done.exit_code == 0, done.output
        assert (tmp_path / "out" / f"enhance-report.{index + 1}-of-2.jsonl").exists()
    assert len(list((tmp_path / "out").glob("*.png"))) == 5
    done = runner.invoke(build(), ["report", "merge", "-i", "in", "out", "out/enhance-report.jsonl"])
    assert done.exit_code == 0, done.output
    refused = runner.invoke(build(), ["clahe-adaptive", "--shard", "auto", "in", "out"])
    assert (refused.exit_code, "auto found no part" in refused.output) == (2, True)


def test_a_part_is_itself() -> None:
    assert parse(Shard(1, 2)) == Shard(1, 2)
