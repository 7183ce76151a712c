"""Values that are created on first use, and only once, even with several threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Once(Generic[Value]):
    """Values by key; safe to use from several threads.

    A second caller waits for the first, so that no network is opened twice. A failed creation is tried again on the
    next call.
    """

    def __init__(self) -> None:
        """Hold nothing."""
        # Reentrant: creating one value may need another.
        self._lock = threading.RLock()
        self._made: dict[Hashable, Value] = {}

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of a key, created now if absent."""
        with self._lock:
            if key not in self._made:
                self._made[key] = make()
            return self._made[key]
