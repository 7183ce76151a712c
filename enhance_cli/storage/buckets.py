"""Buckets of S3, Google Cloud Storage and Azure by obstore: retries, time-outs, and errors in one sentence.

Credentials come from the environment, as obstore reads it (AWS_ACCESS_KEY_ID, GOOGLE_APPLICATION_CREDENTIALS,
AZURE_STORAGE_ACCOUNT_KEY ...). This module never reads them. The messages of obstore and of the services are never
shown, because they may quote requests with their headers: failures are classified, and described in our words.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from enhance_cli.engines import abandon
from enhance_cli.errors import (
    ChangedSource,
    EnhanceError,
    MissingSource,
    OccupiedOutput,
    OutputError,
    UnreachableBucket,
    UnreadableSource,
    UsageError,
)
from enhance_cli.storage.locations import Location
from enhance_cli.storage.store import Item

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore

T = TypeVar("T")

ATTEMPTS, FIRST_PAUSE, LONGEST_PAUSE = 8, 0.2, 8.0
"""How often an operation is tried, and the seconds between attempts: doubled each time, with jitter; 25 s in all."""

TIMEOUT = 60.0
"""Seconds for one request, including its transfer."""

_ENDPOINTS = (
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT",
    "AZURE_STORAGE_ENDPOINT",
    "AZURITE_BLOB_STORAGE_URL",
    "GOOGLE_BASE_URL",
)
"""Variables that name a server other than the services' own."""

_CONNECT = 10.0
_PAGE = 1000


def _setting(name: str, default: float) -> float:
    """A number from the environment: ENHANCE_STORAGE_ATTEMPTS, ENHANCE_STORAGE_TIMEOUT (seconds)."""
    text = os.environ.get(name, "")
    with contextlib.suppress(ValueError):
        if (value := float(text)) > 0:
            return value
    if text:
        raise UsageError(f"{name} is a number above 0, not {text!r}.")
    return default


@lru_cache(maxsize=32)
def opened(scheme: str, bucket: str) -> Bucket:
    """A bucket; the same object for the whole process.

    Raises:
        UsageError: obstore is not installed, or the environment configures the service wrongly.
    """
    try:
        from obstore.store import from_url
    except ImportError:
        raise UsageError(
            f"{scheme}://{bucket} needs the package obstore; install it with: pip install 'enhance-cli[remote]'"
        ) from None
    attempts = int(_setting("ENHANCE_STORAGE_ATTEMPTS", ATTEMPTS))
    timeout = _setting("ENHANCE_STORAGE_TIMEOUT", TIMEOUT)
    plain = any(os.environ.get(name, "").startswith("http://") for name in _ENDPOINTS)
    options: dict[str, Any] = {
        "timeout": timedelta(seconds=timeout),
        "connect_timeout": timedelta(seconds=min(_CONNECT, timeout)),
        # Without TLS only if the user named such an endpoint: a private server, or that of a test.
        "allow_http": plain or os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true",
    }
    try:
        store = from_url(
            f"{scheme}://{bucket}",
            client_options=cast("ClientConfig", options),
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=timeout)},  # `_tried` retries
        )
    except Exception:  # noqa: BLE001 - of many classes, whose texts may quote the configuration
        raise UsageError(
            f"{scheme}://{bucket} cannot be opened with what the environment configures; see docs/cluster.md for the "
            "variables."
        ) from None
    return Bucket(scheme, bucket, store, attempts)


