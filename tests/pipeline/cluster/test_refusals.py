"""What `--cluster` refuses, and what it does not start Ray for."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
import types
from pathlib import Path

import cv2
import numpy as np
import pytest

from enhance_cli.errors import DeviceError, UsageError
from enhance_cli.pipeline.cluster import session
from enhance_cli.pipeline.options import RunOptions
from enhance_cli.pipeline.run import Run, run


@pytest.fixture(autouse=True)
def photo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("a.jpg", np.full((40, 50, 3), 90, np.uint8))


def refused(arguments, method="clahe-adaptive", **options):
    with pytest.raises(UsageError) as caught:
        run(Run.of(method, arguments, {"cluster": "auto", **options}))
    assert not Path("out").exists()
    return str(caught.value)


def test_without_the_extra_it_is_named(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ray" else find(name))
    assert "pip install 'enhance-cli[cluster]'" in refused(["a.jpg", "out/"])


def test_what_is_of_one_machine_is_refused():
    assert "cannot be combined with -" in refused(["-", "out.jpg"])
    assert "GPU of one machine" in refused(["a.jpg", "out/"], device="cuda:1")
    assert "leave out --cluster" in refused(["a.jpg"], method="auto", decide="d.jsonl")


@pytest.mark.parametrize("value", ["ray://head", "head:10001", "http://head:1", "", "ray://a b:1"])
def test_what_is_no_cluster_is_refused(value):
    with pytest.raises(UsageError, match=r"ray://HOST:PORT"):
        RunOptions(cluster=value)


def test_ray_is_loaded_only_for_work_on_a_cluster():
    """Neither by a run without `--cluster`, nor by a dry run with it."""
    for options in ((), ("--cluster", "auto", "--dry-run")):
        program = (
            "import sys; sys.argv[0] = 'enhance'; from enhance_cli.__main__ import main\n"
            "try: main()\n"
            "except SystemExit as end: sys.exit(end.code or int('ray' in sys.modules))"
        )
        command = [sys.executable, "-c", program, "clahe-adaptive", "--clip-limit", "2", "--device", "cpu"]
        done = subprocess.run([*command, *options, "a.jpg", "out/"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_a_cluster_that_does_not_answer_is_told_at_once(monkeypatch, capfd):
    """Ray itself would try for minutes, and write lines of its own."""
    pytest.importorskip("ray", reason="Ray is not installed (extra `cluster`)")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    for cluster, named in (("auto", f"{address} (RAY_ADDRESS)"), (f"ray://{address}", f"ray://{address}")):
        with pytest.raises(DeviceError, match="Start a node there") as caught:
            run(Run.of("clahe-adaptive", ["a.jpg", "out/"], {"cluster": cluster, "device": "cpu"}))
        assert f"nothing answers at {named}: Connection refused" in str(caught.value)
    assert not Path("out").exists()
    assert capfd.readouterr().err == ""


def test_folders_of_killed_runs_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(session.tempfile, "gettempdir", lambda: "/tmp")
    with session._temporary_folder() as first:
        with session._temporary_folder() as second:
            assert Path(first).is_dir(), "a folder in use was removed"
            Path(second, "logs").mkdir()
        assert not Path(second).exists()
        stale = Path(f"{first}-stale")
        stale.mkdir()
        (stale / "lock").touch()
        with session._temporary_folder():
            assert not stale.exists()
    assert not Path(first).exists()


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_a_head_whose_process_did_not_start_is_asked_again(monkeypatch, failures):
    text = "Initialization failure from server:\nTraceback (most recent call last):\n\nRuntimeError: no process."
    asked = []

    def init(**details):
        asked.append(details["address"])
        if len(asked) <= failures:
            raise ConnectionAbortedError(text)

    ray = types.SimpleNamespace(init=init, is_initialized=lambda: False, shutdown=lambda: None)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(session, "require", lambda: None)
    with socket.create_server(("127.0.0.1", 0)) as head:
        address = f"ray://127.0.0.1:{head.getsockname()[1]}"
        if failures < 3:
            with session.session(address, 1) as connected:
                assert connected is ray
            assert asked == [address] * (failures + 1)
        else:
            with pytest.raises(DeviceError, match=r"cannot be reached: RuntimeError: no process"):
                session.session(address, 1).__enter__()
            assert asked == [address] * 3
