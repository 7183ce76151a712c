"""The blocks that irle renders, squares at the same places of an image whatever window is asked for.

They are as large as their context of a hundred pixels and more pays for, and as small as their memory demands.
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
"""Side of a block without its context. The stream's tiles hold whole blocks, which are with their context 1.47 times a
image of 12 megapixels, where blocks of 512 would be 2.15 times it; a lite block takes half a gigabyte."""

LARGE, SMALL_BLOCK = 32_000_000, 512
"""Pixels of an image from which on blocks are smaller, and run no more than the cores have work for: such an image
itself takes what blocks of the other size would. A lite block of this size takes 190 MB."""

BORDER, MULTIPLE = 32, 16
"""Reflected pixels around the image, and of what the sides that a denoiser gets are multiples."""


def is_large(plan: IrlePlan) -> bool:
    """Whether a plan is for an image of which few blocks may be worked on at once."""
    return plan.height * plan.width > LARGE


def side_of(plan: IrlePlan) -> int:
    """Pixels along a side of the blocks of an image."""
    return SMALL_BLOCK if is_large(plan) else BLOCK


def with_context(block: Region, plan: IrlePlan) -> Region:
    """A block with what the denoiser looks at around it."""
    return block.with_context(plan.context, min(BORDER, plan.context), MULTIPLE)


class LatestBlock:
    """The latest block of an image that has only one, which all windows of that image share."""

    def __init__(self) -> None:
        """Hold nothing."""
        self._lock = threading.Lock()
        self._latest: tuple[bytes, Array] | None = None

    def get(self, window: Window, block: Region, plan: IrlePlan, render: Callable[[], Array]) -> Array:
        """The block, rendered now unless it is the latest."""
        if max(plan.height, plan.width) > BLOCK:
            return render()
        seen = hashlib.blake2b(window.pixels.tobytes(), digest_size=16)
        numbers = plan.balance, plan.curve, plan.level, plan.strength, plan.model
        seen.update(repr((window.pixels.shape, window.pixels.dtype, block, numbers)).encode() + plan.tuned.tobytes())
        key = seen.digest()
        with self._lock:
            if self._latest is not None and self._latest[0] == key:
                return self._latest[1]
        done = render()
        with self._lock:
            self._latest = key, done
        return done
