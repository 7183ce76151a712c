"""Values that are made when they are first asked for, and once, whoever asks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Once(Generic[Value]):
    """Values by key; safe to ask from several threads.

    A second asker waits for the first, so that no network is opened twice. What fails is tried again when it is
    asked for again.
    """

    def __init__(self) -> None:
        """Hold nothing."""
        # Reentrant: to make one value another may be asked for.
        self._lock = threading.RLock()
        self._made: dict[Hashable, Value] = {}

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of a key, made now if it is not there."""
        with self._lock:
            if key not in self._made:
                self._made[key] = make()
            return self._made[key]