class Bucket:
    """A bucket by obstore: a `Store`."""

    def __init__(self, scheme: str, name: str, store: ObjectStore, attempts: int) -> None:
        """Wrap an obstore store.

        Args:
            scheme: of its URLs.
            name: of the bucket.
            store: without retries of its own.
            attempts: how often an operation is tried.
        """
        self._scheme, self._name, self._store, self._attempts = scheme, name, store, attempts

    def _shown(self, key: str) -> str:
        return str(Location(self._scheme, self._name, key))

    def list(self, prefix: str) -> Iterator[Item]:
        """See `Store`; after a broken connection the page is requested again, from its last key."""
        import obstore

        last: str | None = None
        tries = 0
        while True:
            try:
                pages = obstore.list(self._store, prefix or None, offset=last, chunk_size=_PAGE)
                for page in pages:
                    for meta in page:
                        yield _item(meta)
                        last = meta["path"]
                    tries = 0
                return
            except EnhanceError:
                raise
            except Exception as error:  # noqa: BLE001 - translated
                tries += 1
                if tries < self._attempts and _is_passing(error):
                    _pause(tries)
                    continue
                self._fail(error, prefix, UnreachableBucket, "listed", bucket=UsageError)

    def get(self, key: str, etag: str = "") -> tuple[bytes, Item]:
        """See `Store`."""
        import obstore

        def once() -> tuple[bytes, Item]:
            found = obstore.get(self._store, key, options={"if_match": _quoted(etag)} if etag else None)
            meta = _item(found.meta)
            data = bytes(found.bytes())
            if len(data) != meta.bytes:
                raise ConnectionError("the body ended early")
            return data, meta

        try:
            data, meta = self._tried(once)
        except Exception as error:  # noqa: BLE001 - translated
            self._fail(error, key, UnreadableSource, "read")
        if etag and meta.etag != etag:  # a service that ignores conditions
            raise ChangedSource(f"{self._shown(key)} changed since it was listed; run again.")
        return data, meta

    def put(self, key: str, data: bytes, over: str | None = "") -> Item:
        """See `Store`; a put whose answer was lost is recognised by the bytes that are there."""
        import obstore

        mode: Any = "overwrite" if over is None else "create" if over == "" else {"e_tag": _quoted(over)}

        def once() -> Item:
            if over and self._scheme == "gs":  # which has generations and does not compare etags
                meta = obstore.head(self._store, key)
                if _bare(meta["e_tag"]) != over:
                    raise self._occupied(key)
                mode["version"] = meta["version"]
            done = obstore.put(self._store, key, data, mode=mode, use_multipart=False)
            return Item(key, len(data), time.time_ns(), _bare(done["e_tag"]))

        try:
            return self._tried(once)
        except EnhanceError:
            raise
        except Exception as error:  # noqa: BLE001 - translated
            if _name(error) in ("AlreadyExistsError", "PreconditionError"):
                # An earlier try may have arrived although its answer did not.
                with contextlib.suppress(EnhanceError):
                    there, item = self.get(key)
                    if there == data:
                        return item
            self._fail(error, key, OutputError, "written")

    def head(self, key: str) -> Item | None:
        """See `Store`."""
        import obstore

        try:
            return _item(self._tried(lambda: obstore.head(self._store, key)))
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001 - translated
            self._fail(error, key, UnreachableBucket, "looked up", bucket=UsageError)

    def _occupied(self, key: str) -> OccupiedOutput:
        return OccupiedOutput(
            f"{self._shown(key)} was put there or changed by another program during the run, and is left alone; move "
            "it away and run again, or use --overwrite."
        )

    def _tried(self, once: Callable[[], T]) -> T:
        """Do something, and retry after a transient failure; at most `attempts` times."""
        for attempt in range(1, self._attempts):
            try:
                return once()
            except Exception as error:
                if not _is_passing(error):
                    raise
            _pause(attempt)
        return once()

    def _fail(
        self,
        error: Exception,
        key: str,
        kind: type[EnhanceError],
        what: str,
        bucket: type[EnhanceError] | None = None,
    ) -> NoReturn:
        """Raise one of our errors for an exception of obstore, in a sentence that quotes nothing of it."""
        if not (isinstance(error, OSError | ValueError) or type(error).__module__.startswith("obstore")):
            raise error  # a fault of ours
        shown, text, name = self._shown(key), str(error), _name(error)
        writes = what == "written"
        if "NoSuchBucket" in text or "ContainerNotFound" in text or "bucket does not exist" in text:
            sentence: EnhanceError = (bucket or kind)(
                f"{shown} cannot be {what}: there is no bucket {self._name}; check the name, or create it."
            )
        elif name in ("AlreadyExistsError", "PreconditionError") and writes:
            sentence = self._occupied(key)
        elif name in ("PreconditionError", "NotModifiedError"):
            sentence = ChangedSource(f"{shown} changed since it was listed; run again.")
        elif isinstance(error, FileNotFoundError):
            sentence = MissingSource(f"{shown} does not exist.") if not writes else kind(f"{shown} cannot be written.")
        elif name == "InvalidPathError" or isinstance(error, ValueError):
            sentence = UsageError(
                f"{shown} contains a key with an empty part, a part . or .., or a control character, which enhance "
                "does not support; rename that object, or name another prefix."
            )
        else:
            sentence = kind(f"{shown} cannot be {what}: {_why(text, name)}.")
        raise sentence from None


