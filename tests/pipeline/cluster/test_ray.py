"""Runs on two nodes of Ray on loopback: equal to a run on one machine, whoever is killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.commands import LIMIT, alive, contents, descendants, lines, until
from tests.pipeline.cluster.conftest import ROOT, workers_of

HARMED = "import sys; from tests.pipeline.cluster.harmed import main; main()"
METHOD = ("clahe-adaptive", "--clip-limit", "2", "--device", "cpu")


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Makes photos below `in`, in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)

    def make(count, *names):
        Path("in").mkdir(exist_ok=True)
        noise = np.random.default_rng(3).integers(0, 99, (60, 80, 3), np.uint8)
        for index, name in enumerate([*(f"{number:04}.jpg" for number in range(count)), *names]):
            cv2.imwrite(f"in/{name}", noise // 2 + np.uint8(index % 100))

    return make


def started(*arguments, seconds=None):
    """`enhance ARGUMENTS` under way; with `seconds` its workers are those of `harmed.py`."""
    program = ["-m", "enhance_cli"] if seconds is None else ["-c", HARMED, str(seconds)]
    command = [sys.executable, *program, *METHOD, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process):
    """Its exit code and what it said."""
    try:
        out, err = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:  # a process left behind would fail another test
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"{process.args} did not end in {LIMIT} s; it said: {out}{err}")
    return process.returncode, out, err


def same_lines(first, second):
    """The lines of two reports without times and order, and with one name for both output folders."""

    def plain(folder):
        found = []
        for line in lines(f"{folder}/enhance-report.jsonl"):
            line.pop("ms")
            for item in line["written"]:
                item.pop("modified_ns")
            line["output"] = line["output"].removeprefix(folder)
            found.append(line)
        return sorted(found, key=lambda line: line["source"])

    return plain(first) == plain(second)


def count(path="out/enhance-report.jsonl"):
    return Path(path).read_bytes().count(b"\n") if Path(path).exists() else 0


def test_two_nodes_make_what_one_machine_makes(nodes, photos):
    photos(12)
    Path("in/broken.jpg").write_bytes(b"\xff\xd8 no picture")
    assert ended(started("in", "one", "-j", "2"))[0] == 1
    code, out, err = ended(started("in", "many", "--cluster", "auto", "--json"))
    assert code == 1, err
    assert json.loads(out)["done"] == 12
    assert "2 workers on 2 machines; the first answered after" in err
    assert "ray" not in err.lower(), "Ray talks to the user"
    assert contents("one") == contents("many")
    assert same_lines("one", "many")
    assert not list(Path("many").glob(".*"))
    Path("linked").mkdir()
    Path("client").symlink_to("linked")
    code, _, err = ended(started("in", "client", "--cluster", nodes.client))
    assert code == 1, err
    assert contents("one") == contents("client")
    assert same_lines("one", "client")
    assert "ray" not in err.lower(), "Ray talks to the user"


def test_a_driver_and_a_worker_that_are_killed_lose_nothing(nodes, photos):
    photos(40)
    process = started("in", "out", "--cluster", "auto", seconds=0.1)
    until(lambda: count() >= 4)
    os.kill(random.Random(1).choice(sorted(workers_of(os.getpid()))), signal.SIGKILL)
    until(lambda: count() >= 12)
    process.kill()
    assert ended(process)[0] == -signal.SIGKILL
    assert {Path("out", line["written"][0]["path"]).name for line in lines()} >= {
        name for name in contents() if not name.startswith(".")
    }
    code, _, err = ended(started("in", "out", "--cluster", "auto"))
    assert code == 0, err
    assert ended(started("in", "one"))[0] == 0
    assert contents("out") == contents("one")
    assert not list(Path("out").glob(".*"))


def test_one_command_at_a_time_and_two_interrupts_end_it_at_once(nodes, photos):
    photos(30)
    process = started("in", "out", "--cluster", "auto", seconds=0.5)
    until(lambda: count() >= 2)
    code, _, err = ended(started("in", "out", "--cluster", "auto"))
    assert code == 4
    assert "Another run is writing out/enhance-report.jsonl" in err
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
    assert ended(process)[0] == 130
    placed = {name for name in contents() if not name.startswith(".")}
    assert placed <= {Path(line["output"]).name for line in lines()}
    assert all(cv2.imread(f"out/{name}") is not None for name in placed)
    code, _, err = ended(started("in", "out", "--cluster", "auto"))
    assert code == 0, err
    assert len(contents()) == 30
    assert not list(Path("out").glob(".*"))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_belongs_together_is_done_as_on_one_machine(nodes, photos):
    """Stacks, variants, photos that are decided on together, decisions from a file, and parts of a run."""
    photos(6)

    def enhance(*arguments):
        command = [sys.executable, "-m", "enhance_cli", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert enhance("auto", "in", "--decide", "decisions.jsonl").returncode == 0
    for name, *arguments in (
        ("stacks", "retinex", "--fuse", "3", "in"),
        ("variants", "clode", "--time", "1,2,3", "in"),
        ("together", "auto", "--together", "folder", "in"),
        ("decided", "apply", "decisions.jsonl"),
        ("part", "clahe-adaptive", "--shard", "1/2", "in"),
    ):
        for output, cluster in ((f"{name}-one", ()), (name, ("--cluster", "auto"))):
            done = enhance(*arguments, output, *cluster)
            assert done.returncode == 0, (output, done.stderr)
        assert contents(name) == contents(f"{name}-one"), name


def test_a_cluster_of_its_own_ends_with_the_run(photos):
    pytest.importorskip("ray", reason="Ray is not installed (extra `cluster`)")
    photos(30)
    before = set(Path(tempfile.gettempdir()).glob("enhance-ray-*")) | set(Path("/tmp").glob("enhance-ray-*"))
    process = started("in", "out", "--cluster", "local", "-j", "1", seconds=0.3)
    until(lambda: count() >= 2)
    children = list(descendants(process.pid))
    process.send_signal(signal.SIGINT)
    code, _, err = ended(process)
    assert code == 130
    done = len(contents())
    assert f"stopped with {done} of 30 photos done" in err
    until(lambda: not any(map(alive, children)))
    after = set(Path(tempfile.gettempdir()).glob("enhance-ray-*")) | set(Path("/tmp").glob("enhance-ray-*"))
    assert after <= before


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_three_hundred_photos_with_every_kind_of_death(nodes, photos):
    """Five workers, a node twice, the driver twice, at random moments; then once to the end."""
    photos(300)
    chance = random.Random(7)

    def pause():
        time.sleep(chance.uniform(0.3, 3.0))

    killed = []

    def kill_worker():
        until(lambda: workers_of(os.getpid()))
        victim = chance.choice(sorted(workers_of(os.getpid())))
        os.kill(victim, signal.SIGKILL)
        killed.append(victim)

    def kill_node():
        nodes.kill_second()
        pause()
        nodes.start_second()

    for round_ in range(2):
        process = started("in", "out", "--cluster", "auto", seconds=0.2)
        least = count() + 10
        until(lambda least=least: count() >= least)
        for death in chance.sample([kill_worker] * (3 if round_ else 2) + [kill_node], 4 if round_ else 3):
            pause()
            death()
        pause()
        process.kill()
        ended(process)
    assert len(set(killed)) == 5
    code, _, err = ended(started("in", "out", "--cluster", "auto", "--json"))
    assert code == 0, err
    assert ended(started("in", "one", "-j", "2"))[0] == 0
    assert contents("out") == contents("one")
    assert {line["source"] for line in lines() if line["status"] == "done"} == {
        str(path) for path in Path("in").iterdir()
    }
    assert not any(line["status"] == "failed" for line in lines())
    assert ended(started("in", "more", "--cluster", "auto"))[0] == 0
    assert contents("more") == contents("one")
    assert same_lines("more", "one")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_poisonous_photo_among_a_hundred(nodes, photos):
    photos(99, "0050-poison.jpg")
    code, _, err = ended(started("in", "out", "--cluster", "auto", seconds=0.02))
    assert code == 1, err
    (failed,) = [line for line in lines() if line["status"] == "failed"]
    assert (failed["source"], failed["error"]["kind"]) == ("in/0050-poison.jpg", "crashed")
    assert "in/0050-poison.jpg crashed 4 workers" in err
    assert failed["device"] == "cpu"
    assert len(contents()) == 99
