"""The interface between runs and object storage: four operations, on which everything else is built."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from enhance_cli.storage.locations import Location


class Item(NamedTuple):
    """An object, as listed or looked up."""

    key: str
    bytes: int
    modified_ns: int
    """When it was written, in nanoseconds since 1970; services know seconds or milliseconds."""

    etag: str
    """A token that changes with every write; empty if the service has none."""


class Store(Protocol):
    """One bucket. Safe to use from several threads. Objects are complete or absent; a put is atomic."""

    def list(self, prefix: str) -> Iterator[Item]:
        """Every object below a prefix that ends at a slash, in any order; empty for the whole bucket.

        Raises:
            UsageError: there is no such bucket, or a key cannot be a path.
            UnreachableBucket: it cannot be listed.
        """
        ...

    def get(self, key: str, etag: str = "") -> tuple[bytes, Item]:
        """An object's bytes and state.

        Args:
            key: of the object.
            etag: the etag that it must have; empty for any.

        Raises:
            MissingSource: there is none.
            ChangedSource: it has another etag.
            UnreadableSource: it cannot be read.
        """
        ...

    def put(self, key: str, data: bytes, over: str | None = "") -> Item:
        """Write an object atomically.

        Args:
            key: of the object.
            data: its bytes.
            over: what it may replace: empty, nothing (there must be no such object); an etag, the object that has it;
                None, whatever is there.

        Raises:
            OccupiedOutput: something else is there.
            OutputError: it cannot be written.
        """
        ...

    def head(self, key: str) -> Item | None:
        """An object's state; None if there is none.

        Raises:
            UsageError: there is no such bucket.
            UnreachableBucket: it cannot be queried.
        """
        ...


Opener = Callable[[Location], Store]
"""Returns the store of a location's bucket."""
