"""No native call touches memory beyond its arrays: codecs and kernels, at every small size and some odd large ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from enhance_cli import methods
from tests import guarded

ROOT = Path(guarded.__file__).parents[1]


def run(group, extent, note, **environment):
    """A group of calls in a process of its own; how many there were."""
    words = [sys.executable, "-m", "tests.guarded", group, extent, str(note)]
    done = subprocess.run(words, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False)
    where = note.read_text().strip() if note.exists() else "before the first call"
    assert done.returncode == 0, f"died with {done.returncode} in: {where}\n{done.stderr[-2000:]}"
    return int(done.stdout)


@pytest.mark.parametrize("at_end", [True, False])
def test_the_guard_kills(at_end, tmp_path):
    reach = "copy.ctypes.data + copy.nbytes" if at_end else "copy.ctypes.data - 1"
    program = (
        "import ctypes, numpy; from tests import guarded\n"
        f"copy = guarded.guarded(numpy.ones((3, 5), 'u1'), at_end={at_end})\n"
        f"assert copy.sum() == 15; ctypes.string_at({reach}, 1)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode < 0, done.stderr


def test_every_method_is_guarded():
    assert set(guarded.NAMES) == set(methods.names())
    assert np.array(guarded.sizes(whole=False, step=1)).max(axis=0).tolist() == [4099, 4099]


@pytest.mark.parametrize("group", guarded.GROUPS)
def test_nothing_is_touched_beyond_arrays(group, tmp_path):
    assert run(group, "spread", tmp_path / "note") > 0


@pytest.mark.slow
@pytest.mark.timeout(6 * 3600)
@pytest.mark.parametrize("group", guarded.GROUPS)
def test_nothing_is_touched_beyond_arrays_of_any_size(group, tmp_path):
    assert run(group, "whole", tmp_path / "note") > 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("group", ["imaging", *guarded.NAMES])
def test_no_kernel_indexes_beyond_an_array(group, tmp_path):
    """By Numba's own bounds checking, which also sees the arrays that a kernel makes for itself."""
    checked = {"NUMBA_BOUNDSCHECK": "1", "ENHANCE_CACHE_DIR": str(tmp_path / "cache")}
    assert run(group, "spread", tmp_path / "note", **checked) > 0
