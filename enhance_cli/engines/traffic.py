"""Counts what an engine copies between the host and its device."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass(slots=True)
class Traffic:
    """Copies since the engine was opened. Safe to use from several threads.

    A *trip* carries the pixels of one photo, all planes in one copy. Everything else is small (curves, plans, proxies
    and measurements), or a tile of a photo that does not fit on the device.
    """

    trips_up: int = 0
    trips_down: int = 0
    trip_bytes_up: int = 0
    trip_bytes_down: int = 0
    others_up: int = 0
    others_down: int = 0
    other_bytes_up: int = 0
    other_bytes_down: int = 0
    largest_other: int = 0
    """Bytes of the largest copy that is not a trip."""

    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def up(self, size: int, *, trip: bool = False) -> None:
        """Count a copy of `size` bytes from the host to the device."""
        with self._lock:
            if trip:
                self.trips_up, self.trip_bytes_up = self.trips_up + 1, self.trip_bytes_up + size
            else:
                self.others_up, self.other_bytes_up = self.others_up + 1, self.other_bytes_up + size
                self.largest_other = max(self.largest_other, size)

    def down(self, size: int, *, trip: bool = False) -> None:
        """Count a copy of `size` bytes from the device to the host."""
        with self._lock:
            if trip:
                self.trips_down, self.trip_bytes_down = self.trips_down + 1, self.trip_bytes_down + size
            else:
                self.others_down, self.other_bytes_down = self.others_down + 1, self.other_bytes_down + size
                self.largest_other = max(self.largest_other, size)