def _pause(attempt: int) -> None:
    """Wait before the next attempt; ends early if the run is stopped."""
    until = time.monotonic() + min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0)
    while (left := until - time.monotonic()) > 0:
        abandon.check()
        time.sleep(min(left, 0.1))


def _name(error: Exception) -> str:
    return type(error).__name__


def _status(text: str) -> int:
    match = re.search(r"status code: (\d{3})", text)
    return int(match[1]) if match else 0


def _is_passing(error: Exception) -> bool:
    """Whether a failure is transient: the service is busy, or the connection broke."""
    if _name(error) in ("PermissionDeniedError", "UnauthenticatedError", "PreconditionError", "AlreadyExistsError"):
        return False
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if isinstance(error, FileNotFoundError | ValueError) or _name(error) != "GenericError":
        return False
    status, text = _status(str(error)), str(error)
    if status:
        return status >= 500 or status in (408, 409, 425, 429)
    return "HTTP error" in text or "error sending request" in text or "timed out" in text or "body" in text


def _why(text: str, name: str) -> str:
    """Why an operation failed, from what can be recognised in an obstore error."""
    status = _status(text)
    if "169.254.169.254" in text or "metadata.google" in text or "CredentialProvider" in text:
        return "there are no credentials in the environment"
    if "ExpiredToken" in text or "TokenRefreshRequired" in text:
        return "the credentials have expired"
    if name in ("PermissionDeniedError", "UnauthenticatedError") or status in (401, 403):
        return f"the service rejects the credentials, or this user lacks permission ({status or 403})"
    if status in (301, 307) or "incorrectly configured region" in text or "AuthorizationHeaderMalformed" in text:
        return "the bucket is in another region; set AWS_REGION to it"
    if status == 503 or status == 429:
        return f"the service was busy ({status}) at every attempt"
    if status:
        return f"the service answered with status {status}"
    if "timed out" in text or "TimedOut" in text or "Timeout" in text:
        return f"no answer within the time-out of {_setting('ENHANCE_STORAGE_TIMEOUT', TIMEOUT):g} s"
    if "builder error" in text:
        return "its endpoint is not an https:// or http:// address"
    if "dns error" in text or "Dns" in text:
        return "the host name of the service cannot be resolved"
    if "Connect" in text and ("refused" in text or "tcp connect" in text):
        return "the service refuses the connection"
    return "the connection broke at every attempt"


def _item(meta: Any) -> Item:
    modified = meta["last_modified"]
    return Item(meta["path"], int(meta["size"]), round(modified.timestamp() * 1e6) * 1000, _bare(meta["e_tag"]))


def _bare(etag: str | None) -> str:
    """An etag without quotes: some services have them in some answers only."""
    return (etag or "").strip('"') if not (etag or "").startswith("W/") else str(etag)


def _quoted(etag: str) -> str:
    return etag if etag.startswith("W/") else f'"{etag}"'
