"""The blocks that irle renders: squares at fixed positions of an image, whatever window is asked for.

They are large enough that over a hundred pixels of context are affordable, and small enough for memory.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from enhance_cli.imaging.blocks import Region

if TYPE_CHECKING:
    from enhance_cli.methods.irle.plan import IrlePlan
    from enhance_cli.types import Array, Window

BLOCK = 1024
"""Side of a block without its context. The stream's tiles hold whole blocks. For an image of 12 megapixels, blocks with
their context cover 1.47 times its pixels; blocks of 512 would cover 2.15 times. A lite block takes half a gigabyte."""

LARGE, SMALL_BLOCK = 32_000_000, 512
"""Images of at least `LARGE` pixels use smaller blocks, and no more at once than keep the cores busy: the image itself
takes the memory that larger blocks would need. A lite block of this size takes 190 MB."""

BORDER, MULTIPLE = 32, 16
"""Pixels of reflect padding around the image, and the number that the sides of a denoiser's input are multiples of."""


def is_large(plan: IrlePlan) -> bool:
    """Whether a plan is for a large image, of which few blocks may be processed at once."""
    return plan.height * plan.width > LARGE


def side_of(plan: IrlePlan) -> int:
    """Pixels along a side of the blocks of an image."""
    return SMALL_BLOCK if is_large(plan) else BLOCK


def with_context(block: Region, plan: IrlePlan) -> Region:
    """A block with the context that the denoiser needs around it."""
    return block.with_context(plan.context, min(BORDER, plan.context), MULTIPLE)


class LatestBlock:
    """A cache of the latest block, for images of a single block, which all of their windows share."""

    def __init__(self) -> None:
        """Hold nothing."""
        self._lock = threading.Lock()
        self._latest: tuple[bytes, Array] | None = None

    def get(self, window: Window, block: Region, plan: IrlePlan, render: Callable[[], Array]) -> Array:
        """The block, rendered now unless it is the latest."""
        if max(plan.height, plan.width) > BLOCK:
            return render()
        seen = hashlib.blake2b(window.pixels.tobytes(), digest_size=16)
        numbers = (
            plan.balance,
            plan.curve,
            plan.chroma,
            plan.level,
            plan.tones.tobytes(),
            plan.empty.tobytes(),
            plan.toned_chroma,
            plan.strength,
            plan.model,
        )
        seen.update(repr((window.pixels.shape, window.pixels.dtype, block, numbers)).encode() + plan.tuned.tobytes())
        key = seen.digest()
        with self._lock:
            if self._latest is not None and self._latest[0] == key:
                return self._latest[1]
        done = render()
        with self._lock:
            self._latest = key, done
        return done
