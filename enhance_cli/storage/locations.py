"""URLs of object storage: `s3://bucket/key`. Keys are taken literally, as the tools of the services do: no %20."""

from __future__ import annotations

import re
from typing import NamedTuple, Self
from urllib.parse import unquote

from enhance_cli.errors import UsageError

SCHEMES = ("s3", "gs", "az")

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)


class Location(NamedTuple):
    """An object, or the common prefix of several keys, in a bucket (in Azure a container)."""

    scheme: str
    bucket: str
    key: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URL; the scheme may be in capitals, and a slash at the end changes nothing.

        Raises:
            UsageError: the scheme is unknown, there is no bucket, or the key has a part that a path cannot have.
        """
        match = _URL.fullmatch(text)
        scheme = match[1].lower() if match else ""
        if match is None or scheme not in SCHEMES:
            known = ", ".join(f"{name}://" for name in (*SCHEMES, "file"))
            raise UsageError(f"{text} has a scheme that enhance does not support; give a path, or a URL with {known}.")
        bucket, _, key = match[2].partition("/")
        key = key.removesuffix("/")
        if not bucket or bucket in (".", ".."):
            raise UsageError(f"{text} names no bucket; give {scheme}://BUCKET/NAME.")
        if "@" in bucket or "\0" in text:  # a password would end up in reports
            raise UsageError(f"{scheme}://... names no valid bucket; give credentials in the environment.")
        fault = fault_of(key)
        if fault:
            raise UsageError(f"{text} has {fault}, which enhance does not support; rename the objects.")
        return cls(scheme, bucket, key)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}" + (f"/{self.key}" if self.key else "")


def fault_of(key: str) -> str:
    """Why a key cannot be a path below a folder; empty if it can."""
    parts = key.split("/") if key else []
    for part in parts:
        if part in ("", ".", ".."):
            return f"a part {part!r} between slashes"
    control = next((letter for letter in key if ord(letter) < 32 or ord(letter) == 127), None)
    return "" if control is None else f"the control character {control!r}"


def is_url(text: object) -> bool:
    """Whether an argument is a URL; a path that happens to contain `://` may be given as `./...`."""
    return isinstance(text, str) and _URL.fullmatch(text) is not None


def local_path(text: str) -> str | None:
    """The path of a `file://` URL, with %20 and the like decoded; None for any other text.

    Raises:
        UsageError: it names a file on another machine.
    """
    match = _URL.fullmatch(text)
    if match is None or match[1].lower() != "file":
        return None
    host, slash, path = match[2].partition("/")
    if host not in ("", "localhost") or not slash:
        raise UsageError(f"{text} names no file on this machine; give file:///PATH.")
    return "/" + unquote(path, errors="surrogateescape")
