"""Buckets and a cluster of two nodes together: the same photos and lines as on one machine and a disk."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from tests import commands, pictures
from tests.pipeline.cluster.conftest import ROOT, nodes, workers_of  # noqa: F401 - a fixture
from tests.remote.server import BUCKET, SECRET, running, set_environment
from tests.remote.test_runs import timeless

HARMED = "import sys; from tests.pipeline.cluster.harmed import main; main()"
METHOD = ("clahe-adaptive", "--clip-limit", "2", "--device", "cpu")


@pytest.fixture(scope="module")
def bucket():
    """A server whose credentials are in the environment before the nodes are started, which their workers inherit."""
    pytest.importorskip("ray", reason="Ray is not installed (extra `cluster`)")
    with running() as server, pytest.MonkeyPatch.context() as patch:
        set_environment(patch, server.url)
        server.client.create_bucket(Bucket=BUCKET)
        yield server


@pytest.fixture
def s3(bucket, request, tmp_path, monkeypatch):
    request.getfixturevalue("nodes")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    return bucket


def draw(count):
    """Small photos in `in`: reduced ones of ENHANCE_BENCHMARK_DATA if that is given, else drawn ones."""
    Path("in").mkdir()
    data = os.environ.get("ENHANCE_BENCHMARK_DATA")
    found = sorted(path for path in Path(data).rglob("*") if path.suffix in (".jpg", ".png")) if data else []
    for number in range(count):
        image = cv2.imread(str(found[number * len(found) // count])) if found else pictures.night(200, 300, seed=number)
        width = 200 + number % 200
        small = cv2.resize(image, (width, max(1, image.shape[0] * width // image.shape[1])))
        cv2.imwrite(f"in/{number:04}.jpg", small)


def enhance(*arguments):
    """The command in a process of its own; its exit code and what it said."""
    command = [sys.executable, "-m", "enhance_cli", *METHOD, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert SECRET not in done.stdout + done.stderr
    return done.returncode, done.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_three_hundred_photos_are_the_same_from_everywhere_to_everywhere(s3):
    draw(300)
    s3.put_folder("in", "in")
    code, err = enhance("in", "one/out")
    assert code == 0, err
    wanted, told = commands.contents("one/out"), timeless(commands.lines("one/out/enhance-report.jsonl"))
    assert len(wanted) == len(told) == 300
    for name, source, target, cluster in (
        ("nodes", "in", "nodes/out", "auto"),
        ("local", "in", "local/out", "local"),
        ("buckets", "s3://photos/in", "s3://photos/buckets/out", "auto"),
        ("down", "s3://photos/in", "down/out", "auto"),
        ("up", "in", "s3://photos/up/out", "auto"),
    ):
        code, err = enhance(source, target, "--cluster", cluster)
        assert code == 0, (name, err)
        if "://" in target:
            found, lines = s3.contents(f"{name}/out"), s3.lines(f"{name}/out")
        else:
            found, lines = commands.contents(target), commands.lines(f"{target}/enhance-report.jsonl")
        assert found == wanted, name
        assert timeless(lines) == told, name
        sys.stdout.write(f"{name}: {err.strip().splitlines()[-1]}\n")  # with its time, for `pytest -s`


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_from_bucket_to_bucket_nothing_is_lost_by_killed_workers_and_drivers(s3):
    draw(60)
    s3.put_folder("in", "kills/in")
    assert enhance("in", "one")[0] == 0
    wanted = commands.contents("one")
    arguments = ("s3://photos/kills/in", "s3://photos/kills/out", "--cluster", "auto")
    chance = random.Random(5)
    for _ in range(2):
        command = [sys.executable, "-c", HARMED, "0.3", *METHOD, *arguments]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        least = len(s3.contents("kills/out")) + 6
        commands.until(lambda least=least: len(s3.contents("kills/out")) >= least)
        os.kill(chance.choice(sorted(workers_of(os.getpid()))), signal.SIGKILL)
        commands.until(lambda least=least: len(s3.contents("kills/out")) >= least + 6)
        process.kill()
        process.wait()
        found = s3.contents("kills/out")
        assert found.items() <= wanted.items(), "something is not whole"
        assert {Path(line["output"]).name for line in s3.lines("kills/out")} >= set(found), "a photo without a line"
    code, err = enhance(*arguments)
    assert code == 0, err
    assert s3.contents("kills/out") == wanted
    lines = [line for line in s3.lines("kills/out") if line["status"] == "done"]
    assert {line["source"] for line in lines} == {f"s3://photos/kills/in/{name}" for name in wanted}
    sys.stdout.write(f"{len(lines)} lines for 60 photos\n")
    code, err = enhance(*arguments)
    assert (code, "Nothing to do: 60 photos done" in err) == (0, True)
