"""Streams of a card: one for each photo in flight, so that copies of one photo overlap with kernels of another.

All work on a photo in a flight is on one stream, in order, and torch reuses memory that is freed on a stream only on
that stream. So no waits are needed within a flight. Dependencies between streams are handled here:

- Weights are loaded once, on whichever stream comes first: the host waits until they are loaded (`finish`).
- Pixels that stay on the card between two flights of a photo (several outputs) are complete when the first flight ends,
  and every further stream that uses them is recorded (`uses`), so that their memory is not reused too early.
- A result is read after its copy to the host has finished (`finish`).

Pinned memory belongs to torch, which does not reuse it until the copies out of it have finished.
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
        """A stream for the work of this thread in the body; all of it is finished when the body ends."""
        with self._lock:
            stream = self._idle.pop() if self._idle else None
        if stream is None:
            stream = self._driver.Stream(self._device)
        with self._driver.stream(stream):
            try:
                yield
            finally:
                # After an error too: kernels may still be reading the photo's arrays.
                stream.synchronize()  # if this fails too, the stream is not used again
                with self._lock:
                    self._idle.append(stream)

    def uses(self, tensor: Any) -> None:
        """Record that a tensor, possibly of another stream, is used on the stream of this thread."""
        tensor.record_stream(self._driver.current_stream(self._device))

    def finish(self) -> None:
        """Wait for all work that this thread has put on its stream, and for no other stream."""
        event = self._driver.Event()
        event.record(self._driver.current_stream(self._device))
        event.synchronize()


class NoLanes:
    """The same for a device that works synchronously: the CPU."""

    @contextmanager
    def flight(self) -> Iterator[None]:
        """Nothing."""
        yield

    def uses(self, tensor: Any) -> None:
        """Nothing."""

    def finish(self) -> None:
        """Nothing."""
