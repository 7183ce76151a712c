"""The commands of docs/cluster.md, with the variables that a scheduler sets, and a bucket."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "cluster.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def shell(s3, there, tmp_path):
    """Runs a script where `photos` and `s3://photos/in` hold the same photos."""
    programs = tmp_path / "programs"
    programs.mkdir()
    enhance = programs / "enhance"
    enhance.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m enhance_cli "$@"\n')
    enhance.chmod(0o755)
    shutil.move("in", "photos")
    shutil.copy("photos/IMG_8.jpg", "photos/a.jpg")
    s3.put_folder("photos", "in")

    def run(script: str, **variables: object) -> None:
        environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
        environment["PATH"] = f"{programs}{os.pathsep}{environment['PATH']}"
        done = subprocess.run(["sh", "-ec", script], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, script + done.stderr

    return run


def parts_of_slurm(index: int) -> dict[str, int]:
    told = {"ID": index + 1, "COUNT": 4, "MIN": 1, "MAX": 4, "STEP": 1}
    return {f"SLURM_ARRAY_TASK_{name}": value for name, value in told.items()}


def test_every_command_of_the_page_runs(s3, shell) -> None:
    one, slurm, batch, plain, merges, buckets = (block for block in blocks("sh") if "--cluster" not in block)
    (job,) = blocks("yaml")
    kubernetes = re.search(r"command: \[(.*)\]", job)[1].replace(",", " ")
    merge_files, merge_bucket = merges.splitlines()
    shell(one)
    assert len(list(Path("enhanced").rglob("*.jpg"))) == 6
    for index in range(4):
        shell(slurm, **parts_of_slurm(index))
    shell(plain)
    shell(merge_files)
    for index in range(4):
        shell(kubernetes, JOB_COMPLETION_INDEX=index)
    for index in (0, 3):
        shell(batch, AWS_BATCH_JOB_ARRAY_INDEX=index, AWS_BATCH_JOB_ARRAY_SIZE=4)
    shell(merge_bucket)
    assert len(s3.contents("out")) == 7
    shell(buckets)
    assert "better/a.jpg" in s3.keys("better/")
    assert len(list(Path("enhanced-here").rglob("*.jpg"))) == 6
