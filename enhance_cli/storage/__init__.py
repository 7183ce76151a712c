"""Object storage: parsing URLs, and four operations on a bucket (docs/decisions/18).

`Store` is the interface. `opened` returns the store behind a URL; obstore is imported there and nowhere else, so that a
run on local files never loads it. Every failure is one of our errors: one sentence without credentials.
"""

from __future__ import annotations

from enhance_cli.storage.locations import SCHEMES, Location, is_url, local_path
from enhance_cli.storage.store import Item, Opener, Store

__all__ = ["SCHEMES", "Item", "Location", "Opener", "Store", "is_url", "local_path", "opened"]


def opened(location: Location) -> Store:
    """The bucket of a location, by obstore.

    Raises:
        UsageError: obstore is not installed, or the environment configures the service wrongly.
    """
    from enhance_cli.storage import buckets

    return buckets.opened(location.scheme, location.bucket)
