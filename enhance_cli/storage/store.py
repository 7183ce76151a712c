"""The seam between runs and object storage: four operations, which everything else is made of."""

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
    """A token that changes with every write; empty where the service gives none."""


class Store(Protocol):
    """One bucket. Safe to use from several threads. Objects are whole or absent; a put replaces in one step."""

    def list(self, prefix: str) -> Iterator[Item]:
        """Every object below a prefix that ends between two slashes, in any order; empty for the whole bucket.

        Raises:
            UsageError: there is no such bucket, or a key cannot be a path.
            UnreachableBucket: it cannot be listed.
        """
        ...

    def get(self, key: str, etag: str = "") -> tuple[bytes, Item]:
        """An object's bytes and state.

        Args:
            key: of the object.
            etag: what it must have; empty for any.

        Raises:
            MissingSource: there is none.
            ChangedSource: it has another etag.
            UnreadableSource: it cannot be read.
        """
        ...

    def put(self, key: str, data: bytes, over: str | None = "") -> Item:
        """Write an object, at once and whole.

        Args:
            key: of the object.
            data: its bytes.
            over: what it may replace: with empty text nothing (there must be no such object), with an etag the object
                that has it, with None whatever is there.

        Raises:
            OccupiedOutput: something else is there.
            OutputError: it cannot be written.
        """
        ...

    def head(self, key: str) -> Item | None:
        """An object's state; None where there is none.

        Raises:
            UsageError: there is no such bucket.
            UnreachableBucket: it cannot be asked for.
        """
        ...


Opener = Callable[[Location], Store]
"""Gives the store of a location's bucket."""
