"""Streams of a card: one for each photo in flight, so that copies of one photo overlap with kernels of another.

All that a photo does in a flight is on one stream, in order, and torch gives memory that is freed on a stream to that
stream alone. So nothing has to be waited for within a flight. What crosses streams is waited for here:

- Weights are loaded once, on whichever stream comes first: the host waits until they are there (`finish`).
- Pixels that stay on the card between two flights of a photo (several outputs) are complete when the first flight ends,
  and torch is told of every further stream that uses them (`uses`), so that their memory is not reused too early.
- A result is read when its copy to the host has ended (`finish`).

Pinned memory is torch's: it is kept from other use until the copies out of it have ended, and reused then.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Lanes:
    """The streams of one card. Safe to use from several threads."""

    def __init__(self, driver: Any, device: Any) -> None:
        """Make no stream yet.

        Args:
            driver: `torch.cuda`.
            device: the card.
        """
        self._driver, self._device = driver, device
        self._idle: list[Any] = []
        self._lock = threading.Lock()

    @contextmanager
    def flight(self) -> Iterator[None]:
        """A stream for what this thread does in the body; all of it is done when the body has ended."""
        with self._lock:
            stream = self._idle.pop() if self._idle else None
        if stream is None:
            stream = self._driver.Stream(self._device)
        with self._driver.stream(stream):
            try:
                yield
            finally:
                # After an error too: kernels may still be reading what the photo held.
                stream.synchronize()  # if this fails too, the stream is of no more use
                with self._lock:
                    self._idle.append(stream)

    def uses(self, tensor: Any) -> None:
        """A tensor, perhaps of another stream, is used on the stream of this thread."""
        tensor.record_stream(self._driver.current_stream(self._device))

    def finish(self) -> None:
        """Wait for all that this thread has put on its stream, and for no other stream."""
        event = self._driver.Event()
        event.record(self._driver.current_stream(self._device))
        event.synchronize()


class NoLanes:
    """The same for a device that does everything at once: the CPU."""

    @contextmanager
    def flight(self) -> Iterator[None]:
        """Nothing."""
        yield

    def uses(self, tensor: Any) -> None:
        """Nothing."""

    def finish(self) -> None:
        """Nothing."""
