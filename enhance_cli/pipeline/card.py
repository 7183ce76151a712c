"""Photos on a card: how many at once, the size of their tiles, and what happens when its memory runs out."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from enhance_cli.engines import abandon, exhaustion
from enhance_cli.errors import OutOfCardMemory
from enhance_cli.imaging.tiles import Tile

if TYPE_CHECKING:
    from enhance_cli.engines import Engine

R = TypeVar("R")

IN_FLIGHT = 2
"""Photos on a card at once: while one is copied, the other is computed. Decoding and encoding run in parallel."""

BYTES_A_PIXEL = 640
"""Bytes that kernels and networks need per pixel of a tile. With torch on the CPU, live tensors took between 118 bytes
(clahe-adaptive) and 582 (irle) per pixel of a photo of 768x512; not measured on a card."""

LEAST = 256
"""A tile of this side is not halved further: smaller ones would be all halo."""

LEAST_ROWS = 32
"""The same where only the rows are divided."""

_LOOK = 0.2
"""Seconds between two checks for a stop."""


def side_within(budget: int | None) -> int | None:
    """The largest side of a square tile, halo included, that fits into a card's memory if photos share it evenly."""
    if budget is None:
        return None
    return max(LEAST, math.isqrt(budget // (IN_FLIGHT * BYTES_A_PIXEL)))


def halves(tile: Tile, halo: int, *, rows: bool = False) -> tuple[Tile, Tile]:
    """The two halves of a tile along its longer side; their outer rectangles lie in that of the tile.

    Args:
        tile: of two pixels or more.
        halo: of the method.
        rows: divide the rows, whichever side is longer.
    """
    top, left, bottom, right, *_ = tile
    if rows or bottom - top >= right - left:
        middle = (top + bottom) // 2
        return (
            tile._replace(bottom=middle, outer_bottom=min(middle + halo, tile.outer_bottom)),
            tile._replace(top=middle, outer_top=max(middle - halo, tile.outer_top)),
        )
    middle = (left + right) // 2
    return (
        tile._replace(right=middle, outer_right=min(middle + halo, tile.outer_right)),
        tile._replace(left=middle, outer_left=max(middle - halo, tile.outer_left)),
    )


class Card:
    """The photos that are on one device. Thread-safe. On the CPU nothing is limited, and nothing runs out."""

    def __init__(self, engine: Engine) -> None:
        """Nothing is in flight."""
        self._engine = engine
        self._changed = threading.Condition()
        self._flying = 0
        self._wanting = 0
        self._alone = False

    @property
    def limited(self) -> bool:
        """Whether the device has its own memory."""
        return self._engine.card_memory is not None

    def flights(self, work: Iterator[R]) -> Iterator[R]:
        """The same items, each made on a separate stream, with no more than `IN_FLIGHT` photos on the card.

        Raises:
            Abandoned: the run was stopped.
        """
        if not self.limited:
            yield from work
            return
        while True:
            self._enter()
            try:
                with self._engine.flight():
                    made = list(_first(work))
            finally:
                self._leave()
            if not made:
                return
            yield made.pop()

    def _enter(self) -> None:
        with self._changed:
            self._wait(lambda: self._flying < IN_FLIGHT and not self._alone and not self._wanting)
            self._flying += 1

    def _leave(self) -> None:
        with self._changed:
            self._flying -= 1
            self._changed.notify_all()

    def _wait(self, condition: Callable[[], bool]) -> None:
        while not self._changed.wait_for(condition, _LOOK):
            abandon.check()
        abandon.check()

    @contextmanager
    def _by_itself(self) -> Iterator[None]:
        """Use the card exclusively, once the other photos have left it; for a photo in flight."""
        with self._changed:
            self._flying -= 1  # otherwise two of them would wait for each other
            self._wanting += 1
            self._changed.notify_all()
            try:
                self._wait(lambda: self._flying == 0 and not self._alone)
                self._alone = True
            finally:
                self._wanting -= 1
                self._flying += 1
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()

    def tried(self, work: Callable[[], R], photo: str) -> R:
        """The result of work that cannot be divided; if memory runs out, it is repeated with exclusive use of the card.

        Args:
            work: changes nothing before it has succeeded.
            photo: its name, for the message.

        Raises:
            OutOfCardMemory: it needs more than is free.
        """
        if not self.limited:
            return work()
        made = unless_exhausted(work)
        if not made:
            with self._by_itself():
                exhaustion.give_back()
                made = unless_exhausted(work)
        if not made:
            exhaustion.give_back()
            raise self._refusal(photo)
        return made.pop()

    def by_parts(
        self, tile: Tile, halo: int, render: Callable[[Tile], None], photo: str, *, rows: bool = False
    ) -> None:
        """Render a tile; if memory runs out, its halves, and so on.

        Args:
            tile: to be rendered.
            halo: of the method.
            render: renders a part of the tile; its result is the same whatever the parts are. Changes nothing before
                it has succeeded.
            photo: its name, for the message.
            rows: divide the rows of the tile alone; else its longer side.

        Raises:
            OutOfCardMemory: it needs more than is free, however small the parts.
        """
        if not self.limited:
            render(tile)
            return
        waiting = [tile]
        while waiting:
            part = waiting.pop()
            # Outside of the handler, because the traceback of the error holds the tensors of its frames.
            if unless_exhausted(lambda: render(part)):  # noqa: B023 - called at once
                continue
            exhaustion.give_back()
            abandon.check()
            height, width = part.bottom - part.top, part.right - part.left
            if (height if rows else max(height, width)) <= (LEAST_ROWS if rows else LEAST):
                # Once more without the other photos: they may have what is missing.
                self.tried(lambda: render(part), photo)  # noqa: B023 - called at once
                continue
            waiting += reversed(halves(part, halo, rows=rows))

    def _refusal(self, photo: str) -> OutOfCardMemory:
        return OutOfCardMemory(
            f"{photo or 'The image'} needs more memory than {self._engine.device} has free; close other programs "
            "that use the card, or give --device cpu."
        )


def _first(work: Iterator[R]) -> Iterator[R]:
    for item in work:
        yield item
        return


def unless_exhausted(work: Callable[[], R]) -> list[R]:
    """The result of work; nothing if the card has no memory for it."""
    try:
        return [work()]
    except RuntimeError as error:
        if not exhaustion.is_out_of_memory(error):
            raise
    return []
