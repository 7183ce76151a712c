"""A 16-bit gradient keeps its gradations through reading, every method and writing: no comb, no silent 8 bits."""

from __future__ import annotations

import numpy as np
import pytest

from enhance_cli import methods
from enhance_cli.engines import open_engine
from enhance_cli.imaging import codecs
from enhance_cli.pipeline.recipe import Recipe
from enhance_cli.types import Image

CPU = open_engine("cpu", threads=2)


@pytest.fixture(scope="module")
def ramp():
    """256×4096: every one of the 65,536 levels once, rising to the right."""
    y, x = np.mgrid[:256, :4096]
    return ((x * 256 + y) / (256 * 4096 - 1) * 65535).round().astype(np.uint16)


@pytest.mark.parametrize("grey", [True, False])
@pytest.mark.parametrize("format_name", ["png", "tiff"])
@pytest.mark.parametrize("name", methods.names())
def test_levels_stay(name, format_name, grey, ramp):
    source, _ = codecs.encode(Image(ramp if grey else np.repeat(ramp[..., None], 3, axis=2)), format_name)
    enhancer = methods.open_enhancer(methods.get(name), CPU)
    result = (
        Recipe(CPU, enhancer, enhancer.method.controls(**dict(enhancer.method.example)))
        .enhance(codecs.decode(source))
        .image
    )
    written = codecs.decode(codecs.encode(result, format_name)[0]).pixels
    assert written.dtype == np.uint16
    levels = np.unique(written if grey else written[..., 1])
    assert len(levels) >= 20_000
    assert np.diff(levels.astype(int)).max() <= 64, "a comb: a quarter of an 8-bit step, or more, is never used"
