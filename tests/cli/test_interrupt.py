"""Stopping a run: what is in place has its line, and the exit code says how it ended."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from enhance_cli.cli.signals import terminable
from enhance_cli.errors import Terminated
from tests.commands import LIMIT, alive, descendants, started, until


@pytest.mark.parametrize("further", [[], ["--isolate"]], ids=["threads", "isolate"])
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_keeps_its_books(tmp_path, monkeypatch, sent, code, further):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    picture = np.random.default_rng(0).integers(0, 255, (1500, 2000, 3), dtype=np.uint8)
    cv2.imwrite("in/0.png", picture)
    for index in range(1, 60):
        Path(f"in/{index}.png").hardlink_to("in/0.png")
    running = started("clahe-adaptive", *further, "in", "out", few=40)
    report = Path("out/enhance-report.jsonl")
    until(lambda: report.exists() and report.stat().st_size)
    running.send_signal(sent)
    _, said = running.communicate(timeout=LIMIT)
    assert running.returncode == code, said
    assert "Traceback" not in said
    recorded = sorted(Path(json.loads(line)["output"]).name for line in report.read_text().splitlines())
    assert recorded == sorted(path.name for path in Path("out").glob("*.png"))
    assert 0 < len(recorded) < 60
    assert f"stopped with {len(recorded)} of 60 photos done" in said
    assert not list(Path("out").glob(".enhance-*"))


def processor_seconds(process: int) -> float:
    """What a process has used of processors, which other programs of the machine do not change much."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Family:
    """A process and its descendants, and what they have used until they were last looked at."""

    def __init__(self, process: int) -> None:
        self.process, self.used = process, {}

    def seconds(self) -> float:
        """Processor seconds of them all, those included that have ended."""
        for process in {self.process, *self.used, *descendants(self.process)}:
            self.used[process] = max(processor_seconds(process), self.used.get(process, 0.0))
        return sum(self.used.values())

    def ended(self) -> bool:
        """Whether none of them is alive."""
        self.seconds()
        return not any(map(alive, self.used))


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """26 megapixels, more than a minute of processor time for irle."""
    path = tmp_path_factory.mktemp("large") / "a.png"
    picture = np.random.default_rng(0).integers(0, 90, (4200, 6200, 3), dtype=np.uint8)
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_PNG_COMPRESSION, 0])
    return path


def irle(source: Path, target: Path, *further: str):
    """A run of irle over one photo, on two processors at most."""
    two = sorted(os.sched_getaffinity(0))[:2]
    return started("irle", *further, source, target, preexec_fn=lambda: os.sched_setaffinity(0, two))


@pytest.mark.parametrize("further", [[], ["--isolate"]], ids=["threads", "isolate"])
def test_one_long_photograph_is_given_up_soon_and_never_appears(tmp_path, large, further):
    """It is worked on in blocks, and what is left of them is not done first."""
    running = irle(large, tmp_path / "out", *further)
    until((tmp_path / "out" / "enhance-report.jsonl").exists)
    family = Family(running.pid)
    begun = family.seconds()
    until(lambda: family.seconds() > begun + 3.0)
    asked = family.seconds()
    running.send_signal(signal.SIGINT)
    until(family.ended)
    assert family.seconds() - asked < 12.0  # a second usually
    _, said = running.communicate(timeout=LIMIT)
    assert running.returncode == 130, said
    assert "stopped with 0 of 1 photo done" in said
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["enhance-report.jsonl"]
    assert (tmp_path / "out" / "enhance-report.jsonl").read_text() == ""


@pytest.mark.parametrize("further", [[], ["--isolate"]], ids=["threads", "isolate"])
@pytest.mark.parametrize("later", [0.0, 0.1, 0.5])
def test_a_run_that_is_stopped_while_it_starts_says_so(tmp_path, large, further, later):
    """Networks are loaded, then the report is opened and children are started."""
    running = irle(large, tmp_path / "out", *further)
    until(lambda: "onnxruntime" in Path(f"/proc/{running.pid}/maps").read_text())
    time.sleep(later)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=LIMIT)
    assert running.returncode == 130, said
    assert "stopped with 0 of 1 photo done" in said


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
