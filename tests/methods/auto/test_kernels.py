"""What auto does after the method that it chose: the same on both engines, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from enhance_cli.engines.cpu import CpuEngine
from enhance_cli.engines.cuda import CudaEngine
from enhance_cli.methods.auto import METHOD
from enhance_cli.methods.auto.shift import table


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("amount", [0.0, 0.37, 1.0, 1.5])
@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_blending_and_shifting_are_equal_on_both_engines(rng, dtype, amount, shift):
    white = int(np.iinfo(dtype).max)
    before, after = (rng.integers(0, white + 1, (40, 50, 3)).astype(dtype) for _ in range(2))
    levels = table(shift, white) if shift else None
    made = []
    for engine in (CpuEngine(), CudaEngine("cpu")):
        out = np.empty_like(before)
        made.append(engine.into(out, engine.kernels(METHOD).mixed, before, after, amount, levels))
    assert np.array_equal(*made)
    mixed = np.rint(before + np.float32(amount) * (after.astype(np.float32) - before)).clip(0, white).astype(int)
    assert np.array_equal(made[0], mixed if levels is None else levels[mixed])
