"""Stopping a run: what is in place has its line, and the exit code says how it ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from enhance_cli.cli.failures import Terminated
from enhance_cli.cli.signals import terminable


@pytest.mark.parametrize("further", [[], ["--isolate"]], ids=["threads", "isolate"])
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_keeps_its_books(tmp_path, sent, code, further):
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    picture = np.random.default_rng(0).integers(0, 255, (1500, 2000, 3), dtype=np.uint8)
    cv2.imwrite(str(source / "0.png"), picture)
    for index in range(1, 60):
        (source / f"{index}.png").hardlink_to(source / "0.png")
    running = subprocess.Popen(
        [sys.executable, "-m", "enhance_cli", "clahe-adaptive", *further, str(source), str(target)],
        stderr=subprocess.PIPE,
    )
    report = target / "enhance-report.jsonl"
    waited = time.monotonic() + 60
    while not (report.exists() and report.stat().st_size) and time.monotonic() < waited:
        time.sleep(0.02)
    running.send_signal(sent)
    _, said = running.communicate(timeout=60)
    assert running.returncode == code, said
    assert b"Traceback" not in said
    recorded = sorted(Path(json.loads(line)["output"]).name for line in report.read_text().splitlines())
    assert recorded == sorted(path.name for path in target.glob("*.png"))
    assert 0 < len(recorded) < 60
    assert f"stopped with {len(recorded)} of 60 photographs done" in said.decode()
    assert not list(target.glob(".enhance-*"))


def _seconds_of(process: int) -> float:
    """Processor time of a process and its children, so that a busy machine makes no difference."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        threads = Path(f"/proc/{process}/task").iterdir()  # each has the children that it started
        children = [child for thread in threads for child in (thread / "children").read_text().split()]
    except OSError:
        return 0.0
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(_seconds_of(int(child)) for child in children)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """25 megapixels, many seconds for irle."""
    path = tmp_path_factory.mktemp("large") / "a.png"
    picture = np.random.default_rng(0).integers(0, 90, (4200, 6200, 3), dtype=np.uint8)
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_PNG_COMPRESSION, 0])
    return path


def _begun(source: Path, target: Path, *further: str) -> subprocess.Popen[bytes]:
    """A run of irle over one photo that has just made its report, however slow the machine is."""
    command = [sys.executable, "-m", "enhance_cli", "irle", *further, str(source), str(target)]
    running = subprocess.Popen(command, stderr=subprocess.PIPE)
    waited = time.monotonic() + 60
    while not (target / "enhance-report.jsonl").exists() and time.monotonic() < waited:
        time.sleep(0.005)
    return running


@pytest.mark.parametrize("further", [[], ["--isolate"]], ids=["threads", "isolate"])
def test_one_long_photograph_is_given_up_soon_and_never_appears(tmp_path, large, further):
    """irle takes many seconds for it, in blocks; before, it was finished first, and then said to be not done."""
    running = _begun(large, tmp_path / "out", *further)
    begun, waited = _seconds_of(running.pid), time.monotonic() + 60
    while _seconds_of(running.pid) < begun + 3.0 and time.monotonic() < waited:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    asked = time.monotonic()
    _, said = running.communicate(timeout=60)
    assert time.monotonic() - asked < 4.0  # 2, and as much for a machine that is busy with other tests
    assert running.returncode == 130, said
    assert b"stopped with 0 of 1 photograph done" in said
    time.sleep(0.5)  # a child that lived on would place it
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["enhance-report.jsonl"]
    assert (tmp_path / "out" / "enhance-report.jsonl").read_text() == ""


@pytest.mark.parametrize("further", [[], ["--isolate"]], ids=["threads", "isolate"])
@pytest.mark.parametrize("later", [0.0, 0.1, 0.5])
def test_a_run_that_is_stopped_while_it_starts_says_so(tmp_path, large, further, later):
    """After the report is opened, networks are loaded and children started."""
    running = _begun(large, tmp_path / "out", *further)
    time.sleep(later)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert b"stopped with 0 of 1 photograph done" in said


def test_a_module_that_fails_to_load_because_of_a_signal_is_no_bug():
    def loads():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except BaseException as error:
            raise ImportError("initialization failed") from error

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(Terminated), terminable():
            loads()
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])


def test_a_signal_waits_for_a_module_that_is_being_loaded(tmp_path, monkeypatch):
    """Torn down half way, numpy and the like raise an ImportError, or stay half loaded for who catches it."""
    (tmp_path / "slow_to_load.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(0.1)\nloaded = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)}

    def load():
        import slow_to_load  # noqa: F401

        time.sleep(5)

    try:
        with pytest.raises(KeyboardInterrupt), terminable():
            load()
        assert sys.modules["slow_to_load"].loaded
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
