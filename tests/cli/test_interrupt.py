"""Stopping a run: what is in place has its line, and the exit code says how it ended."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_keeps_its_books(tmp_path, sent, code):
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    picture = np.random.default_rng(0).integers(0, 255, (1500, 2000, 3), dtype=np.uint8)
    cv2.imwrite(str(source / "0.png"), picture)
    for index in range(1, 60):
        (source / f"{index}.png").hardlink_to(source / "0.png")
    running = subprocess.Popen(
        [sys.executable, "-m", "enhance_cli", "clahe-adaptive", str(source), str(target)], stderr=subprocess.PIPE
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
    assert not list(target.glob(".enhance-*"))
