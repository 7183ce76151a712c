"""The same training gives the same weights whatever code the libraries would choose."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from tests import pictures

ROOT = Path(__file__).parents[2]
OTHERS = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "AVX2",
    "OPENBLAS_CORETYPE": "Nehalem",
    "OPENCV_IPP": "sse42",
}
"""What a processor of another kind would choose."""


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(10):
        picture = pictures.night(seed=seed)
        cv2.imwrite(str(folder / f"{seed}.png"), cv2.resize(picture, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC))
    return folder


def trained(photos, out, **environment):
    """The sha256 of a predictor after 40 steps."""
    command = [sys.executable, "-m", "enhance_cli", "train", "exposure", photos, "-o", out, "--iterations", "40"]
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": paths, **environment}, capture_output=True)
    return hashlib.sha256((out / "exposure" / "predictor.safetensors").read_bytes()).hexdigest()


def test_the_processor_does_not_matter(photos, tmp_path):
    assert trained(photos, tmp_path / "one") == trained(photos, tmp_path / "other", **OTHERS)
