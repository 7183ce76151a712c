"""An assignment whose method crashes, hangs or dies by what its images show; imported by the children of tests."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field

import numpy as np

from enhance_cli import methods
from enhance_cli.engines import open_engine
from enhance_cli.imaging import codecs
from enhance_cli.pipeline.files import Coding
from enhance_cli.pipeline.recipe import Recipe
from enhance_cli.types import Image

CRASH, HANG, RAISE, OPEN = 10, 20, 30, 40
"""Mean levels of flat images that do harm."""


class Faulty:
    """An enhancer that does what a broken decoder does to its process."""

    def __init__(self, wrapped):
        self._wrapped = wrapped

    def __getattr__(self, name):
        return getattr(self._wrapped, name)

    def estimate(self, image, controls):
        level = int(image.pixels.mean().round())
        if level == CRASH:
            os.kill(os.getpid(), signal.SIGSEGV)
        if level == HANG:
            time.sleep(600)
        if level == RAISE:
            raise ZeroDivisionError("by nothing")
        return self._wrapped.estimate(image, controls)


@dataclass
class FaultyAssignment:
    """Opens `clahe-adaptive` with a fixed limit, so that no network is loaded."""

    coding: Coding = field(default_factory=Coding)

    def open(self) -> Recipe:
        """Open it, and do a first image, so that no time of a photo goes into compiling kernels."""
        engine = open_engine("cpu", threads=1)
        method = methods.get("clahe-adaptive")
        recipe = Recipe(engine, Faulty(methods.open_enhancer(method, engine)), method.controls(clip_limit=2.0))
        recipe.enhance(codecs.decode(codecs.encode(Image(np.full((40, 50, 3), 90, np.uint8)), "png")[0]))
        return recipe
