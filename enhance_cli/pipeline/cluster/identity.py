"""What must be the same on all machines of a run: the program and the weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from enhance_cli import methods
from enhance_cli.engines import weights


def identity(method: str, own: Path | None) -> dict[str, str]:
    """The version of this program, and digests of its code and of the weights that a method may load.

    Args:
        method: the id of the method.
        own: the folder of `--weights`.

    Raises:
        EnhanceError: own weights cannot be read.
    """
    from importlib.metadata import version

    asked = methods.get(method)
    parts = [weights.manifests(asked, own), *(weights.manifests(methods.get(name)) for name in asked.uses)]
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=4).hexdigest()
    return {"version": version("enhance-cli"), "code": code(), "weights": digest}


@cache
def code() -> str:
    """A digest of the program's own modules: two checkouts of the same version may differ."""
    package = Path(__file__).resolve().parents[2]
    digest = hashlib.blake2b(digest_size=4)
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def difference(place: str, theirs: Mapping[str, str], ours: Mapping[str, str]) -> str | None:
    """A sentence that names both identities if a worker differs from the driver."""
    if dict(theirs) == dict(ours):
        return None
    return (
        f"The worker on {place} has {_shown(theirs)}, and this command has {_shown(ours)}; install the same there. "
        "That worker is not used."
    )


def _shown(one: Mapping[str, str]) -> str:
    known = {name: one.get(name, "unknown") for name in ("version", "code", "weights")}
    return f"enhance {known['version']} (code {known['code']}, weights {known['weights']})"
